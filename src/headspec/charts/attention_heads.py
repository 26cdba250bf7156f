"""Every head of every layer at once: a thumbnail each, all of them one image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.axes import Layer, attention_layers
from headspec.charts import parts
from headspec.charts.attention import _token_mask
from headspec.charts.attention_heads_parts import Extras, heads_frame, labels_of, one_sequence, shape_of
from headspec.charts.attention_heads_words import described, notes_of, pooled
from headspec.charts.attention_parts import Labels, domain, param_name
from headspec.charts.cells import CELLS, Grid, own_scales, places, ring, state_marks, unit
from headspec.charts.describe import heads_text, notes_text, sentence, states_text
from headspec.errors import DataError
from headspec.reduce import sprites
from headspec.reduce.cells import CLEAR, Pooling, entries_image, palette_entries
from headspec.reduce.palette import ColourScale, ScaleType
from headspec.stored import meter
from headspec.tables.heads import Pairs, heads_table
from headspec.text import clean, count

WIDE, TALL = 800, 1_000
"""Pixels that the grid takes, about, unless the caller asks for larger thumbnails."""
PIXELS = 640_000
LEAST, MOST = 8, 256
"""Sides of a thumbnail that is not asked for."""
WIDEST = 8_192
SMALLEST_MARK = 20
"""Pixels that the mark of a pruned head is drawn for: on smaller thumbnails it reaches over their neighbours."""


def visualize_attention_heads(
    attentions: ArrayLike,
    *,
    title: str | None = None,
    tokens: Sequence[Any] | None = None,
    query_tokens: Sequence[Any] | None = None,
    key_tokens: Sequence[Any] | None = None,
    batch_idx: int | None = None,
    attention_mask: ArrayLike | None = None,
    causal: bool | None = None,
    measure: ArrayLike | None = None,
    measure_name: str = "Measure",
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    events: Any = None,
    scale: ScaleType = "linear",
    max_value: float | Literal["shared", "head"] = "shared",
    pool: Pooling = "max",
    thumb: int | None = None,
    axes: str | None = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show what all heads of a model look at: a thumbnail of every attention matrix, ordered by layer and head.

    Parameters
    ----------
    attentions
        What a model returns: a tuple of ``[batch, head, query, key]``, one layer each, or any other form of the axis rule.
        Layers may differ in their heads and tokens. Read a part of a layer at a time: memory-mapped, Dask and Zarr arrays
        need not fit in memory.
    title
        The chart's title.
    tokens, query_tokens, key_tokens
        The tokens of both axes, or of each, for the tooltips; all layers must have as many.
    batch_idx
        Which sequence of the batch; needed where there are several.
    attention_mask
        1 for real tokens, ``[key]`` or ``[batch, key]``; padded keys (and queries, where they are the same tokens) are drawn
        as masked and are nobody's strongest pair.
    causal
        Leave the cells of later keys clear. None does so in layers where no query gives them any weight.
    measure
        A value per head, ``[layer, head]`` or any other form that `heads_table` reads, drawn as the colour of the
        thumbnails' borders.
    measure_name
        What the measure is, with its unit, for its legend.
    pruned_heads, revived_heads, vulnerable_heads
        (layer, head) pairs to mark: pruned heads are crossed out.
    events
        Prune and revive events instead of lists (see `events_table`); the latest of each head counts.
    scale
        ``"linear"``, or ``"sqrt"`` and ``"log"``, which keep an attention sink from hiding the rest.
    max_value
        Whose maximum the colours reach to: ``"shared"``, the largest value drawn of all heads, so that they compare; a
        number, so that charts compare; ``"head"``, each head's own, which shows the patterns of diffuse heads.
    pool
        How pixels pool weights where there are more tokens than pixels: ``"max"`` keeps every row's strongest key visible,
        ``"mean"`` shows the average weight, ``"both"`` has a switch between them on a page; pictures show the maxima.
    thumb
        Pixels of a thumbnail in each direction, at most; None takes what the number of heads leaves room for.
    axes
        The names of the axes of one array where they are others.
    select
        The name of a selection of a head by click, to link charts.

    Returns
    -------
    altair.LayerChart
        One panel; its colour scales are its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, a batch without `batch_idx`, pairs out of range, no finite weight, more heads than can be
        drawn.

    Notes
    -----
    Reading it: in each thumbnail a row is a query and a column a key, as in `visualize_attention_matrix`. A bright first
    column is an attention sink, a bright diagonal looks at itself, one below it at the previous token; vertical stripes are
    keys that everyone reads. Rows of thumbnails are layers, the first on top. The subtitle says how many weights a pixel
    stands for, and whose maximum the colours reach to. The tooltip has each head's exact strongest pair.

    Examples
    --------
    >>> import numpy as np, headspec
    >>> previous = np.eye(4)[[0, 0, 1, 2]]
    >>> uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    >>> layer = np.stack([previous, uniform])[None]
    >>> chart = headspec.visualize_attention_heads((layer, layer[:, ::-1]), pruned_heads=[(1, 0)])
    >>> headspec.to_table(chart)[["layer", "head", "weight", "query", "key", "state"]]
       layer  head  weight  query  key   state
    0      0     0     1.0      0    0  active
    1      0     1     1.0      0    0  active
    2      1     0     1.0      0    0  pruned
    3      1     1     1.0      0    0  active
    """
    layers = one_sequence(attention_layers(attentions, axes=axes), batch_idx)
    labels = labels_of(layers, tokens, query_tokens, key_tokens)
    grid, side = _layout(layers, thumb, border=measure is not None)
    masks = {layer.id: _token_mask(attention_mask, shape_of(layer), batch_idx) for layer in layers}
    with meter("attentions", (layer.array for layer in layers)) as reading:
        found = {
            layer.id: sprites.pool_heads(
                layer.array,
                side=side,
                how=pool,
                mask=masks[layer.id],
                name=f"attentions[{layer.id}]",
                meter=reading,
            )
            for layer in layers
        }
    table = _table(found, pruned_heads, revived_heads, vulnerable_heads, events)
    if not (table["kind"] == "value").any():
        raise DataError(
            f"attentions hold no finite weight in any of {count(len(table), 'head')}; there is nothing to draw"
        )
    blank = _blank_layers(found, causal)
    colours, tops = _colours(found, scale, max_value)
    plain = all(sprites.fit(blocks.shape[0], side).pixels == 1 for blocks in found.values())  # no rows that repeat
    sheets: list[dict[int, Any]] = [{layer: blocks.values for layer, blocks in found.items()}]
    if pool == "both" and pooled(found):
        sheets.append({layer: blocks.means for layer, blocks in found.items()})
    uris = [
        entries_image(_sprite(found, sheet, grid, side, colours, blank, tops, masks), colours, runs=plain)
        for sheet in sheets
    ]
    frame, extras = heads_frame(table, found, layers, masks, measure)
    notes = notes_of(found, table, grid, colours, max_value, bool(blank), pool, side, extras)
    about = heads_text(extras.measure, clean(measure_name)) if extras.measure is not None else ""
    heading = parts.heading(
        title if title is not None else "Attention of every head", notes, width=max(grid.pixels, 280)
    )
    text = sentence(described(table, found), about, states_text(table), notes_text(notes))
    marks = _marks(table, grid, side, uris, colours, max_value, labels, extras, clean(measure_name), select)
    shared: dict[str, Any] = {"transform": extras.transforms} if extras.transforms else {}
    chart = alt.layer(  # in one go: each later change would copy all of it
        *marks,
        data=frame,
        width=alt.Step(grid.width),
        height=alt.Step(grid.height),
        title=heading,
        description=text,
        **shared,
    )
    return own_scales(chart)


