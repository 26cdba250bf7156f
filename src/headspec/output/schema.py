"""A quick yes to charts that are valid Vega-Lite.

Altair's own check takes longer than all else that makes a spec of a chart. This one knows the few keywords that Vega-Lite's
schema is written with and says yes or not sure; whoever gets no yes asks Altair, which words the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Check: TypeAlias = Callable[[Any], bool]

_WORDS = frozenset({"$schema", "definitions", "description", "format", "title", "default"})
"""Keywords that decide nothing here: ``format`` names only what the usual validators do not look at."""
_KINDS: dict[str, Check] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}
_compiled: dict[int, tuple[Any, Schema]] = {}  # the schema is kept beside, so that its id stays its own


def accepts(chart: Any, spec: dict[str, Any]) -> bool:
    """Tell whether a chart's spec is certainly valid; False is no verdict."""
    kind = type(chart)
    root, own = getattr(kind, "_rootschema", None), getattr(kind, "_schema", None)
    if not isinstance(root, dict) or not isinstance(own, dict):
        return False
    known = _compiled.get(id(root))
    if known is None:
        known = _compiled[id(root)] = (root, Schema(root))
    return known[1].check(own)(spec)


class Schema:
    """The definitions of a schema, each turned into a function when it is first met."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = root.get("definitions", {})
        self._checks: dict[str, Check] = {}

    def check(self, schema: Any) -> Check:
        """Return the function that tells whether a value fits a part of the schema."""
        if schema is True or schema == {}:
            return lambda value: True
        if not isinstance(schema, Mapping):
            return lambda value: False
        if "$ref" in schema:
            return self._reference(str(schema["$ref"]))
        checks = [self._keyword(word, schema) for word in schema if word not in _WORDS]
        if len(checks) == 1:
            return checks[0]
        return lambda value: all(check(value) for check in checks)

    def _reference(self, place: str) -> Check:
        name = place.removeprefix("#/definitions/")

        def follow(value: Any) -> bool:
            check = self._checks.get(name)
            if check is None:
                check = self._checks[name] = self.check(self._definitions.get(name, False))
            return check(value)

        return follow

    def _keyword(self, word: str, schema: Mapping[str, Any]) -> Check:
        given = schema[word]
        if word == "type":
            kinds = [_KINDS[kind] for kind in ([given] if isinstance(given, str) else given)]
            return kinds[0] if len(kinds) == 1 else lambda value: any(kind(value) for kind in kinds)
        if word == "anyOf":
            choices = [self.check(part) for part in given]
            return lambda value: any(choice(value) for choice in choices)
        if word in ("enum", "const"):
            return _one_of(given if word == "enum" else [given])
        if word == "items" and isinstance(given, Mapping):
            item = self.check(given)
            return lambda value: not isinstance(value, list) or all(map(item, value))
        if word == "required":
            needed = frozenset(given)
            return lambda value: not isinstance(value, dict) or needed <= value.keys()
        if word in ("properties", "additionalProperties"):
            return self._properties(schema, rest=word == "additionalProperties")
        return _bound(word, given)

    def _properties(self, schema: Mapping[str, Any], *, rest: bool) -> Check:
        own = schema.get("properties", {})
        if rest:
            other = self.check(schema["additionalProperties"])
            return lambda value: (
                not isinstance(value, dict) or all(name in own or other(item) for name, item in value.items())
            )
        parts = {name: self.check(part) for name, part in own.items()}
        return lambda value: (
            not isinstance(value, dict) or all(name not in parts or parts[name](item) for name, item in value.items())
        )


def _one_of(choices: list[Any]) -> Check:
    texts = frozenset(choice for choice in choices if isinstance(choice, str))
    others = [choice for choice in choices if not isinstance(choice, str)]

    def check(value: Any) -> bool:
        if isinstance(value, str):
            return value in texts
        return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in others)

    return check


def _bound(word: str, limit: Any) -> Check:
    """Return the check of a keyword with a bound; for an unknown one a check that no value passes."""
    number = _KINDS["number"]
    bounds: dict[str, Check] = {
        "minimum": lambda value: not number(value) or value >= limit,
        "maximum": lambda value: not number(value) or value <= limit,
        "minItems": lambda value: not isinstance(value, list) or len(value) >= limit,
        "maxItems": lambda value: not isinstance(value, list) or len(value) <= limit,
        "minLength": lambda value: not isinstance(value, str) or len(value) >= limit,
        "maxLength": lambda value: not isinstance(value, str) or len(value) <= limit,
        "minProperties": lambda value: not isinstance(value, dict) or len(value) >= limit,
    }
    return bounds.get(word, lambda value: False)
