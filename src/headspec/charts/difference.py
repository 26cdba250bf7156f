"""What changed between two head maps: before and after pruning, two checkpoints, two models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike, kind_of
from headspec.charts import parts
from headspec.charts.cells import (
    GREYS,
    LABELS,
    ROWS,
    Annotate,
    Grid,
    flattening,
    grey_first,
    grid_of,
    labels_fit,
    own_scales,
    places,
    ring,
    signs,
    state_marks,
    texts,
    unit,
)
from headspec.charts.describe import GLYPHS
from headspec.charts.difference_table import (
    ALL_KINDS,
    ONLY_AFTER,
    ONLY_BEFORE,
    Limit,
    Marked,
    Shape,
    changes,
    difference_table,
    end_of,
    movers_of,
)
from headspec.charts.difference_words import ONE_SIDED_SIGNS, Words, describe, labels_of, notes_of, what_of
from headspec.errors import DataError, KindError
from headspec.reduce.palette import ColourScale
from headspec.tables.heads import Pairs, those_of
from headspec.tables.packing import code_for, pack_heads
from headspec.text import clean, head_name

ONE_SIDED = {ONLY_BEFORE: "#56616D", ONLY_AFTER: "#86BFA9"}
"""Slate and sage: no colour of the scale, and apart from each other and from the greys in lightness."""
BEYOND = ("▲", "▼")
MOST_MOVERS = 50


def visualize_head_difference(
    a: ArrayLike,
    b: ArrayLike,
    title: str | None = None,
    *,
    labels: tuple[str, str] = ("before", "after"),
    measure: str | None = None,
    unit_name: str = "",
    percent: bool = False,
    limit: Limit = "auto",
    movers: int = 5,
    annotate: Annotate = True,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    events: Any = None,
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show which heads changed and which way: `b` minus `a` over layers and heads, the biggest movers outlined.

    Parameters
    ----------
    a, b
        The same measure of two models, checkpoints or moments: ``[layer, head]`` each, or any other form that
        `heads_table` reads, heads tables among them. They may have different layers and heads.
    title
        The chart's title; by default the measure and the labels.
    labels
        What the two sides are called.
    measure
        What the values are, ``"entropy"`` say; which one to take, where heads tables hold several.
    unit_name
        The unit of the values, ``"nats"`` say.
    percent
        Draw the change in percent of the size of the value in `a`. A change from exactly 0 is then infinite.
    limit
        Where the colours end on both sides of zero. ``"auto"`` is the largest change, unless that is more than five times
        the change that 98 % of the heads stay within (all but one, of less than 100): then it is this change, or a hundredth
        of the values' median size if that is more. ``"max"`` is the largest change in any case; a number makes charts compare.
        What lies beyond takes the colour of the end, and the subtitle counts it.
    movers
        How many heads to outline and name, those with the largest change either way.
    annotate
        Numbers in the cells: True where they are legible, False never, ``"force"`` always (up to 4,096).
    pruned_heads, revived_heads, vulnerable_heads, events
        Heads to mark (see `visualize_entropy_heatmap`). Without them the states in `b` count, where it is a heads table.
    axes, num_layers, num_heads
        What the axes of both arrays are, where they are not ``[layer, head]`` (see `heads_table`).
    select
        The name of a selection of a head by click, to link charts.

    Returns
    -------
    altair.LayerChart
        One panel; its colour scale is its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, two different measures, no head in common, no finite value in both, pairs out of range.

    Notes
    -----
    Reading it: orange heads have a larger value in `b`, purple ones a smaller one, and pale ones hardly changed. Heads that
    only one side has are slate (◄, gone) or sage (►, new), others without a finite difference grey. Outlined are the
    heads that changed most; where cells hold no numbers, their names stand beside them.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_head_difference([[0.2, 1.9], [1.1, 0.7]], [[0.5, 1.9], [0.1, 0.8]], measure="entropy")
    >>> headspec.summary(chart)
    'Entropy, after minus before, of 2 layers × 2 heads: −1 to +0.3, mean −0.15; 2 heads up, 1 down, 1 unchanged. Most up: L0 H0 +0.3 (0.2 to 0.5), L1 H1 +0.1 (0.7 to 0.8); most down: L1 H0 −1 (1.1 to 0.1).'
    """
    names = labels_of(labels)
    if isinstance(movers, bool) or not isinstance(movers, (int, np.integer)):
        raise KindError(f"movers is {kind_of(movers)}; expected a whole number")
    if not 0 <= movers <= MOST_MOVERS:
        raise DataError(f"movers={movers} heads to outline; expected 0 to {MOST_MOVERS}")
    table = difference_table(
        a,
        b,
        Shape(axes, num_layers, num_heads),
        measure,
        Marked(pruned_heads, revived_heads, vulnerable_heads, events),
        percent=percent,
    )
    changed = changes(table)
    end = end_of(table, limit, percent=percent)
    words = Words(names, what_of(table), "%" if percent else clean(unit_name))
    top = movers_of(table, int(movers))
    grid = grid_of(table)
    chart, notes = _draw(table, top, grid, end, words, annotate, select)
    said = [*notes_of(table, top, grid, end, words, percent=percent), *notes]
    heading = title if title is not None else f"{words.what}: {names[1]} − {names[0]}"
    return parts.set_properties(
        chart,
        title=parts.heading(heading, said, width=max(grid.pixels, 260)),
        description=describe(table, changed, words, said),
    )


