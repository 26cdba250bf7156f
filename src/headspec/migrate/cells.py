"""Code cells as syntax trees: where each node stands, what encloses it, and which scope owns a name."""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence
from functools import cache, cached_property

import libcst as cst
from libcst.metadata import (
    BuiltinScope,
    ClassScope,
    GlobalScope,
    MetadataWrapper,
    PositionProvider,
    Scope,
    ScopeProvider,
    WhitespaceInclusivePositionProvider,
)

from headspec.migrate.known import words
from headspec.migrate.magics import Masked

_NEWLINE = re.compile(r"\r\n?|\n")


def parses(code: str) -> bool:
    """Tell whether Python itself, with the top-level await that notebooks allow, reads a masked cell."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cell's own "\\d" is not this program's affair
            compile(code, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def parse(code: str) -> cst.Module | None:
    """Return the syntax tree of a masked cell, or None if it does not parse and print back to the same text."""
    try:
        module = cst.parse_module(code)
        return module if module.code == code else None
    except Exception:  # libcst raises its own error, and others for text that no parser expects
        return None


class CodeCell:
    """A code cell that parses."""

    def __init__(self, number: int, text: str, masked: Masked, module: cst.Module) -> None:
        self.number = number
        self.text = text
        self.masked = masked
        self.code = masked.code
        self._wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        self.module = self._wrapper.module

    @classmethod
    def read(cls, number: int, text: str, masked: Masked) -> CodeCell | None:
        """Return the cell, or None if it does not parse."""
        if not parses(masked.code):
            return None
        module = parse(masked.code)
        return None if module is None else cls(number, text, masked, module)

    @cached_property
    def _positions(self) -> object:
        return self._wrapper.resolve(PositionProvider)

    @cached_property
    def _with_parentheses(self) -> object:
        return self._wrapper.resolve(WhitespaceInclusivePositionProvider)

    @cached_property
    def _parents(self) -> dict[cst.CSTNode, cst.CSTNode]:
        return {below: node for node in self.nodes for below in children(node)}

    @cached_property
    def _scopes(self) -> object:
        return self._wrapper.resolve(ScopeProvider)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _NEWLINE.finditer(self.code))]

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return where a node begins and ends in the masked code: with its parentheses, without the space around it."""
        if isinstance(node, cst.BaseExpression) and node.lpar:
            place = self._with_parentheses[node]  # type: ignore[index]
        else:
            place = self._positions[node]  # type: ignore[index]
        start, end = place.start, place.end
        return self._starts[start.line - 1] + start.column, self._starts[end.line - 1] + end.column

    def source(self, node: cst.CSTNode) -> str:
        """Return the text of a node."""
        start, end = self.span(node)
        return self.code[start:end]

    def line(self, node: cst.CSTNode) -> int:
        """Return the line, from 1, of the cell as it stands that a node begins in."""
        before = self.code[: self.span(node)[0]]
        for name, text in self.masked.lines.items():
            before = before.replace(name, text)
        return len(_NEWLINE.findall(before)) + 1

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node that holds a node."""
        return self._parents.get(node)

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes that hold a node, from the nearest on."""
        current = self.parent(node)
        while current is not None:
            yield current
            current = self.parent(current)

    def small_statement(self, node: cst.CSTNode) -> cst.BaseSmallStatement | None:
        """Return the simple statement that a node is part of, or None in the head of a compound one."""
        for holder in (node, *self.above(node)):
            if isinstance(holder, cst.BaseSmallStatement):
                return holder
            if isinstance(holder, (cst.BaseCompoundStatement, cst.Lambda)):
                return None
        return None

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Return the innermost function whose body holds a node."""
        below = node
        for holder in self.above(node):
            if isinstance(holder, cst.FunctionDef) and below is holder.body:
                return holder
            below = holder
        return None

    def owner(self, node: cst.CSTNode, name: str) -> Scope | None:
        """Return the function scope that a name belongs to at a node, or None if it is the notebook's."""
        scope: Scope | None = self._scopes.get(node)  # type: ignore[attr-defined]
        first = True
        while scope is not None and not isinstance(scope, (GlobalScope, BuiltinScope)):
            own = name in scope.assignments
            if own and (first or not isinstance(scope, ClassScope)):
                return scope
            first = False
            scope = scope.parent
        return None

    @cached_property
    def nodes(self) -> tuple[cst.CSTNode, ...]:
        """Every node of the cell that is code."""
        return tuple(walk(self.module))

    @cached_property
    def outer(self) -> tuple[cst.CSTNode, ...]:
        """The nodes that stand in no function and no class, with the functions and classes themselves."""
        return tuple(walk(self.module, skip=(cst.FunctionDef, cst.ClassDef, cst.Lambda)))

    @cached_property
    def texts(self) -> tuple[cst.SimpleString, ...]:
        """The written-out texts of the cell."""
        return tuple(node for node in self.nodes if isinstance(node, cst.SimpleString))

    @cached_property
    def imports(self) -> tuple[cst.Import | cst.ImportFrom, ...]:
        """The import statements of the cell, also those in functions."""
        return tuple(node for node in self.nodes if isinstance(node, (cst.Import, cst.ImportFrom)))

    @cached_property
    def names(self) -> dict[str, list[cst.Name]]:
        """Every name in the cell, also those after a dot, with the nodes where it stands."""
        found: dict[str, list[cst.Name]] = {}
        for node in self.nodes:
            if isinstance(node, cst.Name):
                found.setdefault(node.value, []).append(node)
        return found


