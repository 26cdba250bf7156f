"""Importance of the heads by strategy: a map for each, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.charts import parts
from headspec.charts.cells import Annotate, grid_of, head_map
from headspec.charts.describe import heads_text, kinds_note, notes_text, sentence, states_text
from headspec.charts.heatmaps import outside, spread, zeros_apart
from headspec.errors import DataError
from headspec.reduce.palette import ColourScale
from headspec.tables.heads import Pairs, heads_table
from headspec.text import clean, count


@parts.says_what_is_gone
def visualize_head_importance(
    model_name: str,
    importance_scores: Mapping[str, Any] | ArrayLike,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    *,
    title: str | None = None,
    scale: Literal["rank", "shared"] = "rank",
    annotate: Annotate = True,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    events: Any = None,
) -> alt.VConcatChart:
    """Show which heads each strategy holds to be important, and where the strategies agree.

    Parameters
    ----------
    model_name
        The model's name, for the title.
    importance_scores
        ``{strategy: scores}``; scores are a list of ``(layer, head, score)`` tuples, or an array ``[layer, head]`` in any form
        that `heads_table` reads. One array alone is one strategy.
    num_layers, num_heads
        The model's size: checks the pairs, splits flat vectors, and shows heads without a score as holes.
    title
        The chart's title.
    scale
        ``"rank"`` colours each strategy by its own ranks, which compare across strategies whatever their units (1 is the
        highest score). ``"shared"`` colours scores on one scale, for strategies in the same unit; signed scores get a
        diverging scale centred on zero.
    annotate, pruned_heads, revived_heads, vulnerable_heads, events
        As in `visualize_entropy_heatmap`.

    Returns
    -------
    altair.VConcatChart
        A facet with one panel per strategy, in the order given, on one colour scale that is true for all of them. (The
        concat around the facet keeps that scale its own beside other charts.)

    Raises
    ------
    DataError, KindError
        No strategy, a head twice, pairs out of range, scores that are not numbers.

    Notes
    -----
    Reading it: a head that is bright in every panel matters whichever way it is measured. Ranks say nothing about distances:
    the tooltip has the score.

    Examples
    --------
    >>> import headspec
    >>> scores = {"entropy": [(0, 0, 0.9), (0, 1, 0.1)], "random": [(0, 0, 0.3), (0, 1, 0.4)]}
    >>> chart = headspec.visualize_head_importance("tiny", scores, 1, 2)
    >>> headspec.to_table(chart)[["group", "layer", "head", "value"]].values.tolist()
    [['entropy', 0, 0, 1.0], ['entropy', 0, 1, 2.0], ['random', 0, 0, 2.0], ['random', 0, 1, 1.0]]
    """
    named = importance_scores if _by_strategy(importance_scores) else {"importance": importance_scores}
    if not named:
        raise DataError("importance_scores is empty; expected {strategy: scores}")
    marks: dict[str, Any] = {
        "pruned_heads": pruned_heads,
        "revived_heads": revived_heads,
        "vulnerable_heads": vulnerable_heads,
        "events": events,
    }
    table = pd.concat(
        [_scores(clean(strategy), scores, num_layers, num_heads, marks) for strategy, scores in named.items()],
        ignore_index=True,
    )
    table["score"] = table["value"]
    if scale == "rank":
        table["value"] = table.groupby("group", sort=False)["score"].rank(ascending=False, method="average")
        worst = float(table["value"].max()) if table["value"].notna().any() else 1.0
        colours, legend = ColourScale("viridis", max(worst, 2.0), 1.0), "Rank (1 = highest)"
        note = "ranks within each strategy, 1 = highest score"
    else:
        colours, legend = spread(table, "auto", "viridis", name="importance_scores"), "Importance"
        note = f"scores of all strategies on one {colours.type} colour scale"
    parts.extent(table["score"], name="importance_scores")
    drawn = zeros_apart(table, colours)
    strategies = list(dict.fromkeys(table["group"]))
    columns = len(strategies) if len(strategies) <= 3 else 2 if len(strategies) == 4 else 3
    child, notes = head_map(
        drawn,
        colours,
        legend=legend,
        annotate=annotate,
        panel=max(120, min(parts.PANEL, 780 // columns)),
        value_format=",.0f" if scale == "rank" and not (table["value"] % 1).any() else None,
    )
    said = [note, *kinds_note(drawn), *outside(table, colours), *notes]
    # one scale and legend for all strategies; the concat shields it from charts beside it
    child = child.resolve_scale(color="shared")
    facet = alt.Facet("group:N", title=None, sort=strategies, header=alt.Header(labelAnchor="start"))
    chart: Any = alt.vconcat(child.facet(facet, columns=columns)).resolve_scale(color="independent")
    name = clean(model_name)
    heading = parts.heading(
        title or f"Head importance: {name}", said, width=grid_of(table, panel=780 // columns).pixels * columns
    )
    chart = chart.properties(title=heading, description=_importance_text(table, name, strategies, said))
    assert isinstance(chart, alt.VConcatChart)
    return chart


def _by_strategy(scores: Any) -> bool:
    return isinstance(scores, Mapping) and not all(isinstance(key, (int, np.integer)) for key in scores)


def _scores(
    strategy: str, scores: Any, num_layers: int | None, num_heads: int | Sequence[int] | None, marks: dict[str, Any]
) -> pd.DataFrame:
    name = f"importance_scores[{strategy!r}]"
    if (
        isinstance(scores, (list, tuple))
        and scores
        and all(isinstance(item, tuple) and len(item) == 3 for item in scores)
    ):
        frame = pd.DataFrame(
            {
                "layer": [item[0] for item in scores],
                "head": [item[1] for item in scores],
                "value": [item[2] for item in scores],
            }
        )
        table = heads_table(frame, measure="importance", group=strategy, name=name)
    else:
        table = heads_table(
            scores, measure="importance", group=strategy, num_layers=num_layers, num_heads=num_heads, name=name
        )
    counts = [int(size) for size in num_heads] if isinstance(num_heads, Sequence) else None
    layers = num_layers if num_layers is not None else (len(counts) if counts else None)
    for layer, head in zip(table["layer"], table["head"], strict=True):
        limit = counts[layer] if counts and layer < len(counts) else num_heads
        if (layers is not None and layer >= layers) or (isinstance(limit, int) and head >= limit):
            raise DataError(
                f"{name} names layer {layer}, head {head}, but num_layers={num_layers} and num_heads={num_heads}"
            )
    return heads_table(table, **marks, name=name)


def _importance_text(table: pd.DataFrame, model: str, strategies: list[str], said: list[str]) -> str:
    pieces = []
    for strategy in strategies:
        rows = table[table["group"] == strategy].assign(value=lambda frame: frame["score"])
        rows = rows.assign(state="active", vulnerable=False)  # the states are the same for all: said once
        pieces.append(heads_text(rows, f"{strategy}: importance"))
    return sentence(
        f"Importance of the heads of {model} by {count(len(strategies), 'strategy', 'strategies')}",
        *pieces,
        states_text(table),
        notes_text(said),
    )
