"""Training over time: losses, head events, sparsity and perplexity on one step axis."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import kind_of
from headspec.charts import parts
from headspec.charts.specs import filled, independent, layers
from headspec.charts.training_axes import FOOT, AxisType, ValueAxis, value_axis
from headspec.charts.training_panels import Shared, events_panel, line_panel
from headspec.charts.training_rows import (
    Line,
    beyond_frame,
    crowded,
    epochs_frame,
    events_frame,
    gaps_frame,
    lines_frame,
    panel_of,
    step_domain,
    thin,
)
from headspec.charts.training_words import absent, not_numbers, out_of_reach, reduced, training_text
from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.tables.events import EVENTS, events_per_step, events_table
from headspec.tables.history import History, Series, read_history
from headspec.tables.history_cells import HEAD_COUNTS
from headspec.tables.history_forms import DEFAULT_RUN
from headspec.tables.history_totals import changes_of_totals
from headspec.text import clean, count, listing

_ORDER = ("loss", "heads", "sparsity", "perplexity")
_HEIGHTS = {"loss": 1.0, "heads": 0.5, "sparsity": 0.45, "perplexity": 0.7}
_OTHERS = 6
_LOOKS = ("color", "stroke", "fill", "shape", "size", "strokeDash")


def visualize_training_progress(
    metrics_history: Any,
    max_display_points: int | None = 100,
    show_perplexity: bool = True,
    *,
    title: str | None = None,
    events: Any = None,
    metrics: Sequence[str] | None = None,
    scales: Mapping[str, Literal["linear", "log"]] | None = None,
    run: str | None = None,
    step: str = "step",
    epoch: str = "epoch",
    width: int = 560,
    height: int = 160,
    zoom: str = "step_zoom",
) -> alt.VConcatChart:
    """Show how training went and what pruning did to it: losses, head events, sparsity and perplexity over the steps.

    Parameters
    ----------
    metrics_history
        A dict of lists with ``step``, ``train_loss`` and so on, the log of a trainer, a dataframe, or ``{run: history}`` for
        several runs (see `history_table`).
    max_display_points
        Points that a line may take. A longer series keeps its first, last, least and greatest value, the ends of its
        gaps, and the minimum and maximum of as many equal spans of steps as the rest allows; counts of heads are summed
        per span. None draws four points per pixel column, which looks much like drawing all.
    show_perplexity
        Whether to show the perplexity.
    title
        The chart's title.
    events
        Prune and revive events (see `events_table`), instead of the counts in the history; ``{run: events}`` for several
        runs.
    metrics
        The metrics to draw, in this order; by default those whose names say loss, sparsity or perplexity, with
        ``pruned_heads`` and ``revived_heads``. Losses share a panel. Counts of pruned heads are those of each row; one that
        is proportional to a sparsity in every row that counts them is taken for the heads pruned so far, and its changes drawn.
    scales
        ``{"loss": "log"}``: the axis of a panel (``"loss"``, ``"sparsity"``, ``"perplexity"`` or another metric), where it is
        not to be decided by the data. A forced linear axis reaches every value.
    run, step, epoch
        As in `history_table`.
    width, height
        Pixels of the panels; the height is that of the losses, to which the others are in proportion.
    zoom
        The name of the zoom along the steps. Charts with the same name zoom together.

    Returns
    -------
    altair.VConcatChart
        One panel per kind of metric with aligned step axes; works under ``|``, ``&`` and ``.properties``.

    Raises
    ------
    DataError, KindError
        No step, nothing measured, too few points for the extremes and gaps of a series (the message says the least
        number), a metric that is not there.

    Notes
    -----
    Reading it: a bar below the line counts heads pruned, one above it heads revived; it stands at the first step that it
    counts, its shade reaches to the last. Faint rules (ticks at the foot where they are many) carry these steps through the
    other panels: does the loss answer? Dotted rules are the first measured steps of epochs. Dots mark what is measured now
    and then. A slashed circle at the top of a panel is NaN or infinite from there on, a triangle at an edge a value beyond
    the axis, its extreme in numbers; the shade behind either reaches to its last step.

    Axes are linear, but for a perplexity that spans a factor of ten. Values more than twenty interquartile ranges outside
    the middle half of a panel lie beyond its axis, unless a log axis suits them all; `scales` overrules this.

    Drag or turn the wheel to zoom along the steps, which shows the points kept, no more; click a legend entry to pick a
    line. Values are drawn to six significant digits, more where a range is small beside
    its values.

    Examples
    --------
    >>> import headspec
    >>> history = {"step": [0, 10, 20, 30], "train_loss": [3.0, 2.5, 2.8, 2.25], "pruned_heads": [0, 0, 3, 0]}
    >>> chart = headspec.visualize_training_progress(history)
    >>> headspec.summary(chart)
    'Training over steps 0 to 30. train_loss from 3 to 2.25, lowest 2.25 at step 30. 3 prunings of heads at step 20. Note: perplexity was not measured.'
    """
    _check_arguments(max_display_points, width, height)
    history = read_history(metrics_history, run=run, step=step, epoch=epoch)
    runs = list(dict.fromkeys(item.run for item in history.series))
    named = _event_tables(events, history, runs)
    series, totals = changes_of_totals(history.series, but=named)
    series = series if events is None else _with_events(series, named)
    chosen, left = _choose(series, metrics, show_perplexity)
    domain = step_domain([item for items in chosen.values() for item in items], width)
    lines = [
        thin(item, panel, max_display_points, width, domain)
        for panel, items in chosen.items()
        if panel != "heads"
        for item in items
    ]
    gaps = gaps_frame(lines, width, domain)
    counts = chosen.get("heads", [])
    bars, at_steps = events_frame(counts, named, max_display_points, width, domain)
    axes = _axes(lines, gaps, dict(scales or {}), height, FOOT if crowded(bars) and len(runs) == 1 else 0)
    epochs, epochs_note = epochs_frame(history.series, width, domain)
    beyond = beyond_frame(lines, axes, width, domain)
    whole = all(item.step.dtype.kind == "i" for items in chosen.values() for item in items)
    shared = Shared(width, domain, axes, lines_frame(lines), gaps, beyond, bars, epochs, runs, zoom, whole)
    thinned = [*reduced(lines, bars, at_steps, max_display_points), epochs_note]
    rest = [
        *_totals_note(totals, runs),
        *out_of_reach(beyond),
        *absent(chosen, bars, left, show_perplexity and metrics is None),
    ]
    notes = [*thinned, *not_numbers(lines), *rest]
    heading = parts.heading(title if title is not None else _title(runs), notes, width=width)
    text = training_text(runs, lines, counts, named, epochs, [*thinned, *rest])
    return filled(_stack(shared, chosen, lines, height), title=heading, description=text)


def _check_arguments(max_points: int | None, width: int, height: int) -> None:
    for name, value, least in (("max_display_points", max_points, 1), ("width", width, 50), ("height", height, 40)):
        if value is None and name == "max_display_points":
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise KindError(f"{name} is {kind_of(value)}; expected a whole number")
        if value < least:
            raise DataError(f"{name}={value} is too small; give {least} or more")


def _title(runs: Sequence[str]) -> str:
    if len(runs) == 1 and runs[0] != DEFAULT_RUN:
        return f"Training progress: {runs[0]}"
    return "Training progress" if len(runs) == 1 else f"Training progress of {count(len(runs), 'run')}"


def _height(panel: str, height: int) -> int:
    return max(round(height * _HEIGHTS.get(panel, 0.7)), 40)


def _stack(shared: Shared, chosen: Mapping[str, list[Series]], lines: list[Line], height: int) -> alt.VConcatChart:
    """Return the panels, one below the other, with the step axis under the last."""
    panels = [panel for panel in chosen if panel != "heads" or len(shared.events)]
    if not panels:
        raise DataError(
            "metrics_history counts pruned and revived heads, all of them 0, and holds nothing else to draw"
        )
    charts: list[alt.LayerChart] = []
    for place, panel in enumerate(panels):
        last, tall = place == len(panels) - 1, _height(panel, height)
        if panel == "heads":
            charts.append(events_panel(shared, tall, place=place, last=last))
        else:
            mine = [line for line in lines if line.panel == panel]
            owner = panel == next(name for name in panels if name != "heads")
            charts.append(line_panel(shared, panel, mine, tall, place=place, last=last, owner=owner))
    return _stacked(charts)


def _stacked(panels: Sequence[alt.LayerChart]) -> alt.VConcatChart:
    """Return the panels, one below the other, sharing the zoom and no other scale."""
    params: dict[str, Any] = {}
    inner = []
    for panel in panels:
        own: Any = panel.params
        for param in own:
            known = params.setdefault(param.name, param)
            if known is not param:
                known.views = [*known.views, *param.views]
        size = {"width": panel.width, "height": panel.height}
        inner.append(filled(layers(*panel.layer, **size), resolve=panel.resolve))
    own_looks = independent("scale", *_LOOKS)
    return filled(alt.VConcatChart(), vconcat=inner, params=list(params.values()), spacing=8, resolve=own_looks)


def _axes(
    lines: list[Line], gaps: pd.DataFrame, forced: dict[str, AxisType], height: int, foot: int
) -> dict[str, ValueAxis]:
    panels = list(dict.fromkeys(line.panel for line in lines))
    for panel, kind in forced.items():
        if panel not in panels:
            raise DataError(f"scales names {clean(panel)!r}; the panels are {listing(panels)}")
        if kind not in ("linear", "log"):
            raise DataError(f"scales[{panel!r}] is {clean(repr(kind))}; expected 'linear' or 'log'")
    axes = {}
    for panel in panels:
        mine = [line for line in lines if line.panel == panel]
        lanes = int(gaps.loc[gaps["panel"] == panel, "_lane"].nunique()) if len(gaps) else 0
        if forced.get(panel) == "log" and not any((line.value > 0).any() for line in mine):
            raise DataError(f"scales={{{panel!r}: 'log'}} needs positive values; {panel} has none")
        values = np.concatenate([line.value for line in mine])
        axes[panel] = value_axis(
            values, panel, _height(panel, height), lanes=lanes, forced=forced.get(panel), foot=foot
        )
    return axes


def _choose(
    series: list[Series], metrics: Sequence[str] | None, show_perplexity: bool
) -> tuple[dict[str, list[Series]], list[str]]:
    """Return the series of each panel, in the order of the panels, and the metrics that are not drawn."""
    there = list(dict.fromkeys(item.metric for item in series))
    if isinstance(metrics, str):
        raise KindError(f"metrics is text; expected a list: metrics=[{clean(metrics)!r}]")
    if metrics is not None:
        wanted = [clean(name) for name in metrics]
        lost = [name for name in wanted if name not in there]
        if lost or not wanted:
            raise DataError(
                f"metrics names {listing(lost) or 'nothing'}; metrics_history has {listing(there, limit=20)}"
            )
        order = list(dict.fromkeys(panel_of(name) for name in wanted))
    else:
        wanted = [
            name for name in there if panel_of(name) in _ORDER and (show_perplexity or panel_of(name) != "perplexity")
        ]
        wanted = wanted or [name for name in there if panel_of(name) != "perplexity"][:_OTHERS]
        wanted = wanted or there
        known = {panel_of(name) for name in wanted}
        order = [panel for panel in _ORDER if panel in known] or [panel_of(name) for name in wanted]
    chosen: dict[str, list[Series]] = {panel: [] for panel in order}
    for name in dict.fromkeys(wanted):
        chosen[panel_of(name)] += [item for item in series if item.metric == name]
    left = [name for name in there if name not in wanted and (show_perplexity or panel_of(name) != "perplexity")]
    return chosen, left


def _totals_note(totals: Sequence[str], runs: Sequence[str]) -> list[str]:
    """Say of which runs the changes of a running total are drawn."""
    whose = f" of {listing(totals)}" if len(runs) > 1 else ""
    return (
        [f"pruned_heads{whose} follows the sparsity: a running total, of which the changes are drawn"] if totals else []
    )


def _event_tables(events: Any, history: History, runs: list[str]) -> dict[str, pd.DataFrame]:
    """Return the events of each run whose heads are named, by the caller or by the history."""
    if events is None:
        return {
            name: events_table([row for at, metric, pairs in rows for row in _rows(at, metric, pairs)])
            for name, rows in history.pairs.items()
        }
    if isinstance(events, Mapping) and events and all(clean(key) in runs for key in events):
        return {clean(name): events_table(part) for name, part in events.items()}
    if len(runs) > 1:
        raise DataError(f"events does not say which run it is of; give {{run: events}} for the runs {listing(runs)}")
    return {runs[0]: events_table(events)}


def _rows(at: float, metric: str, pairs: list[tuple[int, int]]) -> list[tuple[float, int, int, str]]:
    event = EVENTS[HEAD_COUNTS.index(metric)]
    return [(at, layer, head, event) for layer, head in pairs]


def _with_events(series: list[Series], tables: dict[str, pd.DataFrame]) -> list[Series]:
    """Return the series with the counts of events in place of their own; a warning says where the two disagree."""
    kept = [item for item in series if not (item.metric in HEAD_COUNTS and item.run in tables)]
    for name, table in tables.items():
        counted = events_per_step(table)
        for metric in HEAD_COUNTS:
            value = counted[metric].to_numpy(np.float64)
            own = sum(np.nansum(item.value) for item in series if item.run == name and item.metric == metric)
            has_own = any(item.run == name and item.metric == metric for item in series)
            if has_own and own != value.sum():
                warnings.warn(
                    f"metrics_history counts {own:g} {metric}, events {value.sum():g}; the events are drawn",
                    HeadspecWarning,
                    stacklevel=3,
                )
            if len(value):
                kept.append(Series(name, metric, counted["step"].to_numpy(), value, None))
    return kept
