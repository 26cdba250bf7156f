"""The rows that a training chart draws: thinned lines, gaps, head events per bucket, epochs; and its value axes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import NumpyArray
from headspec.charts.training_axes import EDGE, ValueAxis
from headspec.reduce.lines import (
    Survey,
    gap_marks,
    level_changes,
    significant,
    sum_counts,
    survey,
    thin_columns,
    thin_levels,
    thin_line,
)
from headspec.tables.events import EVENTS
from headspec.tables.history import Series
from headspec.tables.history_cells import HEAD_COUNTS
from headspec.tables.packing import KEY
from headspec.text import head_names

Floats = npt.NDArray[np.float64]

PLAIN_ROWS = 1_000
"""Up to here a row per point; above, a row per line with its points as lists."""
DOT_ROOM = 9.0
"""Pixels between two points of a line from which on each is drawn as a dot too."""
BAR = 3
"""Pixels of the narrowest bar of head events."""
MANY = 40
"""Bars of head events from which on rules through every panel would hide the lines."""


@dataclass(frozen=True)
class Line:
    """One series as it is drawn."""

    series: Series
    panel: str
    rows: NumpyArray
    value: Floats  # of these rows, rounded
    dots: bool
    thinned: bool  # whether points are left out that a reader could see
    seen: Survey  # of the whole series


def panel_of(metric: str) -> str:
    """Return the panel that a metric belongs to; its own name where it is of no known family."""
    words = re.split(r"[^a-z]+", metric.lower())
    if metric in HEAD_COUNTS:
        return "heads"
    for panel, known in (("loss", {"loss"}), ("sparsity", {"sparsity"}), ("perplexity", {"perplexity", "ppl"})):
        if known & set(words):
            return panel
    return metric


def step_domain(series: Sequence[Series], width: int) -> tuple[float, float]:
    """Return the ends of the step axis, a few pixels beyond the first and the last step."""
    low, high = (
        float(end(ends)) for end, ends in ((min, [s.step[0] for s in series]), (max, [s.step[-1] for s in series]))
    )
    room = (high - low) * EDGE / max(width - 2 * EDGE, 1) if high > low else 1.0
    return low - room, high + room


def thin(series: Series, panel: str, max_points: int | None, width: int, domain: tuple[float, float]) -> Line:
    """Return what is drawn of a series."""
    step, value = series.step, series.value
    name = f"{series.metric!r}"
    enough, seen = len(step), survey(value)
    if panel == "sparsity":
        changes = level_changes(value)
        rows = thin_levels(step, value, max_points, width, domain, name=name, changes=changes)
        enough = len(changes)
    elif max_points is None:
        rows = thin_columns(step, value, width, domain, seen=seen)
    else:
        rows = thin_line(step, value, max_points, name=name, seen=seen)
    span = (float(step[-1]) - float(step[0])) / (domain[1] - domain[0]) * width
    dots = len(step) == 1 or (panel != "sparsity" and span / (len(step) - 1) >= DOT_ROOM)
    return Line(series, panel, rows, rounded(value[rows]), dots, len(rows) < enough, seen)


def rounded(value: Floats) -> Floats:
    """Return values to six significant digits, or to as many more as a small range of large values needs."""
    finite = value[np.isfinite(value)]
    if not len(finite):
        return value
    span, size = float(finite.max()) - float(finite.min()), float(np.abs(finite).max())
    more = math.floor(math.log10(size / span)) if 0 < span < size else 0
    return significant(value, min(6 + more, 15))


def lines_frame(lines: Sequence[Line]) -> pd.DataFrame:
    """Return the frame of all lines: a row per point, or a row per line with lists where there are many points."""
    timed = any(line.series.epoch is not None for line in lines)
    parts: list[dict[str, Any]] = []
    for line in lines:
        value = np.where(np.isfinite(line.value), line.value, np.nan)
        part: dict[str, Any] = {"step": line.series.step[line.rows], "value": value}
        if timed:
            epoch = line.series.epoch
            part["epoch"] = np.full(len(value), np.nan) if epoch is None else significant(epoch[line.rows], 6)
        parts.append(part)
    keys = [
        {"run": line.series.run, "metric": line.series.metric, "panel": line.panel, "_dots": line.dots}
        for line in lines
    ]
    if not lines:
        frame = pd.DataFrame({"step": [], "panel": []})
    elif sum(len(line.rows) for line in lines) <= PLAIN_ROWS:
        rows = [pd.DataFrame({**key, **part}) for key, part in zip(keys, parts, strict=True)]
        frame = pd.concat(rows, ignore_index=True)
    else:
        lists = [{name: _plain(cells) for name, cells in part.items()} for part in parts]
        frame = pd.DataFrame([{**key, **part} for key, part in zip(keys, lists, strict=True)])
    frame.attrs[KEY] = {"name": "history"}
    return frame


def _plain(cells: NumpyArray) -> list[Any]:
    """Return cells as JSON holds them: None where there is no number."""
    if cells.dtype.kind == "f" and not np.isfinite(cells).all():
        return [cell if cell == cell else None for cell in cells.tolist()]
    return cells.tolist()  # type: ignore[no-any-return]


def gaps_frame(lines: Sequence[Line], width: int, domain: tuple[float, float]) -> pd.DataFrame:
    """Return a row per gap: NaN and infinities, from the first to the last step of each, in a lane per line."""
    rows: list[dict[str, Any]] = []
    lanes: dict[str, int] = {}
    for line in lines:
        if line.seen.whole:
            continue
        marks = gap_marks(line.series.step, line.series.value, width // 6, domain)
        lane = lanes[line.panel] = lanes.get(line.panel, -1) + 1
        for first, last, gaps, nan, above, below in zip(*(part.tolist() for part in marks), strict=True):
            kinds = [name for name, number in (("NaN", nan), ("∞", above), ("−∞", below)) if number]
            rows.append(
                {
                    "run": line.series.run,
                    "metric": line.series.metric,
                    "panel": line.panel,
                    "step": first,
                    "last_step": last,
                    "kind": " and ".join(kinds),
                    "points": nan + above + below,
                    "gaps": gaps,
                    "_mark": "NaN or ∞",
                    "_lane": lane,
                }
            )
    frame = pd.DataFrame(rows)
    frame.attrs[KEY] = {"name": "gaps"}
    return frame


def beyond_frame(
    lines: Sequence[Line], axes: Mapping[str, ValueAxis], width: int, domain: tuple[float, float]
) -> pd.DataFrame:
    """Return a row per stretch of values that an axis does not reach: first and last step, the extreme, how many."""
    rows: list[dict[str, Any]] = []
    for line in lines:
        axis, step, value = axes[line.panel], line.series.step, line.series.value
        slack = 1e-5 * (axis.most - axis.least)  # the ends of the axis are rounded
        for side, sign, there in (("above", 1, axis.above), ("below", -1, axis.below)):
            if not there:
                continue
            out = np.isfinite(value) & ((value > axis.most + slack) if sign > 0 else (value < axis.least - slack))
            marks = gap_marks(step, np.where(out, np.nan, 0.0), width // 6, domain)
            keys = {"run": line.series.run, "metric": line.series.metric, "panel": line.panel, "side": side}
            for first, last, points in zip(
                *(part.tolist() for part in (marks.first, marks.last, marks.nan)), strict=True
            ):
                extreme = _furthest(step, value, out, first, last, sign)
                rows.append(
                    {**keys, "step": first, "last_step": last, "value": extreme, "points": points, "_peak": False}
                )
    frame = pd.DataFrame(rows)
    if rows:
        groups: Any = frame.groupby(["panel", "side"], sort=False)["value"]
        for (_, side), part in groups:
            frame.loc[part.idxmax() if side == "above" else part.idxmin(), "_peak"] = True
    frame.attrs[KEY] = {"name": "beyond"}
    return frame


def _furthest(
    step: NumpyArray, value: Floats, out: npt.NDArray[np.bool_], first: float, last: float, sign: int
) -> float:
    low, high = int(np.searchsorted(step, first)), int(np.searchsorted(step, last, "right"))
    found = value[low:high][out[low:high]]
    return float(rounded(np.asarray([found.max() if sign > 0 else found.min()]))[0])


def events_frame(
    counts: Sequence[Series],
    named: dict[str, pd.DataFrame],
    max_points: int | None,
    width: int,
    domain: tuple[float, float],
) -> tuple[pd.DataFrame, int]:
    """Return a row per bucket and kind of event, counts summed, and the steps with events that the buckets hold."""
    most = width // BAR if max_points is None else max(1, min(max_points, width // BAR))
    rows: list[dict[str, Any]] = []
    steps_with_events = 0
    for run in dict.fromkeys(item.run for item in counts):
        series = [item for item in counts if item.run == run]
        steps = np.unique(np.concatenate([item.step for item in series]))
        aligned = {}
        for item in series:
            aligned[item.metric] = np.zeros(len(steps))
            aligned[item.metric][np.searchsorted(steps, item.step)] = item.value
        sums = sum_counts(steps, aligned, most, domain)
        steps_with_events += int(sums.rows.sum())
        for metric, event in zip(HEAD_COUNTS, EVENTS, strict=True):
            found = sums.sums.get(metric, np.zeros(len(sums.first)))
            for first, last, number in zip(sums.first.tolist(), sums.last.tolist(), found.tolist(), strict=True):
                if number:
                    rows.append(_event_row(run, event, first, last, number, named.get(run)))
    frame = pd.DataFrame(rows)
    frame.attrs[KEY] = {"name": "events"}
    return frame, steps_with_events


def crowded(events: pd.DataFrame) -> bool:
    """Tell whether the events are too many to be ruled through every panel."""
    return len(events) > 0 and events["step"].nunique() > MANY


def _event_row(
    run: str, event: str, first: float, last: float, number: float, named: pd.DataFrame | None
) -> dict[str, Any]:
    row = {
        "run": run,
        "step": first,
        "last_step": last,
        "event": event,
        "count": int(number) if number == int(number) else number,
        "_height": number if event == "revived" else -number,
    }
    if named is None:
        return row
    low, high = (
        np.searchsorted(named["step"].to_numpy(), first),
        np.searchsorted(named["step"].to_numpy(), last, "right"),
    )
    found = named.iloc[low:high]
    found = found[found["event"] == event]
    pairs = list(zip(found["layer"].tolist(), found["head"].tolist(), strict=True))
    return {**row, "heads": head_names(list(dict.fromkeys(pairs)))}


def epochs_frame(series: Sequence[Series], width: int, domain: tuple[float, float]) -> tuple[pd.DataFrame, str]:
    """Return the first measured step of each epoch, every so many where they are close, and what to say of it."""
    runs: dict[str, list[Series]] = {}
    for item in series:
        if item.epoch is not None and len(item.step) > 1:
            runs.setdefault(item.run, []).append(item)
    found = [_epoch_starts(items) for items in runs.values()]
    if not found or any(not np.array_equal(found[0], other) for other in found[1:]):
        return pd.DataFrame(), "epochs differ between the runs and are not ruled" if found else ""
    epochs, steps = found[0]
    if not len(epochs):
        return pd.DataFrame(), ""
    room = (domain[1] - domain[0]) / width * 26
    every = next(
        (n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if _spaced(steps[epochs % n == 0], room)), 10_000
    )
    kept = epochs % every == 0
    frame = pd.DataFrame({"step": steps[kept], "epoch": epochs[kept].astype(np.int64)})
    frame.attrs[KEY] = {"name": "epochs"}
    return frame, f"a rule at every {every}th epoch" if every > 1 else ""


def _spaced(steps: NumpyArray, room: float) -> bool:
    return len(steps) < 2 or float(np.median(np.diff(steps))) >= room


def _epoch_starts(series: Sequence[Series]) -> NumpyArray:
    """Return the whole epochs and the first measured step of each, the epoch that the run begins in left out."""
    longest = max(series, key=lambda item: len(item.step))
    assert longest.epoch is not None
    known = np.isfinite(longest.epoch)
    steps, whole = longest.step[known], np.floor(longest.epoch[known] + 1e-9)
    rises = np.flatnonzero(whole[1:] > np.maximum.accumulate(whole)[:-1]) + 1
    return np.asarray([whole[rises], steps[rises]])