# --- drawing -------------------------------------------------------------------------------------------------------------


def _draw(
    table: pd.DataFrame,
    top: pd.DataFrame,
    grid: Grid,
    end: float,
    words: Words,
    annotate: Annotate,
    select: str | None,
) -> tuple[alt.LayerChart, list[str]]:
    """Return the map and the notes on how its numbers were packed."""
    scale = ColourScale("purpleorange", -end, end)
    form = "+" + parts.number_format(-end, end)
    font, hidden = _font(table, grid, end, form, annotate)
    notes = []
    if len(table) <= ROWS:
        frame = table[["layer", "head", "before", "after", "value", "kind", "state", "vulnerable"]]
        chart: Any = alt.layer(*_layers(table, top, grid, scale, form, font, hidden, words, select), data=frame)
    else:
        finite = table.loc[table["kind"] == "value", "value"]
        code = code_for(float(finite.min()), float(finite.max()))
        if -code.offset / code.step % 1:  # 0 stays 0
            code = code._replace(offset=round(code.offset / code.step) * code.step)
        others = {}
        for name in ("before", "after"):
            values = table[name].dropna()
            others[name] = code_for(float(values.min()), float(values.max()))
        notes.append(code.said())
        frame = pack_heads(table, code, others=others, kinds=ALL_KINDS)
        chart = alt.layer(*_layers(table, top, grid, scale, form, font, hidden, words, select), data=frame)
        chart = parts.set_properties(chart, transform=flattening(frame, code))
    if table["kind"].isin(ONE_SIDED).any():
        sides = [f"only in {label}" for label in words.labels]
        chart = chart.add_params(alt.param(name=_sides_name(sides), value=sides))
    chart = parts.set_properties(chart, width=alt.Step(grid.width), height=alt.Step(grid.height))
    return own_scales(chart), notes


def _font(table: pd.DataFrame, grid: Grid, end: float, form: str, annotate: Annotate) -> tuple[int | None, bool]:
    """Return the font size of the numbers, and whether those beyond the colours are too long to be written."""
    finite = table.loc[table["kind"] == "value", "value"]
    ends = (min(-end, float(finite.min())), max(end, float(finite.max())))
    font = labels_fit(grid, parts.format_width(*ends, form), annotate)
    if annotate == "force" or font is not None:
        return font, False
    return labels_fit(grid, parts.format_width(-end, end, form), annotate), True


def _layers(
    table: pd.DataFrame,
    top: pd.DataFrame,
    grid: Grid,
    scale: ColourScale,
    form: str,
    font: int | None,
    hidden: bool,
    words: Words,
    select: str | None,
) -> list[alt.Chart]:
    place = places(grid)
    present = those_of(table["kind"], ALL_KINDS[1:])
    stated = bool((table["state"] != "active").any() or table["vulnerable"].any())
    roomy = min(grid.width, grid.height) >= 10
    tooltip = [alt.Tooltip("layer:O"), alt.Tooltip("head:O")]
    tooltip.append(alt.Tooltip("value:Q", title=words.legend, format="+.4~g"))
    for name, label in zip(("before", "after"), words.labels, strict=True):
        tooltip.append(alt.Tooltip(f"{name}:Q", title=label, format=".4~g"))
    tooltip += [alt.Tooltip("kind:N")] if present else []
    tooltip += [alt.Tooltip("state:N")] if stated else []
    legend = parts.gradient_legend(words.legend, len(grid.layers) * grid.height, scale)
    colour = alt.Color("value:Q", scale=parts.colour_scale(scale), legend=legend)
    rects = place.mark_rect(invalid=None if present else alt.Undefined, aria=grid.cells <= LABELS)
    cells = rects.encode(color=grey_first(present, colour, GREYS | ONE_SIDED), tooltip=tooltip)
    layers = [unit(cells if select is None else cells.add_params(parts.head_pick(select)))]
    sides = [kind for kind in present if kind in ONE_SIDED]
    if sides:
        layers.append(_one_sided(place, sides, tooltip, words))
    if font is not None:
        numbers = texts(place, scale, form, font, bool(present), lower=stated)
        layers.append(unit(numbers.transform_filter(_within(scale.high))) if hidden else numbers)
    if roomy and present:
        layers += _signs(place, present, min(12, grid.height - 2))
    if roomy and hidden and (table["value"].abs() > scale.high).any():
        layers.append(_beyond(place, scale, min(11, grid.height - 2)))
    layers += _outlines(place, top, grid, named=font is None)
    if select is not None:
        layers.append(ring(place, select, grid))
    return layers + (state_marks(place, table, grid, corner=font is not None) if stated else [])


def _within(end: float) -> str:
    return f"abs(datum.value) <= {end * (1 + 1e-9)!r}"


