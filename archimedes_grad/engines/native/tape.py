"""Reads a CasADi Function, instruction by instruction, into the compiler's own values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as cs
import numpy as np

from archimedes_grad.engines.native.blas_library import has_lapack
from archimedes_grad.engines.native.indices import strided
from archimedes_grad.engines.native.operations import OPERATIONS
from archimedes_grad.engines.native.products import contraction, matrix_product
from archimedes_grad.engines.native.reductions import reduction
from archimedes_grad.engines.native.values import Part, UnsupportedError, Value, Values
from archimedes_grad.engines.vm import evaluated
from archimedes_grad.nodes.dependence import branches_of
from archimedes_grad.nodes.gather import EXTREMES, places_of
from archimedes_grad.nodes.strided import Geometry

#: Longer functions are not compiled: a C compiler's time for one grows faster than its length.
MOST_INSTRUCTIONS = 4_000
#: CasADi gives a constant of fewer numbers faster as a list than it evaluates it.
_LIST_OF_NUMBERS = 200


@dataclass(frozen=True, eq=False, repr=False)
class Form:
    """A function in the compiler's form: its outputs, and what made them."""

    outputs: tuple[Value, ...]
    values: Values


def read(function: cs.Function, callee: Callable[[cs.Function], Any]) -> Form:
    """Return the form of a Function.

    Parameters
    ----------
    callee
        Called for each Function that this one calls; what it returns stands in the `Call`.

    Raises
    ------
    UnsupportedError
        If it holds something that is not compiled.
    """
    if not (function.is_a("MXFunction") or function.is_a("SXFunction")):
        raise UnsupportedError(f"a call of {function.class_name()} is evaluated by CasADi")
    if function.n_instructions() > MOST_INSTRUCTIONS:
        raise UnsupportedError(f"{function.n_instructions()} instructions are too many for a C compiler")
    values = Values()
    if function.is_a("SXFunction"):
        return Form(tuple(_Scalars(function, values).outputs()), values)
    return Form(tuple(_Arrays(values, callee).outputs(function)), values)


class Readable:
    """Tells which nodes would be compiled, with all that they call; each Function is read once."""

    def __init__(self) -> None:
        self._known: dict[int, cs.Function] = {}

    def is_compiled(self, node: cs.MX) -> bool:
        """Tell whether a function of this one node, which has operands, would be compiled."""
        reader = _Arrays(Values(), self._read_with_all_it_calls)
        operands = [reader.values.input(i, node.dep(i).nnz()) for i in range(node.n_dep())]
        try:
            reader.results(node.op(), node, operands)
        except UnsupportedError:
            return False
        return True

    def _read_with_all_it_calls(self, function: cs.Function) -> None:
        if hash(function) not in self._known:
            read(function, self._read_with_all_it_calls)
            self._known[hash(function)] = function


class _Scalars:
    """Reads a graph of numbers."""

    def __init__(self, function: cs.Function, values: Values) -> None:
        self.function = function
        self.values = values

    def outputs(self) -> list[Value]:
        function, values = self.function, self.values
        work: dict[int, Value] = {}
        outputs: list[dict[int, Value]] = [{} for _ in range(function.n_out())]
        for k in range(function.n_instructions()):
            operation = function.instruction_id(k)
            inputs = function.instruction_input(k)
            targets = function.instruction_output(k)
            if operation == cs.OP_INPUT:
                argument = values.input(inputs[0], function.nnz_in(inputs[0]))
                work[targets[0]] = values.view(argument, Geometry((), inputs[1], ()))
            elif operation == cs.OP_OUTPUT:
                outputs[targets[0]][targets[1]] = work[inputs[0]]
            elif operation == cs.OP_CONST:
                work[targets[0]] = values.fill(1, function.instruction_constant(k))
            elif operation in OPERATIONS:
                work[targets[0]] = values.elementwise(operation, *(work[i] for i in inputs))
            else:
                raise UnsupportedError(f"operation {operation} of a graph of numbers is not compiled")
        zero = values.fill(1, 0.0)
        return [
            values.concatenation([entries.get(i, zero) for i in range(function.nnz_out(number))])
            if function.nnz_out(number)
            else values.fill(0, 0.0)
            for number, entries in enumerate(outputs)
        ]


