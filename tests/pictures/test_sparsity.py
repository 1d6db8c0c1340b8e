"""The structure of sparse derivatives: text, notebook, matplotlib."""

import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

import archimedes_grad as arc
from archimedes_grad.pictures.sparsity import SparsityPattern

mpl.use("Agg")


def chain(x):
    return np.diff(x) ** 2


def pattern_of(shape, entries):
    rows, columns = np.array(sorted(entries, key=lambda entry: entry[::-1]), dtype=np.int32).reshape(-1, 2).T
    return SparsityPattern("f", shape, rows, columns)


def test_the_pattern_is_that_of_the_derivative():
    x = np.linspace(1.0, 2.0, 7)
    jacobian, hessian = arc.jac(chain, sparse=True), arc.hess(lambda x: np.sum(chain(x) ** 2), sparse=True)
    for derivative in (jacobian, hessian):
        pattern = derivative.sparsity(x)
        np.testing.assert_array_equal(pattern.toarray(), derivative(x).toarray() != 0)
        assert pattern.nnz == derivative(x).nnz
        assert pattern.shape == derivative(x).shape


def test_with_auxiliary_output():
    derivative = arc.jac(lambda x: (chain(x), np.sum(x)), sparse=True, has_aux=True)
    assert derivative.sparsity(np.ones(5)).nnz == 8


@pytest.mark.parametrize("derivative", [arc.jac(chain), arc.grad(lambda x: np.sum(chain(x))), arc.compile(chain)])
def test_what_has_no_structure_says_what_has(derivative):
    with pytest.raises(TypeError, match=r"sparsity: .*arc\.jac\(f, sparse=True\)"):
        derivative.sparsity(np.ones(4))


def test_it_prints_as_dots_and_stars():
    lines = str(arc.jac(chain, sparse=True).sparsity(np.ones(4))).splitlines()
    assert lines == ["jac_chain: 3 × 4, 6 stored (50.00%)", "**..", ".**.", "..**"]


def test_large_patterns_are_shown_in_blocks():
    pattern = arc.jac(chain, sparse=True).sparsity(np.ones(100_000))
    first, *lines = str(pattern).splitlines()
    assert first.endswith("; a cell is a block of about 1,667 × 1,667")
    assert len(lines) == len(lines[0]) == 60
    for k, line in enumerate(lines):
        assert line[k] == "*"
        assert line.count("*") <= 3  # where the ends of blocks of rows and columns do not meet


@settings(max_examples=30)
@given(data=st.data(), height=st.integers(1, 130), width=st.integers(1, 130))
def test_every_stored_entry_is_in_its_cell_and_no_other(data, height, width):
    entries = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    pattern = pattern_of((height, width), data.draw(st.sets(entries, max_size=20)))
    _, *lines = str(pattern).splitlines()
    rows, columns = len(lines), len(lines[0])
    assert (rows, columns) == (min(height, 60), min(width, 60))
    marked = {(i, j) for i, line in enumerate(lines) for j, mark in enumerate(line) if mark == "*"}
    assert marked == {(i * rows // height, j * columns // width) for i, j in np.argwhere(pattern.toarray())}


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty_patterns(shape):
    pattern = pattern_of(shape, set())
    assert str(pattern) == f"f: {shape[0]} × {shape[1]}, 0 stored (0.00%)"
    ElementTree.fromstring(pattern._repr_html_())
    pattern.plot(Figure().subplots())


def test_a_notebook_shows_a_picture():
    shown = arc.jac(chain, sparse=True).sparsity(np.ones(4))._repr_html_()
    page = ElementTree.fromstring(shown)
    assert page.find("summary").text == "jac_chain: 3 × 4, 6 stored (50.00%)"
    (path,) = page.iter("{http://www.w3.org/2000/svg}path")
    assert path.get("d").count("M") == 6


@pytest.mark.parametrize("n", [4, 2000])
def test_matplotlib_draws_it(n):
    pattern = arc.jac(chain, sparse=True).sparsity(np.ones(n))
    axes = Figure().subplots()
    assert pattern.plot(axes) is axes
    assert axes.get_title() == str(pattern).splitlines()[0].partition(";")[0]
    (image,) = axes.images
    dark = image.get_array() > 0
    if n == 4:
        np.testing.assert_array_equal(dark, pattern.toarray())
        assert image.get_extent() == [-0.5, 3.5, 2.5, -0.5]
    else:
        assert dark.shape == (300, 300)
        assert np.all(np.diag(dark))
        assert dark.sum() < 600


def test_matplotlib_makes_a_figure_where_none_is_given():
    from matplotlib import pyplot

    axes = arc.jac(chain, sparse=True).sparsity(np.ones(4)).plot()
    try:
        assert axes.figure.number in pyplot.get_fignums()
    finally:
        pyplot.close(axes.figure)


@pytest.mark.parametrize("shape", [(20_000, 12), (12, 20_000), (300, 1), (3, 0)])
def test_long_patterns_are_no_line(shape):
    pattern = pattern_of(shape, {(i % shape[0], i % shape[1]) for i in range(100)} if 0 not in shape else set())
    axes = Figure(figsize=(6, 6)).subplots()
    pattern.plot(axes)
    axes.figure.draw_without_rendering()
    drawn = axes.get_window_extent()
    (picture,) = ElementTree.fromstring(pattern._repr_html_()).iter("{http://www.w3.org/2000/svg}svg")
    for width, height in ((drawn.width, drawn.height), (float(picture.get("width")), float(picture.get("height")))):
        assert 1 / 3.1 < height / width < 3.1


def test_patterns_of_ordinary_shape_have_square_entries():
    axes = pattern_of((7, 4), {(0, 0), (6, 3)}).plot(Figure().subplots())
    assert axes.get_aspect() == 1.0
