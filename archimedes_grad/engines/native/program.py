"""The C source of a Function: one C function for it, and one for each Function that it calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import casadi as cs
import numpy as np
import numpy.typing as npt

from archimedes_grad.engines.native.assemblies import Piece, are_disjoint, pieces, term_index
from archimedes_grad.engines.native.indices import in_order, refined
from archimedes_grad.engines.native.nests import Nest, fitting_loops, position
from archimedes_grad.engines.native.schedule import Group, Schedule, matrices_in_memory, root_of, slice_in_memory
from archimedes_grad.engines.native.tape import Form, read
from archimedes_grad.engines.native.values import (
    Assembly,
    Call,
    Choice,
    Data,
    Elementwise,
    Fill,
    Gather,
    Input,
    Product,
    Reduction,
    Result,
    Solve,
    Value,
)  # fmt: skip
from archimedes_grad.strided import Geometry


@dataclass(frozen=True)
class Entry:
    """A C function: its name, and how many numbers of working memory it needs."""

    name: str
    work: int


@dataclass(frozen=True)
class Source:
    """What is compiled.

    Attributes
    ----------
    text
        The C functions.
    entries
        Those that stand for the Functions asked for, in their order.
    data
        Arrays that the functions read: constants, and places as int64.
    kernels
        The names of the routines compiled once for a machine that are called.
    """

    text: str
    entries: tuple[Entry, ...]
    data: tuple[npt.NDArray[Any], ...]
    kernels: frozenset[str]


def source_of(*functions: cs.Function) -> Source:
    """Return the C source of Functions.

    Raises
    ------
    UnsupportedError
        If they hold something that is not compiled.
    """
    program = _Program()
    made = [program.compiled(function) for function in functions]
    entries = tuple(Entry(entry.name, entry.work) for entry in made)
    return Source("\n".join(program.texts), entries, tuple(program.data), frozenset(program.kernels))


@dataclass(frozen=True, eq=False)
class _Compiled:
    name: str
    form: Form
    work: int

    @property
    def output_sizes(self) -> list[int]:
        return [output.size for output in self.form.outputs]


@dataclass
class _Program:
    texts: list[str] = field(default_factory=list)
    data: list[npt.NDArray[Any]] = field(default_factory=list)
    kernels: set[str] = field(default_factory=set)
    _functions: dict[int, _Compiled] = field(default_factory=dict)
    _alive: list[cs.Function] = field(default_factory=list)
    _places: dict[bytes, int] = field(default_factory=dict)

    def compiled(self, function: cs.Function) -> _Compiled:
        """Return the C function of a Function, written when it is first met."""
        key = function.__hash__()
        if key not in self._functions:
            # The key is an address: it must stay taken.
            self._alive.append(function)
            form = read(function, self.compiled)
            name = f"function_{len(self._functions)}"
            self._functions[key] = _CFunction(self, name, form).compiled()
        return self._functions[key]

    def data_number(self, array: npt.NDArray[Any]) -> int:
        """Return the number of an array among the data."""
        key = array.dtype.char.encode() + array.tobytes()
        if key not in self._places:
            self._places[key] = len(self.data)
            self.data.append(array)
        return self._places[key]


class _CFunction:
    """One C function under construction."""

    def __init__(self, program: _Program, name: str, form: Form) -> None:
        self.program = program
        self.name = name
        self.form = form
        self.outputs = self._own_outputs(form)
        self.schedule = Schedule([value for value in self.outputs if value is not None])
        self.names: dict[Value, str] = {}
        self.pointers: dict[Value, str] = {}
        self.variables: list[str] = []
        self.lines: list[str] = []
        self.work = 0
        self.deepest_call = 0

    @staticmethod
    def _own_outputs(form: Form) -> list[Value | None]:
        """Return for each output a value that is computed for it alone; None where there is nothing to write."""
        taken: set[Value] = set()
        outputs: list[Value | None] = []
        for value in form.outputs:
            if value.size == 0:
                outputs.append(None)
                continue
            if not isinstance(value, Elementwise | Reduction | Product | Solve | Assembly) or value in taken:
                value = form.values.fresh(value)
            taken.add(value)
            outputs.append(value)
        return outputs

    def compiled(self) -> _Compiled:
        """Write the function."""
        self._place()
        for group in self.schedule.groups:
            self._write(group)
        for number, output in enumerate(self.outputs):
            if output is not None and output.size == 1:
                self.lines.append(f"res[{number}][0] = {self.names[output]};")
        parameters = "const double *const *arg, double *const *res, double *w, const double *const *data"
        # A step that is called many times is not copied to all of these places: compiling would take twice as long.
        head = f"static NOT_INLINED int {self.name}({parameters})"
        variables = [f"double {', '.join(self.variables)};"] if self.variables else []
        unused = "(void)arg, (void)res, (void)w, (void)data;"
        lines = [head, "{", *(f"    {line}" for line in [*variables, unused, *self.lines, "return 0;"]), "}", ""]
        self.program.texts.append("\n".join(lines))
        return _Compiled(self.name, self.form, self.work + self.deepest_call)

    # --- where values live ----------------------------------------------------------------------

    def _place(self) -> None:
        """Give every stored value a name: a variable, an argument, an output, or a stretch of working memory."""
        schedule = self.schedule
        last_use: dict[Value, int] = {}
        for reader, read_values in schedule.reads_of.items():
            for value in read_values:
                last_use[value] = max(last_use.get(value, 0), schedule.group_of[reader])
        outputs = {output: number for number, output in enumerate(self.outputs) if output is not None}
        hosts = self._hosts()
        first_written = {
            host: min(schedule.group_of[guest] for guest in guests) for host, guests in hosts.items()
        }
        hosted = {guest for guests in hosts.values() for guest in guests}
        free = _Memory()
        ending: dict[int, list[Value]] = {}
        by_group: dict[int, list[Value]] = {}
        for value in schedule.order:
            if value not in schedule.stored:
                continue
            if isinstance(value, Input):
                self._name(value, f"arg[{value.number}]")
            elif isinstance(value, Data):
                self._name(value, f"data[{self.program.data_number(value.array)}]")
            elif value.size == 1:
                self.names[value] = f"s{value.serial}"
                self.variables.append(f"s{value.serial}")
            elif value in outputs:
                self._name(value, f"res[{outputs[value]}]")
            elif value not in hosted:
                by_group.setdefault(first_written.get(value, schedule.group_of[value]), []).append(value)
        for number in range(len(schedule.groups)):
            for value in by_group.get(number, []):
                self._name(value, f"w + {free.taken(value.size)}")
                ending.setdefault(last_use.get(value, number), []).append(value)
            for value in ending.get(number, []):
                free.give_back(int(self.pointers[value].removeprefix("w + ")), value.size)
        self.work = free.size
        for host, guests in hosts.items():
            for guest, offset in guests.items():
                self._name(guest, self._address(host, offset))
        self.in_place = hosted

    def _hosts(self) -> dict[Value, dict[Value, int]]:
        """Return which products and results of calls are computed right where an assembly has them, and how far in."""
        readers: dict[Value, int] = {}
        for read_values in self.schedule.reads_of.values():
            for value in read_values:
                readers[value] = readers.get(value, 0) + 1
        hosts: dict[Value, dict[Value, int]] = {}
        for value in self.schedule.order:
            if not isinstance(value, Assembly) or not are_disjoint(value) or value.size == 1:
                continue
            guests: dict[Value, int] = {}
            for piece in pieces(value):
                (term, shift), *others = piece.terms
                whole = isinstance(piece.target, Geometry) and piece.target.size == term.size and shift == 0
                own = isinstance(term, Product | Result) and readers.get(term) == 1 and term not in self.outputs
                if whole and own and not others and term.size > 1 and isinstance(piece.target, Geometry):
                    guests[term] = piece.target.offset
            if guests:
                hosts[value] = guests
        return hosts

    def _name(self, value: Value, pointer: str) -> None:
        self.pointers[value] = pointer
        self.names[value] = f"{pointer}[0]" if value.size == 1 else f"v{value.serial}"

    def _address(self, value: Value, offset: int = 0) -> str:
        if value not in self.pointers:
            return f"&{self.names[value]}"
        return f"{self.pointers[value]} + {offset}" if offset else self.pointers[value]

    # --- statements -----------------------------------------------------------------------------

    def _write(self, group: Group) -> None:
        if group.loops is not None:
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

    def _nest(self, loops: tuple[int, ...]) -> Nest:
        return Nest(loops, self.names.__getitem__, self.schedule.is_stored, self._places_of)

    def _places_of(self, gather: Gather) -> str:
        return f"p{self.program.data_number(gather.places)}"

    def _write_nest(self, group: Group) -> None:
        assert group.loops is not None
        nest = self._nest(group.loops)
        targets = []
        for value in group.members:
            root, _ = root_of(value)
            nest.is_stored = self.schedule.is_other(value)
            name = self.names[value]
            if isinstance(value, Reduction):
                nest.reduce(value, name)
            elif value.size == 1:
                nest.assign(root, in_order(group.loops), name)
            else:
                nest.store(root, in_order(group.loops), name, in_order(group.loops))
            if value.size > 1:
                targets.append(value)
        self._block(nest, targets)

    def _block(self, nest: Nest, targets: list[Value]) -> None:
        """Write a nest in a block that declares what it reads and writes."""
        read_only = [value for value in nest.used if value.size > 1 and value not in targets]
        declared = [
            f"const double *restrict {self.names[value]} = {self.pointers[value]};"
            for value in sorted(read_only, key=lambda value: value.serial)
        ]
        declared += (f"double *restrict {self.names[value]} = {self.pointers[value]};" for value in targets)
        text = nest.text()
        joined = "\n".join(text)
        for number, array in enumerate(self.program.data):
            if array.dtype == np.int64 and f"p{number}[" in joined:
                declared.append(f"const long long *restrict p{number} = (const long long *)data[{number}];")
        self.lines += ["{", *(f"    {line}" for line in [*declared, *text]), "}"]

    def _write_assembly(self, value: Assembly) -> None:
        single = self._nest(())
        for piece in pieces(value):
            if piece.terms[0][0] in self.in_place:
                continue
            if piece.loops == () and are_disjoint(value):
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
            nest.before[-1].append(f"    {self.names[value]}[(long){place}] {operator} {expression};")
            nest.before[-1].append("}")
        elif isinstance(piece.target, np.ndarray):
            place = f"p{self.program.data_number(piece.target)}[{position(in_order(loops))}]"
            nest.may_vectorise = False
            # Entries with a negative place are dropped.
            chosen = f"if ({place} >= 0) " if int(piece.target.min()) < 0 else ""
            nest.before[-1].append(f"{chosen}{self.names[value]}[{place}] {operator} {expression};")
        elif value.size == 1:
            nest.before[-1].append(f"{self.names[value]} {operator} {expression};")
        else:
            place = position(piece.target_index(loops))
            nest.before[-1].append(f"{self.names[value]}[{place}] {operator} {expression};")

    def _write_product(self, value: Product) -> None:
        self.program.kernels.add("small_product")
        starts_at_zero = isinstance(value.base, Fill) and value.base.number == 0.0
        if not starts_at_zero:
            nest = self._nest((value.size,))
            nest.store(value.base, in_order((value.size,)), self.names[value], in_order((value.size,)))
            self._block(nest, [value])
        left, right = matrices_in_memory(value)
        operands, moves = [], [f" + k*{value.rows * value.columns}"]
        for matrix in (left, right):
            moves.append(f" + k*{matrix.step}" if matrix.step else "")
            operands.append(f"{int(matrix.transposed)}, {{}}, {matrix.leading}")
        addresses = [self._address(value), *(self._address(m.source, m.offset) for m in (left, right))]
        if value.count > 1:
            self.lines.append(f"for (long k = 0; k < {value.count}; ++k)")
            addresses = [address + move for address, move in zip(addresses, moves, strict=True)]
        sizes = f"{value.rows}, {value.columns}, {value.inner}"
        matrices = ", ".join(operands).format(*addresses[1:])
        indent = "    " if value.count > 1 else ""
        self.lines.append(
            f"{indent}matrix_product(data, {sizes}, {matrices}, {int(not starts_at_zero)}, {addresses[0]});"
        )

    def _write_solve(self, value: Solve) -> None:
        self.program.kernels.add("solve_equations")
        # A copy of the matrix, and its pivots.
        self.deepest_call = max(self.deepest_call, value.n * (value.n + 1))
        addresses = []
        for operand in (value.matrix, value.sides):
            held, offset = slice_in_memory(operand)
            addresses.append(self._address(held, offset))
        sizes = f"{value.n}, {value.size // value.n}, {int(value.transposed)}"
        operands = ", ".join([*addresses, self._address(value), f"w + {self.work}"])
        self.lines.append(f"if (solve_equations(data, {sizes}, {operands})) return 1;")

    def _write_call(self, call: Call | Choice) -> None:
        results = {v.number: v for v in self.schedule.order if isinstance(v, Result) and v.call is call}
        functions = call.functions if isinstance(call, Choice) else (call.function,)
        repeats = call.repeats if isinstance(call, Call) else 1
        work = max(function.work for function in functions)
        outputs = []
        for number, size in enumerate(functions[0].output_sizes):
            if number in results:
                outputs.append(self._address(results[number]))
            else:
                # Nobody reads it, but it is written.
                outputs.append(f"w + {self.work + work}" if size else "0")
                work += size * repeats
        self.deepest_call = max(self.deepest_call, work)
        arguments = []
        for operand in call.arguments:
            held, offset = slice_in_memory(operand)
            arguments.append(self._address(held, offset) if operand.size else "0")
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
        called = [f"if ({function.name}(a, r, w + {self.work}, data)) return 1;" for function in functions]
        if isinstance(call, Choice):
            held, offset = slice_in_memory(call.selector)
            lines.append(f"switch ((int)*({self._address(held, offset)})) {{")
            lines += [f"case {k}: {line} break;" for k, line in enumerate(called[:-1])]
            lines += [f"default: {called[-1]}", "}"]
        else:
            lines.append(called[0] if repeats == 1 else f"    {called[0]}")
        if repeats > 1:
            lines.append("}")
        self.lines += ["{", *(f"    {line}" for line in lines), "}"]


class _Memory:
    """Stretches of working memory, given out and taken back."""

    def __init__(self) -> None:
        self.size = 0
        self.free: list[tuple[int, int]] = []

    def taken(self, size: int) -> int:
        """Return where a free stretch of at least that size begins."""
        size = -(-size // 8) * 8
        fitting = [(length, start) for start, length in self.free if length >= size]
        if fitting:
            length, start = min(fitting)
            self.free.remove((start, length))
            if length > size:
                self.free.append((start + size, length - size))
            return start
        start = self.size
        self.size += size
        return start

    def give_back(self, start: int, size: int) -> None:
        """Take a stretch back, joined with free neighbours."""
        end = start + -(-size // 8) * 8
        for low, length in list(self.free):
            if low + length == start or low == end:
                self.free.remove((low, length))
                start, end = min(start, low), max(end, low + length)
        self.free.append((start, end - start))


