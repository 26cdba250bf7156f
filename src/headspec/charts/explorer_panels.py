"""The panels of the explorer: the map of the heads, the scatter of two measures, the matrix of the picked head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts import explorer_names as say
from headspec.charts import parts
from headspec.charts.attention import _band_axis
from headspec.charts.attention_parts import TOKEN_ROOM, Labels
from headspec.charts.cells import (
    GREYS,
    Grid,
    _calculate,
    grid_of,
    labels_fit,
    own_scales,
    places,
    ring,
    state_marks,
    unit,
)
from headspec.charts.describe import GLYPHS
from headspec.charts.explorer_data import Measure, Weights
from headspec.charts.explorer_names import Names
from headspec.charts.scatter import _padded, _padded_log
from headspec.reduce.palette import dark_ink_range
from headspec.tables.packing import KEY

MAP, MATRIX = 384, 420
"""Pixels of the map and of the matrix, about."""
LEFT = 300
"""Pixels that the title of a picked pair has at least, and the scatter's width."""
LEGEND = 56
"""Pixels of the legend beside the map, about."""
SCATTER = 240
PICK = "#E5484D"


class Heads(NamedTuple):
    """The rows of the heads, and what the panels must know of them."""

    frame: pd.DataFrame
    measures: Sequence[Measure]
    formats: list[str]
    grid: Grid
    kinds: list[str]
    """The kinds of cells without a finite value that occur in some measure."""


def heads_of(measures: Sequence[Measure], states: pd.DataFrame) -> Heads:
    """Return the rows of the heads: a column per measure, one more for its kinds where some value is not finite.

    `states` is a heads table that holds the state of each head.
    """
    frame = states[["layer", "head"]].copy()
    frame.insert(0, "_row", np.arange(len(frame)))
    rename: dict[str, str] = {}
    kinds: set[str] = set()
    formats = []
    for place, (name, table, scale) in enumerate(measures):
        joined = frame[["layer", "head"]].merge(table[["layer", "head", "value", "kind"]], how="left")
        frame[f"measure_{place}"] = [float(f"{value:.6g}") for value in joined["value"]]
        kind = joined["kind"].fillna("masked")
        if (kind != "value").any():
            frame[f"kind_{place}"] = kind
            kinds |= set(kind) - {"value"}
        if name not in ("table", *frame.columns):
            rename[f"measure_{place}"] = name
        formats.append(parts.number_format(scale.low, scale.high, log=scale.type == "log"))
    frame["state"], frame["vulnerable"] = states["state"].to_numpy(), states["vulnerable"].to_numpy()
    frame.attrs[KEY] = {"name": "heads", "rename": rename}
    return Heads(frame, measures, formats, grid_of(states, panel=MAP), [kind for kind in GLYPHS if kind in kinds])


# --- the map ---------------------------------------------------------------------------------------------------------------


def shown_steps(names: Names, weights: Weights, *, served: bool) -> list[Any]:
    """Return the transforms that give each head what the map shows of it: a measure, or its weight on the picked pair.

    ``_pair`` is the packed weight on the pair; ``_kind``, ``_value`` and ``_shade`` (the value in the space of its scale)
    are those of what is shown. Where the weights are `served` the page or kernel hands over those on the pair.
    """
    if served:
        match = (
            f"{names.served_pair}.query === {names.pair}.query[0] && {names.served_pair}.key === {names.pair}.key[0]"
        )
        code = f"isArray({names.pair}.query) && {match} ? {names.served_pair}.q[datum._row] : null"
        steps: list[Any] = [_calculate(code, "_pair")]
    else:
        place = say.pair_expression(names, weights, "datum._layout")
        steps = [
            _calculate(f"isArray({names.pair}.query) ? ({place}) : -1", "_place"),
            _calculate("datum._place < 0 ? null : datum.q[datum._place]", "_pair"),
        ]
    weight = say.weight_expression(weights, "datum._pair")
    kind = f"{names.by_pair} ? ({say.kind_expression('datum._pair')}) : (datum['kind_' + {names.measure}] || 'value')"
    value = f"datum._kind !== 'value' ? null : {names.by_pair} ? {weight} : datum['measure_' + {names.measure}]"
    shade = f"isValid(datum._value) ? ({say.bend_expression(f'{names.shown}.space', 'datum._value')}) : null"
    return [*steps, _calculate(kind, "_kind"), _calculate(value, "_value"), _calculate(shade, "_shade")]


