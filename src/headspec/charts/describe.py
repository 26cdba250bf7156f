"""Sentences that say what the data shows: the alternative text of every chart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from headspec.tables.heads import KINDS, of_state
from headspec.text import clean, count, head_name, head_names, number

GLYPHS = {"nan": "–", "inf": "∞", "-inf": "−∞", "masked": "·", "zero": "0"}
"""What stands in a cell that has no finite value."""
_KIND_NAMES = {"nan": "NaN", "inf": "infinite", "-inf": "minus infinite", "masked": "masked", "zero": "exactly 0"}


def sentence(*pieces: str) -> str:
    """Join pieces into text: each a sentence with its full stop, empty ones left out."""
    kept = [piece.strip() for piece in pieces if piece and piece.strip()]
    return " ".join(piece if piece.endswith((".", "!", "?")) else piece + "." for piece in kept)


def heads_size(table: pd.DataFrame) -> str:
    """Return how many layers and heads there are: ``6 layers × 8 heads``, or the count where layers differ."""
    per_layer = table.drop_duplicates(["layer", "head"]).groupby("layer").size()
    layers = count(len(per_layer), "layer")
    if per_layer.nunique() == 1:
        return f"{layers} × {count(int(per_layer.iloc[0]), 'head')}"
    return f"{count(int(per_layer.sum()), 'head')} in {layers} ({per_layer.min()} to {per_layer.max()} a layer)"


def kinds_note(table: pd.DataFrame) -> list[str]:
    """Return the note on cells without a finite value, with the sign that stands in them, and on absent heads."""
    notes = []
    for kind in KINDS[1:]:
        found = int((table["kind"] == kind).sum())
        if found:
            notes.append(f"{found:,} {_KIND_NAMES[kind]} ({GLYPHS[kind]})")
    return notes


def absent_count(table: pd.DataFrame, layers: list[int], heads: list[int]) -> int:
    """Return how many places of the drawn grid have no head."""
    groups = table["group"].nunique() if "group" in table.columns else 1
    return len(layers) * len(heads) * int(groups) - len(table)


def states_text(table: pd.DataFrame) -> str:
    """Return the pruned, revived and vulnerable heads as a sentence; empty where there are none."""
    pieces = []
    for state in ("pruned", "revived", "vulnerable"):
        pairs = of_state(table, state)
        if pairs:
            pieces.append(f"{count(len(pairs), 'head')} {state} ({head_names(pairs)})")
    return "; ".join(pieces)


def heads_text(table: pd.DataFrame, what: str, unit: str = "") -> str:
    """Return what a measure of heads shows: size, range, mean, the extreme heads, what is missing, the states."""
    finite = table[table["kind"] == "value"]
    unit = f" {unit}" if unit else ""
    missing = "; ".join(kinds_note(table))
    if finite.empty:
        return sentence(f"{what} of {heads_size(table)}: no finite value", missing, states_text(table))
    values = finite["value"].to_numpy(np.float64)
    low, high = int(values.argmin()), int(values.argmax())
    lowest, highest = (head_name(finite["layer"].iloc[place], finite["head"].iloc[place]) for place in (low, high))
    spread = (
        f"all {number(values[low])}{unit}"
        if values[low] == values[high]
        else f"{number(values[low])} to {number(values[high])}{unit}, mean {number(float(values.mean()))}; lowest "
        f"{lowest}, highest {highest}"
    )
    return sentence(f"{clean(what)} of {heads_size(table)}: {spread}", missing, states_text(table))