# --- places ----------------------------------------------------------------------------------------------------------------


def _layout(layers: Sequence[Layer], thumb: int | None, *, border: bool) -> tuple[Grid, int]:
    """Return the grid, its step a thumbnail and the gap to the next, and the side of a thumbnail."""
    if thumb is not None and not (isinstance(thumb, (int, np.integer)) and 1 <= thumb <= 2_048):
        raise DataError(f"thumb={thumb!r} is no side of a thumbnail; expected 1 to 2,048 pixels")
    ids = parts.id_range(layer.id for layer in layers)
    heads = max(int(layer.array.shape[0]) for layer in layers)
    if len(ids) * heads > CELLS:
        raise DataError(
            f"{len(ids)} layers × {heads} heads are {len(ids) * heads:,} thumbnails, more than the {CELLS:,} that are drawn; "
            "draw a part of the layers: attentions={layer: array}"
        )
    longest = max(max(shape_of(layer)) for layer in layers)
    if thumb is None:
        room = min(WIDE / heads - 2, TALL / len(ids) - 2, math.sqrt(PIXELS / (len(ids) * heads)), MOST)
        thumb = sprites.best_side(longest, max(room, LEAST))
    side = max(sprites.fit(size, int(thumb)).side for layer in layers for size in shape_of(layer))
    gap = 2 if side >= 16 else 1
    if border:
        gap = 2 * _border_width(side) + 2
    step = side + gap
    if max(len(ids), heads) * step > WIDEST:
        raise DataError(
            f"{len(ids)} layers × {heads} heads at {step} px each would be {max(len(ids), heads) * step:,} px, more than the "
            f"{WIDEST:,} that a picture takes; draw a part of them ({{layer: array}}, fewer heads), or give a smaller thumb="
        )
    return Grid(ids, list(range(heads)), step, step), side


