"""The rule for rows of attention: each sums to one, or the caller says what the rest is."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from headspec.arrays import to_numpy
from headspec.axes import Layer
from headspec.errors import DataError
from headspec.measures._blocks import BLOCK, Floats, Sums
from headspec.measures._visible import Bools, Visible
from headspec.text import count, head_name, number

Rows: TypeAlias = Literal["error", "renormalise", "sink"]

_TOLERANCE = {"float8": 0.1, "bfloat16": 0.01, "float16": 0.005}
"""How far rounding alone takes a row's sum from one; 1e-4 for wider numbers."""


def tolerance_of(array: Any, given: float | None) -> float:
    """Return how far a row's sum may be from one."""
    if given is not None:
        if not given >= 0:
            raise DataError(f"tolerance={given!r} is not a distance; expected 0 or more")
        return float(given)
    kind = str(array.dtype)
    return next((limit for part, limit in _TOLERANCE.items() if part in kind), 1e-4)


def entropy_of(layer: Layer, sums: Sums, visible: Visible, *, rows: Rows, tolerance: float, name: str) -> Floats:
    """Return the entropy of each row in nats, NaN for rows that are left out.

    Left out are queries that are padding, and rows without any weight (all NaN or all zero).

    Raises
    ------
    DataError
        For rows that are no distribution: negative, infinite or partly NaN, with weight on hidden keys, or not summing to one.
    """
    plain = rows == "error" and visible.real.all() and not sums.leak.any()
    if plain and (np.abs(sums.total - 1.0) <= tolerance).all() and np.isfinite(sums.entropy.min()):
        return np.maximum(sums.entropy, 0.0)  # nearly always: nothing to sort out
    real = np.broadcast_to(visible.real[:, None], sums.total.shape) & np.broadcast_to(
        visible.number > 0, sums.total.shape
    )
    blank = (sums.total == 0) & (sums.leak == 0) & (sums.entropy == 0)
    blank |= _all_nan(layer.array, real & np.isnan(sums.total), name)
    kept = real & ~blank
    _check(layer, sums, kept, rows, tolerance, name)
    entropy = sums.entropy
    if rows == "renormalise":
        total = np.where(kept, sums.total, 1.0)
        entropy = entropy / total + np.log(total)
    elif rows == "sink":
        missing = np.maximum(1.0 - sums.total, 0.0)
        entropy = entropy - missing * np.log(np.where(missing > 0, missing, 1.0))
    # rounding can put a weight a little above one, and its entropy below zero
    return np.where(kept, np.maximum(entropy, 0.0), np.nan)


def _all_nan(array: Any, rows: Bools, name: str) -> Bools:
    """Return which of these rows are NaN throughout, as a softmax over no key leaves them."""
    found = np.zeros_like(rows)
    step = max(1, BLOCK // int(array.shape[-1]))
    for batch, head in np.argwhere(rows.any(axis=-1)).tolist():
        queries = np.nonzero(rows[batch, head])[0]
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            low, high = int(some[0]), int(some[-1]) + 1
            part = to_numpy(array[batch, head, low:high], name=name)[some - low]
            found[batch, head, some] = (np.isnan(np.ma.getdata(part)) | np.ma.getmaskarray(part)).all(axis=-1)
    return found


def _check(layer: Layer, sums: Sums, kept: Bools, rows: Rows, tolerance: float, name: str) -> None:
    total, leak = sums.total, sums.leak
    broken = kept & ~np.isfinite(total)
    if broken.any():
        raise DataError(f"{name} has rows with some NaN or infinite weights: {_places(layer, broken)}")
    negative = kept & ~np.isfinite(sums.entropy)
    if negative.any():
        raise DataError(
            f"{name} has negative weights: {_places(layer, negative)}. Attention weights are probabilities; if these are scores, "
            "apply softmax over the keys first"
        )
    leaks = kept & ~(leak <= tolerance)
    if leaks.any():
        worst = np.unravel_index(np.argmax(np.where(leaks, leak, -1)), leak.shape)
        raise DataError(
            f"{name} has weight on keys that the query cannot see: {_places(layer, leaks, worst)} puts {number(float(leak[worst]))} "
            "there. Check attention_mask (1 is a real token, 0 padding; PyTorch's key_padding_mask is the opposite), causal= "
            "and window="
        )
    distance = np.abs(total - 1.0) if rows == "error" else total - 1.0
    off = kept & (distance > tolerance)
    if rows == "renormalise" or not off.any():
        return
    worst = np.unravel_index(np.argmax(np.where(off, distance, -1)), total.shape)
    low, high = float(total[off].min()), float(total[off].max())
    span = f"{number(low, digits=4)}" if low == high else f"{number(low, digits=4)} to {number(high, digits=4)}"
    message = (
        f"{name} has rows that do not sum to one: {_places(layer, off, worst)} sums to {number(float(total[worst]), digits=4)} "
        f"({count(int(off.sum()), 'row')} of {int(kept.sum()):,} in layer {layer.id}: {span})"
    )
    if rows == "sink":
        raise DataError(
            f"{message}. rows='sink' takes what is missing from one, and more than one is not missing; was it dropout (call model.eval() first)?"
        )
    raise DataError(f"{message}. {_advice(float(distance[worst]), high)}")


def _advice(distance: float, high: float) -> str:
    renormalise = "rows='renormalise' divides each row by its sum"
    if distance < 0.01:
        return f"So little is the rounding of bfloat16 or float16: allow it with tolerance=0.01, or {renormalise}"
    if high > 1:
        return f"Weights after dropout come from training mode (call model.eval() first); {renormalise}"
    return (
        "If the model has learned sinks, rows='sink' counts the missing weight as one more key; if it ran in training mode, call "
        f"model.eval() first; {renormalise}"
    )


def _places(layer: Layer, rows: Bools, worst: tuple[Any, ...] | None = None) -> str:
    batch, head, query = (int(index) for index in (worst if worst is not None else np.argwhere(rows)[0]))
    sequence = f" of sequence {batch}" if rows.shape[0] > 1 else ""
    return f"{head_name(layer.id, head)}, query {query}{sequence}"