def shade(names: Names, *, legend: alt.Legend | None) -> alt.Color:
    """Return the colour of what the map shows: its scheme and domain follow the measure."""
    scale = alt.Scale(
        scheme=alt.ExprRef(f"{names.shown}.scheme"),
        domain=[alt.ExprRef(f"{names.shown}.low"), alt.ExprRef(f"{names.shown}.high")],
        clamp=True,
    )
    greys: list[Any] = [
        {"test": f"datum._kind === '{kind}'", "value": grey} for kind, grey in GREYS.items()
    ]  # all of them: which occur depends on the pair
    return alt.Color("_shade:Q", scale=scale, legend=legend).condition(greys)


def head_map(
    heads: Heads, names: Names, weights: Weights, labels: Labels, pick: alt.Parameter, *, served: bool
) -> alt.LayerChart:
    """Return the map of the heads, coloured by what is shown."""
    grid, frame = heads.grid, heads.frame
    letters = max(
        len("0.123"),  # a weight on a pair
        *(
            parts.format_width(item.scale.low, item.scale.high, form)
            for item, form in zip(heads.measures, heads.formats, strict=True)
        ),
    )
    font = labels_fit(grid, letters, True)
    place = places(grid)
    height = len(grid.layers) * grid.height
    legend = alt.Legend(
        title=None,
        gradientLength=max(60.0, min(200.0, float(height))),
        tickCount=5,
        labelExpr=say.label_expression(names),
    )
    cells = place.mark_rect(invalid=None, aria=grid.cells <= 600)
    cells = cells.encode(color=shade(names, legend=legend), tooltip=head_tooltip(heads, weights))
    layers = [unit(cells.add_params(pick))]
    if font is not None:
        layers.append(_numbers(place, names, font, lower=_marked(frame)))
    layers.append(ring(place, names.head, grid))
    if _marked(frame):
        layers += state_marks(place, frame, grid, corner=font is not None)
    chart: Any = alt.layer(*layers, data=frame)
    chart = parts.set_properties(
        chart,
        transform=[*shown_steps(names, weights, served=served), _picked_weight(weights)],
        width=alt.Step(grid.width),
        height=alt.Step(grid.height),
        title=say.map_title(names, weights, labels, limit=max(grid.pixels, LEFT)),
    )
    return own_scales(chart)


def _marked(frame: pd.DataFrame) -> bool:
    return bool((frame["state"] != "active").any() or frame["vulnerable"].any())


def _numbers(place: alt.Chart, names: Names, font: int, *, lower: bool) -> alt.Chart:
    """Return the numbers in the cells, or the signs of those that have none, in the ink that is legible there."""
    signs = "{" + ", ".join(f"'{kind}': '{sign}'" for kind, sign in GLYPHS.items()) + "}"
    texts = place.transform_calculate(
        _text=f"datum._kind === 'value' ? format(datum._value, {names.shown}.format) : {signs}[datum._kind]"
    )
    low, high = f"{names.shown}.ink[0]", f"{names.shown}.ink[1]"
    dark = f"datum._kind !== 'value' || (({low} === null || datum._shade >= {low}) && ({high} === null || datum._shade <= {high}))"
    ink = alt.when(dark).then(alt.value("black")).otherwise(alt.value("white"))
    marks = unit(texts).mark_text(fontSize=font, baseline="middle", dy=4 if lower else 0, aria=False)
    return unit(marks.encode(text=alt.Text("_text:N"), color=ink))


def _picked_weight(weights: Weights) -> Any:
    text = f"format({say.weight_expression(weights, 'datum._pair')}, '.4f')"
    return _calculate(f"datum._pair >= 0 && isNumber(datum._pair) ? {text} : '–'", "_on_pair")


def head_tooltip(heads: Heads, weights: Weights) -> list[alt.Tooltip]:
    """Return what the tooltip of a head says: every measure of it."""
    tips = [alt.Tooltip("layer:O"), alt.Tooltip("head:O")]
    for place, measure in enumerate(heads.measures):
        title = f"{measure.name} " if measure.name == "image" else measure.name  # "image" is fetched by Vega's tooltips
        tips.append(alt.Tooltip(f"measure_{place}:Q", title=title, format=".4g"))
    if (heads.frame["state"] != "active").any():
        tips.append(alt.Tooltip("state:N"))
    return [*tips, alt.Tooltip("_on_pair:N", title="weight on the picked pair")]


# --- the scatter -----------------------------------------------------------------------------------------------------------


