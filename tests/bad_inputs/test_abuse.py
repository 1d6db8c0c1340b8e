"""Uses that are no error of one argument: recursion, calls of itself, changes behind the library's back."""

import numpy as np
import pytest
from rows import X, f

import archimedes_grad as arc


def factorial(n, x):
    return x if n == 0 else x * factorial(n - 1, x)


def test_recursion_that_ends_is_traced():
    assert float(arc.grad(lambda x: factorial(4, x))(2.0)) == 5 * 2.0**4


def test_recursion_on_a_traced_number_is_traced():
    def halvings(x):
        return x if x < 1 else 1 + halvings(x / 2)

    assert float(arc.grad(halvings)(20.0)) == 1 / 32


@pytest.mark.parametrize("transform", [arc.compile, arc.grad], ids=lambda t: t.__name__)
def test_recursion_without_end_is_pythons_own_error(transform):
    def endless(x):
        return endless(x)

    with pytest.raises(RecursionError):
        transform(endless)(1.0)
    assert float(arc.grad(np.sin)(0.0)) == 1.0


@pytest.mark.parametrize("transform", [arc.compile, arc.grad], ids=lambda t: t.__name__)
def test_a_function_that_calls_its_own_compiled_version_without_end(transform):
    def endless(x):
        return compiled(x)

    compiled = transform(endless)
    with pytest.raises(RecursionError):
        compiled(1.0)
    assert float(arc.grad(np.sin)(0.0)) == 1.0


def test_a_function_that_calls_its_own_compiled_version():
    @arc.compile
    def power(n, x):
        return x if n <= 0 else x * power(n - 1, x)

    assert float(power(3, 2.0)) == 16.0


def test_a_function_that_writes_to_its_arguments():
    def doubled(x):
        x *= 2
        return np.sum(x)

    given = X.copy()
    for _ in range(2):
        np.testing.assert_array_equal(arc.grad(doubled)(given), [2.0, 2.0, 2.0])
        assert float(arc.compile(doubled)(given)) == 12.0
    np.testing.assert_array_equal(given, X)


def test_results_are_the_callers_own():
    gradient = arc.value_and_grad(f)
    _, first = gradient(X)
    kept = first.copy()
    _, second = gradient(2 * X)
    np.testing.assert_array_equal(first, kept)
    second[:] = 0.0
    gradient.clear_cache()
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(gradient(X)[1], kept)


def test_a_constant_result_is_the_callers_own():
    constant = np.ones(2)
    compiled = arc.compile(lambda x: (x, constant))
    compiled(1.0)[1][:] = 5.0
    np.testing.assert_array_equal(compiled(1.0)[1], [1.0, 1.0])
    np.testing.assert_array_equal(constant, [1.0, 1.0])


def test_clear_cache_within_the_function():
    @arc.grad
    def forgets(x):
        forgets.clear_cache()
        return np.sum(x**2)

    for _ in range(3):
        np.testing.assert_array_equal(forgets(X), 2 * X)


def test_a_function_that_returns_nothing_is_compiled_to_one():
    calls = []
    compiled = arc.compile(lambda x: calls.append(1))
    assert compiled(X) is None
    assert compiled(X) is None
    assert arc.vmap(lambda x: None)(X) is None
    assert len(calls) == 1


def test_a_function_that_catches_everything_leaves_a_clean_state():
    def careless(x):
        for wrong in (float, hash, "{:.2f}".format):
            try:
                wrong(x)
            except Exception:  # as users do
                continue
        return x**2

    assert float(arc.grad(careless)(3.0)) == 6.0


def test_a_traced_value_that_was_kept_shows_what_it_was():
    kept = []
    arc.grad(lambda x: kept.append(x) or np.sum(x))(X)
    assert "value=array([1., 2., 3.])" in repr(kept[0])
    assert f"{kept[0]}" == repr(kept[0])


def test_a_vmap_of_nothing_but_constants_in_a_tree():
    assert arc.vmap(lambda x: {"label": "a", "none": None})(X) == {"label": "a", "none": None}


def test_static_methods_and_classes_with_numbers_in_them():
    class Holder:
        @staticmethod
        def squared(x):
            return np.sum(x**2)

    np.testing.assert_array_equal(arc.grad(Holder.squared)(X), 2 * X)
    np.testing.assert_array_equal(arc.grad(staticmethod(f))(X), 2 * X)