def _one_sided(place: alt.Chart, sides: list[str], tooltip: list[alt.Tooltip], words: Words) -> alt.Chart:
    """Return the cells of heads that one side lacks once more: the layer that owns their legend."""
    names = [f"only in {label}" for label in words.labels]
    legend = alt.Legend(
        title=None,
        values=sides,
        symbolType="square",
        symbolStrokeWidth=0,
        # the names are a param's value, never part of an expression
        labelExpr=f"{_sides_name(names)}[datum.value === '{ONLY_BEFORE}' ? 0 : 1]",
    )
    fill = alt.Fill("kind:N", scale=alt.Scale(domain=list(ONE_SIDED), range=list(ONE_SIDED.values())), legend=legend)
    chosen = unit(place.transform_filter(" || ".join(f"datum.kind === '{kind}'" for kind in sides)))
    return unit(chosen.mark_rect(aria=False).encode(fill=fill, tooltip=tooltip))


def _sides_name(names: Sequence[str]) -> str:
    return f"sides_{hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:10]}"


def _signs(place: alt.Chart, present: list[str], font: int) -> list[alt.Chart]:
    """Return the signs of cells without a finite difference; white on the dark one."""
    marks = signs(place, present, font, GLYPHS | ONE_SIDED_SIGNS)
    ink = alt.when(f"datum.kind === '{ONLY_BEFORE}'").then(alt.value("white")).otherwise(alt.value("black"))
    return [unit(marks.encode(color=ink)) if ONLY_BEFORE in present else marks]


def _beyond(place: alt.Chart, scale: ColourScale, font: int) -> alt.Chart:
    """Return the signs of cells whose number is beyond the colours and too long to be written."""
    test = f"datum.kind === 'value' && abs(datum.value) > {scale.high * (1 + 1e-9)!r}"
    chosen = unit(place.transform_filter(test))
    chosen = unit(chosen.transform_calculate(_sign=f"datum.value > 0 ? '{BEYOND[0]}' : '{BEYOND[1]}'"))
    return unit(chosen.mark_text(fontSize=font, baseline="middle", color="white", aria=False).encode(text="_sign:N"))


def _outlines(place: alt.Chart, top: pd.DataFrame, grid: Grid, *, named: bool) -> list[alt.Chart]:
    """Return the outlines of the biggest movers, black in white to hold on any colour, and their names beside them."""
    if top.empty:
        return []
    chosen = unit(place.transform_filter(_these(top)))
    layers = []
    for ink, wider in (("white", 2.0), ("black", 0.0)):
        line: dict[str, Any] = {"filled": False, "aria": False, "opacity": 1, "stroke": ink}
        if grid.width == grid.height < 14:  # around the cell, which it would hide
            frame = chosen.mark_point(shape="square", size=(grid.width + 4) ** 2, strokeWidth=1.2 + wider, **line)
        else:
            frame = chosen.mark_rect(strokeWidth=1.6 + wider, **line)
        layers.append(unit(frame))
    for side, heads in _sides(top, grid).items() if named else ():
        spot = unit(place.transform_filter(_these(heads)))
        spot = unit(spot.transform_calculate(_name="'L' + datum.layer + ' H' + datum.head"))
        shift = grid.width / 2 + 5
        font: dict[str, Any] = {"fontSize": 10, "baseline": "middle", "aria": False, "fontWeight": "bold"}
        font |= {"align": "left", "dx": shift} if side == "right" else {"align": "right", "dx": -shift}
        halo = spot.mark_text(stroke="white", strokeWidth=3, strokeJoin="round", color="white", **font)
        layers.append(unit(halo.encode(text="_name:N")))
        layers.append(unit(spot.mark_text(color="black", **font).encode(text="_name:N")))
    return layers


def _these(heads: pd.DataFrame) -> str:
    pairs = zip(heads["layer"].tolist(), heads["head"].tolist(), strict=True)
    return " || ".join(f"(datum.layer === {layer} && datum.head === {head})" for layer, head in pairs)


def _sides(top: pd.DataFrame, grid: Grid) -> dict[str, pd.DataFrame]:
    """Return which heads to name, and on which side of their cells, so that no name covers another or an outline."""
    boxes: list[tuple[float, float, float, float]] = []
    spots = [
        (grid.heads.index(head) * grid.width, grid.layers.index(layer) * grid.height)
        for layer, head in zip(top["layer"].tolist(), top["head"].tolist(), strict=True)
    ]
    boxes += [(x - 3, y - 3, x + grid.width + 3, y + grid.height + 3) for x, y in spots]
    found: dict[str, list[int]] = {"right": [], "left": []}
    for place, (x, y) in enumerate(spots):
        wide = 6.0 * len(head_name(int(top["layer"].iloc[place]), int(top["head"].iloc[place]))) + 2
        middle = y + grid.height / 2
        for side, left in (("right", x + grid.width + 4), ("left", x - 4 - wide)):
            box = (left, middle - 6, left + wide, middle + 6)
            if left < 0 or left + wide > grid.pixels or any(_overlap(box, other) for other in boxes):
                continue
            found[side].append(place)
            boxes.append(box)
            break
    return {side: top.iloc[rows] for side, rows in found.items() if rows}


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
