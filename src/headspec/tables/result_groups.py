"""Runs gathered over their seeds: one row per model, strategy and level, with mean, least and greatest of each quantity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from headspec.tables.result_columns import STAGES, Bools, Codes, Floats
from headspec.tables.result_runs import Runs, combined_codes, numbered

POOLED_LEVELS = 20
"""More levels than this are put together by the nearest 5 %."""


class Spread(NamedTuple):
    """A quantity over the seeds of each group: statistics of its finite values, and how many were none."""

    mean: Floats
    low: Floats
    high: Floats
    finite: Codes
    nan: Codes
    infinite: Codes

    @property
    def measured(self) -> Bools:
        """Where any seed was measured."""
        return np.asarray(self.finite + self.nan + self.infinite > 0)


class Groups(NamedTuple):
    """Groups in the order of their keys: codes into `models`, `strategies` and `levels` (NaN: no level given).

    `palette` holds all strategies of the results, in their order: a strategy keeps its looks when others are left out.
    """

    models: list[str]
    strategies: list[str]
    palette: list[str]
    levels: list[float]
    model: Codes
    strategy: Codes
    level: Codes
    runs: Codes
    spreads: dict[str, Spread]
    unhurt: Codes
    untuned: Bools
    notes: list[str]

    def __len__(self) -> int:
        return len(self.model)


def group_runs(runs: Runs, palette: Sequence[str] | None = None) -> Groups:
    """Gather runs over their seeds.

    Besides the stages: ``recovery`` and ``improvement`` in percent; ``pruning_effect`` and ``tuning_effect``, the relative
    changes of perplexity by pruning (from the baseline) and by fine-tuning (from the pruned model); ``final_change``, the
    relative change from the baseline to the last stage that was measured.
    """
    runs, notes = _drawable(runs)
    runs, pooled = _pool_levels(runs)
    groups, first = numbered(combined_codes([runs.codes[key] for key in _BY], [len(runs.labels[key]) for key in _BY]))
    order: Any = slice(None)  # runs come in the order of their keys
    if (groups[1:] < groups[:-1]).any():
        order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(len(first)))
    spreads = {}
    for name, (values, known) in _quantities(runs).items():
        spreads[name] = _spread(values[order], known[order], starts)
    untuned = runs.measured["pruned"] & ~runs.measured["fine_tuned"]
    labels, codes = {}, {}
    for key in _BY:
        labels[key], codes[key] = _with_blank(runs, key, runs.codes[key][first])
    return Groups(
        labels["model"],
        labels["strategy"],
        list(dict.fromkeys([*(palette or []), *labels["strategy"]])),
        labels["pruning_level"],
        codes["model"],
        codes["strategy"],
        codes["pruning_level"],
        np.diff(np.append(starts, len(groups))),
        spreads,
        np.add.reduceat(runs.unhurt[order].astype(np.int64), starts),
        np.logical_or.reduceat(untuned[order], starts),
        [*runs.notes, *notes, *pooled],
    )


_BY = ("model", "strategy", "pruning_level")


def _with_blank(runs: Runs, key: str, codes: Codes) -> tuple[list, Codes]:  # type: ignore[type-arg]
    """Return labels and codes with what is blank as a last label of its own."""
    labels = list(runs.labels[key])
    if (codes >= 0).all():
        return labels, codes
    blank = float("nan") if key == "pruning_level" else "" if not labels else f"({key} not given)"
    return [*labels, blank], np.where(codes < 0, len(labels), codes)


def _drawable(runs: Runs) -> tuple[Runs, list[str]]:
    """Leave out baselines that no run refers to: nothing was pruned there."""
    known = runs.measured["pruned"] | runs.measured["fine_tuned"]
    for values in runs.metrics.values():
        known |= ~np.isnan(values)
    if known.all() or not known.any():
        return runs, []
    left = int((~known).sum())
    return runs.where(known), [f"{left:,} baseline{'' if left == 1 else 's'} without a pruned run left out"]


def _pool_levels(runs: Runs) -> tuple[Runs, list[str]]:
    levels = np.asarray(runs.labels["pruning_level"], dtype=np.float64)
    if len(levels) <= POOLED_LEVELS:
        return runs, []
    pooled, places = np.unique(np.round(levels * POOLED_LEVELS), return_inverse=True)
    codes = runs.codes | {"pruning_level": np.append(places, -1)[runs.codes["pruning_level"]]}
    labels = runs.labels | {"pruning_level": (pooled / POOLED_LEVELS).tolist()}
    return replace(runs, labels=labels, codes=codes), [
        f"{len(levels):,} pruning levels put together by the nearest 5 %"
    ]


def _quantities(runs: Runs) -> dict[str, tuple[Floats, Bools]]:
    """Return values and where they were measured; a NaN that was not measured is no NaN."""
    base, cut, tuned = (runs.perplexity[stage] for stage in STAGES)
    known_base, known_cut, known_tuned = (runs.measured[stage] for stage in STAGES)
    found = {stage: (runs.perplexity[stage], runs.measured[stage]) for stage in STAGES}
    recovery, improvement = runs.metrics["recovery_percentage"], runs.metrics["improvement_percentage"]
    lost = known_base & known_cut & known_tuned & ~runs.unhurt  # all there, and yet no number: something diverged
    found["recovery"] = recovery, ~np.isnan(recovery) | lost
    found["improvement"] = improvement, ~np.isnan(improvement) | (known_base & known_tuned)
    with np.errstate(all="ignore"):
        found["pruning_effect"] = 100 * (cut - base) / base, known_base & known_cut
        found["tuning_effect"] = 100 * (tuned - cut) / cut, known_cut & known_tuned
        last = np.where(known_tuned, tuned, cut)
        final, able = 100 * (last - base) / base, known_base & (known_cut | known_tuned)
    given = ~able & ~np.isnan(improvement)
    found["final_change"] = np.where(given, -improvement, final), able | given
    return found


def _spread(values: Floats, known: Bools, starts: Codes) -> Spread:
    """Return the statistics of sorted runs per group, over finite values."""
    finite = known & np.isfinite(values)
    whole = bool(finite.all())
    sizes = np.diff(np.append(starts, len(values)))
    counts = sizes if whole else _count(finite, starts)
    safe, low, high = values, values, values
    if not whole:
        safe, low, high = (np.where(finite, values, other) for other in (0.0, np.inf, -np.inf))
    with np.errstate(all="ignore"):
        # values as large as 1e308 would overflow their sum: halving by the count first does not
        mean = np.add.reduceat(safe / np.repeat(np.maximum(counts, 1), sizes), starts)
    low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    empty = counts == 0
    for statistic in (mean, low, high):
        statistic[empty] = np.nan
    none = np.zeros_like(counts)
    nan, infinite = (none, none) if whole else (_count(known & lost(values), starts) for lost in (np.isnan, np.isinf))
    # equal seeds have their own value as mean, to the last digit
    return Spread(np.clip(mean, low, high), low, high, counts, nan, infinite)


def _count(rows: Bools, starts: Codes) -> Codes:
    return np.add.reduceat(rows.astype(np.int64), starts)
