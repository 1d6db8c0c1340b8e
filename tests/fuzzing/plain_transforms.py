"""The truth about a program: the library's transformations by differences, its loops and choices by Python.

A program is a function whose globals ``np`` and ``arc`` are looked up when it runs. ``reference`` gives the same
function with other globals.
"""

import dis
import functools
import math
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .reference import ERRORS, EXTENDED_NUMPY, EXTENDED_SPECIAL, LONG, Differences, Effort, Unsure, differences

_LARGEST_MOVED = 1e5


# --- trees ------------------------------------------------------------------------------------------


def leaves_of(tree: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dictionaries; None is one."""
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in leaves_of(item)]
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves_of(tree[key])]
    return [tree]


def rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    """Return a tree like another with the next leaves."""
    if isinstance(tree, (tuple, list)):
        return type(tree)(rebuilt(item, leaves) for item in tree)
    if isinstance(tree, dict):
        return {key: rebuilt(tree[key], leaves) for key in sorted(tree)}
    return next(leaves)


def _mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    return rebuilt(tree, map(function, leaves_of(tree)))


# --- derivatives ------------------------------------------------------------------------------------


def _has_ties(leaves: Sequence[Any]) -> bool:
    entries = np.concatenate([np.ravel(np.abs(x)) for x in leaves] or [np.zeros(0)])
    return len(np.unique(entries)) < len(entries) or not np.all(entries)


def _compares_for_equality(function: Any) -> bool:
    """Tell whether a function, or one that it closes over, asks for equality: ``==``, ``!=`` or ``in``."""
    codes, waiting, seen = [], [function], set()
    while waiting:
        inner = waiting.pop()
        if not isinstance(inner, types.FunctionType) or inner in seen:
            continue
        seen.add(inner)
        codes.append(inner.__code__)
        waiting += [cell.cell_contents for cell in inner.__closure__ or () if _is_filled(cell)]
    return any(map(_has_comparison, codes))


def _is_filled(cell: types.CellType) -> bool:
    try:
        return bool(cell.cell_contents is not None)
    except ValueError:
        return False


@functools.lru_cache(maxsize=1_000)
def _has_comparison(code: types.CodeType) -> bool:
    steps = [(step.opname, step.argrepr) for step in dis.get_instructions(code)]
    if any(name == "CONTAINS_OP" or (name == "COMPARE_OP" and ("==" in of or "!=" in of)) for name, of in steps):
        return True
    return any(_has_comparison(inner) for inner in code.co_consts if isinstance(inner, types.CodeType))


class _Function:
    """A function by those of its arguments that are differentiated, as one of a list of leaves.

    Attributes
    ----------
    leaves
        The leaves of the arguments that are differentiated.
    result
        What the function gives there, as a tree.
    asks_what_holds_here_alone
        Whether it may go a way at this point that it goes nowhere near by: where entries are equal and it asks that.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], keywords: dict[str, Any], argnums: Any) -> None:
        self.f, self.args, self.keywords = f, list(args), keywords
        self.single = not isinstance(argnums, tuple)
        self.argnums = (argnums,) if self.single else argnums
        self.chosen = [keywords[k] if isinstance(k, str) else args[k] for k in self.argnums]
        self.leaves = leaves_of(self.chosen)
        self.has_trees = any(isinstance(x, (tuple, list, dict)) for x in self.chosen)
        self.centre: list[Any] | None = None
        if any(np.asarray(x).dtype.kind == "b" for x in self.leaves):
            raise TypeError("booleans have no derivative")
        self.asks_what_holds_here_alone = _has_ties(self.leaves) and _compares_for_equality(f)
        # What is differentiated is float64 inside.
        self.result = self([np.array(x, np.result_type(x, np.float64))[()] for x in self.leaves])

    def __call__(self, leaves: Sequence[Any]) -> Any:
        args, keywords = list(self.args), dict(self.keywords)
        values = rebuilt(self.chosen, iter(leaves)) if self.has_trees else leaves
        for k, value in zip(self.argnums, values, strict=True):
            (keywords if isinstance(k, str) else args)[k] = value
        return self.f(*args, **keywords)

    def directional(self, directions: Sequence[Any], second: bool = False) -> list[Differences]:
        """Differences of the outputs along a direction."""

        def along(s: Any) -> list[Any]:
            pairs = zip(self.leaves, directions, strict=True)
            return leaves_of(self([np.asarray(x, LONG) + s * np.asarray(v, LONG) for x, v in pairs]))

        if self.asks_what_holds_here_alone:
            raise Unsure
        Effort.spend(9.0)
        if any(np.max(np.abs(x), initial=0) > _LARGEST_MOVED for x in self.leaves):
            raise Unsure  # A step is lost in the digits of such a number.
        if self.centre is None:
            try:
                self.centre = along(LONG(0))
            except TypeError:
                self(self.leaves)  # Which raises what NumPy raises,
                raise Unsure from None  # or else holds a function without extended precision.
        results = differences(along, self.centre)
        if not all(x.first_is_sure and (x.second_is_sure or not second) for x in results):
            raise Unsure
        return results

    def units(self, leaf: int) -> list[list[Any]]:
        """Return the directions of the entries of a leaf."""
        size, shape = np.size(self.leaves[leaf]), np.shape(self.leaves[leaf])
        nothing = [np.zeros(np.shape(x)) for x in self.leaves]
        return [[*nothing[:leaf], unit.reshape(shape), *nothing[leaf + 1 :]] for unit in np.eye(size)]

    def in_arguments(self, derivatives: Sequence[Any]) -> Any:
        """Return the derivatives by the leaves in the trees of the arguments."""
        trees = rebuilt(self.chosen, iter(derivatives))
        return trees[0] if self.single else tuple(trees)

    def gradient(self) -> Any:
        """Return the gradient of the only output."""
        entries = [[self.directional(unit)[0].first for unit in self.units(k)] for k in range(len(self.leaves))]
        return self.in_arguments([
            _like(np.reshape(own, np.shape(x)), x) for own, x in zip(entries, self.leaves, strict=True)
        ])  # fmt: skip

    def jacobian(self) -> Any:
        """Return the output tree with the derivatives by the arguments in the place of each output."""
        outputs = leaves_of(self.result)
        blocks: list[list[Any]] = [[] for _ in outputs]
        for k, x in enumerate(self.leaves):
            columns = [self.directional(unit) for unit in self.units(k)]
            for row, (own, output) in enumerate(zip(blocks, outputs, strict=True)):
                entries = [np.ravel(column[row].first) for column in columns]
                stacked = np.stack(entries, axis=-1) if entries else np.zeros(0)
                own.append(_like(stacked.reshape(np.shape(output) + np.shape(x)), x))
        return rebuilt(self.result, iter([self.in_arguments(own) for own in blocks]))

    def second_along(self, v: Sequence[Any], w: Sequence[Any]) -> Any:
        """Return v @ H @ w of the only output, by polarisation."""
        plus, minus = ([a + sign * b for a, b in zip(v, w, strict=True)] for sign in (1, -1))
        return (self.directional(plus, True)[0].second - self.directional(minus, True)[0].second) / 4

    def hessian_product(self, direction: Sequence[Any]) -> Any:
        """Return H @ v of the only output."""
        v = [np.asarray(x, LONG) for x in direction]
        return self.in_arguments([
            _like(np.reshape([self.second_along(v, unit) for unit in self.units(k)], np.shape(x)), x)
            for k, x in enumerate(self.leaves)
        ])  # fmt: skip

    def hessian(self) -> Any:
        """Return the Hessian of the only output by one array."""
        (x,) = self.leaves
        units = self.units(0)
        own = [self.directional(unit, True)[0].second for unit in units]
        rows = np.zeros((len(units), len(units)), LONG)
        for i, unit in enumerate(units):
            rows[i, i] = own[i]
            for j, other in enumerate(units[:i]):
                both = self.directional([unit[0] + other[0]], True)[0].second
                rows[i, j] = rows[j, i] = (both - own[i] - own[j]) / 2
        return _like(rows.reshape(np.shape(x) * 2), x)