# Parts of nodes that only lay them out; visiting them takes most of the time and tells nothing.
_LAYOUT = words(
    "lpar rpar leading_lines lines_after_decorators trailing_whitespace header footer comma semicolon equal dot "
    "lbracket rbracket lbrace rbrace operator indent relative star_etc first_colon second_colon newline"
)


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    names = (one.name for one in dataclasses.fields(kind))
    return tuple(name for name in names if name not in _LAYOUT and not name.startswith(("whitespace", "_")))


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """Return the nodes right below a node that are code."""
    found: list[cst.CSTNode] = []
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, cst.CSTNode)]
    return found


def walk(node: cst.CSTNode, *, skip: tuple[type[cst.CSTNode], ...] = ()) -> Iterator[cst.CSTNode]:
    """Yield a node and all below it, holders first; what is below a node of a skipped kind is left out."""
    stack: list[cst.CSTNode] = [node]
    while stack:
        current = stack.pop()
        yield current
        if current is node or not isinstance(current, skip):
            stack.extend(reversed(children(current)))


def dotted(node: cst.CSTNode) -> list[str] | None:
    """Return the parts of ``a.b.c``, or None for any other expression."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    return [node.value, *reversed(parts)] if isinstance(node, cst.Name) else None


def root(node: cst.CSTNode) -> cst.Name | None:
    """Return the name that an expression such as ``a.b[0].c()`` starts from."""
    while True:
        if isinstance(node, (cst.Attribute, cst.Subscript)):
            node = node.value
        elif isinstance(node, cst.Call):
            node = node.func
        else:
            return node if isinstance(node, cst.Name) else None


def literal(node: cst.CSTNode) -> bool:
    """Tell whether an expression is written out: numbers, texts, None, and tuples, lists and dicts of them."""
    if isinstance(node, cst.Name):
        return node.value in ("None", "True", "False")
    if isinstance(node, (cst.Integer, cst.Float, cst.SimpleString, cst.Ellipsis)):
        return True
    if isinstance(node, cst.UnaryOperation):
        return literal(node.expression)
    if isinstance(node, cst.ConcatenatedString):
        return literal(node.left) and literal(node.right)
    if isinstance(node, cst.BinaryOperation):
        return literal(node.left) and literal(node.right)
    if isinstance(node, (cst.Tuple, cst.List, cst.Set)):
        return all(isinstance(item, cst.Element) and literal(item.value) for item in node.elements)
    if isinstance(node, cst.Dict):
        return all(
            isinstance(item, cst.DictElement) and literal(item.key) and literal(item.value) for item in node.elements
        )
    return False


def value_of(node: cst.CSTNode) -> object:
    """Return the value of a literal expression, or the node itself if it has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(cst.Module([]).code_for_node(node).strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return node


def bare(statement: cst.CSTNode) -> cst.BaseExpression | None:
    """Return the expression that makes up a whole statement, or None."""
    return statement.value if isinstance(statement, cst.Expr) else None


def inner_blocks(statement: cst.CSTNode) -> Sequence[cst.BaseSuite]:
    """Return the blocks of a compound statement, in order."""
    if isinstance(statement, cst.If):
        rest: list[cst.BaseSuite] = []
        clause: cst.If | cst.Else | None = statement.orelse
        while clause is not None:
            rest.append(clause.body)
            clause = clause.orelse if isinstance(clause, cst.If) else None
        return [statement.body, *rest]
    blocks: list[cst.BaseSuite] = []
    if isinstance(statement, (cst.For, cst.While, cst.With, cst.Try, cst.TryStar, cst.ClassDef, cst.FunctionDef)):
        blocks.append(statement.body)
    if isinstance(statement, (cst.Try, cst.TryStar)):
        blocks += [handler.body for handler in statement.handlers]
    if isinstance(statement, cst.Match):
        blocks += [case.body for case in statement.cases]
    for name in ("orelse", "finalbody"):
        clause = getattr(statement, name, None)
        if clause is not None:
            blocks.append(clause.body)
    return blocks
