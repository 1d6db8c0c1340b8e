"""The README and every page of docs/ print what they show; the gallery's pages do so when the site is built."""

from __future__ import annotations

import re
from pathlib import Path

import executed_pages
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# Worked examples take seconds each: they run once, where their pictures are drawn.
QUICK_PAGES = [page for page in PAGES if page.parent.name != "gallery"]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", QUICK_PAGES, ids=name_of)
def test_page_prints_what_it_shows(page):
    executed_pages.run(page.name, page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_is_always_run(page):
    """No fence, by another spelling or an indent, escapes the check."""
    fences = re.findall(r"^[ >]*(?:```+|~~~+) ?\{?(?:code-block\}|code\})? ?(?:i?py\w*)", page.read_text(), flags=re.M)
    assert len(fences) == len(executed_pages.blocks_of(page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_fits_its_page(page):
    """At 1280 pixels; pages of these folders have no list of headings beside their code."""
    characters = 120 if page.parent.name in ("gallery", "coming-from") else 96
    lines = [line for block in executed_pages.blocks_of(page.read_text()) for line in block.code.splitlines()]
    assert [line for line in lines if len(line) > characters and not line.startswith("# ")] == []


@pytest.mark.parametrize("mark", ["first-command", "second-command"])
def test_commands_are_marked_for_ci(mark):
    assert re.search(rf"<!-- {mark} -->\n```sh\n[^\n]+\n```", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "coming-from"], ids=name_of)
def test_every_call_beside_a_peer_is_run(page):
    """The right column of a table has no call that the page's blocks do not make."""
    text = page.read_text()
    code = "\n".join(block.code for block in executed_pages.blocks_of(text))
    cells = [line.rsplit("|", 2)[1] for line in text.splitlines() if line.startswith("|")]
    calls = [span for cell in cells for span in re.findall(r"`([^`]+)`", cell) if "(" in span]
    assert [call for call in calls if call not in code] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    """As they are read in the repository; the site's are checked by Sphinx when it is built."""
    prose = re.sub(r"^```.*?^```|`[^`\n]+`", "code", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"https?:|/pictures/", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.is_file(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), flags=re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}, link


def test_every_page_is_in_the_tree_of_the_site():
    """A page that is in no toctree (docs/guides.md, docs/project.md, ...) cannot be found by readers."""
    listed = {ROOT / "docs" / "index.md"}
    for page in PAGES:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
            listed |= {page.parent / f"{line}.md" for line in tree.split("\n") if line and not line.startswith(":")}
    assert set(PAGES) - {ROOT / "README.md"} == listed


# --- the mechanism itself -------------------------------------------------------------------------------


def page_of(*fences: str) -> str:
    return "# A page\n\n" + "\n".join(fences) + "\n"


def test_what_is_printed_is_compared():
    executed_pages.run("good.md", page_of("```python\nprint(1 + 1)\n# 2\n```"))
    with pytest.raises(executed_pages.PageError, match="printed\n2\nand the page shows\n3") as caught:
        executed_pages.run("bad.md", page_of("```python\nprint(1 + 1)\n# 3\n```"))
    assert caught.value.line == 3


@pytest.mark.parametrize("code", ["print(1)", "raise ValueError('no')", "import warnings; warnings.warn('no')"])
def test_nothing_happens_unseen(code):
    with pytest.raises(executed_pages.PageError):
        executed_pages.run("bad.md", page_of(f"```python\n{code}\n```"))


def test_an_exception_is_shown_in_text_below():
    fences = "```python\nraise ValueError('no')\n```", "```text\nValueError: no\n```"
    executed_pages.run("good.md", page_of(*fences))
    with pytest.raises(executed_pages.PageError):
        executed_pages.run("bad.md", page_of(fences[0], "Other text.", fences[1]))


@pytest.mark.parametrize(
    "make", ["from matplotlib.pyplot import figure\nfigure()", "from matplotlib.figure import Figure\nf = Figure()"]
)
def test_a_figure_is_drawn_once(make):
    shown = []
    blocks = executed_pages.run(
        "good.md", page_of(f"```python\n{make}\n```", "```python\na = 1\n```"), lambda figure, n: shown.append(n) or "!"
    )
    assert [block.pictures for block in blocks] == [["!"], []]
    assert shown == [1]


def test_an_svg_file_is_a_picture_of_the_block_that_writes_it():
    write = "```python\nopen('a.svg', 'w').close()\n```"
    blocks = executed_pages.run(
        "good.md", page_of(write, "```python\na = 1\n```"), lambda path, n: f"{n} {path.name}"
    )
    assert [block.pictures for block in blocks] == [["1 a.svg"], []]


def test_blocks_share_a_namespace():
    executed_pages.run("good.md", page_of("```python\na = 1\n```", "```python\nprint(a)\n# 1\n```"))
