"""What the monitor of a training shows: one line of text, or a piece of HTML with numbers and charts."""

from __future__ import annotations

import base64
import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from altair.typing import ChartType

from headspec.charts import parts
from headspec.charts.cells import grid_of, head_map
from headspec.charts.heatmaps import spread, visualize_entropy_heatmap, visualize_gradient_norms
from headspec.charts.training import visualize_training_progress
from headspec.errors import HeadspecError, HeadspecWarning
from headspec.output import render
from headspec.output.themes import Theme
from headspec.sources.recorded_run import RecordedRun
from headspec.tables.heads import heads_table
from headspec.text import clean, count, number

Builder: TypeAlias = Callable[[RecordedRun], "ChartType | None"]
Drawings: TypeAlias = dict[str, tuple[tuple[int, int], str, list[str]]]

LARGEST_SVG = 250_000  # characters; a larger drawing goes out as pixels, so that an output stays bounded
MOST_METRICS, MOST_MAPS = 12, 2
_STATES = {
    "recording": "recording",
    "complete": "complete",
    "failed": "ended by an error",
    "stopped": "its process ended",
}


class Latest(NamedTuple):
    """The newest value of a metric, where it was measured, and its range so far."""

    metric: str
    value: float
    step: float
    lowest: float
    highest: float


