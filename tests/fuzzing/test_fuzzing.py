"""A short run of the fuzzer, the same each time; and that it finds what is wrong."""

import casadi as cs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import archimedes_grad as arc
from archimedes_grad.arrays.dispatch import ELEMENTWISE, FUNCTIONS

from .campaign import failure, made_small, ways_of
from .case import Counts, Refused, called
from .oracle import check
from .plain_transforms import reference
from .programs import programs, random_program
from .reference import ERRORS, LONG, Unsure, differences
from .truth import require_value, truth
from .ways import WAYS

N_RANDOM = 80

pytestmark = pytest.mark.filterwarnings("ignore")  # NumPy's, of programs at points that they were not built for


@settings(max_examples=30)
@given(programs(), st.sampled_from(sorted(WAYS)))
def test_drawn_programs(program, way):
    try:
        what = failure(program, [way], ["vm"])
    except (Unsure, Refused):
        return
    assert what is None, f"{what}\n\n{program.regression_test('finding')}"


def test_numbered_programs():
    counts, unsure, refused = Counts(), 0, 0
    for seed in range(N_RANDOM):
        program, ways = random_program(seed), ways_of(seed)
        try:
            what = failure(program, ways, ["vm"], counts)
        except Unsure:
            unsure += 1
        except Refused:
            refused += 1
        else:
            assert what is None, f"{what}\n\n{program.regression_test(f'finding_{seed}')}"
    assert unsure + refused <= 0.05 * N_RANDOM
    assert counts.unsure <= 0.1 * counts.points
    assert counts.borders <= 0.25 * counts.points
    assert counts.first >= counts.points - counts.borders


def test_programs_are_the_same_for_the_same_seed_and_differ_between_seeds():
    sources = [random_program(seed).source() for seed in range(60)]
    assert sources == [random_program(seed).source() for seed in range(60)]
    assert len(set(sources)) >= 55


def _first_finding(seeds=range(200)):
    for seed in seeds:
        program, ways = random_program(seed), ways_of(seed)
        try:
            if failure(program, ways, ["vm"]) is not None:
                return program, ways
        except (Unsure, Refused):
            continue
    raise AssertionError("nothing was found")


@pytest.mark.parametrize("fault", ["value", "slope", "branch"])
def test_a_wrong_rule_is_found_and_made_small(monkeypatch, fault):
    right = ELEMENTWISE[np.sin]
    wrong = {
        "value": lambda x: right(x) + 1e-9,
        # The value is right to the last digits, the slope is not.
        "slope": lambda x: right(x) + 1e-14 * cs.sin(1e7 * x),
        "branch": lambda x: cs.if_else(x > 0.4, right(x), right(x) * (1 + 1e-8)),
    }[fault]
    monkeypatch.setitem(ELEMENTWISE, np.sin, wrong)
    program, ways = _first_finding()
    smaller = made_small(program, ways, ["vm"])
    assert failure(smaller, ways, ["vm"]) is not None
    assert "np.sin" in smaller.source()
    assert len(smaller.source().splitlines()) <= 7
    monkeypatch.setitem(ELEMENTWISE, np.sin, right)
    assert failure(smaller, ways, ["vm"]) is None


def test_a_lost_write_is_found(monkeypatch):
    import operator

    monkeypatch.setitem(FUNCTIONS, operator.setitem, lambda array, key, new: None)
    program, _ = _first_finding()
    assert "[" in program.source() or "out=" in program.source()


def test_differences_are_exact_to_many_digits_and_know_where_they_are_not():
    (smooth,) = differences(lambda s: [np.sin(LONG(0.7) + s)])
    assert abs(smooth.first - np.cos(LONG(0.7))) < 1e-15
    assert abs(smooth.second + np.sin(LONG(0.7))) < 1e-11
    assert smooth.first_is_sure
    assert smooth.second_is_sure
    for kinked in (np.abs, np.floor, np.sign, lambda s: np.maximum(s, 2 * s), lambda s: np.sqrt(np.abs(s))):
        (result,) = differences(lambda s, f=kinked: [f(s)])
        assert not result.first_is_sure
    (near,) = differences(lambda s: [np.abs(s + LONG(0.005))])
    assert not near.first_is_sure


