"""Thinning of lines: fewer points, every extreme and every gap kept; counts summed, levels as steps.

A series here is a pair of arrays: ascending steps and their values, where NaN and infinities are gaps.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headspec.arrays import NumpyArray
from headspec.errors import DataError
from headspec.text import count

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]


class Sums(NamedTuple):
    """Counts per bucket of steps, empty buckets left out."""

    first: NumpyArray  # the first and the last step of a bucket that count something
    last: NumpyArray
    rows: NumpyArray  # how many steps of the bucket do
    sums: dict[str, Floats]


class GapMarks(NamedTuple):
    """Where a series has no finite value: one entry per gap, or per bucket of gaps."""

    first: NumpyArray  # steps
    last: NumpyArray
    gaps: NumpyArray
    nan: NumpyArray  # how many values are NaN, ∞ and −∞
    above: NumpyArray
    below: NumpyArray


class Survey(NamedTuple):
    """What a first look at a series finds."""

    whole: bool  # whether all of it is finite
    low: int  # the rows of the least and the greatest finite value, −1 where there is none
    high: int


def survey(value: Floats) -> Survey:
    """Look through a series once, for all that ask the same of it."""
    if not len(value):
        return Survey(True, -1, -1)
    low, high = int(value.argmin()), int(value.argmax())  # a NaN is both
    if np.isfinite(value[low]) and np.isfinite(value[high]):
        return Survey(True, low, high)
    finite = np.isfinite(value)
    if not finite.any():
        return Survey(False, -1, -1)
    low, high = int(np.argmin(np.where(finite, value, np.inf))), int(np.argmax(np.where(finite, value, -np.inf)))
    return Survey(False, low, high)


def thin_line(
    step: NumpyArray, value: Floats, max_points: int, *, name: str = "the series", seen: Survey | None = None
) -> Rows:
    """Return the rows of a series to draw, at most `max_points`.

    Kept are the first and the last finite value, the least and the greatest, both ends of each gap with one row of the
    gap itself (which breaks the line), and the minimum and maximum of each of as many equal spans of steps as the rest
    allows. A series that is short enough is kept whole.

    Raises
    ------
    DataError
        If `max_points` does not hold even the former; it says the least number.
    """
    if len(step) <= max_points:
        return np.arange(len(step))
    seen = survey(value) if seen is None else seen
    starts, ends = _gap_rows(value, seen)
    must = _must(value, starts, ends, seen)
    _check_points(max_points, len(must), len(starts), name)
    spans = (max_points - len(must)) // 2
    bounds = _bounds(step, spans, (step[0], step[-1]))
    return _union(must, *_extremes(value, bounds, seen, ends=False))


def thin_columns(
    step: NumpyArray, value: Floats, columns: int, domain: tuple[float, float], *, seen: Survey | None = None
) -> Rows:
    """Return the rows to draw for a panel of `columns` pixels: four per pixel column, two for each half of it.

    Least and greatest of half a column are nearer to the ink of the full line than first, last, least and greatest of a
    whole one, and as many. First and last of all and the ends of gaps are kept too, as long as there are fewer gaps than
    columns; beyond, a gap inside half a column does not break the line, and shows in `gap_marks` only.
    """
    if len(step) <= 4 * columns:
        return np.arange(len(step))
    seen = survey(value) if seen is None else seen
    return _per_span(value, _bounds(step, 2 * columns, domain), columns, seen, ends=False)


def level_changes(value: Floats) -> Rows:
    """Return the rows that say all of a step function: each row with a new level, and the last."""
    changed = np.ones(len(value), dtype=bool)
    np.not_equal(value[1:], value[:-1], out=changed[1:])
    gone = np.isnan(value)
    if gone.any():
        changed[1:] &= ~(gone[1:] & gone[:-1])
    changed[-1:] = True
    return np.flatnonzero(changed)


def thin_levels(
    step: NumpyArray,
    value: Floats,
    max_points: int | None,
    columns: int,
    domain: tuple[float, float],
    *,
    name: str = "the series",
    changes: Rows | None = None,
) -> Rows:
    """Return the rows of a step function to draw: where its level changes (`level_changes`), and the last one.

    Nothing is lost as long as they fit; beyond, spans of steps keep their first, last, least and greatest level.
    """
    changes = level_changes(value) if changes is None else changes
    limit = 4 * columns if max_points is None else max_points
    if len(changes) <= limit:
        return changes
    at, levels = step[changes], value[changes]
    seen = survey(levels)
    if max_points is None:
        return changes[_per_span(levels, _bounds(at, columns, domain), columns, seen, ends=True)]
    starts, ends = _gap_rows(levels, seen)
    must = _union(_must(levels, starts, ends, seen), np.asarray([len(at) - 1]))
    _check_points(max_points, len(must), len(starts), name)
    bounds = _bounds(at, (max_points - len(must)) // 4, (at[0], at[-1]))
    return changes[_union(must, *_extremes(levels, bounds, seen, ends=True))]


def sum_counts(step: NumpyArray, counts: Mapping[str, Floats], buckets: int, domain: tuple[float, float]) -> Sums:
    """Return the counts of each step that counts something, summed over `buckets` equal spans where there are more.

    Parameters
    ----------
    step
        Ascending, the same for all `counts`.
    counts
        Numbers per step by name; what is not finite counts nothing.
    buckets
        Spans that the domain is divided into.
    domain
        First and last step of the axis.
    """
    counts = {name: np.where(np.isfinite(values), values, 0.0) for name, values in counts.items()}
    busy = np.flatnonzero(np.logical_or.reduce([values != 0 for values in counts.values()]))
    at = step[busy]
    bucket = np.arange(len(at))
    if len(at) > buckets:
        bucket = np.searchsorted(_edges(buckets, domain)[1:-1], at, side="right")
    starts = np.flatnonzero(np.concatenate([[True], bucket[1:] != bucket[:-1]])) if len(at) else bucket
    ends = np.append(starts[1:], len(at)) - 1 if len(at) else bucket
    sums = {name: np.add.reduceat(values[busy], starts) if len(at) else values[busy] for name, values in counts.items()}
    return Sums(at[starts], at[ends], ends - starts + 1, sums)


def gap_marks(step: NumpyArray, value: Floats, most: int, domain: tuple[float, float]) -> GapMarks:
    """Return the gaps of a series, those within one of `most` equal spans taken together where there are more."""
    starts, ends = _gap_rows(value)
    group = np.arange(len(starts))
    if len(starts) > most:
        group = np.searchsorted(_edges(most, domain)[1:-1], step[starts], side="right")
    heads = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]])) if len(group) else group
    tails = np.append(heads[1:], len(group)) - 1 if len(group) else group

    def inside(of_kind: npt.NDArray[np.bool_]) -> NumpyArray:
        total = np.concatenate([[0], np.cumsum(of_kind)])
        return np.asarray(total[ends[tails] + 1] - total[starts[heads]])

    kinds = [inside(of_kind) for of_kind in (np.isnan(value), value == np.inf, value == -np.inf)] if len(group) else []
    nan, above, below = kinds or [group] * 3
    return GapMarks(step[starts[heads]], step[ends[tails]], tails - heads + 1, nan, above, below)


def significant(values: Floats, digits: int = 7) -> Floats:
    """Return values rounded to significant digits, as short text: 0.1 and not 0.10000000149011612."""
    size = np.abs(values)
    within = np.isfinite(values) & (size > 1e-15) & (size < 1e15)  # powers of ten are exact there
    power = digits - 1 - np.floor(np.log10(np.where(within, size, 1.0)))
    up, down = 10.0 ** np.clip(power, 0, 22), 10.0 ** np.clip(-power, 0, 22)
    rounded = np.rint(np.where(within, values, 0.0) * up / down) / up * down
    return np.where(within, rounded, values)


def _check_points(max_points: int, least: int, gaps: int, name: str) -> None:
    if max_points < least:
        why = f" and the ends of its {count(gaps, 'gap')}" if gaps else ""
        raise DataError(
            f"max_display_points={max_points} is too few for {name}: its first, last, least and greatest value{why} take "
            f"{least}; give at least {least}, or None for four points per pixel column"
        )


def _gap_rows(value: Floats, seen: Survey | None = None) -> tuple[Rows, Rows]:
    """Return the first and the last row of each gap."""
    if seen is not None and seen.whole:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    finite = np.isfinite(value)
    edges = np.diff(np.concatenate([[False], ~finite, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1


def _must(value: Floats, starts: Rows, ends: Rows, seen: Survey) -> Rows:
    """Return the rows that a thinned series cannot do without."""
    around = np.concatenate([starts - 1, starts, ends + 1])
    around = around[(around >= 0) & (around < len(value))]
    first = int(ends[0]) + 1 if len(starts) and starts[0] == 0 else 0
    if first == len(value):
        return _union(around)
    last = int(starts[-1]) - 1 if len(ends) and ends[-1] == len(value) - 1 else len(value) - 1
    return _union(around, np.asarray([first, last, seen.low, seen.high]))


def _edges(spans: int, domain: tuple[float, float]) -> Floats:
    low, high = domain
    return low + (high - low) * np.arange(spans + 1) / max(spans, 1)


def _bounds(step: NumpyArray, spans: int, domain: tuple[float, float]) -> Rows:
    """Return the rows at which equal spans of steps begin, with both ends; spans without a step vanish."""
    if not spans:
        return np.zeros(0, dtype=np.intp)
    edges = _edges(spans, domain)[1:-1]
    if step.dtype.kind == "i":
        edges = np.ceil(edges).astype(
            step.dtype
        )  # the same places; to compare with floats all steps would be made floats
    return _union(np.asarray([0, len(step)]), np.searchsorted(step, edges, side="left"))


def _per_span(value: Floats, bounds: Rows, most_gaps: int, seen: Survey, *, ends: bool) -> Rows:
    """Return the rows that stand for each span, and what breaks the line between them."""
    starts, lasts = _gap_rows(value, seen)
    if len(starts) <= most_gaps:
        bounds = _union(bounds, starts, lasts + 1)
        return _union(_must(value, starts, lasts, seen), *_extremes(value, bounds, seen, ends=ends))
    outer = _union(bounds[:-1], bounds[1:] - 1)
    breaks = outer[~np.isfinite(value[outer])]
    known = np.flatnonzero(np.isfinite(value))[[0, -1]]
    return _one_break(value, _union(breaks, known, *_extremes(value, bounds, seen, ends=ends)))


def _extremes(value: Floats, bounds: Rows, seen: Survey, *, ends: bool) -> tuple[Rows, ...]:
    """Return the rows of the least and the greatest finite value between two bounds, with `ends` the first and last too."""
    spans = list(itertools.pairwise(bounds.tolist()))
    if seen.whole:
        low = [start + int(value[start:stop].argmin()) for start, stop in spans]
        high = [start + int(value[start:stop].argmax()) for start, stop in spans]
        return _rows_of(low, high, [row for start, stop in spans for row in (start, stop - 1)] if ends else [])
    finite = np.isfinite(value)
    low, high, outer = [], [], []
    for start, stop in spans:
        rows = np.flatnonzero(finite[start:stop])
        if len(rows):
            known = value[start:stop][rows]
            low.append(start + int(rows[known.argmin()]))
            high.append(start + int(rows[known.argmax()]))
            if ends:
                outer += [start + int(rows[0]), start + int(rows[-1])]
    return _rows_of(low, high, outer)


def _rows_of(*lists: list[int]) -> tuple[Rows, ...]:
    return tuple(np.asarray(rows, dtype=np.intp) for rows in lists)


def _union(*rows: NumpyArray | list[int]) -> Rows:
    return np.unique(np.concatenate([np.asarray(part, dtype=np.intp) for part in rows]))


def _one_break(value: Floats, rows: Rows) -> Rows:
    """Return the rows without those that break a line where it is broken already."""
    broken = ~np.isfinite(value[rows])
    kept: Rows = rows[~(broken & np.concatenate([[False], broken[:-1]]))]
    return kept
