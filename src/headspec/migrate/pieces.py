"""Small pieces of rewritten statements."""

from __future__ import annotations

import libcst as cst

from headspec.migrate.cells import CodeCell, dotted
from headspec.migrate.rewrite import Piece


def semicolon(statement: cst.BaseSmallStatement) -> bool:
    """Tell whether a statement ends with a semicolon."""
    return isinstance(statement.semicolon, cst.Semicolon)


def is_path(value: cst.BaseExpression) -> bool:
    """Tell whether an expression surely gives a path, and not None."""
    if isinstance(value, (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString)):
        return True
    if isinstance(value, cst.BinaryOperation):
        return isinstance(value.operator, (cst.Divide, cst.Add)) and (is_path(value.left) or is_path(value.right))
    if isinstance(value, cst.Call):
        return (dotted(value.func) or [""])[-1] in (
            "join",
            "Path",
            "str",
            "format",
            "joinpath",
            "with_suffix",
            "mkdtemp",
        )
    return False


def swap(cell: CodeCell, statement: cst.CSTNode, node: cst.CSTNode, text: str) -> str:
    """Return the text of a statement with one expression replaced."""
    first, last = cell.span(statement)
    start, end = cell.span(node)
    return cell.code[first:start] + text + cell.code[end:last]


def without_aliases(cell: CodeCell, statement: cst.Import | cst.ImportFrom, gone: set[int]) -> list[Piece]:
    """Return an import statement without some of its names, or nothing if none is left."""
    if isinstance(statement.names, cst.ImportStar):
        return [cell.source(statement)]
    names = list(statement.names)
    kept = [alias for alias in names if id(alias) not in gone]
    if not kept:
        return []
    first, last = cell.span(statement)
    cuts = []
    for position, alias in enumerate(names):
        if id(alias) not in gone:
            continue
        if any(later in kept for later in names[position + 1 :]):
            cuts.append((cell.span(alias)[0], cell.span(names[position + 1])[0]))
        else:
            before = max(index for index in range(position) if names[index] in kept)
            cuts.append((cell.span(names[before])[1], cell.span(names[-1])[1]))
            break
    text = cell.code[first:last]
    for start, end in reversed(cuts):
        text = text[: start - first] + text[end - first :]
    return [text]