def latest(run: RecordedRun) -> list[Latest]:
    """Return the newest value of each metric, losses first."""
    history = run.history
    if history.empty:
        return []
    found = []
    for metric, rows in history.groupby("metric", sort=False):
        steps, values = rows["step"].to_numpy(np.float64), rows["value"].to_numpy(np.float64)
        last = int(steps.argmax())
        finite = values[np.isfinite(values)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (math.nan, math.nan)
        found.append(Latest(str(metric), float(values[last]), float(steps[last]), low, high))
    return sorted(found, key=lambda item: "loss" not in item.metric.lower())


def head_counts(run: RecordedRun) -> str:
    """Return how many heads are pruned and how many are back, in words; nothing where none ever was."""
    last = run.events.drop_duplicates(["layer", "head"], keep="last")["event"]
    if last.empty:
        return ""
    return f"{count(int((last == 'pruned').sum()), 'head')} pruned, {int((last == 'revived').sum()):,} revived"


def headline(run: RecordedRun, speed: float | None) -> list[str]:
    """Return the parts of the first line: where the training is."""
    history = run.history
    said = [run.run]
    if len(history):
        said.append(f"step {_step(float(history['step'].max()))}")
        epochs = history["epoch"].dropna()
        if len(epochs):
            said.append(f"epoch {number(float(epochs.iloc[-1]))}")
    said.append(head_counts(run))
    if speed is not None and speed > 0:
        said.append(f"{number(speed)} steps/s")
    if run.state != "recording":
        said.append(_STATES[run.state])
    return [part for part in said if part]


def text_line(run: RecordedRun, speed: float | None) -> str:
    """Return one line of progress."""
    first = headline(run, speed)
    at = first[1] if len(first) > 1 and first[1].startswith("step ") else ""
    values = [
        f"{item.metric} {number(item.value)}"
        + ("" if f"step {_step(item.step)}" == at else f" (step {_step(item.step)})")
        for item in latest(run)[:6]
    ]
    place = sum(part.startswith(("step ", "epoch ")) for part in first[1:3]) + 1
    return "  ".join([*first[:place], *values, *first[place:]])


def html(
    run: RecordedRun, speed: float | None, builders: Sequence[Builder], theme: Theme, drawings: Drawings | None = None
) -> str:
    """Return the whole view: first line, numbers, charts. No script, and no text that is not escaped.

    `drawings` holds the maps of the last time: they are drawn again when heads or events were recorded since.
    """
    drawings = {} if drawings is None else drawings
    name, *rest = headline(run, speed)
    top = f"<b>{escape(name)}</b> · {escape(' · '.join(rest))}" if rest else f"<b>{escape(name)}</b>"
    notes: dict[str, None] = dict.fromkeys(run.faults)
    pieces = []
    for builder in builders if len(run.history) or run.measures else ():
        measure = builder.args[0] if isinstance(builder, partial) and builder.func is _map_of else None
        key = (run.records["heads"], run.records["events"])
        if measure is None or drawings.get(measure, (None,))[0] != key:
            own: dict[str, None] = {}
            drawn = key, _drawn(builder, run, theme, own), list(own)
            if measure is not None:
                drawings[measure] = drawn
        else:
            drawn = drawings[measure]
        pieces.append(drawn[1])
        notes.update(dict.fromkeys(drawn[2]))
    charts = "".join(f"<div>{piece}</div>" for piece in pieces if piece)
    small = "".join(f'<div style="opacity:.75;font-size:12px">{escape(clean(note))}</div>' for note in notes)
    return (
        f'<div style="font-family:sans-serif"><div style="margin-bottom:6px">{top}</div>{_numbers(latest(run))}'
        f'<div style="display:flex;flex-wrap:wrap;gap:16px;align-items:flex-start">{charts}</div>{small}</div>'
    )


def _numbers(found: Sequence[Latest]) -> str:
    if not found:
        return "<div>nothing is measured yet</div>"
    cell = '<td style="text-align:right;padding:1px 12px 1px 0">'
    rows = [
        f'<tr><td style="text-align:left;padding:1px 12px 1px 0">{escape(item.metric)}</td>{cell}<b>{number(item.value)}</b></td>'
        f"{cell}{_step(item.step)}</td>{cell}{number(item.lowest)}</td>{cell}{number(item.highest)}</td></tr>"
        for item in found[:MOST_METRICS]
    ]
    head = "".join(
        f'<th style="text-align:{"left" if name == "metric" else "right"};padding:1px 12px 1px 0;font-weight:normal;opacity:.75">'
        f"{name}</th>"
        for name in ("metric", "latest", "step", "lowest", "highest")
    )
    more = len(found) - MOST_METRICS
    rest = f'<div style="opacity:.75">and {count(more, "metric")} more</div>' if more > 0 else ""
    return (
        f'<table style="border-collapse:collapse;font-size:13px;margin:0 0 8px 0"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{rest}"
    )


def _drawn(builder: Builder, run: RecordedRun, theme: Theme, notes: dict[str, None]) -> str:
    """Return a chart as inline SVG; what goes wrong or is said about it becomes a note, never the end of a training."""
    try:
        # a warning would be an output of its own in the notebook, at every update another one
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", HeadspecWarning)
            chart = builder(run)
            if chart is None:
                return ""
            drawing = render.draw(chart, theme=theme)
            svg = drawing.to_svg()
            picture = drawing.to_png() if len(svg) > LARGEST_SVG else b""
        notes.update(dict.fromkeys(str(item.message) for item in said if issubclass(item.category, HeadspecWarning)))
    except HeadspecError as error:
        notes[f"no chart: {error}"] = None
        return ""
    except Exception as error:
        notes[f"no chart: {type(error).__name__}: {error}"] = None
        return ""
    if not picture:
        return svg[
            svg.index("<svg") :
        ]  # inline: drawn with the rest of the cell, where an image would come a frame later
    width, height = round(drawing.size.width), round(drawing.size.height)
    data = base64.b64encode(picture).decode("ascii")
    return f'<img width="{width}" height="{height}" alt="" src="data:image/png;base64,{data}">'


def training_chart(run: RecordedRun) -> ChartType | None:
    """Return the training chart of what was recorded so far."""
    if run.history.empty:
        return None
    return visualize_training_progress(run.history, events=run.events if len(run.events) else None, width=480)


def map_builders(run: RecordedRun, measures: Sequence[str] | None) -> list[Builder]:
    """Return what draws the newest map of each measure of heads, of the first two where none is named."""
    chosen = list(measures) if measures is not None else run.measures[:MOST_MAPS]
    return [partial(_map_of, measure) for measure in chosen]


def _map_of(measure: str, run: RecordedRun) -> ChartType | None:
    if measure not in run.measures:
        return None
    rows = run.heads_at(measure)
    title = f"{measure.replace('_', ' ').capitalize()}, step {_step(float(rows['step'].iloc[0]))}"
    return _map(rows.drop(columns="step"), measure, title, run.events)


def _map(rows: pd.DataFrame, measure: str, title: str, events: pd.DataFrame) -> ChartType:
    name = measure.lower()
    if "entropy" in name and "normal" not in name:
        return visualize_entropy_heatmap(rows, title=title, events=events)
    if "grad" in name:
        return visualize_gradient_norms(rows, title=title, events=events)
    table = heads_table(rows, measure=measure, events=events, name=measure)
    chart, notes = head_map(table, spread(table, "auto", "viridis", name=measure), legend=measure)
    heading: Any = parts.heading(title, notes, width=grid_of(table).pixels)
    return chart.properties(title=heading, description=title)


def _step(step: float) -> str:
    return f"{int(step):,}" if step == int(step) else number(step)
