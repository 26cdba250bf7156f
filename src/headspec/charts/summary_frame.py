"""What the panels of a summary share: the groups that are drawn, as a packed frame, with ranges and sizes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from headspec.charts.ranges import Range, robust, short_names, significant, triple
from headspec.tables.result_columns import STAGES, Codes, Floats
from headspec.tables.result_groups import Groups, Spread
from headspec.text import listing

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
    levels: list[float]
    shown_levels: list[float]
    short: dict[str, str]
    cell: int
    recovery: Range
    pruning: Range
    tuning: Range
    final: float
    lost: dict[str, bool]
    limits: Floats | None
    unhurt: bool
    untuned: bool
    runs: int | None
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


def look(groups: Groups, layout: Layout, select: str) -> View:
    """Return what the panels share."""
    levels = groups.levels
    most = STAGE_ROWS if len(layout.blocks) == 1 else STAGE_ROWS // 2
    keep = np.unique(np.round(np.linspace(0, len(levels) - 1, min(most, len(levels)))).astype(int))
    short, _ = short_names(groups.models, letters=max(layout.cell // 7, 12))
    spreads = groups.spreads
    final = np.abs(spreads["final_change"].mean)
    reach = robust(np.concatenate([final, -final]), keep=100.0, anchors=(0.0,)).high
    pruning, tuning = _ratios(spreads["pruning_effect"]), _ratios(spreads["tuning_effect"])
    return View(
        strategies=groups.strategies,
        levels=levels,
        shown_levels=[levels[place] for place in keep],
        short=short,
        cell=layout.cell,
        recovery=_whole(spreads["recovery"], keep=400.0, anchors=(0.0, 100.0)).padded(0.06),
        pruning=pruning,
        tuning=tuning,
        final=_rounded_up(reach) or 1.0,
        lost={name: bool((spread.nan + spread.infinite).any()) for name, spread in spreads.items()},
        limits=_stage_limits(groups),
        unhurt=bool((groups.unhurt > 0).any()),
        untuned=bool(groups.untuned.any()),
        runs=int(groups.runs[0]) if len(set(groups.runs.tolist())) == 1 else None,
        nudges=_nudges(groups, pruning, tuning, layout.cell),
        select=select,
    )


def _rounded_up(value: float) -> float:
    """Return the least number of two significant digits that is not below a value."""
    if not value:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(round(value / step, 6)) * step:.3g}")


def _whole(spread: Spread, *, keep: float, anchors: tuple[float, ...]) -> Range:
    return robust(np.concatenate([spread.mean, spread.low, spread.high]), keep=keep, anchors=anchors)


def _ratios(spread: Spread) -> Range:
    """Return the range of a relative change in powers of ten of its ratio, with room for the names of the quadrants."""
    with np.errstate(all="ignore"):
        logs = np.log10(1 + np.concatenate([spread.mean, spread.low, spread.high]) / 100)
    found = robust(logs, keep=1.5, anchors=(0.0,))
    width = max(found.high - found.low, 0.02)
    low, high = found.low - 0.07 * width, found.high + 0.07 * width
    # each side of "no change" gets three tenths at least: a quadrant without points is a finding, too
    low, high = min(low, -high * 3 / 7), max(high, -low * 3 / 7)
    return Range(10.0**low, 10.0**high, found.outside)


def _nudges(groups: Groups, pruning: Range, tuning: Range, width: int) -> Floats | None:
    """Return factors that move points with the same effects apart sideways; None if none hides another.

    At 100 % all strategies prune the same heads.
    """
    places = []
    for name, ends, pixels in (("pruning_effect", pruning, width), ("tuning_effect", tuning, 190)):
        with np.errstate(all="ignore"):
            share = np.log(1 + groups.spreads[name].mean / 100)
        share = (np.clip(share, math.log(ends.low), math.log(ends.high)) - math.log(ends.low)) / math.log(
            ends.high / ends.low
        )
        places.append(np.round(share * pixels / 3))
    nudges = np.ones(len(groups))
    cells: dict[tuple[float, ...], list[int]] = {}
    for row in np.flatnonzero(np.isfinite(places[0]) & np.isfinite(places[1])).tolist():
        cells.setdefault((float(groups.model[row]), places[0][row], places[1][row]), []).append(row)
    for rows in cells.values():
        apart = min(8.0, 60.0 / len(rows))
        for place, row in enumerate(rows):
            pixels = apart * (place - (len(rows) - 1) / 2)
            nudges[row] = (pruning.high / pruning.low) ** (pixels / width)
    return nudges if any(len(rows) > 1 for rows in cells.values()) else None


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
    """Return a row per model and strategy, what belongs to its levels in lists: ``[mean, least, greatest]`` per level.

    A chart flattens it by `list_columns`.
    """
    rows: list[dict[str, Any]] = []
    shortened = any(name != short for name, short in view.short.items())
    for model in models:
        name, of_model = groups.models[model], []
        for strategy in np.unique(groups.strategy[groups.model == model]):
            of_row = np.flatnonzero((groups.model == model) & (groups.strategy == strategy))
            panel = {"panel": view.short[name]} if shortened else {}
            row: dict[str, Any] = {"model": name, **panel, "strategy": groups.strategies[strategy]}
            row["pruning_level"] = [significant(groups.levels[level], 9) for level in groups.level[of_row]]
            of_model.append(row | _lists(groups, view, of_row))
        _fill(of_model[0], of_model, view)
        rows += of_model
        for panel_name in QUANTITIES_OF:
            if (reason := absent(groups, panel_name, model)) and not absent(groups, panel_name):
                of_model[0][f"{panel_name}_note"] = [reason]
    for note in (f"{panel_name}_note" for panel_name in QUANTITIES_OF):
        if any(note in row for row in rows):
            for row in rows:
                row[note] = (row.get(note, []) + [None] * len(row["pruning_level"]))[: len(row["pruning_level"])]
    return pd.DataFrame(rows)


def _fill(row: dict[str, Any], rows: list[dict[str, Any]], view: View) -> None:
    """Give a model an empty entry for each level that it was not run at: a facet moves up into cells without rows."""
    there = {level for other in rows for level in other["pruning_level"]}
    for level in view.shown_levels:
        if significant(level, 9) not in there:
            for name in list_columns(row):
                row[name] = [*row[name], _EMPTY.get(name, [] if name in (*STAGES, *DRAWN) else None)]
            row["pruning_level"][-1] = significant(level, 9)


_EMPTY: dict[str, Any] = {"runs": 0, "unhurt": 0, "untuned": False, "limit": 1e308, "nudge": 1, "final_change": None}


def _lists(groups: Groups, view: View, rows: Codes) -> dict[str, list[Any]]:
    cells: dict[str, list[Any]] = {} if view.runs is not None else {"runs": groups.runs[rows].tolist()}
    for name in (*STAGES, *DRAWN):
        spread = groups.spreads[name]
        if spread.measured.any():
            if name == "final_change":
                cells[name] = [significant(mean, 4) for mean in spread.mean[rows]]
            else:
                digits = 5 if name in STAGES else 4
                of_groups = zip(spread.mean[rows], spread.low[rows], spread.high[rows], strict=True)
                cells[name] = [triple(*item, digits=digits) for item in of_groups]
        if view.lost[name]:
            cells[f"{name}_lost"] = [_lost(spread, row) for row in rows]
    if view.limits is not None:
        cells["limit"] = [significant(limit) for limit in view.limits[rows]]
    if view.unhurt:
        cells["unhurt"] = groups.unhurt[rows].tolist()
    if view.untuned:
        cells["untuned"] = groups.untuned[rows].tolist()
    if view.nudges is not None:
        cells["nudge"] = [significant(nudge) for nudge in view.nudges[rows]]
    return cells


def _lost(spread: Spread, row: int) -> str | None:
    """Return what stands at the edge for seeds without a finite value: ``NaN``, ``∞``, ``NaN in 1 of 3``."""
    nan, infinite, finite = int(spread.nan[row]), int(spread.infinite[row]), int(spread.finite[row])
    if not nan + infinite:
        return None
    what = "NaN" if not infinite else "∞" if not nan else "NaN, ∞"
    return f"{what} in {nan + infinite} of {nan + infinite + finite}" if finite else what


def list_columns(names: Iterable[Any]) -> list[str]:
    """Return those columns of a packed frame that a chart flattens."""
    return [str(name) for name in names if name not in ("model", "panel", "strategy")]


def absent(groups: Groups, panel: str, model: int | None = None) -> str:
    """Say why a panel has nothing to show (for one model, or for all); empty if it has something."""
    rows = np.ones(len(groups), dtype=bool) if model is None else groups.model == model
    there = {name: bool(spread.measured[rows].any()) for name, spread in groups.spreads.items()}
    if any(there[name] for name in QUANTITIES_OF[panel]) or (panel == "recovery" and groups.unhurt[rows].any()):
        return ""
    lacking = [stage.replace("_", "-") for stage in NEEDS[panel] if not there[stage]]
    return f"no {listing(lacking, last='or')} perplexity" if lacking else "no run has all its stages"
