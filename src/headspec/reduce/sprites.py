"""Many attention heads at once: each pooled to the pixels that it is drawn on, all of them put together in one image.

A layer is read in parts of bounded size, so that memory stays near that of the input whatever the library of its arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from headspec.arrays import NumpyArray, to_numpy
from headspec.errors import DataError
from headspec.reduce.cells import Pooling, any_weight, block_size
from headspec.stored import Meter
from headspec.text import clean

Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]
Mask = tuple[Bools | None, Bools | None]

READ = 2**23
"""Weights that are read at once."""
CACHED = 2**19
"""Weights that stay in the cache from one pass over them to the next."""
ENLARGED = 32
"""Pixels of one weight, at most, where there are few of them."""


def unmasked(mask: Mask) -> bool:
    """Tell whether a mask hides nothing."""
    return all(real is None for real in mask)


class Fit(NamedTuple):
    """How positions share the pixels of a side: `block` of them one cell, and `pixels` for each of the `cells`."""

    block: int
    cells: int
    pixels: int

    @property
    def side(self) -> int:
        """Pixels in all."""
        return self.cells * self.pixels


def fit(positions: int, side: int) -> Fit:
    """Return how positions fit a side: whole blocks to a pixel where there are more of them, else whole pixels each."""
    block = block_size(positions, side)
    cells = -(-positions // block)
    return Fit(block, cells, min(max(1, side // cells), ENLARGED))


def best_side(positions: int, room: float) -> int:
    """Return the side, near the room that there is, at which positions fill their pixels with least pooling wasted."""
    sides = {fit(positions, side).side for side in range(1, max(int(room * 1.25), 1) + 1)}
    return min(sides, key=lambda side: abs(math.log(side / max(room, 1.0))))


class HeadBlocks(NamedTuple):
    """The heads of one layer, pooled, with what is exact about each of them."""

    values: Floats
    """``[head, row, column]``, the maxima of both; NaN where a block holds no number."""
    means: Floats | None
    """``[head, row, column]``: the means, where both were asked for."""
    size: tuple[int, int]
    """Queries and keys of a block."""
    shape: tuple[int, int]
    """Queries and keys of a head."""
    best: npt.NDArray[np.float64]
    """``[head]``: the largest weight, NaN where there is none."""
    places: npt.NDArray[np.int64]
    """``[head, 2]``: its query and key, the first of equals."""
    low: float
    """The least finite weight of all heads; infinite where there is none."""
    causal: bool
    """No query of any head gives weight to a later key."""
    counts: dict[str, int]
    """How many weights are ``nan``, ``inf``, ``-inf``, ``masked``."""


def pool_heads(
    heads: Any,
    *,
    side: int | None = None,
    block: int = 1,
    how: Pooling = "max",
    mask: Mask = (None, None),
    name: str = "heads",
    meter: Meter | None = None,
) -> HeadBlocks:
    """Pool every head of a layer.

    Parameters
    ----------
    heads
        ``[head, query, key]`` of any library, a memory map, a Dask or Zarr array.
    side, block
        Cells in each direction, at most; or how many positions one of them stands for.
    how
        ``"max"`` or ``"mean"`` of each block's finite weights, or ``"both"`` in the same pass.
    mask
        Which queries and which keys are real; None for all.
    name
        The argument's name, for error messages.
    meter
        Told of what was read.
    """
    count, queries, keys = (int(size) for size in heads.shape)
    size = (block, block) if side is None else (block_size(queries, side), block_size(keys, side))
    cells = (-(-queries // size[0]), -(-keys // size[1]))
    values = np.full((count, *cells), np.nan, dtype=np.float32)
    means = values.copy() if how == "both" else None
    best, places = np.full(count, np.nan), np.zeros((count, 2), dtype=np.int64)
    low, causal = math.inf, queries == keys > 1
    counts = {"nan": 0, "inf": 0, "-inf": 0, "masked": 0}
    for which, rows, data in read_heads(heads, size[0], mask, counts, name):
        top, filled, least = _pool(data, size, counts)
        place = (which, slice(rows.start // size[0], rows.start // size[0] + top.shape[1]))
        if top.dtype != values.dtype:
            values, means = values.astype(top.dtype), None if means is None else means.astype(top.dtype)
        if how != "mean":
            values[place] = np.where(top == -np.inf, np.asarray(np.nan, dtype=top.dtype), top)
        if how != "max":
            (values if means is None else means)[place] = _mean(data, size, whole=filled is data)
        low = min(low, least)
        _strongest(filled, top, size, rows.start, best[which], places[which])
        if meter is not None:
            meter.add(data.size)
        causal = causal and _looks_back(data, top, size[0], rows, clean=filled is data and least >= 0)
    return HeadBlocks(values, means, size, (queries, keys), best, places, low, causal, counts)


def read_heads(
    heads: Any, block: int, mask: Mask, counts: dict[str, int], name: str
) -> Iterator[tuple[slice, slice, NumpyArray]]:
    """Yield parts of bounded size, of several heads or of some rows of one, as floats with NaN where they are masked.

    They may be views of the caller's arrays. Rows come in whole multiples of `block`; `counts` learns of what is masked.
    """
    for which, rows in _pieces(heads.shape, block, READ):
        place = f"{name}[{which.start}:{which.stop}, {rows.start}:{rows.stop}]"
        try:
            part = to_numpy(heads[which, rows], name=place)
        except DataError:
            raise
        except Exception as error:  # a chunk that cannot be read fails in its own library's way
            raise DataError(f"{place} could not be read: {type(error).__name__}: {clean(error)}") from error
        hidden = np.ma.getmask(part)
        data = np.ma.getdata(part)
        if data.dtype.kind != "f" or data.dtype.itemsize == 2:
            data = data.astype(np.float32)
        if hidden is not np.ma.nomask or not unmasked(mask):
            gone = np.zeros(data.shape, dtype=bool) | hidden
            if mask[0] is not None:
                gone |= ~mask[0][rows, None]
            if mask[1] is not None:
                gone |= ~mask[1]
            hidden_now = int(gone.sum())
            counts["masked"] += hidden_now
            counts["nan"] -= hidden_now  # they are counted there as well, being NaN from here on
            data = np.where(gone, np.asarray(np.nan, dtype=data.dtype), data)
        yield which, rows, data


def _pieces(shape: Sequence[int], block: int, limit: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices of heads and rows that hold about `limit` weights at most, the rows in whole multiples of `block`."""
    count, queries, keys = (int(size) for size in shape)
    step = max(1, limit // (queries * keys))
    tall = queries if step > 1 else max(1, limit // (keys * block)) * block
    for start in range(0, count, step):
        for top in range(0, queries, tall):
            yield slice(start, min(start + step, count)), slice(top, min(top + tall, queries))


def _pool(data: NumpyArray, size: tuple[int, int], counts: dict[str, int]) -> tuple[NumpyArray, NumpyArray, float]:
    """Return the maxima (-inf where there is no number), the data with nothing in the way of them, the least finite weight."""
    cells = (-(-full // block) for full, block in zip(data.shape[1:], size, strict=True))
    top, least = np.empty((len(data), *cells), dtype=data.dtype), math.inf
    for which, rows in _pieces(data.shape, size[0], CACHED):
        piece = data[which, rows]
        least = float(np.minimum(least, piece.min()))  # NaN where there is any
        top[which, rows.start // size[0] : -(-rows.stop // size[0])] = blockwise(piece, size, np.maximum)
    if np.isfinite(top).all() and math.isfinite(least):
        return top, data, least
    nan = np.isnan(data)
    for kind, found in (("nan", nan), ("inf", data == np.inf), ("-inf", data == -np.inf)):
        counts[kind] += int(found.sum())
    least = float(data.min(initial=np.inf, where=np.isfinite(data)))
    filled = np.where(nan, np.asarray(-np.inf, dtype=data.dtype), data)
    return blockwise(filled, size, np.maximum), filled, least


def _mean(data: NumpyArray, size: tuple[int, int], *, whole: bool) -> NumpyArray:
    """Return the means of the finite weights of blocks; `whole` says that all are finite."""
    if whole:
        heights, widths = (
            np.minimum(block, full - np.arange(0, full, block))
            for block, full in zip(size, data.shape[1:], strict=True)
        )
        return np.asarray(blockwise(data, size, np.add) / np.outer(heights, widths).astype(data.dtype))
    finite = np.isfinite(data)
    total = blockwise(np.where(finite, data, np.asarray(0, dtype=data.dtype)), size, np.add)
    number = blockwise(finite.astype(np.float32), size, np.add)
    return np.divide(total, number, out=np.full(total.shape, np.nan, dtype=total.dtype), where=number > 0)


def blockwise(heads: NumpyArray, size: tuple[int, int], reduce: np.ufunc) -> NumpyArray:
    """Reduce blocks of the last two axes; the last block of an axis may be smaller."""
    count, queries, keys = heads.shape
    if size[0] > 1:
        whole = queries // size[0]
        rows = np.empty((count, -(-queries // size[0]), keys), dtype=heads.dtype)
        reduce.reduce(heads[:, : whole * size[0]].reshape(count, whole, size[0], keys), axis=2, out=rows[:, :whole])
        if whole < rows.shape[1]:
            reduce.reduce(heads[:, whole * size[0] :], axis=1, out=rows[:, whole])
        heads = rows
    if size[1] > 1:
        # one strided pass per place in the block: quicker than many reductions over a few neighbours
        out = heads[:, :, :: size[1]].copy()
        for place in range(1, size[1]):
            part = heads[:, :, place :: size[1]]
            reduce(out[:, :, : part.shape[2]], part, out=out[:, :, : part.shape[2]])
        heads = out
    return heads


def _strongest(
    data: NumpyArray,
    top: NumpyArray,
    size: tuple[int, int],
    start: int,
    best: npt.NDArray[np.float64],
    places: npt.NDArray[np.int64],
) -> None:
    """Keep each head's largest weight so far and its place: the largest block first, then inside it."""
    chosen = top.reshape(len(top), -1).argmax(axis=1)
    for head, block in enumerate(chosen.tolist()):
        row, column = divmod(block, top.shape[2])
        first, left = row * size[0], column * size[1]
        inside = data[head, first : first + size[0], left : left + size[1]]
        if top[head, row, column] == np.inf:  # an infinite weight hides the largest finite one
            inside = np.where(np.isfinite(data[head]), data[head], -np.inf)
            first = left = 0
        at = divmod(int(inside.argmax()), inside.shape[1])
        if np.isfinite(inside[at]) and not inside[at] <= best[head]:
            best[head], places[head] = inside[at], (start + first + at[0], left + at[1])


def _looks_back(data: NumpyArray, top: NumpyArray, block: int, rows: slice, *, clean: bool) -> bool:
    """Tell whether no query among some rows gives weight to a later key; NaN is no weight.

    Where the data is `clean` (finite and nowhere negative) the maxima of blocks, `top`, settle most of it.
    """
    if rows.start or rows.stop < data.shape[2]:
        return not (any_weight(data[:, :, rows.stop :]) or _later(data[:, :, rows]))
    if not clean or block == 1:
        return not _later(data)
    if _later(top):
        return False
    whole = data.shape[1] // block
    down, across = data.strides[1:]
    corners = np.lib.stride_tricks.as_strided(  # the blocks on the diagonal, as a view
        data,
        (len(data), whole, block, block),
        (data.strides[0], block * (down + across), down, across),
        writeable=False,
    )
    rest = data[:, whole * block :, whole * block :]
    return not (bool(corners[:, :, *_above(block)].any()) or _later(rest))


def _later(heads: NumpyArray) -> bool:
    """Tell whether some row has weight to the right of the diagonal."""
    if heads.shape[1] > 64:  # in bands, so that what is copied stays small, and the first weight ends it
        half = heads.shape[1] // 2
        corner = heads[:, :half, half:]
        return any_weight(corner) or _later(heads[:, :half, :half]) or _later(heads[:, half:, half:])
    return any_weight(heads[:, *_above(heads.shape[1])])


@functools.lru_cache(maxsize=64)
def _above(size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the indices above the diagonal."""
    return np.triu_indices(size, 1)


def assemble(
    tiles: Iterable[tuple[int, int, npt.NDArray[np.uint8]]], grid: tuple[int, int], side: int, step: int, around: int
) -> npt.NDArray[np.uint8]:
    """Put thumbnails in their places on one canvas.

    Parameters
    ----------
    tiles
        For each: its row and column in the grid, the palette entries of its cells.
    grid
        Rows and columns of the grid.
    side
        Pixels of a thumbnail in each direction; one with fewer cells has them enlarged by whole factors, in the middle.
    step
        Pixels from one thumbnail to the next.
    around
        The entry of what lies between them.
    """
    out = np.full((grid[0] * step, grid[1] * step), around, dtype=np.uint8)
    margin = (step - side) // 2
    for row, column, tile in tiles:
        rows, columns = tile.shape
        tall, wide = (min(max(1, side // size), ENLARGED) for size in (rows, columns))
        top = row * step + margin + (side - rows * tall) // 2
        left = column * step + margin + (side - columns * wide) // 2
        out[top : top + rows * tall, left : left + columns * wide] = _enlarged(tile, tall, wide)
    return out


def _enlarged(tile: npt.NDArray[Any], tall: int, wide: int) -> npt.NDArray[Any]:
    if tall > 1:
        tile = np.repeat(tile, tall, axis=0)
    return np.repeat(tile, wide, axis=1) if wide > 1 else tile


def later_blocks(cells: Sequence[int], size: tuple[int, int]) -> Bools:
    """Return which blocks of a causal head lie wholly above its diagonal, ``[row, column]``."""
    first_key = np.arange(cells[1]) * size[1]
    last_query = np.arange(cells[0]) * size[0] + size[0] - 1
    return np.asarray(first_key[None, :] > last_query[:, None])


def masked_blocks(shape: tuple[int, int], size: tuple[int, int], mask: Mask) -> Bools | None:
    """Return which blocks hold nothing but masked weights, ``[row, column]``; None where nothing is masked."""
    if unmasked(mask):
        return None
    out = np.zeros((-(-shape[0] // size[0]), -(-shape[1] // size[1])), dtype=bool)
    for axis, real in enumerate(mask):
        if real is not None:
            gone = ~np.logical_or.reduceat(real, np.arange(out.shape[axis]) * size[axis])
            out |= gone[:, None] if axis == 0 else gone[None, :]
    return out
