"""The rows of a chart, taken out of it while it becomes a dict: plain JSON, each frame once, under a name of its own."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import math
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from headspec.errors import DataError, KindError
from headspec.text import clean

KEY = "headspec"
"""What a frame says of itself is kept in ``frame.attrs["headspec"]``."""

# The name of a dataset is a promise to web authors, who feed it (`view.data("heads", rows)`): the first line that fits.
NAMES: tuple[tuple[str, tuple[frozenset[str], ...]], ...] = (
    ("attention", (frozenset({"query", "key"}),)),
    ("events", (frozenset({"step", "event"}),)),
    ("history", (frozenset({"step", "metric"}),)),
    ("heads", (frozenset({"layer", "head"}),)),
    ("results", (frozenset({"strategy"}), frozenset({"stage"}), frozenset({"pruning_level"}))),
)
NESTED, OTHER = "cells", "rows"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")


def dataset_name(columns: Collection[str], *, nested: bool = False, about: Mapping[str, Any] | None = None) -> str:
    """Return the name that a dataset with these columns has, before it is numbered.

    Parameters
    ----------
    columns
        The names of its columns.
    nested
        Whether a column holds lists: ``cells``, if nothing better fits.
    about
        What the frame says of itself; its ``name`` comes first.

    Examples
    --------
    >>> dataset_name(["layer", "head", "value"]), dataset_name(["x"]), dataset_name(["row", "v"], nested=True)
    ('heads', 'rows', 'cells')
    """
    given = about.get("name") if about else None
    if isinstance(given, str) and _NAME.match(given):
        return given
    have = frozenset(columns)
    for name, needed in NAMES:
        if any(group <= have for group in needed):
            return name
    return NESTED if nested else OTHER


def check_name(name: object) -> str:
    """Return a dataset's name, or say what a name may be."""
    if not isinstance(name, str):
        raise KindError(f"the name of a dataset is a str, not {type(name).__name__}")
    if not _NAME.match(name):
        raise DataError(
            f"{clean(name)!r} cannot name a dataset: use letters, digits, '_' and '-', beginning with a letter"
        )
    return name


@dataclass
class Dataset:
    """The rows of one frame: as they were given, and as JSON text, one text per row."""

    name: str
    """The name that it asks for; the chart's names may number it."""
    lines: list[str] | None
    """Each row as compact JSON; None where the data is one JSON value (GeoJSON, CSV text) and no list of rows."""
    text: str
    """All of it as compact JSON."""
    source: Any = None
    """The frame or rows that it came from."""
    columns: tuple[str, ...] = ()
    authored: bool = False
    """Whether the chart's author gave the name."""
    _rows: Any = field(default=None, repr=False)

    @property
    def rows(self) -> list[Any]:
        """The rows as plain Python values, parsed once; empty where the data is no list."""
        if self._rows is None:
            self._rows = json.loads(self.text) if self.lines is not None else []
        return self._rows  # type: ignore[no-any-return]


