"""What follows from the perplexities of runs: baselines that stand once for many, changes, recovery, improvement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from headspec.errors import DataError
from headspec.measures.recovery import calculate_improvement, calculate_perplexity_changes, calculate_recovery
from headspec.tables import result_columns as columns_of
from headspec.tables.result_columns import STAGES, Bools, Codes, Floats, warn
from headspec.tables.result_runs import Runs, combined_codes, gather
from headspec.tables.result_shapes import KEYS, LevelUnit, entries_of
from headspec.text import count, listing, number

# What a baseline row calls its strategy when it stands for all of them.
_NO_STRATEGY = frozenset({"none", "baseline", "base", "no pruning", "unpruned", "-", "n/a", "na", "all"})


def read_runs(results: Any, *, level_unit: LevelUnit = "auto", columns: Mapping[str, str] | None = None) -> Runs:
    """Read results of any of the three shapes (a row per stage, a row per comparison, long) as runs.

    Warns where given numbers do not agree with the perplexities, and where rows are repeated.
    """
    if level_unit not in ("auto", "fraction", "percent"):
        raise DataError(f'level_unit is {level_unit!r}; choose "auto", "fraction" or "percent"')
    frame = columns_of.open_frame(results, columns or {})
    entries = entries_of(frame, columns_of.match_columns(frame.columns, columns or {}), level_unit)
    return derive(gather(entries))


def derive(runs: Runs) -> Runs:
    """Return the runs with what follows from their perplexities, checked against what was given."""
    runs = _fill_back(_spread_baselines(runs))
    known = runs.measured
    lacking = ~known["baseline"] & (known["pruned"] | known["fine_tuned"])
    if lacking.any() and known["baseline"].any():
        runs.notes.append(f"{count(int(lacking.sum()), 'run')} without a baseline")
    base, cut, tuned = (runs.perplexity[stage] for stage in STAGES)
    changes: dict[str, Any] = calculate_perplexity_changes(base, cut, tuned)
    computed = changes | {
        "recovery_percentage": calculate_recovery(base, cut, tuned),
        "improvement_percentage": calculate_improvement(base, tuned),
    }
    metrics, unit = {}, max(_half_unit(runs.perplexity[stage], first=1) for stage in STAGES)
    for metric, stages in _NEEDS.items():
        able = np.logical_and.reduce([known[stage] for stage in stages])
        given = runs.metrics[metric]
        _compare(runs, metric, given, np.asarray(computed[metric]), able, unit)
        metrics[metric] = np.where(able, computed[metric], given)
    unhurt = (cut <= base) & known["baseline"] & known["pruned"] & known["fine_tuned"]
    return replace(runs, metrics=metrics, unhurt=unhurt)


_NEEDS = {
    "perplexity_change": ("baseline", "pruned"),
    "perplexity_change_from_pruned": ("pruned", "fine_tuned"),
    "perplexity_change_from_baseline": ("baseline", "fine_tuned"),
    "recovery_percentage": STAGES,
    "improvement_percentage": ("baseline", "fine_tuned"),
}


def _fill_back(runs: Runs) -> Runs:
    """Fill perplexities that were not measured but follow from a given difference."""
    values = {stage: runs.perplexity[stage].copy() for stage in STAGES}
    known = {stage: runs.measured[stage].copy() for stage in STAGES}
    sources = (
        ("pruned", "fine_tuned", "perplexity_change_from_pruned"),
        ("baseline", "pruned", "perplexity_change"),
        ("baseline", "fine_tuned", "perplexity_change_from_baseline"),
    )
    for stage, later, metric in sources:
        if known[stage].all() or np.isnan(runs.metrics[metric]).all():
            continue
        found = values[later] - runs.metrics[metric]
        fill = ~known[stage] & known[later] & np.isfinite(found) & (found > 0)
        values[stage][fill] = found[fill]
        known[stage] |= fill
    return replace(runs, perplexity=values, measured=known)


# baselines ---------------------------------------------------------------------------------------------------------


def _spread_baselines(runs: Runs) -> Runs:
    """Give each run the baseline of its model, where the baseline stands once for many runs."""
    values, known = runs.perplexity["baseline"].copy(), runs.measured["baseline"].copy()
    alone = known & ~runs.measured["pruned"] & ~runs.measured["fine_tuned"]
    if known.all() and not alone.any():
        return runs
    used = np.zeros(len(runs), dtype=bool)
    blank = _blank_keys(runs)
    for kept in _PATTERNS:
        sources = np.logical_and.reduce([alone, *(blank[key] for key in KEYS if key not in kept)])
        _fill_from(runs, kept, sources, values, known, used)
    _fill_common(runs, alone, values, known, used)
    filled = replace(
        runs, perplexity=runs.perplexity | {"baseline": values}, measured=runs.measured | {"baseline": known}
    )
    return filled.where(~used)


# A baseline row may leave blank what it stands for all of; the row that leaves the least blank is used.
_PATTERNS: tuple[tuple[str, ...], ...] = (
    ("model", "strategy", "pruning_level"),
    ("model", "strategy", "seed"),
    ("model", "strategy"),
    ("model", "pruning_level", "seed"),
    ("model", "pruning_level"),
    ("model", "seed"),
    ("model",),
    (),
)


def _blank_keys(runs: Runs) -> dict[str, Bools]:
    strategies = [str(label).lower() in _NO_STRATEGY for label in runs.labels["strategy"]]
    levels = [level == 0 for level in runs.labels["pruning_level"]]
    return {
        "model": runs.codes["model"] < 0,
        "strategy": np.array([*strategies, True])[runs.codes["strategy"]],
        "pruning_level": np.array([*levels, True])[runs.codes["pruning_level"]],
        "seed": runs.codes["seed"] < 0,
    }


def _fill_from(runs: Runs, kept: tuple[str, ...], sources: Bools, values: Floats, known: Bools, used: Bools) -> None:
    """Fill the baselines that are lacking from rows that agree on the kept keys, and mark those rows as used."""
    given, wanted = np.flatnonzero(sources), np.flatnonzero(~known)
    if not len(given) or not len(wanted):
        return
    codes = [runs.codes[key] for key in kept] or [np.zeros(len(runs), dtype=np.int64)]
    combined = combined_codes(codes, [len(runs.labels[key]) for key in kept] or [1])
    ids, first = np.unique(combined[given], return_index=True)
    chosen = given[first]
    _check_one(runs, given, chosen[np.searchsorted(ids, combined[given])])
    places = np.minimum(np.searchsorted(ids, combined[wanted]), len(ids) - 1)
    hit = ids[places] == combined[wanted]
    values[wanted[hit]] = runs.perplexity["baseline"][chosen[places[hit]]]
    known[wanted[hit]] = True
    used[given[np.isin(combined[given], combined[wanted[hit]])]] = True


def _check_one(runs: Runs, given: Codes, chosen: Codes) -> None:
    mine, theirs = runs.perplexity["baseline"][given], runs.perplexity["baseline"][chosen]
    differs = ~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs)))
    if differs.any():
        place = int(np.argmax(differs))
        raise DataError(
            f"results has two baselines for the same runs: {number(float(theirs[place]))} "
            f"({runs.name(int(chosen[place]))}) and {number(float(mine[place]))} ({runs.name(int(given[place]))}); keep "
            "one of them, or tell them apart by strategy, level or seed"
        )


def _fill_common(runs: Runs, alone: Bools, values: Floats, known: Bools, used: Bools) -> None:
    """Fill what is still lacking where all baselines of the model are one number: the unpruned model is one."""
    lacking = ~known
    for code in np.unique(runs.codes["model"][lacking]):
        of_model = runs.codes["model"] == code
        distinct = np.unique(runs.perplexity["baseline"][of_model & runs.measured["baseline"]])
        if len(distinct) == 1:
            values[of_model & lacking], known[of_model & lacking] = distinct[0], True
            used |= of_model & alone & _blank_keys(runs)["strategy"]


# checking what was given -------------------------------------------------------------------------------------------


def _half_unit(values: Floats, *, first: int = 0) -> float:
    """Return half of the last decimal that numbers seem to be rounded to; 0 if they have fewer decimals or are not."""
    sample = values[np.isfinite(values)][:1000]
    for places in range(7):
        if np.array_equal(np.round(sample, places), sample):
            return 0.5 * 10.0**-places if len(sample) and places >= first else 0.0
    return 0.0


def _compare(runs: Runs, metric: str, given: Floats, computed: Floats, able: Bools, unit: float) -> None:
    """Warn about given numbers that the perplexities do not give, beyond what rounding explains."""
    here = able & ~np.isnan(given)
    if not here.any():
        return
    base, cut, tuned = (np.abs(runs.perplexity[stage]) for stage in STAGES)
    with np.errstate(all="ignore"):
        slack = unit + 1e-6 * np.fmax(np.fmax(base, cut), tuned)  # 1e-6: single precision on the way
        scale = np.ones(len(runs))
        if metric == "recovery_percentage":
            scale = 100 * (1 + np.abs(computed) / 100) / np.abs(cut - base)
        elif metric == "improvement_percentage":
            scale = 100 * (1 + tuned / base) / base
        allowed = 2 * slack * scale + _half_unit(given[here]) + 1e-6 * np.abs(computed)
        wrong = here & (given != computed) & ~(np.abs(given - computed) <= allowed)
    if not wrong.any():
        return
    rows = np.flatnonzero(wrong)
    shown = listing(
        [f"{runs.name(row)}: given {number(given[row])}, computed {number(computed[row])}" for row in rows[:3].tolist()]
    )
    more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
    undefined = " (undefined where pruning did not hurt)" if metric == "recovery_percentage" else ""
    warn(
        f"{metric} differs in {count(len(rows), 'run')} from what its perplexities give{undefined}: {shown}{more}; "
        "the computed values are used"
    )