def scatter(
    heads: Heads,
    names: Names,
    weights: Weights,
    axes: tuple[int, int],
    pick: alt.Parameter,
    *,
    served: bool,
) -> tuple[alt.LayerChart, int]:
    """Return the scatter of two measures, a point per head, and how many heads lack one of them."""
    columns = [f"measure_{place}" for place in axes]
    whole = heads.frame.dropna(subset=columns)
    x, y = (_axis_of(heads, whole, place, channel) for place, channel in zip(axes, (alt.X, alt.Y), strict=True))
    size = 60 if len(whole) <= 200 else 24
    place = alt.Chart().encode(x=x, y=y)
    points = place.mark_point(
        filled=True, size=size, opacity=0.9, strokeWidth=1, stroke="#808080", aria=len(whole) <= 600
    )
    points = points.encode(
        color=shade(names, legend=None), tooltip=head_tooltip(heads, weights), order=alt.Order("_shade:Q")
    )
    points = points.add_params(pick)
    picked = unit(place.transform_filter({"param": names.head, "empty": False}))
    layers = [
        unit(points),
        unit(picked.mark_point(size=3.5 * size, strokeWidth=2, stroke=PICK, opacity=1, aria=False).encode()),
    ]
    layers += _state_points(place, heads.frame, size)
    edges = [_edge(heads, whole, place) for place in axes]
    steps = [
        _calculate(f"max(datum.{column}, {edge!r})" if edge is not None else f"datum.{column}", axis)
        for column, edge, axis in zip(columns, edges, ("_x", "_y"), strict=True)
    ]
    chart: Any = alt.layer(*layers, data=heads.frame)
    both = " && ".join(f"isValid(datum.{column})" for column in columns)
    chart = parts.set_properties(
        chart,
        transform=[
            alt.FilterTransform(filter=both),
            *steps,
            *shown_steps(names, weights, served=served),
            _picked_weight(weights),
        ],
        width=max(heads.grid.pixels, LEFT),
        height=SCATTER,
    )
    return own_scales(chart), len(heads.frame) - len(whole)


def _edge(heads: Heads, whole: pd.DataFrame, place: int) -> float | None:
    """Return the low end of a log axis, where heads of exactly 0 stand; None for a linear one."""
    values = whole[f"measure_{place}"]
    if heads.measures[place].scale.type != "log" or not (values > 0).any():
        return None
    positive = values[values > 0]
    return _padded_log(float(positive.min()), float(positive.max()))[0]


def _axis_of(heads: Heads, whole: pd.DataFrame, place: int, channel: Any) -> Any:
    measure, values = heads.measures[place], whole[f"measure_{place}"]
    if _edge(heads, whole, place) is not None:
        positive = values[values > 0]
        domain = _padded_log(float(positive.min()), float(positive.max()))
        scale = alt.Scale(type="log", domain=domain, nice=False)
        form = "~e" if domain[0] < 1e-4 else "~g"
    else:
        scale, form = alt.Scale(domain=_padded(values), nice=False, zero=False), "~g"
    axis = alt.Axis(format=form, tickCount=5)
    return channel("_x:Q" if channel is alt.X else "_y:Q", title=measure.name, scale=scale, axis=axis)


def _state_points(place: alt.Chart, frame: pd.DataFrame, size: int) -> list[alt.Chart]:
    found = [state for state in ("pruned", "revived") if (frame["state"] == state).any()]
    flagged = bool(frame["vulnerable"].any())
    colours, shapes = parts.state_scales([*found, *(["vulnerable"] if flagged else [])])
    layers = []
    for where, name in (("datum.state !== 'active'", "state"), ("datum.vulnerable", "vulnerable")):
        if not (found if name == "state" else flagged):
            continue
        rows = unit(place.transform_filter(where))
        if name == "vulnerable":
            rows = unit(rows.transform_calculate(state="'vulnerable'"))
        marks = rows.mark_point(
            size=size * (1.6 if name == "state" else 3.0), strokeWidth=1.8, opacity=1, fill="transparent"
        )
        shape, stroke = (
            alt.Shape("state:N", scale=shapes, legend=None),
            alt.Stroke("state:N", scale=colours, legend=None),
        )
        layers.append(unit(marks.encode(shape=shape, stroke=stroke)))
    return layers


# --- the matrix ------------------------------------------------------------------------------------------------------------