class Collector:
    """An Altair data transformer that keeps the rows and leaves a reference in the chart."""

    def __init__(self) -> None:
        self.prefix = f"headspec-{uuid.uuid4().hex}-"
        self.sets: dict[str, Dataset] = {}  # by the reference that is left in the chart
        self._seen: dict[int, tuple[Any, str]] = {}  # the object is kept, so that its id stays its own
        self._by_text: dict[bytes, str] = {}

    def __call__(self, data: Any = None, **_: Any) -> Any:
        """Take the rows of a frame or dict; called by Altair for every occurrence of it in the chart."""
        if data is None:
            return self
        known = self._seen.get(id(data))
        if known is None:
            known = self._seen[id(data)] = (data, self._take(data))
        return {"name": known[1]}

    def _take(self, data: Any) -> str:
        values: Any = plain_rows(data)
        if values is None:
            try:
                values = alt.to_values(alt.limit_rows(data, max_rows=None))["values"]
            except (ValueError, TypeError, KeyError) as err:
                raise DataError(f"the chart's data cannot be written as JSON: {clean(err)}") from err
        return self.add(values, source=data)

    def add(self, values: Any, *, source: Any = None, own: str = "") -> str:
        """Keep values and return the reference to them; equal values are kept once, unless their author named them."""
        if isinstance(values, list):
            lines = [row_text(row) for row in values]
            text = "[" + ",".join(lines) + "]"
        else:
            lines, text = None, row_text(values)
        digest = hashlib.blake2b((own + "\0" + text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        reference = self._by_text.get(digest)
        if reference is not None:
            return reference
        columns, nested = _columns(values if lines is not None else [])
        about = getattr(source, "attrs", {}).get(KEY)
        name = own or dataset_name(columns, nested=nested, about=about if isinstance(about, Mapping) else None)
        reference = f"{self.prefix}{len(self.sets)}"
        self._by_text[digest] = reference
        kept = values if source is None else source
        self.sets[reference] = Dataset(name, lines, text, kept, columns, authored=bool(own))
        return reference


def plain_rows(data: Any) -> list[dict[str, Any]] | None:
    """Return the rows of a frame of plain columns as Altair would, which copies each column several times; else None."""
    if type(data) is not pd.DataFrame or isinstance(data.index, pd.MultiIndex):
        return None
    names = data.columns.tolist()
    if not names or not all(type(name) is str for name in names) or len(set(names)) < len(names):
        return None
    columns = []
    for _, column in data.items():
        cells = _plain_cells(column)
        if cells is None:
            return None
        columns.append(cells)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain_cells(column: pd.Series[Any]) -> list[Any] | None:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iub":
        return column.tolist()
    if dtype == np.float64:
        cells: list[Any] = column.tolist()
        return cells if np.isfinite(column.to_numpy()).all() else [v if math.isfinite(v) else None for v in cells]
    if isinstance(dtype, pd.StringDtype):
        return [cell if isinstance(cell, str) else None for cell in column.tolist()]
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        cells = column.tolist()
        return cells if {type(cell) for cell in cells} <= {str, int, bool, list, type(None)} else None
    return None


def _columns(rows: list[Any]) -> tuple[tuple[str, ...], bool]:
    """Return the columns of the rows, and whether some column holds lists (the first rows decide that)."""
    names: dict[str, None] = {}
    first = next((row for row in rows if isinstance(row, dict)), {})
    names.update(dict.fromkeys(map(str, first)))
    if any(isinstance(row, dict) and len(row) != len(first) for row in rows):
        for row in rows:
            if isinstance(row, dict):
                names.update(dict.fromkeys(map(str, row)))
    nested = any(isinstance(cell, list) for row in rows[:8] if isinstance(row, dict) for cell in row.values())
    return tuple(names), nested


def _default(value: object) -> Any:
    """Return the plain form of what the JSON encoder does not know."""
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return plain(float(value))
    raise KindError(
        f"a cell of the chart's data holds {type(value).__name__} ({clean(repr(value))[:60]}), which JSON cannot hold: "
        "convert the column to numbers, text or dates"
    )


_ROW = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=_default, check_circular=False
)


def row_text(row: Any) -> str:
    """Return one row as compact JSON with sorted keys; what is NaN or infinite becomes null, as Vega-Lite needs."""
    try:
        return _ROW.encode(row)
    except (ValueError, TypeError) as err:
        if isinstance(err, (DataError, KindError)):
            raise
        return _ROW.encode(plain(row))


def plain(value: Any) -> Any:
    """Return a value of plain dicts, lists, text and finite numbers; NaN and infinities become None."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _default(value)


def numbered(names: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """Return the names with a number from the second of a kind on: ``heads``, ``heads_2``.

    Examples
    --------
    >>> numbered(["heads", "rows", "heads"], taken=["rows"])
    ['heads', 'rows_2', 'heads_2']
    """
    used = set(taken)
    out: list[str] = []
    for name in names:
        candidate, place = name, 2
        while candidate in used:
            candidate, place = f"{name}_{place}", place + 1
        used.add(candidate)
        out.append(candidate)
    return out
