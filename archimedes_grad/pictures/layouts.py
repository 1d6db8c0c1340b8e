"""From a picture to SVG: by graphviz, or by a plain layered layout where graphviz is not installed."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from archimedes_grad.pictures.drawing import Arrow, Box, Picture

#: Kind of a box -> its fill and the radius of its corners.
_STYLES = {
    "input": ("#dbe9f6", 10), "constant": ("#f0f0f0", 0), "operation": ("#ffffff", 0), "output": ("#dff0d8", 10),
}  # fmt: skip
#: Characters in a line of the note.
_NOTE_WIDTH = 60
_INK, _FAINT = "#24292f", "#8c959f"
_FONT = "Helvetica, Arial, sans-serif"


def has_graphviz() -> bool:
    """Tell whether graphviz's ``dot`` is on the path."""
    return shutil.which("dot") is not None


# --- by graphviz ----------------------------------------------------------------------------------


def as_dot(picture: Picture) -> str:
    """Return a picture in graphviz's language."""
    note = "\n".join(textwrap.wrap(picture.note, _NOTE_WIDTH))
    lines = [
        "digraph {",
        f'  graph [label={_quoted(note)}, fontname="Helvetica", fontsize=11, ranksep=0.3, nodesep=0.2];',
        f'  node [shape=box, color="{_FAINT}", fontname="Helvetica", fontsize=12, height=0.3, width=0.4];',
        f'  edge [color="{_FAINT}", fontname="Helvetica", fontsize=9, arrowsize=0.6];',
    ]
    for k, box in enumerate(picture.boxes):
        text = f"{box.label}\n{box.detail}" if box.detail else box.label
        fill, radius = _STYLES[box.kind]
        style = "filled,rounded" if radius else "filled"
        lines.append(f'  n{k} [label={_quoted(text)}, style="{style}", fillcolor="{fill}"];')
    for arrow in picture.arrows:
        letter = f" [headlabel={_quoted(arrow.letter)}, labeldistance=1.3]" if arrow.letter else ""
        lines.append(f"  n{arrow.source} -> n{arrow.target}{letter};")
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def graphviz_svg(picture: Picture) -> str:
    """Return a picture as SVG, laid out by ``dot``.

    Raises
    ------
    FileNotFoundError
        If graphviz is not installed.
    RuntimeError
        If ``dot`` fails.
    """
    dot = shutil.which("dot")
    if dot is None:
        raise FileNotFoundError(
            "layout='graphviz' needs graphviz's program dot on the path: install graphviz by the system's package "
            "manager or conda, or take layout='plain'."
        )
    done = subprocess.run([dot, "-Tsvg"], input=as_dot(picture), capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"graphviz's dot failed with status {done.returncode}: {done.stderr.strip()}")
    # What comes before is for files only: in a page, SVG begins with its element.
    return done.stdout[done.stdout.index("<svg") :]


# --- plain ----------------------------------------------------------------------------------------

_LINE, _PADDING, _GAP, _RISE, _MARGIN = 15.0, 8.0, 14.0, 34.0, 12.0
_CHARACTER = 7.0
_SWEEPS = 12
#: The part of a box's upper side that arrows meet.
_SPREAD = 0.8


@dataclass(eq=False)
class _Place:
    """A box's place, or where an arrow crosses a row (without a box)."""

    row: int
    width: float
    height: float
    box: Box | None = None
    above: list[_Place] = field(default_factory=list)
    below: list[_Place] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0


def plain_svg(picture: Picture) -> str:
    """Return a picture as SVG, in rows: each box under all that it reads.

    Rows by longest paths, order within rows by barycentres: Sugiyama, Tagawa and Toda, *IEEE Transactions on
    Systems, Man and Cybernetics* 11 (1981) 109.
    """
    places, ways = _placed(picture)
    rows: list[list[_Place]] = []
    for place in sorted(places, key=lambda place: place.row):
        while len(rows) <= place.row:
            rows.append([])
        rows[place.row].append(place)
    _order(rows)
    _spread(rows)
    return _written(picture, places, ways)


def _placed(picture: Picture) -> tuple[list[_Place], list[tuple[Arrow, list[_Place]]]]:
    """Return places for boxes and for crossings of rows, and the places that each arrow goes through."""
    row = [0] * len(picture.boxes)
    # Boxes stand in the order of their depths, so arrows go forward; but folded ones may read each other.
    forward = sorted((min(arrow.source, arrow.target), max(arrow.source, arrow.target)) for arrow in picture.arrows)
    for source, target in sorted(forward, key=lambda pair: pair[1]):
        row[target] = max(row[target], row[source] + 1)
    for source in reversed(range(len(row))):
        # What nothing stands above is drawn just over what reads it.
        if all(target != source for _, target in forward):
            row[source] = max(0, min((row[target] - 1 for start, target in forward if start == source), default=0))
    places = [_Place(row[k], *_size(box), box) for k, box in enumerate(picture.boxes)]
    ways = []
    for arrow in picture.arrows:
        upper, lower = sorted((places[arrow.source], places[arrow.target]), key=lambda place: place.row)
        crossings = [_Place(between, 0.0, 0.0) for between in range(upper.row + 1, lower.row)]
        places += crossings
        way = [upper, *crossings, lower]
        for one, next_one in pairwise(way):
            one.below.append(next_one)
            next_one.above.append(one)
        ways.append((arrow, way))
    return places, ways


