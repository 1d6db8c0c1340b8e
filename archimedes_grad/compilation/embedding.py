"""A compiled function as a ``casadi.Function`` in CasADi's own conventions, to embed in a CasADi model."""

from __future__ import annotations

import re

import casadi as cs

from archimedes_grad.derivatives.jacobians import SparseStructure
from archimedes_grad.derivatives.representation import Derived
from archimedes_grad.nodes.functions import graph_function
from archimedes_grad.nodes.gather import Shape, stored_shape
from archimedes_grad.nodes.simplification import forward_nodes
from archimedes_grad.tracing.graph import Template


def casadi_name(text: str, fallback: str) -> str:
    """Return a name that CasADi takes: letters, digits and single underscores, a letter first."""
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", text)).strip("_")
    return name if name and name[0].isalpha() else f"{fallback}_{name}".rstrip("_")


def casadi_function(name: str, derived: Derived) -> cs.Function:
    """Return a Function whose matrices are as NumPy shows them, with captured arrays as constants."""
    graph = derived.graph
    with forward_nodes():
        symbols = [cs.MX.sym(casadi_name(leaf.name, "x"), *_shown_shape(leaf.shape)) for leaf in graph.leaves]
        stored = [_transposed(symbol, leaf.shape) for symbol, leaf in zip(symbols, graph.leaves, strict=True)]
        first = len(stored)
        hidden = [
            cs.MX(cs.DM(array.tolist())).reshape(derived.function.size_in(first + k))
            for k, array in enumerate(derived.hidden)
        ]
        results = derived.function.call([*stored, *hidden])[: len(derived.outputs)]
        sparse = _sparse_outputs(derived.result)
        shown = [
            cs.MX(sparse[k].casadi_sparsity(), node) if k in sparse else _shown(node, output.shape)
            for k, (node, output) in enumerate(zip(results, derived.outputs, strict=True))
        ]
        names = _distinct([symbol.name() for symbol in symbols]), [f"out{k}" for k in range(len(shown))]
        return graph_function(casadi_name(name, "f"), symbols, shown, names)


def _sparse_outputs(result: Template) -> dict[int, SparseStructure]:
    """Return the structures of the outputs that are the stored entries of sparse matrices."""
    if isinstance(result.structure, SparseStructure):
        return {child.output: result.structure for child in result.children if child.output is not None}
    return {k: structure for child in result.children for k, structure in _sparse_outputs(child).items()}


def _shown_shape(shape: Shape) -> tuple[int, int]:
    if len(shape) == 2:
        return shape[0], shape[1]
    rows, columns = stored_shape(shape)
    return rows * columns, 1


def _transposed(symbol: cs.MX, shape: Shape) -> cs.MX:
    return symbol.T if len(shape) == 2 else symbol.reshape(stored_shape(shape))


def _shown(node: cs.MX, shape: Shape) -> cs.MX:
    return node.T if len(shape) == 2 else node.reshape(_shown_shape(shape))


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct
