"""Hypothesis: its arrays, of any layout and size of number, as arguments."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import archimedes_grad as arc

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)
gradient = arc.grad(lambda x: np.sum(np.sin(x) * x))


@settings(max_examples=40)
@given(
    x=arrays.arrays(np.float64, SHAPES, elements=NUMBERS), layout=st.sampled_from("CF"), step=st.sampled_from([1, -1])
)
def test_gradients_of_its_arrays(x, layout, step):
    given_as = np.array(x, order=layout)[..., ::step] if x.ndim else x
    np.testing.assert_allclose(
        gradient(given_as), np.cos(given_as) * given_as + np.sin(given_as), rtol=1e-12, atol=1e-12
    )


@settings(max_examples=40)
@given(x=arrays.arrays(arrays.integer_dtypes() | arrays.floating_dtypes(sizes=(32, 64), endianness="="), 3, elements={
    "min_value": 0, "max_value": 100
}))  # fmt: skip
def test_numbers_of_every_real_dtype(x):
    np.testing.assert_allclose(arc.grad(lambda x: np.sum(x**2))(x), 2.0 * x.astype(float), rtol=1e-6)