def _border_width(side: int) -> int:
    return 3 if side >= 40 else 2


def _table(
    found: Mapping[int, sprites.HeadBlocks], pruned: Pairs, revived: Pairs, vulnerable: Pairs, events: Any
) -> pd.DataFrame:
    """Return the heads table of the strongest weights, with the states of the heads."""
    return heads_table(
        {layer: blocks.best for layer, blocks in found.items()},
        measure="largest_weight",
        pruned_heads=pruned,
        revived_heads=revived,
        vulnerable_heads=vulnerable,
        events=events,
        name="attentions",
    )


# --- colours ---------------------------------------------------------------------------------------------------------------


def _blank_layers(found: Mapping[int, sprites.HeadBlocks], causal: bool | None) -> set[int]:
    """Return the layers whose later keys are left clear."""
    later = [layer for layer, blocks in found.items() if not blocks.causal and blocks.shape[0] == blocks.shape[1] > 1]
    if causal and later:
        raise DataError(
            f"causal=True, but in layer {later[0]} some query gives weight to a later key; leave causal out to see all cells"
        )
    return set() if causal is False else {layer for layer, blocks in found.items() if blocks.causal}


def _colours(
    found: Mapping[int, sprites.HeadBlocks], scale: ScaleType, max_value: float | str
) -> tuple[ColourScale, dict[int, Any] | None]:
    """Return the colour scale of the image, and what each head is divided by where it has a scale of its own."""
    if isinstance(max_value, str) and max_value not in ("shared", "head"):
        raise DataError(f'max_value={clean(repr(max_value))} is neither "shared", "head" nor a number')
    if not isinstance(max_value, str) and not (math.isfinite(max_value) and max_value > 0):
        raise DataError(f"max_value={max_value} must be positive and finite")
    low, high = math.inf, -math.inf
    for blocks in found.values():
        finite: Any = np.isfinite(blocks.values)
        finite = True if finite.all() else finite  # a mask costs several times as much as the search itself
        low = min(low, float(blocks.values.min(initial=math.inf, where=finite)))
        high = max(high, float(blocks.values.max(initial=-math.inf, where=finite)))
    if max_value == "head":
        return domain(scale, -1.0 if low < 0 else 0.0, 1.0, 1.0), {layer: _tops(item) for layer, item in found.items()}
    return domain(scale, low, high, None if max_value == "shared" else float(max_value)), None


def _tops(blocks: sprites.HeadBlocks) -> Any:
    """Return what each head is divided by: its largest weight, whatever its sign; 1 where there is none."""
    top = np.abs(blocks.values).max(axis=(1, 2), initial=0.0, where=np.isfinite(blocks.values)).astype(np.float64)
    return np.where(top > 0, top, 1.0)


