"""Maps of any measure of heads: one alone, or those of several runs side by side on one colour scale."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.charts import parts
from headspec.charts.cells import LEGENDS, grid_of, head_map, narrow
from headspec.charts.describe import heads_text, kinds_note, notes_text, sentence
from headspec.charts.heatmaps import spread, zeros_apart
from headspec.errors import DataError
from headspec.reduce.palette import ColourScale
from headspec.tables.heads import heads_table
from headspec.text import clean, count

_COLUMNS, _PANEL = 3, 270


def measure_map(
    values: ArrayLike,
    *,
    title: str,
    measure: str = "value",
    unit_name: str = "",
    events: Any = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show a measure of heads that has no chart of its own as a map.

    Parameters
    ----------
    values
        ``[layer, head]``, or any other form that `headspec.heads_table` reads.
    title
        The chart's title.
    measure, unit_name
        What the values are, and their unit.
    events
        Events, to mark pruned and revived heads.
    select
        The name of a selection of a head by click, to link charts.

    Notes
    -----
    Reading it: a row is a layer, a cell a head, its colour the value. Cells in grey have no finite value; crosses and triangles
    mark heads that were pruned and revived.
    """
    table = heads_table(values, measure=measure, events=events)
    scale = _scale({"values": table}, measure)
    chart, notes = _map(table, scale, measure, unit_name, select, parts.PANEL, LEGENDS)
    notes = [f"{scale.type} colour scale" if scale.type != "linear" else "", *notes]
    text = sentence(heads_text(table, _words(measure), unit_name), notes_text(notes))
    return narrow(chart.properties(title=parts.heading(title, notes, width=grid_of(table).pixels), description=text))


def side_by_side(
    maps: Mapping[str, ArrayLike],
    *,
    title: str,
    measure: str = "value",
    unit_name: str = "",
    events: Mapping[str, Any] | None = None,
    select: str | None = None,
) -> alt.ConcatChart:
    """Show the same measure of several runs as maps on one colour scale.

    Parameters
    ----------
    maps
        ``{run: values}``, each in any form that `headspec.heads_table` reads.
    title
        The chart's title.
    measure, unit_name
        What the values are, and their unit.
    events
        ``{run: events}``, to mark pruned and revived heads.
    select
        The name of a selection of a head by click, which all maps share.

    Notes
    -----
    Reading it: one map to a run; the same colour is the same value in all of them. Look for heads that stand out in one map alone.
    """
    if not maps:
        raise DataError("maps is empty; expected {run: values}")
    marks = events or {}
    tables = {
        clean(name): heads_table(values, measure=measure, events=marks.get(name)) for name, values in maps.items()
    }
    scale = _scale(tables, measure)
    stated = [name for name, table in tables.items() if (table["state"] != "active").any()]
    # each legend says it for all maps: the colours at the end of the first row, the states at the first that has any
    where = {"value": list(tables)[min(_COLUMNS, len(tables)) - 1], "state": stated[0] if stated else ""}
    where["state"] = where["value"] if where["value"] in stated else where["state"]
    charts, texts = [], []
    for name, table in tables.items():
        legends = [legend for legend, place in where.items() if place == name]
        chart, notes = _map(table, scale, measure, unit_name, select, _PANEL, legends)
        text = heads_text(table, f"{name}: {_words(measure, start=False)}", unit_name)
        width = grid_of(table, panel=_PANEL).pixels
        charts.append(chart.properties(title=parts.heading(name, notes, width=width), description=text))
        texts.append(text)
    note = f"{count(len(charts), 'run')} on one {scale.type} colour scale"
    with warnings.catch_warnings():  # one pick for all maps is what is wanted
        warnings.filterwarnings("ignore", message="Automatically deduplicated", category=UserWarning)
        together: alt.ConcatChart = alt.concat(*charts, columns=_COLUMNS)
    return together.properties(
        title=parts.heading(title, [note], width=_PANEL * min(len(charts), _COLUMNS)),
        description=sentence(*texts, note),
    )


def _words(measure: str, *, start: bool = True) -> str:
    text = clean(measure).replace("_", " ")
    return text[:1].upper() + text[1:] if start else text


def _scale(tables: Mapping[str, pd.DataFrame], measure: str) -> ColourScale:
    scheme: Any = "magma" if "grad" in measure else "viridis"
    return spread(pd.concat(tables.values(), ignore_index=True), "auto", scheme, name="the values")


def _map(
    table: pd.DataFrame,
    scale: ColourScale,
    measure: str,
    unit_name: str,
    select: str | None,
    panel: int,
    legends: Sequence[str],
) -> tuple[alt.LayerChart, list[str]]:
    drawn = zeros_apart(table, scale)
    title = f"{_words(measure)}{f' ({unit_name})' if unit_name else ''}"
    chart, notes = head_map(drawn, scale, legend=title, select=select, panel=panel, legends=legends)
    return chart, [*kinds_note(drawn), *notes]
