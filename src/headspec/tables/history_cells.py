"""The cells of a training history, read as numbers and as what they are otherwise."""

from __future__ import annotations

import ast
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import SAFE_INT, NumpyArray, is_array, kind_of, parts, to_numpy
from headspec.axes import pairs_of
from headspec.errors import DataError, KindError
from headspec.text import clean, count

HEAD_COUNTS = ("pruned_heads", "revived_heads")
"""Metrics that count events of their row: given as numbers, or as lists of (layer, head) pairs."""
Floats = npt.NDArray[np.float64]
Pairs = list[tuple[int, int]]

_SPELLED = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}
_PLAIN = {float, int, bool, type(None), np.float64, np.float32, np.int64}
_NEVER_NUMBERS = (nw.String, nw.Categorical, nw.Enum, nw.Datetime, nw.Date, nw.Duration, nw.Time)


class Cells(NamedTuple):
    """The cells of one metric as numbers."""

    value: Floats
    measured: npt.NDArray[np.bool_] | None  # None: everywhere
    pairs: list[Pairs | None] | None = None

    def take(self, rows: NumpyArray) -> Cells:
        """Return the cells of some rows."""
        measured = None if self.measured is None else self.measured[rows]
        return Cells(self.value[rows], measured, None if self.pairs is None else [self.pairs[row] for row in rows])


def is_scalar(value: Any) -> bool:
    """Tell whether a value is one cell rather than a list of them."""
    return value is None or isinstance(value, (str, bytes, numbers.Number)) or (is_array(value) and not value.shape)


def is_frame(value: Any) -> bool:
    """Tell whether a value is a dataframe of some library; its class is asked, as a lazy frame warns when it is."""
    return hasattr(type(value), "columns")


def steps_and_values(value: Any, name: str) -> tuple[Any, Any] | None:
    """Return what a metric with its own steps gives, or None for a plain list."""
    if isinstance(value, Mapping):
        return list(value), list(value.values())
    if not (isinstance(value, tuple) and len(value) == 2 and not any(is_scalar(part) for part in value)):
        return None
    at, cells = (cells_list(part, name) for part in value)
    if len(at) != len(cells):
        raise DataError(
            f"metrics_history[{name!r}] has {count(len(at), 'step')} but {count(len(cells), 'value')}; expected "
            "(steps, values) of equal length"
        )
    return at, cells


def cells_list(value: Any, name: str) -> Any:
    """Return the cells of a metric as a list, a one-dimensional array or a pandas Series."""
    if isinstance(value, (list, pd.Series)):
        return value
    for method in ("to_list", "to_pylist"):  # Polars, PyArrow: null and NaN stay apart in a list
        if hasattr(value, method):
            return getattr(value, method)()
    if is_array(value) and len(value.shape):
        return value
    if hasattr(value, "__iter__") and not isinstance(value, (str, bytes, set, frozenset)) and not is_scalar(value):
        return list(value)
    raise KindError(
        f"metrics_history[{name!r}] is {kind_of(value)}; expected a list with one value per step, or (steps, values)"
    )


def steps_of(cells: Any, name: str, *, of: str = "metrics_history") -> NumpyArray:
    """Return steps as whole numbers where all are, as floats otherwise: finite, and such that a browser tells them apart."""
    if (
        type(cells) is np.ndarray
        and cells.dtype.kind == "i"
        and cells.ndim == 1
        and len(cells)
        and cells.min() > -SAFE_INT
        and cells.max() < SAFE_INT
    ):
        return cells.astype(np.int64, copy=False)
    read = read_cells(cells, name, {}, of=of)
    if read is None:
        raise KindError(f"{of}[{name!r}] holds {_what(cells)}; a step is a number: count the updates")
    step, measured, _ = read
    bad = ~np.isfinite(step) if measured is None else ~np.isfinite(step) | ~measured
    if bad.any():
        raise DataError(f"{of}[{name!r}] is missing or not finite in row {int(np.flatnonzero(bad)[0])}")
    if len(step) and np.abs(step).max() >= SAFE_INT:
        raise DataError(
            f"{of}[{name!r}] reaches 2**53, from where on a browser no longer tells two whole numbers apart; "
            "subtract the first step or count in larger units"
        )
    whole = step.astype(np.int64)
    return whole if (whole == step).all() else step


