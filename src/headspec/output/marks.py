"""How many marks a spec will draw, counted before anything draws them.

First a bound that costs next to nothing: rows, times the lengths of the lists that are flattened, times layers; filters and
aggregates are taken to keep everything. Only where the bound is above the limit are the transforms walked row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from headspec.output.datasets import Dataset
from headspec.output.expression import MISSING, Fields, Unknown, equal, evaluate, truthy

VIEW = 20
"""What a view costs besides its rows (axes, headers, frames), in marks."""
_EXACT = 3_000_000
"""So many rows are walked at most."""


@dataclass(frozen=True)
class Count:
    """The marks of a chart."""

    marks: int = 0
    texts: int = 0
    """Those of them that are text labels."""

    def __add__(self, other: Count) -> Count:
        return Count(self.marks + other.marks, self.texts + other.texts)

    def times(self, factor: int) -> Count:
        """Return the count of so many copies."""
        return Count(self.marks * factor, self.texts * factor)


def count_marks(spec: Mapping[str, Any], datasets: Mapping[str, Dataset], *, exact: bool = False) -> Count:
    """Return how many marks a spec draws at most.

    Parameters
    ----------
    spec, datasets
        The parts of an `Export`.
    exact
        Walk filters, calculations and aggregates row by row, where they are understood, instead of taking every row as kept.
    """
    params = _params(spec)
    walk = _Walk(datasets, params, exact)
    return walk.view(spec, _Flow([], 0))


class _Lists(NamedTuple):
    """The columns of one flatten, and the names of what they become."""

    fields: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Flow:
    """The rows that reach a view: the rows themselves while they can be told, and how many there are."""

    rows: Sequence[Mapping[str, Any]] | None
    count: int
    flattened: tuple[_Lists, ...] = ()
    """The lists that were flattened so far: counted, while nobody has to look at the rows that come of it."""
    unknown: frozenset[str] = frozenset()
    """Fields that were computed in a way that is not followed here."""
    made: tuple[tuple[str, str], ...] = ()
    """Fields with the expression that made them, where it has not been evaluated (of the quick bound)."""


@dataclass(frozen=True)
class _Walk:
    datasets: Mapping[str, Dataset]
    params: Mapping[str, Any]
    exact: bool

    def view(self, node: Mapping[str, Any], flow: _Flow) -> Count:
        if "data" in node:
            flow = self.source(node["data"])
        for transform in node.get("transform") or ():
            flow = self.apply(transform, flow)
        total = Count()
        for key in ("layer", "hconcat", "vconcat", "concat"):
            for part in node.get(key) or ():
                total += self.view(_inherit(node, part) if key == "layer" else part, flow)
        if isinstance(node.get("spec"), Mapping):
            inner = self.view(node["spec"], flow)
            if "repeat" in node:
                inner = inner.times(_repeats(node["repeat"]))
            if "facet" in node:
                inner += Count(VIEW * _groups(flow, _fields(node["facet"])))
            total += inner
        if "mark" in node:
            total += _unit(node["mark"], node.get("encoding") or {}, flow, exact=self.exact)
        return total

    def source(self, data: Any) -> _Flow:
        if not isinstance(data, Mapping):
            return _Flow([], 0)
        if "sequence" in data:
            ends = data["sequence"]
            step = abs(ends.get("step") or 1)
            return _Flow(None, max(0, int(abs(ends["stop"] - ends["start"]) / step) + 1))
        item = self.datasets.get(str(data.get("name")))
        if item is None:
            return _Flow([], 0)
        if item.lines is None:  # GeoJSON, or CSV text
            return _Flow(None, max(item.text.count('"geometry"'), item.text.count("\\n"), 1))
        rows = item.rows
        return _Flow(rows if all(isinstance(row, dict) for row in rows[:1]) else None, len(rows))

    def apply(self, transform: Mapping[str, Any], flow: _Flow) -> _Flow:
        if "flatten" in transform:
            return self.flatten(transform, flow)
        if "fold" in transform:
            made = frozenset(transform.get("as") or ("key", "value"))
            return _Flow(None, flow.count * len(transform["fold"]), unknown=flow.unknown | made)
        if not self.exact or flow.rows is None:
            flow = _quick(transform, flow)
            if "calculate" in transform:
                flow = replace(flow, made=(*flow.made, (transform["as"], transform["calculate"])))
            return flow
        if "filter" in transform or "calculate" in transform:
            flow = _expanded(flow)
            if flow.rows is None:
                return _quick(transform, flow)
        if "filter" in transform:
            test = transform["filter"]
            kept = [row for row in flow.rows or () if self.keeps(test, Fields(row, flow.unknown)) is not False]
            return replace(flow, rows=kept, count=len(kept))
        if "calculate" in transform:
            return self.calculate(transform, flow)
        return _quick(transform, flow)

    def flatten(self, transform: Mapping[str, Any], flow: _Flow) -> _Flow:
        fields: list[str] = list(transform["flatten"])
        if flow.rows is None:
            return flow
        for name, expression in flow.made:  # a list that only exists once it is computed
            if name in fields and flow.rows and name not in flow.rows[0]:
                made = self.calculate({"as": name, "calculate": expression}, replace(flow, unknown=frozenset()))
                flow = replace(flow, rows=made.rows)
        again = [name for name in fields if any(name in lists.names for lists in flow.flattened)]
        if again and _is_nested(flow, again):  # lists in lists: no shortcut
            flow = _expanded(flow)
            again = []
        names = dict(zip(fields, transform.get("as") or fields, strict=False))
        fresh = _Lists(
            tuple(name for name in names if name not in again),
            tuple(names[name] for name in names if name not in again),
        )
        flattened = (*flow.flattened, fresh) if fresh.fields else flow.flattened
        count = sum(_product(row, flattened) for row in flow.rows or ())
        return replace(flow, count=count, flattened=flattened)

    def calculate(self, transform: Mapping[str, Any], flow: _Flow) -> _Flow:
        name, expression = transform["as"], transform["calculate"]
        rows = []
        try:
            for row in flow.rows or ():
                rows.append({**row, name: evaluate(expression, self.scope(Fields(row, flow.unknown)))})
        except Unknown:
            return replace(flow, unknown=flow.unknown | {name})
        return replace(flow, rows=rows, unknown=flow.unknown - {name})

    def scope(self, row: Fields) -> dict[str, Any]:
        return {"datum": row, **{name: value for name, value in self.params.items() if not isinstance(value, _Picked)}}

    def keeps(self, test: Any, row: Fields) -> bool | None:
        """Tell whether a filter keeps a row; None where that cannot be told."""
        try:
            return self._keeps(test, row)
        except (Unknown, TypeError, KeyError, IndexError):
            return None

    def _keeps(self, test: Any, row: Fields) -> bool | None:
        if isinstance(test, str):
            return truthy(evaluate(test, self.scope(row)))
        if "not" in test:
            inner = self.keeps(test["not"], row)
            return None if inner is None else not inner
        if "and" in test or "or" in test:
            parts = [self.keeps(part, row) for part in test.get("and", test.get("or"))]
            decisive = "or" in test
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        if "param" in test:
            picked = self.params.get(test["param"])
            if not isinstance(picked, _Picked) or not picked.points:
                return test.get("empty", True) is not False if isinstance(picked, _Picked) else None
            return any(all(equal(row[name], value) for name, value in point.items()) for point in picked.points)
        return _predicate(test, row[test["field"]])


def _predicate(test: Mapping[str, Any], value: Any) -> bool | None:
    if "timeUnit" in test or "." in test["field"] or "[" in test["field"]:
        return None
    if "valid" in test:
        return (value is not None and value is not MISSING and value == value) is bool(test["valid"])
    if "equal" in test:
        return equal(value, test["equal"])
    if "oneOf" in test:
        return any(equal(value, item) for item in test["oneOf"])
    if value is None or value is MISSING:
        return None
    if "range" in test:
        low, high = test["range"]
        return (low is None or value >= low) and (high is None or value <= high)
    bounds = {"lt": value.__lt__, "lte": value.__le__, "gt": value.__gt__, "gte": value.__ge__}
    return next((bool(compare(test[key])) for key, compare in bounds.items() if key in test), None)


@dataclass(frozen=True)
class _Picked:
    """The first value of a point selection: what is picked before anyone clicks."""

    points: tuple[Mapping[str, Any], ...]


def _params(spec: Any) -> dict[str, Any]:
    """Return the values that the params of a spec begin with."""
    out: dict[str, Any] = {}
    for param in _all_params(spec):
        name, select, value = param.get("name"), param.get("select"), param.get("value")
        if select is None:
            if "value" in param and "expr" not in param:
                out[str(name)] = value
        elif select == "point" or (isinstance(select, Mapping) and select.get("type") == "point"):
            points = value if isinstance(value, list) else [value] if value is not None else []
            if all(isinstance(point, Mapping) for point in points):
                out[str(name)] = _Picked(tuple(points))
    return out


def _all_params(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield from (param for param in node.get("params") or () if isinstance(param, Mapping))
        for key in ("layer", "hconcat", "vconcat", "concat"):
            for part in node.get(key) or ():
                yield from _all_params(part)
        yield from _all_params(node.get("spec"))


def _inherit(parent: Mapping[str, Any], child: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a layer with the encoding that its parent shares with it."""
    shared = parent.get("encoding")
    return {**child, "encoding": {**shared, **(child.get("encoding") or {})}} if shared else child


