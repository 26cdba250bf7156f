"""The rows that a chart draws, as one table: lists exploded, packed integers decoded, helpers left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
import pandas as pd

from headspec.errors import DataError
from headspec.output.datasets import KEY, Dataset
from headspec.output.spec import export
from headspec.text import clean, listing

if TYPE_CHECKING:
    from altair.typing import ChartType

TABLE = "table"
"""The column that names the table a row is from, where a chart draws several."""


def to_table(chart: ChartType) -> pd.DataFrame:
    """Return the rows that a chart draws.

    Parameters
    ----------
    chart
        Any Altair chart. Of a composition, the rows of all parts; the same rows are taken once.

    Returns
    -------
    pandas.DataFrame
        List columns become one row per item, integers that stand for values become the values, and columns whose names
        begin with ``_`` (they only help to draw) are left out. Where a chart draws several tables, the first column,
        ``table``, says which one a row is from, by the names that `to_spec` gives the datasets.

    Raises
    ------
    DataError
        If the chart holds no rows (it has none, or refers to them by URL), or the lists of a row differ in length.

    Notes
    -----
    A frame says how it is packed in ``frame.attrs["headspec"]``: ``{"decode": {"value": {"from": "q", "step": 0.001,
    "offset": 0.0}}}`` makes ``value = offset + step · q``, and null stays missing; ``{"rename": {"q": "value"}}`` renames.

    Examples
    --------
    >>> import altair as alt, pandas as pd
    >>> frame = pd.DataFrame({"layer": [0, 1], "head": [[0, 1], [0]], "value": [[0.5, 0.25], [1.0]]})
    >>> to_table(alt.Chart(frame).mark_rect())
       layer  head  value
    0      0     0   0.50
    1      0     1   0.25
    2      1     0   1.00
    """
    return table_of(export(chart, theme={}).datasets)


def table_of(datasets: Mapping[str, Dataset]) -> pd.DataFrame:
    """Return the rows of a chart that was taken apart as one table."""
    tables = {name: _table(item) for name, item in datasets.items() if item.lines not in (None, ["{}"])}
    if not tables:
        raise DataError("the chart holds no rows: it was made without data, or with the address of data")
    if len(tables) == 1:
        return next(iter(tables.values()))
    if any(TABLE in table.columns for table in tables.values()):
        raise DataError(f"a column named {TABLE!r} is in the way of the column that names the tables: rename it")
    for name, table in tables.items():
        table.insert(0, TABLE, name)
    return pd.concat([table for table in tables.values() if len(table)] or list(tables.values()), ignore_index=True)


def _table(item: Dataset) -> pd.DataFrame:
    frame = _frame(item)
    about = frame.attrs.get(KEY)
    about = about if isinstance(about, Mapping) else {}
    if "code" in about:
        from headspec.tables.packing import unpack

        long = unpack(frame)
    else:
        long = exploded(frame)
        for name, code in (about.get("decode") or {}).items():
            long = _decoded(long, name, code)
        long = long.rename(columns=dict(about.get("rename") or {}))
    long.attrs = {}
    return long[[name for name in long.columns if not str(name).startswith("_")]].reset_index(drop=True)


def _frame(item: Dataset) -> pd.DataFrame:
    source = item.source
    if isinstance(source, pd.DataFrame):
        out = source.copy(deep=False)
        out.attrs = dict(source.attrs)
        return out
    frame: Any = nw.from_native(source, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame.to_pandas()
    return pd.DataFrame(item.rows)


def exploded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with one row per item of its list columns; what is no list is repeated.

    Raises
    ------
    DataError
        If the lists of one row differ in length.
    """
    lists = {name: _as_lists(frame[name]) for name in frame.columns if _holds_lists(frame[name])}
    if not lists:
        return frame
    sizes = np.array(
        [[-1 if cell is None else len(cell) for cell in column] for column in lists.values()], dtype=np.intp
    )
    lengths = np.where((sizes < 0).all(axis=0), 1, sizes.max(axis=0))
    uneven = np.flatnonzero(((sizes >= 0) & (sizes != lengths)).any(axis=0))
    if len(uneven):
        row = int(uneven[0])
        told = listing(
            f"{clean(name)} has {size}" for name, size in zip(lists, sizes[:, row], strict=True) if size >= 0
        )
        raise DataError(f"the lists in row {row} of the chart's data differ in length: {told}")
    index = np.repeat(np.arange(len(frame)), lengths)
    out = frame.iloc[index].reset_index(drop=True)
    for name, column in lists.items():
        flat: list[Any] = []
        for cell, scalar, length in zip(column, frame[name], lengths, strict=True):
            flat += cell if cell is not None else [scalar] * int(length)
        out[name] = pd.Series(flat, dtype=object).infer_objects()
    return out


def _holds_lists(column: pd.Series[Any]) -> bool:
    return column.dtype == object and any(isinstance(cell, (list, tuple, np.ndarray)) for cell in column)


def _as_lists(column: pd.Series[Any]) -> list[list[Any] | None]:
    return [list(cell) if isinstance(cell, (list, tuple, np.ndarray)) else None for cell in column]


def _decoded(frame: pd.DataFrame, name: str, code: Mapping[str, Any]) -> pd.DataFrame:
    """Return the frame with the values that a column of integers stands for, in that column's place."""
    source = str(code.get("from", name))
    if source not in frame.columns:
        raise DataError(f"attrs['{KEY}'] decodes {clean(source)!r}, which is no column of the chart's data")
    step, offset = float(code.get("step", 1.0)), float(code.get("offset", 0.0))
    packed = pd.to_numeric(frame[source]).to_numpy(dtype=np.float64, na_value=np.nan)
    parts = round(1 / step) if step and abs(1 / step - round(1 / step)) < 1e-9 * abs(1 / step) else 0
    # 3 / 1000 is 0.003, and 3 · 0.001 is not
    values = offset + (packed / parts if parts else packed * step)
    out = frame.copy(deep=False)
    out[source] = values
    return out.rename(columns={source: name})