def test_the_reference_of_linear_algebra_keeps_extended_precision():
    def program(a, b):
        return (
            np.linalg.solve(a, b), np.linalg.inv(a), np.linalg.det(a), np.linalg.slogdet(a)[1],
            np.linalg.cholesky(a @ a.T), np.linalg.eigvalsh(a + a.T),
        )  # fmt: skip

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 3)), rng.normal(size=3)
    exact = reference(program)(a.astype(LONG), b.astype(LONG))
    for got, expected in zip(exact, program(a, b), strict=True):
        assert np.asarray(got).dtype == LONG
        np.testing.assert_allclose(np.asarray(got, float), expected, rtol=1e-12)
    assert np.max(np.abs(a.astype(LONG) @ exact[0] - b)) < 1e-17


@pytest.mark.parametrize("shapes", [
    ((3, 3), (3,)), ((2, 3, 3), (3,)), ((2, 3, 3), (3, 4)), ((3, 3), (2, 3, 4)), ((5, 1, 3, 3), (2, 3, 1)),
])  # fmt: skip
def test_the_reference_solves_in_stacks(shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape) for shape in shapes)
    exact = reference(lambda a, b: np.linalg.solve(a, b))(a.astype(LONG), b.astype(LONG))
    np.testing.assert_allclose(exact.astype(float), np.linalg.solve(a, b), rtol=1e-10)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_reference_of_kv_is_that_of_mpmath(order):
    import mpmath

    at = np.array([0.05, 0.3, 1.0, 1.7, 9.0, 50.0])
    exact = reference(lambda x: special.kv(order, x) if order else special.k0(x))(at.astype(LONG))
    with mpmath.workprec(120):
        for got, x in zip(exact, at, strict=True):
            head = float(got)
            got = mpmath.mpf(head) + mpmath.mpf(float(got - LONG(head)))
            assert abs(got / mpmath.besselk(order, float(x)) - 1) < 1e-18


def test_what_the_library_refuses_is_no_finding():
    def program(x):
        return np.spacing(x)

    with pytest.raises(Refused):
        check(program, [[np.arange(3.0)]], [])


def test_a_decision_within_rounding_is_no_finding_and_a_wrong_value_is_one():
    x = np.array([1.1733, -1.8967, -0.0357, -1.4357, -0.8837])
    # The absolute values of the coefficients k and n - k are equal, but for rounding.
    orders = lambda x: np.argsort(np.abs(np.fft.fft(x)))
    point = truth(orders, [x])
    largest = int(np.argmax(np.abs(np.fft.fft(x))[:3]))
    swapped = np.where(orders(x) == largest, 5 - largest, np.where(orders(x) == 5 - largest, largest, orders(x)))
    with pytest.raises(Unsure):
        require_value(swapped, point, "swapped")
    with pytest.raises(AssertionError):
        require_value(np.roll(orders(x), 1), point, "rolled")
    tied = lambda x: np.argpartition(np.digitize(x, [0.0]), 0)
    point = truth(tied, [x])
    with pytest.raises(Unsure):
        require_value(tied(x)[[1, 0, 2, 3, 4]], point, "another of those that are tied")
    with pytest.raises(AssertionError):
        require_value(np.array([0, 1, 2, 3, 4]), point, "one that is larger")
    at_border = np.array([0.5, 0.5, -1.0, 0.0, 2.0])
    for exact in (lambda x: x > 0.5, lambda x: np.argsort(x, kind="stable"), lambda x: 0.5 * x >= 0.25):
        point, value = truth(exact, [at_border]), exact(at_border)
        with pytest.raises(AssertionError):
            require_value(~value if value.dtype.kind == "b" else value + 1, point, "another")


