"""The part of Vega's expression language that filters are written in, evaluated in Python to count what they keep.

What is not understood raises `Unknown`; the caller then counts the row as kept. Nothing here is ever executed as code.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

Scope: TypeAlias = Mapping[str, Any]
Node: TypeAlias = Callable[[Scope], Any]


class Unknown(Exception):
    """The expression uses something that is not evaluated here."""


_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<op>===|!==|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:()\[\],.]))""",
    re.VERBOSE,
)
_BINARY = {"||": 1, "&&": 2, "==": 3, "!=": 3, "===": 3, "!==": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5}
_BINARY |= {"*": 6, "/": 6, "%": 6}


def evaluate(expression: str, scope: Scope) -> Any:
    """Return the value of an expression, with ``datum`` and the params of `scope`; raise `Unknown` if it cannot be told."""
    try:
        return _parsed(expression)(scope)
    except (TypeError, KeyError, IndexError, ArithmeticError, AttributeError) as err:
        raise Unknown(expression) from err


@lru_cache(maxsize=256)
def _parsed(expression: str) -> Node:
    parser = _Parser(expression)
    node = parser.ternary()
    if parser.peek() is not None:
        raise Unknown(expression)
    return node


def truthy(value: Any) -> bool:
    """Tell whether JavaScript takes the value for true."""
    if isinstance(value, (list, dict)):
        return True
    return bool(value) and value == value


class _Parser:
    """Recursive descent over the tokens; each rule returns a function of the scope."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        place = 0
        text = text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None or len(self.tokens) > 400:
                raise Unknown(text)
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            place = match.end()
        self.place = 0

    def peek(self) -> str | None:
        if self.place == len(self.tokens):
            return None
        kind, text = self.tokens[self.place]
        return text if kind == "op" else kind

    def take(self, expected: str | None = None) -> str:
        if self.place == len(self.tokens) or (expected is not None and self.peek() != expected):
            raise Unknown(f"expected {expected}")
        self.place += 1
        return self.tokens[self.place - 1][1]

    def ternary(self) -> Node:
        test = self.binary(1)
        if self.peek() != "?":
            return test
        self.take("?")
        yes = self.ternary()
        self.take(":")
        no = self.ternary()
        return lambda scope: yes(scope) if truthy(test(scope)) else no(scope)

    def binary(self, level: int) -> Node:
        left = self.unary()
        while (_BINARY.get(self.peek() or "", 0)) >= level:
            op = self.take()
            left = _operation(op, left, self.binary(_BINARY[op] + 1))
        return left

    def unary(self) -> Node:
        if self.peek() in ("!", "-", "+"):
            op = self.take()
            inner = self.unary()
            if op == "!":
                return lambda scope: not truthy(inner(scope))
            return lambda scope: -inner(scope) if op == "-" else +inner(scope)
        return self.postfix()

    def postfix(self) -> Node:
        node = self.primary()
        while self.peek() in (".", "["):
            if self.take() == ".":
                name = self.take("name")
                key: Node = _constant(name)
            else:
                key = self.ternary()
                self.take("]")
            node = _member(node, key)
        return node

    def primary(self) -> Node:
        kind = self.peek()
        if kind == "number":
            return _constant(float(self.take()))
        if kind == "text":
            return _constant(_literal(self.take()))
        if kind == "(":
            self.take()
            node = self.ternary()
            self.take(")")
            return node
        if kind == "[":
            items = self.arguments("[", "]")
            return lambda scope: [item(scope) for item in items]
        name = self.take("name")
        if name in _CONSTANTS:
            return _constant(_CONSTANTS[name])
        if self.peek() == "(":
            function = _FUNCTIONS.get(name)
            if function is None:
                raise Unknown(name)
            inputs = self.arguments("(", ")")
            return lambda scope: function(*(item(scope) for item in inputs))
        return lambda scope: _lookup(scope, name)

    def arguments(self, start: str, end: str) -> list[Node]:
        self.take(start)
        items: list[Node] = []
        while self.peek() != end:
            items.append(self.ternary())
            if self.peek() != end:
                self.take(",")
        self.take(end)
        return items


def _constant(value: Any) -> Node:
    return lambda scope: value


def _literal(token: str) -> str:
    body = token[1:-1]
    if token[0] == "'":
        body = re.sub(r"""\\.|\"""", lambda match: {"\\'": "'", '"': '\\"'}.get(match.group(), match.group()), body)
    try:
        return str(json.loads(f'"{body}"'))
    except ValueError as err:
        raise Unknown(token) from err


def _lookup(scope: Scope, name: str) -> Any:
    if name not in scope:
        raise Unknown(name)
    return scope[name]


def _member(node: Node, key: Node) -> Node:
    def get(scope: Scope) -> Any:
        holder, name = node(scope), key(scope)
        if isinstance(holder, Fields):
            return holder[name]
        if name == "length" and isinstance(holder, (list, str)):
            return float(len(holder))
        if isinstance(holder, dict):
            return holder.get(name, MISSING)
        if isinstance(holder, list) and isinstance(name, float) and name == int(name):
            return holder[int(name)] if 0 <= name < len(holder) else MISSING
        raise Unknown(name)

    return get


class _Missing:
    """JavaScript's undefined."""

    def __bool__(self) -> bool:
        return False


