"""Sums over the rows of attention, in blocks that stay in the processor's cache.

An entropy reads 0.6 GB for twelve layers of twelve heads at 1,024 tokens. In blocks of 2**18 cells the logarithms stay in the
cache, nothing the size of the stack is made, and the check that each row sums to one costs no second pass over memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.arrays import NumpyArray, is_torch, to_numpy
from headspec.measures._visible import Visible
from headspec.stored import Meter, is_stored

BLOCK = 1 << 18
_TRANSFER = 1 << 22
"""Cells that leave another device or a store at a time."""

Floats: TypeAlias = npt.NDArray[np.float64]


class Sums(NamedTuple):
    """What the rows ``[batch, head, query]`` of one layer sum to."""

    entropy: Floats
    """−Σ p ln p over the keys that the query may see."""
    total: Floats
    """Σ p over the same keys."""
    leak: Floats
    """Σ p over the keys that it may not see."""


def layer_sums(
    array: Any, visible: Visible, *, proved: bool = False, name: str = "attentions", meter: Meter | None = None
) -> Sums:
    """Return the entropy and the weight of each row of a layer of any library.

    Rows with NaN, infinite or negative weights come out as NaN or infinite; rows that do not count stay 0.

    Parameters
    ----------
    array
        ``[batch, head, query, key]``.
    visible
        Which keys each query may see.
    proved
        It is known that all weight on hidden keys is exactly zero.
    name
        The argument's name, for error messages.
    meter
        Told of what was read.
    """
    batch, heads, queries, keys = (int(size) for size in array.shape)
    sums = Sums(*(np.zeros((batch, heads, queries)) for _ in range(3)))
    whole = proved or _sees_all(visible, keys)
    every = bool(visible.real.all())
    dtype = _working(str(array.dtype))
    tiny = np.finfo(dtype).tiny
    room = np.empty((2, max(BLOCK, keys)), dtype)  # pages that stay unused cost nothing
    zeros: bool | None = None
    triangle = True
    with np.errstate(all="ignore"):
        for b in range(batch):
            for h, q, block in blocks_of(array, b, name):
                if meter is not None:
                    meter.add(block.size)
                if not (every or visible.real[b, q].any()):
                    continue
                if not whole:
                    block, sums.leak[b, h, q] = _shown(block, visible, b, h, q, dtype)
                rows = block.reshape(-1, block.shape[-1])
                if rows.dtype != dtype or rows.strides[-1] != dtype.itemsize:
                    rows = _copy(rows, room[1])
                total = np.einsum("rk->r", rows)  # first, as it streams the block into the cache
                end = q.stop + keys - queries
                if whole and triangle and end < keys:
                    # a causal model has no weight in the last columns of a block: leave them out where that is so
                    tail = rows[:, end:]
                    triangle = not _dot(tail, tail).any()
                    rows = rows[:, :end] if triangle else rows
                if zeros is None:
                    zeros = not rows[0].min() > 0
                products, zeros = _products(rows, room[0, : rows.size].reshape(rows.shape), tiny, zeros)
                shape = h.stop - h.start, q.stop - q.start
                sums.entropy[b, h, q] = products.reshape(shape)
                sums.total[b, h, q] = total.reshape(shape)
    return sums._replace(entropy=sums.entropy * -_UNIT)


def blocks_of(array: Any, batch: int, name: str) -> Iterator[tuple[slice, slice, NumpyArray]]:
    """Yield heads, queries and weights ``[head, query, key]`` of one sequence, a block at a time and as views where possible.

    Masked entries are 0.
    """
    _, heads, queries, keys = (int(size) for size in array.shape)
    if is_stored(array) or (is_torch(array) and not _viewable(array)):
        for h, q in _pieces(heads, queries, keys, _fetched(array)):
            piece = _filled(to_numpy(array[batch, h, q], name=name))
            for inner_h, inner_q in _pieces(piece.shape[0], piece.shape[1], keys, BLOCK):
                yield _shift(inner_h, h), _shift(inner_q, q), piece[inner_h, inner_q]
        return
    sequence = _filled(to_numpy(array[batch], name=name))
    for h, q in _pieces(heads, queries, keys, BLOCK):
        yield h, q, sequence[h, q]


def _filled(array: NumpyArray) -> NumpyArray:
    return np.asarray(array.filled(0)) if isinstance(array, np.ma.MaskedArray) else array


def _viewable(tensor: Any) -> bool:
    kind = str(tensor.dtype)
    return tensor.device.type == "cpu" and kind in ("torch.float32", "torch.float64", "torch.float16")


def _fetched(tensor: Any) -> int:
    """Return how many cells to convert at a time: a block on the host (bfloat16), more from another device or a store."""
    return BLOCK if is_torch(tensor) and tensor.device.type == "cpu" else _TRANSFER


def _pieces(heads: int, queries: int, keys: int, limit: int) -> Iterator[tuple[slice, slice]]:
    rows = max(1, limit // keys)
    if rows >= queries:
        step = rows // queries
        for head in range(0, heads, step):
            yield slice(head, min(head + step, heads)), slice(0, queries)
        return
    for head in range(heads):
        for query in range(0, queries, rows):
            yield slice(head, head + 1), slice(query, min(query + rows, queries))


def _shift(inner: slice, outer: slice) -> slice:
    return slice(inner.start + outer.start, inner.stop + outer.start)


def _sees_all(visible: Visible, keys: int) -> bool:
    masked = visible.cells is not None or visible.padding is not None
    return not masked and not visible.first.any() and bool((visible.end == keys).all())


def _shown(
    block: NumpyArray, visible: Visible, b: int, h: slice, q: slice, dtype: np.dtype[Any]
) -> tuple[NumpyArray, NumpyArray]:
    """Return the visible part of a block, hidden weights in it set to 0, and the weight that was on hidden keys."""
    first, end, real = visible.first[b, q], visible.end[b, q], visible.real[b, q]
    low, high = int(first[real].min()), int(end[real].max())
    leak = np.einsum("hqk->hq", block[..., :low], dtype=dtype) + np.einsum("hqk->hq", block[..., high:], dtype=dtype)
    block = block[..., low:high]
    start, hidden = 0, None
    if visible.cells is not None:
        cells = visible.cells[b if len(visible.cells) > 1 else 0]
        hidden = ~cells[h if len(cells) > 1 else slice(0, 1), q]
    else:
        even = visible.padding is None and int(first.max()) <= low
        start = max(0, int(end.min()) - low) if even else 0
        key = np.arange(low + start, high)
        hidden = (key < first[:, None]) | (key >= end[:, None])
        if visible.padding is not None:
            hidden |= visible.padding[b, low + start : high]
        hidden = hidden[None]
    if not hidden.any():
        return block, leak
    zone = block[..., start:]
    inside = np.einsum("hqk,hqk->hq", zone, np.broadcast_to(hidden, zone.shape), dtype=dtype)
    if inside.any():  # NaN too
        block = block.astype(dtype)
        block[..., start:][np.broadcast_to(hidden, zone.shape)] = 0
    return block, leak + inside


def _working(kind: str) -> np.dtype[Any]:
    """Return the dtype to compute in for weights of any library's dtype."""
    return np.dtype(np.float32 if any(name in kind for name in ("float32", "float16", "float8")) else np.float64)


