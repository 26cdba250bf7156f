"""Changes of statements turned into text: what stays is copied letter for letter, and no block is left empty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import libcst as cst

from headspec.migrate.cells import CodeCell, walk
from headspec.migrate.known import words


@dataclass(frozen=True)
class Guard:
    """A statement under a condition, written as two lines."""

    test: str
    body: str


Piece: TypeAlias = str | Guard

_PURE_CALLS = words("globals locals vars dir hasattr isinstance len callable bool")
# Comments that head a section or speak to a tool stay, also right above a definition that goes.
KEPT_COMMENT = re.compile(r"#(?:!|@|\s*%%|\s*\+\s*$|.*coding[:=])|#.*([=~*_-])\1{3}|#{4}")


@dataclass
class Edits:
    """The changes of one cell."""

    removed: set[cst.BaseCompoundStatement] = field(default_factory=set)
    small: dict[cst.BaseSmallStatement, list[Piece]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.removed or self.small)


@dataclass
class _Layout:
    """Collects spans of text to replace, and lines to drop."""

    cell: CodeCell
    edits: Edits
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    lines: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.code = self.cell.code
        self.starts = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", self.code))]
        self.newline = self.cell.module.default_newline
        self.unit = self.cell.module.default_indent

    # -- lines ---------------------------------------------------------------------------------------------------

    def row(self, at: int) -> int:
        """Return the line that a place is in, from 0."""
        low, high = 0, len(self.starts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.starts[middle] <= at else (low, middle - 1)
        return low

    def text(self, row: int) -> str:
        """Return a line without its end."""
        end = self.starts[row + 1] if row + 1 < len(self.starts) else len(self.code)
        return self.code[self.starts[row] : end].rstrip("\r\n")

    def first(self, node: cst.CSTNode) -> int:
        """Return where a statement begins, with its decorators."""
        decorators = getattr(node, "decorators", ())
        return self.cell.span(decorators[0] if decorators else node)[0]

    def last(self, node: cst.CSTNode) -> int:
        """Return where a statement ends, without the comments after it."""
        while True:
            block = _last_block(node)
            if block is None:
                return self.cell.span(node)[1]
            if isinstance(block, cst.SimpleStatementSuite):
                return self.cell.span(block.body[-1])[1]
            node = block.body[-1]
            if isinstance(node, cst.SimpleStatementLine):
                return self.cell.span(node.body[-1])[1]

    def indent(self, at: int) -> str:
        """Return the indentation of the line that a place is in."""
        match = re.match(r"[ \t\f]*", self.text(self.row(at)))
        return match.group() if match else ""

    def drop(self, node: cst.CSTNode) -> None:
        """Drop the lines of a statement, and for a compound one the comments that belong to it."""
        top, bottom = self.row(self.first(node)), self.row(self.last(node))
        if isinstance(node, cst.BaseCompoundStatement):
            top, bottom = self.comments_above(top), self.comments_below(top, bottom)
        self.lines.update(range(top, bottom + 1))

    def comments_above(self, top: int) -> int:
        """Return the first of the comment lines that stand right above a line, as its own."""
        indent = self.indent(self.starts[top])
        row = top
        while row > 0:
            line = self.text(row - 1)
            if not line.startswith(indent + "#") or KEPT_COMMENT.match(line[len(indent) :]):
                break
            row -= 1
        return row

    def comments_below(self, top: int, bottom: int) -> int:
        """Return the last line of a statement with the comments that are indented as its body."""
        indent = len(self.indent(self.starts[top]).expandtabs())
        row, found = bottom + 1, bottom
        while row < len(self.starts):
            line = self.text(row)
            if line.strip():
                own = len(line) - len(line.lstrip())
                if not line.lstrip().startswith("#") or len(line[:own].expandtabs()) <= indent:
                    break
                found = row
            row += 1
        return found

    # -- statements ----------------------------------------------------------------------------------------------

    def body(self, statements: Sequence[cst.CSTNode]) -> bool:
        """Lay out the statements of a block; tell whether none is left."""
        gone = [statement for statement in statements if self.statement(statement)]
        if gone and len(gone) == len(statements):
            return True
        for statement in gone:
            self.drop(statement)
        return False

    def statement(self, node: cst.CSTNode) -> bool:
        """Lay out one statement; tell whether it goes. Its lines are dropped by whoever holds the block."""
        if isinstance(node, cst.SimpleStatementLine):
            return self.simple(node)
        if isinstance(node, cst.BaseCompoundStatement):
            return node in self.edits.removed or self.compound(node)
        return False

    def simple(self, node: cst.SimpleStatementLine) -> bool:
        if not any(part in self.edits.small for part in node.body):
            return False
        pieces = self.pieces(node.body)
        if not pieces:
            return True
        start, end = self.cell.span(node.body[0])[0], self.small_end(node.body[-1])
        indent = self.indent(start)
        if len(pieces) == 1 or (len(node.body) > 1 and not any(map(_needs_lines, pieces))):
            first = pieces[0]
            one = self.newline.join(self.lines_of(first, indent)) if isinstance(first, Guard) else None
            self.spans.append((start, end, one if one is not None else "; ".join(map(str, pieces))))
            return False
        lines = [line for piece in pieces for line in self.lines_of(piece, indent)]
        comment = node.trailing_whitespace.comment
        if comment is not None:
            end = self.code.index(comment.value, end) + len(comment.value)
            lines[0] += f"  {comment.value}"
        self.spans.append((start, end, (self.newline + indent).join(lines)))
        return False

    def pieces(self, parts: Sequence[cst.BaseSmallStatement]) -> list[Piece]:
        found: list[Piece] = []
        for part in parts:
            found += self.edits.small.get(part, [self.cell.source(part)])
        return found

    def lines_of(self, piece: Piece, indent: str) -> list[str]:
        if isinstance(piece, Guard):
            return [f"if {piece.test}:{self.newline}{indent}{self.unit}{piece.body}"]
        return [piece]

    def small_end(self, part: cst.BaseSmallStatement) -> int:
        """Return where a simple statement ends, with its semicolon."""
        end = self.cell.span(part)[1]
        match = re.match(r"[ \t]*;", self.code[end:])
        return end + match.end() if match and isinstance(part.semicolon, cst.Semicolon) else end

    def suite(self, suite: cst.BaseSuite) -> bool:
        """Lay out a block; tell whether nothing is left of it."""
        if isinstance(suite, cst.SimpleStatementSuite):
            return self.one_line(suite)
        return self.body(suite.body)

    def one_line(self, suite: cst.SimpleStatementSuite) -> bool:
        if not any(part in self.edits.small for part in suite.body):
            return False
        pieces = self.pieces(suite.body)
        if not pieces:
            return True
        start, end = self.cell.span(suite.body[0])[0], self.small_end(suite.body[-1])
        if not any(map(_needs_lines, pieces)) and (len(pieces) == 1 or len(suite.body) > 1):
            self.spans.append((start, end, "; ".join(map(str, pieces))))
            return False
        inner = self.indent(start) + self.unit
        while self.code[start - 1] in " \t":
            start -= 1
        lines = [line for piece in pieces for line in self.lines_of(piece, inner)]
        self.spans.append((start, end, "".join(self.newline + inner + line for line in lines)))
        return False

    def close(self, suite: cst.BaseSuite) -> None:
        """Write ``pass`` into a block that lost all its statements."""
        if isinstance(suite, cst.SimpleStatementSuite):
            self.spans.append((self.cell.span(suite.body[0])[0], self.small_end(suite.body[-1]), "pass"))
            return
        top = suite.body[0]
        for statement in suite.body:
            self.drop(statement)
        row = self.row(self.first(top))
        indent = self.indent(self.first(top))
        self.lines.discard(row)
        end = self.starts[row] + len(self.text(row))
        self.spans.append((self.starts[row], end, f"{indent}pass"))

    def compound(self, node: cst.BaseCompoundStatement) -> bool:
        empty = {id(block): self.suite(block) for block in _blocks(node)}
        if not any(empty.values()):
            return False
        if isinstance(node, cst.If) and self.whole_if(node, empty):
            return True
        if isinstance(node, (cst.Try, cst.TryStar)) and self.whole_try(node, empty):
            return True
        for clause, block in _clauses(node):
            if not empty[id(block)]:
                continue
            handled = bool(getattr(node, "handlers", ()))
            spare = isinstance(clause, cst.Else) or (isinstance(clause, cst.Finally) and handled)
            if spare and clause is not None:
                self.lines.update(range(self.row(self.cell.span(clause)[0]), self.row(self.end_of(block)) + 1))
            else:
                self.close(block)
        return False

    def end_of(self, block: cst.BaseSuite) -> int:
        if isinstance(block, cst.SimpleStatementSuite):
            return self.cell.span(block.body[-1])[1]
        final = block.body[-1]
        return self.last(final.body[-1] if isinstance(final, cst.SimpleStatementLine) else final)

    def whole_if(self, node: cst.If, empty: Mapping[int, bool]) -> bool:
        clause: cst.If | cst.Else | None = node
        while clause is not None:
            if not empty[id(clause.body)] or (isinstance(clause, cst.If) and not _pure(clause.test)):
                return False
            clause = clause.orelse if isinstance(clause, cst.If) else None
        return True

    def whole_try(self, node: cst.Try | cst.TryStar, empty: Mapping[int, bool]) -> bool:
        rest = [clause.body for clause in (node.orelse, node.finalbody) if clause is not None]
        handlers = [handler.body for handler in node.handlers]
        return (
            empty[id(node.body)]
            and all(empty[id(block)] for block in rest)
            and all(empty[id(block)] or _idle(block) for block in handlers)
        )

    # -- the text ------------------------------------------------------------------------------------------------

    def finish(self) -> str:
        """Return the code with all changes made."""
        code = self.code
        for start, end, text in sorted([*self.spans, *self.gaps()], reverse=True):
            code = code[:start] + text + code[end:]
        return code

    def gaps(self) -> list[tuple[int, int, str]]:
        """Return the stretches of dropped lines, with the blank lines around them that go too."""
        count = len(self.starts) - (self.code.endswith(("\n", "\r")) and len(self.starts) > 1)
        found = []
        row = 0
        while row < count:
            if row not in self.lines:
                row += 1
                continue
            first = row
            while first > 0 and not self.text(first - 1).strip():
                first -= 1
            before = row - first
            after = 0
            while row < count and (row in self.lines or not self.text(row).strip()):
                after = 0 if row in self.lines else after + 1
                row += 1
            found.append(self.gap(first, row, before, after, count))
        return found

    def gap(self, first: int, stop: int, before: int, after: int, count: int) -> tuple[int, int, str]:
        start = self.starts[first]
        end = self.starts[stop] if stop < len(self.starts) else len(self.code)
        if stop < count and first > 0:
            keep = (first, first + before) if before >= after else (stop - after, stop)
            if self.text(first - 1).rstrip().endswith(":"):
                keep = (first, first + before)
            return start, end, self.code[self.starts[keep[0]] : self.starts[keep[1]]]
        if stop >= count and first > 0 and not self.code.endswith(("\n", "\r")):
            start = self.starts[first - 1] + len(self.text(first - 1))
        return start, end, ""


def rewrite(cell: CodeCell, edits: Edits) -> str:
    """Return the text of a cell with its changes made, magics and all.

    Parameters
    ----------
    cell
        The cell.
    edits
        What goes, and what takes the place of simple statements.
    """
    layout = _Layout(cell, edits)
    if layout.body(cell.module.body):
        for statement in cell.module.body:
            layout.drop(statement)
    return cell.masked.restore(layout.finish())


def _needs_lines(piece: Piece) -> bool:
    return isinstance(piece, Guard)


def _idle(block: cst.BaseSuite) -> bool:
    """Tell whether a handler only speaks of an error: with nothing left that raises one, it goes too."""
    parts = [
        part for line in block.body for part in (line.body if isinstance(line, cst.SimpleStatementLine) else [line])
    ]
    return all(isinstance(part, (cst.Pass, cst.Raise)) or _says(part) for part in parts)


def _says(part: cst.CSTNode) -> bool:
    """Tell whether a statement only prints or logs."""
    if not (isinstance(part, cst.Expr) and isinstance(part.value, cst.Call)):
        return False
    func = part.value.func
    if isinstance(func, cst.Attribute):
        return func.attr.value in ("warn", "warning", "info", "debug", "error", "exception", "print_exc")
    return isinstance(func, cst.Name) and func.value in ("print", "warn")


def _pure(test: cst.BaseExpression) -> bool:
    for node in walk(test):
        if isinstance(node, cst.Call) and not (isinstance(node.func, cst.Name) and node.func.value in _PURE_CALLS):
            return False
        if isinstance(node, (cst.NamedExpr, cst.Await, cst.Yield)):
            return False
    return True


def _last_block(node: cst.CSTNode) -> cst.BaseSuite | None:
    blocks = _blocks(node)
    return blocks[-1] if blocks else None


def _clauses(node: cst.CSTNode) -> list[tuple[cst.CSTNode | None, cst.BaseSuite]]:
    """Return the blocks of a compound statement with the clause that each belongs to."""
    found: list[tuple[cst.CSTNode | None, cst.BaseSuite]] = []
    if isinstance(node, cst.If):
        clause: cst.If | cst.Else | None = node
        while clause is not None:
            found.append((clause, clause.body))
            clause = clause.orelse if isinstance(clause, cst.If) else None
        return found
    body = getattr(node, "body", None)
    if isinstance(body, cst.BaseSuite):
        found.append((node, body))
    for clause in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        found.append((clause, clause.body))
    for name in ("orelse", "finalbody"):
        part = getattr(node, name, None)
        if part is not None:
            found.append((part, part.body))
    return found


def _blocks(node: cst.CSTNode) -> list[cst.BaseSuite]:
    return [block for _, block in _clauses(node)]
