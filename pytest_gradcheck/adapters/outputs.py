"""Outputs that are not one real number, made one: a random cotangent for each of their entries.

For outputs y_k the loss is the sum of ``Re(conj(w_k) y_k)`` over all entries, with weights w_k
from a continuous distribution that stays away from zero: no entry of the Jacobian goes unseen, and
errors of two entries cancel with probability zero.  Knows NumPy and no framework.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.parameters import Parameter
from ..core.result import Finding

BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
"""Significant bits of a precision: weights are exact in that of their output."""
STEP = 1e-5
"""Step, relative to the scale of the parameter, with which a wrong output is looked for."""
ALONE = 0.9
"""Part of an error from which on one output entry is said to be the whole of it."""


@dataclass(frozen=True)
class Output:
    """One array among the outputs.

    Parameters
    ----------
    name : str
        How reports call it: ``output``, ``output[1]``.
    shape : tuple of int
    is_complex : bool
    bits : int
        Significant bits of its precision, see `BITS`.
    """

    name: str
    shape: tuple[int, ...]
    is_complex: bool = False
    bits: int = 53

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size


class Cotangents:
    """The weights of all outputs; the same ones for the same outputs and seed.

    Parameters
    ----------
    outputs : sequence of Output
    seed : int

    Attributes
    ----------
    weights : list of ndarray
        float64 or complex128, in the shape of each output.  As a cotangent in the convention of
        PyTorch (``dL/dRe + i dL/dIm``) it is the weight itself, in that of JAX its conjugate.
        A single real number has weight 1: it is the loss itself.
    """

    def __init__(self, outputs: Sequence[Output], seed: int = 0) -> None:
        self.outputs = list(outputs)
        rng = np.random.default_rng([seed, 0x0C0])
        self.weights = [_weights(output, rng) for output in self.outputs]
        if self.is_loss:
            self.weights = [np.ones(self.outputs[0].shape)]

    @property
    def is_loss(self) -> bool:
        """Whether there is one real number, which needs no weight."""
        return len(self.outputs) == 1 and self.outputs[0].size == 1 and not self.is_complex

    @property
    def is_complex(self) -> bool:
        return any(output.is_complex for output in self.outputs)

    def total(self, values: Sequence[Any]) -> float:
        """The loss: weighted sum of the outputs, which NumPy can read."""
        return float(sum(_inner(w, v) for w, v in zip(self.weights, values, strict=True)))


def _weights(output: Output, rng: np.random.Generator) -> NDArray[Any]:
    modulus = rng.uniform(0.5, 1.5, output.shape)
    if not output.is_complex:
        return rounded(modulus * rng.choice([-1.0, 1.0], output.shape), output.bits)
    angle = rng.uniform(0.0, 2 * np.pi, output.shape)
    real, imag = modulus * np.cos(angle), modulus * np.sin(angle)
    return np.asarray(rounded(real, output.bits) + 1j * rounded(imag, output.bits))


def rounded(values: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """`values` with `bits` significant bits: the same number in a narrow precision and a wide."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits))


def _inner(weight: NDArray[Any], value: Any) -> float:
    return float(np.real(np.vdot(weight, np.asarray(value))))


def wrong_output(
    cotangents: Cotangents,
    parameter: Parameter,
    index: int,
    values: Callable[[], Sequence[NDArray[Any]]],
    claimed: Callable[[Sequence[NDArray[Any]]], float],
) -> Finding | None:
    """Which entry of which output the error of one derivative comes from.

    The derivatives of all outputs are measured by two evaluations; the claimed ones by halving
    the set of outputs that have a weight, the half with the larger error first: one
    backward pass a halving.

    Parameters
    ----------
    cotangents : Cotangents
    parameter : Parameter
    index : int
        Flat position in it of the derivative that is wrong.
    values : callable
        ``values()`` are the outputs where the parameters stand.
    claimed : callable
        ``claimed(weights)`` is the claimed derivative of the outputs so weighted.

    Returns
    -------
    Finding or None
        None where there is but one output entry, or no error is seen.
    """
    weights = np.concatenate([w.reshape(-1) for w in cotangents.weights])
    if weights.size < 2:
        return None
    slopes = _slopes(parameter, index, values)
    terms = np.real(np.conj(weights) * slopes)

    def error(part: NDArray[np.intp]) -> float:
        chosen = np.zeros_like(weights)
        chosen[part] = weights[part]
        return claimed(_split(chosen, cotangents.outputs)) - float(terms[part].sum())

    part = np.arange(weights.size)
    total = found = error(part)
    if not np.isfinite(total) or total == 0:
        return None
    while part.size > 1:
        halves = np.array_split(part, 2)
        errors = [error(half) for half in halves]
        larger = int(np.argmax(np.abs(errors)))
        part, found = halves[larger], errors[larger]
    place = int(part[0])
    measured = float(terms[place])
    label = _label(cotangents.outputs, place)
    entry = _entry(parameter, index)
    alone = abs(found) >= ALONE * abs(total)
    scale = 1.0 if np.iscomplexobj(weights) else float(weights[place])
    return Finding(
        "wrong-output",
        (parameter.name,),
        f"the error of {entry} {'comes from' if alone else 'is largest in'} {label}: its derivative"
        f" with respect to {entry} is claimed as {(measured + found) / scale:.6g} and measured as"
        f" {measured / scale:.6g}"
        + ("" if not np.iscomplexobj(weights) else " (along a random phase)"),
        {
            "output": label,
            "claimed": (measured + found) / scale,
            "measured": measured / scale,
            "share": abs(found) / abs(total),
        },
    )


def _slopes(
    parameter: Parameter, index: int, values: Callable[[], Sequence[NDArray[Any]]]
) -> NDArray[Any]:
    """Derivatives of all output entries by one central difference."""
    theta = parameter.read()
    largest = float(np.max(np.abs(theta), initial=0.0)) or 1.0
    step = STEP * (abs(float(theta[index])) or largest)
    ends = parameter.round(theta[index] + np.array([step, -step]))
    sides = []
    try:
        for end in ends.tolist():
            parameter.cells[index] = end
            sides.append(np.concatenate([np.array(v).reshape(-1) for v in values()]))
    finally:
        parameter.cells[index] = float(theta[index])
    return np.asarray((sides[0] - sides[1]) / (ends[0] - ends[1]))


def _split(flat: NDArray[Any], outputs: Sequence[Output]) -> list[NDArray[Any]]:
    """One array an output, in its shape."""
    parts, start = [], 0
    for output in outputs:
        part = flat[start : start + output.size].reshape(output.shape)
        parts.append(part if output.is_complex else np.real(part))
        start += output.size
    return parts


def _label(outputs: Sequence[Output], place: int) -> str:
    for output in outputs:
        if place < output.size:
            index = [int(i) for i in np.unravel_index(place, output.shape)]
            return output.name + (str(index) if index else "")
        place -= output.size
    raise IndexError(place)


def _entry(parameter: Parameter, index: int) -> str:
    where = [int(i) for i in np.unravel_index(index, parameter.shape)]
    return parameter.name + (str(where) if where else "")
