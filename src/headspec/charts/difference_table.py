"""The rows of a difference of two head maps: what changed, where one side has no head, where the colours end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.errors import DataError, KindError
from headspec.tables.heads import KINDS, Pairs, heads_table, kinds, one_each
from headspec.text import clean, count, head_names, listing, number

ONLY_BEFORE, ONLY_AFTER = "only before", "only after"
ALL_KINDS = (*KINDS, ONLY_BEFORE, ONLY_AFTER)
UNNAMED = "value"
"""The measure of values that nobody named."""
Limit = float | Literal["auto", "max"]

FEW = 8
"""Heads below which no change counts as an outlier."""
FAR = 5.0
SHARE = 50
"""One head in so many may lie beyond the colours, and one in any case."""
FLOOR = 0.01

Floats = npt.NDArray[np.float64]


class Shape(NamedTuple):
    """How arrays are read, the same for both sides."""

    axes: str | None
    num_layers: int | None
    num_heads: int | Sequence[int] | None


class Marked(NamedTuple):
    """The heads that the caller marks."""

    pruned: Pairs
    revived: Pairs
    vulnerable: Pairs
    events: Any


def difference_table(
    a: ArrayLike, b: ArrayLike, shape: Shape, measure: str | None, marked: Marked, *, percent: bool
) -> pd.DataFrame:
    """Return the heads of both sides with ``before``, ``after`` and their difference as ``value``.

    What is absent on one side is of the kind `ONLY_BEFORE` or `ONLY_AFTER`; masked on either side is masked, and NaN and
    infinities follow arithmetic. The state is that of `b`, of `a` where `b` lacks the head, and the caller's before both.
    """
    before, after = (_side(side, name, shape, measure) for side, name in ((a, "a"), (b, "b")))
    what = _one_measure(before["measure"].iloc[0], after["measure"].iloc[0])
    table = before.merge(after, on=["layer", "head"], how="outer", suffixes=("_a", "_b"), sort=True)
    first, second = (_numbers(table, side) for side in ("a", "b"))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        change = second - first
        if percent:
            change = 100.0 * change / np.abs(first)
    kind = kinds(change, ((table["kind_a"] == "masked") | (table["kind_b"] == "masked")).to_numpy())
    there = pd.DataFrame(
        {
            "layer": table["layer"],
            "head": table["head"],
            "measure": what,
            "value": np.where(kind == "value", change, np.nan),
            "kind": kind,
            "state": table["state_b"].fillna(table["state_a"]),
            "vulnerable": table["vulnerable_b"].fillna(table["vulnerable_a"]).astype(bool),
        }
    )
    there = heads_table(
        there,
        pruned_heads=marked.pruned,
        revived_heads=marked.revived,
        vulnerable_heads=marked.vulnerable,
        events=marked.events,
    )
    there["kind"] = np.where(
        table["kind_b"].isna(), ONLY_BEFORE, np.where(table["kind_a"].isna(), ONLY_AFTER, there["kind"])
    )
    for name, values in (("before", first), ("after", second)):
        there[name] = np.where(np.isfinite(values), values, np.nan)
    return there


def _side(values: ArrayLike, name: str, shape: Shape, measure: str | None) -> pd.DataFrame:
    """Return the heads of one side, one measure of each once."""
    table = heads_table(values, measure=measure or UNNAMED, name=name, **shape._asdict())
    there = list(dict.fromkeys(table["measure"]))
    wanted = clean(measure) if measure is not None else there[0]
    if wanted not in there:
        raise DataError(f"{name} holds {listing(there)}, not measure={wanted!r}; name one of these")
    if measure is None and len(there) > 1:
        raise DataError(f"{name} holds the measures {listing(there)}; say which: measure={there[0]!r}")
    table = table[table["measure"] == wanted]
    one_each(table, name)
    return table[["layer", "head", "measure", "value", "kind", "state", "vulnerable"]]


def _one_measure(first: str, second: str) -> str:
    if first != second and UNNAMED not in (first, second):
        raise DataError(f"a is {first!r} and b is {second!r}: the difference of two measures has no meaning")
    return second if first == UNNAMED else first


def _numbers(table: pd.DataFrame, side: str) -> Floats:
    """Return the values of a side as they were, infinities too; NaN where there is none."""
    kind, values = table[f"kind_{side}"], table[f"value_{side}"].to_numpy(np.float64)
    values = np.where(kind == "inf", np.inf, np.where(kind == "-inf", -np.inf, values))
    return np.where(kind == "zero", 0.0, values)


def changes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the heads that have a finite difference, or say why there are none."""
    found = table[table["kind"] == "value"]
    if len(found):
        return found
    shared = table[~table["kind"].isin((ONLY_BEFORE, ONLY_AFTER))]
    if shared.empty:
        sides = [
            f"{name} has {head_names(_pairs(rows), limit=4)}"
            for name, rows in (("a", table[table["kind"] == ONLY_BEFORE]), ("b", table[table["kind"] == ONLY_AFTER]))
        ]
        raise DataError(f"a and b have no head in common: {'; '.join(sides)}")
    raise DataError(
        f"no head has a finite value in both a and b: {count(len(shared), 'head')} in common, all NaN, infinite or masked"
    )


def _pairs(rows: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(rows["layer"].tolist(), rows["head"].tolist(), strict=True))


def movers_of(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the heads that changed most, the largest first and by layer and head among equals; none that did not change."""
    found = table[(table["kind"] == "value") & (table["value"] != 0)]
    order = np.lexsort((found["head"], found["layer"], -found["value"].abs()))
    return found.iloc[order[:most]]


def end_of(table: pd.DataFrame, limit: Limit, *, percent: bool) -> float:
    """Return where the colours end on either side of zero.

    That is the largest change, unless it is more than `FAR` times the change that all but one head in `SHARE` (and all but one
    at least) stay within: then it is this change, and a hundredth of the values' median size at least, so that noise around
    a few real changes stays pale.
    """
    if limit != "auto" and limit != "max":
        if isinstance(limit, (str, bool)) or not isinstance(limit, (int, float, np.number)):
            raise KindError(f"limit is {clean(repr(limit))}; expected a number, 'auto' or 'max'")
        if not (math.isfinite(limit) and limit > 0):
            raise DataError(f"limit={limit} must be positive and finite")
        return float(limit)
    size = np.sort(np.abs(table.loc[table["kind"] == "value", "value"].to_numpy(np.float64)))[::-1]
    largest = float(size[0])
    if limit == "auto" and len(size) >= FEW:
        ordinary = float(size[max(1, len(size) // SHARE)])
        values = np.abs(table[["before", "after"]].to_numpy(np.float64))
        typical = 100.0 if percent else float(np.median(values[np.isfinite(values)]))
        within = max(ordinary, FLOOR * typical)
        if within > 0 and largest > FAR * within:
            return within
    return largest or 1.0


def signed(value: float) -> str:
    """Return a change as a reader would write it: ``+0.31``, ``−0.2``."""
    return f"+{number(value)}" if value > 0 else number(value)
