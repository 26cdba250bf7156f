"""The attention pattern of one head, at any number of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike, to_numpy
from headspec.arrays import parts as split
from headspec.axes import one_head
from headspec.charts import parts
from headspec.charts.attention_image import attention_image
from headspec.charts.attention_parts import TOKEN_ROOM, Bools, Floats, Labels, clipped, domain, param_name
from headspec.charts.cells import CELLS, GREYS, narrow, text_ink, unit, value_expression, window
from headspec.charts.describe import GLYPHS, notes_text, sentence
from headspec.errors import DataError
from headspec.reduce.cells import Pooling
from headspec.reduce.palette import ColourScale, ScaleType, dark_ink_range
from headspec.tables.attention import token_lists
from headspec.tables.heads import kinds
from headspec.tables.packing import code_for, pack_matrix
from headspec.text import count, head_name, number

ROWS = 1_000
EXACT = 2**20
"""The most cells that ``cells="exact"`` draws one by one."""


@parts.says_what_is_gone
def visualize_attention_matrix(
    attn_matrix: ArrayLike,
    layer_idx: int = 0,
    head_idx: int = 0,
    title: str | None = None,
    *,
    tokens: Sequence[Any] | None = None,
    query_tokens: Sequence[Any] | None = None,
    key_tokens: Sequence[Any] | None = None,
    batch_idx: int | None = None,
    attention_mask: ArrayLike | None = None,
    causal: bool | None = None,
    scale: ScaleType = "linear",
    max_value: float | None = 1.0,
    annotate: bool | None = None,
    cells: Literal["auto", "exact"] = "auto",
    pool: Pooling = "max",
    size: int = 400,
    axes: str | None = None,
) -> alt.LayerChart:
    """Show which tokens one head looks at: the attention weight of every query on every key.

    Parameters
    ----------
    attn_matrix
        What a model returns (a tuple of ``[batch, head, query, key]``), one layer of it, or one ``[query, key]`` matrix.
        Any real matrix can be drawn; memory-mapped, Dask and Zarr arrays are read in slabs.
    layer_idx, head_idx
        Which head; for one layer or one matrix they only name it.
    title
        The chart's title; by default the head's name.
    tokens, query_tokens, key_tokens
        Labels of both axes, or of each.
    batch_idx
        Which sequence of the batch; needed where there are several.
    attention_mask
        1 for real tokens, ``[key]`` or ``[batch, key]``; padded keys (and queries, where they are the same tokens) are drawn
        as masked.
    causal
        Leave the cells of later keys blank. None does so where no query gives them any weight.
    scale
        ``"linear"``, or ``"sqrt"`` and ``"log"``, which keep a sink from hiding the rest.
    max_value
        The high end of the colour scale: 1 by default, so that heads compare; None takes the largest weight.
    annotate
        Numbers in the cells; None writes them where they are legible.
    cells
        ``"auto"`` draws each cell as a mark up to 20,000 cells, and an image pooled to the panel above. ``"exact"`` draws
        each cell, up to 1,048,576.
    pool
        How an image pools: ``"max"`` keeps every row's strongest key visible, ``"mean"`` shows the average weight, ``"both"``
        has a switch between them on a page; pictures show the maxima.
    size
        Pixels of an image in each direction, at most.
    axes
        The names of the axes of one array where they are others.

    Returns
    -------
    altair.LayerChart
        One panel; its colour scale is its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, indices out of range, token lists of another length, too many cells.

    Notes
    -----
    Reading it: a row is a query, and the bright cells in it are the keys that it reads from. A bright diagonal attends to
    itself, one below it to the previous token; a bright first column is an attention sink.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_attention_matrix([[1.0, 0.0], [0.9, 0.1]], 3, 5, tokens=["The", "cat"])
    >>> headspec.summary(chart)
    'Attention of L3 H5: 2 queries × 2 keys. Weights from 0.1 to 1; each query gives its strongest key 0.95 on average; most queries (2 of 2) look most at key 0 (The). No query gives weight to a later key; those cells are blank.'
    """
    matrix = one_head(attn_matrix, layer_idx, head_idx, batch_idx=batch_idx, axes=axes, name="attn_matrix")
    shape = (int(matrix.shape[0]), int(matrix.shape[1]))
    labels = Labels(*token_lists(tokens, query_tokens, key_tokens, shape))
    mask = _token_mask(attention_mask, shape, batch_idx)
    cells_count = shape[0] * shape[1]
    if cells == "exact" and cells_count > EXACT:
        raise DataError(
            f'cells="exact" would draw {cells_count:,} marks; at most {EXACT:,}. cells="auto" pools them to an image'
        )
    name = head_name(layer_idx, head_idx)
    shown = title if title is not None else f"Attention of {name}"
    if cells == "exact" or cells_count <= CELLS:
        return _exact(matrix, name, shown, labels, mask, causal, scale, max_value, annotate)
    return attention_image(matrix, name, shown, labels, mask, causal, scale, max_value, pool, size)


def _token_mask(
    attention_mask: ArrayLike | None, shape: tuple[int, int], batch_idx: int | None
) -> tuple[Bools | None, Bools | None]:
    if attention_mask is None:
        return None, None
    real, _ = split(to_numpy(attention_mask, name="attention_mask"))
    if real.ndim == 2:
        if len(real) > 1 and batch_idx is None:
            raise DataError(f"attention_mask holds a batch of {len(real)}; pick one with batch_idx=")
        real = real[batch_idx or 0]
    if real.ndim != 1 or len(real) != shape[1]:
        raise DataError(
            f"attention_mask has shape {real.shape}; expected one value per key: ({shape[1]},) or (batch, {shape[1]})"
        )
    keys = real != 0
    return (keys if shape[0] == shape[1] else None), keys


# --- every cell ------------------------------------------------------------------------------------------------------------


def _exact(
    matrix: Any,
    name: str,
    title: str,
    labels: Labels,
    mask: tuple[Bools | None, Bools | None],
    causal: bool | None,
    scale_type: ScaleType,
    max_value: float | None,
    annotate: bool | None,
) -> alt.LayerChart:
    weights, hidden = (
        split(to_numpy(matrix, name="attn_matrix")) if matrix.shape[0] * matrix.shape[1] <= CELLS else _large(matrix)
    )
    hidden = hidden.copy()
    if mask[0] is not None:
        hidden |= ~mask[0][:, None]
    if mask[1] is not None:
        hidden |= ~mask[1][None, :]
    weights = np.where(hidden, np.nan, weights)
    finite = weights[np.isfinite(weights)]
    if not finite.size:
        raise DataError(
            f"attn_matrix holds no finite weight: {weights.size:,} NaN, infinite or masked; there is nothing to draw"
        )
    low, high = float(finite.min()), float(finite.max())
    scale = domain(scale_type, low, high, max_value)
    blank = _is_causal(weights, causal)
    lengths = [min(row + 1, weights.shape[1]) if blank else weights.shape[1] for row in range(len(weights))]
    grid = _pixels(weights.shape, labels)
    kind: Any = np.broadcast_to(
        np.array("value", dtype=object), weights.shape
    )  # of a large matrix a list would be slow
    drawn_kinds: set[str] = set()
    if finite.size < weights.size:
        kind = kinds(weights, hidden)
        drawn_kinds = {item for row, end in zip(kind, lengths, strict=True) for item in set(row[:end])}
    present = [item for item in GLYPHS if item in drawn_kinds]
    notes = clipped(scale, low, high)
    frame, transforms, exactness = _frame(weights, hidden, kind, lengths, labels)
    notes += exactness
    notes += [f"{int((kind == item).sum()):,} {item}" if item != "masked" else "padding masked" for item in present]
    if blank:
        notes.append("later keys get no weight and are left blank")
    layers = _cell_layers(frame, weights.shape, grid, scale, labels, present, _font(weights.shape, grid, annotate))
    chart: Any = alt.layer(*layers, data=frame, **({"transform": transforms} if transforms else {}))
    chart = chart.add_params(*_token_params(labels))
    chart = parts.set_properties(
        chart,
        width=alt.Step(grid[1]),
        height=alt.Step(grid[0]),
        title=parts.heading(title, notes, width=max(grid[1] * weights.shape[1], 240)),
        description=_describe(name, weights, labels, blank, notes),
    )
    return narrow(chart.resolve_scale(color="independent"))


def _large(matrix: Any) -> tuple[Floats, Bools]:
    """Return a large matrix as float64 without going through text (see `arrays.parts`)."""
    array = to_numpy(matrix, name="attn_matrix")
    return np.asarray(np.ma.getdata(array), dtype=np.float64), np.ma.getmaskarray(array)


def _is_causal(weights: Floats, causal: bool | None) -> bool:
    if weights.shape[0] != weights.shape[1] or len(weights) < 2:
        return False
    later = bool(np.any(np.triu(np.nan_to_num(weights, nan=0.0), 1)))
    if causal and later:
        raise DataError("causal=True, but some query gives weight to a later key; leave causal out to see all cells")
    return not later if causal is None else causal


def _pixels(shape: tuple[int, ...], labels: Labels) -> tuple[int, int]:
    """Return the whole pixels of a cell, height and width."""
    most = max(shape)
    side = parts.whole_pixels(most, most=36)
    if (labels.query or labels.key) and most <= 72:
        side = max(side, TOKEN_ROOM)
    if shape[0] * 8 < shape[1] or shape[1] * 8 < shape[0]:  # a long strip would be a hairline
        return parts.whole_pixels(shape[0], most=24), parts.whole_pixels(shape[1], most=24)
    return side, side


def _font(shape: tuple[int, ...], grid: tuple[int, int], annotate: bool | None) -> int | None:
    if annotate is False or shape[0] * shape[1] > 4_096:
        if annotate:
            raise DataError(f"annotate=True would write {shape[0] * shape[1]:,} numbers; at most 4,096 are drawn")
        return None
    size = min(10, int((grid[1] - 4) / (0.58 * 4)), grid[0] - 4)
    return max(size, 5) if annotate else size if size >= 8 and shape[0] * shape[1] <= 400 else None


def _frame(
    weights: Floats, hidden: Bools, kind: Any, lengths: Sequence[int], labels: Labels
) -> tuple[pd.DataFrame, list[Any], list[str]]:
    """Return the frame of a matrix, its transforms, and what must be said of its exactness."""
    total = sum(lengths)
    if total <= ROWS:
        query = np.repeat(np.arange(len(lengths)), lengths)
        key = np.concatenate([np.arange(size) for size in lengths])
        frame = pd.DataFrame({"query": query, "key": key, "weight": weights[query, key], "kind": kind[query, key]})
        frame["weight"] = frame["weight"].where(frame["kind"] == "value")
        for column, place, names in (("query_token", query, labels.query), ("key_token", key, labels.key)):
            if names is not None:
                frame[column] = np.asarray(names, dtype=object)[place]
        return frame, [], []
    finite = weights[np.isfinite(weights)]
    code = code_for(float(finite.min()), float(finite.max()))
    frame = pack_matrix(weights, code, masked=hidden if hidden.any() else None, lengths=lengths)
    lists = [name for name in ("q", "code") if name in frame.columns]
    steps: list[Any] = [
        alt.CalculateTransform(**{"calculate": f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]", "as": name})
        for name in lists
    ]
    steps.append(alt.FlattenTransform(flatten=lists))
    steps.append(alt.WindowTransform(window=[window("row_number", "_n")], groupby=["query"]))
    steps += [
        alt.CalculateTransform(**{"calculate": "datum._n - 1", "as": "key"}),
        alt.CalculateTransform(**{"calculate": value_expression(code), "as": "weight"}),
    ]
    if "code" in lists:
        names = ["value", "nan", "inf", "-inf", "masked"]
        steps.append(alt.CalculateTransform(**{"calculate": f"{names}[floor(datum.code / 6)]", "as": "kind"}))
    for column, axis, tokens in (("query_token", "query", labels.query), ("key_token", "key", labels.key)):
        if tokens is not None:
            steps.append(alt.CalculateTransform(**{"calculate": f"{param_name(tokens)}[datum.{axis}]", "as": column}))
    return frame, steps, [code.said()]


def _cell_layers(
    frame: pd.DataFrame,
    shape: tuple[int, ...],
    grid: tuple[int, int],
    scale: ColourScale,
    labels: Labels,
    present: list[str],
    font: int | None,
) -> list[alt.Chart]:
    place = alt.Chart().encode(
        x=alt.X(
            "key:O",
            title="Key",
            scale=parts.band_scale(range(shape[1])),
            axis=_band_axis(shape[1], grid[1], labels.key, -90),
        ),
        y=alt.Y(
            "query:O",
            title="Query",
            scale=parts.band_scale(range(shape[0])),
            axis=_band_axis(shape[0], grid[0], labels.query, 0),
        ),
    )
    tooltip = [alt.Tooltip("query:O"), alt.Tooltip("key:O"), alt.Tooltip("weight:Q", format=".4f")]
    if labels.query is not None:
        tooltip.insert(1, alt.Tooltip("query_token:N", title="query token"))
    if labels.key is not None:
        tooltip.insert(-1, alt.Tooltip("key_token:N", title="key token"))
    colour = alt.Color(
        "weight:Q", scale=parts.colour_scale(scale), legend=parts.gradient_legend("Weight", shape[0] * grid[0], scale)
    )
    if present:
        tests: list[Any] = [{"test": f"datum.kind === '{kind}'", "value": GREYS[kind]} for kind in present]
        colour = colour.condition(tests)
    total = shape[0] * shape[1]
    rect = place.mark_rect(invalid=None if present else alt.Undefined, aria=total <= 600)
    layers = [rect.encode(color=colour, tooltip=tooltip)]
    if font is not None:
        low, high = dark_ink_range(scale)
        tests = [f"datum.weight >= {low!r}"] * (low != -math.inf) + [f"datum.weight <= {high!r}"] * (high != math.inf)
        ink = text_ink(tests)
        texts = unit(place.transform_filter("isValid(datum.weight)"))
        layers.append(
            texts.mark_text(fontSize=font, baseline="middle", aria=False).encode(
                text=alt.Text("weight:Q", format=".2f"), color=ink
            )
        )
    return layers


def _band_axis(size: int, pixels: int, tokens: list[str] | None, angle: int) -> alt.Axis:
    shared: dict[str, Any] = {"grid": False, "domain": False, "labelOverlap": False, "zindex": 0}
    values = parts.axis_values(range(size), pixels, room=24 if tokens is None else TOKEN_ROOM)
    if values is not None:
        shared["values"] = values
    if tokens is None:
        return alt.Axis(labelAngle=0, **shared)
    return alt.Axis(
        labelAngle=angle,
        labelExpr=f"{param_name(tokens)}[datum.value]",
        labelLimit=110,
        labelFontSize=9 if pixels < 14 else 10,
        ticks=False,
        **shared,
    )


def _token_params(labels: Labels) -> list[alt.Parameter]:
    """Return the tokens as params, named by content: two charts of the same text share one."""
    lists = {param_name(tokens): tokens for tokens in labels if tokens is not None}
    return [alt.param(name=name, value=tokens) for name, tokens in lists.items()]


def _describe(name: str, weights: Floats, labels: Labels, blank: bool, notes: list[str]) -> str:
    queries, keys = weights.shape
    clear = np.where(np.isfinite(weights), weights, -np.inf)
    live = np.isfinite(weights).any(axis=1)
    best, strongest = clear.argmax(axis=1)[live], clear.max(axis=1)[live]
    shown = weights[np.tri(len(weights), dtype=bool)] if blank else weights
    shown = shown[np.isfinite(shown)]
    places, counts = np.unique(best, return_counts=True)
    top = int(places[counts.argmax()])
    token = f" ({labels.key[top]})" if labels.key is not None else ""
    return sentence(
        f"Attention of {name}: {count(queries, 'query', 'queries')} × {count(keys, 'key')}",
        f"Weights from {number(float(shown.min()))} to {number(float(shown.max()))}; each query gives its strongest key "
        f"{number(float(strongest.mean()))} on average; {_favourite(int(counts.max()), int(live.sum()), f'key {top}{token}')}",
        "No query gives weight to a later key; those cells are blank" if blank else "",
        notes_text(note for note in notes if "later keys" not in note),
    )


def _favourite(times: int, queries: int, key: str) -> str:
    """Return how many queries look most at the key that is looked at most."""
    if 2 * times > queries:
        return f"most queries ({times} of {queries}) look most at {key}"
    return f"no key is the strongest of more than {times} of {count(queries, 'query', 'queries')}"
