"""What entries of nodes are made of: every rule that finds the items of a sum gives what CasADi evaluates."""

import casadi as cs
import numpy as np
import pytest

from archimedes_grad.derivatives.operations import Node, NoRuleError, operands_of

A, B = cs.MX.sym("a", 4, 3), cs.MX.sym("b", 3, 5)
V, W = cs.MX.sym("v", 12), cs.MX.sym("w", 12)
S = cs.MX.sym("s")
_X, _Y = cs.SX.sym("x", 2), cs.SX.sym("y")
ITEM = cs.Function("item", [_X, _Y], [cs.vertcat(_X[0] * _Y, cs.sin(_X[1])), _X[0] - _Y])


def written(where, values):
    """Return V with entries replaced."""
    changed = cs.MX(V)
    changed.set_nz(values, False, where)
    return changed


def block_written(values):
    changed = cs.MX(A)
    changed[1:3, ::2] = values
    return changed


MANY = ITEM.map(6)
OVER_ITEMS = MANY.call([cs.reshape(V, 2, 6), W[:6].T])
EXPRESSIONS = {
    "sin": cs.sin(A), "a number and a matrix": S * A, "a matrix and a number": A - S, "a sum": V + W,
    "reshape": cs.reshape(A, 2, 6), "transpose": A.T,
    "a slice": V[2:11:3], "a slice that falls": V.nz[cs.Slice(10, 1, -2)], "a list": V.nz[[5, 0, 7, 7, 2]],
    "a block": A[1:4:2, 1:], "a block of all rows": A[:, ::2],
    "a slice written": written(cs.Slice(1, 12, 3), W[:4]), "a list written": written([3, 0, 8], W[:3]),
    "a block written": block_written(B[:2, :2]), "an entry written": written(4, S),
    "columns repeated": cs.repmat(A, 1, 3), "columns summed": cs.repsum(cs.repmat(A, 1, 1).T @ A, 1, 3),
    "blocks of columns summed": cs.repsum(cs.MX.sym("c", 2, 6), 1, 3),
    "side by side": cs.horzcat(A, A[:, :2], V[:4]), "on top of each other": cs.vertcat(A, B[:, :3]),
    "columns on top of each other": cs.vertcat(V, W[:5]), "a product": cs.mtimes(A, B),
    "an inner product": cs.dot(V, W),
    "an inner product of matrices": cs.dot(A, B[:, :4].T), "a part of columns": cs.horzsplit(B, [0, 2, 3, 5])[2],
    "a part of rows": cs.vertsplit(A, [0, 1, 3, 4])[1], "a part of a column": cs.vertsplit(V, [0, 5, 12])[1],
    "of many items": OVER_ITEMS[0], "of many items, the second": OVER_ITEMS[1],
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_each_entry_is_what_it_is_made_of(name):
    expression = EXPRESSIONS[name]
    operands = operands_of(expression)
    node = Node(expression, [Node(operand, [], True) for operand in operands], True)
    symbols = cs.symvar(expression)
    rng = np.random.default_rng(0)
    point = [cs.DM(rng.normal(size=symbol.shape)) for symbol in symbols]
    expected, *values = cs.Function("at", symbols, [expression, *operands])(*point)[:] if operands else []
    flat = [np.array(value).ravel(order="F") for value in (values if operands else [])]
    for entry, right in enumerate(np.array(expected).ravel(order="F")):
        needed, combined = node.needs(np.array([entry]))
        given = [cs.SX(float(flat[k][places[0]])) for k, places in needed]
        np.testing.assert_allclose(float(cs.DM(cs.evalf(cs.SX(combined(given))))), right, rtol=1e-14)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_entries_made_alike_are_told_together(name):
    """Several entries at once need at each place what each of them needs alone, or are refused as unlike."""
    expression = EXPRESSIONS[name]
    node = Node(expression, [Node(operand, [], True) for operand in operands_of(expression)], True)
    size = expression.numel()
    for entries in (np.arange(size), np.arange(0, size, 2), np.array([0, size - 1])):
        try:
            needed, _ = node.needs(entries)
        except NoRuleError:
            continue
        for position, entry in enumerate(entries):
            alone, _ = node.needs(np.array([entry]))
            assert [(k, int(places[position])) for k, places in needed] == [(k, int(p[0])) for k, p in alone]
