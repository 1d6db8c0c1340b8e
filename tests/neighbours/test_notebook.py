"""Jupyter: a notebook is executed, and what it displays is the pictures and tables of the library."""

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELLS = {
    "import": "import numpy as np\nimport archimedes_grad as arc\nimport time",
    "gradient": "f = lambda x: np.sum(np.diff(x) ** 2) * x[0]\ng = arc.grad(f)\ng(np.ones(4)).tolist()",
    "explain": "g.explain(np.ones(4))",
    "graph": "g.graph(np.ones(4))",
    "sparsity": "arc.jac(lambda x: np.diff(x) ** 2, sparse=True).sparsity(np.ones(4))",
    "plot": "arc.jac(lambda x: np.diff(x) ** 2, sparse=True).sparsity(np.ones(4)).plot();",
    "progress": "def slow(x):\n    time.sleep(1.0)\n    return x**2\n\narc.grad(slow, progress=True)(3.0)",
    "error": "import math\narc.grad(lambda x: math.sin(x))(1.0)",
}


def html(outputs):
    return "".join(output.data.get("text/html", "") for output in outputs if "data" in output)


def test_a_notebook_shows_results_pictures_progress_and_errors():
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    notebook.cells[-1].metadata["tags"] = ["raises-exception"]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}

    assert shown["gradient"][0].data["text/plain"] == "[0.0, 0.0, 0.0, 0.0]"
    assert html(shown["explain"]).startswith("<table>")
    for cell in ("graph", "sparsity"):
        assert html(shown[cell]).startswith("<details")
        assert "<svg" in html(shown[cell])
    assert any("image/png" in output.get("data", {}) for output in shown["plot"])
    assert "grad_slow" in str(shown["progress"])
    (error,) = shown["error"]
    assert error.ename == "TraceError"
    assert "math.sin(x)" in error.evalue
    assert "Write np.sin in place of math.sin" in error.evalue