def _like(derivative: Any, x: Any) -> Any:
    """Return a derivative in the precision of the argument: float64 unless that is extended."""
    dtype = LONG if np.asarray(x).dtype == LONG else np.float64
    return np.asarray(derivative, dtype)[()]


def _derivative(compute: Callable[..., Any], n_more: int = 0) -> Callable[..., Any]:
    """Return a transformation; so many positional arguments behind the function's own are directions."""

    def transformation(
        f: Callable[..., Any], argnums: Any = 0, *, argnames: Any = None, has_aux: bool = False,
        static_argnums: Any = None,
    ) -> Callable[..., Any]:  # fmt: skip
        def transformed(*args: Any, **keywords: Any) -> Any:
            own, more = (args[:-n_more], args[-n_more:]) if n_more else (args, ())
            auxiliary: list[Any] = []

            def alone(*args: Any, **keywords: Any) -> Any:
                result = f(*args, **keywords)
                if has_aux:
                    result, aux = result
                    auxiliary[:] = [aux]
                return result

            function = _Function(alone, own, keywords, argnums if argnames is None else argnames)
            aux = tuple(auxiliary)  # that of the point itself
            return compute(function, aux, *more)

        return transformed

    return transformation


def _with(derivative: Any, aux: tuple[Any, ...]) -> Any:
    return (derivative, *aux) if aux else derivative


