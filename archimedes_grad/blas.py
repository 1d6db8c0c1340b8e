"""Large matrix products on BLAS, in derivatives too.

CasADi's reverse sweep of a product on BLAS gives products by its reference loop, sixty times slower at 512 x 512, and a
copy of each transposed operand. They are found in the finished expressions and built again.
"""

from __future__ import annotations

import casadi as cs

#: From this many multiplications on a product goes to BLAS; below, the call costs more than it saves.
BLAS_FROM = 20_000


def is_large(left: cs.MX, right: cs.MX) -> bool:
    """Tell whether a product and those of its derivative are worth a look."""
    return bool(left.size1() * left.size2() * right.size2() >= BLAS_FROM)


def pays(left: cs.MX, right: cs.MX) -> bool:
    """Tell whether a product is faster on BLAS; a row times a matrix runs through memory once either way."""
    return is_large(left, right) and bool(left.size1() > 1)


def on_blas(expressions: list[cs.MX]) -> list[cs.MX]:
    """Return expressions with all large dense products on BLAS; the nodes above them are built anew."""
    rebuilt: dict[int, cs.MX] = {}
    # A rebuilt node's key must stay taken: the original is kept alive as long as the table.
    alive: list[cs.MX] = []
    several: dict[int, list[cs.MX]] = {}
    waiting = list(expressions)
    while waiting:
        node = waiting[-1]
        if hash(node) in rebuilt:
            waiting.pop()
            continue
        dependencies = [node.dep(i) for i in range(node.n_dep())]
        missing = [d for d in dependencies if hash(d) not in rebuilt]
        if missing:
            waiting.extend(missing)
            continue
        waiting.pop()
        rebuilt[hash(node)] = _rebuilt(node, dependencies, rebuilt, several)
        alive.append(node)
    return [rebuilt[hash(expression)] for expression in expressions]


def _rebuilt(
    node: cs.MX, dependencies: list[cs.MX], rebuilt: dict[int, cs.MX], several: dict[int, list[cs.MX]]
) -> cs.MX:
    if node.is_output():
        # One output of a node with several: those of the node built anew, of which this is one.
        (source,) = dependencies
        inputs = [source.dep(i) for i in range(source.n_dep())]
        new = [rebuilt[hash(d)] for d in inputs]
        if _same(new, inputs):
            return node
        if hash(source) not in several:
            several[hash(source)] = source.eval_mx(new)
        return several[hash(source)][node.which_output()]
    new = [rebuilt[hash(d)] for d in dependencies]
    if node.op() == cs.OP_MTIMES and all(d.is_dense() for d in new) and is_large(new[1], new[2]):
        return _large_product(*new)
    if _same(new, dependencies) or node.has_output():
        return node
    return node.eval_mx(new)[0]


def _large_product(added: cs.MX, left: cs.MX, right: cs.MX) -> cs.MX:
    """Return ``added + left @ right``; of a vector and a transposed matrix, without the copy that transposing is."""
    if left.size1() == 1 and right.op() == cs.OP_TRANSPOSE:
        return _large_product(added.T, right.dep(0), left.T).T
    if right.size2() == 1 and left.op() == cs.OP_TRANSPOSE:
        return _large_product(added.T, right.T, left.dep(0)).T
    return cs.mac(left, right, added, "classic") if pays(left, right) else cs.mac(left, right, added)


def _same(new: list[cs.MX], old: list[cs.MX]) -> bool:
    return all(hash(a) == hash(b) for a, b in zip(new, old, strict=True))
