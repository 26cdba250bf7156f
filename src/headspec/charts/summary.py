"""What a pruning experiment found, on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from headspec.charts import parts
from headspec.charts.describe import sentence
from headspec.charts.specs import (
    calculate,
    digest,
    filled,
    flatten,
    independent,
    layers,
    one_row,
    pixel,
    selection,
    unit,
)
from headspec.charts.strategy_frame import said
from headspec.charts.summary_effects import effects_panel
from headspec.charts.summary_frame import Stages, View, absent, lay_out, list_columns, look, packed
from headspec.charts.summary_panels import final_panel, recovery_panel, stages_panel
from headspec.charts.summary_parts import Section
from headspec.charts.summary_words import summary_notes, summary_text
from headspec.errors import DataError
from headspec.tables.result_derive import read_runs
from headspec.tables.result_groups import Groups, group_runs
from headspec.tables.result_runs import Runs
from headspec.tables.result_shapes import LevelUnit
from headspec.text import clean, listing

MOST = 24
"""Models, or strategies, that a summary holds."""


def plot_experiment_summary(
    results_df: Any,
    *,
    title: str | None = None,
    models: Sequence[str] | None = None,
    strategies: Sequence[str] | None = None,
    stages: Stages = "change",
    level_unit: LevelUnit = "auto",
    columns: Mapping[str, str] | None = None,
    width: int = 800,
    select: str = "strategy_filter",
) -> alt.VConcatChart:
    """Show what pruning cost, and how much of it fine-tuning won back, by model, strategy and level.

    Parameters
    ----------
    results_df
        Results in any form that `results_table` reads: a dataframe of any library, rows, columns, or the path of a file.
    title
        The chart's title; by default ``Pruning experiment``.
    models, strategies
        Which to show, in this order; by default all, in the order given.
    stages
        What the first panel shows: ``"change"``, the percentage above the baseline, on one axis for all (perplexities of
        models with different tokenizers do not compare); or ``"perplexity"``, on a log axis of its own in each cell. Without
        a baseline it is the perplexity.
    level_unit, columns
        As in `results_table`.
    width
        Pixels for the columns of models. Models that do not fit side by side go into further blocks below.
    select
        Name of the selection that a click on the legend makes (to link charts, or to put two summaries into one).

    Returns
    -------
    altair.VConcatChart
        Four panels, a column per model: perplexity at each stage (a row per level), recovery by level, the effect of
        pruning against that of fine-tuning, and the final change by strategy and level.

    Raises
    ------
    DataError, KindError
        What `results_table` raises; models or strategies that are not there; more than 24 of either.

    Notes
    -----
    Reading it: a strategy has one colour and one shape everywhere. Dots are means over seeds, lines reach from the least to
    the greatest seed. Recovery of 100 % is the baseline regained, more is better than the baseline; it is undefined
    (hollow, at the foot) where pruning did not hurt. In the third panel, points below the dotted line end better than the
    baseline. What is so far out that it would flatten the rest stands at the edge with its number, a cross is NaN or
    infinite: nothing is left out. ``†``: not fine-tuned, so the change is that of the pruned model.

    Examples
    --------
    >>> import headspec
    >>> runs = [("entropy", 40.0, 25.0), ("random", 60.0, 30.0)]
    >>> chart = headspec.plot_experiment_summary(
    ...     {
    ...         "strategy": [name for name, _, _ in runs],
    ...         "pruning_level": [0.3, 0.3],
    ...         "Baseline Perplexity": [20.0, 20.0],
    ...         "Pruned Perplexity": [pruned for _, pruned, _ in runs],
    ...         "Fine-tuned Perplexity": [tuned for _, _, tuned in runs],
    ...     }
    ... )
    >>> print(headspec.summary(chart))
    Pruning experiment. 2 strategies (entropy and random); 1 level (30 %); one run each. Perplexity: baseline 20, pruned 40 to 60, fine-tuned 25 to 30. Recovery: 75 %. Pruning hurt and fine-tuning repaired in 2 of 2. Final change of perplexity: 25 to 50 %; worst random, best entropy.
    """
    if stages not in ("change", "perplexity"):
        raise DataError(f'stages is {stages!r}; choose "change" or "perplexity"')
    everything = read_runs(results_df, level_unit=level_unit, columns=columns)
    groups = group_runs(_chosen(everything, models, strategies), palette=everything.labels["strategy"])
    layout = lay_out(groups, width)
    view = look(groups, layout, select, stages=stages)
    frames = [packed(groups, view, models) for models in layout.blocks]
    leads = next((panel for panel in ("stages", "recovery") if not absent(groups, panel)), "")
    owner = f"view_{digest(*(frame.to_dict('list') for frame in frames), view.select, width, title)}_0"
    blocks = [_block(groups, view, frame, leads if not place else "", owner) for place, frame in enumerate(frames)]
    notes = summary_notes(groups, view, layout)
    page = blocks[0] if len(blocks) == 1 else filled(alt.VConcatChart(), vconcat=blocks, spacing=22, resolve=_own())
    if leads:
        page.params = [selection(parts.legend_filter(view.select, "strategy"), owner)]
    text = sentence(clean(title or "Pruning experiment"), *summary_text(groups), said(notes))
    return filled(page, title=parts.heading(title or "Pruning experiment", notes, width=layout.width), description=text)


def _chosen(runs: Runs, models: Sequence[str] | None, strategies: Sequence[str] | None) -> Runs:
    if models is not None:
        runs = runs.choose("model", models, argument="models")
    if strategies is not None:
        runs = runs.choose("strategy", strategies, argument="strategies")
    for key in ("model", "strategy"):
        if len(runs.labels[key]) > MOST:
            plural = {"model": "models", "strategy": "strategies"}[key]
            raise DataError(
                f"results has {len(runs.labels[key]):,} {plural}; a summary holds at most {MOST}: choose some with {plural}=[…] "
                f"({listing(runs.labels[key], limit=4)})"
            )
    return runs


def _block(groups: Groups, view: View, frame: pd.DataFrame, leads: str, owner: str) -> alt.VConcatChart:
    """Return the panels of a block of models; a panel that has nothing to show for any model says so."""
    panels: list[Any] = []
    named = False
    for panel, draw, what in _PANELS:
        if reason := absent(groups, panel):
            panels.append(_placeholder(f"{what}: {reason} in the results", view.cell))
        else:
            panels.append(draw(Section(frame, not named, leads, owner, view)))
            named = True
    # Vega-Lite merges equal data with equal steps, and loses the facets of one of two charts of the same table
    steps = [flatten(*list_columns(frame)), *calculate(_chart=f"'{owner}'")]
    return filled(alt.VConcatChart(data=frame), transform=steps, vconcat=panels, spacing=18, resolve=_own())


def _own() -> alt.Resolve:
    """Keep each panel's scales to itself: beside another chart none is shared, and offsets fit bands of other widths."""
    return independent("scale", "color", "fill", "shape", "size", "xOffset")


_PANELS: tuple[tuple[str, Any, str], ...] = (
    ("stages", stages_panel, "Perplexity at each stage"),
    ("recovery", recovery_panel, "Recovery"),
    ("effects", effects_panel, "Effect of pruning against effect of fine-tuning"),
    ("final", final_panel, "Final change"),
)


def _placeholder(text: str, width: int) -> Any:
    words = {"style": "headspec-muted", "align": "left", "fontSize": 11}
    marks = unit("text", steps=[one_row()], mark=words, x=pixel(0), y=pixel(12), text=pixel(text))
    return layers(marks, width=width, height=24)
