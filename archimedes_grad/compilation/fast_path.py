"""The fast path of a call: Python source made for one form of call, so that a call costs a microsecond.

For a call of the same form as one seen before, everything is known: where each leaf lies in the arguments,
its type and shape, its buffer, and how the outputs make up the result. The source written here does just
that: check, copy in, evaluate, copy out. For ``grad(f)(x)`` with three entries in x it reads::

    def call(args, kwargs):
        if len(args) != 1 or kwargs: return MISS
        v0, = args
        if not (type(v0) is ndarray and v0.dtype is dtype0 and v0.shape == shape0): return MISS
        try: slot = take_slot()
        except IndexError: slot = new_slot()
        i0, o0, evaluate, buffers = slot
        i0[...] = v0
        evaluate()
        result = o0.copy()
        give_back(slot)
        return result
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from archimedes_grad.arguments.signature import Layout
from archimedes_grad.arguments.specs import beside_fields, flatten, is_mutable, key_orders, static_key
from archimedes_grad.arrays.complex_array import ComplexForm
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.engines.vm import DIRECT_FROM, Slot, failures, forget_failure, raise_failure, raise_in_words
from archimedes_grad.nodes.strided import is_fortran_order, strides_in_memory
from archimedes_grad.tracing.graph import Leaf, Output, Template


class Miss:
    """What a fast path returns where it has no result.

    Either the call is not of its form (``MISS``), or a guard of its path did not hold: then with the numeric leaves
    of the call, the path, how many guards held from the first on, and the outcome of the one that did not. Or the
    evaluation failed: then `held` is ``FAILED``.
    """

    __slots__ = ("held", "leaves", "outcome", "path")

    def __init__(self, leaves: list[Any], path: Any, held: int, outcome: float) -> None:
        self.leaves = leaves
        self.path = path
        self.held = held
        self.outcome = outcome


#: For a call that is not of the fast path's form.
MISS = Miss([], None, 0, 0.0)

#: In the place of how many guards held, where that is not known or all of them did.
FAILED = -1

_FLOAT64 = np.dtype(np.float64)
_COMPARED_BY_VALUE = (str, int)


class FastPath(NamedTuple):
    """A call's fast path.

    Attributes
    ----------
    call
        ``(args, kwargs)``: the result, or a ``Miss``.
    run
        ``(leaves)``: the result for numeric leaves of the right shapes, of any real dtype; or a ``Miss`` where a
        guard does not hold, or the evaluation fails.
    hits
        One number: how often the path was taken; counted where there are guards.
    """

    call: Callable[[tuple[Any, ...], dict[str, Any]], Any]
    run: Callable[[list[Any]], Any]
    hits: list[int]


class Promotion(NamedTuple):
    """What a fast path starts in a thread of its own once its evaluations have taken so many seconds."""

    seconds: float
    start: Callable[[], None]


def new_fast_path(
    derived: Derived, layout: Layout, keys: Sequence[Any], trees: dict[int, Template], values: list[Any],
    path: Callable[[], Any], promotion: Promotion | None = None,
) -> FastPath:  # fmt: skip
    """Return the fast path for calls of one form.

    Parameters
    ----------
    keys
        For each value of the call, its part of the key: what a static one was when the call came.
    trees
        For the position of each value of the call, how leaves make it up.
    values
        The numeric leaves of the call that was traced: their types are what the fast path takes.
    path
        Gives the path that a ``Miss`` names. A weak reference: the path holds the fast path.
    promotion
        Called for after its time.
    """
    source = _Source(derived, layout, path, promotion)
    for position, tree in trees.items():
        source.argument(position, keys[position], tree, values)
    source.finish()
    return source.compiled()


class _Source:
    """The source under construction, and the objects that it names."""

    def __init__(
        self, derived: Derived, layout: Layout, path: Callable[[], Any], promotion: Promotion | None
    ) -> None:
        self.promotion = promotion
        self.derived = derived
        self.layout = layout
        self.leaves = derived.graph.leaves
        self.checks: list[str] = []
        self.names: dict[str, Any] = {
            "MISS": MISS, "ndarray": np.ndarray, "float64": np.float64, "empty": np.empty, "flatten": flatten,
            "static_key": static_key, "key_orders": key_orders,
            "strides_in_memory": strides_in_memory,
            "contiguous": np.ascontiguousarray, "Miss": Miss, "FAILED": FAILED, "path": path,
            "hits": [0], "failures": failures, "raise_failure": raise_failure, "forget_failure": forget_failure,
            "raise_in_words": raise_in_words,
        }  # fmt: skip
        self._fresh = 0

    def name(self, prefix: str, held: Any) -> str:
        """Return a new name for an object."""
        self._fresh += 1
        name = f"{prefix}_{self._fresh}"
        self.names[name] = held
        return name

    # --- taking the arguments apart -------------------------------------------------------------

    def argument(self, position: int, key: Any, tree: Template, values: list[Any]) -> None:
        """Check one value of the call and name its leaves ``l0``, ``l1``, ..."""
        value = f"v{position}"
        if position in self.layout.static and is_mutable(tree.constant):
            # The same object may hold something else by now.
            self.checks.append(f"if static_key({value}) != {self.name('key', key)}: return MISS")
        elif tree.structure is None or isinstance(tree.structure, ComplexForm):
            self._leaf(value, tree, values)
        else:
            self._tree(value, tree.structure, iter(tree.children), values)

    def _tree(self, value: str, structure: Any, leaves: Iterator[Template], values: list[Any]) -> None:
        if structure.is_leaf(strict=True):
            self._leaf(value, next(leaves), values)
            return
        kind, children = structure.type, structure.children()
        accesses = _accesses(value, structure, lambda key: self.name("key", key))
        if accesses is None:
            parts = [f"{value}_{i}" for i in range(structure.num_leaves)]
            self.checks.append(f"leaves, structure = flatten({value})")
            orders = self.name("orders", key_orders(structure))
            same = f"structure == {self.name('structure', structure)} and key_orders(structure) == {orders}"
            self.checks.append(f"if not ({same}): return MISS")
            self.checks.append(f"{', '.join(parts)}{',' * (len(parts) == 1)} = leaves" if parts else "")
            for part in parts:
                self._leaf(part, next(leaves), values)
            return
        sized = f" or len({value}) != {len(children)}" if kind in (list, tuple) else ""
        if kind is dict:
            # In the order in which they came, which the function may go by.
            sized = f" or (*{value},) != {self.name('keys', (*structure.unflatten(range(structure.num_leaves)),))}"
        self.checks.append(f"if type({value}) is not {self.name('kind', kind)}{sized}: return MISS")
        for attribute, held in beside_fields(kind).items() if dataclasses.is_dataclass(kind) else ():
            if not hasattr(held, "__get__"):  # methods
                self.checks.append(f"if {value}.{attribute} is not {self.name('held', held)}: return MISS")
        for i, (access, child) in enumerate(zip(accesses, children, strict=True)):
            self.checks.append(f"{value}_{i} = {access}")
            self._tree(f"{value}_{i}", child, leaves, values)

    def _leaf(self, value: str, leaf: Template, values: list[Any]) -> None:
        if isinstance(leaf.structure, ComplexForm):
            self._complex(value, leaf.structure, [child.output for child in leaf.children], values)
            return
        if leaf.output is None:
            self._static(value, leaf.constant)
            return
        index = leaf.output
        spec = self.leaves[index]
        given = values[index]
        if isinstance(given, np.ndarray):
            dtype = self.name("dtype", given.dtype)
            shape = self.name("shape", spec.shape)
            same = f"type({value}) is ndarray and {value}.dtype is {dtype} and {value}.shape == {shape}"
            self.checks.append(f"if not ({same}{self._lies_alike(value, spec)}): return MISS")
        elif spec.differentiated:
            self.checks.append(f"if type({value}) is not float and type({value}) is not float64: return MISS")
        else:
            kind = spec.python_type or spec.dtype.type
            self.checks.append(f"if type({value}) is not {self.name('type', kind)}: return MISS")
            if kind is int:
                limits = np.iinfo(spec.dtype)
                self.checks.append(f"if not {limits.min} <= {value} <= {limits.max}: return MISS")
        self.checks.append(f"l{index} = {value}")

    def _complex(self, value: str, form: ComplexForm, parts: list[Any], values: list[Any]) -> None:
        shape = self.leaves[parts[0]].shape
        same = f"type({value}) is {self.name('type', complex if form.is_python else form.dtype.type)}"
        if isinstance(values[parts[0]], np.ndarray):
            same = f"type({value}) is ndarray and {value}.dtype is {self.name('dtype', form.dtype)}"
            same += f" and {value}.shape == {self.name('shape', shape)}{self._lies_alike(value, self.leaves[parts[0]])}"
        self.checks.append(f"if not ({same}): return MISS")
        self.checks.append(f"l{parts[0]}, l{parts[1]} = {value}.real, {value}.imag")

    def _lies_alike(self, value: str, leaf: Leaf) -> str:
        """Return the check of how an array lies in memory, where a path of the function may go by that."""
        if not self.derived.goes_by_strides:
            return ""
        if leaf.strides is None:
            return f" and {value}.flags.c_contiguous"
        if len(leaf.shape) == 1:
            return f" and not {value}.flags.c_contiguous"
        if is_fortran_order(leaf.shape, leaf.strides):
            return f" and {value}.flags.f_contiguous"
        return f" and strides_in_memory({value}) == {self.name('strides', leaf.strides)}"

    def _static(self, value: str, constant: Any) -> None:
        known = self.name("static", constant)
        same = f"{value} is not {known}"
        if type(constant) in _COMPARED_BY_VALUE:
            same += f" and (type({value}) is not {self.name('type', type(constant))} or {value} != {known})"
        self.checks.append(f"if {same}: return MISS")

    # --- evaluating -----------------------------------------------------------------------------

    def finish(self) -> None:
        """Write the lines that copy in, evaluate, copy out and put the result together."""
        outputs = self.derived.outputs
        slot = [f"i{k}" for k, leaf in enumerate(self.leaves) if _is_copied(leaf)]
        slot += [f"o{k}" for k, output in enumerate(outputs) if _is_copied(output)]
        slot += ["succeeded"] if self.derived.can_fail else []
        slot += ["held", "failed_outcome"] if self.derived.n_guards else []
        body = []
        body += ["try: slot = take_slot()", "except IndexError: slot = new_slot()"]
        body.append(f"{', '.join([*slot, 'bind_input', 'bind_output', 'evaluate', 'buffers'])} = slot")
        for k, leaf in enumerate(self.leaves):
            if not _is_copied(leaf):
                body.append(f"l{k} = contiguous(l{k}, float64)")
                body.append(f"bind_input({k}, memoryview(l{k}))")
            elif leaf.shape == ():
                body.append(f"i{k}[0] = l{k}")
            elif 0 not in leaf.shape:
                body.append(f"i{k}[...] = l{k}")
        for k, output in enumerate(outputs):
            if not _is_copied(output):
                body.append(f"r{k} = empty({self.name('shape', output.shape)})")
                body.append(f"bind_output({k}, memoryview(r{k}))")
        if self.derived.can_fail:
            # An evaluation that stops at a failing node writes nothing after it.
            body.append("succeeded[0] = 0.0")
            body += [f"held[0] = {float(FAILED)}"] if self.derived.n_guards else []
        if self.promotion is not None:
            body.append("start = clock()")
        if self.derived.graph.black_boxes:
            # What an interrupted evaluation of another call has left behind.
            body.append("if failures: forget_failure()")
        body += ["try: evaluate()", "except RuntimeError as error: raise_in_words(error)"]
        if self.promotion is not None:
            # Not exact where threads evaluate at once: then it may start a call later, or twice.
            self.names |= {"clock": time.perf_counter, "seconds_left": [self.promotion.seconds], "never": math.inf}
            self.names["promote"] = _in_thread(self.promotion.start)
            body += ["seconds_left[0] -= clock() - start", "if seconds_left[0] <= 0.0:"]
            body += ["    seconds_left[0] = never", "    promote()"]
        leaves = ", ".join(f"l{k}" for k in range(len(self.leaves)))
        failed = ["    give_back(slot)", f"    return Miss([{leaves}], path(), FAILED, 0.0)"]
        if self.derived.n_guards:
            # Before all else: where a guard failed, whatever was computed after it is meaningless.
            body.append(f"if held[0] != {float(self.derived.n_guards)}:")
            if self.derived.can_fail:
                body += ["    if buffers.stopped():", *_indented(failed)]
            body.append(f"    miss = Miss([{leaves}], path(), int(held[0]), float(failed_outcome[0]))")
            body.append("    give_back(slot)")
            if self.derived.graph.black_boxes:
                body.append("    if failures: forget_failure()")
            body.append("    return miss")
            body.append("hits[0] += 1")
        if self.derived.graph.black_boxes:
            # The failures may be those of other threads.
            body += ["if failures:", "    try: raise_failure()", "    except BaseException:"]
            body += ["        give_back(slot)", "        raise"]
        if self.derived.can_fail:
            body += ["if succeeded[0] != 1.0:", *failed]
        for k, output in enumerate(outputs):
            body.append(f"r{k} = {self._copied_out(k, output)}")
        body.append(f"result = {self._built(self.derived.result)}")
        body += ["give_back(slot)", "return result"]
        self.body = body

    def _copied_out(self, k: int, output: Output) -> str:
        if not _is_copied(output):
            return f"r{k}" if output.dtype == _FLOAT64 else f"r{k}.astype({self.name('dtype', output.dtype)})"
        if output.is_scalar:
            entry = f"o{k}[0]"
            return entry if output.dtype == _FLOAT64 else f"{self.name('type', output.dtype.type)}({entry})"
        return f"o{k}.copy()" if output.dtype == _FLOAT64 else f"o{k}.astype({self.name('dtype', output.dtype)})"

    def _built(self, template: Template) -> str:
        if template.output is not None:
            return f"r{template.output}"
        if template.structure is tuple:
            return f"({''.join(self._built(child) + ', ' for child in template.children)})"
        if isinstance(template.structure, ComplexForm):
            both = ", ".join(map(self._built, template.children))
            return f"{self.name('complex', template.structure.unflatten)}(({both}))"
        if template.structure is not None:
            return self._built_tree(template.structure, iter(template.children))
        constant = template.constant
        return self.name("constant", constant) + (".copy()" if isinstance(constant, np.ndarray) else "")

    def _built_tree(self, structure: Any, leaves: Iterator[Template]) -> str:
        if structure.is_leaf(strict=True):
            return self._built(next(leaves))
        if structure.type in (dict, list, tuple) and structure.num_nodes > 1:
            parts = [self._built_tree(child, leaves) for child in structure.children()]
            if structure.type is dict:
                # The keys are sorted in a structure; the user's order is what it puts together.
                entry_of = dict(zip(structure.entries(), parts, strict=True))
                ordered = structure.unflatten(range(structure.num_leaves))
                return "{" + "".join(f"{self.name('key', key)}: {entry_of[key]}, " for key in ordered) + "}"
            if structure.type is list:
                return f"[{', '.join(parts)}]"
            if structure.type is tuple:
                return f"({''.join(part + ', ' for part in parts)})"
        parts = [self._built(next(leaves)) for _ in range(structure.num_leaves)]
        return f"{self.name('unflatten', structure.unflatten)}(({''.join(part + ', ' for part in parts)}))"

    def compiled(self) -> FastPath:
        """Compile the source; it names nothing of the user's but keys and types, held as objects."""
        n = self.layout.n_positional
        positional = [f"v{i}" for i in range(n)]
        keywords = [
            f"v{n + i} = kwargs[{self.name('keyword', keyword)}]" for i, keyword in enumerate(self.layout.keywords)
        ]
        wrong_form = f"if len(args) != {n} or " + (f"len(kwargs) != {len(keywords)}" if keywords else "kwargs")
        if self.layout.order_counts:
            wrong_form += f" or (*kwargs,) != {self.name('keywords', self.layout.keywords)}"
        unpack = [f"{', '.join(positional)}{',' * (n == 1)} = args"] if n else []
        taken = [*unpack, *keywords, *self.checks]
        call = [f"{wrong_form}: return MISS", "try:", *(f"    {line}" for line in taken or ["pass"])]
        call += ["except (KeyError, TypeError): return MISS", *self.body]
        leaves = [f"l{k}" for k in range(len(self.leaves))]
        run = [f"{', '.join(leaves)}{',' * (len(leaves) == 1)} = leaves", *self.body] if leaves else self.body
        text = "\n".join(["def call(args, kwargs):", *_indented(call), "def run(leaves):", *_indented(run)])
        pool: list[tuple[Any, ...]] = []
        # list.pop and list.append are atomic, so a slot is in the hands of one thread only.
        self.names |= {"take_slot": pool.pop, "give_back": pool.append, "new_slot": _slot_maker(self.derived)}
        exec(compile(text, "<archimedes_grad fast path>", "exec"), self.names)
        # Taken out of their own namespace: left there, each fast path would be a reference cycle.
        return FastPath(self.names.pop("call"), self.names.pop("run"), self.names["hits"])


