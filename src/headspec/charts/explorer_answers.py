"""What an explorer is handed when its spec does not hold all weights: one head's, or every head's on one pair.

A page sets them as signals, a kernel as params: the value of ``…_served`` is the answer of `answer_head`, that of
``…_served_pair`` the one of `answer_pair` (see `explorer_names.Names`).
"""

from __future__ import annotations

from typing import Any

from headspec.charts.explorer_data import Weights
from headspec.reduce.pairs import Layout


def answer_head(weights: Weights, row: int, head: tuple[int, int]) -> dict[str, Any]:
    """Return the weights of the head in a row: its layer and head, which layout, and the integers."""
    packed = weights.heads[row]
    return {"layer": head[0], "head": head[1], "layout": weights.forms[row], "q": packed.tolist()}


def answer_pair(weights: Weights, pair: tuple[int, int] | None) -> dict[str, Any]:
    """Return every head's integer on a query and a key, None where a head has no such pair; nothing for no pair."""
    if pair is None:
        return {"query": -1, "key": -1, "q": []}
    query, key = pair
    row, column = query // weights.block[0], key // weights.block[1]
    found = []
    for packed, form in zip(weights.heads, weights.forms, strict=True):
        place = place_of(weights.layouts[form], row, column)
        found.append(None if place is None else int(packed[place]))
    return {"query": query, "key": key, "q": found}


def place_of(layout: Layout, row: int, column: int) -> int | None:
    """Return where a head's list has a row and column, None where it has not."""
    if row >= layout.rows or column >= (row + 1 if layout.causal else layout.columns):
        return None
    return row * (row + 1) // 2 + column if layout.causal else row * layout.columns + column


def row_of(weights: Weights, place: int, row: int) -> list[int]:
    """Return the integers of one head in one row of its list; empty where it has no such row."""
    layout = weights.layouts[weights.forms[place]]
    start = place_of(layout, row, 0)
    if start is None:
        return []
    packed: list[int] = weights.heads[place][start : start + (row + 1 if layout.causal else layout.columns)].tolist()
    return packed
