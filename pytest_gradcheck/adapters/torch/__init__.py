"""PyTorch: modules, their methods, functions of tensors and custom autograd functions.

Only to be imported where the framework is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ...core.problem import Problem
from ...errors import SubjectError
from ...settings import Settings
from ..functions import Functions
from . import by_hand
from .call import Call, leaves, module_of
from .forward import forward_mode
from .joined import joined
from .reverse import Reverse
from .second import second_order
from .sound import Checks
from .tensors import is_tensor, torch


@dataclass(frozen=True)
class TorchSubject:
    """A call with all that is to be said about it.

    Parameters
    ----------
    subject : torch.nn.Module or callable
        A module, a method of one, a function of tensors, ``MyFunction.apply``.
    loss : callable or None
        Applied to what `subject` returns: ``loss=lambda out: cross_entropy(out, y)``.
    kwargs : mapping
        Keyword arguments of `subject`.
    wrt : str, sequence of str, or None
        Names or patterns (``"layers.*"``) of the parameters and inputs to check; inputs named
        so need not require a gradient.  None: all that require one.
    forward_ad : bool
        Check the forward mode (jvp) as well.
    order : {1, 2}
        2 checks the gradient of the gradient (double backward) as well.
    nondet_tol : float or None
        Run the backward pass twice, and refuse a larger difference.
    batched_grad : bool
        Compare the backward pass under ``torch.func.vmap`` with one for each cotangent.
    float64 : bool
        Whether differences of float32, float16 and bfloat16 code are taken in float64.
    """

    subject: Any
    loss: Any = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrt: Any = None
    forward_ad: bool | None = None
    order: int | None = None
    nondet_tol: float | None = None
    batched_grad: bool | None = None
    float64: bool | None = None

    def completed(self, settings: Settings) -> TorchSubject:
        """The same, with what is not said here as the settings have it."""
        names = ("wrt", "forward_ad", "order", "nondet_tol", "batched_grad", "float64")
        silent = {name: getattr(settings, name) for name in names if getattr(self, name) is None}
        given: dict[str, Any] = {name: None if v == () else v for name, v in silent.items()}
        return replace(self, **given)


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of a module or of a function of tensors; None for all else.

    Raises
    ------
    SubjectError
        If nothing requires a gradient, or a tensor is of a kind that cannot be moved.
    """
    if not isinstance(subject, TorchSubject):
        if module_of(subject) is None:
            problem = by_hand.adapt(subject, args, settings)
            if problem is not None:
                return problem
        if _is_function_of_tensors(subject):
            subject, args = subject.loss, (subject.params, *args)
        if not _is_ours(subject, args):
            return None
        subject = TorchSubject(subject)
    asked = subject.completed(settings)
    if not callable(asked.subject):
        raise SubjectError(f"{asked.subject!r} is neither a module nor a function of tensors")
    if asked.loss is not None and not callable(asked.loss):
        raise SubjectError("loss= must be a function of what the module returns")
    if asked.order not in (1, 2):
        raise SubjectError(f"order={asked.order!r}: must be 1 or 2")
    if torch.is_inference_mode_enabled():
        raise SubjectError(
            "inference mode is on, in which autograd computes nothing; leave it for the check"
        )
    call = Call(asked.subject, args, asked.kwargs, loss=asked.loss, wrt=asked.wrt)
    checks = Checks(nondet_tol=asked.nondet_tol, batched=bool(asked.batched_grad))
    reverse = Reverse(call, settings, checks, float64=bool(asked.float64))
    problems = [reverse.problem()]
    if asked.forward_ad:
        problems.append(forward_mode(reverse.weighed, reverse.tensors, settings))
    if asked.order == 2:
        problems.append(second_order(reverse.weighed, reverse.tensors, reverse.outputs(), settings))
    return problems[0] if len(problems) == 1 else joined(problems)


def call_of(
    subject: Any, args: tuple[Any, ...], *, loss: Any = None, kwargs: Any = None
) -> TorchSubject | None:
    """A module, or a function of tensors, with all that is said about it; None for all else."""
    given = [*leaves(args, "input"), *leaves(kwargs or {}, "input")]
    if module_of(subject) is None and not any(is_tensor(value) for _, value in given):
        return None
    return TorchSubject(subject, loss=loss, kwargs=kwargs or {})


def _is_function_of_tensors(subject: Any) -> bool:
    """Whether it is ``loss=f, params=tensors``, whose gradient is the one of autograd."""
    if not isinstance(subject, Functions):
        return False
    claims = (getattr(subject, f.name) for f in fields(subject) if f.name not in ("loss", "params"))
    return all(claim is None for claim in claims) and any(
        is_tensor(value) for _, value in leaves(subject.params, "params")
    )


def _is_ours(subject: Any, args: tuple[Any, ...]) -> bool:
    if isinstance(subject, Functions) or not callable(subject):
        return False
    if module_of(subject) is not None:
        return True
    has_hooks = hasattr(subject, "params") and hasattr(subject, "loss")
    return not has_hooks and any(is_tensor(value) for _, value in leaves(args, "input"))
