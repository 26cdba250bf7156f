"""Results of pruning experiments as one long table, from the shapes in which people keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from headspec.tables.result_columns import METRIC_STAGES, STAGES
from headspec.tables.result_derive import read_runs
from headspec.tables.result_runs import Runs, frame_of_labels
from headspec.tables.result_shapes import LevelUnit

METRICS = ("perplexity", *METRIC_STAGES)


def results_table(
    results: Any, *, level_unit: LevelUnit = "auto", columns: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Return pruning results as a long table: a row per model, strategy, level, seed, stage and metric.

    Parameters
    ----------
    results
        A dataframe (pandas, Polars, PyArrow or any other that Narwhals knows), a list of rows (dicts), a dict of columns,
        or the path of a CSV, JSON, JSON Lines or Parquet file, in one of three shapes:

        - a row per stage: ``model``, ``strategy``, ``pruning_level``, ``seed``, ``stage``, ``perplexity``, and, if wanted,
          ``perplexity_change``, ``perplexity_change_from_pruned``, ``perplexity_change_from_baseline``,
          ``recovery_percentage``, ``improvement_percentage``;
        - a row per comparison: ``Strategy``, ``Baseline Perplexity``, ``Pruned Perplexity``, ``Fine-tuned Perplexity``,
          ``Recovery %``, ``Improvement %``, and, if wanted, ``Model``, ``Pruning Level``, ``Seed``;
        - long, as this function returns it.

        Column names are compared without case and punctuation. Only the strategy, and some measure, are needed.
    level_unit
        Whether pruning levels are shares from 0 to 1 (``"fraction"``) or ``"percent"``; by default percent if any level of
        the table is above 1. Text such as ``30%`` is always percent.
    columns
        Which column holds what, for names that are not understood: ``{"strategy": "pruner"}``.

    Returns
    -------
    pandas.DataFrame
        ``model`` and ``strategy`` (ordered categories, in the order given), ``pruning_level`` (share of the heads, 0 to 1),
        ``seed``, ``stage`` (baseline, pruned, fine_tuned), ``metric`` and ``value``. Metrics: ``perplexity``; absolute
        changes, after − before: ``perplexity_change`` (pruning), ``perplexity_change_from_pruned`` (fine-tuning) and
        ``perplexity_change_from_baseline`` (both); ``recovery_percentage`` and ``improvement_percentage``. NaN and
        infinite perplexities stay; what was not measured has no row; recovery is NaN where pruning did not hurt.

    Raises
    ------
    DataError
        If a column is missing, a cell holds no number, a level or perplexity is impossible, or rows with the same keys
        disagree. All of them are also ``ValueError``.
    KindError
        If `results` is no table. Also a ``TypeError``.

    Warns
    -----
    HeadspecWarning
        If given changes, recovery or improvement are not what the perplexities give (beyond rounding): the computed values
        are used. If rows are repeated word for word.

    Notes
    -----
    A baseline that stands once (strategy or level blank, ``none`` or 0, no seed) is the baseline of all runs that it leaves
    open. A perplexity that is not there is taken from a given change where that is possible. Levels keep their order if
    one model and strategy lists them all, and are ascending otherwise.

    Examples
    --------
    >>> rows = [
    ...     {"strategy": "none", "stage": "baseline", "perplexity": 20.0},
    ...     {"strategy": "entropy", "pruning_level": 0.3, "stage": "pruned", "perplexity": 40.0},
    ...     {"strategy": "entropy", "pruning_level": 0.3, "stage": "fine-tuned", "perplexity": 25.0},
    ... ]
    >>> table = results_table(rows)
    >>> recovery = table[table["metric"] == "recovery_percentage"]
    >>> recovery[["strategy", "pruning_level", "stage", "value"]].values.tolist()
    [['entropy', 0.3, 'fine_tuned', 75.0]]
    """
    return long_table(read_runs(results, level_unit=level_unit, columns=columns))


def long_table(runs: Runs) -> pd.DataFrame:
    """Return runs as the long table, ordered by their keys, then by stage and metric."""
    blocks = [(stage, 0, runs.perplexity[stage], runs.measured[stage]) for stage in STAGES]
    for place, (metric, stage) in enumerate(METRIC_STAGES.items(), start=1):
        values = runs.metrics[metric]
        defined = ~np.isnan(values)
        if metric == "recovery_percentage":
            defined |= runs.unhurt  # undefined is a finding: it has a row, with NaN
        blocks.append((stage, place, values, defined))
    where = [np.flatnonzero(mask) for _, _, _, mask in blocks]
    run = np.concatenate(where)
    stages = np.concatenate(
        [np.full(len(rows), STAGES.index(block[0])) for block, rows in zip(blocks, where, strict=True)]
    )
    metrics = np.concatenate([np.full(len(rows), block[1]) for block, rows in zip(blocks, where, strict=True)])
    values = np.concatenate([block[2][rows] for block, rows in zip(blocks, where, strict=True)])
    order = np.lexsort((metrics, stages, run))
    table = frame_of_labels(runs).iloc[run[order]].reset_index(drop=True)
    table["stage"] = pd.Categorical.from_codes(stages[order], categories=pd.Index(STAGES), ordered=True)
    table["metric"] = pd.Categorical.from_codes(metrics[order], categories=pd.Index(METRICS), ordered=True)
    table["value"] = values[order]
    return table
