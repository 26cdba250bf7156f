"""The loss above a timeline: the panels of a training chart on the timeline's steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np

from headspec.charts.timeline_lanes import View
from headspec.charts.timeline_spans import Timeline
from headspec.charts.training_axes import FOOT, value_axis
from headspec.charts.training_panels import Shared, line_panel
from headspec.charts.training_rows import (
    Line,
    beyond_frame,
    crowded,
    epochs_frame,
    events_frame,
    gaps_frame,
    lines_frame,
    panel_of,
    thin,
)
from headspec.charts.training_words import not_numbers, out_of_reach, reduced
from headspec.errors import DataError, KindError
from headspec.tables.events import events_per_step
from headspec.tables.history import Series, read_history
from headspec.tables.history_cells import HEAD_COUNTS
from headspec.text import clean, listing

LOSS_HEIGHT = 110


class Panels(NamedTuple):
    """The panels, and what their reader must know."""

    charts: list[alt.LayerChart]
    notes: list[str]


def series_of(history: Any, metrics: Sequence[str] | None) -> list[Series]:
    """Return the series to draw above the lanes."""
    if history is None:
        if metrics is not None:
            raise DataError("metrics names what to draw of a history; give history=")
        return []
    found = read_history(history).series
    there = list(dict.fromkeys(line.metric for line in found))
    if isinstance(metrics, str):
        raise KindError(f"metrics is text; expected a list: metrics=[{clean(metrics)!r}]")
    wanted = [clean(name) for name in metrics] if metrics is not None else [n for n in there if panel_of(n) == "loss"]
    lost = [name for name in wanted if name not in there or name in HEAD_COUNTS]
    if lost or not wanted:
        what = (
            f"metrics names {listing(lost) or 'nothing'}; history" if metrics is not None else "history has no loss; it"
        )
        raise DataError(
            f"{what} has {listing([name for name in there if name not in HEAD_COUNTS], limit=20)}; metrics=[…] chooses"
        )
    return [line for name in dict.fromkeys(wanted) for line in found if line.metric == name]


def within(series: list[Series], first: float, last: float) -> list[Series]:
    """Return the part of each series within the range of steps."""
    kept = []
    for line in series:
        inside = (line.step >= first) & (line.step <= last)
        if inside.any():
            epoch = None if line.epoch is None else line.epoch[inside]
            kept.append(Series(line.run, line.metric, line.step[inside], line.value[inside], epoch))
    if series and not kept:
        raise DataError(f"history has no step from {first:g} to {last:g}")
    return kept


def loss_panels(series: list[Series], timeline: Timeline, view: View) -> Panels:
    """Return the panels of the history's metrics, the events ruled faintly through them."""
    if not series:
        return Panels([], [])
    runs = list(dict.fromkeys(line.run for line in series))
    counted = events_per_step(timeline.events)
    counts = [
        Series(runs[0], name, counted["step"].to_numpy(), counted[name].to_numpy(np.float64), None)
        for name in HEAD_COUNTS
    ]
    rules, _ = events_frame(counts if len(counted) else [], {runs[0]: timeline.events}, None, view.width, view.domain)
    lines = [thin(line, panel_of(line.metric), None, view.width, view.domain) for line in series]
    gaps = gaps_frame(lines, view.width, view.domain)
    panels = list(dict.fromkeys(line.panel for line in lines))
    foot = FOOT if crowded(rules) and len(runs) == 1 else 0
    scales = {}
    for panel in panels:
        held = int(gaps.loc[gaps["panel"] == panel, "_lane"].nunique()) if len(gaps) else 0
        values = np.concatenate([line.value for line in _of(lines, panel)])
        scales[panel] = value_axis(values, panel, LOSS_HEIGHT, lanes=held, foot=foot)
    epochs, note = epochs_frame(series, view.width, view.domain)
    beyond = beyond_frame(lines, scales, view.width, view.domain)
    whole = all(line.step.dtype.kind == "i" for line in series)
    shared = Shared(
        view.width, view.domain, scales, lines_frame(lines), gaps, beyond, rules, epochs, runs, view.zoom, whole
    )
    charts = []
    for place, panel in enumerate(panels):
        mine = _of(lines, panel)
        charts.append(line_panel(shared, panel, mine, LOSS_HEIGHT, place=place, last=False, owner=not place))
    said = [*reduced(lines, rules.iloc[:0], 0, None), note, *not_numbers(lines), *out_of_reach(beyond)]
    return Panels(charts, [item for item in said if item])


def _of(lines: list[Line], panel: str) -> list[Line]:
    return [line for line in lines if line.panel == panel]
