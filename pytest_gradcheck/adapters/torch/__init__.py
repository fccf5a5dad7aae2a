"""PyTorch: modules, their methods, functions of tensors and custom autograd functions.

Only to be imported where the framework is: whoever looks for it asks ``sys.modules``.
"""

from __future__ import annotations

from typing import Any

from ...core.problem import Problem
from ...errors import SubjectError
from ...settings import Settings
from ..called import Called, has_hooks, without_claims
from ..functions import Functions
from ..joined import joined
from . import by_hand
from .call import Call, holds_tensors, module_of
from .forward import forward_mode
from .reverse import Reverse
from .second import second_order
from .tensors import torch


def adapt(subject: Any, args: tuple[Any, ...], settings: Settings) -> Problem | None:
    """A problem made of a module or of a function of tensors; None for all else.

    Raises
    ------
    SubjectError
        If nothing requires a gradient, or a tensor is of a kind that cannot be moved.
    """
    if not isinstance(subject, Called):
        if module_of(subject) is None:
            problem = by_hand.adapt(subject, args, settings)
            if problem is not None:
                return problem
        if without_claims(subject) and holds_tensors(subject.params):
            subject, args = subject.loss, (subject.params, *args)
        subject = Called(subject)
        if has_hooks(subject.subject) and module_of(subject.subject) is None:
            return None
        if not owns(subject, args):
            return None
    function = subject.subject
    if isinstance(function, type) and issubclass(function, torch.autograd.Function):
        name = function.__name__
        raise SubjectError(f"{name} is the class of a function: hand over {name}.apply")
    subject.require_callable()
    if torch.is_inference_mode_enabled():
        raise SubjectError(
            "inference mode is on, in which autograd computes nothing; leave it for the check"
        )
    call = Call(subject, args, settings.wrt)
    reverse = Reverse(call, settings)
    problems = [reverse.problem()]
    if settings.forward_ad:
        problems.append(forward_mode(reverse.weighed, reverse.tensors, settings))
    if settings.order == 2:
        problems.append(second_order(reverse.weighed, reverse.tensors, reverse.outputs(), settings))
    return joined(problems)


def owns(call: Called, args: tuple[Any, ...]) -> bool:
    """Whether it is a module, or a function of tensors."""
    if isinstance(call.subject, Functions) or not callable(call.subject):
        return False
    return module_of(call.subject) is not None or holds_tensors((args, call.kwargs))
