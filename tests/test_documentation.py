"""Every public name is documented, with an example that runs as it stands."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import re
from collections import defaultdict
from pathlib import Path

import pytest

import archimedes_grad as arc
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.compilation.report import Explanation, TracedGraph
from archimedes_grad.numeric import DerivativeResult
from archimedes_grad.pictures.sparsity import SparsityPattern

DOCS = Path(__file__).parent.parent / "docs"
PUBLIC = {name: getattr(arc, name) for name in arc.__all__ if name != "__version__"}
#: Classes that users meet as results, not by a name of their own.
RESULTS = {cls.__name__: cls for cls in (CompiledFunction, DerivativeResult, Explanation, TracedGraph, SparsityPattern)}


def methods_of(owner: str, cls: type) -> dict[str, object]:
    """Return what a class itself offers; what it has from a private base is the library's own."""
    return {f"{owner}.{name}": member for name, member in vars(cls).items()
            if inspect.isfunction(member) and not name.startswith("_")}


def documented() -> dict[str, object]:
    objects = dict(PUBLIC) | {"DerivativeResult": DerivativeResult}
    for owner, found in {**PUBLIC, **RESULTS}.items():
        if inspect.isclass(found) and not issubclass(found, Warning):
            objects |= methods_of(owner, found)
    return objects


DOCUMENTED = documented()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_example_runs_as_it_stands(name):
    docstring = inspect.getdoc(DOCUMENTED[name]) or ""
    assert re.search(r"^Examples\n--------$", docstring, flags=re.M), "no section Examples"
    # No globals of the module: what a reader copies must run.
    test = doctest.DocTestParser().get_doctest(docstring, {}, name, None, None)
    assert test.examples, "no example"
    assert not any(doctest.SKIP in example.options for example in test.examples), "an example that does not run"
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.write)
    assert not failed, told.getvalue()


def test_reference_has_every_public_name():
    reference = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    missing = [name for name in PUBLIC if not re.search(rf"archimedes_grad\.{name}$", reference, flags=re.M)]
    assert not missing


ARCHITECTURE = (DOCS / "architecture.md").read_text()
DECISIONS = (DOCS / "decisions.md").read_text()
LIBRARY = Path(arc.__file__).parent
MODULES = {file.relative_to(LIBRARY).with_suffix("").as_posix().replace("/", ".") for file in LIBRARY.rglob("*.py")}


PACKAGES = {module.split(".")[0] for module in MODULES if "." in module}


def test_the_table_of_packages_has_every_module():
    rows = re.findall(r"^\| (?:`(\w+)/`)? ?\| (.*?) \|", ARCHITECTURE, flags=re.M)
    named = defaultdict(set)
    for package, modules in rows:
        named[package] |= set(re.findall(r"`([\w/]+)`", modules))
    assert set(named) == PACKAGES | {""}
    assert named[""] == {module for module in MODULES if "." not in module} - {"__init__", "_version"}
    for package in PACKAGES - {"rules", "numeric", "engines"}:
        inside = {module.split(".")[1] for module in MODULES if module.startswith(f"{package}.")}
        assert named[package] == inside - {"__init__"}


FILES = {file.as_posix() for folder in (LIBRARY, DOCS.parent / "tests", DOCS.parent / "benchmarks")
         for file in folder.rglob("*")}  # fmt: skip


def is_there(span):
    """Tell whether a file is in the checkout, or a name in its module of the library."""
    if span.endswith((".py", "/")):
        return any(file.endswith("/" + span.rstrip("/")) for file in FILES)
    module, _, name = span.rpartition(".")
    whole = [there for there in MODULES if there == module or there.endswith("." + module)]
    return not whole or any(hasattr(importlib.import_module(f"archimedes_grad.{there}"), name) for there in whole)


def test_what_the_pages_on_architecture_and_decisions_name_is_there():
    spans = re.findall(r"`([a-z_/]+(?:\.py|/|\.\w+))`", ARCHITECTURE + DECISIONS)
    assert len(spans) > 50
    assert [span for span in spans if not is_there(span)] == []
    assert not is_there("fast_path.no_such_name")
    assert not is_there("rules/no_such_file.py")
