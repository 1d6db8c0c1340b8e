"""Hypothesis strategies: shapes, pairs that broadcast, indexings."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

#: Shapes of no to three axes, with axes of length 1 now and then.
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)

#: The same with axes of length 0.
shapes_with_nothing = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)


@st.composite
def broadcastable(draw, count=2):
    """Shapes that broadcast against each other."""
    return draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, max_side=3)).input_shapes


def arrays(shape):
    """Arrays of moderate numbers, a few of them equal."""
    return hnp.arrays(np.float64, shape, elements=st.integers(-8, 8).map(lambda n: n / 4))


@st.composite
def basic_index(draw, shape):
    """An int, slice, ellipsis, newaxis or tuple of these that fits a shape, steps of either sign."""
    return draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))


@st.composite
def advanced_index(draw, shape):
    """Integer arrays for some axes, slices for others; or a boolean mask."""
    kind = draw(st.sampled_from(["arrays", "mask", "mask of an axis", "mixed"]))
    if not shape or 0 in shape or kind == "mask":
        return draw(hnp.arrays(bool, shape))
    if kind == "mask of an axis":
        return draw(hnp.arrays(bool, shape[:1]))
    if kind == "arrays":
        return draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)))
    axis = draw(st.integers(0, len(shape) - 1))
    picked = draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), min_size=0, max_size=4))
    return (slice(None),) * axis + (picked if picked else np.zeros(0, int),)


def any_index(shape):
    """A basic or an advanced index that fits a shape."""
    return st.one_of(basic_index(shape), advanced_index(shape))
