"""Frames from rows and columns of plain Python values, which keep apart what is missing and what is NaN."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.errors import DataError, KindError
from headspec.text import clean, listing


def from_rows(rows: Sequence[Any], *, name: str) -> pd.DataFrame:
    """Return the frame of a list of dicts; a key that a row lacks is missing there.

    Raises
    ------
    KindError
        If a row is no dict.
    """
    columns: dict[Hashable, None] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise KindError(f"{name} holds {kind(row)} as row {number:,}; expected a list of rows, [{{…}}, …]")
        columns.update(dict.fromkeys(row))
    return pd.DataFrame({clean(column): series([row.get(column) for row in rows]) for column in columns})


def from_columns(columns: Mapping[Any, Any], *, name: str) -> pd.DataFrame:
    """Return the frame of a dict of columns of equal length.

    Raises
    ------
    KindError
        If a column is neither a list nor an array.
    DataError
        If columns differ in length.
    """
    lists: dict[str, list[Any]] = {}
    for key, column in columns.items():
        if isinstance(column, (str, bytes, Mapping)) or not isinstance(column, Iterable):
            raise KindError(
                f"{name}: {clean(key)!r} holds {kind(column)}; expected a list of rows, or a dict of columns (name → list)"
            )
        lists[clean(key)] = list(column)
    if len({len(column) for column in lists.values()}) > 1:
        shown = listing([f"{key} {len(column):,}" for key, column in lists.items()])
        raise DataError(f"{name} has columns of unequal lengths: {shown}")
    return pd.DataFrame({key: series(column) for key, column in lists.items()})


def series(values: Sequence[Any]) -> pd.Series[Any]:
    """Return a column of plain values, in which None stays missing and NaN stays a number."""
    if not all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values):
        return pd.Series(values, dtype=object)
    try:
        found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except OverflowError:  # an integer beyond the floats: for whoever reads the column to judge
        return pd.Series(values, dtype=object)
    whole = all(isinstance(value, int) and abs(value) < 2**53 for value in values)
    return numbers(found, missing=np.array([value is None for value in values], dtype=bool), whole=whole)


def numbers(values: npt.NDArray[np.float64], *, missing: npt.NDArray[np.bool_], whole: bool = False) -> pd.Series[Any]:
    """Return a column of numbers: int64 if they are whole, else float64, or what holds the missing ones apart.

    That is the nullable Float64 where some are missing, and a column of objects where others are NaN besides: the
    nullable kind takes NaN for missing.
    """
    if not missing.any():
        return pd.Series(values.astype(np.int64) if whole and len(values) else values)
    if bool((np.isnan(values) & ~missing).any()):
        cells: Any = values.astype(object)
        cells[missing] = None
        return pd.Series(cells, dtype="object")
    return pd.Series(pd.arrays.FloatingArray(np.where(missing, 1.0, values), missing))


def kind(value: object) -> str:
    """Name the kind of a value for an error message."""
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return next((words for known, words in kinds.items() if type(value) is known), f"a {type(value).__name__}")
