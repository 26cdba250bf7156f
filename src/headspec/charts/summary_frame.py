"""What the panels of a summary share: the groups that are drawn, as a packed frame, with ranges and sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from headspec.charts import parts
from headspec.charts.ranges import Bent, bent, robust, short_names, significant, span_text
from headspec.tables.result_columns import STAGES, Codes, Floats
from headspec.tables.result_groups import Groups, Spread
from headspec.text import listing

Stages = Literal["change", "perplexity"]
"""What the stages panel shows: the change from the baseline in percent, or the perplexity itself."""
GAP = 46
"""Pixels between columns: room for the labels of the next column's axis."""
STAGE_ROWS = 6
"""Levels that the stages panel shows (half of it where models go into several blocks); of more, this many spread evenly."""
QUANTITIES_OF = {
    "stages": STAGES,
    "recovery": ("recovery",),
    "effects": ("tuning_effect",),
    "final": ("final_change",),
}
"""The quantities of which a panel needs one to have something to show."""
NEEDS = {"stages": STAGES, "recovery": STAGES, "effects": STAGES, "final": ("baseline", "fine_tuned")}
DRAWN = ("recovery", "pruning_effect", "tuning_effect", "final_change")


class Layout(NamedTuple):
    """Sizes in pixels, and the models of each block of columns."""

    cell: int
    blocks: list[list[int]]

    @property
    def width(self) -> int:
        """Width of all columns of a block."""
        columns = max(len(block) for block in self.blocks)
        return columns * self.cell + (columns - 1) * GAP


class View(NamedTuple):
    """What all panels need to know: names in order, ranges of the axes, what occurs and must be marked."""

    strategies: list[str]
    scales: tuple[Any, Any]
    levels: list[float]
    shown_levels: list[float]
    short: dict[str, str]
    cell: int
    change: Bent | None
    recovery: Bent
    pruning: Bent
    tuning: Bent
    final: float
    root: bool
    lost: dict[str, bool]
    limits: Floats | None
    unhurt: bool
    untuned: bool
    runs: int | None
    spread: bool
    nudges: Floats | None
    select: str


