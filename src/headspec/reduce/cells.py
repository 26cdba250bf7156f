"""A matrix of any size, pooled to what a panel can show in one pass over its rows.

Read slab by slab, so that memory-mapped and chunked arrays need not fit in memory. Pooling by the maximum keeps every
row's strongest key visible; dropping columns or averaging loses it.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from headspec.arrays import NumpyArray, to_numpy
from headspec.errors import DataError
from headspec.reduce.palette import MISSING, ColourScale, png_uri
from headspec.stored import Meter

Pool = Literal["max", "mean"]
Pooling = Literal["max", "mean", "both"]
Floats = npt.NDArray[np.float64]

RECTS = 32
"""Tooltip rects in each direction of a pooled matrix."""
_SLAB = 2**20  # weights that are read at once: the passes over them find them in the cache
LEVELS = 252
"""Palette entries for values; the last four of the 256 are for cells without a finite value."""
_NAN, _INF, _MASKED, CLEAR = 252, 253, 254, 255


class Blocks(NamedTuple):
    """A pooled matrix, and the exact maxima of coarser blocks with their places."""

    values: Floats
    """``[row, column]``: the pooled weights, the maxima of both; NaN where a block holds no number."""
    means: Floats | None
    """``[row, column]``: the means, where both were asked for."""
    size: tuple[int, int]
    """How many queries and keys one pooled cell stands for."""
    shape: tuple[int, int]
    """Of the matrix."""
    how: Pooling
    coarse: tuple[int, int]
    """How many queries and keys one tooltip rect covers."""
    maxima: Floats
    """``[rect row, rect column]``: the exact maximum of each rect."""
    places: npt.NDArray[np.int64]
    """``[rect row, rect column, 2]``: its query and key."""
    low: float
    high: float
    """The least and the greatest finite weight."""
    counts: dict[str, int]
    """How many cells are ``nan``, ``inf``, ``-inf``, ``masked``."""
    causal: bool
    """No query gives weight to a later key (square matrices only)."""


def block_size(count: int, panel: int) -> int:
    """Return how many cells share a pixel so that `count` cells fit a panel."""
    return -(-count // panel)


def pool_matrix(
    matrix: Any,
    panel: int,
    *,
    how: Pooling = "max",
    mask: tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.bool_] | None] = (None, None),
    name: str = "attention",
    meter: Meter | None = None,
) -> Blocks:
    """Pool a ``[query, key]`` matrix to at most `panel` cells in each direction.

    Parameters
    ----------
    matrix
        Anything two-dimensional whose rows can be sliced: an array of any library, a memory map, a Dask or Zarr array.
    panel
        Pixels of the panel in each direction.
    how
        ``"max"`` or ``"mean"`` of each block's finite values, or ``"both"`` in the same pass.
    mask
        Which queries and which keys are real; None for all.
    name
        The argument's name, for error messages.
    meter
        Told of what was read.
    """
    rows, columns = (int(size) for size in matrix.shape)
    high_block, wide_block = block_size(rows, panel), block_size(columns, panel)
    pooled_shape = (-(-rows // high_block), -(-columns // wide_block))
    factors = tuple(-(-size // RECTS) for size in pooled_shape)
    coarse = (factors[0] * high_block, factors[1] * wide_block)
    rects = (-(-rows // coarse[0]), -(-columns // coarse[1]))
    values = np.full(pooled_shape, np.nan)
    means = values.copy() if how == "both" else None
    maxima, places = np.full(rects, -np.inf), np.zeros((*rects, 2), dtype=np.int64)
    low, high, counts = math.inf, -math.inf, {"nan": 0, "inf": 0, "-inf": 0, "masked": 0}
    causal = rows == columns > 1
    step = max(1, min(_SLAB // max(columns, 1), coarse[0]) // high_block) * high_block
    # slabs never straddle a rect, so that a rect's maximum is looked for in whole slabs
    starts = [
        begin + inner for begin in range(0, rows, coarse[0]) for inner in range(0, min(coarse[0], rows - begin), step)
    ]
    for start in starts:
        end = min(start + step, start - start % coarse[0] + coarse[0], rows)
        slab = _read(matrix, start, end, mask, counts, name)
        least, fill = float(slab.min()), slab
        top = _pool(slab, high_block, wide_block, np.maximum, -np.inf)
        if causal:
            causal = _no_later(slab, start, top if least >= 0 else None, wide_block)
        if not (np.isfinite(top).all() and math.isfinite(least)):
            fill, least = _fill(slab, counts)
            top = _pool(fill, high_block, wide_block, np.maximum, -np.inf)
        row = start // high_block
        if how != "mean":
            values[row : row + len(top)] = np.where(top == -np.inf, np.nan, top)
        if how != "max":
            total = _pool(np.where(np.isfinite(slab), slab, 0.0), high_block, wide_block, np.add, 0.0)
            number = _pool(np.isfinite(slab).astype(np.float32), high_block, wide_block, np.add, 0.0)
            mean = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
            (values if means is None else means)[row : row + len(top)] = mean
        low, high = min(low, least), max(high, float(top.max(initial=-math.inf, where=np.isfinite(top))))
        _locate(fill, top, start, (high_block, wide_block), coarse, maxima, places)
        if meter is not None:
            meter.add((end - start) * columns)
    maxima[maxima == -np.inf] = np.nan
    counts["nan"] -= counts["masked"]  # what is masked was made NaN to keep it out of the pool
    return Blocks(
        values, means, (high_block, wide_block), (rows, columns), how, coarse, maxima, places, low, high, counts, causal
    )


def _read(
    matrix: Any,
    start: int,
    end: int,
    mask: tuple[npt.NDArray[np.bool_] | None, npt.NDArray[np.bool_] | None],
    counts: dict[str, int],
    name: str,
) -> NumpyArray:
    try:
        slab = to_numpy(matrix[start:end], name=f"{name}[{start}:{end}]")
    except DataError:
        raise
    except Exception as error:  # a chunk that cannot be read fails in its own library's way
        raise DataError(f"{name}[{start}:{end}] could not be read: {type(error).__name__}: {error}") from error
    hidden = np.ma.getmask(slab)
    data = np.ma.getdata(slab)
    if data.dtype.kind != "f" or data.dtype.itemsize == 2:
        data = data.astype(np.float32)
    queries, keys = mask
    if hidden is np.ma.nomask and queries is None and keys is None:
        return data
    gone = np.zeros(data.shape, dtype=bool) | hidden
    if queries is not None:
        gone |= ~queries[start:end, None]
    if keys is not None:
        gone |= ~keys[None, :]
    counts["masked"] += int(gone.sum())
    return np.where(gone, np.asarray(np.nan, dtype=data.dtype), data)


def _fill(slab: NumpyArray, counts: dict[str, int]) -> tuple[NumpyArray, float]:
    """Return the slab with its NaN out of the way of a maximum, and its least finite value."""
    nan = np.isnan(slab)
    for kind, found in (("nan", nan), ("inf", slab == np.inf), ("-inf", slab == -np.inf)):
        counts[kind] += int(found.sum())
    finite = np.isfinite(slab)
    low = float(slab.min(initial=np.inf, where=finite))
    return np.where(nan, np.asarray(-np.inf, dtype=slab.dtype), slab), low


def _pool(slab: NumpyArray, high: int, wide: int, reduce: np.ufunc, empty: float) -> Floats:
    """Reduce blocks of ``high × wide`` cells; the last ones may be smaller."""
    rows, columns = slab.shape
    if high > 1:
        whole = rows // high * high
        parts = [reduce.reduce(slab[:whole].reshape(-1, high, columns), axis=1)] if whole else []
        if whole < rows:
            parts.append(reduce.reduce(slab[whole:], axis=0)[None])
        slab = np.concatenate(parts)
    if wide > 1:
        whole = columns // wide * wide
        parts = [reduce.reduce(slab[:, :whole].reshape(len(slab), -1, wide), axis=2)] if whole else []
        if whole < columns:
            parts.append(reduce.reduce(slab[:, whole:], axis=1)[:, None])
        slab = np.concatenate(parts, axis=1)
    return np.asarray(slab, dtype=np.float64)


def _no_later(slab: NumpyArray, start: int, top: Floats | None, wide: int) -> bool:
    """Tell whether no row of the slab has weight to the right of the diagonal.

    `top` are the maxima of its blocks, where no weight is negative or NaN: a maximum of 0 then says it of all its block.
    """
    end = start + len(slab)
    whole = slab.shape[1]
    if top is not None:
        if top[:, -(-end // wide) :].any():
            return False
        whole = min(-(-end // wide) * wide, whole)
    if any_weight(slab[:, end:whole]):
        return False
    return not any_weight(np.triu(slab[:, start:end], 1))


def any_weight(values: NumpyArray) -> bool:
    """Tell whether a value is not 0; NaN is no weight."""
    return bool(values.any()) and bool(np.any((values != 0) & ~np.isnan(values)))


def _locate(
    slab: NumpyArray,
    top: Floats,
    start: int,
    size: tuple[int, int],
    coarse: tuple[int, int],
    maxima: Floats,
    places: npt.NDArray[np.int64],
) -> None:
    """Keep each rect's maximum so far and where it is."""
    band, across = start // coarse[0], coarse[1] // size[1]
    for rect in range(maxima.shape[1]):
        part = top[:, rect * across : (rect + 1) * across]
        best = int(part.argmax())
        row, column = divmod(best, part.shape[1])
        if not part.flat[best] > maxima[band, rect]:
            continue
        first, left = row * size[0], (rect * across + column) * size[1]
        block = slab[first : first + size[0], left : left + size[1]]
        inner = divmod(int(block.argmax()), block.shape[1])
        maxima[band, rect] = part.flat[best]
        places[band, rect] = (start + first + inner[0], left + inner[1])


