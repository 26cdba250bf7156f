"""What a difference of two head maps says in words: the notes under its title and its description."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from headspec.charts.cells import Grid
from headspec.charts.describe import absent_count, heads_size, kinds_note, sentence, states_text
from headspec.charts.difference_table import ONLY_AFTER, ONLY_BEFORE, UNNAMED, movers_of, signed
from headspec.errors import DataError
from headspec.text import clean, count, head_name, head_names, number

ONE_SIDED_SIGNS = {ONLY_BEFORE: "◄", ONLY_AFTER: "►"}
NAMED = 5
"""Heads that a sentence names."""


class Words(NamedTuple):
    """What things are called."""

    labels: tuple[str, str]
    what: str
    unit: str

    @property
    def legend(self) -> str:
        """The title of the legend."""
        return f"Change ({self.unit})" if self.unit else "Change"


def labels_of(labels: Sequence[str]) -> tuple[str, str]:
    """Return the names of the two sides."""
    if isinstance(labels, str) or not isinstance(labels, Sequence) or len(labels) != 2:
        raise DataError(f"labels is {clean(repr(labels))[:60]}; expected two names: labels=('before', 'after')")
    return clean(labels[0]), clean(labels[1])


def what_of(table: pd.DataFrame) -> str:
    """Return what the values are, for a title."""
    measure = str(table["measure"].iloc[0])
    name = "Head values" if measure == UNNAMED else measure.replace("_", " ")
    return name[:1].upper() + name[1:]


def _one_side_text(table: pd.DataFrame, words: Words, *, named: bool) -> list[str]:
    said = []
    for kind, label in zip((ONLY_BEFORE, ONLY_AFTER), words.labels, strict=True):
        rows = table[table["kind"] == kind]
        if len(rows):
            names = head_names(list(zip(rows["layer"], rows["head"], strict=True))) if named else ONE_SIDED_SIGNS[kind]
            said.append(f"{count(len(rows), 'head') if named else len(rows)} only in {label} ({names})")
    return said


def notes_of(
    table: pd.DataFrame, top: pd.DataFrame, grid: Grid, end: float, words: Words, *, percent: bool
) -> list[str]:
    """Return what the reader must know, for the subtitle."""
    sizes = f" in % of {words.labels[0]}" if percent else f" in {words.unit}" if words.unit else ""
    named = [f"{head_name(*row[:2])} {signed(row[2])}" for row in _rows(top)]
    rest = f" and {len(top) - NAMED:,} more" if len(top) > NAMED else ""
    beyond = table[table["value"].abs() > end * (1 + 1e-9)]
    most = signed(float(movers_of(beyond, 1)["value"].iloc[0])) if len(beyond) else ""
    absent = absent_count(table, grid.layers, grid.heads)
    return [
        f"{words.labels[1]} minus {words.labels[0]}{sizes}",
        f"outlined: the largest changes, {', '.join(named)}{rest}" if named else "",
        f"{len(beyond):,} beyond ±{number(end)}, in the colour of that end: {most} the furthest" if most else "",
        *_one_side_text(table, words, named=False),
        *kinds_note(table),
        f"{absent:,} absent from both" if absent else "",
    ]


def describe(table: pd.DataFrame, changed: pd.DataFrame, words: Words, said: Sequence[str]) -> str:
    """Return what the differences show."""
    values = changed["value"].to_numpy(np.float64)
    low, high = float(values.min()), float(values.max())
    up, down = int((values > 0).sum()), int((values < 0).sum())
    same = len(values) - up - down
    tail = f" {words.unit}" if words.unit else ""
    spread = f"all {signed(low)}{tail}" if low == high else f"{signed(low)} to {signed(high)}{tail}"
    mean = f", mean {signed(float(values.mean()))}" if low < high else ""
    parted = [f"{count(up, 'head')} up" if up else "", f"{down:,} down" if down else ""]
    counts = ", ".join([item for item in (*parted, f"{same:,} unchanged" if same else "") if item])
    ranked = movers_of(table, len(table))
    extremes = [
        f"most {way}: {', '.join(_mover(row) for row in _rows(rows))}"
        for way, rows in (("up", ranked[ranked["value"] > 0]), ("down", ranked[ranked["value"] < 0]))
        if len(rows)
    ]
    rest = [note for note in said[2:] if note and " only in " not in note]
    return sentence(
        f"{words.what}, {words.labels[1]} minus {words.labels[0]}, of {heads_size(table)}: {spread}{mean}; {counts}",
        _capital("; ".join(extremes)),
        "; ".join(_one_side_text(table, words, named=True)),
        states_text(table),
        _capital("; ".join(rest)),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rows(heads: pd.DataFrame) -> list[tuple[int, int, float, float, float]]:
    columns = (heads[name].head(NAMED).tolist() for name in ("layer", "head", "value", "before", "after"))
    return list(zip(*columns, strict=True))


def _mover(row: tuple[int, int, float, float, float]) -> str:
    layer, head, change, before, after = row
    return f"{head_name(layer, head)} {signed(change)} ({number(before)} to {number(after)})"