def read_cells(cells: Any, name: str, left_out: dict[str, str], *, of: str = "metrics_history") -> Cells | None:
    """Return the cells of a metric as numbers, or None (and a note) where not one of them is a number."""
    if isinstance(cells, pd.Series):
        return frame_cells(nw.from_native(cells, series_only=True), name, left_out)
    if is_array(cells) and len(cells.shape) == 1 and getattr(cells, "dtype", None) != np.dtype(object):
        if isinstance(cells, np.ndarray) and cells.dtype.kind not in "biuf":
            left_out[name] = _what(cells)
            return None
        value, masked = parts(cells if isinstance(cells, np.ndarray) else to_numpy(cells, name=name))
        return Cells(value, ~masked if masked.any() else None)
    if isinstance(cells, list):
        try:
            array = np.asarray(cells)
        except (ValueError, TypeError, RuntimeError, OverflowError):
            array = np.zeros(0)  # ragged pairs, tensors with gradients: one by one
        if array.ndim == 1 and len(array) == len(cells):
            if array.dtype.kind in "biuf":
                return Cells(array.astype(np.float64, copy=False), None)
            if array.dtype.kind == "O" and set(map(type, cells)) <= _PLAIN:
                measured = np.fromiter((cell is not None for cell in cells), dtype=bool, count=len(cells))
                return Cells(np.array(cells, dtype=np.float64), measured)
    return _one_by_one(list(cells), name, left_out, of)


def frame_cells(column: Any, name: str, left_out: dict[str, str]) -> Cells | None:
    """Return the cells of a dataframe's column (a Narwhals series), null meaning not measured."""
    dtype = column.dtype
    if dtype.is_numeric() or dtype == nw.Boolean:
        missing = column.is_null().to_numpy()
        value = np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
        return Cells(value, ~missing if missing.any() else None)
    if name not in HEAD_COUNTS and dtype in _NEVER_NUMBERS:
        left_out[name] = "text" if dtype in _NEVER_NUMBERS[:3] else f"{dtype} values"
        return None
    return read_cells(column.to_list(), name, left_out)


def _one_by_one(cells: list[Any], name: str, left_out: dict[str, str], of: str) -> Cells | None:
    if name in HEAD_COUNTS:
        cells = [_parsed(cell) for cell in cells]
    value = np.zeros(len(cells))
    measured = np.ones(len(cells), dtype=bool)
    pairs: list[Pairs | None] = [None] * len(cells)
    odd: list[int] = []
    any_pairs = any_number = False
    for place, cell in enumerate(cells):
        found = _number(cell)
        if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
            measured[place] = False
        elif found is not None:
            value[place], any_number = found, True
        elif name in HEAD_COUNTS and not isinstance(cell, (str, bytes)):
            listed = pairs_of(cell, name=f"{of}[{name!r}][{place}]")
            pairs[place], value[place], any_pairs = listed, len(listed), True
        else:
            odd.append(place)
    if odd and (any_number or any_pairs):
        cell = cells[odd[0]]
        raise DataError(
            f"{of}[{name!r}][{odd[0]}] is {clean(repr(cell))[:40]} ({kind_of(cell)}) among numbers; expected a "
            "number, or None where it was not measured"
        )
    if odd:
        left_out[name] = _what([cells[odd[0]]])
        return None
    return Cells(value, None if measured.all() else measured, pairs if any_pairs else None)


def _number(cell: Any) -> float | None:
    if isinstance(cell, (bool, int, float, np.number, np.bool_, numbers.Real)):
        return None if isinstance(cell, np.complexfloating) else float(cell)
    if isinstance(cell, str):
        return float(cell) if cell.strip().lower() in _SPELLED else None  # JSON cannot hold these but as text
    if type(cell).__module__ == "decimal":
        return float(cell)
    if is_array(cell) and not len(cell.shape):
        array = to_numpy(cell)
        return None if np.ma.is_masked(array) else float(array)
    return None


def _parsed(cell: Any) -> Any:
    """Return the pairs that a text file holds as text: ``"[(0, 1), (2, 3)]"``."""
    if not isinstance(cell, str) or not cell.strip().startswith(("[", "(", "{")):
        return None if isinstance(cell, str) and not cell.strip() else cell
    try:
        return ast.literal_eval(cell.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return cell


def _what(cells: Any) -> str:
    first = next((cell for cell in cells if cell is not None), None)
    if isinstance(first, (str, bytes, np.str_)):
        return "text"
    shape: Any = getattr(first, "shape", ())
    if isinstance(first, (list, tuple, set, Mapping)) or (is_array(first) and len(shape)):
        return "several values in a row"
    return f"{type(first).__name__} values" if first is not None else "nothing"
