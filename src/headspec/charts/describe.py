"""Sentences that say what the data shows: the alternative text of every chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from headspec.tables.heads import KINDS, by_state
from headspec.text import clean, count, head_name, head_names, number

GLYPHS = {"nan": "–", "inf": "∞", "-inf": "−∞", "masked": "·", "zero": "0"}
"""What stands in a cell that has no finite value."""
_KIND_NAMES = {"nan": "NaN", "inf": "infinite", "-inf": "minus infinite", "masked": "masked", "zero": "exactly 0"}


def sentence(*pieces: str) -> str:
    """Join pieces into text: each a sentence with its full stop, empty ones left out."""
    kept = [piece.strip() for piece in pieces if piece and piece.strip()]
    return " ".join(piece if piece.endswith((".", "!", "?")) else piece + "." for piece in kept)


def notes_text(notes: Iterable[str]) -> str:
    """Return the notes of a title as a sentence of the description; empty ones are left out."""
    text = "; ".join(note for note in notes if note)
    return text[:1].upper() + text[1:]


def heads_size(table: pd.DataFrame) -> str:
    """Return how many layers and heads there are: ``6 layers × 8 heads``, or the count where layers differ."""
    if any(name in table.columns for name in ("group", "step", "run")):  # each head stands there more than once
        table = table.drop_duplicates(["layer", "head"])
    _, sizes = np.unique(table["layer"].to_numpy(), return_counts=True)
    layers = count(len(sizes), "layer")
    if sizes.min() == sizes.max():
        return f"{layers} × {count(int(sizes[0]), 'head')}"
    return f"{count(len(table), 'head')} in {layers} ({sizes.min()} to {sizes.max()} a layer)"


def kinds_note(table: pd.DataFrame) -> list[str]:
    """Return the note on cells without a finite value, with the sign that stands in them, and on absent heads."""
    found = Counter(table["kind"].tolist())
    return [f"{found[kind]:,} {_KIND_NAMES[kind]} ({GLYPHS[kind]})" for kind in KINDS[1:] if found[kind]]


def absent_count(table: pd.DataFrame, layers: list[int], heads: list[int]) -> int:
    """Return how many places of the drawn grid have no head."""
    groups = table["group"].nunique() if "group" in table.columns else 1
    return len(layers) * len(heads) * int(groups) - len(table)


def states_text(table: pd.DataFrame) -> str:
    """Return the pruned, revived and vulnerable heads as a sentence; empty where there are none."""
    return "; ".join(
        f"{count(len(pairs), 'head')} {state} ({head_names(pairs)})"
        for state, pairs in by_state(table).items()
        if pairs
    )


def heads_text(table: pd.DataFrame, what: str, unit: str = "") -> str:
    """Return what a measure of heads shows: size, range, mean, the extreme heads, what is missing, the states."""
    rows = np.flatnonzero(np.asarray(table["kind"], dtype=object) == "value")
    unit = f" {unit}" if unit else ""
    missing = "; ".join(kinds_note(table)) if len(rows) < len(table) else ""
    if not rows.size:
        return sentence(f"{what} of {heads_size(table)}: no finite value", missing, states_text(table))
    values = table["value"].to_numpy(np.float64)[rows]
    low, high = int(values.argmin()), int(values.argmax())
    layers, heads = table["layer"].to_numpy()[rows], table["head"].to_numpy()[rows]
    lowest, highest = (head_name(int(layers[place]), int(heads[place])) for place in (low, high))
    spread = (
        f"all {number(values[low])}{unit}"
        if values[low] == values[high]
        else f"{number(values[low])} to {number(values[high])}{unit}, mean {number(float(values.mean()))}; lowest "
        f"{lowest}, highest {highest}"
    )
    return sentence(f"{clean(what)} of {heads_size(table)}: {spread}", missing, states_text(table))
