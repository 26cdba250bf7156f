"""The rows that a training chart draws: thinned lines, gaps, head events per bucket, epochs; and its value axes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import NumpyArray
from headspec.reduce.lines import gap_marks, significant, sum_counts, thin_columns, thin_levels, thin_line
from headspec.tables.events import EVENTS
from headspec.tables.history import Series
from headspec.tables.history_cells import HEAD_COUNTS
from headspec.tables.packing import KEY
from headspec.text import head_names

Floats = npt.NDArray[np.float64]
AxisType = Literal["linear", "log"]

PLAIN_ROWS = 4_000
"""Up to here a row per point; above, a row per line with its points as lists."""
DOT_ROOM = 9.0
"""Pixels between two points of a line from which on each is drawn as a dot too."""
BAR = 3
"""Pixels of the narrowest bar of head events."""
EDGE = 8
"""Pixels between the outermost values of a panel and its edges."""
LANE = 11
"""Pixels of a lane of marks along a panel's edge."""
FOOT = 6
"""Pixels of the ticks at a panel's foot that stand for head events."""
MANY = 40
"""Bars of head events from which on rules through every panel would hide the lines."""
FAR = 1e6
"""What is so many times the lower quarter of a panel's values is marked at its edge instead of stretching the axis."""
FLAT = 0.05
"""An axis on which nine tenths of the points share less of the height than this is not linear."""


@dataclass(frozen=True)
class Line:
    """One series as it is drawn."""

    series: Series
    panel: str
    rows: NumpyArray
    value: Floats  # of these rows, rounded
    dots: bool


@dataclass(frozen=True)
class ValueAxis:
    """The value axis of a panel: what it reaches, and whether some values lie beyond."""

    type: AxisType
    low: float  # of the axis, margins included
    high: float
    least: float  # of the values within
    most: float
    above: bool  # whether some lie beyond
    below: bool

    @property
    def beyond(self) -> bool:
        """Whether some values are not reached."""
        return self.above or self.below

    def clip(self, value: Floats) -> Floats:
        """Return where values are drawn: those beyond the axis just outside the panel, where the line is cut off."""
        if self.type == "log":
            room = (self.high / self.low) ** 0.2
            return np.clip(value, self.low / room, self.high * room)
        room = 0.2 * (self.high - self.low)
        return np.clip(value, self.low - room, self.high + room)


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
    if panel == "sparsity":
        rows = thin_levels(step, value, max_points, width, domain, name=name)
    elif max_points is None:
        rows = thin_columns(step, value, width, domain)
    else:
        rows = thin_line(step, value, max_points, name=name)
    span = (float(step[-1]) - float(step[0])) / (domain[1] - domain[0]) * width
    dots = len(step) == 1 or (panel != "sparsity" and span / (len(step) - 1) >= DOT_ROOM)
    return Line(series, panel, rows, rounded(value[rows]), dots)


def rounded(value: Floats) -> Floats:
    """Return values to six significant digits, or to as many more as a small range of large values needs."""
    finite = value[np.isfinite(value)]
    if not len(finite):
        return value
    span, size = float(finite.max() - finite.min()), float(np.abs(finite).max())
    more = math.floor(math.log10(size / span)) if 0 < span < size else 0
    return significant(value, min(6 + more, 15))


def value_axis(
    lines: Sequence[Line], height: int, lanes: int, forced: AxisType | None, *, prefer_log: bool, foot: int = 0
) -> ValueAxis:
    """Decide the axis of a panel from the points it draws.

    Linear as long as nine tenths of the points share a twentieth of the height or more; log otherwise, if all are
    positive (a perplexity earlier: from a factor of 10). What is a million times the lower quarter of the values, or far
    outside them where they are not all positive, lies beyond the axis and is marked at its edge.
    """
    values = np.concatenate([line.value for line in lines])
    values = values[np.isfinite(values)]
    inside, kind = values, forced
    if not len(values):
        return ValueAxis("linear", 0.0, 1.0, 0.0, 1.0, False, False)
    if forced == "log":
        inside = values[values > 0]
    elif forced is None:
        positive = bool((values > 0).all())
        inside = values[np.abs(values) <= FAR * max(float(np.quantile(np.abs(values), 0.25)), _tiny(values))]
        low, high = (float(part) for part in np.quantile(inside, [0.05, 0.95]))
        least, most = float(inside.min()), float(inside.max())
        flat = most > least and (high - low) < FLAT * (most - least) and len(inside) > 2
        kind = "log" if positive and (flat or (prefer_log and most > 10 * least)) else "linear"
        if flat and not positive and high > low:
            inside = inside[(inside >= low - 3 * (high - low)) & (inside <= high + 3 * (high - low))]
    if not len(inside):
        return ValueAxis("log", 1.0, 10.0, 1.0, 10.0, False, True)
    least, most = float(inside.min()), float(inside.max())
    above, below = bool((values > most).any()), bool((values < least).any())
    top, bottom = EDGE + LANE * (lanes + above), EDGE + LANE * below + foot
    kind = kind or "linear"
    low, high = _ends(least, most, kind, top / max(height - top - bottom, 1), bottom / max(height - top - bottom, 1))
    if least >= 0 > low and not foot:
        low = 0.0
    return ValueAxis(kind, low, high, least, most, above, below)


def _tiny(values: Floats) -> float:
    size = np.abs(values)
    return float(size[size > 0].min()) if (size > 0).any() else 1.0


def _ends(least: float, most: float, kind: AxisType, above: float, below: float) -> tuple[float, float]:
    if kind == "log":
        low, high = math.log10(least), math.log10(most)
        span = (high - low) or 0.2
        return 10 ** (low - below * span), 10 ** (high + above * span)
    span = (most - least) or 0.2 * abs(most) or 1.0
    return least - below * span, most + above * span


def lines_frame(lines: Sequence[Line], axes: dict[str, ValueAxis]) -> pd.DataFrame:
    """Return the frame of all lines: a row per point, or a row per line with lists where there are many points."""
    clipped = any(axis.beyond for axis in axes.values())
    timed = any(line.series.epoch is not None for line in lines)
    parts: list[dict[str, Any]] = []
    for line in lines:
        value = np.where(np.isfinite(line.value), line.value, np.nan)
        part: dict[str, Any] = {"step": line.series.step[line.rows], "value": value}
        if timed:
            epoch = line.series.epoch
            part["epoch"] = np.full(len(value), np.nan) if epoch is None else significant(epoch[line.rows], 6)
        if clipped:
            part["_y"] = significant(axes[line.panel].clip(value), 9)
        parts.append(part)
    keys = [
        {"run": line.series.run, "metric": line.series.metric, "panel": line.panel, "_dots": line.dots}
        for line in lines
    ]
    if sum(len(line.rows) for line in lines) <= PLAIN_ROWS:
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
        marks = gap_marks(line.series.step, line.series.value, width // 6, domain)
        if not len(marks.first):
            continue
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
    return len(events) > 0 and events["_middle"].nunique() > MANY


def _event_row(
    run: str, event: str, first: float, last: float, number: float, named: pd.DataFrame | None
) -> dict[str, Any]:
    row = {
        "run": run,
        "step": first,
        "last_step": last,
        "event": event,
        "count": int(number) if number == int(number) else number,
        "_middle": (first + last) / 2,
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
