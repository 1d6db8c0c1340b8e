"""``check_grads``: derivatives against central differences, in random directions, order by order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archimedes_grad.arguments.signature import CallSignature, name_of
from archimedes_grad.arguments.specs import leaves_of
from archimedes_grad.numeric import derivative
from archimedes_grad.tracing.bound_arguments import described
from archimedes_grad.transforms.bodies import (
    apart,
    as_number,
)
from archimedes_grad.transforms.differentiation import jvp, vjp
from archimedes_grad.transforms.options import require_functions, required_integer, required_positive

Floats = npt.NDArray[np.float64]


def check_grads(
    f: Callable[..., Any], args: Any, order: int = 2, *, rtol: float = 1e-5, atol: float = 1e-7, seed: int = 0
) -> None:
    """Compare the derivatives of a function with central differences, and raise where they differ.

    Parameters
    ----------
    f
        A function of arrays, numbers and trees of these. Called on plain numbers for the differences.
    args
        The tuple of its arguments; those that hold floats are differentiated.
    order
        The highest order: reverse derivatives are themselves checked for the next one.
    rtol, atol
        How far the two may differ, relative to the larger, and absolutely.
    seed
        Of the random directions.

    Raises
    ------
    AssertionError
        Naming the argument, the entry, and both numbers. A wrong rule of ``custom_jvp`` or ``custom_vjp`` is found so.
    ValueError
        If there is no float to differentiate by, or order is not positive.

    Notes
    -----
    Random projections compare a whole Jacobian at the price of two derivatives; where they differ, single entries are
    gone through. Differences are those of the numeric method ``"adaptive"``, along directions as long as the arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import archimedes_grad as arc
    >>> arc.check_grads(lambda x: np.sin(x) ** 2, (np.array([0.3, 0.5]),))
    """
    args = args if isinstance(args, tuple) else (args,)
    require_functions("check_grads", f=f)
    order = required_integer("check_grads", "order", order, 1, "Leave it out for 2.")
    rtol = required_positive("check_grads", "rtol", rtol, "Leave it out for 1e-5.")
    atol = required_positive("check_grads", "atol", atol, "Leave it out for 1e-7.")
    required_integer("check_grads", "seed", seed, 0, "Leave it out for 0.")
    problem = _Problem(f, args, name_of(f), CallSignature(f).layout(len(args), ()).names)
    generator = np.random.default_rng(seed)
    for k in range(1, order + 1):
        cotangent = problem.check(k, rtol, atol, generator)
        problem = problem.next_order(cotangent)


@dataclass(frozen=True)
class _Leaf:
    """A differentiated leaf: its name, value, and where it stands."""

    name: str
    value: Floats
    argument: int
    position: int

    @property
    def size(self) -> float:
        """The largest magnitude in it, or 1 where all is 0."""
        return float(np.max(np.abs(self.value), initial=0.0)) or 1.0


class _Problem:
    """A function at a point, with its derivatives of one order."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], name: str, names: Sequence[str]) -> None:
        self.f = f
        self.args = args
        self.name = name
        self.names = names
        self.argnums = tuple(k for k, arg in enumerate(args) if any(_is_float(leaf) for leaf in leaves_of(arg)))
        if not self.argnums:
            raise ValueError(
                f"check_grads: no argument of {self.name} holds a float to differentiate by; got "
                f"{', '.join(map(described, args)) or 'none'}. Pass floats: 1.0 in place of 1."
            )
        self.split = {k: apart("check_grads", f"argument {self.names[k]!r}", args[k]) for k in self.argnums}
        self.leaves = list(self._differentiated())

    def _differentiated(self) -> Iterator[_Leaf]:
        for k in self.argnums:
            numbers, structure = self.split[k]
            shown = [self.names[k]]
            if structure.tree is not None:
                static = {position for position, _ in structure.static}
                paths = structure.tree.accessors()
                shown = [path.codify(self.names[k]) for i, path in enumerate(paths) if i not in static]
            for position, (name, number) in enumerate(zip(shown, numbers, strict=True)):
                yield _Leaf(name, np.asarray(number, dtype=np.float64), k, position)

    # --- values and derivatives ------------------------------------------------------------------------

    def trees(self, arrays: list[Floats], of_directions: bool = False) -> list[Any]:
        """Return arrays, one for each leaf, in the trees of the differentiated arguments, or of directions for them."""
        trees = []
        start = 0
        for k in self.argnums:
            numbers, structure = self.split[k]
            chosen = arrays[start : start + len(numbers)]
            start += len(numbers)
            if of_directions:
                structure = structure.without_static()
            trees.append(structure.build([array if array.ndim else array[()] for array in chosen]))
        return trees

    def value(self, arrays: list[Floats]) -> Floats:
        """Return the float outputs, flat, at other values of the leaves."""
        args = list(self.args)
        for k, tree in zip(self.argnums, self.trees(arrays), strict=True):
            args[k] = tree
        with np.errstate(all="ignore"):
            return _flat(self.f(*args))

    def difference(self, directions: list[Floats]) -> Floats:
        """Return the derivative of the outputs in a direction by adaptive central differences.

        Their steps are in units of the argument that moves most beside its size.
        """
        pairs = list(zip(self.leaves, directions, strict=True))
        length = max(float(np.max(np.abs(v), initial=0.0)) / leaf.size for leaf, v in pairs)

        def along(t: float) -> Floats:
            return self.value([leaf.value + t / length * v for leaf, v in pairs])

        return length * np.asarray(derivative(along, 0.0).value, dtype=np.float64)

    def forward(self, directions: list[Floats]) -> Floats:
        """Return the derivative of the outputs in a direction by a forward sweep."""
        product = jvp(self.f, argnums=self.argnums)(*self.args, tuple(self.trees(directions, of_directions=True)))
        return _flat(product, like=self.f(*self.args))

    def reverse(self, cotangent: Any) -> list[Floats]:
        """Return the derivatives of an output projection by the leaves, by a reverse sweep."""
        gradients = vjp(self.f, argnums=self.argnums)(*self.args, cotangent)
        return [np.asarray(x, dtype=np.float64) for tree in gradients for x in apart("check_grads", "", tree)[0]]

    # --- comparing -------------------------------------------------------------------------------------

    def require_floats(self, output: Any) -> None:
        """Raise where there is nothing to compare: it would pass whatever the derivatives are."""
        if not any(_is_float(leaf) for leaf in leaves_of(output)):
            raise ValueError(
                f"check_grads: {self.name} returns {described(output)}, and at least one float was expected. Return "
                f"what is to be differentiated."
            )

    def check(self, order: int, rtol: float, atol: float, generator: np.random.Generator) -> Any:
        """Compare the derivatives; return the cotangent whose projection the next order differentiates."""
        directions = [leaf.size * generator.standard_normal(leaf.value.shape) for leaf in self.leaves]
        output = self.f(*self.args)
        self.require_floats(output)
        cotangent, weights = _random_cotangent(output, generator)
        numeric = self.difference(directions)
        forward = self.forward(directions)
        gradients = self.reverse(cotangent)
        reverse = sum(float(np.sum(g * v)) for g, v in zip(gradients, directions, strict=True))
        projected = float(weights @ numeric)
        # What cancels in a sum does not make its error smaller: sums are compared at the size of their terms.
        size = float(np.abs(weights) @ np.abs(numeric))
        if not _close(forward, numeric, rtol, atol).all():
            self._raise_for_entry(order, "forward", None, weights, rtol, atol)
            row = int(np.argmax(~_close(forward, numeric, rtol, atol)))
            raise AssertionError(
                f"{self.name}, order {order}: along a random direction of all arguments the forward derivative of "
                f"output entry {row} is {forward[row]!r}, central differences give {numeric[row]!r}"
            )
        if not abs(reverse - projected) <= atol + rtol * max(size, abs(reverse)):
            self._raise_for_entry(order, "reverse", gradients, weights, rtol, atol)
            raise AssertionError(
                f"{self.name}, order {order}: along a random direction of all arguments the reverse derivative is "
                f"{reverse!r}, central differences give {projected!r}"
            )
        return cotangent

    def _raise_for_entry(
        self, order: int, mode: str, gradients: list[Floats] | None, weights: Floats, rtol: float, atol: float
    ) -> None:
        """Raise for the entry of an argument whose derivative is wrong, where a single one can be found."""
        for i, leaf in enumerate(self.leaves):
            for entry in np.ndindex(leaf.value.shape):
                unit = [np.zeros(other.value.shape) for other in self.leaves]
                unit[i][entry] = leaf.size
                numeric = self.difference(unit)
                if gradients is None:
                    computed = self.forward(unit)
                else:
                    computed, numeric = np.array([leaf.size * gradients[i][entry]]), np.array([weights @ numeric])
                wrong = ~_close(computed, numeric, rtol, atol)
                if wrong.any():
                    row = int(np.argmax(wrong))
                    of = f" of output entry {row}" if gradients is None and len(wrong) > 1 else ""
                    place = "" if entry == () else f", entry {list(entry)}"
                    raise AssertionError(
                        f"{self.name}, order {order}: argument {leaf.name!r}{place}: the {mode} derivative{of} is "
                        f"{float(computed[row] / leaf.size)!r}, central differences give "
                        f"{float(numeric[row] / leaf.size)!r}"
                    )

    def next_order(self, cotangent: Any) -> _Problem:
        """Return the problem of the gradient of a projection of the outputs."""
        product = vjp(self.f, argnums=self.argnums)

        def gradient(*args: Any) -> Any:
            return product(*args, cotangent)

        return _Problem(gradient, self.args, self.name, self.names)


