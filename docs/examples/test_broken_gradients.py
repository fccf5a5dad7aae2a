"""One mistake after another, and what the check says of each: which parameters, which entry."""

from __future__ import annotations

import pytest
from broken import (
    ForgottenRegularisation,
    MissingMean,
    SlopeOfWrongArray,
    TransposedProduct,
    WrongSign,
)
from network import Array, Labels, Network

from pytest_gradcheck import GradcheckError

ALL = {"W1", "b1", "W2", "b2", "W3", "b3"}

MISTAKES = [
    # the penalty is one of the weights, so the biases stay right
    (ForgottenRegularisation, {"W1", "W2", "W3"}),
    # dZ of the last layer goes into everything
    (WrongSign, ALL),
    # wrong on the way down: the last layer is right, all below are not
    (TransposedProduct, {"W1", "b1", "W2", "b2"}),
    (SlopeOfWrongArray, {"W1", "b1", "W2", "b2"}),
    # db alone is a sum instead of a mean
    (MissingMean, {"b1", "b2", "b3"}),
]


def regularised(kind: type[Network]) -> Network:
    return kind([16, 10, 10, 10], lam=0.5)


def test_the_network_they_derive_from_is_right(
    gradcheck, middle_rows: tuple[Array, Labels]
) -> None:
    assert gradcheck(regularised(Network), *middle_rows).status == "pass"


@pytest.mark.parametrize(("kind", "wrong"), MISTAKES)
def test_mistake_is_found_where_it_is(
    gradcheck, middle_rows: tuple[Array, Labels], kind: type[Network], wrong: set[str]
) -> None:
    """Parameters that are wrong and parameters that are right together point at the formula."""
    with pytest.raises(GradcheckError) as caught:
        gradcheck(regularised(kind), *middle_rows)
    result, report = caught.value.result, str(caught.value)

    assert {block.name for block in result.blocks if block.status == "fail"} == wrong
    assert {block.name for block in result.blocks if block.status == "pass"} == ALL - wrong

    worst = result.worst[0]
    assert worst.parameter in wrong
    assert any(line.startswith(worst.label) for line in report.splitlines())


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(ForgottenRegularisation, "l2-missing"), (WrongSign, "sign"), (MissingMean, "factor")],
)
def test_cause_is_named_first(
    gradcheck, middle_rows: tuple[Array, Labels], kind: type[Network], cause: str
) -> None:
    with pytest.raises(GradcheckError) as caught:
        gradcheck(regularised(kind), *middle_rows)
    causes = [line for line in str(caught.value).splitlines() if line.startswith("cause")]
    assert causes[0].startswith(f"cause  {cause}: ")


def relative_error_of_b1(
    gradcheck, kind: type[Network], middle_rows: tuple[Array, Labels]
) -> float:
    """In a network of one layer, whose b1 depends on that one mistake alone."""
    with pytest.raises(GradcheckError) as caught:
        gradcheck(kind([16, 10]), *middle_rows)
    errors = {block.name: block.relative_error for block in caught.value.result.blocks}
    return errors["b1"]


def test_relative_error_of_a_wrong_sign_is_1(gradcheck, middle_rows: tuple[Array, Labels]) -> None:
    """|d - (-d)| / (|d| + |-d|) = 1, the largest there is."""
    assert relative_error_of_b1(gradcheck, WrongSign, middle_rows) == pytest.approx(1)


def test_relative_error_of_a_factor_tells_the_factor(
    gradcheck, middle_rows: tuple[Array, Labels]
) -> None:
    """|md - d| / (|md| + |d|) = (m - 1) / (m + 1): 15/17 says that 1/m is missing, with m = 16."""
    assert relative_error_of_b1(gradcheck, MissingMean, middle_rows) == pytest.approx(15 / 17)
