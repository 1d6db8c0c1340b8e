"""What a user writes, as a type checker sees it: never run. A line marked to be ignored must be an error."""

from collections.abc import Callable
from typing import Any, TypedDict, assert_type

import numpy as np
import numpy.typing as npt

import archimedes_grad as arc
from archimedes_grad.compilation.compiled import CompiledFunction
from archimedes_grad.compilation.report import Explanation, TracedGraph
from archimedes_grad.pictures.sparsity import SparsityPattern

Floats = npt.NDArray[np.float64]
x: Floats = np.ones(3)


class Params(TypedDict):
    w: Floats
    b: float


def loss(params: Params, X: Floats, order: int = 2, *, scale: float = 1.0) -> np.float64:
    return np.float64(scale * np.mean((X @ params["w"] + params["b"]) ** order))


params: Params = {"w": x, "b": 0.0}
X: Floats = np.eye(3)

# --- calls keep the parameters of the function ---------------------------------------------------------

gradient = arc.grad(loss)
assert_type(gradient(params, X), Any)
gradient(params, X, 3, scale=2.0)
gradient(params)  # type: ignore[call-arg]
gradient(params, X, order="two")  # type: ignore[arg-type]
gradient(params, X, skale=2.0)  # type: ignore[call-arg]

assert_type(arc.value_and_grad(loss)(params, X), tuple[Any, Any])
assert_type(arc.jac(loss, argnums=(0, 1))(params, X), Any)
assert_type(arc.hess(loss, argnames="X")(params, X), Any)
arc.jac(loss, sparse=True)(params, X)
arc.jac(arc.grad(loss))(params, X)
arc.jac(arc.grad(loss))(params)  # type: ignore[call-arg]

# --- compile keeps what is returned, too ---------------------------------------------------------------

assert_type(arc.compile(loss)(params, X), np.float64)
arc.compile(loss)(X, params)  # type: ignore[arg-type]

# --- decorators ----------------------------------------------------------------------------------------


@arc.grad
def slope(x: float, y: float = 1.0) -> float:
    return x**2 * y


slope(1.0)
slope(1.0, y=2.0)
slope("1.0")  # type: ignore[arg-type]


@arc.value_and_grad(argnums=1, static_argnames="order")
def power(x: float, y: float, order: int) -> float:
    return x * y**order


assert_type(power(1.0, 2.0, 3), tuple[Any, Any])
power(1.0, 2.0)  # type: ignore[call-arg]


@arc.compile(name="doubled")
def twice(x: Floats) -> Floats:
    return 2 * x


assert_type(twice(x), Floats)

# --- what they tell about themselves -------------------------------------------------------------------

assert_type(gradient.explain(params, X), Explanation)
assert_type(gradient.graph(params, X), TracedGraph)
assert_type(gradient.graph(params, X).draw("graph.svg"), str)
assert_type(arc.jac(loss, sparse=True).sparsity(params, X), SparsityPattern)
gradient.graph(params, X).draw(layout=3)  # type: ignore[arg-type]

# --- products, numeric methods, arguments --------------------------------------------------------------

assert_type(arc.jvp(loss)(params, X, params), Any)
assert_type(arc.hvp(loss), CompiledFunction[..., Any])
numeric = arc.grad(loss, method="finite", num_points=7)
numeric(params, X)
numeric(params)  # type: ignore[call-arg]
numeric.graph(params, X)  # type: ignore[attr-defined]
arc.grad(loss, argnums="params")  # type: ignore[arg-type]
arc.grad(3)  # type: ignore[call-overload]
arc.grad(np.sin)(1.0)

# --- the others ----------------------------------------------------------------------------------------

objective: Callable[[Floats], Any] = arc.grad(lambda x: np.sum(x**2))
arc.check_grads(slope, (1.0,), order=1)
arc.CalculusKit(loss, x).gradient(method="finite", progress=True)
kit = arc.DerivativeKit(slope, 1.0)
kit.differentiate(method="adaptive", order=2)
kit.differentiate("adaptive")  # type: ignore[call-arg]
arc.stop_gradient(x)
arc.vmap(slope, in_axes=0)(x)
assert_type(arc.__version__, str)
arc.gard  # type: ignore[attr-defined]
