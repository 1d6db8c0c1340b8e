"""Who runs the problems: this library on each engine, its peers, CasADi and C++ by hand.

A runner prepares, from a problem and its arguments, the gradient as a function from NumPy arrays to NumPy arrays:
one for each form that it has of the problem, each made when it is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import yardsticks
from problems import PROBLEMS, Arguments, Problem, rebound

import archimedes_grad as arc
from archimedes_grad.transforms.options import ENGINES

Gradient = Callable[..., Any]
#: What makes a gradient, by the name of the form ("" where there is one only).
Forms = dict[str, Callable[[], Gradient]]

OURS = "archimedes_grad"
CASADI = "CasADi by hand"
CPP = "C++ by hand"


Runner = Callable[[Problem, Arguments], Forms]


def engine_runner(engine: str) -> Runner:
    def prepare(problem: Problem, arguments: Arguments) -> Forms:
        static = problem.static or None
        return {"": lambda: arc.grad(problem.function, problem.argnums, static_argnames=static, engine=engine)}

    return prepare


def in_numpy(gradient: Gradient, problem: Problem) -> Gradient:
    """Return a gradient with its results as NumPy arrays."""
    if len(problem.differentiated) == 1:
        return lambda *arguments: np.asarray(gradient(*arguments))
    return lambda *arguments: tuple(np.asarray(part) for part in gradient(*arguments))


def jax_runner() -> Runner:
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    theirs = rebound(jnp, jax.lax.scan)
    jnp.zeros(1).block_until_ready()

    def prepare(problem: Problem, arguments: Arguments) -> Forms:
        # A Python loop is unrolled by JAX, which takes minutes to compile: a user writes a scan.
        name = {"ode": "ode by scan"}.get(problem.name, problem.name)
        function = theirs.PROBLEMS[name].function
        compiled = jax.jit(jax.grad(function, problem.argnums), static_argnames=problem.static or None)
        return {"": lambda: in_numpy(compiled, problem)}

    return prepare


def scan_by_python(f: Callable[..., Any], init: Any, xs: Any, length: int | None = None) -> Any:
    """A scan for autograd, which has none."""
    anp = importlib.import_module("autograd.numpy")
    carry, ys = init, []
    for i in range(len(xs[0]) if length is None else length):
        carry, y = f(carry, None if xs is None else tuple(x[i] for x in xs))
        ys.append(y)
    return carry, anp.array(ys)


def autograd_runner() -> Runner:
    autograd, anp = importlib.import_module("autograd"), importlib.import_module("autograd.numpy")
    theirs = rebound(anp, scan_by_python)

    def prepare(problem: Problem, arguments: Arguments) -> Forms:
        return {"": lambda: autograd.grad(theirs.PROBLEMS[problem.name].function, problem.argnums)}

    return prepare


def archimedes_runner() -> Runner:
    archimedes = importlib.import_module("archimedes")
    theirs = rebound(np, archimedes.scan)

    def prepare(problem: Problem, arguments: Arguments) -> Forms:
        function = theirs.PROBLEMS[problem.name].function
        gradient = archimedes.grad(function, argnums=problem.argnums, static_argnames=problem.static or None)
        return {"": lambda: in_numpy(gradient, problem)}

    return prepare


def graph_runner() -> Runner:
    def prepare(problem: Problem, arguments: Arguments) -> Forms:
        def maker(form: graphs.Form) -> Callable[[], Gradient]:
            return lambda: graphs.gradient_of(form(*arguments), problem.differentiated)

        return {name: maker(form) for name, form in graphs.FORMS.get(problem.name, {}).items()}

    return prepare


def yardstick_runner() -> Runner:
    def prepare(problem: Problem, arguments: Arguments) -> Forms:
        yardstick = yardsticks.YARDSTICKS.get(problem.name)
        return {} if yardstick is None else {"": lambda: yardstick}

    if not yardsticks.has_compiler():
        raise ImportError("g++")
    return prepare


MAKERS: dict[str, Callable[[], Runner]] = {
    **{f"{OURS} ({engine})": lambda engine=engine: engine_runner(engine) for engine in ENGINES},
    "JAX (jit)": jax_runner,
    "autograd": autograd_runner,
    "archimedes": archimedes_runner,
    CASADI: graph_runner,
    CPP: yardstick_runner,
}


def installed(names: Sequence[str]) -> tuple[dict[str, Runner], list[str]]:
    """Return those runners that can be had here, by name, and the names of the others."""
    runners, missing = {}, []
    for name in names:
        try:
            runners[name] = MAKERS[name]()
        except ImportError:
            missing.append(name)
    return runners, missing


def arguments_of(problem: str, size: str) -> Arguments:
    return PROBLEMS[problem].sizes[size]()


def gradients(runner: Runner, problem: str, arguments: Arguments) -> Iterator[tuple[str, Gradient]]:
    """Make a runner's gradients one after the other, without the forms that do not exist for these arguments.

    Raises
    ------
    NotImplementedError
        Where there is none.
    """
    reason, none = "no form is written", True
    for form, make in runner(PROBLEMS[problem], arguments).items():
        try:
            yield form, make()
            none = False
        except NotImplementedError as error:
            reason = str(error)
    if none:
        raise NotImplementedError(reason)


def flattened(gradient: Any) -> np.ndarray:
    """Return a gradient by one or several arguments as one vector."""
    parts = gradient if isinstance(gradient, tuple) else (gradient,)
    return np.concatenate([np.ravel(np.asarray(part, dtype=float)) for part in parts])


def difference(gradient: Any, reference: Any) -> float:
    """Return the largest difference of entries as a part of the largest entry."""
    a, b = flattened(gradient), flattened(reference)
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])