class _Arrays:
    """Reads a graph of arrays."""

    def __init__(self, values: Values, callee: Callable[[cs.Function], Any]) -> None:
        self.values = values
        self.callee = callee

    def outputs(self, function: cs.Function) -> list[Value]:
        """Return the outputs of a Function."""
        work: dict[int, Value] = {}
        # An input or output that is concatenated of others comes in segments.
        outputs: list[dict[int, Value]] = [{} for _ in range(function.n_out())]
        for k in range(function.n_instructions()):
            operation = function.instruction_id(k)
            inputs = function.instruction_input(k)
            targets = function.instruction_output(k)
            node = function.instruction_MX(k)
            if operation == cs.OP_OUTPUT:
                outputs[targets[0]][node.info()["offset"]] = work[inputs[0]]
            elif operation == cs.OP_INPUT:
                whole = self.values.input(inputs[0], function.nnz_in(inputs[0]))
                segment = Geometry((node.nnz(),), node.info()["offset"], (1,))
                work[targets[0]] = self.values.view(whole, segment)
            else:
                operands = [work[i] if i >= 0 else self.values.fill(0, 0.0) for i in inputs]
                results = self.results(operation, node, operands)
                assert node.has_output() or results[0].size == node.nnz(), _name(operation)
                work.update((to, value) for to, value in zip(targets, results, strict=True) if to >= 0)
        return [
            self.values.concatenation([segments[offset] for offset in sorted(segments)])
            if segments
            else self.values.fill(function.nnz_out(number), 0.0)
            for number, segments in enumerate(outputs)
        ]

    def results(self, operation: int, node: cs.MX, operands: list[Value]) -> list[Value]:
        """Return the values that an instruction makes."""
        if operation in OPERATIONS:
            if any(d.nnz() not in (1, node.nnz()) for d in (node.dep(i) for i in range(node.n_dep()))):
                raise UnsupportedError("an operation on arrays of differing sparsity is not compiled")
            return [self.values.elementwise(operation, *operands)]
        rule = _RULES.get(operation)
        if rule is None:
            raise UnsupportedError(f"{_name(operation)} is not compiled")
        result = rule(self, node, operands)
        return result if isinstance(result, list) else [result]


def _name(operation: int) -> str:
    names = {getattr(cs, name): name for name in dir(cs) if name.startswith("OP_")}
    return f"CasADi's {names.get(operation, operation)}"


def _dense(node: cs.MX) -> None:
    if not all(node.dep(i).is_dense() for i in range(node.n_dep())):
        raise UnsupportedError(f"{_name(node.op())} of a sparse matrix is not compiled")