MISSING = _Missing()


class Fields(dict[str, Any]):
    """A row, some of whose fields cannot be told."""

    def __init__(self, row: Mapping[str, Any], unknown: frozenset[str] = frozenset()) -> None:
        super().__init__(row)
        self.unknown = unknown

    def __missing__(self, name: Any) -> Any:
        return MISSING

    def __getitem__(self, name: Any) -> Any:
        if name in self.unknown:
            raise Unknown(name)
        return super().__getitem__(name)


def equal(a: Any, b: Any, *, strict: bool = True) -> bool:
    """Compare as ``===`` does (as ``==`` if not `strict`, which is told only where both sides are of one kind)."""
    if a is MISSING or b is MISSING:
        return a is b or (not strict and (a is None or b is None))
    kinds = [bool if isinstance(value, bool) else float if isinstance(value, int) else type(value) for value in (a, b)]
    if kinds[0] is not kinds[1]:
        if strict or a is None or b is None:
            return False
        raise Unknown("== between kinds")
    return bool(a == b)


def _operation(op: str, left: Node, right: Node) -> Node:
    if op == "&&":
        return lambda scope: _both(left, right, scope)
    if op == "||":
        return lambda scope: _either(left, right, scope)
    if op in ("==", "==="):
        return lambda scope: equal(left(scope), right(scope), strict=op == "===")
    if op in ("!=", "!=="):
        return lambda scope: not equal(left(scope), right(scope), strict=op == "!==")
    function = _ARITHMETIC[op]
    return lambda scope: function(left(scope), right(scope))


def _both(left: Node, right: Node, scope: Scope) -> Any:
    try:
        first = left(scope)
    except Unknown:
        if not truthy(right(scope)):
            return False
        raise
    return right(scope) if truthy(first) else first


def _either(left: Node, right: Node, scope: Scope) -> Any:
    try:
        first = left(scope)
    except Unknown:
        if truthy(right(scope)):
            return True
        raise
    return first if truthy(first) else right(scope)


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(a: Any, b: Any) -> bool:
        if isinstance(a, str) and isinstance(b, str):
            return compare(a, b)
        return compare(_number(a), _number(b))

    return ordered


def _number(value: Any) -> float:
    if value is None:
        return 0.0
    if value is MISSING:
        return math.nan
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise Unknown(repr(value))


def _add(a: Any, b: Any) -> Any:
    return a + b if isinstance(a, str) and isinstance(b, str) else _number(a) + _number(b)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "<": _order(lambda a, b: a < b),
    "<=": _order(lambda a, b: a <= b),
    ">": _order(lambda a, b: a > b),
    ">=": _order(lambda a, b: a >= b),
    "+": _add,
    "-": lambda a, b: _number(a) - _number(b),
    "*": lambda a, b: _number(a) * _number(b),
    "/": lambda a, b: _number(a) / _number(b),
    "%": lambda a, b: math.fmod(_number(a), _number(b)),
}
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "undefined": None, "NaN": math.nan}
_CONSTANTS |= {"PI": math.pi, "Infinity": math.inf}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sequence(*ends: float) -> list[float]:
    start, stop, step = (0.0, ends[0], 1.0) if len(ends) == 1 else (*ends, 1.0)[:3]
    count = max(0, math.ceil((stop - start) / step))
    if count > 5_000_000:
        raise Unknown("sequence")
    return [start + step * place for place in range(count)]


def _index(items: Any, item: Any) -> float:
    if isinstance(items, str):
        return float(items.find(item))
    return float(next((place for place, other in enumerate(items) if equal(other, item)), -1))


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "isValid": lambda value: value is not None and value is not MISSING and value == value,
    "isNumber": _is_number,
    "isFinite": lambda value: _is_number(value) and math.isfinite(value),
    "isNaN": lambda value: not _is_number(value) or value != value,
    "isArray": lambda value: isinstance(value, list),
    "isString": lambda value: isinstance(value, str),
    "isBoolean": lambda value: isinstance(value, bool),
    "isDefined": lambda value: value is not MISSING,
    "length": lambda value: float(len(value)),
    "abs": lambda value: abs(_number(value)),
    "floor": lambda value: float(math.floor(_number(value))),
    "ceil": lambda value: float(math.ceil(_number(value))),
    "round": lambda value: float(math.floor(_number(value) + 0.5)),
    "sqrt": lambda value: math.sqrt(_number(value)),
    "min": lambda *values: min(map(_number, values)),
    "max": lambda *values: max(map(_number, values)),
    "inrange": lambda value, ends: min(ends) <= _number(value) <= max(ends),
    "indexof": _index,
    "sequence": _sequence,
    "toNumber": _number,
}
