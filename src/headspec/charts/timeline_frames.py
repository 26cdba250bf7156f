"""The rows that a timeline draws: spans, events and cells, as lists where they are many."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts.cells import ROWS
from headspec.charts.timeline_lanes import Coloured, View
from headspec.charts.timeline_spans import Timeline
from headspec.charts.timeline_values import Pooled
from headspec.reduce.lines import significant
from headspec.tables.packing import KEY


def spans_frame(view: View, timeline: Timeline, pooled: Pooled | None) -> pd.DataFrame:
    """Return a row per span; with a measure drawn as an image, its greatest value in each and the step of that."""
    rows = [
        (*head, span.state, span.start, span.end, view.lanes.top[head])
        for head, spans in timeline.spans.items()
        for span in spans
    ]
    frame = pd.DataFrame(rows, columns=["layer", "head", "state", "step", "last_step", "_y"])
    lists = ["head", "step", "last_step", "_y"]
    if pooled is not None:
        known = {(piece.head, piece.span): piece.high for piece in pooled.pieces if piece.high is not None}
        highs = [known.get((head, span.start)) for head, spans in timeline.spans.items() for span in spans]
        frame["value"] = [None if high is None else high.value for high in highs]
        frame["at_step"] = [None if high is None else high.step for high in highs]
        lists += ["value", "at_step"]
    return _listed(frame, ["layer", "state"], lists, "spans")


def events_frame(view: View, events: pd.DataFrame) -> pd.DataFrame:
    """Return a row per event."""
    frame = events[["step", "layer", "head", "event"]].copy()
    tops = [view.lanes.top[pair] for pair in zip(frame["layer"].tolist(), frame["head"].tolist(), strict=True)]
    frame["_y"] = np.asarray(tops) + view.lanes.thick / 2
    return _listed(frame, ["layer", "event"], ["step", "head", "_y"], "events")


def cells_frame(view: View, coloured: Coloured) -> pd.DataFrame:
    """Return a row per cell, or a row per head (and kind) with its cells as lists."""
    decimals = None if coloured.code.log else max(0, -round(np.log10(coloured.code.step)))
    pieces = coloured.pooled.pieces
    sizes = [len(piece.values) for piece in pieces]
    values = np.array([value for piece in pieces for value in piece.values])
    frame = pd.DataFrame(
        {
            "layer": np.repeat([piece.head[0] for piece in pieces], sizes),
            "head": np.repeat([piece.head[1] for piece in pieces], sizes),
            "_y": np.repeat([view.lanes.top[piece.head] for piece in pieces], sizes),
            "step": [step for piece in pieces for step in piece.first],
            "last_step": [step for piece in pieces for step in piece.last],
            "value": significant(values, 4) if decimals is None else np.round(values, decimals),
            "kind": [kind for piece in pieces for kind in piece.kinds],
            "_x": np.round([edge for piece in pieces for edge in piece.edges[:-1]], 2),
            "_x2": np.round([edge for piece in pieces for edge in piece.edges[1:]], 2),
        }
    )
    if coloured.scale.type == "log":
        frame["kind"] = np.where(frame["value"] == 0, "zero", frame["kind"])
    if coloured.pooled.most == 1:
        del frame["last_step"]
    if (frame["kind"] == "value").all():
        del frame["kind"]
    lists = [name for name in ("step", "last_step", "value", "_x", "_x2") if name in frame.columns]
    return _listed(frame, [name for name in frame.columns if name not in lists], lists, "cells")


def _listed(frame: pd.DataFrame, keys: list[str], lists: list[str], name: str) -> pd.DataFrame:
    """Return the frame as it is, or where it is long a row per key, in order, with the other columns as lists."""
    for column in ("step", "last_step"):
        if column in frame.columns and (frame[column] % 1 == 0).all():
            frame[column] = frame[column].astype(np.int64)
    if len(frame) > ROWS:
        groups = frame.groupby(keys, sort=False)
        cells: dict[str, Any] = {column: [_plain(part[column]) for _, part in groups] for column in lists}
        frame = pd.DataFrame([key for key, _ in groups], columns=keys).assign(**cells)
    frame.attrs[KEY] = {"name": name}
    return frame


def _plain(column: pd.Series) -> list[Any]:
    """Return cells as JSON holds them: whole numbers where they are, None where there is none."""
    return [None if cell != cell else int(cell) if cell == int(cell) else cell for cell in column.tolist()]


def rows_of(frame: pd.DataFrame) -> alt.Chart:
    """Return a chart of the frame, lists taken apart; plain rows, as a page may feed them, pass unchanged."""
    base = alt.Chart(frame)
    lists: list[Any] = [name for name in frame.columns if len(frame) and isinstance(frame[name].iloc[0], list)]
    if not lists:
        return base
    plain: Any = {name: f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]" for name in lists}
    return base.transform_calculate(**plain).transform_flatten(lists)
