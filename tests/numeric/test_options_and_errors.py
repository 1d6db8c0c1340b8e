"""Bad input: refused at once, with what would have been right."""

import numpy as np
import pytest

from archimedes_grad.numeric import OPTIONS, derivative, gradient, hessian, hyper_hessian, jacobian, validate_options


@pytest.mark.parametrize(
    ("method", "options", "valid"),
    [
        ("newton", {}, "finite, adaptive, complex"),
        ("finite", {"step": 1e-3}, "stepsize, num_points, extrapolation, levels"),
        ("finite", {"n_points": 5}, "stepsize"),
        ("adaptive", {"stepsize": 1e-3}, "n_points, spacing, base_abs, domain, grid, ridge"),
        ("complex", {"num_points": 5}, "stepsize"),
        ("finite", {"stepsize": 0}, "positive"),
        ("finite", {"stepsize": -1e-3}, "positive"),
        ("finite", {"stepsize": np.nan}, "positive"),
        ("finite", {"stepsize": np.inf}, "finite"),
        ("finite", {"stepsize": "small"}, "number"),
        ("complex", {"stepsize": 0.0}, "positive"),
        ("finite", {"num_points": 4}, r"\(3, 5, 7, 9\)"),
        ("finite", {"extrapolation": "romberg"}, "'richardson', 'ridders', 'gauss-richardson', 'gre'"),
        ("finite", {"extrapolation": "ridders", "levels": 1}, "from 2 to"),
        ("finite", {"extrapolation": "ridders", "levels": 2.5}, "integer"),
        ("finite", {"levels": 3}, "extrapolation"),
        ("finite", {"return_error": "yes"}, "True or False"),
        ("adaptive", {"n_points": 31}, "from 3 to 30"),
        ("adaptive", {"n_points": 2}, "from 3 to 30"),
        ("adaptive", {"spacing": "wide"}, "'auto', a positive number or a percentage"),
        ("adaptive", {"spacing": "-2%"}, "percentage"),
        ("adaptive", {"spacing": 0.0}, "positive"),
        ("adaptive", {"base_abs": -1.0}, "positive"),
        ("adaptive", {"ridge": -1.0}, "non-negative"),
        ("adaptive", {"domain": (2.0, 1.0)}, "lower below upper"),
        ("adaptive", {"domain": 3.0}, "pair"),
        ("adaptive", {"domain": ("a", "b")}, "number"),
        ("adaptive", {"grid": [1.0, 2.0]}, "'offsets'"),
        ("adaptive", {"grid": ("relative", [1.0, 2.0])}, "'absolute'"),
        ("adaptive", {"grid": ("offsets", [1.0])}, "at least two"),
        ("adaptive", {"grid": ("offsets", [0.1, 0.1])}, "different"),
        ("adaptive", {"grid": ("offsets", [0.1, np.inf])}, "finite"),
    ],
)
def test_wrong_options_name_the_valid_ones(method, options, valid):
    with pytest.raises(ValueError, match=valid):
        validate_options(method, options)
    with pytest.raises(ValueError, match=valid):
        gradient(lambda p: p[0], [1.0], method=method, **options)


@pytest.mark.parametrize("order", [0, 5, 1.5, True, "2"])
def test_orders(order):
    with pytest.raises(ValueError, match="1, 2, 3 or 4"):
        derivative(np.sin, 1.0, order=order)


def test_too_small_a_stencil_for_the_order():
    with pytest.raises(ValueError, match="at least 5"):
        derivative(np.sin, 1.0, method="finite", order=3, num_points=3)


def test_a_grid_or_a_point_outside_the_domain():
    with pytest.raises(ValueError, match="leaves the domain"):
        derivative(np.sin, 1.0, grid=("offsets", [-0.5, 0.5]), domain=(0.9, 2.0))
    with pytest.raises(ValueError, match="outside the domain"):
        derivative(np.sin, 3.0, domain=(0.9, 2.0))


def test_too_few_nodes():
    with pytest.raises(ValueError, match="at least 3 nodes"):
        derivative(np.sin, 1.0, order=2, grid=("offsets", [-0.1, 0.1]))


def test_defaults_are_the_documented_ones():
    assert OPTIONS["finite"]["stepsize"] == 1e-2
    assert OPTIONS["finite"]["num_points"] == 5
    assert OPTIONS["finite"]["levels"] is OPTIONS["finite"]["extrapolation"] is None


@pytest.mark.parametrize(
    ("x0", "exception", "message"),
    [
        ([], ValueError, "empty"),
        ([[1.0, 2.0]], ValueError, r"shape \(1, 2\)"),
        ([1.0, np.nan], ValueError, "entry 1"),
        ([1j], TypeError, "complex"),
        (["a"], TypeError, "real numbers"),
        ([True], TypeError, "bool"),
    ],
)
def test_wrong_points(x0, exception, message):
    with pytest.raises(exception, match=message):
        gradient(lambda p: p[0], x0)


@pytest.mark.parametrize("method", ["finite", "adaptive", "complex"])
@pytest.mark.parametrize(
    ("driver", "function", "message"),
    [
        (gradient, lambda p: p, "scalar"),
        (gradient, lambda p: p[:1], r"shape \(1,\)"),
        (jacobian, lambda p: p[0], "a scalar"),
        (jacobian, lambda p: np.outer(p, p), r"shape \(2, 2\)"),
        (gradient, lambda p: p[0] + 1j, "complex"),
        (hessian, lambda p: p[0] * 1j, "complex"),
        (gradient, lambda p: "text", "dtype"),
        (gradient, lambda p: None, "NoneType"),
    ],
)
def test_wrong_outputs(driver, function, message, method):
    with pytest.raises(TypeError, match=message):
        driver(function, [1.0, 2.0], method=method)


def test_an_output_that_changes_its_shape():
    def function(p):
        return p if p[0] == 1.0 else p[:1]

    with pytest.raises(TypeError, match="shape"):
        jacobian(function, [1.0, 2.0])


def test_a_vectorized_function_that_is_none():
    with pytest.raises(TypeError, match="first"):
        gradient(lambda points: float(points.sum()), [1.0, 2.0], vectorized=True)


@pytest.mark.parametrize("method", ["finite", "adaptive"])
def test_a_function_that_is_not_finite_at_the_point(method):
    with pytest.raises(FloatingPointError, match="parameter 0"):
        gradient(lambda p: p[0] * np.nan, [1.0, 2.0], method=method).checked()


def test_complex_tensors_are_of_scalar_functions():
    with pytest.raises(TypeError, match="scalar functions"):
        hyper_hessian(lambda p: p, [1.0, 2.0], method="complex")
