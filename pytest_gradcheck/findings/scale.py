"""The claim is a multiple of the truth: the wrong sign, a factor, a mean given for a sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.result import Finding
from .evidence import Evidence
from .scene import Scene, agreement, in_all, shared, to_digits, where, with_gradient
from .sizes import Size

SHARP = 1e-3
"""Relative uncertainty up to which a factor is worth saying."""
NAMED = 1e-5
"""A factor within this of a number, relatively, is that number."""
CHANCE = 0.05
"""Within this of a whole number is one in ten of all numbers: what is not known better is none."""


def sign(scene: Scene) -> Iterator[Finding]:
    """The claim is minus the truth."""
    members = [e for e in scene.open if e.admits(-e.claimed)]
    if members:
        then = to_digits(agreement(members, [-e.claimed for e in members]))
        yield Finding(
            "sign",
            where(members),
            f"the gradient of {in_all(scene, members)} has the wrong sign: it is minus the measured"
            f" one{then}. Look for a difference taken the wrong way round (y - p for p - y), or for"
            " an ascent direction handed out as the gradient",
            {"factor": -1.0},
        )


def factor(scene: Scene) -> Iterator[Finding]:
    """The claim is a constant times the truth."""
    explained: set[str] = set()
    for group in shared(scene.open, lambda e: e.claimed):
        if group.constant == 1:
            continue  # of a truth of zero the claim is no multiple
        value = 1 / (1 - group.constant)
        uncertainty = value**2 * group.uncertainty
        if uncertainty < SHARP * abs(value):
            explained.update(where(group.members))
            yield _factor(scene, group.members, value, uncertainty)
    yield from _of_scalars(scene, [e for e in scene.open if e.name not in explained])


def _of_scalars(scene: Scene, small: Sequence[Evidence]) -> Iterator[Finding]:
    """Parameters too small to confirm a factor each may do so together, if it is a known one."""
    for value, _, _ in known_factors(scene.sizes):
        members = [e for e in small if e.admits(e.claimed / value)]
        if len(members) > 1:
            yield _factor(scene, members, value, NAMED * abs(value))
            small = [e for e in small if e.name not in where(members)]


def _factor(scene: Scene, members: Sequence[Evidence], value: float, uncertainty: float) -> Finding:
    right = [e for e in with_gradient(scene.all) if not e.wrong]
    close = 3 * uncertainty + NAMED * abs(value)
    known = [entry for entry in known_factors(scene.sizes) if abs(entry[0] - value) <= close]
    number, said, size = known[0] if known else (value, _anonymous(value, close), None)
    everything = in_all(scene, members)
    evidence = {"factor": number, "measured": value, "uncertainty": uncertainty}
    seen = f"the gradient of {everything} is {_digits(value, uncertainty)} times the measured one"
    if size is not None and size.batch and not right and len(members) == len(scene.open):
        which = "a sum is" if number > 1 else "a mean is"
        loss = "mean" if number > 1 else "sum"
        advice = f"the gradient of {which} given where the loss takes the {loss} over the samples"
        return Finding("mean-for-sum", where(members), f"{seen}: {said}; {advice}", evidence)
    hint = "Look for a constant factor dropped or counted twice"
    return Finding("factor", where(members), f"{seen}: {said}. {hint}", evidence)


def known_factors(sizes: Sequence[Size]) -> list[tuple[float, str, Size | None]]:
    """Factors that have a name."""
    known: list[tuple[float, str, Size | None]] = [
        (2.0, "a factor of 2 too much (the square's 2, or a 1/2 in the loss alone)", None),
        (0.5, "half of it (the square's 2 was lost, or a term is counted twice in the loss)", None),
        (-2.0, "the wrong sign, and a factor of 2", None),
        (-0.5, "the wrong sign, and a factor of 1/2", None),
    ]
    for size in sizes:
        n, is_n = float(size.length), f"{size.length} is {size.where}"
        divide = "by which it ought to be divided" if size.batch else "perhaps no coincidence"
        known.append((n, f"{is_n}, {divide}", size))
        known.append((1 / n, f"1/{size.length}, and {is_n}: it was divided once too often", size))
        known.append((-n, f"the wrong sign, and {is_n}", size))
        known.append((-1 / n, f"the wrong sign, and 1/{size.length}, where {is_n}", size))
    return known


def _anonymous(value: float, close: float) -> str:
    if value < 0:
        if abs(value) >= 1:
            return "the wrong sign, and the same constant in every entry"
        return f"the wrong sign, and {-value:.6g}, as an update step, -lr * gradient, has"
    number = value if value >= 1 else 1 / value
    whole, off = round(number), close / value * number
    if whole > 2 and abs(number - whole) <= off < CHANCE:
        part = str(whole) if value >= 1 else f"1/{whole}"
        if whole & (whole - 1) == 0:
            return f"{part}, or 2 taken {whole.bit_length() - 1} times, once for each layer above"
        return f"{part}, perhaps the number of samples or of outputs"
    return "the same constant in every entry"


def _digits(value: float, uncertainty: float) -> str:
    return f"{value:.6g} (± {uncertainty:.0e})"