def _constant(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    if node.nnz() == 0:
        return reader.values.fill(0, 0.0)
    if node.nnz() < _LIST_OF_NUMBERS:
        return reader.values.data(np.array(node.to_DM().nonzeros(), dtype=np.float64))
    (array,) = evaluated(cs.Function("constant", [], [node]), [])
    return reader.values.data(array)


def _getnonzeros(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    if operands[0].size == 1 and node.nnz() >= _LIST_OF_NUMBERS and _is_spread(node):
        return reader.values.view(operands[0], Geometry((node.nnz(),), 0, (0,)))
    places = places_of(node.info())
    if isinstance(places, Geometry):
        return reader.values.view(operands[0], places)
    return reader.values.gather(operands[0], places)


def _is_spread(node: cs.MX) -> bool:
    """Tell whether a node takes one number for each entry, and for none a zero instead."""
    number = cs.MX.sym("number", node.dep(0).sparsity())
    # A value for each entry is sooner there than a list of as many places.
    (taken,) = evaluated(cs.Function("spread", [number], node.eval_mx([number])), [np.ones(1)])
    return bool(np.all(taken == 1.0))


def _setnonzeros(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    info = node.info()
    places = places_of(info)
    if not isinstance(places, Geometry):
        window = strided(places)
        # Where entries repeat, neighbouring turns of a loop would add to the same one.
        places = places if window is None or window.repeats else window
    return reader.values.assembly(operands[0], Part(operands[1], places, bool(info["add"])))


def _getnonzeros_param(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    if len(operands) != 2 or operands[1].size != node.nnz():
        raise UnsupportedError("a block by computed rows and columns is not compiled")
    return reader.values.pick(operands[0], operands[1])


def _transpose(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    source = node.dep(0)
    if not source.is_dense():
        places = np.array(source.sparsity().transpose()[1], dtype=np.int64)
        return reader.values.gather(operands[0], places)
    rows, columns = source.shape
    return reader.values.view(operands[0], Geometry((rows, columns), 0, (1, rows)))


def _same(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    return operands[0]


def _horzrepmat(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    size = operands[0].size
    return reader.values.view(operands[0], Geometry((node.nnz() // size, size), 0, (0, 1)))


def _horzrepsum(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    times = operands[0].size // node.nnz()
    return reduction(reader.values, "sum", operands[0], (times, node.nnz()), (False, True))


def _concatenation(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    return reader.values.concatenation(operands)


def _vertcat(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    if node.size2() != 1:
        raise UnsupportedError("CasADi's vertical concatenation of matrices is not compiled")
    return reader.values.concatenation(operands)


def _split(reader: _Arrays, node: cs.MX, operands: list[Value]) -> list[Value]:
    views, start = [], 0
    for i in range(node.n_out()):
        size = node.get_output(i).nnz()
        views.append(reader.values.view(operands[0], Geometry((size,), start, (1,))))
        start += size
    return views


def _vertsplit(reader: _Arrays, node: cs.MX, operands: list[Value]) -> list[Value]:
    if node.dep(0).size2() != 1:
        raise UnsupportedError("CasADi's vertical split of a matrix is not compiled")
    return _split(reader, node, operands)


def _mtimes(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    _dense(node)
    base, left, right = operands
    (rows, inner), columns = node.dep(1).shape, node.dep(2).size2()
    return matrix_product(reader.values, base, left, right, rows, inner, columns)


def _solve(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    _dense(node)
    if not has_lapack():
        raise UnsupportedError("no LAPACK was found beside NumPy, so that linear equations are solved by CasADi")
    sides, matrix = operands
    return reader.values.solve(matrix, sides, node.dep(1).size1(), bool(node.info()["tr"]))


def _einstein(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    return contraction(reader.values, node.info(), operands)


def _dot(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    terms = reader.values.elementwise(cs.OP_MUL, *operands)
    return reduction(reader.values, "sum", terms, (operands[0].size,), (False,))


def _extremum(kind: str) -> Callable[[_Arrays, cs.MX, list[Value]], Value]:
    def rule(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
        _dense(node)
        return reduction(reader.values, kind, operands[0], (operands[0].size,), (False,))

    return rule


def _norm(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    values = reader.values
    squares = values.elementwise(cs.OP_MUL, operands[0], operands[0])
    return values.elementwise(cs.OP_SQRT, reduction(values, "sum", squares, (operands[0].size,), (False,)))


def _project(reader: _Arrays, node: cs.MX, operands: list[Value]) -> Value:
    source, target = node.dep(0).sparsity(), node.sparsity()
    if source == target:
        return operands[0]
    places = dict(zip(_flat_places(source), range(source.nnz()), strict=True))
    taken = np.array([places.get(place, -1) for place in _flat_places(target)], dtype=np.int64)
    return reader.values.gather(operands[0], taken)


def _flat_places(sparsity: cs.Sparsity) -> list[int]:
    rows = sparsity.size1()
    return [row + rows * column for row, column in zip(sparsity.row(), sparsity.get_col(), strict=True)]


_EXTREMES = {EXTREMES[cs.OP_FMAX]: "maximum", EXTREMES[cs.OP_FMIN]: "minimum"}


def _call(reader: _Arrays, node: cs.MX, operands: list[Value]) -> list[Value]:
    function = node.which_function()
    values = reader.values
    if function.name() in _EXTREMES:
        rows, columns = function.size_in(0)
        kind = _EXTREMES[function.name()]
        return [reduction(values, kind, operands[0], (columns, rows), (False, True))]
    repeats = 1
    kind = function.class_name()
    if kind == "Switch":
        functions = [reader.callee(_of_one_sparsity(function, branch)) for branch in branches_of(function)]
        call = values.choice(operands[0], functions, operands[1:])
    else:
        inner, shared, summed = function, [False] * function.n_in(), [False] * function.n_out()
        while inner.class_name() == "Map":
            info = inner.info()
            repeats *= info["n"]
            inner = info["f"]
        if inner.class_name() == "MapSum":
            if repeats > 1:
                raise UnsupportedError("a map of a map that shares its arguments is not compiled")
            inner = function.find_functions(1)[0]
            # What is shared or summed has the size that it has in one call.
            sizes_in = [(function.nnz_in(i), inner.nnz_in(i)) for i in range(function.n_in())]
            sizes_out = [(function.nnz_out(i), inner.nnz_out(i)) for i in range(function.n_out())]
            repeats = max(whole // once for whole, once in sizes_in + sizes_out if once)
            shared = [whole == once for whole, once in sizes_in]
            summed = [whole == once for whole, once in sizes_out]
        call = values.call(reader.callee(inner), operands, repeats, shared)
        sizes = [inner.nnz_out(i) for i in range(inner.n_out())]
        results = [values.result(call, i, size * repeats) for i, size in enumerate(sizes)]
        return [
            reduction(values, "sum", result, (repeats, size), (False, True)) if is_summed and size else result
            for result, size, is_summed in zip(results, sizes, summed, strict=True)
        ]
    return [values.result(call, i, function.nnz_out(i)) for i in range(function.n_out())]


def _of_one_sparsity(choice: cs.Function, branch: cs.Function) -> cs.Function:
    """Return a branch that takes and gives what its choice does: derivatives have no entries for what nobody reads."""
    sparsities_in = [choice.sparsity_in(1 + i) for i in range(branch.n_in())]
    sparsities_out = [choice.sparsity_out(k) for k in range(branch.n_out())]
    own_in = [branch.sparsity_in(i) for i in range(branch.n_in())]
    own_out = [branch.sparsity_out(k) for k in range(branch.n_out())]
    if own_in == sparsities_in and own_out == sparsities_out:
        return branch
    inputs = [cs.MX.sym(f"i{i}", sparsity) for i, sparsity in enumerate(sparsities_in)]
    results = branch.call([cs.project(x, own) for x, own in zip(inputs, own_in, strict=True)], False, True)
    outputs = [cs.project(x, sparsity) for x, sparsity in zip(results, sparsities_out, strict=True)]
    return cs.Function(branch.name(), inputs, outputs)


_RULES: dict[int, Callable[[_Arrays, cs.MX, list[Value]], Value | list[Value]]] = {
    cs.OP_CONST: _constant,
    cs.OP_GETNONZEROS: _getnonzeros,
    cs.OP_ADDNONZEROS: _setnonzeros,
    cs.OP_SETNONZEROS: _setnonzeros,
    cs.OP_GETNONZEROS_PARAM: _getnonzeros_param,
    cs.OP_TRANSPOSE: _transpose,
    cs.OP_RESHAPE: _same,
    cs.OP_SPARSITY_CAST: _same,
    cs.OP_HORZREPMAT: _horzrepmat,
    cs.OP_HORZREPSUM: _horzrepsum,
    cs.OP_HORZCAT: _concatenation,
    cs.OP_DIAGCAT: _concatenation,
    cs.OP_VERTCAT: _vertcat,
    cs.OP_HORZSPLIT: _split,
    cs.OP_DIAGSPLIT: _split,
    cs.OP_VERTSPLIT: _vertsplit,
    cs.OP_MTIMES: _mtimes,
    cs.OP_DOT: _dot,
    cs.OP_SOLVE: _solve,
    cs.OP_EINSTEIN: _einstein,
    cs.OP_MMAX: _extremum("maximum"),
    cs.OP_MMIN: _extremum("minimum"),
    cs.OP_NORM2: _norm,
    cs.OP_NORMF: _norm,
    cs.OP_PROJECT: _project,
    cs.OP_CALL: _call,
}
