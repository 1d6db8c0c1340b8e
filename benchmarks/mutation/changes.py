"""The mutants of a file: each changes one operator, comparison, number, keyword argument, statement or result.

Left alone, as they change no result: messages, annotations, docstrings, ``strict=`` of ``zip``, and the arguments of
``counted``, which are estimates of cost.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BINARY = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.Pow: ("**", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.MatMult: ("@", "*"), ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip
_COMPARE = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
_BOOLEAN = {ast.And: ("and", "or"), ast.Or: ("or", "and")}


@dataclass
class Mutant:
    """One change: the characters ``start`` to ``end`` of a file become ``new``."""

    path: str
    line: int
    lines: tuple[int, int]
    around: tuple[int, int]
    start: int
    end: int
    old: str
    new: str
    in_function: bool
    #: The line as it stands, by which the mutant is found again when others have been added above it.
    text: str = ""
    outcome: str = ""
    n_tests: int = 0
    found_by: str = ""


class _Finder(ast.NodeVisitor):
    """Collects the mutants of one file; messages, annotations, decorators and docstrings are left alone."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line.encode()))
        self.bytes = text.encode()
        self.depth = 0
        self.statement = (0, 0)
        self.around = (0, 0)
        self.found: list[Mutant] = []

    def visit(self, node: ast.AST) -> None:
        """Visit a node; coverage knows a statement of several lines by some of them."""
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno or node.lineno
            self.statement = node.lineno, max(last, node.lineno)
        super().visit(node)

    def place(self, node: ast.AST) -> tuple[int, int]:
        return (
            self.starts[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            self.starts[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def add(self, node: ast.AST, start: int, end: int, new: str) -> None:
        old = self.bytes[start:end].decode()
        line: int = node.lineno  # type: ignore[attr-defined]
        text = self.text.splitlines()[line - 1].strip()
        mutant = Mutant(self.path, line, self.statement, self.around, start, end, old, new, self.depth > 0, text)
        self.found.append(mutant)

    def between(self, node: ast.AST, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        start, end = self.place(left)[1], self.place(right)[0]
        word = rf"\b{old}\b" if old[0].isalpha() else re.escape(old)
        match = re.search(word, self.bytes[start:end].decode())
        if match:
            self.add(node, start + match.start(), start + match.end(), new)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if not self.depth:
            self.around = node.lineno, node.end_lineno or node.lineno
        # Defaults are evaluated at import.
        for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
            self.visit(default)
        self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= 1
        if not self.depth:
            self.around = (0, 0)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        if not self.depth:
            self.around = node.lineno, node.end_lineno or node.lineno
        self.depth += 1
        self.visit(node.body)
        self.depth -= 1
        if not self.depth:
            self.around = (0, 0)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node.test, ast.Name | ast.Call | ast.Attribute):
            start, end = self.place(node.test)
            self.add(node.test, start, end, f"not ({self.bytes[start:end].decode()})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        if isinstance(node.test, ast.Name | ast.Call | ast.Attribute):
            start, end = self.place(node.test)
            self.add(node.test, start, end, f"not ({self.bytes[start:end].decode()})")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        is_count = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "counted"
        if isinstance(node.value, ast.Call) and self.depth and not is_count:
            self.add(node, *self.place(node), "pass")
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            self.add(node, *self.place(node.value), "None")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.between(node, node.left, node.right, *_BINARY.get(type(node.op), ("", "")) or ("", ""))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        old, new = _BINARY[type(node.op)]
        self.between(node, node.target, node.value, f"{old}=", f"{new}=")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            self.between(node, left, right, *_COMPARE[type(op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(node, left, right, *_BOOLEAN[type(node.op)])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self.add(node, *self.place(node), f"({self.bytes[slice(*self.place(node.operand))].decode()})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "counted":
            return
        for k, keyword in enumerate(node.keywords):
            # zip(strict=True) tells of faults that there are none of: without it nothing changes.
            if keyword.arg is not None and keyword.arg != "strict" and (node.args or k):
                start, end = self.place(keyword)
                before = node.keywords[k - 1] if k else node.args[-1]
                if self.place(before)[1] < start:
                    self.add(keyword, self.place(before)[1], end, "")
        for part in (node.func, *node.args, *(k.value for k in node.keywords if k.arg != "strict")):
            self.visit(part)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.add(node, *self.place(node), str(not node.value))
        elif isinstance(node.value, int | float) and node.value + 1 != node.value:
            self.add(node, *self.place(node), f"({node.value!r} + 1)")


def mutants_of(root: Path, place: str) -> Iterator[Mutant]:
    """Yield every mutant of a file, or of the files under a folder, that still compiles."""
    there = root / place
    for path in [there] if there.is_file() else sorted(there.rglob("*.py")):
        text = path.read_text()
        finder = _Finder(str(path.relative_to(root)), text)
        finder.visit(ast.parse(text))
        for mutant in finder.found:
            try:
                compile(changed(text, mutant), str(path), "exec")
            except SyntaxError:
                continue
            yield mutant


def changed(text: str, mutant: Mutant) -> str:
    """Return a file's text with the change made."""
    encoded = text.encode()
    return (encoded[: mutant.start] + mutant.new.encode() + encoded[mutant.end :]).decode()
