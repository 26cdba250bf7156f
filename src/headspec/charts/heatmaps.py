"""Layer × head maps: entropy, normalised entropy, gradient norms, importance by strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.charts import parts
from headspec.charts.cells import Annotate, grid_of, head_map
from headspec.charts.describe import absent_count, heads_text, kinds_note, notes_text, sentence
from headspec.errors import DataError
from headspec.reduce.palette import ColourScale, Scheme
from headspec.tables.heads import Pairs, heads_table
from headspec.text import number

ScaleChoice = Literal["auto", "linear", "sqrt", "log"]
LOG_RATIO = 100.0
"""Where the largest positive value is more than this many times the smallest, ``"auto"`` means log."""


@parts.says_what_is_gone
def visualize_entropy_heatmap(
    entropy_values: ArrayLike,
    title: str = "Attention entropy",
    min_value: float = 0.0,
    annotate: Annotate = True,
    *,
    max_value: float | None = None,
    unit: Literal["nats", "bits"] = "nats",
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    events: Any = None,
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show which heads attend sharply and which attend broadly: entropy over layers and heads.

    Parameters
    ----------
    entropy_values
        Mean attention entropy, ``[layer, head]`` (from `calculate_entropy`), or any other form that `heads_table` reads.
    title
        The chart's title.
    min_value
        The low end of the colour scale. Values below it take its colour, and the subtitle counts them.
    annotate
        Numbers in the cells: True where they are legible, False never, ``"force"`` always (up to 4,096).
    max_value
        The high end of the colour scale, ``log(n)`` say, so that charts compare; by default the largest value.
    unit
        The unit of the values, for labels.
    pruned_heads, revived_heads, vulnerable_heads
        (layer, head) pairs to mark; a head in the first two lists was pruned and is revived.
    events
        Prune and revive events instead of lists (see `events_table`); the latest of each head counts.
    axes, num_layers, num_heads
        What the axes of the array are, where it is not ``[layer, head]`` (see `heads_table`).
    select
        The name of a selection of a head by click, to link charts.

    Returns
    -------
    altair.LayerChart
        One panel; its colour scale is its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, pairs out of range, no finite value.

    Notes
    -----
    Reading it: dark cells are heads that look at few keys, bright ones spread over many. Entropy grows with the number of
    keys, so compare heads within one input, or use `visualize_normalized_entropy`. A hole is a head that does not exist;
    grey cells hold no finite value.

    The measure is that of Ghader and Monz (2017), "What does attention in neural machine translation pay attention to?".

    Examples
    --------
    >>> import numpy as np, headspec
    >>> chart = headspec.visualize_entropy_heatmap(np.array([[0.2, 1.9], [1.1, 0.7]]), pruned_heads=[(0, 0)])
    >>> headspec.summary(chart)
    'Attention entropy of 2 layers × 2 heads: 0.2 to 1.9 nats, mean 0.975; lowest L0 H0, highest L0 H1. 1 head pruned (L0 H0).'
    """
    table = heads_table(
        entropy_values,
        measure="entropy",
        axes=axes,
        num_layers=num_layers,
        num_heads=num_heads,
        pruned_heads=pruned_heads,
        revived_heads=revived_heads,
        vulnerable_heads=vulnerable_heads,
        events=events,
        name="entropy_values",
    )
    high = max_value if max_value is not None else parts.extent(table["value"], name="entropy_values")[1]
    scale = ColourScale("viridis", min_value, high if high > min_value else min_value + 1.0)
    return _single(table, scale, title, "Attention entropy", f"Entropy ({unit})", unit, annotate, select)


