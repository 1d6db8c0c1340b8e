"""Pictures of graphs: what they show, how large ones are folded, graphviz and the built-in layout."""

import re
import shutil
import stat
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archimedes_grad as arc
from archimedes_grad.pictures.drawing import Arrow, Box, Picture
from archimedes_grad.pictures.layouts import plain_svg

SVG = "{http://www.w3.org/2000/svg}"


def product_of_squares(x):
    return np.sum(x[:2] ** 2) * x[2]


def rosenbrock(x):
    return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))


def loss(params, X, y):
    return np.mean((np.tanh(X @ params["w"]) + params["b"] - y) ** 2)


CAPTURED = np.linspace(-1.0, 1.0, 120).reshape(40, 3)

#: What is drawn: a graph of numbers, of arrays, with captured arrays, with guards, with a factorisation, without
#: anything in it, and one that has to be folded.
GRAPHS = {
    "numbers": lambda: arc.grad(product_of_squares).graph(np.ones(3)),
    "arrays": lambda: arc.value_and_grad(loss).graph({"w": np.ones(30), "b": 0.0}, np.ones((40, 30)), np.ones(40)),
    "captured": lambda: arc.grad(lambda w: np.sum(np.exp(CAPTURED @ w))).graph(np.ones(3)),
    "guards": lambda: arc.grad(lambda x: np.sin(x) if x > 0 else -x).graph(1.0),
    "factorisation": lambda: arc.grad(lambda A: np.linalg.slogdet(A)[1]).graph(np.eye(10)),
    "empty": lambda: arc.compile(lambda x: 3.0).graph(1.0),
    "folded": lambda: arc.grad(rosenbrock).graph(np.ones(300)),
}


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture
def without_graphviz(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def stand_in_for_dot(monkeypatch, tmp_path):
    """A program ``dot`` that gives an SVG with its input in it, or fails where that says so."""
    dot = tmp_path / "dot"
    dot.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "source = sys.stdin.read()\n"
        "assert sys.argv[1:] == ['-Tsvg']\n"
        "if 'unlucky' in source: sys.exit('cannot draw this')\n"
        "print('<?xml version=\"1.0\"?>\\n<svg xmlns=\"http://www.w3.org/2000/svg\"><!--', source, '--></svg>')\n"
    )
    dot.chmod(dot.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))


# --- the file -----------------------------------------------------------------------------------------


def test_draw_writes_an_svg_file(tmp_path, without_graphviz):
    graph = arc.grad(product_of_squares).graph(np.ones(3))
    svg = graph.draw(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == svg
    shown = texts(svg)
    assert {"x[0]", "x[1]", "x[2]", "out0[0]", "out0[1]", "out0[2]", "×", "2 ×", "+"} <= set(shown)
    assert shown.count("+") == graph.counts["add"]
    assert shown.count("×") == graph.counts["mul"]


def test_draw_writes_graphviz_source(tmp_path):
    source = arc.grad(product_of_squares).graph(np.ones(3)).draw(str(tmp_path / "graph.dot"))
    assert (tmp_path / "graph.dot").read_text(encoding="utf-8") == source
    assert source.startswith("digraph {")
    assert '[label="x[0]"' in source


@pytest.mark.parametrize("path", ["graph.png", "graph", ".svg"])
def test_other_endings_are_refused(path):
    with pytest.raises(ValueError, match=r"must end in \.svg or \.dot"):
        arc.grad(np.sin).graph(1.0).draw(path)


@pytest.mark.parametrize("options", [{"layout": "circular"}, {"max_boxes": 0}, {"max_boxes": True}, {"max_boxes": 2.0}])
def test_options_are_validated(options):
    with pytest.raises(ValueError, match=f"draw: .*{next(iter(options))}"):
        arc.grad(np.sin).graph(1.0).draw(**options)


# --- what it shows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_every_picture_is_well_formed_and_the_same_each_time(name, without_graphviz):
    svg = GRAPHS[name]().draw()
    ElementTree.fromstring(svg)
    assert GRAPHS[name]().draw() == svg


def test_arrays_are_shown_with_shapes_and_names_of_leaves(without_graphviz):
    shown = texts(GRAPHS["arrays"]().draw())
    assert {"params['w']", "params['b']", "X", "y", "40×30", "matmul", "tanh", "out0", "out2"} <= set(shown)
    # What a product is added to is drawn only if it is not 0; vectors are not turned into rows and back.
    assert "0" not in shown
    assert shown.count("transpose") == 1


def test_which_operand_is_which_is_shown_where_it_matters(without_graphviz):
    shown = texts(arc.compile(lambda x, y: x - y).graph(1.0, 2.0).draw())
    assert shown.count("a") == shown.count("b") == 1
    assert "a − b" in shown
    assert "a" not in texts(arc.compile(lambda x, y: x + y).graph(1.0, 2.0).draw())


def test_captured_arrays_and_what_is_checked_are_named(without_graphviz):
    assert "captured 0" in texts(GRAPHS["captured"]().draw())
    assert {"guards that hold", "first other outcome"} <= set(texts(GRAPHS["guards"]().draw()))
    shown = texts(GRAPHS["factorisation"]().draw())
    assert {"slogdet", "succeeded", "10×10"} <= set(shown)


# --- folding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_boxes", [1, 5, 12, 60, 1000])
def test_large_graphs_are_folded_with_a_note(max_boxes, without_graphviz):
    graph = arc.grad(rosenbrock).graph(np.ones(300))
    svg = graph.draw(max_boxes=max_boxes)
    # The first rectangle is the ground.
    boxes = len(list(ElementTree.fromstring(svg).iter(f"{SVG}rect"))) - 1
    shown = " ".join(texts(svg))
    kinds = len(graph.counts) + 2
    assert boxes <= max(max_boxes, kinds)
    assert f"in {boxes} boxes" in shown
    # Nothing is left out but constants: all operations are counted in some box.
    counted = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:times|entries)", shown)]
    once = boxes - len(counted)
    assert sum(counted) + once == graph.n_operations + 600


