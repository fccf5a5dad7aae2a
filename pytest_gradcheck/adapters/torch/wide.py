"""float32 code run in float64, without touching the module: parameters are swapped, the rest is
widened on the way.

`Wide` is a mode in which whatever a function of torch is given or returns in float32, float16 or
bfloat16 becomes float64: constants, buffers and targets the code closes over, results of
``torch.zeros``, casts by ``x.float()``.  Random numbers are drawn in the precision that the
code asks for and widened afterwards, so that the draws are the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .tensors import NARROW, is_tensor, torch, widened

_CASTS = {"float", "half", "bfloat16", "chalf", "cfloat"}
_RANDOM = ("rand", "normal", "bernoulli", "dropout", "uniform", "exponential", "multinomial")
_ATOMS = frozenset({int, float, bool, str, type(None), torch.Size, torch.device})
_NARROW = frozenset(NARROW)
_WIDE_OF = {
    kind: torch.complex128 if kind.is_complex else torch.float64
    for kind in NARROW
    if kind is not torch.complex32
}


class Wide(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
    """Within it, all floating-point work of torch is done in double precision.

    Torch takes a mode off for the time of a call.  Where a signal keeps it from being put on again,
    that is made up for whenever its memory is freed, even after all is over: then it does nothing.
    """

    active = False

    def __enter__(self) -> Wide:
        super().__enter__()
        self.active = True
        return self

    def __exit__(self, *error: Any) -> None:
        self.active = False
        if torch.overrides._get_current_function_mode() is self:
            super().__exit__(*error)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if not self.active:
            return function(*args, **(kwargs or {}))
        kind = _kind(getattr(function, "__name__", ""))
        if kind == "cast" and args and is_tensor(args[0]):
            return widened(args[0])
        dtypes = kind != "random"
        if kind == "writes":
            target: Any = args[0] if args else None
            if is_tensor(target) and target.dtype in _NARROW:  # the user's own: written to as it is
                rest = [_widen(arg, dtypes) for arg in args[1:]]
                return function(target, *rest, **_widen(kwargs or {}, dtypes))
        if kwargs:
            if any(tensor.dtype in _NARROW for tensor in _outs(kwargs.get("out"))):
                return function(*args, **kwargs)
            wide = {key: _widen(value, dtypes) for key, value in kwargs.items()}
            return _widen(function(*[_widen(arg, dtypes) for arg in args], **wide), False)
        return _widen(function(*[_widen(arg, dtypes) for arg in args]), False)


def leave() -> None:
    """Leave what an interrupt on the way out has left entered."""
    while isinstance(torch.overrides._get_current_function_mode(), Wide):
        torch.overrides._pop_mode()


@cache
def _kind(name: str) -> str:
    """What sort of function has this name: a cast, a source of random numbers, an assignment."""
    if name in _CASTS:
        return "cast"
    special = name.startswith("__i") and name not in ("__invert__", "__int__", "__index__")
    if name in ("__setitem__", "__set__") or special:
        return "writes"
    if name.endswith("_") and not name.endswith("__"):
        return "writes"
    return "random" if any(word in name for word in _RANDOM) else ""


def _outs(out: Any) -> list[Any]:
    return [t for t in (out if isinstance(out, (list, tuple)) else [out]) if is_tensor(t)]


def _widen(value: Any, dtypes: bool) -> Any:
    """`value` with every narrow tensor in it widened, and every narrow dtype if so asked."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if is_tensor(value):
        return widened(value) if value.dtype in _NARROW else value
    if kind is torch.dtype:
        return _WIDE_OF.get(value, value) if dtypes else value
    if kind in (tuple, list):
        return kind(_widen(item, dtypes) for item in value)
    if kind is dict:
        return {key: _widen(item, dtypes) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*(_widen(item, dtypes) for item in value))
    return value
