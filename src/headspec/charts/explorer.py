"""The linked view of all heads: a map of their measures, two measures against each other, the attention of one of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import altair as alt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.axes import attention_layers
from headspec.charts import explorer_names as say
from headspec.charts import explorer_panels as panels
from headspec.charts import parts
from headspec.charts.attention import _token_mask
from headspec.charts.attention_heads_parts import labels_of, one_sequence, shape_of
from headspec.charts.attention_parts import clipped
from headspec.charts.describe import absent_count, heads_size, notes_text, sentence, states_text
from headspec.charts.explorer_answers import answer_head, answer_pair
from headspec.charts.explorer_data import GRADIENT, Measure, Weights, first_pick, measures_of, weights_of
from headspec.charts.explorer_names import Names
from headspec.errors import DataError
from headspec.reduce.cells import Pool
from headspec.reduce.pairs import with_lists
from headspec.reduce.palette import ScaleType
from headspec.tables.heads import Pairs, heads_table
from headspec.text import clean, count, head_name, listing, number

BUDGET = 2_000_000
MOST_HEADS = 4_096
"""Rows that Altair puts into a chart without further ado, with room to spare."""


def visualize_head_explorer(
    attentions: ArrayLike,
    *,
    measures: Mapping[str, ArrayLike] | None = None,
    gradient: ArrayLike | None = None,
    scatter: Literal["auto"] | tuple[str, str] | None = "auto",
    tokens: Sequence[Any] | None = None,
    query_tokens: Sequence[Any] | None = None,
    key_tokens: Sequence[Any] | None = None,
    batch_idx: int | None = None,
    attention_mask: ArrayLike | None = None,
    causal: bool | None = None,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    events: Any = None,
    title: str | None = None,
    scale: ScaleType = "linear",
    max_value: float | None = None,
    pick: Sequence[int] | None = None,
    pair: Sequence[int] | None = None,
    budget: int = BUDGET,
    pool: Pool | None = "max",
    axes: str | None = None,
    select: str = "head_pick",
) -> alt.HConcatChart:
    """Show what each head measures and what it looks at, linked: a map of all heads beside the attention of the picked one.

    Parameters
    ----------
    attentions
        What a model returns: a tuple of ``[batch, head, query, key]``, one layer each, or any other form of the axis rule.
    measures
        ``{name: values}``, a value for each layer and head, in the order of the select box. By default the entropy, the
        mean weights on the first key and on the previous token, and the mean largest weight, all of `attentions`.
    gradient
        Gradient norm per head, one more measure.
    scatter
        The names of two measures to draw against each other. ``"auto"`` takes the first measure and the gradient if there
        is one, else the first two of `measures` if they are given; None draws none.
    tokens, query_tokens, key_tokens
        The tokens of both axes, or of each; all layers must have as many.
    batch_idx
        Which sequence of the batch; needed where there are several.
    attention_mask
        1 for real tokens, ``[key]`` or ``[batch, key]``.
    causal
        Leave out the keys that lie after their query. None does so where no query gives them any weight.
    pruned_heads, revived_heads, vulnerable_heads, events
        Heads to mark (see `visualize_entropy_heatmap`).
    title
        The chart's title.
    scale
        The space of the weights' colours: ``"linear"``, or ``"sqrt"`` and ``"log"``, which keep a sink from hiding the rest.
    max_value
        The high end of the weights' colours; None takes the largest weight of all heads, so that they compare.
    pick
        The (layer, head) that the chart opens on, and that pictures show. By default the head that looks most sharply at
        keys other than the first and the query itself.
    pair
        A (query, key) that the chart opens on: the map then shows every head's weight on it.
    budget
        Bytes that the weights may take in the chart's JSON. More of them are pooled, queries and keys alike, in blocks.
    pool
        How blocks are pooled: ``"max"`` or ``"mean"``; None refuses to pool.
    axes
        The names of the axes of one array where they are others.
    select
        The name of the selection of a head; those of the other params begin with it (``…_pair``, ``…_measure``). Give another
        one where two explorers stand side by side.

    Returns
    -------
    altair.HConcatChart
        The map (above the scatter, if any) and the matrix. All that it needs is in its JSON: it works without Python.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, a batch without `batch_idx`, pairs out of range, no finite weight, a budget too small.

    Notes
    -----
    Reading it: click a head in the map or the scatter, and the matrix shows its attention: a row is a query, and the bright
    cells in it are the keys that it reads from. The select box chooses what colours the map. Click a cell of the matrix, and
    map and scatter show every head's weight on that query and key, in the matrix's colours: which heads look from here to
    there? A double click anywhere, Escape, or another choice in the select box takes that back.

    Examples
    --------
    >>> import numpy as np, headspec
    >>> previous = np.eye(4)[[0, 0, 1, 2]]
    >>> uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    >>> layer = np.stack([previous, uniform])[None]
    >>> chart = headspec.visualize_head_explorer((layer, layer[:, ::-1]), gradient=[[0.5, 0.1], [0.2, 0.9]])
    >>> [param.name for param in chart.params if hasattr(param, "select")]
    ['head_pick', 'head_pick_pair']
    """
    return build(
        attentions,
        measures=measures,
        gradient=gradient,
        scatter=scatter,
        tokens=tokens,
        query_tokens=query_tokens,
        key_tokens=key_tokens,
        batch_idx=batch_idx,
        attention_mask=attention_mask,
        causal=causal,
        pruned_heads=pruned_heads,
        revived_heads=revived_heads,
        vulnerable_heads=vulnerable_heads,
        events=events,
        title=title,
        scale=scale,
        max_value=max_value,
        pick=pick,
        pair=pair,
        budget=budget,
        pool=pool,
        axes=axes,
        select=select,
    ).chart


class Explorer(NamedTuple):
    """An explorer, and what it is made of."""

    chart: alt.HConcatChart
    names: Names
    weights: Weights
    heads: list[tuple[int, int]]
    """Layer and head of each row."""


def build(
    attentions: ArrayLike,
    *,
    served: bool = False,
    measures: Mapping[str, ArrayLike] | None = None,
    gradient: ArrayLike | None = None,
    scatter: Any = "auto",
    tokens: Sequence[Any] | None = None,
    query_tokens: Sequence[Any] | None = None,
    key_tokens: Sequence[Any] | None = None,
    batch_idx: int | None = None,
    attention_mask: ArrayLike | None = None,
    causal: bool | None = None,
    title: str | None = None,
    scale: ScaleType = "linear",
    max_value: float | None = None,
    pick: Sequence[int] | None = None,
    pair: Sequence[int] | None = None,
    budget: int | None = BUDGET,
    pool: Pool | None = "max",
    axes: str | None = None,
    select: str = "head_pick",
    **states: Any,
) -> Explorer:
    """Return the explorer of `visualize_head_explorer`, whose arguments these are.

    One that is `served` holds the weights of the head that it opens on, and is handed the others (see `Names`).
    """
    layers = one_sequence(attention_layers(attentions, axes=axes), batch_idx)
    count_heads = sum(int(layer.array.shape[0]) for layer in layers)
    if count_heads > MOST_HEADS:
        raise DataError(
            f"attentions have {count_heads:,} heads, more than the {MOST_HEADS:,} that one explorer holds; give a part of the "
            "layers ({layer: array}), or draw them all as thumbnails (visualize_attention_heads)"
        )
    names = _names(select)
    labels = labels_of(layers, tokens, query_tokens, key_tokens)
    masks = {layer.id: _token_mask(attention_mask, shape_of(layer), batch_idx) for layer in layers}
    weights = weights_of(layers, masks, causal=causal, scale=scale, max_value=max_value, pool=pool, budget=budget)
    found, looks, notes = measures_of(layers, masks, measures, gradient)
    layer, head, opening = first_pick(pick, looks)
    table = heads_table(looks[["layer", "head"]].assign(value=0.0), name="attentions", **states)
    rows = panels.heads_of(found, table)
    if not served:
        packed = with_lists(rows.frame, weights.heads, weights.forms, weights.layouts, weights.shapes, weights.code)
        rows = rows._replace(frame=packed)
    chosen = _scatter_axes(scatter, found, gradient is not None, measures is not None)
    opens = _Opens((layer, head), _pair_of(pair, weights))
    chart, missing = _compose(rows, names, weights, labels, opens, chosen, served=served)
    notes = _notes(weights, pool, rows, table, notes, opening, missing)
    chart = parts.set_properties(
        chart,
        title=parts.heading(title if title is not None else "Head explorer", notes, width=900),
        description=_describe(found, table, weights, chosen, opening, notes),
    )
    return Explorer(chart, names, weights, list(zip(table["layer"].tolist(), table["head"].tolist(), strict=True)))


class _Opens(NamedTuple):
    """What is picked at first."""

    head: tuple[int, int]
    pair: tuple[int, int] | None


def _names(select: str) -> Names:
    if not (isinstance(select, str) and re.fullmatch(r"[A-Za-z_]\w{0,40}", select, re.ASCII)):
        raise DataError(
            f"select={clean(repr(select))} cannot name a selection; use letters, digits and '_', beginning with a letter"
        )
    return Names(select)


def _scatter_axes(scatter: Any, found: Sequence[Measure], gradient: bool, given: bool) -> tuple[int, int] | None:
    """Return the places of the two measures of the scatter; None for no scatter."""
    names = [item.name for item in found]
    if scatter is None or scatter is False:
        return None
    if isinstance(scatter, str):
        if scatter != "auto":
            raise DataError(f'scatter={clean(repr(scatter))} is neither "auto", None nor two names of measures')
        if gradient and len(found) > 1:
            return 0, names.index(GRADIENT)
        return (0, 1) if given and len(found) > 1 else None
    wanted = [clean(name) for name in scatter]
    unknown = [name for name in wanted if name not in names]
    if unknown or len(wanted) != 2:
        raise DataError(f"scatter={listing(wanted)} does not name two measures; there are {listing(names)}")
    return names.index(wanted[0]), names.index(wanted[1])


def _pair_of(pair: Sequence[int] | None, weights: Weights) -> tuple[int, int] | None:
    """Return the first positions of the blocks that hold a pair."""
    if pair is None:
        return None
    values = [int(item) for item in pair]
    if len(values) != 2 or not all(0 <= item < size for item, size in zip(values, weights.shape, strict=False)):
        raise DataError(
            f"pair={listing(values)} is no (query, key) of attentions, which have {weights.shape[0]:,} × {weights.shape[1]:,}"
        )
    query, key = (item - item % block for item, block in zip(values, weights.block, strict=True))
    if weights.layouts[0].causal and key > query:
        raise DataError(f"pair={listing(values)}: the key lies after the query, which does not see it")
    return query, key


def _compose(
    rows: panels.Heads,
    names: Names,
    weights: Weights,
    labels: Any,
    opens: _Opens,
    chosen: tuple[int, int] | None,
    *,
    served: bool,
) -> tuple[alt.HConcatChart, int]:
    """Return the panels put together with their params, and how many heads the scatter lacks."""
    head = parts.head_pick(names.head, layer=opens.head[0], head=opens.head[1])
    left: Any = panels.head_map(rows, names, weights, labels, head, served=served)
    pick = say.pair_pick(names, opens.pair)
    right = panels.matrix(rows, names, weights, labels, pick, served=served, alone=chosen is None)
    missing = 0
    with warnings.catch_warnings():
        # the same pick in two panels is what links them; Altair wonders whether it is meant
        warnings.filterwarnings(
            "ignore", message="Automatically deduplicated selection parameter", category=UserWarning
        )
        if chosen is not None:
            points, missing = panels.scatter(rows, names, weights, chosen, head, served=served)
            left = alt.vconcat(left, points, spacing=24)
        chart = alt.hconcat(left, right, spacing=36)
    chart = chart.add_params(*say.variables(names, rows.measures, rows.formats, weights, labels))
    if served:
        place = list(zip(rows.frame["layer"].tolist(), rows.frame["head"].tolist(), strict=True)).index(opens.head)
        chart = chart.add_params(
            alt.param(name=names.served, value=answer_head(weights, place, opens.head)),
            alt.param(name=names.served_pair, value=answer_pair(weights, opens.pair)),
        )
    return chart.resolve_scale(color="independent", stroke="independent", shape="independent"), missing


# --- words -----------------------------------------------------------------------------------------------------------------


def _notes(
    weights: Weights,
    pool: Pool | None,
    rows: panels.Heads,
    states: pd.DataFrame,
    notes: Sequence[str],
    opening: str,
    missing: int,
) -> list[str]:
    high, wide = weights.block
    absent = absent_count(states, rows.grid.layers, rows.grid.heads)
    what = "maximum" if pool == "max" else "mean"
    return [
        opening,
        "click a head for its attention, a cell of that for every head's weight on its query and key (double click or "
        "Escape: back)",
        f"each cell of the matrix is the {what} of {high} × {wide} weights" if weights.pooled else "",
        weights.code.said().replace("drawn", "weights drawn"),
        f"weights' colours up to {number(weights.scale.high)}",
        *clipped(weights.scale, weights.low, weights.high),
        "later keys get no weight and are left out" if weights.layouts[0].causal else "",
        *(f"{found:,} weights {kind}" for kind, found in weights.counts.items() if found and kind != "masked"),
        "padding masked" if weights.counts["masked"] else "",
        f"{count(absent, 'head')} absent" if absent else "",
        f"{count(missing, 'head')} not in the scatter: no finite value of both" if missing else "",
        *notes,
    ]


def _describe(
    found: Sequence[Measure],
    states: pd.DataFrame,
    weights: Weights,
    chosen: tuple[int, int] | None,
    opening: str,
    notes: Sequence[str],
) -> str:
    queries, keys = weights.shape
    size = f"{count(queries, 'query', 'queries')} × {count(keys, 'key')}"
    names = [_lower(item.name) for item in found]
    against = f", {names[chosen[0]]} against {names[chosen[1]]}" if chosen else ""
    return sentence(
        f"Linked views of {heads_size(states)}: a map of {listing(names)}{against}, and the attention of "
        f"the picked head over {size}",
        f"It {opening}",
        notes_text(_range_text(item) for item in found),
        f"Weights from {number(weights.low)} to {number(weights.high)}",
        states_text(states),
        notes_text(notes[2:]),
    )


def _lower(name: str) -> str:
    """Return a name as it stands inside a sentence: "Entropy (nats)" as "entropy (nats)", "KL" as it is."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def _range_text(measure: Measure) -> str:
    """Return the range of a measure with the heads at its ends."""
    finite = measure.table[measure.table["kind"] == "value"]
    values = finite["value"].to_numpy()
    low, high = (finite.iloc[int(place)] for place in (values.argmin(), values.argmax()))
    if low["value"] == high["value"]:
        return f"{measure.name}: all {number(float(low['value']))}"
    return (
        f"{measure.name}: {number(float(low['value']))} ({head_name(low['layer'], low['head'])}) to "
        f"{number(float(high['value']))} ({head_name(high['layer'], high['head'])})"
    )
