"""Which keys each query may see: padding, causal masks, windows and masks of every kind, as one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.arrays import ArrayLike, NumpyArray, kind_of, parts, to_numpy
from headspec.errors import DataError, KindError
from headspec.text import count

Window: TypeAlias = "int | tuple[int, int] | None"
"""The last `int` keys including the query's own, or how many keys (before, after) it; None is no limit."""

Bools: TypeAlias = npt.NDArray[np.bool_]
Ints: TypeAlias = npt.NDArray[np.int64]

_HIDDEN = -1000.0
"""An additive mask adds at least this much to the logits of a hidden key (−10,000, the dtype's minimum, −∞)."""


class Masks(NamedTuple):
    """What the caller said about padding, for all layers."""

    keys: Bools | None
    """``[batch or 1, key]``: real keys."""
    cells: Bools | None
    """``[batch or 1, head or 1, query, key]``: visible cells."""
    queries: Bools | None
    """``[batch or 1, query]``: real queries."""


class Visible(NamedTuple):
    """The keys that the queries of one layer may see: a range without its padding, or cell by cell."""

    real: Bools
    """``[batch, query]``: the queries that count."""
    first: Ints
    """``[batch, query]``: the first key of the range."""
    end: Ints
    """``[batch, query]``: one past its last key."""
    padding: Bools | None
    """``[batch, key]``: keys inside the ranges that are hidden all the same."""
    cells: Bools | None
    """``[batch or 1, head or 1, query, key]``; where it is given the ranges cover everything."""
    number: Ints
    """``[batch, head or 1, query]``: how many keys a query may see."""


def read_masks(attention_mask: ArrayLike | None, query_mask: ArrayLike | None) -> Masks:
    """Read masks of 1 and 0 over keys, and additive or boolean masks over cells."""
    keys = cells = None
    if attention_mask is not None:
        mask = to_numpy(attention_mask, name="attention_mask")
        if mask.ndim <= 2:
            keys = np.atleast_2d(_ones(mask, "attention_mask"))
        elif mask.ndim <= 4:
            cells = _cells(mask if mask.ndim == 4 else mask[:, None])
            if cells.shape[1] == cells.shape[2] == 1:  # the extended form of a mask over keys
                keys, cells = cells[:, 0, 0], None
        else:
            raise DataError(
                f"attention_mask has shape {mask.shape}; expected [batch, key] or [batch, head, query, key]"
            )
    queries = None
    if query_mask is not None:
        mask = to_numpy(query_mask, name="query_mask")
        if mask.ndim not in (1, 2):
            raise DataError(f"query_mask has shape {mask.shape}; expected [batch, query]")
        queries = np.atleast_2d(_ones(mask, "query_mask"))
    return Masks(keys, cells, queries)


def pick_sequence(masks: Masks, index: int) -> Masks:
    """Return the masks of one sequence of the batch."""
    return Masks(*(mask if mask is None or len(mask) == 1 else mask[index : index + 1] for mask in masks))


def _ones(mask: NumpyArray, name: str) -> Bools:
    values, absent = parts(mask)
    if absent.any() or not np.isin(values, (0.0, 1.0)).all():
        raise DataError(
            f"{name} of shape {mask.shape} holds other values than 1 (real) and 0 (padding); an additive mask has four axes: "
            "[batch, head, query, key]"
        )
    return np.asarray(values == 1.0)


def _cells(mask: NumpyArray) -> Bools:
    values = np.ma.getdata(mask)
    if np.ma.getmaskarray(mask).any():
        raise DataError("attention_mask has masked entries itself; fill them first")
    if values.dtype.kind in "biu" or (values == 1).any():
        return _ones(mask, "attention_mask")
    shown, hidden = values == 0, values <= _HIDDEN
    if not (shown | hidden).all():
        raise DataError(
            f"attention_mask of shape {mask.shape} is neither boolean nor additive (0 for visible keys, a large negative number "
            "for hidden ones)"
        )
    return np.asarray(shown)


def window_of(window: Window | Mapping[int, Window], layer: int) -> tuple[int, int] | None:
    """Return how many keys before and after its own a query of this layer sees, or None for no limit."""
    if isinstance(window, Mapping):
        window = window.get(layer)
    if window is None:
        return None
    sides = window if isinstance(window, tuple) else (window - 1, 0) if _is_count(window) else ()
    if len(sides) != 2 or not all(_is_count(side) for side in sides):
        raise KindError(
            f"window is {kind_of(window)}; expected the number of keys that a query sees (its own and those before it), "
            "a pair (before, after), or a dict {layer: window}"
        )
    if min(sides) < 0:
        raise DataError(
            f"window={window!r} leaves a query no key; expected at least 1, or (before, after) of 0 and more"
        )
    return int(sides[0]), int(sides[1])


def implies_causal(window: Window | Mapping[int, Window]) -> bool:
    """Tell whether a window is given as one number, which only looks back."""
    windows = window.values() if isinstance(window, Mapping) else (window,)
    return any(_is_count(item) for item in windows)