@parts.says_what_is_gone
def visualize_normalized_entropy(
    entropy_values: ArrayLike | None = None,
    max_entropy: ArrayLike | None = None,
    title: str = "Normalised attention entropy",
    *,
    attention: ArrayLike | None = None,
    attention_mask: ArrayLike | None = None,
    query_mask: ArrayLike | None = None,
    causal: bool | None = None,
    window: int | None = None,
    rows: Literal["error", "renormalise", "sink"] = "error",
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
    """Show how close each head comes to attending uniformly: entropy in percent of the maximum possible.

    Parameters
    ----------
    entropy_values, max_entropy
        Mean entropy per head and its maximum, in the same unit; the maximum may be one number, one per layer, or one per
        head. Leave both out and give `attention`, which needs no assumption about the maximum.
    title
        The chart's title.
    attention
        Attention as a model returns it (a tuple of ``[batch, head, query, key]``). Each query is compared with the uniform
        distribution over the keys that it may see, as `calculate_normalized_entropy` does it.
    attention_mask, query_mask, causal, window, rows
        With `attention`, as in `calculate_normalized_entropy`: which tokens are real, whether a query sees only itself and
        earlier keys (None finds out), how far it sees, and what rows that do not sum to one mean.
    annotate, pruned_heads, revived_heads, vulnerable_heads, events, axes, num_layers, num_heads, select
        As in `visualize_entropy_heatmap`.

    Returns
    -------
    altair.LayerChart
        One panel on a fixed scale from 0 to 100 %; its colour scale is its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Neither values nor attention, a maximum that is not positive or does not fit the heads, empty or ambiguous arrays.

    Notes
    -----
    Reading it: 100 % is a head that spreads evenly over all keys that it may see; near 0 % it looks at one. The subtitle
    says whose maximum it is: under a causal mask an entropy divided by ``ln n`` cannot reach 100 % (0.80 at 128 tokens), so
    prefer `attention`.

    After the normalised attention entropy of Oh and Schuler (2022), "Entropy- and distance-based predictors from GPT-2
    attention patterns predict reading times" (arXiv 2212.11185).

    Examples
    --------
    >>> import numpy as np, headspec
    >>> uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    >>> chart = headspec.visualize_normalized_entropy(attention=[uniform[None, None]])
    >>> headspec.to_table(chart)["value"].round(6).tolist()
    [100.0]
    """
    if attention is not None:
        if entropy_values is not None or max_entropy is not None:
            raise DataError("attention= replaces entropy_values and max_entropy; give one or the other")
        from headspec.measures.entropy import calculate_normalized_entropy, describe_maximum

        visible: dict[str, Any] = {
            "attention_mask": attention_mask,
            "query_mask": query_mask,
            "causal": causal,
            "window": window,
            "rows": rows,
            "axes": axes,
        }
        values = calculate_normalized_entropy(attention, **visible)
        whose = describe_maximum(attention, **visible)
        axes = None
        divisor: Any = None
    elif entropy_values is None or max_entropy is None:
        raise DataError(
            "visualize_normalized_entropy needs attention= (as the model returns it), or entropy_values and max_entropy"
        )
    else:
        values, divisor, whose = entropy_values, max_entropy, ""
    table = heads_table(
        values,
        measure="normalized_entropy",
        axes=axes,
        num_layers=num_layers,
        num_heads=num_heads,
        pruned_heads=pruned_heads,
        revived_heads=revived_heads,
        vulnerable_heads=vulnerable_heads,
        events=events,
        name="attention" if attention is not None else "entropy_values",
    )
    if divisor is not None:
        maximum, whose = _maxima(divisor, table)
        table["value"] = table["value"] / maximum
    table["value"] = 100.0 * table["value"]
    return _single(
        table,
        ColourScale("viridis", 0.0, 100.0),
        title,
        "Normalised attention entropy",
        "Entropy (% of maximum)",
        "%",
        annotate,
        select,
        note=f"100 % = {whose}",
    )


def _maxima(max_entropy: ArrayLike, table: pd.DataFrame) -> tuple[Any, str]:
    """Return the maximum of each row of a heads table, and in words whose it is."""
    from headspec.arrays import is_array, shape_of, to_numpy
    from headspec.arrays import parts as split

    layers = list(dict.fromkeys(table["layer"].tolist()))
    shape = shape_of(max_entropy)
    if (
        isinstance(max_entropy, Mapping)
        or len(shape) > 1
        or (isinstance(max_entropy, (list, tuple)) and any(is_array(item) and len(item.shape) for item in max_entropy))
    ):
        limits = heads_table(max_entropy, name="max_entropy")
        merged = table.merge(
            limits[["layer", "head", "value"]], on=["layer", "head"], how="left", suffixes=("", "_max")
        )
        found, whose = merged["value_max"].to_numpy(np.float64), "the maximum given for each head"
        if len(limits) != len(table) or np.isnan(found).any():
            raise DataError(
                f"max_entropy covers {len(limits)} heads, the entropies {len(table)}; expected one number, one per layer, or one per head"
            )
    else:
        flat, _ = split(to_numpy(max_entropy, name="max_entropy"))
        if flat.ndim == 0 or flat.size == 1:
            found, whose = (
                np.full(len(table), float(flat.reshape(-1)[0])),
                f"{number(float(flat.reshape(-1)[0]))}, one maximum given for all heads",
            )
        elif flat.size == len(layers):
            found, whose = (
                table["layer"].map(dict(zip(layers, flat, strict=True))).to_numpy(np.float64),
                "the maximum given for each layer",
            )
        else:
            raise DataError(
                f"max_entropy has {flat.size} values for {len(layers)} layers; expected one number, one per layer, or one per head"
            )
    if not (np.isfinite(found) & (found > 0)).all():
        raise DataError(
            "max_entropy must be positive and finite: log(n) for n visible keys; one key leaves no entropy to normalise"
        )
    return found, whose


@parts.says_what_is_gone
def visualize_gradient_norms(
    grad_norm_values: ArrayLike,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    title: str = "Gradient norms",
    *,
    vulnerable_heads: Pairs = None,
    events: Any = None,
    scale: ScaleChoice = "auto",
    annotate: Annotate = True,
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show where the learning signal goes: gradient norms over layers and heads, pruned and revived heads marked.

    Parameters
    ----------
    grad_norm_values
        Gradient norm per head, ``[layer, head]`` (from `calculate_gradient_norms`), or any other form that `heads_table`
        reads.
    pruned_heads, revived_heads
        (layer, head) pairs to mark; a head in both lists was pruned and is revived.
    title
        The chart's title.
    vulnerable_heads, events, annotate, axes, num_layers, num_heads, select
        As in `visualize_entropy_heatmap`.
    scale
        The space of the colour scale. ``"auto"`` is log where the largest positive norm is more than 100 times the
        smallest, linear otherwise; the subtitle names it. On a log scale an exact 0 is drawn apart.

    Returns
    -------
    altair.LayerChart
        One panel; its colour scale is its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, pairs out of range, no finite value, negative values on a log scale.

    Notes
    -----
    Reading it: bright heads still receive gradient. A pruned head (✕) has a gradient of exactly 0; its mark comes from the
    list, never from the zero.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_gradient_norms([[0.5, 0.0], [0.02, 0.3]], pruned_heads=[(0, 1)], revived_heads=[(1, 0)])
    >>> headspec.summary(chart)
    'Gradient norm of 2 layers × 2 heads: 0 to 0.5, mean 0.205; lowest L0 H1, highest L0 H0. 1 head pruned (L0 H1); 1 head revived (L1 H0). Linear colour scale.'
    """
    table = heads_table(
        grad_norm_values,
        measure="gradient_norm",
        axes=axes,
        num_layers=num_layers,
        num_heads=num_heads,
        pruned_heads=pruned_heads,
        revived_heads=revived_heads,
        vulnerable_heads=vulnerable_heads,
        events=events,
        name="grad_norm_values",
    )
    colours = spread(table, scale, "magma", name="grad_norm_values")
    return _single(
        table,
        colours,
        title,
        "Gradient norm",
        "Gradient norm",
        "",
        annotate,
        select,
        note=f"{colours.type} colour scale",
    )


def spread(table: pd.DataFrame, scale: ScaleChoice, scheme: Scheme, *, name: str) -> ColourScale:
    """Return the colour scale for values that may spread over orders of magnitude, or lie on both sides of zero."""
    low, high = parts.extent(table["value"], name=name)
    values = table["value"].to_numpy(np.float64)
    positive = values[np.isfinite(values) & (values > 0)]
    if scale == "auto":
        wide = low >= 0 and positive.size > 1 and high / float(positive.min()) > LOG_RATIO
        scale = "log" if wide else "linear"
    if scale == "log":
        if low < 0 or not positive.size:
            raise DataError(f'scale="log" needs positive values; {name} reaches from {number(low)} to {number(high)}')
        least = float(positive.min())
        return ColourScale(scheme, least, high if high > least else least * 10, "log")
    if low < 0 < high or high <= 0 > low:
        end = max(-low, high)
        return ColourScale("purpleorange", -end, end, scale)
    return ColourScale(scheme, min(low, 0.0), high if high > 0 else 1.0, scale)


def zeros_apart(table: pd.DataFrame, scale: ColourScale) -> pd.DataFrame:
    """Return the table with the zeros that a log scale lacks as a kind of their own."""
    if scale.type != "log" or not (table["value"] == 0).any():
        return table
    return table.assign(kind=np.where(table["value"] == 0, "zero", table["kind"]))


def _single(
    table: pd.DataFrame,
    scale: ColourScale,
    title: str,
    what: str,
    legend: str,
    unit: str,
    annotate: Annotate,
    select: str | None,
    *,
    note: str = "",
) -> alt.LayerChart:
    """Return one map with its title, notes and description."""
    parts.extent(table["value"], name=f"the {table['measure'].iloc[0]} of the heads")
    drawn = zeros_apart(table, scale)
    chart, notes = head_map(drawn, scale, legend=legend, annotate=annotate, select=select)
    grid = grid_of(table)
    absent = absent_count(table, grid.layers, grid.heads)
    said = [note, *kinds_note(drawn), f"{absent:,} absent" if absent else "", *outside(table, scale), *notes]
    text = sentence(heads_text(table, what, unit), notes_text(said))
    return parts.set_properties(chart, title=parts.heading(title, said, width=grid.pixels), description=text)


def outside(table: pd.DataFrame, scale: ColourScale) -> list[str]:
    """Return the notes on values that the colour scale does not reach."""
    values = table["value"]
    low, high = min(scale.low, scale.high), max(scale.low, scale.high)
    room = 1e-9 * (high - low)
    notes = []
    for found, end, side in ((values < low - room, low, "below"), (values > high + room, high, "above")):
        if scale.type == "log":
            found &= values != 0
        if found.any():
            notes.append(f"{int(found.sum()):,} {side} {number(end)}, in the colour of that end")
    return notes
