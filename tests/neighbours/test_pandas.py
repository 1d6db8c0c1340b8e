"""pandas: Series and DataFrames as arguments and beside traced values; labels are left behind."""

import numpy as np
import pytest

import archimedes_grad as arc

pd = pytest.importorskip("pandas")

X = pd.Series([1.0, 2.0, 3.0], index=list("abc"))
FRAME = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 4.0, -1.0]}, index=list("xyz"))


def test_a_series_as_argument_counts_by_its_values():
    gradient = arc.grad(lambda x: np.sum(x**2))(X)
    assert type(gradient) is np.ndarray
    np.testing.assert_array_equal(gradient, [2.0, 4.0, 6.0])


def test_a_frame_as_argument_is_a_matrix():
    np.testing.assert_array_equal(arc.grad(lambda A: np.sum(A**2))(FRAME), 2 * FRAME.to_numpy())
    value = arc.compile(lambda A, w: A @ w)(FRAME, np.array([1.0, -1.0]))
    np.testing.assert_array_equal(value, FRAME["a"] - FRAME["b"])


def test_the_order_of_labels_does_not_count():
    shuffled = X[["c", "a", "b"]]
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(x**2))(shuffled), [6.0, 2.0, 4.0])


def test_columns_by_name_are_a_dictionary():
    def loss(columns, slope):
        return np.sum((slope * columns["a"] - columns["b"]) ** 2)

    expected = np.sum(2 * FRAME["a"] * (2.0 * FRAME["a"] - FRAME["b"]))
    assert arc.grad(loss, argnums=1)(dict(FRAME), 2.0) == pytest.approx(expected)
    assert list(arc.grad(loss)(dict(FRAME), 2.0)) == ["a", "b"]


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "Float64"])
def test_numeric_dtypes_of_pandas(dtype):
    series = pd.Series([1, 2], dtype=dtype)
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(x**2))(series), 2.0 * series.to_numpy(dtype=float))


def test_missing_entries_are_nan():
    np.testing.assert_array_equal(arc.grad(lambda x: np.sum(x**2))(pd.Series([1.0, None])), [2.0, np.nan])


@pytest.mark.parametrize("entries", [["a", "b"], [True, False], [pd.Timestamp(0), pd.Timestamp(1)]], ids=repr)
def test_what_is_no_number_is_refused_by_name(entries):
    with pytest.raises(TypeError, match="argument 'x'"):
        arc.grad(lambda x: np.sum(x))(pd.Series(entries))


#: Functions of one traced argument with Series and frames that they close over.
BESIDE = {
    "times": (lambda w: np.sum((w * X) ** 2), 1.5),
    "times, from the left": (lambda w: np.sum((X * w) ** 2), 1.5),
    "minus": (lambda w: np.sum((X - w) ** 2), np.ones(3)),
    "divided": (lambda w: np.sum(X / w), np.ones(3)),
    "power": (lambda w: np.sum(X**w), np.ones(3)),
    "columns": (lambda w: np.mean((FRAME["a"] * w - FRAME["b"]) ** 2), 0.5),
    "frame": (lambda w: np.mean((FRAME * w) ** 2), np.ones(2)),
    "frame product": (lambda w: np.mean((FRAME @ w) ** 2), np.ones(2)),
    "frame dot": (lambda w: np.exp(FRAME.dot(w)).sum(), np.ones(2)),
    "frame on the right": (lambda w: np.mean((w @ FRAME) ** 2), np.ones(3)),
    "frame in a function": (lambda w: np.mean(np.dot(FRAME, w) ** 2), np.ones(2)),
    "values": (lambda w: np.mean((FRAME.to_numpy() @ w) ** 2), np.ones(2)),
    "ufunc": (lambda w: np.sum(np.exp(X) * w), np.ones(3)),
    "maximum": (lambda w: np.sum(np.maximum(X, w)), np.full(3, 1.5)),
    "mask": (lambda w: np.sum(w[X > 1.5] ** 2), np.ones(3)),
    "comparison": (lambda w: np.sum(np.where(w < X, w, 2 * w)), np.full(3, 1.5)),
    "joined": (lambda w: np.sum(np.concatenate([w, X]) ** 2), np.ones(3)),
    "entry": (lambda w: X["a"] * X.b * w, 1.5),
    "rows": (lambda w: sum((row.a * w - row.b) ** 2 for row in FRAME.itertuples()), 0.5),
}


@pytest.mark.parametrize("name", BESIDE)
def test_pandas_beside_traced_values(name):
    function, x = BESIDE[name]
    expected = arc.grad(function, method="complex" if name == "times" else "finite")(x)
    got = arc.grad(function)(x)
    assert type(got) is type(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "use", [lambda x: x["a"], lambda x: x.iloc[0], lambda x: x.to_numpy()[0], lambda x: x.loc["a"]]
)
def test_labels_are_missed_with_a_way_on(use):
    with pytest.raises((IndexError, AttributeError), match=r"without labels.*dict\(frame\)"):
        arc.grad(use)(X)


@pytest.mark.parametrize(
    "function",
    [
        lambda w: np.sum(FRAME.mul(w)), lambda w: np.sum(FRAME.add(w).to_numpy() ** 2),
        lambda w: FRAME.mul(w).sum().sum(), lambda w: np.sum(FRAME.mul(w).mean().values ** 2),
    ],
)  # fmt: skip
def test_frames_that_methods_of_pandas_make_of_traced_values_hold_these(function):
    w = np.array([0.5, 2.0])
    np.testing.assert_allclose(arc.compile(function)(w), function(w), rtol=1e-14)
    np.testing.assert_allclose(arc.grad(function)(w), arc.grad(function, method="adaptive")(w), rtol=1e-8)


def test_frames_that_copy_entries_are_refused():
    with pytest.raises(arc.TraceError, match=r"plain float"):
        arc.grad(lambda w: pd.DataFrame({"a": w}).sum().iloc[0])(np.ones(2))


def test_days_are_counted_within_a_traced_function():
    def weighted(x):
        return np.sum(x * pd.date_range("2020-01-01", periods=3, freq="D").day_of_year.to_numpy())

    np.testing.assert_array_equal(arc.grad(weighted)(np.ones(3)), [1.0, 2.0, 3.0])
