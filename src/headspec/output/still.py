"""A spec as a still picture needs it: without what a pointer would show or change and what only a screen reader is told.

The renderer prepares all of that: it writes a tooltip and a label for each point of a line, and asks for each whether it is picked.
A picture stays as a chart is at first, when nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from headspec.output.jsontext import compact

_SELECTION = frozenset({"bind", "name", "select", "views"})
"""What a selection says that begins with nothing picked."""
_TESTS = ("and", "filter", "not", "or", "test")


def still(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of the same picture without tooltips, labels, and the selections that can be done without."""
    out = {**spec, "config": {**spec.get("config", {}), "aria": False}}
    if '"aggregate":' not in compact(spec):  # beside an aggregate, the field of a tooltip groups the rows
        out = _changed(out, _without_tooltip)
    params = out.pop("params", [])
    idle = {param["name"] for param in params if _is_idle(param)}
    bare = _changed(out, lambda node: _unpicked(node, idle))
    text = compact(bare)
    if any(name in text for name in idle):  # they are asked in some other way
        idle, bare = set(), out
    kept = [param for param in params if param["name"] not in idle]
    return {**bare, "params": kept} if kept else bare


def _is_idle(param: Mapping[str, Any]) -> bool:
    """Tell whether a param is a selection that is empty at first; one of a scale's domain is kept, as it clips marks."""
    return "select" in param and param.keys() <= _SELECTION and param.get("bind") != "scales"


def _changed(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a part of a spec with each dict in it changed, the inner ones first."""
    if isinstance(node, dict):
        return change({key: _changed(item, change) if key != "data" else item for key, item in node.items()})
    return [_changed(item, change) for item in node] if isinstance(node, list) else node


def _without_tooltip(node: dict[str, Any]) -> dict[str, Any]:
    encoding = node.get("encoding")
    if not isinstance(encoding, dict) or "tooltip" not in encoding:
        return node
    return {**node, "encoding": {key: item for key, item in encoding.items() if key != "tooltip"}}


def _unpicked(node: dict[str, Any], idle: set[str]) -> dict[str, Any]:
    """Return a channel or a test with the answers that selections give as long as nothing is picked."""
    out = {key: _answer(item, idle) if key in _TESTS else item for key, item in node.items()}
    if "condition" not in out or "field" in out or "datum" in out:  # a field has a scale and a legend, to be kept
        return out
    conditions = out.pop("condition")
    kept = []
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if condition.get("param") not in idle:
            kept.append(condition)
            continue
        holds = condition.get("empty", True)
        shown, other = (condition, out) if holds else (out, condition)
        if "field" in other or _greater(other.get("value"), shown.get("value")):
            return node  # its field has a legend and tells lines apart; a legend has the greatest opacity of all
        if holds:
            out = {key: item for key, item in condition.items() if key not in ("param", "empty")}
            break
    return {**out, "condition": kept} if kept else out


def _greater(one: Any, other: Any) -> bool:
    return isinstance(one, (int, float)) and isinstance(other, (int, float)) and one > other


def _answer(test: Any, idle: set[str]) -> Any:
    if isinstance(test, list):
        return [_answer(item, idle) for item in test]
    if isinstance(test, dict) and test.keys() <= {"param", "empty"} and test.get("param") in idle:
        return "true" if test.get("empty", True) else "false"
    return test