def lay_out(groups: Groups, width: int) -> Layout:
    """Return columns of one width, wide enough to keep strategies apart at each level; more models go into blocks."""
    models, slots = len(groups.models), len(groups.strategies) * len(groups.levels)
    need = max(148, min(4 * slots + 40, 228))
    columns = max(1, min(models, (width + GAP) // (need + GAP)))
    blocks = -(-models // columns)
    columns = -(-models // blocks)
    cell = max(120, min((width - (columns - 1) * GAP) // columns, max(420, 7 * slots)))
    return Layout(cell, [list(range(start, min(start + columns, models))) for start in range(0, models, columns)])


def look(groups: Groups, layout: Layout, select: str, *, stages: Stages = "change") -> View:
    """Return what the panels share."""
    levels, spreads = groups.levels, groups.spreads
    most = STAGE_ROWS if len(layout.blocks) == 1 else STAGE_ROWS // 2
    keep = np.unique(np.round(np.linspace(0, len(levels) - 1, min(most, len(levels)))).astype(int))
    short, _ = short_names(groups.models, letters=max(layout.cell // 7, 12))
    final = np.abs(spreads["final_change"].mean)
    reach = robust(np.concatenate([final, -final]), keep=100.0, anchors=(0.0,)).high
    pruning = bent(_all(spreads["pruning_effect"])).widened(least=0.3)
    tuning = bent(_all(spreads["tuning_effect"])).widened(least=0.3)
    relative = stages == "change" and bool(spreads["baseline"].finite.any())
    return View(
        strategies=groups.strategies,
        scales=parts.category_scales(groups.palette),
        levels=levels,
        shown_levels=[levels[place] for place in keep],
        short=short,
        cell=layout.cell,
        change=bent(np.concatenate(_changes(groups))).widened(room=0.1) if relative else None,
        recovery=_recovery(spreads["recovery"]),
        pruning=pruning,
        tuning=tuning,
        final=max(_rounded_up(reach), 5.0),
        root=bool(len(found := final[final > 0]) and reach > 5 * float(np.median(found))),
        lost={name: bool((spread.nan + spread.infinite).any()) for name, spread in spreads.items()},
        limits=None if relative else _stage_limits(groups),
        unhurt=bool((groups.unhurt > 0).any()),
        untuned=bool(groups.untuned.any()),
        runs=int(groups.runs[0]) if len(set(groups.runs.tolist())) == 1 else None,
        spread=bool((groups.runs > 1).any()),
        nudges=_nudges(groups, pruning, tuning, layout.cell),
        select=select,
    )


def _rounded_up(value: float) -> float:
    """Return the least number of two significant digits that is not below a value."""
    if not value:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(round(value / step, 6)) * step:.3g}")


def _all(spread: Spread) -> Floats:
    return np.concatenate([spread.mean, spread.low, spread.high])


def _changes(groups: Groups) -> list[Floats]:
    """Return the changes from the baseline in percent that the stages panel draws."""
    base = groups.spreads["baseline"].mean
    with np.errstate(all="ignore"):
        return [
            100 * (values / base - 1)
            for stage in STAGES
            for values in (groups.spreads[stage].mean, groups.spreads[stage].low, groups.spreads[stage].high)
        ]


def _recovery(spread: Spread) -> Bent:
    """Return the axis of recovery: plain, or bent beyond 50 % where it is wider than 300 %."""
    ends = robust(_all(spread), keep=400.0, anchors=(0.0, 100.0))
    return Bent(ends.low, ends.high, ends.outside, 50.0 if ends.high - ends.low > 300 else 0.0).widened()


def _nudges(groups: Groups, pruning: Bent, tuning: Bent, width: int) -> Floats | None:
    """Return effects of pruning, ``[group, statistic]``, moved apart where points hide each other; None if none does.

    At 100 % all strategies prune the same heads.
    """
    spread = groups.spreads["pruning_effect"]
    across, up = pruning.share(spread.mean) * width, tuning.share(groups.spreads["tuning_effect"].mean) * 190
    cells: dict[tuple[float, ...], list[int]] = {}
    for row in np.flatnonzero(np.isfinite(across) & np.isfinite(up)).tolist():
        place = float(groups.model[row]), float(np.round(across[row] / 2)), float(np.round(up[row] / 2))
        cells.setdefault(place, []).append(row)
    if all(len(rows) == 1 for rows in cells.values()):
        return None
    pixels = np.zeros(len(groups))
    for rows in cells.values():
        apart = min(8.0, 60.0 / len(rows))
        pixels[rows] = [apart * (place - (len(rows) - 1) / 2) for place in range(len(rows))]
    step = (pruning.bend(pruning.high) - pruning.bend(pruning.low)) / width
    moved = pruning.bend(np.stack([spread.mean, spread.low, spread.high], axis=1)) + (pixels * step)[:, None]
    return pruning.straighten(moved)


def _stage_limits(groups: Groups) -> Floats | None:
    """Return the greatest perplexity that the cell of each group (model and level) shows; None if all are shown."""
    cells = groups.model * (len(groups.levels) + 1) + groups.level
    limits, outside = np.empty(len(groups)), 0
    for cell in np.unique(cells):
        rows = cells == cell
        found = [getattr(groups.spreads[stage], name)[rows] for stage in STAGES for name in ("mean", "low", "high")]
        with np.errstate(all="ignore"):
            logs = np.log10(np.concatenate(found))
        full = logs[np.isfinite(logs)]
        high = robust(full, keep=3.0).high
        outside += int((full > high).sum())
        limits[rows] = 10.0**high if high < full.max(initial=-np.inf) else 1e308
    return limits if outside else None


# frame -------------------------------------------------------------------------------------------------------------


def packed(groups: Groups, view: View, models: list[int]) -> pd.DataFrame:
    """Return a row per model, what belongs to its strategies and levels in lists, which a chart flattens.

    Each quantity is its mean over the runs; its least and greatest value are beside it (``_low``, ``_high``) if any group
    has several runs, and what is not finite (``_lost``) if anything is not.
    """
    rows: list[dict[str, Any]] = []
    panels = panel_names(groups, view)
    for model in models:
        of_row, name = np.flatnonzero(groups.model == model), groups.models[model]
        row: dict[str, Any] = {"model": name} | ({"panel": panels[name]} if panels[name] != name else {})
        row["strategy"] = [groups.strategies[strategy] for strategy in groups.strategy[of_row]]
        row["pruning_level"] = _rounded(np.asarray(groups.levels)[groups.level[of_row]], 9)
        row |= _lists(groups, view, of_row)
        _fill(row, view)
        for panel in QUANTITIES_OF:
            if (reason := absent(groups, panel, model)) and not absent(groups, panel):
                row[f"{panel}_note"] = [reason]
        rows.append(row)
    for note in (f"{panel}_note" for panel in QUANTITIES_OF):
        if any(note in row for row in rows):
            for row in rows:
                row[note] = (row.get(note, []) + [None] * len(row["strategy"]))[: len(row["strategy"])]
    return pd.DataFrame(rows)


def panel_names(groups: Groups, view: View) -> dict[str, str]:
    """Return what stands over the column of each model: its name, and its baseline where the panels do not show that."""
    names = {}
    for place, name in enumerate(groups.models):
        words = [view.short[name]] if name else []
        base = groups.spreads["baseline"].mean[groups.model == place]
        if view.change is not None and np.isfinite(base).any():
            words.append(f"baseline {span_text(base)}")
        names[name] = " · ".join(words)
    return names


def _fill(row: dict[str, Any], view: View) -> None:
    """Give a model an empty entry for each level that it was not run at: a facet moves up into cells without rows."""
    for level in _rounded(np.asarray(view.shown_levels), 9):
        if level not in row["pruning_level"]:
            for name in list_columns(row):
                row[name] = [*row[name], {"runs": 0, "unhurt": 0, "untuned": False}.get(name)]
            row["pruning_level"][-1], row["strategy"][-1] = level, row["strategy"][0]


def _lists(groups: Groups, view: View, rows: Codes) -> dict[str, list[Any]]:
    cells: dict[str, list[Any]] = {} if view.runs is not None else {"runs": groups.runs[rows].tolist()}
    for name in (*STAGES, *DRAWN):
        spread, digits = groups.spreads[name], 5 if name in STAGES else 4
        if spread.measured.any():
            cells[name] = _rounded(spread.mean[rows], digits)
            if view.spread and name != "final_change":
                cells[f"{name}_low"] = _rounded(spread.low[rows], digits)
                cells[f"{name}_high"] = _rounded(spread.high[rows], digits)
        if view.lost[name]:
            cells[f"{name}_lost"] = [_lost(spread, row) for row in rows]
    if view.limits is not None:
        cells["_limit"] = _rounded(view.limits[rows], 5)
    if view.unhurt:
        cells["unhurt"] = groups.unhurt[rows].tolist()
    if view.untuned:
        cells["untuned"] = groups.untuned[rows].tolist()
    if view.nudges is not None:
        for place, name in enumerate(("_place", "_place_low", "_place_high")[: 3 if view.spread else 1]):
            cells[name] = _rounded(view.nudges[rows, place], 5)
    return cells


def _rounded(values: Floats, digits: int) -> list[float | None]:
    return [significant(value, digits) for value in values.tolist()]


def _lost(spread: Spread, row: int) -> str | None:
    """Return what stands at the edge for seeds without a finite value: ``NaN``, ``∞``, ``NaN in 1 of 3``."""
    nan, infinite, finite = int(spread.nan[row]), int(spread.infinite[row]), int(spread.finite[row])
    if not nan + infinite:
        return None
    what = "NaN" if not infinite else "∞" if not nan else "NaN, ∞"
    return f"{what} in {nan + infinite} of {nan + infinite + finite}" if finite else what


def list_columns(names: Iterable[Any]) -> list[str]:
    """Return those columns of a packed frame that a chart flattens."""
    return [str(name) for name in names if name not in ("model", "panel")]


def absent(groups: Groups, panel: str, model: int | None = None) -> str:
    """Say why a panel has nothing to show (for one model, or for all); empty if it has something."""
    rows = np.ones(len(groups), dtype=bool) if model is None else groups.model == model
    there = {name: bool(spread.measured[rows].any()) for name, spread in groups.spreads.items()}
    if any(there[name] for name in QUANTITIES_OF[panel]) or (panel == "recovery" and groups.unhurt[rows].any()):
        return ""
    lacking = [stage.replace("_", "-") for stage in NEEDS[panel] if not there[stage]]
    return f"no {listing(lacking, last='or')} perplexity" if lacking else "no run has all its stages"
