"""Plain functions: Jacobians, products with them, second derivatives, bounds, SciPy's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from models import frozen

from pytest_gradcheck import Finding, Result, Settings, SubjectError, check
from pytest_gradcheck.adapters.functions import Functions, adapt

few = hypothesis_settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
RNG = np.random.default_rng(11)
A = RNG.normal(size=(4, 3))
x0 = RNG.normal(size=3)


def verify(*args: Any, loss: Any = None, grads: Any = None, params: Any, **words: Any) -> Result:
    """Check plain functions; at a point near zero, too, which is no matter here."""
    return check(
        None, *args, loss=loss, grads=grads, params=params, allow="near-zero-parameters", **words
    )


def explained(result: Result, *args: Any, **words: Any) -> Finding:
    """What is said about the output that an error comes from."""
    [finding] = adapt(Functions(**{"grads": None, **words}), args, Settings()).explain(result.worst)
    return finding


def residuals(x: Any) -> Any:
    return np.tanh(A @ x)


def jacobian(x: Any) -> Any:
    return (1 - np.tanh(A @ x) ** 2)[:, None] * A


def spoiled(function: Callable[..., Any], index: Any, part: float) -> Callable[..., Any]:
    """`function` with one entry of what it returns off by a part of the largest."""

    def wrong(*args: Any) -> Any:
        found = np.array(function(*args), dtype=float)
        found[index] += part * np.max(np.abs(found))
        return found

    return wrong


class TestJacobian:
    def test_right(self) -> None:
        result = verify(loss=residuals, jac=jacobian, params=x0)
        assert (result.status, result.title) == ("pass", "residuals")
        assert [block.name for block in result.blocks] == ["params"]

    @pytest.mark.parametrize("index", [(0, 0), (2, 1), (3, 2)])
    def test_wrong_entry_is_named_by_output_and_parameter(self, index: tuple[int, int]) -> None:
        wrong = spoiled(jacobian, index, 0.1)
        result = verify(loss=residuals, jac=wrong, params=x0)
        assert result.status == "fail"
        assert result.worst[0].index == index[1:]
        finding = explained(result, loss=residuals, jac=wrong, params=x0)
        assert finding.evidence["output"] == f"residuals[{index[0]}]"
        assert finding.evidence["claimed"] == pytest.approx(wrong(x0)[index])
        assert finding.evidence["measured"] == pytest.approx(jacobian(x0)[index])

    def test_transposed_square_matrix_fails(self) -> None:
        square = A[:3]
        result = verify(loss=lambda x: square @ x, jac=lambda x: square.T, params=x0)
        assert result.status == "fail"

    @pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
    @pytest.mark.parametrize("row", range(4))
    def test_small_output_does_not_hide_behind_large_ones(self, row: int, scale: float) -> None:
        scales = np.where(np.arange(4) == row, scale, 1.0)
        right = verify(
            loss=lambda x: scales * residuals(x),
            jac=lambda x: scales[:, None] * jacobian(x),
            params=x0,
        )
        assert right.status == "pass"
        wrong = verify(
            loss=lambda x: scales * residuals(x),
            jac=lambda x: (scales * np.where(np.arange(4) == row, -1, 1))[:, None] * jacobian(x),
            params=x0,
        )
        assert wrong.status == "fail"

    def test_insensitive_output_does_not_blur_the_others(self) -> None:
        slopes = np.array([1e-13, 1.0])
        result = verify(loss=lambda x: 1 + slopes * x, jac=lambda x: np.diag(slopes), params=x0[:2])
        assert result.status == "pass"

    @few
    @given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
    def test_any_size(self, seed: int, m: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        B, x = rng.normal(size=(m, n)), rng.normal(size=n)
        index = (int(rng.integers(m)), int(rng.integers(n)))

        def jac(x: Any) -> Any:
            return np.cos(B @ x)[:, None] * B

        assert verify(loss=lambda x: np.sin(B @ x), jac=jac, params=x).status == "pass"
        wrong = verify(loss=lambda x: np.sin(B @ x), jac=spoiled(jac, index, 0.3), params=x)
        assert wrong.status == "fail"
        assert wrong.worst[0].index == index[1:]

    def test_single_number_and_its_gradient(self) -> None:
        for shape in ((3,), (1, 3)):
            result = verify(
                loss=lambda x: float(x @ x),
                jac=lambda x, shape=shape: (2 * x).reshape(shape),
                params=x0,
            )
            assert result.status == "pass"

    @pytest.mark.parametrize("factor", [1.0, 1.1])
    def test_pair(self, factor: float) -> None:
        for loss in (
            lambda x: (residuals(x), factor * jacobian(x)),
            lambda x: (float(x @ x), factor * 2 * x),
        ):
            result = verify(loss=loss, jac=True, params=x0)
            assert result.status == ("pass" if factor == 1 else "fail")

    def test_arguments_are_passed_on(self) -> None:
        result = verify(
            2.0,
            loss=lambda x, c: residuals(c * x),
            jac=lambda x, c: c * jacobian(c * x),
            params=x0,
        )
        assert result.status == "pass"

    def test_structures(self) -> None:
        params = {"W": RNG.normal(size=(2, 3)), "b": RNG.normal(size=2)}
        data = RNG.normal(size=(4, 3))

        def loss(p: Any) -> Any:
            return data @ p["W"].T + p["b"] ** 2

        def jac(p: Any, slip: float = 1.0) -> Any:
            by_w = np.einsum("ij,kl->ikjl", np.ones((4, 1)), np.zeros((2, 1))) + np.zeros(
                (4, 2, 2, 3)
            )
            for k in range(2):
                by_w[:, k, k, :] = data
            by_b = np.zeros((4, 2, 2)) + np.diag(2 * p["b"])
            by_w[3, 1, 1, 2] *= slip
            return {"W": by_w, "b": by_b.reshape(8, 2)}

        before = frozen(params)
        assert verify(loss=loss, jac=jac, params=params).status == "pass"
        wrong = verify(loss=loss, jac=lambda p: jac(p, 1.5), params=params)
        assert (wrong.status, wrong.worst[0].label) == ("fail", "W[1, 2]")
        finding = explained(wrong, loss=loss, jac=lambda p: jac(p, 1.5), params=params)
        assert finding.evidence["output"].endswith("[3, 1]")
        assert frozen(params) == before

    def test_structure_of_outputs(self) -> None:
        def loss(x: Any) -> Any:
            return {"sum": x.sum(), "square": x**2}

        def jac(x: Any, slip: float = 1.0) -> Any:
            return {"sum": np.ones(3), "square": np.diag([2 * x[0], 2 * x[1], slip * 2 * x[2]])}

        assert verify(loss=loss, jac=jac, params=x0).status == "pass"
        wrong = verify(loss=loss, jac=lambda x: jac(x, 1.2), params=x0)
        assert wrong.status == "fail"
        finding = explained(wrong, loss=loss, jac=lambda x: jac(x, 1.2), params=x0)
        assert finding.evidence["output"] == "square[2]"

    def test_complex_outputs(self) -> None:
        assert (
            verify(
                loss=lambda x: np.exp(1j * x), jac=lambda x: np.diag(1j * np.exp(1j * x)), params=x0
            ).status
            == "pass"
        )
        assert (
            verify(
                loss=lambda x: np.exp(1j * x),
                jac=lambda x: np.diag(-1j * np.exp(1j * x)),
                params=x0,
            ).status
            == "fail"
        )

    def test_rounding_of_a_float32_jacobian_is_no_error(self) -> None:
        def jac(x: Any) -> Any:
            return jacobian(x).astype(np.float32)

        assert verify(loss=residuals, jac=jac, params=x0).status == "pass"

    def test_float32_parameters(self) -> None:
        x = x0.astype(np.float32)
        assert verify(loss=residuals, jac=jacobian, params=x).status == "pass"
        assert verify(loss=residuals, jac=spoiled(jacobian, (1, 1), 0.1), params=x).status == "fail"


class TestSparse:
    @pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array", "LinearOperator"])
    def test_forms(self, form: str) -> None:
        sparse = pytest.importorskip("scipy.sparse")
        linalg = pytest.importorskip("scipy.sparse.linalg")
        diagonal = np.diag_indices(3)

        def build(matrix: Any) -> Any:
            if form == "LinearOperator":
                return linalg.aslinearoperator(matrix)
            return getattr(sparse, form)(matrix)

        def jac(x: Any) -> Any:
            return build(np.diag(3 * x**2))

        def wrong(x: Any) -> Any:
            matrix = np.diag(3 * x**2)
            matrix[diagonal[0][1], diagonal[1][1]] *= 1.01
            return build(matrix)

        assert verify(loss=lambda x: x**3, jac=jac, params=x0).status == "pass"
        result = verify(loss=lambda x: x**3, jac=wrong, params=x0)
        assert (result.status, result.worst[0].index) == ("fail", (1,))

    def test_a_forgotten_entry(self) -> None:
        sparse = pytest.importorskip("scipy.sparse")

        def loss(x: Any) -> Any:
            return x[1:] * x[:-1]

        def jac(x: Any) -> Any:
            return sparse.diags_array([x[1:]], offsets=[0], shape=(2, 3)).tocsr()

        assert verify(loss=loss, jac=jac, params=x0).status == "fail"


class TestProducts:
    def test_right(self) -> None:
        result = verify(
            loss=residuals,
            jac=jacobian,
            vjp=lambda x, w: jacobian(x).T @ w,
            jvp=lambda x, v: jacobian(x) @ v,
            params=x0,
        )
        assert result.status == "pass"
        assert [block.name for block in result.blocks] == ["params", "vjp:params", "jvp:params"]

    def test_only_the_wrong_one_fails(self) -> None:
        result = verify(
            loss=residuals,
            vjp=lambda x, w: jacobian(x).T @ w,
            jvp=lambda x, v: spoiled(jacobian, (2, 1), 0.1)(x) @ v,
            params=x0,
        )
        assert [(b.name, b.status) for b in result.blocks] == [
            ("params", "pass"),
            ("jvp:params", "fail"),
        ]
        assert result.worst[0].label == "jvp:params[1]"

    @pytest.mark.parametrize("name", ["vjp", "jvp"])
    def test_wrong_output_is_named(self, name: str) -> None:
        def product(x: Any, v: Any) -> Any:
            wrong = spoiled(jacobian, (2, 1), 0.1)(x)
            return wrong.T @ v if name == "vjp" else wrong @ v

        words = {"loss": residuals, name: product, "params": x0}
        result = verify(**words)
        assert (result.status, result.worst[0].index) == ("fail", (1,))
        assert explained(result, **words).evidence["output"] == "residuals[2]"

    def test_structures(self) -> None:
        params = {"a": np.array([0.3, 0.7]), "c": 2.0}

        def loss(p: Any) -> Any:
            return p["c"] * np.sin(p["a"])

        def vjp(p: Any, w: Any) -> Any:
            return {"a": p["c"] * np.cos(p["a"]) * w, "c": float(np.sin(p["a"]) @ w)}

        def jvp(p: Any, v: Any) -> Any:
            return p["c"] * np.cos(p["a"]) * v["a"] + v["c"] * np.sin(p["a"])

        assert verify(loss=loss, vjp=vjp, jvp=jvp, params=params).status == "pass"
        assert params["c"] == 2.0


def rosen(x: Any) -> float:
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def rosen_der(x: Any) -> Any:
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return g


def rosen_hess(x: Any) -> Any:
    H = np.diag(-400 * x[:-1], 1) + np.diag(-400 * x[:-1], -1)
    H += np.diag(np.append(1200 * x[:-1] ** 2 - 400 * x[1:] + 2, 0))
    return H + np.diag(np.insert(np.full(len(x) - 1, 200.0), 0, 0))


X_ROSEN = [1.3, 0.7, 0.8, 1.9, 1.2]


class TestSecondDerivative:
    def test_right(self) -> None:
        result = verify(
            loss=rosen,
            jac=rosen_der,
            hess=rosen_hess,
            hvp=lambda x, v: rosen_hess(x) @ v,
            params=X_ROSEN,
        )
        assert result.status == "pass"
        assert [b.name for b in result.blocks] == ["params", "hess:params", "hvp:params"]

    @pytest.mark.parametrize("index", [(0, 0), (1, 2), (3, 2), (4, 4)])
    def test_wrong_entry(self, index: tuple[int, int]) -> None:
        wrong = spoiled(rosen_hess, index, 0.1)
        result = verify(loss=rosen, grads=rosen_der, hess=wrong, params=np.array(X_ROSEN))
        assert [b.status for b in result.blocks] == ["pass", "fail"]
        assert result.worst[0].label == f"hess:params[{index[1]}]"
        finding = explained(result, loss=rosen, grads=rosen_der, hess=wrong, params=X_ROSEN)
        assert finding.evidence["output"] == f"gradient[{index[0]}]"
        assert finding.where == ("hess:params",)

    def test_wrong_gradient_under_its_own_hessian(self) -> None:
        """A gradient may be wrong and its derivative right: both are looked at."""
        result = verify(
            loss=lambda x: float(np.sum(x**3)),
            grads=lambda x: 2 * x**2,
            hess=lambda x: np.diag(4 * x),
            params=x0,
        )
        assert [b.status for b in result.blocks] == ["fail", "pass"]

    def test_gradient_alone(self) -> None:
        result = verify(grads=rosen_der, hess=rosen_hess, params=np.array(X_ROSEN))
        assert (result.status, result.title) == ("pass", "rosen_der")

    def test_pairs(self) -> None:
        def loss(x: Any) -> Any:
            return rosen(x), rosen_der(x)

        for words in ({}, {"jac": True}):
            right = verify(loss=loss, hess=rosen_hess, params=X_ROSEN, **words)
            wrong = verify(loss=loss, hess=lambda x: -rosen_hess(x), params=X_ROSEN, **words)
            assert (right.status, wrong.status) == ("pass", "fail")

    def test_structures_and_closures(self) -> None:
        """Functions that ignore their argument see every move of the model's own arrays."""
        model = {"a": np.array([0.3, 0.7]), "b": np.array([[1.0, 2.0]])}

        def grads(_: Any) -> Any:
            a, b = model["a"], model["b"]
            return {"a": 2 * a * b.sum(), "b": np.full((1, 2), np.sum(a**2))}

        def loss(_: Any) -> float:
            return float(np.sum(model["a"] ** 2) * model["b"].sum())

        def hvp(_: Any, v: Any) -> Any:
            a, b = model["a"], model["b"]
            return {
                "a": 2 * v["a"] * b.sum() + 2 * a * v["b"].sum(),
                "b": np.full((1, 2), 2 * a @ v["a"]),
            }

        def hess(_: Any) -> Any:
            a, b = model["a"], model["b"]
            cross = np.stack([2 * a, 2 * a], axis=1)
            return np.block([[2 * b.sum() * np.eye(2), cross], [cross.T, np.zeros((2, 2))]])

        before = frozen(model)
        words = {"loss": loss, "grads": grads, "params": model}
        assert verify(hvp=hvp, hess=hess, **words).status == "pass"
        assert verify(hess=lambda m: hess(m).T * 1.1, **words).status == "fail"
        assert frozen(model) == before

    @few
    @given(st.integers(0, 2**32 - 1), st.integers(1, 5))
    def test_any_cubic(self, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        T, x = rng.normal(size=(n, n, n)), rng.normal(size=n)
        T = sum(
            T.transpose(p)
            for p in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
        )

        def grads(x: Any) -> Any:
            return np.einsum("ijk,j,k->i", T, x, x) / 2

        def hess(x: Any) -> Any:
            return np.einsum("ijk,k->ij", T, x)

        index = (int(rng.integers(n)), int(rng.integers(n)))
        assert verify(grads=grads, hess=hess, params=x).status == "pass"
        assert verify(grads=grads, hess=spoiled(hess, index, 0.2), params=x).status == "fail"


class Guarded:
    """Functions that must not be called outside of a box."""

    def __init__(self, low: Any, high: Any, factor: Any = 1.0) -> None:
        self.low, self.high, self.factor = low, high, factor

    def inside(self, x: Any) -> None:
        assert np.all(x >= self.low)
        assert np.all(x <= self.high)

    def loss(self, x: Any) -> float:
        self.inside(x)
        return float(np.sum(np.sqrt(x - self.low + 0.1) + np.exp(x)))

    def grads(self, x: Any) -> Any:
        self.inside(x)
        return self.factor * (0.5 / np.sqrt(x - self.low + 0.1) + np.exp(x))

    def vector(self, x: Any) -> Any:
        self.inside(x)
        return np.array([self.loss(x), x[0] ** 2])

    def jac(self, x: Any) -> Any:
        second = np.zeros(len(x))
        second[0] = 2 * x[0]
        return np.stack([self.grads(x), second])


class TestBounds:
    @few
    @given(
        st.lists(
            st.tuples(st.floats(-3, 3), st.floats(0.01, 2), st.sampled_from([0, 1e-9, 0.4, 1])),
            min_size=1,
            max_size=4,
        ),
        st.booleans(),
    )
    def test_nothing_is_called_outside(self, box: list[tuple[float, ...]], vector: bool) -> None:
        low = np.array([b[0] for b in box])
        high = low + [b[1] for b in box]
        x = np.clip(low + (high - low) * [b[2] for b in box], low, high)
        bounds = list(zip(low, high, strict=True))
        for factor, status in ((1.0, "pass"), (1.01, "fail")):
            f = Guarded(low, high, factor)
            words = (
                {"loss": f.vector, "jac": f.jac} if vector else {"loss": f.loss, "grads": f.grads}
            )
            assert verify(**words, params=x, bounds=bounds, fail=1e-4, warn=1e-5).status == status

    def test_bounds_of_scipy(self) -> None:
        optimize = pytest.importorskip("scipy.optimize")
        f = Guarded(0.0, np.inf)
        for bounds in (optimize.Bounds(0, np.inf), optimize.Bounds(np.zeros(2)), [(0, None)] * 2):
            result = verify(loss=f.loss, jac=f.grads, params=[0.0, 1.0], bounds=bounds)
            assert result.status == "pass"

    def test_wrong_gradient_at_a_corner_is_located(self) -> None:
        f = Guarded(np.zeros(3), np.ones(3), np.array([1, 1.1, 1]))
        result = verify(
            loss=f.loss, grads=f.grads, params=np.array([0.0, 0.0, 1.0]), bounds=[(0, 1)] * 3
        )
        assert (result.status, result.worst[0].index) == ("fail", (1,))

    @pytest.mark.parametrize(
        ("bounds", "message"),
        [
            ([(0, 1), (2, 3)], r"params\[1\] = 1 lies outside its bounds \(2 to 3\)"),
            ([(0, 1), (1, 1)], r"params\[1\] = 1 is fixed by its bounds"),
            ([(0, 1)] * 3, "bounds are given for 3 entries, there are 2"),
            (7, r"must be a sequence of \(low, high\)"),
        ],
    )
    def test_mistakes(self, bounds: Any, message: str) -> None:
        with pytest.raises(SubjectError, match=message):
            verify(loss=np.sum, grads=np.ones_like, params=np.array([0.5, 1.0]), bounds=bounds)


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"jac": lambda x: jacobian(x).T}, r"has shape \(3, 4\).*expected \(4, 3\): transpose"),
            ({"jac": lambda x: jacobian(x)[0]}, r"jac has shape \(3,\)"),
            ({"jac": lambda x: None}, "jac is None"),
            ({"jac": "2-point"}, "jac='2-point' is no derivative that could be checked"),
            ({"jac": True}, "jac=True: loss must return a pair"),
            ({"jvp": lambda x, v: v}, "jvp gives outputs of shape"),
            ({"hess": rosen_hess}, "hess= and hvp= need the gradient"),
            ({"jac": jacobian, "hess": rosen_hess}, "hess= and hvp= are compared with"),
            ({"loss": lambda x: "no", "jac": jacobian}, "a derivative needs numbers"),
            ({"loss": lambda x: [], "jac": jacobian}, "there is nothing to differentiate"),
        ],
    )
    def test_messages(self, words: dict[str, Any], message: str) -> None:
        with pytest.raises(SubjectError, match=message):
            verify(**{"loss": residuals, "params": x0, **words})

    @pytest.mark.parametrize("last", [3, 9, 20])
    def test_parameters_stand_as_before_whatever_is_raised(self, last: int) -> None:
        x, calls = np.array(X_ROSEN), []

        def grads(x: Any) -> Any:
            calls.append(1)
            if len(calls) == last:
                raise KeyboardInterrupt
            return rosen_der(x)

        with pytest.raises(KeyboardInterrupt):
            verify(loss=rosen, grads=grads, hess=rosen_hess, params=x)
        assert x.tolist() == X_ROSEN
