"""What the two comparisons of strategies share: the chosen groups, their rows, panels and words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts.ranges import significant
from headspec.charts.summary_words import group_name, seeds_text
from headspec.errors import DataError
from headspec.tables.result_derive import read_runs
from headspec.tables.result_groups import Groups, group_runs
from headspec.tables.result_runs import Runs, percent
from headspec.tables.result_shapes import LevelUnit
from headspec.text import clean, count, listing

MOST = 36
"""Panels (a model at a level) that one comparison holds."""


class Chosen(NamedTuple):
    """The groups to compare, and what the arguments say about them."""

    groups: Groups
    labels: list[str]
    models: list[str]
    levels: list[float]

    @property
    def single(self) -> bool:
        """Whether there is one panel."""
        return len(self.models) * len(self.levels) == 1


def choose(
    results: Any,
    strategies: Sequence[str] | str | None,
    model_name: str | None,
    pruning_level: float | str | None,
    *,
    level_unit: LevelUnit,
    columns: Mapping[str, str] | None,
) -> Chosen:
    """Read results and keep what is asked for; a model or level that the table does not tell apart is a label only.

    Raises
    ------
    DataError
        If a strategy, model or level is not there, or if more panels are left than can be drawn.
    """
    everything = read_runs(results, level_unit=level_unit, columns=columns)
    runs, labels = everything, []
    if strategies is not None:
        runs = runs.choose(
            "strategy", [strategies] if isinstance(strategies, str) else strategies, argument="strategies"
        )
    if model_name is not None:
        if runs.labels["model"]:
            runs = runs.choose("model", [model_name], argument="model_name")
        labels.append(clean(model_name))
    elif len(runs.labels["model"]) == 1:
        labels.append(runs.labels["model"][0])
    if pruning_level is not None:
        level = _share(pruning_level, everything)
        if runs.labels["pruning_level"]:
            runs = runs.choose("pruning_level", [level], argument="pruning_level")
        labels.append(f"{percent(level)} pruned")
    elif len(runs.labels["pruning_level"]) == 1:
        labels.append(f"{percent(runs.labels['pruning_level'][0])} pruned")
    groups = group_runs(runs, palette=everything.labels["strategy"])
    models, levels = groups.models or [""], groups.levels or [float("nan")]
    if len(models) * len(levels) > MOST:
        raise DataError(
            f"results has {count(len(models), 'model')} at {count(len(levels), 'level')}; one comparison holds at most {MOST} "
            f"panels: choose with model_name (there: {listing(models, limit=4)}) or pruning_level (there: "
            f"{listing([percent(level) for level in levels], limit=6)})"
        )
    return Chosen(groups, labels, models, levels)


def _share(level: float | str, runs: Runs) -> float:
    """Return a level given as a share, in percent, or as text (``30 %``), as a share that the table has if it has one."""
    text = str(level).strip()
    marked = text.endswith("%")
    try:
        value = float(text.rstrip("% "))
    except ValueError:
        raise DataError(f"pruning_level is {clean(repr(level))}; expected a share from 0 to 1, or percent") from None
    candidates = [value / 100] if marked or value > 1 else [value, value / 100]
    for candidate in candidates:
        for known in runs.labels["pruning_level"]:
            if abs(known - candidate) < 1e-9:
                return float(known)
    return candidates[0]


def cell(chosen: Chosen, row: int) -> dict[str, Any]:
    """Return the keys of a group as columns of a chart's frame."""
    groups = chosen.groups
    level = groups.levels[groups.level[row]] if groups.levels else float("nan")
    return {
        "model": groups.models[groups.model[row]] if groups.models else "",
        "strategy": groups.strategies[groups.strategy[row]],
        "pruning_level": significant(level, 9),
        "runs": int(groups.runs[row]),
    }


def spread_of(chosen: Chosen, name: str, row: int) -> dict[str, Any]:
    """Return the statistics of a quantity of a group as columns: mean, least, greatest, and what is not finite."""
    spread = chosen.groups.spreads[name]
    nan, infinite, finite = (int(part[row]) for part in (spread.nan, spread.infinite, spread.finite))
    what = "NaN" if not infinite else "∞" if not nan else "NaN, ∞"
    lost = (
        None if not nan + infinite else f"{what} in {nan + infinite} of {nan + infinite + finite}" if finite else what
    )
    return {
        "mean": significant(spread.mean[row], 6),
        "least": significant(spread.low[row], 6),
        "greatest": significant(spread.high[row], 6),
        "lost": lost,
    }