def _in_thread(start: Callable[[], None]) -> Callable[[], None]:
    return lambda: threading.Thread(target=start, daemon=True).start()


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines if line]


def _is_copied(array: Leaf | Output) -> bool:
    """Tell whether an array goes through the slot's own buffer, rather than being bound for the call."""
    return int(np.prod(array.shape)) < DIRECT_FROM


def _accesses(value: str, structure: Any, name: Callable[[Any], str]) -> list[str] | None:
    """Return expressions for the children of a tree node, or None where only optree knows how."""
    kind, entries = structure.type, structure.entries()
    if kind is dict:
        return [f"{value}[{name(entry)}]" for entry in entries]
    if kind in (list, tuple) or (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return [f"{value}[{i}]" for i in range(len(entries))]
    if dataclasses.is_dataclass(kind):
        return [f"{value}.{entry}" for entry in entries]
    return None


def _slot_maker(derived: Derived) -> Callable[[], tuple[Any, ...]]:
    """Return the function that makes a slot, as the tuple that the source takes apart."""

    def new_slot() -> tuple[Any, ...]:
        slot = Slot(derived.function, derived.hidden)
        shaped: list[Any] = [
            flat if leaf.shape == () else flat.reshape(leaf.shape)
            for flat, leaf in zip(slot.inputs, derived.graph.leaves, strict=True)
            if flat is not None
        ]
        shaped += [
            flat if output.is_scalar else flat.reshape(output.shape)
            for flat, output in zip(slot.outputs, derived.outputs, strict=False)
            if flat is not None
        ]
        # As memoryviews: an entry read from one is a plain float, at half the cost of an array's.
        shaped += [flat.data for flat in slot.outputs[len(derived.outputs) :] if flat is not None]
        return (*shaped, slot.bind_input, slot.bind_output, slot.evaluate, slot)

    return new_slot
