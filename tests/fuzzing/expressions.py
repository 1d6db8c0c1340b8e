"""Expressions: tables of text with names and numbers drawn into them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .scope import Draw, Scope
from .tables import (
    ALONG,
    BINARY,
    COMPLEX_STEPS,
    DECIDED,
    IN_OTHER_WORDS,
    MOVED,
    PREDICATES,
    REAL_ENDS,
    REDUCTIONS,
    SPECIAL,
    SQUARE,
    STACKS,
    UNARY,
    VECTORS,
)

Maker = Callable[[Draw, Scope], str | None]


def _filled(template: str, **names: Any) -> str:
    for key, text in names.items():
        template = template.replace("{" + key + "}", str(text))
    return template


def unary(d: Draw, scope: Scope) -> str | None:
    """One array, entry by entry."""
    return _filled(d.one_of(UNARY), a=operand(d, scope))


def operand(d: Draw, scope: Scope, **wanted: Any) -> str:
    """Return a float name."""
    return scope.pick(d, **wanted) or "np.float64(0.7)"


def partner(d: Draw, scope: Scope, a: str) -> str:
    """Return a name or number that broadcasts against a name."""
    value = scope.value(a)
    if value is None or d.happens(1, 4):
        return d.number()

    def fits(other: Any) -> bool:
        try:
            return int(np.prod(np.broadcast_shapes(np.shape(other), np.shape(value)))) <= scope.largest
        except ValueError:
            return False

    return scope.pick(d, kind="fib" if d.happens(1, 6) else "f", fits=fits) or d.number()


def binary(d: Draw, scope: Scope) -> str | None:
    """Two operands that broadcast."""
    a = operand(d, scope)
    b = partner(d, scope, a)
    if d.happens(1, 3):
        a, b = b, a
    return _filled(d.one_of(BINARY), a=a, b=b)


def special_function(d: Draw, scope: Scope) -> str | None:
    """A function of scipy.special."""
    a = operand(d, scope)
    return _filled(d.one_of(SPECIAL), a=a, b=partner(d, scope, a))


def predicate(d: Draw, scope: Scope) -> str | None:
    """A truth value for each entry, or its use as a number."""
    a = operand(d, scope)
    text = _filled(d.one_of(PREDICATES), a=a, b=partner(d, scope, a))
    return d.one_of((f"({text}) * {a}", text, f"np.where({text}, {a}, 1.0)", f"({text}).astype(int)"))


def indexed(d: Draw, scope: Scope) -> str | None:
    """Some entries of an array, by any index."""
    a = scope.pick(d, kind="fi", fits=lambda x: x.ndim > 0)
    if a is None:
        return None
    if scope.branches and d.happens(1, 8):
        return f"{a}[{a} > {d.number()}]"
    return f"{a}[{index(d, scope, a)}]"


def index(d: Draw, scope: Scope, a: str) -> str:
    """Return the text of an index that fits an array."""
    shape = np.shape(scope.value(a))
    if not shape:
        return "..."  # An array whose values are not tame any more, as what it is a view of was written to.
    if d.happens(1, 6):
        by_whole = _index_of_whole_numbers(d, scope, shape)
        if by_whole is not None:
            return by_whole
    if d.happens(1, 4):
        return _advanced_index(d, shape)
    parts = [_basic_part(d, length) for length in shape[: d.below(len(shape)) + 1]]
    if d.happens(1, 6):
        parts.insert(d.below(len(parts) + 1), "None")
    if d.happens(1, 6):
        parts.insert(d.below(len(parts) + 1), "...")
    return ", ".join(parts)


def _index_of_whole_numbers(d: Draw, scope: Scope, shape: tuple[int, ...]) -> str | None:
    """Return whole numbers that were computed as the index of an axis, alone or beside parts for other axes."""
    axis = d.below(len(shape)) if d.happens(1, 2) else 0
    whole = scope.pick(d, kind="i", fits=lambda x: bool(np.all((x >= -shape[axis]) & (x < shape[axis]))))
    if whole is None:
        return None
    parts = [*(_basic_part(d, length) for length in shape[:axis]), whole]
    if axis + 1 < len(shape) and d.happens(1, 2):
        length = np.shape(scope.value(whole))[-1:] or (1 + d.below(3),)
        numbers = [d.below(2 * shape[axis + 1] or 1) - shape[axis + 1] for _ in range(*length)]
        parts.append(d.one_of((_basic_part(d, shape[axis + 1]), str(numbers), whole)))
    if d.happens(1, 6):
        parts.insert(d.below(len(parts) + 1), d.one_of(("None", "...")))
    return ", ".join(parts)


def _basic_part(d: Draw, length: int) -> str:
    """Return an int or a slice for an axis."""
    if length and d.happens(1, 3):
        return str(d.below(2 * length) - length)
    start, stop = (d.one_of(("", *(str(k) for k in range(-length, length + 1)))) for _ in range(2))
    step = d.one_of(("", "", ":-1", ":2", ":-2"))
    return f"{start}:{stop}{step}"


def _advanced_index(d: Draw, shape: tuple[int, ...]) -> str:
    """Return integer arrays for an axis or two, slices before them; or a boolean mask."""
    if d.happens(1, 3):
        masked = shape[: 1 + d.below(len(shape))]
        mask = np.array([d.happens(1, 2) for _ in range(int(np.prod(masked)))], bool).reshape(masked)
        return f"np.array({mask.tolist()})" if mask.size else "..."
    axis = d.below(len(shape))
    if not shape[axis]:
        return "..."
    picked = [d.below(2 * shape[axis]) - shape[axis] for _ in range(1 + d.below(3))]
    text = d.one_of((f"np.array({picked})", f"{picked}", f"np.array([{picked}, {picked}])"))
    before = ":, " * axis
    if axis + 1 < len(shape) and shape[axis + 1] and d.happens(1, 2):
        second = [d.below(2 * shape[axis + 1]) - shape[axis + 1] for _ in picked]
        return f"{before}{text}, {d.one_of((f'np.array({second})', str(second[0]), ':', '::-1'))}"
    return before + text


def reduced(d: Draw, scope: Scope) -> str | None:
    """A reduction over axes."""
    function = d.one_of(REDUCTIONS)
    a = operand(d, scope)
    ndim = np.ndim(scope.value(a))
    axis = d.one_of([None, *range(-ndim, ndim), *([(0, 1), (-1, 0)] if ndim > 1 and "norm" not in function else [])])
    if axis is None and d.happens(1, 2):
        return f"{function}({a})"
    return f"{function}({a}, axis={axis}{', keepdims=True' if d.happens(1, 4) else ''})"


def along(d: Draw, scope: Scope) -> str | None:
    """A function along one axis."""
    a = scope.pick(d, fits=lambda x: x.ndim > 0)
    if a is None:
        return None
    ndim = np.ndim(scope.value(a))
    return _filled(d.one_of(ALONG), a=a, axis=d.below(2 * ndim) - ndim)


def moved(d: Draw, scope: Scope) -> str | None:
    """Entries moved or repeated."""
    a = operand(d, scope)
    if d.happens(1, 8):
        shape = np.shape(scope.value(a))
        axes = [*range(len(shape))]
        order = tuple(axes.pop(d.below(len(axes))) for _ in shape)
        return f"np.transpose({a}, {order})"
    return _filled(d.one_of(MOVED), a=a)


def of_vectors(d: Draw, scope: Scope) -> str | None:
    """Functions of vectors."""
    a, b = (scope.pick(d, fits=lambda x: x.ndim == 1 and x.size) for _ in range(2))
    return _filled(d.one_of(VECTORS), a=a, b=b) if a else None


def of_square(d: Draw, scope: Scope) -> str | None:
    """Linear algebra of a square matrix, or of a stack of them."""
    a = scope.pick(d, fits=lambda x: x.ndim >= 2 and x.shape[-2] == x.shape[-1] > 0)
    if a is None:
        return None
    shape = np.shape(scope.value(a))
    return _filled(d.one_of(SQUARE if len(shape) == 2 else STACKS), a=a, n=shape[-1])


def in_other_words(d: Draw, scope: Scope) -> str | None:
    """Methods, functions seldom used, reductions of some of the entries."""
    a = scope.pick(d, fits=lambda x: x.ndim > 0 and x.size)
    return _filled(d.one_of(IN_OTHER_WORDS), a=a, s=scalar(d, scope)) if a else None


def complex_steps(d: Draw, scope: Scope) -> str | None:
    """A few steps on complex numbers, as nested functions of one name."""
    a = scope.pick(d, fits=lambda x: x.ndim > 0 and x.size)
    if a is None:
        return None
    text = _filled(d.one_of(REAL_ENDS), c="c")
    for _ in range(1 + d.below(3)):
        text = f"(lambda c: {text})({_filled(d.one_of(COMPLEX_STEPS), c='c')})"
    return f"(lambda c: {text})({a} + 1j * {partner(d, scope, a)})"


def contracted(d: Draw, scope: Scope) -> str | None:
    """einsum and tensordot of one array or two over axes that fit."""
    a, b = (scope.pick(d, fits=lambda x: x.ndim > 0 and x.size) for _ in range(2))
    if a is None or b is None:
        return None
    shapes = [np.shape(scope.value(name)) for name in ((a, b) if d.happens(3, 4) else (a,))]
    lengths: dict[str, int] = {}
    subscripts = []
    for shape in shapes:
        letters = ""
        for length in shape:
            fitting = [c for c, known in lengths.items() if known == length]
            new = "ijklmnpq"[len(lengths)]
            letter = d.one_of([*fitting, new]) if fitting else new
            lengths[letter] = length
            letters += letter
        subscripts.append(letters)
    used = sorted(set("".join(subscripts)))
    kept = [letter for letter in used if d.happens(1, 2)]
    order = [kept.pop(d.below(len(kept))) for _ in range(len(kept))]
    arrow = f"->{''.join(order)}" if d.happens(3, 4) else ""
    if len(shapes) == 2 and not arrow and d.happens(1, 2):
        pairs = [(i, j) for i, n in enumerate(shapes[0]) for j, m in enumerate(shapes[1]) if n == m]
        if pairs:
            i, j = d.one_of(pairs)
            return f"np.tensordot({a}, {b}, axes=({i}, {j}))"
    return f"np.einsum('{','.join(subscripts)}{arrow}', {', '.join((a, b)[: len(shapes)])})"


def product(d: Draw, scope: Scope) -> str | None:
    """A product of arrays with a common axis."""
    a = scope.pick(d, fits=lambda x: x.ndim > 0)
    if a is None:
        return None
    last = np.shape(scope.value(a))[-1]
    b = scope.pick(d, fits=lambda x: x.ndim > 0 and x.shape[-2 if x.ndim > 1 else 0] == last)
    if b is None:
        return f"{a} @ {a}.T"
    return d.one_of((f"{a} @ {b}", f"np.dot({a}, {b})", f"np.matmul({a}, {b})", f"np.inner({a}, {b}.T)",
                     f"np.tensordot({a}, {b}, 1)", f"np.vdot({a}, {a})"))  # fmt: skip


def decided(d: Draw, scope: Scope) -> str | None:
    """A number that Python's own functions chose."""
    if not scope.branches:
        return None
    s, t = scalar(d, scope), scalar(d, scope)
    return _filled(d.one_of(DECIDED), s=s, t=t)


