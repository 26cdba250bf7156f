"""Pruning strategies side by side: their perplexities, and how much of the damage was repaired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.charts import parts
from headspec.charts.describe import sentence
from headspec.charts.ranges import Range, robust, span_text
from headspec.charts.strategy_frame import (
    Chosen,
    arranged,
    as_frame,
    cell,
    choose,
    extremes,
    named_title,
    room_for_labels,
    said,
    spread_note,
    spread_of,
)
from headspec.charts.strategy_parts import clamped, figures, spread_rules, tooltip_of
from headspec.errors import DataError
from headspec.tables.result_columns import STAGES
from headspec.tables.result_runs import percent
from headspec.tables.result_shapes import LevelUnit
from headspec.text import clean, count, listing

STAGE_COLOURS = {"baseline": "#8A8F98", "pruned": parts.STATE_COLOURS["pruned"], "fine_tuned": "#3A86D1"}
STAGE_SHAPES = {"baseline": "square", "pruned": "triangle-down", "fine_tuned": "circle"}
HUGE = 30.0
"""Perplexities that differ by more than this factor are dots on a log axis: the small bars would be lines."""
Axis = Literal["auto", "linear", "log"]


def plot_strategy_comparison(
    comparison_df: Any,
    strategies: Sequence[str] | None = None,
    model_name: str | None = None,
    pruning_level: float | str | None = None,
    *,
    title: str | None = None,
    scale: Axis = "auto",
    level_unit: LevelUnit = "auto",
    columns: Mapping[str, str] | None = None,
    width: int = 420,
    select: str = "stage_filter",
) -> alt.LayerChart | alt.VConcatChart:
    """Show which pruning strategy leaves the best perplexity, before and after fine-tuning.

    Parameters
    ----------
    comparison_df
        Results in any form that `results_table` reads: a row per stage, or a row per comparison.
    strategies
        Which to show, in this order; by default all, in the order given.
    model_name, pruning_level
        Where the table has several models or levels: which to show. Where it has no such column: what to call them. A level
        is a share (0.3), percent (30) or text (``"30 %"``).
    title
        The chart's title.
    scale
        ``"linear"`` draws bars from 0, ``"log"`` dots on a log axis (a bar needs a zero). ``"auto"``: dots if the ordinary
        perplexities differ by more than a factor of 30.
    level_unit, columns
        As in `results_table`.
    width
        Pixels of a panel.
    select
        Name of the selection that a click on the legend makes.

    Returns
    -------
    altair.LayerChart or altair.VConcatChart
        One panel for one model at one level; else a concat that holds a facet with a panel for each.

    Raises
    ------
    DataError, KindError
        What `results_table` raises; strategies, models or levels that are not there; no perplexity; more than 36 panels.

    Notes
    -----
    Reading it: for each strategy, from top to bottom, the baseline, the pruned and the fine-tuned model; shorter is better.
    The number is the mean over seeds, the line reaches from the least to the greatest. A perplexity far beyond the others
    ends at the edge, with an arrow before its number; ``NaN`` and ``∞`` stand where the bar would.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.plot_strategy_comparison(
    ...     {
    ...         "Strategy": ["entropy", "random"],
    ...         "Baseline Perplexity": [20.0, 20.0],
    ...         "Pruned Perplexity": [40.0, 60.0],
    ...         "Fine-tuned Perplexity": [25.0, 30.0],
    ...     },
    ...     ["entropy", "random"],
    ...     "gpt2",
    ...     0.3,
    ... )
    >>> print(headspec.summary(chart))
    Perplexity by strategy: gpt2, 30 % pruned. 2 strategies (entropy and random). Baseline 20; pruned 40 to 60; fine-tuned 25 to 30. Fine-tuned: best entropy, worst random. Bars from top to bottom: baseline, pruned, fine-tuned.
    """
    if scale not in ("auto", "linear", "log"):
        raise DataError(f'scale is {scale!r}; choose "auto", "linear" or "log"')
    chosen = choose(comparison_df, strategies, model_name, pruning_level, level_unit=level_unit, columns=columns)
    spreads = chosen.groups.spreads
    if not any(spreads[stage].measured.any() for stage in STAGES):
        raise DataError(
            "results has no perplexity, only what follows from it; plot_recovery_comparison draws recovery and improvement"
        )
    stages = [stage for stage in STAGES if spreads[stage].measured.any()]
    ends, log = _axis_of(chosen, scale)
    frame = _stage_rows(chosen, stages)
    notes = _stage_notes(chosen, stages, ends, log)
    heading = named_title(title, "Perplexity by strategy", chosen)
    panel = _stage_panel(frame, chosen, stages, ends, log, width if chosen.single else max(200, width * 2 // 3), select)
    chart = arranged(panel, chosen).properties(
        title=parts.heading(heading, notes, width=width),
        description=sentence(clean(heading), *_stage_text(chosen, stages), said(notes)),
    )
    assert isinstance(chart, (alt.LayerChart, alt.VConcatChart))
    return chart


def _axis_of(chosen: Chosen, scale: Axis) -> tuple[Range, bool]:
    """Return the ends of the perplexity axis, and whether it is logarithmic."""
    spreads = [chosen.groups.spreads[stage] for stage in STAGES]
    means = np.concatenate([spread.mean for spread in spreads])
    whole = np.concatenate([means, *(spread.low for spread in spreads), *(spread.high for spread in spreads)])
    if not np.isfinite(means).any():
        return Range(0.0, 1.0, 0), False
    # what is out of range is judged on the log scale for both kinds of axis: perplexities multiply
    logs = robust(np.log10(whole), keep=4.0, factor=2.0)
    ordinary = robust(np.log10(means), keep=4.0, factor=2.0)
    log = scale == "log" or (scale == "auto" and 10.0 ** (ordinary.high - ordinary.low) > HUGE)
    return Range(10.0**logs.low if log else 0.0, 10.0**logs.high, logs.outside), log


def _stage_rows(chosen: Chosen, stages: list[str]) -> pd.DataFrame:
    rows = []
    for row in range(len(chosen.groups)):
        for stage in stages:
            if chosen.groups.spreads[stage].measured[row]:
                rows.append({**cell(chosen, row), "stage": stage, **spread_of(chosen, stage, row)})
    return as_frame(chosen, rows)


def _stage_panel(
    frame: pd.DataFrame, chosen: Chosen, stages: list[str], ends: Range, log: bool, width: int, select: str
) -> Any:
    """Return bars from 0, or dots on a log axis, with the spread over seeds and the mean in figures."""
    strategies = chosen.groups.strategies
    if log:
        low, high = np.log10(ends.low), np.log10(ends.high)
        low, high = room_for_labels(low, high + 1e-9, width, left=12, right=56)
        scale = alt.Scale(type="log", domain=[float(f"{10.0**low:.6g}"), float(f"{10.0**high:.6g}")], nice=False)
    else:
        scale = alt.Scale(domain=[0, float(f"{room_for_labels(0, ends.high, width, right=56)[1]:.6g}")], nice=False)
    axis = alt.Axis(tickCount=max(width // 70, 3), format=",.3~r" if not log or ends.high < 1e5 else "~g")
    x = alt.X("_mean:Q", scale=scale, axis=axis, title="Perplexity" + (" (log)" if log else ""), stack=None)
    y = alt.Y("strategy:N", scale=alt.Scale(domain=strategies), title=None, axis=alt.Axis(labelLimit=180))
    offset = alt.YOffset("stage:N", scale=alt.Scale(domain=stages))
    legend = alt.Legend(title="Stage", labelExpr="replace(datum.value, '_', '-')")
    colour = alt.Color(
        "stage:N", legend=legend, scale=alt.Scale(domain=stages, range=[STAGE_COLOURS[s] for s in stages])
    )
    shape = alt.Shape("stage:N", legend=legend, scale=alt.Scale(domain=stages, range=[STAGE_SHAPES[s] for s in stages]))
    faded = alt.when(alt.param(name=select)).then(alt.value(1)).otherwise(alt.value(0.15))
    seen = {"y": y, "yOffset": offset, "opacity": faded}
    known = alt.Chart().transform_filter("isValid(datum.mean)")
    marks: Any = known.mark_point(filled=True, size=60) if log else known.mark_bar()
    marks = marks.encode(
        x=x, color=colour, tooltip=tooltip_of(frame, "stage"), **seen, **({"shape": shape} if log else {})
    )
    labels, spreads = figures(frame, seen, f"{ends.high:.6g}", None), spread_rules(seen)
    chart: Any = alt.layer(marks.add_params(parts.legend_filter(select, "stage")), spreads, *labels, data=frame)
    chart = chart.transform_calculate(**clamped(None, f"{ends.high:.6g}"))
    height = len(strategies) * (15 * len(stages) + 10)
    return chart.properties(width=width, height=height)


def _stage_notes(chosen: Chosen, stages: list[str], ends: Range, log: bool) -> list[str]:
    form = "dots on a log axis, as they differ too much for bars" if log else "bars from top to bottom"
    return [
        f"{form}: {', '.join(stage.replace('_', '-') for stage in stages)}",
        spread_note(chosen, "dots" if log else "bars"),
        "→ is far beyond the others" if ends.outside else "",
        _lost_note(chosen, STAGES),
        *chosen.groups.notes,
    ]


def _lost_note(chosen: Chosen, names: Sequence[str]) -> str:
    lost = sum(int((chosen.groups.spreads[name].nan + chosen.groups.spreads[name].infinite).sum()) for name in names)
    return f"{count(lost, 'value')} NaN or infinite, not in the means" if lost else ""


def _stage_text(chosen: Chosen, stages: list[str]) -> list[str]:
    found = [f"{stage.replace('_', '-')} {span_text(chosen.groups.spreads[stage].mean)}" for stage in stages]
    last = stages[-1]
    best = extremes(chosen, last, "worst", "best", high_is_worse=True)
    return [
        _who(chosen),
        "; ".join(found).capitalize(),
        f"{last.replace('_', '-').capitalize()}: {best}" if best else "",
    ]


def _who(chosen: Chosen) -> str:
    strategies = chosen.groups.strategies
    words = [f"{count(len(strategies), 'strategy', 'strategies')} ({listing(strategies)})"]
    if len(chosen.models) > 1:
        words.append(f"{count(len(chosen.models), 'model')} ({listing(chosen.models, limit=6)})")
    if len(chosen.levels) > 1:
        words.append(
            f"{count(len(chosen.levels), 'level')} ({listing([percent(level) for level in chosen.levels], limit=6)})"
        )
    return "; ".join(words)


# recovery ----------------------------------------------------------------------------------------------------------


def plot_recovery_comparison(
    comparison_df: Any,
    strategies: Sequence[str] | None = None,
    model_name: str | None = None,
    pruning_level: float | str | None = None,
    *,
    title: str | None = None,
    level_unit: LevelUnit = "auto",
    columns: Mapping[str, str] | None = None,
    width: int = 300,
) -> alt.HConcatChart:
    """Show which strategy fine-tuning repairs best: recovery of the damage, and improvement over the baseline.

    Parameters
    ----------
    comparison_df, strategies, model_name, pruning_level, level_unit, columns
        As in `plot_strategy_comparison`.
    title
        The chart's title.
    width
        Pixels of a panel.

    Returns
    -------
    altair.HConcatChart
        Recovery on the left, improvement on the right, each with an axis of its own: they have different denominators. A
        table with several models or levels gets a row of panels for each.

    Raises
    ------
    DataError, KindError
        What `results_table` raises; strategies, models or levels that are not there; neither recovery nor improvement;
        more than 36 panels.

    Notes
    -----
    Reading it: recovery of 100 % (dashed) is the baseline regained, 0 no repair, below 0 worse than after pruning alone;
    where pruning did not hurt there is nothing to recover. Improvement above 0 is better than the baseline. Values far
    beyond the others end at the edge, with an arrow before their number.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.plot_recovery_comparison(
    ...     {"Strategy": ["entropy", "random"], "Recovery %": [75.0, 60.0], "Improvement %": [-25.0, -40.0]}
    ... )
    >>> print(headspec.summary(chart))
    Recovery and improvement by strategy. 2 strategies (entropy and random). Recovery 60 to 75 %; highest entropy, lowest random. Improvement −40 to −25 %; highest entropy, lowest random.
    """
    chosen = choose(comparison_df, strategies, model_name, pruning_level, level_unit=level_unit, columns=columns)
    spreads, unhurt = chosen.groups.spreads, bool((chosen.groups.unhurt > 0).any())
    there = {"recovery": unhurt or bool(spreads["recovery"].measured.any())}
    there["improvement"] = bool(spreads["improvement"].measured.any())
    if not any(there.values()):
        raise DataError(
            "results has neither recovery nor improvement, nor the perplexities that give them: recovery needs baseline, "
            "pruned and fine-tuned, improvement needs baseline and fine-tuned"
        )
    panels, outside = [], 0
    for metric, (name, formula) in _FORMULAS.items():
        if not there[metric]:
            panels.append(_nothing(f"{name}: not in the results", width))
            continue
        keep, anchors = (400.0, (0.0, 100.0)) if metric == "recovery" else (100.0, (0.0,))
        spread = spreads[metric]
        values = np.concatenate([spread.mean, spread.low, spread.high])
        ends = _with_stubs(robust(values, keep=keep, anchors=anchors, factor=10.0), values)
        outside += ends.outside
        panels.append(_share_panel(chosen, metric, name, formula, ends, width, named=not panels))
    notes = [
        spread_note(chosen, "bars"),
        "→ and ← are far beyond the others" if outside else "",
        _lost_note(chosen, ("recovery", "improvement")),
        *chosen.groups.notes,
    ]
    heading = named_title(title, "Recovery and improvement by strategy", chosen)
    chart: Any = alt.hconcat(*panels, spacing=28).resolve_scale(color="independent")
    chart = chart.properties(
        title=parts.heading(heading, notes, width=2 * width),
        description=sentence(clean(heading), *_share_text(chosen, there), said(notes)),
    )
    assert isinstance(chart, alt.HConcatChart)
    return chart


_FORMULAS = {
    "recovery": ("Recovery, %", "100 · (pruned − fine-tuned) / (pruned − baseline)"),
    "improvement": ("Improvement, %", "100 · (baseline − fine-tuned) / baseline"),
}


def _with_stubs(ends: Range, values: npt.NDArray[np.float64]) -> Range:
    """Return the ends with a length of bar to show on each side that holds values too far out."""
    stub = 0.12 * (ends.high - ends.low)
    low = min(ends.low, -stub) if bool((values < ends.low).any()) else ends.low
    high = max(ends.high, stub) if bool((values > ends.high).any()) else ends.high
    return Range(low, high, ends.outside)


def _nothing(text: str, width: int) -> Any:
    words = alt.Chart(alt.InlineData([{}])).mark_text(style="headspec-muted", align="left", fontSize=11)
    return words.encode(x=alt.value(0), y=alt.value(12), text=alt.value(text)).properties(width=width, height=24)


def _share_rows(chosen: Chosen, metric: str) -> pd.DataFrame:
    rows = []
    for row in range(len(chosen.groups)):
        found = {**cell(chosen, row), "metric": metric, **spread_of(chosen, metric, row), "undefined": None}
        if metric == "recovery" and chosen.groups.unhurt[row]:
            found["undefined"] = "undefined: pruning did not hurt"
        elif not chosen.groups.spreads[metric].measured[row]:
            found["undefined"] = "not measured"
        rows.append(found)
    return as_frame(chosen, rows)


def _share_panel(chosen: Chosen, metric: str, name: str, formula: str, ends: Range, width: int, *, named: bool) -> Any:
    """Return bars of a percentage to both sides of 0."""
    frame, strategies = _share_rows(chosen, metric), chosen.groups.strategies
    low, high = room_for_labels(
        ends.low, ends.high, width, left=64 if ends.low < 0 else 4, right=52 if ends.high > 0 else 4
    )
    scale = alt.Scale(domain=[float(f"{low:.6g}"), float(f"{high:.6g}")], nice=False)
    colours, _ = parts.category_scales(chosen.groups.palette)
    axis = alt.Axis(labelLimit=180) if named else alt.Axis(labels=False, ticks=False)
    seen = {"y": alt.Y("strategy:N", scale=alt.Scale(domain=strategies, paddingInner=0.35), title=None, axis=axis)}
    x = alt.X("_mean:Q", scale=scale, axis=alt.Axis(tickCount=max(width // 60, 3)), title=None, stack=None)
    known = alt.Chart().transform_filter("isValid(datum.mean)")
    colour = alt.Color("strategy:N", scale=colours, legend=None)
    bars = known.mark_bar().encode(x=x, color=colour, tooltip=tooltip_of(frame), **seen)
    one = alt.Chart().transform_sample(1)  # whichever row: these rules hold constants
    rules = [one.mark_rule(style="headspec-rule", aria=False).encode(x=alt.datum(0))]
    if metric == "recovery" and low <= 100 <= high:
        rules.append(one.mark_rule(style="headspec-rule", strokeDash=[4, 3], aria=False).encode(x=alt.datum(100)))
    edges = (f"{ends.high:.6g}", f"{ends.low:.6g}")
    chart: Any = alt.layer(bars, *rules, spread_rules(seen), *figures(frame, seen, *edges), data=frame)
    chart = chart.transform_calculate(**clamped(edges[1], edges[0]))
    chart = chart.properties(width=width, height=max(24 * len(strategies), 40))
    heading = alt.TitleParams(text=name, subtitle=formula, fontSize=12, anchor="start", offset=6)
    return arranged(chart, chosen, columns=1).properties(title=heading)


def _share_text(chosen: Chosen, there: Mapping[str, bool]) -> list[str]:
    pieces = [_who(chosen)]
    for metric, (name, _) in _FORMULAS.items():
        if there[metric]:
            best = extremes(chosen, metric, "lowest", "highest", high_is_worse=False)
            text = f"{name.split(',')[0]} {span_text(chosen.groups.spreads[metric].mean, ' %')}"
            pieces.append("; ".join(piece for piece in (text, best) if piece))
    unhurt = int(chosen.groups.unhurt.sum())
    if unhurt:
        pieces.append(f"Recovery is undefined in {count(unhurt, 'run')}, where pruning did not hurt")
    return pieces
