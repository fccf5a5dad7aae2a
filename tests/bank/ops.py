"""Operations that serve float32, float64, long double, complex numbers and autograd alike.

Branches look at the real part only, so that the complex step differentiates the branch taken.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np


def value(x: Any) -> Any:
    """The plain array inside an autograd box."""
    while hasattr(x, "_value"):
        x = x._value
    return x


def real(x: Any) -> Any:
    return np.real(value(x))


def relu(x: Any, xp: Any) -> Any:
    return x * (real(x) > 0)


def absolute(x: Any, xp: Any) -> Any:
    return x * np.sign(real(x))


def larger(a: Any, b: Any, xp: Any) -> Any:
    return xp.where(real(a) >= real(b), a, b)


def first_max(x: Any, xp: Any) -> Any:
    """Maximum along the last axis; of equals the first one has the gradient."""
    flat = xp.reshape(x, (-1, x.shape[-1]))
    best = np.argmax(real(flat), axis=-1)
    return xp.reshape(flat[np.arange(len(best)), best], x.shape[:-1])


def sigmoid(x: Any, xp: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def softplus(x: Any, xp: Any) -> Any:
    up = real(x) > 0
    return x * up + xp.log1p(xp.exp(xp.where(up, -x, x)))


def logsumexp(x: Any, xp: Any, axis: int = -1, keepdims: bool = False) -> Any:
    top = np.max(real(x), axis=axis, keepdims=True)
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else xp.squeeze(total, axis=axis)


def softmax(x: Any, xp: Any, axis: int = -1) -> Any:
    e = xp.exp(x - np.max(real(x), axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, xp: Any, axis: int = -1) -> Any:
    return x - logsumexp(x, xp, axis, keepdims=True)


def floor(x: Any) -> Any:
    """A step function: its derivative is zero wherever there is one."""
    return np.floor(real(x))


def _eliminate(a: np.ndarray) -> tuple[np.ndarray, Any]:
    """Inverse and log |det| by Gauss-Jordan with pivoting, in the dtype of `a`."""
    n = len(a)
    work = np.concatenate([a, np.eye(n, dtype=a.dtype)], axis=1)
    logdet = np.zeros((), a.dtype)
    for j in range(n):
        pivot = j + int(np.argmax(np.abs(np.real(work[j:, j]))))
        work[[j, pivot]] = work[[pivot, j]]
        logdet = logdet + np.log(work[j, j] * np.sign(np.real(work[j, j])))
        work[j] = work[j] / work[j, j]
        rest = np.arange(n) != j
        work[rest] -= work[rest, j][:, None] * work[j]
    return work[:, n:], logdet


def _lapack(a: Any) -> bool:
    return isinstance(a, np.ndarray) and a.dtype in (np.float64, np.float32)


@cache
def _boxed() -> tuple[Any, Any]:
    from autograd.extend import defvjp, primitive

    inverse_ = primitive(lambda a: _eliminate(a)[0])
    defvjp(inverse_, lambda ans, a: lambda g: -ans.T @ g @ ans.T)
    logdet_ = primitive(lambda a: _eliminate(a)[1])
    defvjp(logdet_, lambda ans, a: lambda g: g * _eliminate(a)[0].T)
    return inverse_, logdet_


def inverse(a: Any, xp: Any) -> Any:
    if _lapack(a):
        return np.linalg.inv(a)
    return _boxed()[0](a) if xp is not np else _eliminate(a)[0]


def solve(a: Any, b: Any, xp: Any) -> Any:
    return np.linalg.solve(a, b) if _lapack(a) and _lapack(b) else inverse(a, xp) @ b


def logdet(a: Any, xp: Any) -> Any:
    """Log |det a|"""
    if _lapack(a):
        return np.linalg.slogdet(a)[1]
    return _boxed()[1](a) if xp is not np else _eliminate(a)[1]


def spd(a: Any, b: Any, xp: Any) -> tuple[Any, Any]:
    """a^-1 b and log det a of a positive definite matrix; where it is not, Cholesky raises."""
    if _lapack(a):
        factor = np.linalg.cholesky(a)
        half = np.linalg.solve(factor, b)
        return np.linalg.solve(factor.T, half), 2 * np.sum(np.log(np.diag(factor)))
    return solve(a, b, xp), logdet(a, xp)