def panel_name(chosen: Chosen, model: str, level: float | None) -> str:
    """Return what stands over the panel of a model and level: what tells it from the others."""
    words = [model or "(no model)"] if len(chosen.models) > 1 else []
    if len(chosen.levels) > 1:
        words.append("no level" if level is None or level != level else f"{percent(level)} pruned")
    return " · ".join(words)


def panel_order(chosen: Chosen) -> list[str]:
    """Return the names of the panels in order."""
    return [panel_name(chosen, model, level) for model in chosen.models for level in chosen.levels]


def named_title(title: str | None, default: str, chosen: Chosen) -> str:
    """Return the title: the caller's, or the default with the model and level that all panels share."""
    return (
        title if title is not None else ": ".join([default, ", ".join(chosen.labels)] if chosen.labels else [default])
    )


def spread_note(chosen: Chosen, what: str) -> str:
    """Say what the marks stand for where there are seeds."""
    seeds = seeds_text(chosen.groups)
    return f"{what} are means, lines reach from the least to the greatest of {seeds}" if seeds else ""


def said(notes: Iterable[str]) -> str:
    """Return notes as one sentence."""
    text = "; ".join(note for note in notes if note)
    return text[:1].upper() + text[1:]


def extremes(chosen: Chosen, name: str, worst: str, best: str, *, high_is_worse: bool) -> str:
    """Name the groups with the greatest and the least mean of a quantity."""
    means = chosen.groups.spreads[name].mean
    finite = np.flatnonzero(np.isfinite(means))
    if len(finite) < 2 or means[finite].min() == means[finite].max():
        return ""
    top, bottom = int(finite[means[finite].argmax()]), int(finite[means[finite].argmin()])
    if not high_is_worse:
        top, bottom = bottom, top
    return f"{best} {group_name(chosen.groups, bottom)}, {worst} {group_name(chosen.groups, top)}"


def as_frame(chosen: Chosen, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a chart's frame: the panel first, an empty row for a panel that has none, no empty columns.

    A facet moves its panels up into places without rows, and a grid of models and levels would say the wrong level.
    """
    for row in rows:
        row["panel"] = panel_name(chosen, row["model"], row["pruning_level"])
    there = {row["panel"] for row in rows}
    rows += [
        {**rows[0], **dict.fromkeys(("mean", "least", "greatest", "lost", "undefined")), "panel": name}
        for name in panel_order(chosen)
        if name not in there
    ]
    frame = pd.DataFrame(rows)
    empty = [name for name in ("lost", "undefined") if name in frame and frame[name].isna().all()]
    return frame.drop(columns=empty if not chosen.single else [*empty, "panel"])


def arranged(chart: Any, chosen: Chosen, *, columns: int | None = None) -> Any:
    """Return the chart as it is for one panel, else a facet with a panel for each model and level.

    The scales are the chart's own beside other charts: a facet needs a concat around it for that, or each of its panels
    would have a legend.
    """
    own: Any = {"color": "independent", "shape": "independent"}
    if chosen.single:
        return chart.resolve_scale(**own)
    if columns is None:
        columns = len(chosen.levels) if min(len(chosen.models), len(chosen.levels)) > 1 else 3
    header = alt.Header(labelAnchor="start", labelLimit=400)
    facet = alt.Facet("panel:N", sort=panel_order(chosen), title=None, header=header)
    columns = min(columns, len(chosen.models) * len(chosen.levels))
    page: alt.VConcatChart = alt.vconcat(chart.facet(facet=facet, columns=columns)).resolve_scale(**own)
    return page


def room_for_labels(
    low: float, high: float, width: int, *, left: float = 0.0, right: float = 0.0
) -> tuple[float, float]:
    """Return the ends of an axis with pixels to spare beyond both for the numbers on the bars."""
    unit = (high - low) / max(width - left - right, 1)
    return low - left * unit, high + right * unit