def _products(rows: NumpyArray, logs: NumpyArray, tiny: Any, zeros: bool) -> tuple[NumpyArray, bool]:
    """Return Σ p log p of each row, and whether zeros were seen among the weights.

    The logarithm of 0 is many times slower than any other, and 0·log 0 is NaN. Where there are zeros the smallest normal number
    is added, which changes no other weight; where there are none that pass is spared.
    """
    if not zeros:
        _LOG(rows, out=logs)
        products = _dot(rows, logs)
        zeros = not products.sum() <= 0
    if zeros:
        np.add(rows, tiny, out=logs)
        _LOG(logs, out=logs)
        products = _dot(rows, logs)
    return products, zeros


def _copy(rows: NumpyArray, room: NumpyArray) -> NumpyArray:
    copy = room[: rows.size].reshape(rows.shape)
    if rows.dtype == np.float16:
        # looked up, as NumPy converts half precision bit by bit: 2 to 8 times slower, slowest for small weights
        np.take(_halves(), rows.view(np.uint16), out=copy, mode="clip")
    else:
        np.copyto(copy, rows)
    return copy


@cache
def _halves() -> NumpyArray:
    """Return every number of half precision in float32, by its bits."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def _einsum_dot(a: NumpyArray, b: NumpyArray) -> NumpyArray:
    return np.asarray(np.einsum("rk,rk->r", a, b))


def _log2_is_fast() -> bool:
    """Tell whether this NumPy has a vectorised log2 for float32 here: where it has, log2 beats log; where not, it is many times slower."""
    try:
        from numpy.lib.introspect import opt_func_info

        found = opt_func_info(func_name="^log2$", signature="^float32$")
        return not any(kind["current"].startswith("baseline") for kind in found["log2"].values())
    except (ImportError, KeyError):
        return False


_LOG, _UNIT = (np.log2, float(np.log(2.0))) if _log2_is_fast() else (np.log, 1.0)
_dot = getattr(np, "vecdot", _einsum_dot)  # NumPy 2; twice as fast