def palette_entries(
    values: npt.NDArray[np.floating[Any]],
    scale: ColourScale,
    *,
    blank: npt.NDArray[np.bool_] | None,
    masked: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.uint8]:
    """Return the palette entry of each pooled value, quantised in the scale's own space.

    Parameters
    ----------
    values
        Of any shape; NaN where there is no number.
    scale
        The colour scale.
    blank
        Cells that are left out, transparent; of the shape of the values or of their last axes, as `masked`.
    masked
        Cells that are masked as a whole, in the grey of masked cells.
    """
    position = scale.position(values)
    np.clip(position, 0, 1, out=position)  # what is infinite counts as an end for now; NaN stays
    position *= LEVELS - 1
    np.rint(position, out=position)
    gone = np.isnan(position)
    position[gone] = _NAN
    entries = position.astype(np.uint8)
    if not np.isfinite(values).all():
        missing = np.isnan(values)
        entries[gone & ~missing] = 0  # a logarithmic scale has no place for a weight below 0
        entries[np.isinf(values)] = _INF
        if masked is not None:
            entries[missing & masked] = _MASKED
    elif gone.any():
        entries[gone] = 0
    if blank is not None:
        entries[np.broadcast_to(blank, entries.shape)] = CLEAR
    return entries


def entries_image(entries: npt.NDArray[np.uint8], scale: ColourScale, *, runs: bool = False) -> str:
    """Return the image of palette entries as a ``data:`` URI, one pixel for each; `runs` says how it is packed (see `png_uri`)."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[:LEVELS] = scale.colours()[np.rint(np.linspace(0, 255, LEVELS)).astype(int)]
    colours[_NAN], colours[_INF], colours[_MASKED] = MISSING, (138, 138, 138), (214, 214, 214)
    return png_uri(entries, colours, clear=CLEAR, runs=runs)