def _size(box: Box) -> tuple[float, float]:
    lines = [line for line in (box.label, box.detail) if line]
    width = max(30.0, 2 * _PADDING + _CHARACTER * max(map(len, lines)))
    return width, _PADDING + _LINE * len(lines)


def _order(rows: list[list[_Place]]) -> None:
    """Order each row by the mean positions of what its places are joined to, downwards and upwards in turn."""
    for row in rows:
        for position, place in enumerate(row):
            place.x = position
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            row.sort(key=_above if downwards else _below)
            for position, place in enumerate(row):
                place.x = position


def _above(place: _Place) -> float:
    return _mean(place.above, place.x)


def _below(place: _Place) -> float:
    return _mean(place.below, place.x)


def _mean(neighbours: list[_Place], own: float) -> float:
    return sum(place.x for place in neighbours) / len(neighbours) if neighbours else own


def _spread(rows: list[list[_Place]]) -> None:
    """Give places their coordinates: near their neighbours, none over another."""
    y = _MARGIN
    for row in rows:
        tallest = max(place.height for place in row)
        x = 0.0
        for place in row:
            place.y = y + tallest / 2
            place.x = x + place.width / 2
            x += place.width + _GAP
        y += tallest + _RISE
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean(place.above + place.below, place.x) for place in row]
            from_left = _pushed(row, wanted, 1)
            from_right = _pushed(row, wanted, -1)
            for place, left, right in zip(row, from_left, from_right, strict=True):
                place.x = (left + right) / 2
    leftmost = min((place.x - place.width / 2 for row in rows for place in row), default=0.0)
    for row in rows:
        for place in row:
            place.x += _MARGIN - leftmost


def _pushed(row: list[_Place], wanted: list[float], direction: int) -> list[float]:
    """Return coordinates as near as wanted, each place pushed on by the one before it."""
    pushed: list[float] = []
    for k in range(len(row))[::direction]:
        x = wanted[k]
        if pushed:
            room = (row[k].width + row[k - direction].width) / 2 + _GAP
            x = max(x, pushed[-1] + room) if direction > 0 else min(x, pushed[-1] - room)
        pushed.append(x)
    return pushed[::direction]


def _written(picture: Picture, places: list[_Place], ways: list[tuple[Arrow, list[_Place]]]) -> str:
    note = textwrap.wrap(picture.note, _NOTE_WIDTH)
    right = max((place.x + place.width / 2 for place in places), default=0.0)
    width = max(right, *(0.8 * _CHARACTER * len(line) for line in note), 0.0) + 2 * _MARGIN
    bottom = max((place.y + place.height / 2 for place in places), default=0.0) + _MARGIN
    height = bottom + _LINE * len(note) + (_MARGIN if note else 0.0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{_FONT}" font-size="12">',
        f"<title>{escape(picture.title)}</title>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 1 L8 4 L0 7 z" fill="{_FAINT}"/></marker></defs>',
        '<rect width="100%" height="100%" fill="white"/>',
        *(_curve(arrow, way, places) for arrow, way in ways),
        *(_box(place) for place in places if place.box is not None),
        *(
            f'<text x="{_MARGIN:.0f}" y="{bottom + _LINE * (k + 1):.0f}" font-size="11" fill="{_INK}">'
            f"{escape(line)}</text>"
            for k, line in enumerate(note)
        ),
    ]
    return "\n".join([*lines, "</svg>", ""])


def _curve(arrow: Arrow, way: list[_Place], places: list[_Place]) -> str:
    points = [(way[0].x, way[0].y + way[0].height / 2)]
    points += [(place.x, place.y) for place in way[1:-1]]
    points.append((way[-1].x + _share(way[-1], way[-2]), way[-1].y - way[-1].height / 2))
    if places[arrow.source] is not way[0]:
        points.reverse()
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        text += f" C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    curve = f'<path d="{text}" fill="none" stroke="{_FAINT}" marker-end="url(#arrow)"/>'
    if arrow.letter:
        x, y = points[-1]
        curve += f'<text x="{x + 4:.1f}" y="{y - 6:.1f}" font-size="9" fill="{_INK}">{arrow.letter}</text>'
    return curve


def _share(place: _Place, from_above: _Place) -> float:
    """Return where an arrow from above meets a box, beside its middle: none over another."""
    ordered = sorted(place.above, key=lambda other: other.x)
    return place.width * _SPREAD * ((ordered.index(from_above) + 0.5) / len(ordered) - 0.5)


def _box(place: _Place) -> str:
    assert place.box is not None
    fill, radius = _STYLES[place.box.kind]
    left, top = place.x - place.width / 2, place.y - place.height / 2
    lines = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{place.width:.1f}" height="{place.height:.1f}" rx="{radius}" '
        f'fill="{fill}" stroke="{_FAINT}"/>'
    ]
    texts = [(place.box.label, _INK), (place.box.detail, _FAINT)]
    for k, (text, ink) in enumerate((text, ink) for text, ink in texts if text):
        baseline = top + _PADDING / 2 + _LINE * (k + 0.78)
        lines.append(
            f'<text x="{place.x:.1f}" y="{baseline:.1f}" text-anchor="middle" fill="{ink}">{escape(text)}</text>'
        )
    return "".join(lines)
