"""Everyday expressions on this library and its peers: of how many are value and gradient right.

    python -m pip install ".[benchmark]"
    python benchmarks/expressions.py [peer ...] && python docs/make_numpy_page.py

Values are compared with NumPy's, gradients with extrapolated central differences of NumPy's values. A peer with a
NumPy of its own gets that module as ``np``. Peers that are not installed are left out.
"""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from calls import installed
from everyday_expressions import ARGUMENTS, EXPRESSIONS, Expression
from timing import save

#: A value and the gradients of its weighted sum, by an expression of ``np`` and its arguments.
Peer = Callable[[Expression, list[Any], Any], tuple[Any, list[Any]]]

SECONDS = 30


def central_differences(f: Callable[..., float], args: list[Any], index: int, step: float = 2e-3) -> Any:
    x = np.array(args[index], dtype=float)
    gradient = np.zeros(x.shape)
    for position in np.ndindex(x.shape):
        slopes = []
        for h in (step, step / 2, step / 4):
            ends = []
            for shift in (h, -h):
                moved = x.copy()
                moved[position] += shift
                shifted = [np.array(arg) for arg in args]
                shifted[index] = moved
                ends.append(f(*(arg if arg.ndim else np.float64(arg) for arg in shifted)))
            slopes.append((ends[0] - ends[1]) / (2 * h))
        finer = [(4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3]
        gradient[position] = (16 * finer[1] - finer[0]) / 15
    return gradient


#: A function with parameters of their own, by how many: some peers take no ``*args``.
_NAMED: dict[int, Callable[..., Any]] = {
    1: lambda f: lambda a: f(a),
    2: lambda f: lambda a, b: f(a, b),
    3: lambda f: lambda a, b, c: f(a, b, c),
}


def by_gradient(gradient: Callable[..., Any], compiled: Callable[..., Any], module: Any) -> Peer:
    """Return a peer with a transformation ``gradient(f, argnums)``."""

    def peer(expression: Expression, args: list[Any], weights: Any) -> tuple[Any, list[Any]]:
        def value(*args: Any) -> Any:
            return expression(module, *args)

        def objective(*args: Any) -> Any:
            return module.sum(expression(module, *args) * weights)

        named = (_NAMED[len(args)](value), _NAMED[len(args)](objective))
        gradients = [gradient(named[1], k)(*args) for k in range(len(args))]
        return compiled(named[0])(*args), gradients

    return peer


def casadi_interface(expression: Expression, args: list[Any], weights: Any) -> tuple[Any, list[Any]]:
    """Return what CasADi's own NumPy protocols make of symbols: arrays first, else scalars."""
    import casadi as cs

    for kind in (cs.MX, cs.SX):
        try:
            symbols = [kind.sym(f"x{k}", *(np.shape(arg) or (1,))[:2]) for k, arg in enumerate(args)]
            if any(np.ndim(arg) > 2 for arg in args):
                raise ValueError("more than two axes")
            result = expression(np, *symbols)
            if isinstance(result, np.ndarray):
                result = cs.vertcat(*(cs.horzcat(*row) for row in np.atleast_2d(result.T).T.tolist()))
            matrix = cs.DM(np.atleast_2d(weights.T).T) if np.ndim(weights) else cs.DM(weights)
            objective = cs.sum1(cs.sum2(cs.reshape(result, matrix.shape) * matrix))
            outputs = [result, *(cs.gradient(objective, symbol) for symbol in symbols)]
            function = cs.Function("f", symbols, outputs)
            value, *gradients = (np.asarray(out.full()) for out in function.call([cs.DM(arg) for arg in args]))
            shapes = map(np.shape, args)
            return value.reshape(np.shape(weights)), [g.reshape(s) for g, s in zip(gradients, shapes, strict=True)]
        except Exception as error:
            failure = error
    raise failure


def peers() -> dict[str, tuple[str, Peer]]:
    import archimedes_grad as arc

    listed: dict[str, tuple[str, Peer]] = {
        "archimedes_grad": (arc.__version__, by_gradient(lambda f, k: arc.grad(f, argnums=k), arc.compile, np))
    }
    if (archimedes := installed("archimedes")) is not None:
        transform = by_gradient(lambda f, k: archimedes.grad(f, argnums=k), archimedes.compile, np)
        listed["archimedes"] = (version("archimedes"), transform)
    if (autograd := installed("autograd")) is not None:
        import autograd.numpy as anp

        listed["autograd"] = (version("autograd"), by_gradient(autograd.grad, lambda f: f, anp))
    if (jax := installed("jax")) is not None:
        jax.config.update("jax_enable_x64", True)
        listed["jax"] = (jax.__version__, by_gradient(lambda f, k: jax.grad(f, argnums=k), lambda f: f, jax.numpy))
    listed["casadi"] = (version("casadi"), casadi_interface)
    return listed


def outcome(peer: Peer, expression: Expression, args: list[Any], weights: Any, right: tuple[Any, list[Any]]) -> str:
    """Return "right", "wrong value", "wrong gradient", or the type of the error."""
    given = [np.array(arg) if np.ndim(arg) else np.float64(arg) for arg in args]
    try:
        signal.alarm(SECONDS)
        value, gradients = peer(expression, given, weights)
        value = np.asarray(value, dtype=float)
        gradients = [np.asarray(gradient, dtype=float) for gradient in gradients]
    except Exception as error:
        return type(error).__name__
    finally:
        signal.alarm(0)
    if value.shape != np.shape(right[0]) or not np.allclose(value, right[0], rtol=1e-8, atol=1e-10):
        return "wrong value"
    for got, expected in zip(gradients, right[1], strict=True):
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=1e-5, atol=1e-6):
            return "wrong gradient"
    return "right"


def too_long(*_: Any) -> None:
    raise TimeoutError


def main(wanted: list[str]) -> None:
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore")
    listed = {name: peer for name, peer in peers().items() if not wanted or name in wanted}
    table: dict[str, dict[str, str]] = {}
    for name, letters, expression in EXPRESSIONS:
        args = [ARGUMENTS[letter] for letter in letters]
        plain = np.asarray(expression(np, *(np.array(arg) if np.ndim(arg) else np.float64(arg) for arg in args)))
        weights = np.random.default_rng(plain.size).uniform(0.5, 1.5, plain.shape)
        slopes = [
            central_differences(lambda *a, w=weights, e=expression: float(np.sum(e(np, *a) * w)), args, k)
            for k in range(len(args))
        ]
        table[name] = {
            peer: outcome(run, expression, args, weights, (plain, slopes)) for peer, (_, run) in listed.items()
        }
        print(f"{name:32s} " + "  ".join(f"{result:20s}" for result in table[name].values()), flush=True)
    counts = {peer: sum(row[peer] == "right" for row in table.values()) for peer in listed}
    print(f"{len(table)} expressions: " + ", ".join(f"{peer} {count}" for peer, count in counts.items()))
    versions = {peer: number for peer, (number, _) in listed.items()}
    if not wanted:
        save("expressions", {"versions": versions, "counts": counts, "expressions": table})


if __name__ == "__main__":
    main(sys.argv[1:])
