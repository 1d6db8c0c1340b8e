"""Random generators of NumPy that put traced arrays in a random order: entries move as NumPy moves them."""

import numpy as np
import numpy.random
import pytest
from helpers import check, check_value

import archimedes_grad as arc

SOURCES = {"Generator": np.random.default_rng, "RandomState": np.random.RandomState}
FORMS = {
    "a copy": lambda x: x.copy(), "another": lambda x: x * 2, "transposed": lambda x: (x + 1).T,
    "a view": lambda x: (x * 2)[::-1], "integers": lambda x: (9 * x).astype(int),
}  # fmt: skip


@pytest.mark.parametrize("method", ["shuffle", "permutation"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(7,), (1, 3), (6, 2), (5, 2, 3)])
def test_random_orders(shape, form, source, method):
    def ordered(x):
        array = FORMS[form](x)
        result = getattr(SOURCES[source](3), method)(array)
        return array if result is None else result

    check_value(ordered, np.random.default_rng(0).normal(size=shape))


def test_the_gradient_goes_where_the_rows_went():
    def shuffled(x):
        rows = x**2
        np.random.default_rng(3).shuffle(rows)
        return np.cumsum(rows, axis=0)

    check(shuffled, np.arange(8.0).reshape(4, 2) + 0.5)


def test_rows_that_python_swaps_are_views_as_in_numpy():
    def swapped(x):
        rows = x.copy()
        rows[0], rows[1] = rows[1], rows[0]
        first = rows[len(rows) - 1]
        first[0] = 7.0
        return rows

    check_value(swapped, np.arange(6.0).reshape(3, 2))


def test_numpys_warning_stays_for_what_is_its_own():
    class Deck:
        def __init__(self):
            self.cards = list(range(5))

        def __len__(self):
            return 5

        def __getitem__(self, place):
            return self.cards[place]

        def __setitem__(self, place, card):
            self.cards[place] = card

    def function(x):
        np.random.default_rng(0).shuffle(x.copy())
        with pytest.warns(UserWarning, match="shuffling a 'Deck'") as caught:
            np.random.default_rng(0).shuffle(Deck())
        assert caught[0].filename == __file__
        return x

    arc.compile(function)(np.arange(4.0))
    with pytest.warns(UserWarning, match="shuffling a 'Deck'"):
        np.random.default_rng(0).shuffle(Deck())


@pytest.mark.parametrize("call", [
    lambda rng, x: rng.shuffle(x, axis=1), lambda rng, x: rng.permuted(x), lambda rng, x: rng.permuted(x, axis=1),
])  # fmt: skip
def test_orders_that_are_refused_name_the_line_and_the_way_on(call):
    with pytest.raises(arc.TraceError, match=r"(?s)random generator.*test_random_order.*A\[rng.permutation\(len"):
        arc.compile(lambda x: call(np.random.default_rng(0), x.copy()))(np.ones((3, 2)))


def test_a_list_that_is_shuffled_along_an_axis_is_numpys_error():
    with pytest.raises(NotImplementedError, match="Axis argument"):
        arc.compile(lambda x: np.random.default_rng(0).shuffle([x, x], axis=1))(1.0)