def matrix(
    heads: Heads, names: Names, weights: Weights, labels: Labels, pick: alt.Parameter, *, served: bool, alone: bool
) -> alt.LayerChart:
    """Return the attention of the picked head; `alone` where no scatter stands below the map, which may then be narrow."""
    high, wide = weights.block
    rows, columns = weights.shape
    cells = max(-(-rows // high), -(-columns // wide))
    side = parts.whole_pixels(cells, most=36, panel=MATRIX)
    if (labels.query or labels.key) and cells * TOKEN_ROOM <= 1.4 * MATRIX:
        side = max(side, TOKEN_ROOM)
    place = alt.Chart().encode(
        x=_positions(alt.X, "key:O", "Key", columns, wide, side, labels.key),
        y=_positions(alt.Y, "query:O", "Query", rows, high, side, labels.query),
    )
    height = side * -(-rows // high)
    legend = parts.gradient_legend("Weight" + _slack(heads, alone=alone), height, weights.scale)
    legend.titleLimit = 0
    colour = alt.Color("weight:Q", scale=parts.colour_scale(weights.scale), legend=legend)
    present = any(weights.counts.values())
    if present:
        greys: list[Any] = [
            {"test": f"datum.kind === '{kind}'", "value": GREYS[kind]} for kind in GREYS if kind != "zero"
        ]
        colour = colour.condition(greys)
    cell = place.mark_rect(invalid=None if present else alt.Undefined, aria=False)
    layers = [unit(cell.encode(color=colour, tooltip=_pair_tooltip(weights, labels)).add_params(pick))]
    font = min(10, int((side - 4) / (0.58 * 4)))
    if font >= 8:
        layers.append(_weights_text(place, weights, font))
    picked = unit(place.transform_filter({"param": names.pair, "empty": False}))
    layers.append(unit(picked.mark_rect(filled=False, strokeWidth=2 if side >= 8 else 1, stroke=PICK, aria=False)))
    longest = max(item.length for item in weights.layouts)
    chart: Any = alt.layer(*layers, data=alt.sequence(0, longest, as_="_i") if served else heads.frame)
    chart = parts.set_properties(
        chart,
        transform=_matrix_steps(names, weights, labels, served=served),
        width=alt.Step(side),
        height=alt.Step(side),
        title=say.matrix_title(names, served=served),
    )
    return own_scales(chart)


def _slack(heads: Heads, *, alone: bool) -> str:
    """Return blanks that keep room at the right edge: the map's title and its legend's labels may grow and push the matrix."""
    narrow = max(LEFT - heads.grid.pixels - LEGEND, 0) if alone else 0
    return "\u00a0" * (8 + narrow // 3) + "\u200b"  # a mark of no width at the end, as Vega trims blanks


def _matrix_steps(names: Names, weights: Weights, labels: Labels, *, served: bool) -> list[Any]:
    """Return the transforms from the picked head's list to a row per query and key."""
    if served:
        steps: list[Any] = [
            _calculate(f"{names.served}.q[datum._i]", "q"),
            _calculate(f"{names.served}.layout", "_layout"),
            alt.FilterTransform(filter="isNumber(datum.q)"),
        ]
    else:
        window = alt.WindowFieldDef.from_dict({"op": "row_number", "as": "_n"})
        steps = [
            alt.FilterTransform(filter={"param": names.head, "empty": False}),
            alt.FlattenTransform(flatten=["q"]),
            alt.WindowTransform(window=[window]),
            _calculate("datum._n - 1", "_i"),
        ]
    query, key = say.cell_expressions(weights, "datum._i", "datum._layout")
    steps += [
        _calculate(query, "query"),
        _calculate(key, "key"),
        _calculate(say.kind_expression("datum.q"), "kind"),
        _calculate(f"datum.q >= 0 ? {say.weight_expression(weights, 'datum.q')} : null", "weight"),
    ]
    for axis, block, most, tokens in zip(("query", "key"), weights.block, weights.shape, labels, strict=True):
        plural = "queries" if axis == "query" else "keys"
        steps.append(_calculate(say.place_expression(f"datum.{axis}", block, most, axis, plural, tokens), f"_{axis}"))
    return steps


def _positions(
    channel: Any, field: str, title: str, count: int, block: int, side: int, tokens: list[str] | None
) -> Any:
    """Return an axis of positions, or of the first position of each block."""
    starts = list(range(0, count, block))
    if block == 1:
        axis = _band_axis(count, side, tokens, -90 if channel is alt.X else 0)
    else:
        shown = parts.axis_values(range(len(starts)), side, room=28)
        values = starts if shown is None else [starts[place] for place in shown]
        axis = alt.Axis(values=values, labelAngle=0, grid=False, domain=False, labelOverlap=False)
    return channel(field, title=title, scale=alt.Scale(domain=starts), axis=axis)


def _pair_tooltip(weights: Weights, labels: Labels) -> list[alt.Tooltip]:
    what = "weight, largest" if weights.pooled else "weight"
    return [
        alt.Tooltip("_query:N", title="from"),
        alt.Tooltip("_key:N", title="on"),
        alt.Tooltip("weight:Q", title=what, format=".4f"),
    ]


def _weights_text(place: alt.Chart, weights: Weights, font: int) -> alt.Chart:
    low, high = dark_ink_range(weights.scale)
    tests = [f"datum.weight >= {low!r}"] * (low != -np.inf) + [f"datum.weight <= {high!r}"] * (high != np.inf)
    ink = alt.when(" && ".join(tests)).then(alt.value("black")).otherwise(alt.value("white"))
    texts = unit(place.transform_filter("isValid(datum.weight)")).mark_text(
        fontSize=font, baseline="middle", aria=False
    )
    return unit(texts.encode(text=alt.Text("weight:Q", format=".2f"), color=ink))