def scalar(d: Draw, scope: Scope) -> str:
    """Return the text of a float scalar."""
    a = operand(d, scope)
    value = scope.value(a)
    shape = np.shape(value)
    if shape == ():
        return a
    if 0 in shape or d.happens(1, 2):
        return f"{d.one_of(('np.sum', 'np.mean') + (('np.max',) if np.size(value) else ()))}({a})"
    return f"{a}[{', '.join(str(d.below(n)) for n in shape)}]"


def scattered(d: Draw, scope: Scope) -> str | None:
    """A literal array of scalars."""
    parts = [scalar(d, scope) if not d.happens(1, 4) else d.number() for _ in range(2 + d.below(2))]
    return d.one_of((f"np.array([{', '.join(parts)}])", f"np.stack([{', '.join(parts)}])",
                     f"np.array([[{parts[0]}, 1.0], [0.5, {parts[1]}]])"))  # fmt: skip


#: Maker and how often it is drawn.
MAKERS: tuple[tuple[Maker, int], ...] = (
    (unary, 6), (binary, 6), (indexed, 4), (reduced, 4), (along, 4), (moved, 3), (of_vectors, 2), (of_square, 2),
    (product, 2), (predicate, 2), (decided, 2), (scattered, 2),
    (special_function, 2), (in_other_words, 5), (complex_steps, 3), (contracted, 2),
)  # fmt: skip
_DRAWN = tuple(maker for maker, weight in MAKERS for _ in range(weight))


def expression(d: Draw, scope: Scope) -> str | None:
    """Return the text of an expression; None where the drawn kind finds nothing to work on."""
    return d.one_of(_DRAWN)(d, scope)