def _is_float(leaf: Any) -> bool:
    number = as_number(leaf)
    return number is not None and number.dtype.kind == "f"


def _flat(output: Any, like: Any = None) -> Floats:
    """Return the leaves of an output, flat in one array: those that are floats in ``like``."""
    marks = [_is_float(leaf) for leaf in leaves_of(output if like is None else like)]
    leaves = [leaf for leaf, mark in zip(leaves_of(output), marks, strict=True) if mark]
    return np.concatenate([np.zeros(0), *(np.asarray(leaf, dtype=np.float64).ravel() for leaf in leaves)])


def _random_cotangent(output: Any, generator: np.random.Generator) -> tuple[Any, Floats]:
    """Return a random cotangent in the output's tree, 0 where it holds no floats, and its float entries flat."""
    numbers, structure = apart("check_grads", "the output", output)
    drawn = [
        generator.standard_normal(np.shape(x)) if np.asarray(x).dtype.kind == "f" else np.zeros(np.shape(x))
        for x in numbers
    ]
    weights = [np.ravel(w) for x, w in zip(numbers, drawn, strict=True) if np.asarray(x).dtype.kind == "f"]
    built = structure.without_static().build([w if np.ndim(w) else np.float64(w) for w in drawn])
    return built, np.concatenate([np.zeros(0), *weights])


def _close(computed: Floats, numeric: Floats, rtol: float, atol: float) -> npt.NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        near = np.abs(computed - numeric) <= atol + rtol * np.maximum(np.abs(computed), np.abs(numeric))
    return np.asarray(near | (np.isnan(computed) & np.isnan(numeric)) | (computed == numeric))