def _is_count(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def real_queries(shape: tuple[int, ...], masks: Masks, causal: bool) -> Bools:
    """Return ``[batch, query]``: which queries are tokens and not padding."""
    batch, _, queries, keys = shape
    mask = masks.queries
    if mask is None and masks.keys is not None and (queries == keys or (causal and queries < keys)):
        mask = masks.keys[:, keys - queries :]  # the queries are the same tokens as the keys, or the last of them
    real = np.ones((batch, queries), dtype=bool) if mask is None else np.broadcast_to(mask, (batch, queries))
    if masks.cells is not None:
        real = real & masks.cells.any(axis=(1, 3))
    return real


def check_masks(shape: tuple[int, ...], masks: Masks, name: str) -> None:
    """Refuse masks that do not fit a layer."""
    batch, heads, queries, keys = shape
    want = {"keys": (batch, keys), "cells": (batch, heads, queries, keys), "queries": (batch, queries)}
    for kind, mask in masks._asdict().items():
        if mask is None:
            continue
        free = {"keys": (0,), "cells": (0, 1, 2), "queries": (0,)}[kind]
        fits = all(
            have == size or (have == 1 and axis in free)
            for axis, (have, size) in enumerate(zip(mask.shape, want[kind], strict=True))
        )
        if not fits:
            argument = "query_mask" if kind == "queries" else "attention_mask"
            raise DataError(
                f"{argument} has shape {mask.shape}, but {name} has {count(batch, 'sequence')} of {count(queries, 'query', 'queries')} "
                f"and {count(keys, 'key')}; expected {argument} of shape {want[kind]}"
            )


def visible_keys(
    shape: tuple[int, ...],
    masks: Masks,
    *,
    causal: bool,
    window: tuple[int, int] | None,
    absent: Bools | None = None,
    name: str = "attentions",
) -> Visible:
    """Return which keys the queries of one layer may see.

    Parameters
    ----------
    shape
        ``[batch, head, query, key]`` of the layer.
    masks
        What `read_masks` returned.
    causal
        A query sees its own key and earlier ones; with fewer queries than keys the queries are the last ones.
    window
        How many keys before and after its own a query sees.
    absent
        ``[batch, head, query, key]``: masked entries of the weights themselves.
    name
        The argument's name, for error messages.
    """
    check_masks(shape, masks, name)
    batch, _, queries, keys = shape
    if causal and queries > keys:
        raise DataError(
            f"{name} has {count(queries, 'query', 'queries')} for {count(keys, 'key')}, which cannot be causal; leave causal= out"
        )
    own = np.arange(queries) + (keys - queries)
    back, ahead = window if window is not None else (keys + queries, keys + queries)
    first = np.clip(own - back, 0, keys)
    end = np.clip(own + (0 if causal else ahead) + 1, 0, keys)
    if masks.cells is not None or absent is not None:
        return _by_cells(shape, masks, first, end, absent, causal)
    rows = np.broadcast_to(first, (batch, queries)), np.broadcast_to(end, (batch, queries))
    real = real_queries(shape, masks, causal)
    if masks.keys is None:
        number = np.broadcast_to(np.maximum(end - first, 0), (batch, 1, queries))
        return Visible(real & (number[:, 0] > 0), *rows, None, None, number)
    shown = np.broadcast_to(masks.keys, (batch, keys))
    some = shown.any(axis=1)
    low = np.where(some, shown.argmax(axis=1), 0)[:, None]
    high = np.where(some, keys - shown[:, ::-1].argmax(axis=1), 0)[:, None]
    first, end = np.maximum(rows[0], low), np.minimum(rows[1], high)
    end = np.maximum(end, first)
    before = np.concatenate([np.zeros((batch, 1), dtype=np.int64), shown.cumsum(axis=1)], axis=1)
    number = np.take_along_axis(before, end, axis=1) - np.take_along_axis(before, first, axis=1)
    holes = bool((shown.sum(axis=1, keepdims=True) != high - low).any())
    return Visible(real & (number > 0), first, end, ~shown if holes else None, None, number[:, None])


def _by_cells(
    shape: tuple[int, ...], masks: Masks, first: Ints, end: Ints, absent: Bools | None, causal: bool
) -> Visible:
    batch, _, queries, keys = shape
    key = np.arange(keys)
    cells: Bools = ((key >= first[:, None]) & (key < end[:, None]))[None, None]
    if masks.cells is not None:
        cells = cells & masks.cells
    if masks.keys is not None:
        cells = cells & masks.keys[:, None, None, :]
    if absent is not None:
        cells = cells & ~absent
    real = real_queries(shape, masks, causal)
    number = cells.sum(axis=3)
    every = np.zeros((batch, queries), dtype=np.int64)
    number = np.broadcast_to(number, (batch, number.shape[1], queries))
    return Visible(real & (number > 0).any(axis=1), every, every + keys, None, cells, number)
