"""Arrays that stay where they are stored until their values are asked for, and how far a long reading of them is."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from types import EllipsisType
from typing import Any, TextIO

import numpy as np

from headspec.arrays import NumpyArray, is_array, is_torch

PATIENCE = 2.0
"""Seconds of reading that pass before anything is said of it."""
_BETWEEN = 0.2
SILENT = "HEADSPEC_PROGRESS"
"""The environment variable that silences the reading where it is 0."""


def is_stored(array: Any) -> bool:
    """Tell whether an array's values are not in memory: a memory map, Zarr, HDF5, Dask and others."""
    if isinstance(array, np.memmap):
        return True
    return is_array(array) and not isinstance(array, np.ndarray) and not is_torch(array)


def view_of(array: Any) -> Any:
    """Return an array that can be sliced without being read.

    Zarr and HDF5 read what is sliced at once; for them a view is returned. All other arrays are returned as they are.
    """
    if isinstance(array, StoredView) or not is_stored(array) or isinstance(array, np.memmap) or not array.shape:
        return array
    if 0 in tuple(array.shape):
        return array
    try:
        reads = isinstance(array[0:0], np.ndarray)
    except Exception:  # whatever cannot be sliced is not made better by a view
        return array
    return StoredView(array) if reads else array


class StoredView:
    """A part of a stored array, with its axes in some order: read when it becomes a NumPy array."""

    def __init__(
        self, source: Any, picks: Sequence[int | range] | None = None, axes: Sequence[int | None] | None = None
    ):
        self._source = source
        self._picks = tuple(range(int(size)) for size in source.shape) if picks is None else tuple(picks)
        # for each axis of the view the axis of the source, None for one of length 1 that the source does not have
        self._axes = tuple(range(len(self._picks))) if axes is None else tuple(axes)

    @property
    def dtype(self) -> Any:
        """The dtype of the source."""
        return self._source.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the view's axes."""
        return tuple(1 if axis is None else len(self._range(axis)) for axis in self._axes)

    @property
    def ndim(self) -> int:
        """Number of the view's axes."""
        return len(self._axes)

    def _range(self, axis: int) -> range:
        pick = self._picks[axis]
        assert isinstance(pick, range)
        return pick

    def __getitem__(self, key: int | slice | EllipsisType | tuple[Any, ...] | None) -> StoredView:
        """Return a part of the view; nothing is read."""
        items: list[Any] = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in items:
            at = items.index(Ellipsis)
            missing = self.ndim - sum(item is not None for item in items) + 1
            items[at : at + 1] = [slice(None)] * missing
        picks = list(self._picks)
        axes: list[int | None] = []
        left = list(self._axes)
        for item in items:
            if item is None:
                axes.append(None)
                continue
            if not left:
                raise IndexError(f"too many indices: the array has {self.ndim} axes")
            axis = left.pop(0)
            if isinstance(item, slice):
                if axis is not None:
                    picks[axis] = self._range(axis)[item]
                axes.append(axis)
            elif axis is not None:
                picks[axis] = self._range(axis)[item]
        return StoredView(self._source, picks, [*axes, *left])

    def transpose(self, order: Sequence[int]) -> StoredView:
        """Return the view with its axes in another order; nothing is read."""
        return StoredView(self._source, self._picks, [self._axes[place] for place in order])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NumpyArray:
        """Read the view."""
        where = tuple(
            slice(pick.start, pick.stop, pick.step) if isinstance(pick, range) else pick for pick in self._picks
        )
        values: NumpyArray = np.asanyarray(self._source[where])  # netCDF gives masked arrays
        kept = [axis for axis, pick in enumerate(self._picks) if isinstance(pick, range)]
        values = values.transpose([kept.index(axis) for axis in self._axes if axis is not None])
        return values.reshape(self.shape).astype(dtype or values.dtype, copy=False)


class Meter:
    """Says how far a long reading is, in one line on a terminal or in a notebook, from the third second on.

    Parameters
    ----------
    what
        What is read.
    total
        Numbers to read.
    stream
        Where to write; standard error by default.
    clock
        Tells the seconds.
    """

    def __init__(
        self, what: str, total: int, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._total, self._clock = what, total, clock
        self._stream = sys.stderr if stream is None else stream
        self._done, self._width = 0, 0
        self._start = self._last = clock()
        self._shown = total > 0 and _is_watched(self._stream)

    def add(self, numbers: int) -> None:
        """Count numbers that were read."""
        if not self._shown:
            return
        self._done += numbers
        now = self._clock()
        if now - self._start < PATIENCE or now - self._last < _BETWEEN:
            return
        self._last = now
        share = min(self._done / self._total, 1.0)
        left = (now - self._start) * (1 - share) / share if share else math.inf
        self._write(f"{self._what}: {100 * share:.0f} % read, {_duration(left)} left")

    def _write(self, text: str) -> None:
        self._stream.write("\r" + text.ljust(self._width) + ("\r" if not text else ""))
        self._stream.flush()
        self._width = len(text)

    def __enter__(self) -> Meter:
        """Return the meter itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Clear the line."""
        if self._width:
            self._write("")


def meter(what: str, arrays: Iterable[Any]) -> Meter:
    """Return a meter of reading arrays, which says nothing where all of them are in memory."""
    sizes = [math.prod(int(size) for size in array.shape) for array in arrays if is_stored(array)]
    return Meter(what, sum(sizes))


def _is_watched(stream: TextIO) -> bool:
    """Tell whether a person sees what is written: on a terminal, or below the cell of a notebook."""
    if os.environ.get(SILENT) == "0":
        return False
    notebook = type(stream).__module__.partition(".")[0] == "ipykernel"
    return notebook or bool(getattr(stream, "isatty", lambda: False)())


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "some time"
    whole = math.ceil(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"