def _unit(mark: Any, encoding: Mapping[str, Any], flow: _Flow, *, exact: bool) -> Count:
    about: Mapping[str, Any] = mark if isinstance(mark, Mapping) else {"type": mark}
    count = flow.count
    channels = [channel for channel in encoding.values() if isinstance(channel, Mapping)]
    repeated = any(isinstance(channel.get("field"), Mapping) for channel in channels)
    if exact and not repeated and any("aggregate" in channel for channel in channels):
        flow = _expanded(flow)
        count = min(count, _groups(flow, _fields(encoding)))
    views = sum(_groups(flow, _fields({key: encoding[key]})) for key in ("row", "column", "facet") if key in encoding)
    if about.get("type") == "text":
        return Count(count + VIEW * views, count)
    overlays = sum(bool(about.get(key)) for key in ("point", "line"))
    return Count(count * (1 + overlays) + VIEW * views)


def _fields(encoding: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Return the fields by which an encoding groups rows, and whether each is binned."""
    channels = [encoding] if "field" in encoding else list(encoding.values())
    flat = [item for channel in channels for item in (channel if isinstance(channel, list) else [channel])]
    named = [item for item in flat if isinstance(item, Mapping) and isinstance(item.get("field"), str)]
    return [(item["field"], bool(item.get("bin"))) for item in named if "aggregate" not in item]


def _groups(flow: _Flow, fields: list[tuple[str, bool]]) -> int:
    """Return how many groups the rows fall into, or their number where that cannot be told."""
    names = [name for name, binned in fields if not binned]
    bins: int = 64 ** sum(binned for _, binned in fields)
    if flow.rows is None or flow.unknown.intersection(names):
        return flow.count
    if any(name in lists.names for lists in flow.flattened for name in names):
        return flow.count
    try:
        groups = len({tuple([row.get(name) for name in names]) for row in flow.rows})
    except TypeError:  # a cell that is a list
        groups = len({repr([row.get(name) for name in names]) for row in flow.rows})
    return min(flow.count, bins * groups)


def _repeats(repeat: Any) -> int:
    if isinstance(repeat, list):
        return len(repeat)
    factor = 1
    for items in repeat.values():
        factor *= len(items)
    return factor


def _is_nested(flow: _Flow, names: list[str]) -> bool:
    """Tell whether a column that is flattened once more holds lists in lists."""
    first = next((row[name] for name in names for row in (flow.rows or ())[:1] if row.get(name)), None)
    return isinstance(first, list) and bool(first) and isinstance(first[0], list)


def _expanded(flow: _Flow) -> _Flow:
    """Return the flow with its lists as rows; without rows if there would be too many to look at."""
    if flow.rows is None or not flow.flattened:
        return flow
    if flow.count > _EXACT:
        return replace(flow, rows=None, flattened=())
    rows = flow.rows
    for lists in flow.flattened:
        rows = [item for row in rows for item in _flat(row, lists.fields, lists.names)]
    return replace(flow, rows=rows, flattened=())


def _product(row: Mapping[str, Any], flattened: tuple[_Lists, ...]) -> int:
    total = 1
    for lists in flattened:
        total *= max(
            (len(cell) if isinstance(cell, list) else 1 for cell in (row.get(name) for name in lists.fields)), default=1
        )
    return total


def _flat(row: Mapping[str, Any], fields: Sequence[str], names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    lists = [cell if isinstance(cell, list) else [cell] for cell in (row.get(field) for field in fields)]
    for place in range(max(map(len, lists), default=0)):
        cells = (items[place] if place < len(items) else None for items in lists)
        yield {**row, **dict(zip(names, cells, strict=False))}


def _quick(transform: Mapping[str, Any], flow: _Flow) -> _Flow:
    """Return the flow after a transform that is not followed: no more rows than before, with new fields."""
    made: list[str] = []
    given = transform.get("as")
    made += [given] if isinstance(given, str) else [str(name) for name in given or ()]
    for key in ("window", "joinaggregate", "aggregate"):
        made += [str(item["as"]) for item in transform.get(key) or () if isinstance(item, Mapping) and "as" in item]
    made += [str(name) for name in (transform.get("from") or {}).get("fields") or ()]
    flow = replace(flow, unknown=flow.unknown | frozenset(made))
    if "aggregate" in transform:
        count = _groups(flow, [(str(name), False) for name in transform.get("groupby") or ()]) if flow.rows else 0
        return replace(flow, rows=None, count=min(flow.count, count) if flow.rows is not None else flow.count)
    if "sample" in transform:
        return replace(flow, rows=None, count=min(flow.count, int(transform["sample"])))
    generators = ("density", "regression", "loess", "quantile", "pivot", "impute")
    if any(key in transform for key in generators):
        steps = int(transform.get("steps") or transform.get("maxsteps") or 200)
        curve = "density" in transform or "regression" in transform or "quantile" in transform
        return replace(flow, rows=None, count=flow.count + steps if curve else flow.count)
    return flow