def _value_and_grad(function: _Function, aux: tuple[Any, ...]) -> Any:
    value = _like(function.result, function.leaves[0])
    return (_with(value, aux)), function.gradient()


def _jvp(function: _Function, aux: tuple[Any, ...], direction: Any) -> Any:
    tangents = [_like(x.first, function.leaves[0]) for x in function.directional(leaves_of(direction))]
    return _with(rebuilt(function.result, iter(tangents)), aux)


def _vjp(function: _Function, aux: tuple[Any, ...], cotangent: Any) -> Any:
    weights = leaves_of(cotangent)
    original = function.f

    def weighted(*args: Any, **keywords: Any) -> Any:
        outputs = leaves_of(original(*args, **keywords))
        return sum(np.sum(x * w) for x, w in zip(outputs, weights, strict=True))

    function.f = weighted
    return _with(function.gradient(), aux)


# --- batches, loops and choices -----------------------------------------------------------------------


def _vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: int = 0) -> Callable[..., Any]:
    def batched(*xs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(xs)
        pairs = list(zip(xs, axes, strict=True))
        (count,) = {np.shape(x)[axis] for x, axis in pairs if axis is not None}
        if not count:
            raise Unsure  # Python knows no shape of what never was; a graph does.
        items = [f(*(x if axis is None else np.moveaxis(x, axis, 0)[k] for x, axis in pairs)) for k in range(count)]
        columns = zip(*map(leaves_of, items), strict=True)
        return rebuilt(items[0], iter([np.stack(column, axis=out_axes) for column in columns]))

    return batched


def _own(tree: Any) -> Any:
    return _mapped(lambda x: x.copy() if isinstance(x, np.ndarray) else x, tree)


def _cond(pred: Any, t: Callable[..., Any], f: Callable[..., Any], *operands: Any) -> Any:
    if np.ndim(pred):
        raise ValueError("pred must be one truth value")
    return _switch(bool(pred), (f, t), *operands)


def _switch(i: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Return what a branch gives, where all of them run and give arrays of floats of one shape."""
    if np.ndim(i):
        raise ValueError("the index must be one number")
    chosen = min(max(int(i), 0), len(branches) - 1)
    result = _own(branches[chosen](*operands))
    try:
        results = [[np.asarray(x) for x in leaves_of(branch(*operands))] for branch in branches]
    except ERRORS:
        raise Unsure from None  # A graph holds all branches, so that the library may refuse another one.
    if any(np.asarray(x).dtype.kind != "f" for x in (*leaves_of(operands), *leaves_of(results))):
        raise Unsure  # NumPy's sine of a truth value is a float16.
    if len({tuple(x.dtype for x in own) for own in results}) > 1:
        raise Unsure  # A graph gives the dtype that holds both.
    if any([x.shape for x in own] != [np.shape(x) for x in leaves_of(result)] for own in results):
        raise ValueError("the branches must give the same shapes")
    return result


def _require_form(before: Any, after: Any) -> None:
    pairs = list(zip(leaves_of(before), leaves_of(after), strict=True))
    if any(np.shape(a) != np.shape(b) for a, b in pairs):
        raise ValueError("the carry must keep its shape")
    if any(np.asarray(a).dtype != np.asarray(b).dtype for a, b in pairs):
        raise Unsure  # The dtype of a graph's result does not hang on the number of steps.


def _begun(init: Any) -> Any:
    """Return a first carry with plain numbers as NumPy's, which a graph takes them for."""
    return _mapped(lambda x: np.asarray(x)[()] if isinstance(x, int | float) else x, init)


def _scan(f: Callable[..., Any], init: Any, xs: Any, length: int | None = None, checkpoint: Any = False) -> Any:
    ys: list[Any] = []
    count = len(leaves_of(xs)[0]) if xs is not None else length
    if not count:
        raise Unsure  # Python knows no shape of what never was; a graph does.
    init = _begun(init)
    for k in range(count):
        before = init
        init, y = f(before, None if xs is None else _mapped(lambda x, k=k: x[k], xs))
        _require_form(before, init)
        ys.append(y)
    columns = zip(*map(leaves_of, ys), strict=True)
    return _own(init), rebuilt(ys[0], iter([None if c[0] is None else np.stack(c) for c in columns]))


def _fori_loop(lo: int, hi: int, body: Callable[..., Any], init: Any) -> Any:
    init = _begun(init)
    for i in range(lo, hi):
        before = init
        init = body(np.int64(i), before)
        _require_form(before, init)
    return _own(init)


def _while_loop(cond: Callable[..., Any], body: Callable[..., Any], init: Any, max_steps: int) -> Any:
    init = _begun(init)
    for _ in range(max_steps):
        before, done = init, not cond(init)
        init = body(before)
        _require_form(before, init)
        if done:
            return _own(before)
    return _own(init)


class _Custom:
    """A function with a derivative of its own, which the differences do not ask."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Any:
        return self.f(*args)

    def defjvp(self, rule: Any) -> None:
        """Take a rule."""

    def defvjp(self, forward: Any, backward: Any) -> None:
        """Take the rules."""


PLAIN_ARC = types.SimpleNamespace(
    grad=_derivative(lambda function, aux: _with(function.gradient(), aux)),
    value_and_grad=_derivative(_value_and_grad),
    jac=_derivative(lambda function, aux: _with(function.jacobian(), aux)), jvp=_derivative(_jvp, 1),
    vjp=_derivative(_vjp, 1), hess=_derivative(lambda function, aux: _with(function.hessian(), aux)),
    hvp=_derivative(lambda function, aux, v: _with(function.hessian_product(leaves_of(v)), aux), 1), vmap=_vmap,
    compile=lambda f, **options: f, cond=_cond, switch=_switch, scan=_scan, fori_loop=_fori_loop,
    while_loop=_while_loop, custom_jvp=_Custom, custom_vjp=_Custom, zeros=np.zeros,
    linear_solve=lambda a, b: EXTENDED_NUMPY.linalg.solve(a, b),
)  # fmt: skip


def reference(program: Callable[..., Any]) -> Callable[..., Any]:
    """Return a program as NumPy runs it: ``np``, ``special`` and ``arc`` are the ones of the reference."""
    plain = {"np": EXTENDED_NUMPY, "special": EXTENDED_SPECIAL, "arc": PLAIN_ARC, "math": math}
    return types.FunctionType(program.__code__, {**program.__globals__, **plain}, program.__name__,
                              program.__defaults__, program.__closure__)  # fmt: skip
