"""Loops as CasADi Functions: chains of calls of a step, nested so that the graph stays small.

A chain of n steps is one Function of n calls. Nested twice, in blocks of sqrt(n) steps, it has 2 sqrt(n) calls, and
its reverse sweep keeps the carries between blocks only, computing those inside one block again: checkpointing
(Griewank and Walther, *Evaluating Derivatives*, chapter 12). CasADi's own mapaccum is the same tower, but repeats for
every step what all steps share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import casadi as cs

from archimedes_grad.simplification import forward_nodes

#: Loops of fewer steps are one chain.
_LONGEST_SINGLE_CHAIN = 32
#: Steps or blocks in one chain of a loop with an early end: at most this many conditions are asked after it.
_GUARDED_CHAIN = 32


def scanned(step: cs.Function, n: int, n_carry: int, n_sliced: int, block: int | None) -> cs.Function:
    """Return the Function of n steps.

    Parameters
    ----------
    step
        Takes carries, slices, and what all steps share; gives carries, then outputs.
    block
        Steps in a block; None for sqrt(n) where n is large.

    Returns
    -------
    Function
        Takes carries, slices side by side, and what is shared; gives the last carries and outputs side by side.
    """
    if block is None:
        block = n if n <= _LONGEST_SINGLE_CHAIN else math.isqrt(n - 1) + 1
    with forward_nodes():
        if block >= n:
            return _chain("steps", [(step, 1)] * n, n_carry, n_sliced)
        inner = _chain("block", [(step, 1)] * block, n_carry, n_sliced) if block > 1 else step
        parts = [(inner, block)] * (n // block)
        if n % block:
            parts.append((_chain("rest", [(step, 1)] * (n % block), n_carry, n_sliced), n % block))
        return _chain("scan", parts, n_carry, n_sliced)


def _chain(name: str, parts: Sequence[tuple[cs.Function, int]], n_carry: int, n_sliced: int) -> cs.Function:
    """Return Functions called one after the other, each on its number of slices."""
    first, first_length = parts[0]
    carries = [cs.MX.sym(f"carry{i}", *first.size_in(i)) for i in range(n_carry)]
    total = sum(length for _, length in parts)
    sliced, slices = [], []
    for i in range(n_carry, n_carry + n_sliced):
        width = first.size2_in(i) // first_length
        sliced.append(cs.MX.sym(f"sliced{i}", first.size1_in(i), width * total))
        offsets = [0]
        for _, length in parts:
            offsets.append(offsets[-1] + width * length)
        slices.append(cs.horzsplit(sliced[-1], offsets))
    shared = [cs.MX.sym(f"shared{i}", *first.size_in(i)) for i in range(n_carry + n_sliced, first.n_in())]
    outputs: list[list[cs.MX]] = [[] for _ in range(first.n_out() - n_carry)]
    current = carries
    for k, (part, _) in enumerate(parts):
        results = part.call([*current, *(pieces[k] for pieces in slices), *shared], False, True)
        current = results[:n_carry]
        for collected, result in zip(outputs, results[n_carry:], strict=True):
            collected.append(result)
    return cs.Function(name, [*carries, *sliced, *shared], [*current, *(cs.horzcat(*o) for o in outputs)])


def looped_while(condition: cs.Function, step: cs.Function, n: int, n_carry: int) -> cs.Function:
    """Return the Function of at most n steps that ends where the condition does.

    Parameters
    ----------
    condition, step
        Take carries and what all steps share; give one entry (0: end), and carries.

    Notes
    -----
    Blocks of steps are guarded as steps are, so that after the end a few conditions are asked, not n.
    """
    with forward_nodes():
        if n <= _GUARDED_CHAIN:
            return _guarded_chain(condition, [step] * n, n_carry)
        length = _GUARDED_CHAIN
        while length * _GUARDED_CHAIN < n:
            length *= _GUARDED_CHAIN
        block = looped_while(condition, step, length, n_carry)
        parts = [block] * (n // length)
        if n % length:
            parts.append(looped_while(condition, step, n % length, n_carry))
        return _guarded_chain(condition, parts, n_carry)


def _guarded_chain(condition: cs.Function, parts: Sequence[cs.Function], n_carry: int) -> cs.Function:
    first = parts[0]
    inputs = [cs.MX.sym(f"x{i}", *first.size_in(i)) for i in range(first.n_in())]
    current, shared = inputs[:n_carry], inputs[n_carry:]
    unchanged = cs.Function("unchanged", inputs, current)
    guarded: dict[int, cs.Function] = {}
    for part in parts:
        choice = guarded.get(id(part))
        if choice is None:
            choice = guarded[id(part)] = cs.Function.if_else("guarded", part, unchanged)
        (goes_on,) = condition.call([*current, *shared], False, True)
        current = choice.call([goes_on, *current, *shared], False, True)
    return cs.Function("steps", inputs, current)