def test_a_factorisation_that_no_output_reads_need_not_raise_and_one_that_is_read_must():
    coefficients, no_polynomial = np.array([1.0, -3.0, 1.0]), np.array([1.0, np.nan, 1.0])

    def unread(x):
        np.cumsum(np.linalg.inv(np.diag(np.tile(x, 2))))
        return x * 2

    singular = np.array([1.0, 0.0, 1.0])
    assert truth(unread, [singular]).error_is_unread
    with pytest.raises(Unsure):
        check(unread, [[coefficients], [singular]], [])
    for read in (
        lambda x: np.roots(x), lambda x: x[:2] + 0 * np.roots(x), lambda x: x if np.roots(x)[0] > 5 else 2 * x,
        lambda x: np.linalg.inv(np.outer(x, [0, 0, 0])), lambda x: np.linalg.slogdet(np.linalg.inv(0 * np.eye(3)))[1],
    ):  # fmt: skip
        point = truth(read, [no_polynomial if "roots" in read.__code__.co_names else coefficients])
        assert point.error is np.linalg.LinAlgError
        assert not point.error_is_unread


def test_a_matrix_that_is_singular_but_for_rounding_may_raise_and_a_regular_one_may_not():
    def failing(x):
        raise np.linalg.LinAlgError("Singular matrix")

    x = np.array([1.5793, -1.8897, 0.6063])
    with pytest.raises(Unsure):
        called(failing, truth(lambda x: np.linalg.solve(np.outer(x, x), x), [x]))
    with pytest.raises(AssertionError):
        called(failing, truth(lambda x: np.linalg.solve(np.outer(x, x) + np.eye(3), x), [x]))


def test_a_branch_by_rounding_may_have_another_dtype():
    def program(x):
        x -= np.mean(x)
        return special.eval_chebyt(5, x) if 0 < np.sum(x) < 1 else np.logaddexp(x, 1.5)

    at = np.array([[[0.8693, -1.7487]], [[1.0633, -1.6257]]], np.float32)
    point = truth(lambda x: program(x), [at]).undifferentiated
    with pytest.raises(Unsure):
        require_value(point.expected[0].astype(np.float32), point, "by rounding")
    exact = truth(lambda x: x + 1, [at]).undifferentiated
    with pytest.raises(AssertionError, match="dtype float64 in place of float32"):
        require_value(exact.expected[0].astype(float), exact, "wrong")


def test_a_point_beside_which_the_program_raises_is_unsure():
    def raising(error):
        raise error

    for error in ERRORS:
        (result,) = differences(lambda s, error=error: [raising(error) if 0 < s < 1 else s])
        assert not result.first_is_sure


def test_a_kink_that_looks_smooth_is_at_a_border():
    # The second derivative is 2; with the slope 0 of the absolute value it is 0.
    square = lambda x: np.abs((x - 0.5) ** 2)
    assert truth(square, [np.array([0.5, 0.3])]).is_at_a_border
    assert truth(square, [np.array([0.4, 0.3])]).sure
    check(square, [[np.array([0.5, 0.3])], [np.array([0.4, 0.3])]], ("jvp of grad", "hvp"))


def test_an_equality_that_holds_at_a_point_alone_is_unsure():
    def program(x):
        def tripled(t):
            return np.mean(t) * (3 if np.mean(t) == t[1] else 1)

        return arc.grad(tripled)(x * 0.0), arc.grad(lambda t: np.sum(t * t))(x * 0.0)

    with pytest.raises(Unsure):
        truth(program, [np.array([0.3, 0.7])])
    for kept in (lambda x: arc.grad(lambda t: np.sum(t * (t == t)))(x), lambda x: arc.grad(np.sum)(x * 0.0)):
        assert truth(kept, [np.array([0.3, 0.7])]).sure


def test_rounding_errors_go_on_behind_functions_that_give_plain_arrays():
    def program(x):
        c = np.outer(x + 1j, x + 1j)
        assert np.all(np.outer(x, [0.0, 1.0])[:, 0] == 0)
        assert arc.jac(lambda t: np.sin(t))(x)[0, 1] == 0
        slope = arc.jac(lambda t: np.sin(t))(x)[0, 0]
        return np.imag(np.sum(np.stack([c, np.conj(c)]))) == 0, np.kron(x, x)[0] == x[0] * x[0], slope == np.cos(x[0])

    point = truth(program, [np.array([0.2003, 0.7933, -1.0177])])
    for k in (0, 1, 2):
        wrong = [np.bool_(value != (place == k)) for place, value in enumerate(point.expected)]
        with pytest.raises(Unsure):
            require_value(tuple(wrong), point, "by rounding")
