"""Pages run as printed: the one mechanism behind the README and every page of docs/.

A fence of ``python`` is run, the blocks of a page one after the other in one namespace, with warnings as errors. What
it prints is compared with what the page shows: the lines of the block that begin with ``# ``, and after them a fence of
``text`` that follows at once. An exception that a block does not catch is compared as ``Type: message``. ``...`` stands
for anything, as in doctest. Figures of matplotlib that a block makes, and leaves open or names, are its pictures, and
so are the SVG files that it writes.

``tests/test_pages.py`` runs the pages by `run`; as a Sphinx extension the module runs them while they are read, puts
the pictures where they were drawn, and makes a page that does not print what it shows a warning of the build.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import linecache
import os
import re
import shutil
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\s*^```text\n(?P<shown>.*?)^```$)?", re.DOTALL | re.MULTILINE)

#: How pictures look; a user's own look as their matplotlib is set.
STYLE = {
    "figure.figsize": (6.4, 3.6), "figure.dpi": 130, "figure.constrained_layout.use": True,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
    "legend.frameon": False, "font.size": 10,
}  # fmt: skip

#: Called with a figure, or the path of an SVG file, and its number on the page; gives the Markdown that shows it.
Draw = Callable[[Any, int], str]


class PageError(AssertionError):
    """A block did not print what its page shows."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class Block:
    """One fence of Python: its code, what it should print, where it stands."""

    code: str
    shown: list[str]
    line: int
    end: int
    pictures: list[str] = field(default_factory=list)


def blocks_of(text: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    blocks = []
    for match in _FENCE.finditer(text):
        code = match["code"]
        shown = [line[2:] for line in code.splitlines() if line.startswith("# ") or line == "#"]
        shown += (match["shown"] or "").splitlines()
        blocks.append(Block(code, shown, text.count("\n", 0, match.start()) + 1, match.end()))
    return blocks


def run(name: str, text: str, draw: Draw | None = None) -> list[Block]:
    """Run the blocks of a page and compare what they print.

    Parameters
    ----------
    name
        Of the page; error messages of blocks name it as their file.
    text
        The page, in Markdown.
    draw
        What to do with pictures; left out, figures are closed and files are gone with the page's directory.

    Raises
    ------
    PageError
        For the first block that does not print what it shows.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    blocks = blocks_of(text)
    # The main module, as a notebook's is: what a page defines can be pickled.
    module, main = types.ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        with _elsewhere(), warnings.catch_warnings():
            warnings.simplefilter("error")
            drawn: list[Any] = []
            for block in blocks:
                printed = _printed(block.code, name, module.__dict__)
                _compare(name, block, printed)
                for figure in _figures(module.__dict__, drawn) + [path for path in _files() if path not in drawn]:
                    drawn.append(figure)
                    if draw is not None:
                        block.pictures.append(draw(figure, len(drawn)))
    finally:
        sys.modules["__main__"] = main
        _close_figures()
    return blocks


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """Work in a directory of the page's own, so that what it writes is gone with it."""
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        yield


def _printed(code: str, name: str, namespace: dict[str, Any]) -> str:
    """Run a block and return what it printed, with the exception it raised as the last lines."""
    # Errors of the library quote the user's line: they find it here.
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        try:
            exec(compile(code, name, "exec"), namespace)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            print(*getattr(error, "__notes__", ()), sep="\n", end="")
    return stream.getvalue()


def _compare(name: str, block: Block, printed: str) -> None:
    shown = "".join(f"{line}\n" for line in block.shown)
    printed = "".join(f"{line.rstrip()}\n" for line in printed.rstrip().splitlines())
    if not doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS):
        raise PageError(
            f"{name}, line {block.line}: this block\n{block.code}printed\n{printed}and the page shows\n{shown}",
            block.line,
        )


