"""Claims that are zero but for the rounding of the narrow precision they were computed in.

The bias of the keys of an attention and one in front of a normalisation have no gradient; summed
up in float32 it comes out at 1e-7 of the others.  In a vanishing layer the same size is a gradient
that counts, so it takes a measurement of about zero to tell the two apart.
"""

from __future__ import annotations

ROUNDINGS = 100
"""Roundings of the whole gradient, in the claim's precision, that may be left of a zero."""
LEFT = 0.1
"""Part of such a claim up to which the measured gradient is zero beside it."""
DOUBLE = 1e-15
"""Rounding up to which `NEGLIGIBLE` says what is zero."""


def may_be_cancelled(claimed: float, *, rounding: float, whole: float) -> bool:
    """Whether a claim is so small that it may be zero but for its rounding.

    Parameters
    ----------
    claimed : float
        Norm of the claimed gradient of one parameter.
    rounding : float
        Relative rounding of the claim.
    whole : float
        Norm of the claimed gradient of all parameters.
    """
    return rounding > DOUBLE and 0 < claimed <= ROUNDINGS * rounding * whole


def is_cancelled(claimed: float, numeric: float, *, rounding: float, whole: float) -> bool:
    """Whether it is: its measurement, of norm `numeric`, is about zero beside it."""
    small = may_be_cancelled(claimed, rounding=rounding, whole=whole)
    return small and numeric <= LEFT * claimed
