"""Writes a function as C: statements for each step of its plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.assemblies import Piece, are_disjoint, pieces, term_index
from archimedes_grad.engines.native.blocking import Plan, Region, Split
from archimedes_grad.engines.native.indices import c_strides, in_order, refined
from archimedes_grad.engines.native.memory import Memory
from archimedes_grad.engines.native.nests import Nest, Tile, fitting_loops, position, started, updated
from archimedes_grad.engines.native.parts import call_in_parts, function_of_part, is_worth_it, tile_of_parts
from archimedes_grad.engines.native.repeated_text import rolled
from archimedes_grad.engines.native.schedule import (
    Group,
    Schedule,
    matrices_in_memory,
    root_of,
    slice_in_memory,
)
from archimedes_grad.engines.native.tape import Form
from archimedes_grad.engines.native.values import (
    Assembly,
    Call,
    Choice,
    Elementwise,
    Fill,
    Gather,
    Product,
    Reduction,
    Result,
    Solve,
    Value,
)


@dataclass(eq=False, repr=False)
class Shared:
    """What the C functions of a program have in common: the arrays that they read, and what they call.

    Attributes
    ----------
    in_parts
        Whether large loops run in parts, on several threads.
    """

    in_parts: bool = False
    data: list[npt.NDArray[Any]] = field(default_factory=list)
    kernels: set[str] = field(default_factory=set)
    _places: dict[bytes, int] = field(default_factory=dict)

    def data_number(self, array: npt.NDArray[Any]) -> int:
        """Return the number of an array among the data."""
        key = array.dtype.char.encode() + array.tobytes()
        if key not in self._places:
            self._places[key] = len(self.data)
            self.data.append(array)
        return self._places[key]


@dataclass(eq=False, repr=False)
class Callee:
    """A C function as others call it.

    Attributes
    ----------
    needed
        The numbers of its outputs that some caller reads; the others are neither computed nor written.
    work
        How many numbers of working memory it needs; known once it is written.
    """

    name: str
    form: Form
    needed: set[int] = field(default_factory=set)
    work: int = 0

    @property
    def output_sizes(self) -> list[int]:
        """The sizes of its outputs; 0 for those that are not needed."""
        return [output.size if number in self.needed else 0 for number, output in enumerate(self.form.outputs)]


class CFunction:
    """One C function under construction.

    What it needs of the functions that it calls is noted at once, so that callers are made before what they call; the
    text is written after theirs.
    """

    def __init__(self, shared: Shared, callee: Callee) -> None:
        self.shared = shared
        self.callee = callee
        self.outputs = _own_outputs(callee)
        self.schedule = Schedule([value for value in self.outputs if value is not None])
        for value in self.schedule.order:
            if isinstance(value, Result):
                for function in _functions(value.call):
                    function.needed.add(value.number)
        self.plan = Plan(self.schedule)
        self.memory = Memory(
            self.schedule, self.plan, self.outputs, lambda value: shared.data_number(value.array)
        )
        self.lines: list[str] = []
        self.functions_of_parts: list[str] = []
        self.deepest_call = 0

    def text(self) -> str:
        """Return the function's C; what it calls has to be written."""
        for step in self.plan.steps:
            if isinstance(step, Region):
                self._write_region(step)
            else:
                self._write(step)
        for number, output in enumerate(self.outputs):
            if output is not None and output.size == 1:
                self.lines.append(f"res[{number}][0] = {self.memory.names[output]};")
        parameters = "const double *const *arg, double *const *res, double *w, const double *const *data"
        # A step that is called many times is not copied to all of these places: compiling would take twice as long.
        head = f"static NOT_INLINED int {self.callee.name}({parameters})"
        variables = [f"double {', '.join(self.memory.variables)};"] if self.memory.variables else []
        unused = "(void)arg, (void)res, (void)w, (void)data;"
        self.callee.work = self.memory.work + self.deepest_call
        body = [f"    {line}" for line in [*variables, unused, *rolled(self.lines), "return 0;"]]
        return "\n".join([*self.functions_of_parts, head, "{", *body, "}", ""])

    def _write(self, group: Group) -> None:
        if group.loops is not None:
            tile = tile_of_parts(group) if self.shared.in_parts else None
            if tile is None or not self._write_in_parts(group, tile):
                self._write_nest(group)
            return
        (value,) = group.members
        if isinstance(value, Product):
            self._write_product(value)
        elif isinstance(value, Assembly):
            self._write_assembly(value)
        elif isinstance(value, Solve):
            self._write_solve(value)
        else:
            assert isinstance(value, Call | Choice)
            self._write_call(value)

    # --- loops ----------------------------------------------------------------------------------

    def _write_region(self, region: Region) -> None:
        for value in region.sums:
            name = self.memory.names[value]
            self.lines.append(started(value, name if value.size == 1 else f"({self.memory.address(value)})"))
        *outer, last = region.tile.axes
        outside, self.lines = self.lines, []
        for group in region.groups:
            if group.loops is not None:
                self._write_nest(group, region.tile)
            else:
                (value,) = group.members
                assert isinstance(value, Product)
                self._write_cut_product(value, region.tile, region.splits[value])
        body, self.lines = self.lines, outside
        for k, length in enumerate(outer):
            self.lines.append(f"{'    ' * k}for (long i{k} = 0; i{k} < {length}; ++i{k}) {{")
        indent = "    " * len(outer)
        self.lines.append(f"{indent}for (long first = 0; first < {last}; first += {region.tile.block}) {{")
        self.lines.append(f"{indent}    const long count = {region.tile.count};")
        self.lines += [f"{indent}    {line}" for line in body]
        self.lines += ["    " * k + "}" for k in range(len(outer), -1, -1)]

    def _nest(self, loops: tuple[int, ...], tile: Tile | None = None) -> Nest:
        return Nest(loops, self.memory.names.__getitem__, self.schedule.is_stored, self._places_of, tile)

    def _places_of(self, gather: Gather) -> str:
        return f"p{self.shared.data_number(gather.places)}"

    def _write_nest(self, group: Group, tile: Tile | None = None) -> None:
        self._block(self._filled_nest(group, tile), [value for value in group.members if value.size > 1])

    def _write_in_parts(self, group: Group, tile: Tile) -> bool:
        """Write a nest as a function of a part and its call; tell whether it is worth it."""
        nest = self._filled_nest(group, tile)
        if not is_worth_it(group, nest.weight):
            return False
        self.shared.kernels.add("run_in_parts")
        name = f"{self.callee.name}_part_{len(self.functions_of_parts)}"
        names = self.memory.names
        numbers = sorted({names[value] for value in nest.used if value.size == 1} & {*self.memory.variables})
        reduced = [value for value in group.members if isinstance(value, Reduction) and value.size == 1]
        starts = [started(value, names[value]) for value in reduced]
        sums = list(zip((names[value] for value in reduced), starts, strict=True))
        body = self._declared(nest, [value for value in group.members if value.size > 1])
        self.functions_of_parts.append(function_of_part(name, tile, numbers, sums, body))
        updates = [updated(value, names[value], "sums[k]") for value in reduced]
        call = call_in_parts(name, tile, numbers, starts, updates)
        self.lines += ["{", *(f"    {line}" for line in call), "}"]
        return True

    def _filled_nest(self, group: Group, tile: Tile | None) -> Nest:
        assert group.loops is not None
        nest = self._nest(group.loops, tile)
        for value in group.members:
            root, _ = root_of(value)
            nest.is_stored = self.schedule.is_other(value)
            if isinstance(value, Reduction):
                nest.reduce(value)
            elif value.size == 1:
                nest.assign(root, in_order(group.loops), self.memory.names[value])
            else:
                nest.store(root, in_order(group.loops), value)
        return nest

    def _block(self, nest: Nest, targets: list[Value]) -> None:
        """Write a nest in a block of its own."""
        self.lines += ["{", *(f"    {line}" for line in self._declared(nest, targets)), "}"]

    def _declared(self, nest: Nest, targets: list[Value]) -> list[str]:
        """Return a nest, after declarations of what it reads and writes."""
        read_only = [value for value in nest.used if value.size > 1 and value not in targets]
        memory = self.memory
        declared = [
            f"const double *restrict {memory.names[value]} = {memory.pointers[value]};"
            for value in sorted(read_only, key=lambda value: value.serial)
        ]
        declared += (f"double *restrict {memory.names[value]} = {memory.pointers[value]};" for value in targets)
        text = nest.text()
        joined = "\n".join(text)
        for number, array in enumerate(self.shared.data):
            if array.dtype == np.int64 and f"p{number}[" in joined:
                declared.append(f"const long long *restrict p{number} = (const long long *)data[{number}];")
        return [*declared, *text]

    # --- assemblies -----------------------------------------------------------------------------

    def _write_assembly(self, value: Assembly) -> None:
        single, disjoint = self._nest(()), are_disjoint(value)
        for piece in pieces(value):
            if piece.terms[0][0] in self.memory.in_place:
                continue
            if piece.loops == () and disjoint:
                self._piece(single, piece, value, ())
                continue
            loops = refined(piece.loops, piece.loops) or ()
            for term, shift in piece.terms:
                loops, _ = fitting_loops(term, loops, partial(term_index, shift), self.schedule.is_stored)
            nest = self._nest(loops)
            self._piece(nest, piece, value, loops)
            self._block(nest, [value] if value.size > 1 else [])
        if single.before[0]:
            self._block(single, [value] if value.size > 1 else [])

    def _piece(self, nest: Nest, piece: Piece, value: Value, loops: tuple[int, ...]) -> None:
        entries = [nest.entry(term, term_index(shift, loops))[0] for term, shift in piece.terms]
        operator = "+=" if piece.adds else "="
        expression = " + ".join(entries)
        if isinstance(piece.target, Value):
            place, _ = nest.entry(piece.target, in_order(loops))
            nest.may_vectorise = False
            nest.before[-1].append(f"if ({place} >= 0 && {place} < {value.size}) {{")
            nest.before[-1].append(f"    {self.memory.names[value]}[(long){place}] {operator} {expression};")
            nest.before[-1].append("}")
        elif isinstance(piece.target, np.ndarray):
            place = f"p{self.shared.data_number(piece.target)}[{position(in_order(loops))}]"
            nest.may_vectorise = False
            # Entries with a negative place are dropped.
            chosen = f"if ({place} >= 0) " if int(piece.target.min()) < 0 else ""
            nest.before[-1].append(f"{chosen}{self.memory.names[value]}[{place}] {operator} {expression};")
        elif value.size == 1:
            nest.before[-1].append(f"{self.memory.names[value]} {operator} {expression};")
        else:
            place = position(piece.target_index(loops))
            nest.before[-1].append(f"{self.memory.names[value]}[{place}] {operator} {expression};")

    # --- products, equations and calls ----------------------------------------------------------

    def _write_product(self, value: Product) -> None:
        starts_at_zero = isinstance(value.base, Fill) and value.base.number == 0.0
        if not starts_at_zero:
            nest = self._nest((value.size,))
            nest.store(value.base, in_order((value.size,)), value)
            self._block(nest, [value])
        left, right = matrices_in_memory(value)
        addresses = [self.memory.address(m.source, m.offset) for m in (left, right)]
        addresses.append(self.memory.address(value))
        if value.count > 1:
            self.lines.append(f"for (long k = 0; k < {value.count}; ++k)")
            steps = (left.step, right.step, value.rows * value.columns)
            addresses = [f"{address} + {step}*k" for address, step in zip(addresses, steps, strict=True)]
        sizes = f"{value.rows}, {value.columns}, {value.inner}"
        self._multiply(value, sizes, addresses, adds=not starts_at_zero, is_repeated=value.count > 1)

    def _write_cut_product(self, value: Product, tile: Tile, split: Split) -> None:
        """Write a product for one block of outer loops."""
        left, right = matrices_in_memory(value)
        of_batch = c_strides(tile.axes[: split.batch])
        is_whole = split.batch == len(tile.axes)
        turns = c_strides(tile.axes[split.batch :])

        def begin(source: Value, offset: int, step: int, each: int) -> str:
            address = self.memory.address(source, offset)
            if source not in tile.local:
                steps = (*(k * step for k in of_batch), *(k * each for k in turns))
                address = " + ".join([address, *tile.place(steps)])
            return f"{address} + {step}*k" if is_whole else address

        # How far the terms or columns of a turn lie behind those of the turn before.
        left_each = right_each = 0
        if split.sums:
            left_each = split.each * (1 if left.transposed else left.leading)
            right_each = split.each * (right.leading if right.transposed else 1)
        else:
            right_each = split.each * (1 if right.transposed else right.leading)
        addresses = [
            begin(left.source, left.offset, left.step, left_each),
            begin(right.source, right.offset, right.step, right_each),
            begin(value, 0, value.rows * value.columns, 0 if split.sums else split.each * value.rows),
        ]
        sizes = [str(value.rows), str(value.columns), str(value.inner)]
        if is_whole:
            self.lines.append("for (long k = 0; k < count; ++k)")
        else:
            sizes[2 if split.sums else 1] = "count" if split.each == 1 else f"{split.each}*count"
        self._multiply(value, ", ".join(sizes), addresses, adds=split.sums, is_repeated=is_whole)

    def _multiply(self, value: Product, sizes: str, addresses: list[str], adds: bool, is_repeated: bool) -> None:
        self.shared.kernels.add("small_product")
        matrices = ", ".join(
            f"{int(matrix.transposed)}, {address}, {matrix.leading}"
            for matrix, address in zip(matrices_in_memory(value), addresses, strict=False)
        )
        indent = "    " if is_repeated else ""
        self.lines.append(f"{indent}matrix_product(data, {sizes}, {matrices}, {int(adds)}, {addresses[-1]});")

    def _write_solve(self, value: Solve) -> None:
        self.shared.kernels.add("solve_equations")
        # A copy of the matrix, and its pivots.
        self.deepest_call = max(self.deepest_call, value.n * (value.n + 1))
        addresses = []
        for operand in (value.matrix, value.sides):
            held, offset = slice_in_memory(operand)
            addresses.append(self.memory.address(held, offset))
        sizes = f"{value.n}, {value.size // value.n}, {int(value.transposed)}"
        operands = ", ".join([*addresses, self.memory.address(value), f"w + {self.memory.work}"])
        self.lines.append(f"if (solve_equations(data, {sizes}, {operands})) return 1;")

    def _write_call(self, call: Call | Choice) -> None:
        results = {v.number: v for v in self.schedule.order if isinstance(v, Result) and v.call is call}
        functions = _functions(call)
        repeats = call.repeats if isinstance(call, Call) else 1
        work = max(function.work for function in functions)
        outputs = []
        for number, size in enumerate(functions[0].output_sizes):
            if number in results:
                outputs.append(self.memory.address(results[number]))
            else:
                # Nobody reads it here, but it is written.
                outputs.append(f"w + {self.memory.work + work}" if size else "0")
                work += size * repeats
        self.deepest_call = max(self.deepest_call, work)
        arguments = []
        for operand in call.arguments:
            held, offset = slice_in_memory(operand)
            arguments.append(self.memory.address(held, offset) if operand.size else "0")
        lines = []
        if repeats == 1:
            lines.append(f"const double *const a[] = {{{', '.join(arguments) or '0'}}};")
            lines.append(f"double *const r[] = {{{', '.join(outputs) or '0'}}};")
        else:
            shared = call.shared if isinstance(call, Call) else ()
            steps_in = [
                0 if is_shared else operand.size // repeats
                for operand, is_shared in zip(call.arguments, shared, strict=True)
            ]
            lines.append(f"for (long k = 0; k < {repeats}; ++k) {{")
            moved = [f"{a} + k*{step}" if step else a for a, step in zip(arguments, steps_in, strict=True)]
            lines.append(f"    const double *const a[] = {{{', '.join(moved) or '0'}}};")
            sizes = functions[0].output_sizes
            moved = [f"{r} + k*{size}" if size else r for r, size in zip(outputs, sizes, strict=True)]
            lines.append(f"    double *const r[] = {{{', '.join(moved) or '0'}}};")
        called = [f"if ({function.name}(a, r, w + {self.memory.work}, data)) return 1;" for function in functions]
        if isinstance(call, Choice):
            held, offset = slice_in_memory(call.selector)
            lines.append(f"switch ((int)*({self.memory.address(held, offset)})) {{")
            lines += [f"case {k}: {line} break;" for k, line in enumerate(called[:-1])]
            lines += [f"default: {called[-1]}", "}"]
        else:
            lines.append(called[0] if repeats == 1 else f"    {called[0]}")
        if repeats > 1:
            lines.append("}")
        self.lines += ["{", *(f"    {line}" for line in lines), "}"]


def _functions(call: Call | Choice) -> tuple[Callee, ...]:
    return call.functions if isinstance(call, Choice) else (call.function,)


def _own_outputs(callee: Callee) -> list[Value | None]:
    """Return for each output a value that is computed for it alone; None where there is nothing to write."""
    form = callee.form
    taken: set[Value] = set()
    outputs: list[Value | None] = []
    for number, value in enumerate(form.outputs):
        if value.size == 0 or number not in callee.needed:
            outputs.append(None)
            continue
        if not isinstance(value, Elementwise | Reduction | Product | Solve | Assembly) or value in taken:
            value = form.values.fresh(value)
        taken.add(value)
        outputs.append(value)
    return outputs
