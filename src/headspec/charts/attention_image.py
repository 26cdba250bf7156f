"""The attention of one head as an image: above the cells that are worth a mark each, pooled to the panel."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts import parts
from headspec.charts.attention_parts import POOLED, TOKEN_ROOM, Bools, Labels, clipped, domain, param_name
from headspec.charts.cells import narrow, unit, value_expression
from headspec.charts.describe import notes_text, sentence
from headspec.errors import DataError
from headspec.reduce.cells import LEVELS, Blocks, Pooling, entries_image, palette_entries, pool_matrix
from headspec.reduce.palette import ColourScale, ScaleType
from headspec.stored import meter
from headspec.tables.packing import Code, code_for, pack_blocks
from headspec.text import count, number


def attention_image(
    matrix: Any,
    name: str,
    title: str,
    labels: Labels,
    mask: tuple[Bools | None, Bools | None],
    causal: bool | None,
    scale_type: ScaleType,
    max_value: float | None,
    pool: Pooling,
    size: int,
) -> alt.LayerChart:
    """Return the chart of a large matrix; the arguments are those of `visualize_attention_matrix`, read and checked."""
    if size < 32:
        raise DataError(f"size={size} leaves nothing to see; expected 32 pixels or more")
    with meter("attn_matrix", [matrix]) as reading:
        blocks = pool_matrix(matrix, size, how=pool, mask=mask, name="attn_matrix", meter=reading)
    if not math.isfinite(blocks.high):
        raise DataError(f"attn_matrix holds no finite weight: {blocks.counts}; there is nothing to draw")
    if causal and not blocks.causal:
        raise DataError("causal=True, but some query gives weight to a later key; leave causal out to see all cells")
    scale = domain(scale_type, blocks.low, blocks.high, max_value)
    rows, columns = blocks.values.shape
    side = max(1, size // max(rows, columns))
    grid = (
        (max(side, min(24, size // rows)), side)
        if rows * 8 < columns
        else (side, max(side, min(24, size // columns)))
        if columns * 8 < rows
        else (side, side)
    )
    blank = None
    if blocks.causal and causal is not False:
        starts = np.arange(columns) * blocks.size[1]
        ends = np.arange(rows) * blocks.size[0] + blocks.size[0] - 1
        blank = starts[None, :] > ends[:, None]
    masked = _masked_blocks(blocks, mask)
    images = [blocks.values, blocks.means] if blocks.means is not None and blocks.size != (1, 1) else [blocks.values]
    uris = [entries_image(palette_entries(image, scale, blank=blank, masked=masked), scale) for image in images]
    notes = _image_notes(blocks, scale, blank is not None)
    code = code_for(float(np.nanmin(blocks.maxima)), float(np.nanmax(blocks.maxima)))
    keep = np.isfinite(blocks.maxima)
    if blank is not None:
        keep &= (
            np.arange(keep.shape[1])[None, :] * blocks.coarse[1]
            <= (np.arange(keep.shape[0])[:, None] + 1) * blocks.coarse[0] - 1
        )
    frame = pack_blocks(blocks.maxima, blocks.places, blocks.coarse, blocks.shape, code, keep)
    chart: Any = alt.layer(
        *parts.pictures(uris, grid[1] * columns, grid[0] * rows),
        _rects(frame, code, blocks, scale, labels, (grid[0] * rows, grid[1] * columns)),
    )
    switch = [parts.pool_switch()] if len(uris) > 1 else []
    chart = chart.add_params(*_sparse_token_params(labels, blocks, grid), *switch)
    chart = parts.set_properties(
        chart,
        width=grid[1] * columns,
        height=grid[0] * rows,
        title=parts.heading(title, notes, width=max(grid[1] * columns, 240)),
        description=_describe_blocks(name, blocks, labels, notes),
    )
    return narrow(chart.resolve_scale(color="independent"))


def _masked_blocks(blocks: Blocks, mask: tuple[Bools | None, Bools | None]) -> Any:
    if not blocks.counts["masked"]:
        return None
    rows, columns = blocks.values.shape
    out = np.zeros((rows, columns), dtype=bool)
    for axis, real in enumerate(mask):
        if real is not None:
            edges = np.arange(blocks.values.shape[axis]) * blocks.size[axis]
            gone = ~np.logical_or.reduceat(real, edges)
            out |= gone[:, None] if axis == 0 else gone[None, :]
    return out


def _image_notes(blocks: Blocks, scale: ColourScale, blank: bool) -> list[str]:
    high, wide = blocks.size
    if high == wide == 1:
        notes = ["each cell drawn"]
    else:
        notes = [f"each cell is the {POOLED[blocks.how]} of {high} × {wide} weights"]
    steps = scale.type if scale.type != "linear" else ""
    notes.append(
        f"{LEVELS} {steps + ' ' if steps else ''}colour steps from {number(scale.low)} to {number(scale.high)}"
    )
    notes += clipped(scale, blocks.low, blocks.high)
    notes += [f"{found:,} {kind}" for kind, found in blocks.counts.items() if found]
    if blank:
        notes.append("later keys get no weight and are left blank")
    return notes


def _rects(
    frame: pd.DataFrame, code: Code, blocks: Blocks, scale: ColourScale, labels: Labels, panel: tuple[int, int]
) -> alt.Chart:
    """Return the invisible rects that carry tooltips, axes and the legend of the image."""
    lists = [name for name in frame.columns if name not in ("query", "query2")]
    steps: list[Any] = [
        alt.CalculateTransform(**{"calculate": f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]", "as": name})
        for name in lists
    ]
    steps += [
        alt.FlattenTransform(flatten=lists),
        alt.CalculateTransform(**{"calculate": value_expression(code), "as": "weight"}),
    ]
    shown = [
        alt.Tooltip("weight:Q", title="maximum here", format=".4f"),
        alt.Tooltip("at_query:Q", title="at query", format=",d"),
        alt.Tooltip("at_key:Q", title="at key", format=",d"),
    ]
    rects = alt.Chart(frame).mark_rect(opacity=0, aria=False)
    chart: Any = rects.encode(
        x=alt.X(
            "key:Q",
            title="Key",
            scale=alt.Scale(domain=[0, blocks.shape[1]], nice=False, zero=False),
            axis=_place_axis(1, blocks, labels.key, panel[1], -90),
        ),
        x2=alt.X2("key2"),
        y=alt.Y(
            "query:Q",
            title="Query",
            scale=alt.Scale(domain=[blocks.shape[0], 0], nice=False, zero=False),
            axis=_place_axis(0, blocks, labels.query, panel[0], 0),
        ),
        y2=alt.Y2("query2"),
        color=alt.Color(
            "weight:Q", scale=parts.colour_scale(scale), legend=parts.gradient_legend("Weight", panel[0], scale)
        ),
        tooltip=shown,
    )
    chart = parts.set_properties(chart, transform=steps)
    return unit(chart)


def _ticks(size: int, pixels: int, room: int) -> list[int]:
    """Return the positions to label on an axis of `size` positions."""
    every = next(
        step
        for base in (1, 10, 100, 1000, 10_000, 100_000)
        for step in (base, 2 * base, 5 * base)
        if step * pixels / size >= room
    )
    return list(range(0, size, every))


def _place_axis(axis: int, blocks: Blocks, tokens: list[str] | None, pixels: int, angle: int) -> alt.Axis:
    size = blocks.shape[axis]
    places = _ticks(size, pixels, TOKEN_ROOM if tokens else 40)
    values = [place + 0.5 for place in places]  # the middle of the position, as on a band axis
    shared: dict[str, Any] = {"values": values, "grid": False, "domain": False, "labelOverlap": False, "zindex": 0}
    if tokens is None:
        return alt.Axis(labelExpr="format(floor(datum.value), ',d')", labelAngle=0, **shared)
    every = places[1] - places[0] if len(places) > 1 else 1
    return alt.Axis(
        labelExpr=f"{param_name(tokens)}[round((datum.value - 0.5) / {every})]",
        labelAngle=angle,
        labelLimit=110,
        labelFontSize=9,
        ticks=False,
        **shared,
    )


def _sparse_token_params(labels: Labels, blocks: Blocks, grid: tuple[int, int]) -> list[alt.Parameter]:
    """Return the tokens that are labelled, and no others: an image has room for few."""
    lists: dict[str, list[str]] = {}
    for axis, tokens in enumerate(labels):
        if tokens is not None:
            places = _ticks(blocks.shape[axis], grid[axis] * blocks.values.shape[axis], TOKEN_ROOM)
            lists[param_name(tokens)] = [tokens[place] for place in places]
    return [alt.param(name=name, value=tokens) for name, tokens in lists.items()]


def _describe_blocks(name: str, blocks: Blocks, labels: Labels, notes: list[str]) -> str:
    best = int(np.nanargmax(blocks.maxima))
    query, key = (int(place) for place in blocks.places.reshape(-1, 2)[best])
    words = [
        f" ({tokens[place]})" if tokens is not None else ""
        for tokens, place in ((labels.query, query), (labels.key, key))
    ]
    return sentence(
        f"Attention of {name}: {count(blocks.shape[0], 'query', 'queries')} × {count(blocks.shape[1], 'key')}",
        f"Weights from {number(blocks.low)} to {number(blocks.high)}; the largest is from query {query:,}{words[0]} to key {key:,}{words[1]}",
        notes_text(notes),
    )