def _sprite(
    found: Mapping[int, sprites.HeadBlocks],
    sheet: Mapping[int, Any],
    grid: Grid,
    side: int,
    colours: ColourScale,
    blank: set[int],
    tops: Mapping[int, Any] | None,
    masks: Mapping[int, sprites.Mask],
) -> npt.NDArray[np.uint8]:
    """Return the image of all thumbnails, as palette entries."""
    rows = {layer: place for place, layer in enumerate(grid.layers)}
    tiles = []
    for layer, blocks in found.items():
        clear = sprites.later_blocks(blocks.values.shape[1:], blocks.size) if layer in blank else None
        hidden = sprites.masked_blocks(blocks.shape, blocks.size, masks[layer])
        values = sheet[layer] if tops is None else sheet[layer] / tops[layer][:, None, None]
        entries = palette_entries(values, colours, blank=clear, masked=hidden)
        tiles += [(rows[layer], head, tile) for head, tile in enumerate(entries)]
    return sprites.assemble(tiles, (len(grid.layers), len(grid.heads)), side, grid.width, CLEAR)


# --- drawing ---------------------------------------------------------------------------------------------------------------


def _marks(
    table: pd.DataFrame,
    grid: Grid,
    side: int,
    uris: Sequence[str],
    colours: ColourScale,
    max_value: float | str,
    labels: Labels,
    extras: Extras,
    measure_name: str,
    select: str | None,
) -> list[alt.Chart]:
    """Return the image, the rects on it that carry tooltips, legend and axes, and what is drawn above."""
    height = len(grid.layers) * grid.height
    place = places(grid)
    title = "Weight ÷ head's largest" if max_value == "head" else "Weight"
    rects = place.mark_rect(opacity=0, aria=len(table) <= 600).encode(
        fill=alt.Fill(
            "weight:Q", scale=parts.colour_scale(colours), legend=parts.gradient_legend(title, height, colours)
        ),
        tooltip=_tooltip(labels, table, extras, measure_name),
    )
    for axis, names in zip(("query", "key"), labels, strict=True):
        if names is not None:
            token = f"isValid(datum.{axis}) ? datum.{axis} + ' (' + {param_name(names)}[datum.{axis}] + ')' : ''"
            rects = rects.transform_calculate(**{f"_{axis}": token})
    tokens = {param_name(names): names for names in labels if names is not None}
    params = [alt.param(name=name, value=names) for name, names in tokens.items()]
    params += [parts.pool_switch()] if len(uris) > 1 else []
    rects = unit(rects.add_params(*params, *([parts.head_pick(select)] if select is not None else [])))
    layers = [*parts.pictures(uris, grid.pixels, height), rects]
    if extras.border is not None:
        layers.append(_borders(place, side, extras.border, measure_name, height))
    if select is not None:
        layers.append(ring(place, select, grid))
    if (table["state"] != "active").any() or table["vulnerable"].any():
        room = max(grid.width, SMALLEST_MARK)
        layers += state_marks(place, table, Grid(grid.layers, grid.heads, room, room), corner=False)
    return layers


def _borders(place: alt.Chart, side: int, scale: ColourScale, name: str, height: int) -> alt.Chart:
    """Return the borders: on whole pixels, one pixel clear of the neighbours'."""
    wide = _border_width(side)
    rows = unit(place.transform_filter("isValid(datum.measure)"))
    marks = rows.mark_rect(filled=False, width=side + wide, height=side + wide, strokeWidth=wide, aria=False)
    legend = parts.gradient_legend(f"Border: {name}", height / 2, scale)
    return unit(marks.encode(color=alt.Color("measure:Q", scale=parts.colour_scale(scale), legend=legend)))


def _tooltip(labels: Labels, table: pd.DataFrame, extras: Extras, measure_name: str) -> list[alt.Tooltip]:
    tips = [
        alt.Tooltip("layer:O"),
        alt.Tooltip("head:O"),
        alt.Tooltip("weight:Q", title="largest weight", format=".4f"),
    ]
    for axis, title, names in zip(("query", "key"), ("from query", "to key"), labels, strict=True):
        place: dict[str, Any] = (
            {"shorthand": f"{axis}:Q", "format": ",d"} if names is None else {"shorthand": f"_{axis}:N"}
        )
        tips.append(alt.Tooltip(**place, title=title))
    if extras.entropy:
        tips.append(alt.Tooltip("entropy:Q", title="entropy (nats)", format=".3f"))
    if extras.border is not None:
        tips.append(alt.Tooltip("measure:Q", title=measure_name, format=".4g"))
    if (table["state"] != "active").any():
        tips.append(alt.Tooltip("state:N"))
    return tips