def _figures(namespace: dict[str, Any], drawn: list[Any]) -> list[Any]:
    """Return the figures that a page has not shown yet: those of pyplot, and others that have a name."""
    figures = _close_figures()
    matplotlib = sys.modules.get("matplotlib.figure")
    if matplotlib is not None:
        named = [value for value in namespace.values() if isinstance(value, matplotlib.Figure)]
        figures += [figure for figure in named if figure not in figures]
    return [figure for figure in figures if figure not in drawn]


def _files() -> list[Path]:
    return sorted(Path.cwd().glob("*.svg"))


def _close_figures() -> list[Any]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    figures = [pyplot.figure(number) for number in pyplot.get_fignums()] if pyplot else []
    for figure in figures:
        pyplot.close(figure)
    return figures


# --- as a Sphinx extension ------------------------------------------------------------------------------


def setup(app: Any) -> dict[str, Any]:
    """Run pages while Sphinx reads them."""
    app.connect("builder-inited", _prepare)
    app.connect("source-read", _read)
    app.connect("env-purge-doc", lambda app, env, docname: _counts(env).pop(docname, None))
    app.connect("env-merge-info", lambda app, env, docnames, other: _counts(env).update(_counts(other)))
    app.connect("env-updated", _require_pictures)
    app.connect("build-finished", _tell)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _counts(env: Any) -> dict[str, tuple[int, float]]:
    """Return the number of blocks and the seconds that they took, by page."""
    if not hasattr(env, "executed_pages"):
        env.executed_pages = {}
    counts: dict[str, tuple[int, float]] = env.executed_pages
    return counts


def _prepare(app: Any) -> None:
    os.environ.setdefault("MPLBACKEND", "Agg")
    import matplotlib

    matplotlib.rcParams.update(STYLE)
    (Path(app.srcdir) / "pictures").mkdir(exist_ok=True)
    for picture in _pictures_of_other_pages(Path(app.srcdir)):
        picture.touch()


def _pictures_of_other_pages(docs: Path) -> list[Path]:
    """Return the pictures that pages show by name: Sphinx looks for them before another process may have drawn them."""
    texts = [page.read_text() for page in docs.rglob("*.md")]
    return [docs / "pictures" / name for text in texts for name in re.findall(r"/pictures/([\w-]+\.png)", text)]


def _require_pictures(app: Any, env: Any) -> None:
    from sphinx.util import logging

    for picture in _pictures_of_other_pages(Path(app.srcdir)):
        if not picture.stat().st_size:
            logging.getLogger(__name__).warning("no page draws the picture %s", picture.name)


def _read(app: Any, docname: str, source: list[str]) -> None:
    from sphinx.util import logging

    pictures = Path(app.srcdir) / "pictures"

    def draw(figure: Any, number: int) -> str:
        name = f"{docname.replace('/', '-')}-{number}"
        if isinstance(figure, Path):
            shutil.copy(figure, pictures / f"{name}.svg")
            return f"\n\n![{figure.stem.replace('_', ' ')}](/pictures/{name}.svg)\n"
        figure.savefig(pictures / f"{name}.png")
        titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
        return f"\n\n![{'; '.join(filter(None, titles))}](/pictures/{name}.png)\n"

    start = time.perf_counter()
    text = source[0]
    try:
        blocks = run(docname + ".md", text, draw)
    except PageError as error:
        logging.getLogger(__name__).warning(str(error), location=(docname, error.line))
        return
    _counts(app.env)[docname] = len(blocks), time.perf_counter() - start
    for block in reversed(blocks):
        text = text[: block.end] + "".join(block.pictures) + text[block.end :]
    source[0] = text


def _tell(app: Any, exception: Exception | None) -> None:
    counts = _counts(app.env)
    if exception is None and counts:
        processor = sum(os.times()[:4])
        blocks = sum(n for n, _ in counts.values())
        print(f"{blocks} code blocks of {len(counts)} pages ran as printed; {processor:.0f} s of processor time:")
        for docname, (n, seconds) in sorted(counts.items()):
            if n:
                print(f"  {docname}: {n} blocks, {seconds:.1f} s")
