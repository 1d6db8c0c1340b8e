"""Every public name is documented, with an example that runs as it stands."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import re
from pathlib import Path

import pytest

import archimedes_grad as arc
from archimedes_grad.compiled import CompiledFunction
from archimedes_grad.numeric import DerivativeResult

DOCS = Path(__file__).parent.parent / "docs"
PUBLIC = {name: getattr(arc, name) for name in arc.__all__ if name != "__version__"}
#: Classes that users meet as results, not by a name of their own.
RESULTS = {"CompiledFunction": CompiledFunction, "DerivativeResult": DerivativeResult}


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
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.write)
    assert not failed, told.getvalue()


def test_reference_has_every_public_name():
    reference = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    missing = [name for name in PUBLIC if not re.search(rf"archimedes_grad\.{name}$", reference, flags=re.M)]
    assert not missing