def test_small_graphs_are_not_folded(without_graphviz):
    assert not any("boxes" in text for text in texts(GRAPHS["numbers"]().draw()))


# --- graphviz and the built-in layout -----------------------------------------------------------------


def test_graphviz_lays_out_where_it_is_installed(stand_in_for_dot):
    graph = arc.grad(product_of_squares).graph(np.ones(3))
    assert graph.draw().startswith("<svg")
    assert '[label="x[0]"' in graph.draw()
    assert graph.draw() == graph.draw(layout="graphviz") != graph.draw(layout="plain")


def test_without_graphviz_asking_for_it_names_a_way_on(without_graphviz):
    graph = arc.grad(np.sin).graph(1.0)
    with pytest.raises(FileNotFoundError, match=r"install graphviz .* layout='plain'"):
        graph.draw(layout="graphviz")
    assert graph.draw() == graph.draw(layout="plain")


def test_a_failing_graphviz_is_reported(stand_in_for_dot):
    def f(unlucky):
        return unlucky**2

    with pytest.raises(RuntimeError, match="cannot draw this"):
        arc.grad(f).graph(1.0).draw()


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
@pytest.mark.parametrize("name", GRAPHS)
def test_graphviz_itself_takes_every_picture(name):
    svg = GRAPHS[name]().draw(layout="graphviz")
    ElementTree.fromstring(svg)
    assert svg == GRAPHS[name]().draw(layout="graphviz")


@settings(max_examples=30)
@given(data=st.data(), count=st.integers(1, 25))
def test_plain_layout_puts_no_box_over_another(data, count):
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    arrows = data.draw(st.lists(pairs, max_size=40, unique=True)) if count > 1 else []
    labels = data.draw(st.lists(st.text("ab<&\"'", min_size=1, max_size=12), min_size=count, max_size=count))
    boxes = tuple(Box("operation", label, "") for label in labels)
    svg = plain_svg(Picture("title", boxes, tuple(Arrow(a, b, "") for a, b in arrows), ""))
    drawn = list(ElementTree.fromstring(svg).iter(f"{SVG}rect"))[1:]
    assert len(drawn) == count
    sides = [[float(rect.get(side)) for side in ("x", "y", "width", "height")] for rect in drawn]
    for i, (x0, y0, w0, h0) in enumerate(sides):
        assert x0 >= 0
        for x1, y1, w1, h1 in sides[:i]:
            assert x0 + w0 <= x1 or x1 + w1 <= x0 or y0 + h0 <= y1 or y1 + h1 <= y0


# --- notebooks ----------------------------------------------------------------------------------------


def test_a_notebook_shows_a_picture_that_folds_away(without_graphviz):
    small, large = GRAPHS["numbers"]()._repr_html_(), GRAPHS["folded"]()._repr_html_()
    assert small.startswith('<details open="open"><summary>grad_product_of_squares: ')
    ElementTree.fromstring(small)
    assert large.startswith("<details><summary>grad_rosenbrock: ")


def test_an_explanation_is_a_table_in_a_notebook():
    explanation = arc.grad(lambda x: np.sin(x) if x > 0 else -x).explain(1.0)
    table = ElementTree.fromstring(explanation._repr_html_())
    names = [cell.text for cell in table.iter("th")]
    assert names[:3] == ["engine", "representation", "operations"]
    assert names[-1] == "decides: 1 in 1 path"
    assert table.find("caption").text == "grad_<lambda>: symbolic, 1 path"
    values = [cell.text for cell in table.iter("td")]
    for name, value in zip(names[:-1], values, strict=False):
        assert f"  {name:<15} {value}" in str(explanation).splitlines()
