"""Histories that write down how many heads are pruned so far, where others count the prunings of each row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from headspec.tables.history import Series

PRUNED, REVIVED = "pruned_heads", "revived_heads"
SAME = 0.02
"""How far the share of heads that a count stands for may vary: a rounded sparsity has two digits or more."""


def changes_of_totals(series: Sequence[Series], *, but: Collection[str] = ()) -> tuple[list[Series], list[str]]:
    """Return the series with running totals of pruned heads replaced by their changes, and the runs that had one.

    A count that is proportional to the sparsity of its row in every row, in two of them or more not zero, is the
    number of heads that are pruned now: prunings of a row would be proportional to the change of sparsity. Where it falls, heads
    were revived, unless the history counts those itself. Other counts stay as they are.

    Parameters
    ----------
    series
        What a history holds.
    but
        Runs that name their heads, and so need no guess.
    """
    names = {(item.run, item.metric) for item in series}
    out: list[Series] = []
    runs: list[str] = []
    for item in series:
        rates = [other for other in series if other.run == item.run and "sparsity" in other.metric.lower()]
        if item.metric != PRUNED or item.run in but or not any(_follows(item, rate) for rate in rates):
            out.append(item)
            continue
        runs.append(item.run)
        change = np.diff(item.value, prepend=0.0)
        out.append(Series(item.run, PRUNED, item.step, np.maximum(change, 0.0), item.epoch))
        if (item.run, REVIVED) not in names and (change < 0).any():
            out.append(Series(item.run, REVIVED, item.step, np.maximum(-change, 0.0), item.epoch))
    return out, runs


def _follows(counts: Series, rate: Series) -> bool:
    """Tell whether counts are the same multiple of a rate, which every row that has one has too."""
    _, here, there = np.intersect1d(counts.step, rate.step, assume_unique=True, return_indices=True)
    count, share = counts.value[here], rate.value[there]
    if len(here) < len(counts.step) or not (np.isfinite(count).all() and np.isfinite(share).all()):
        return False
    some = count != 0
    if some.sum() < 2 or ((share != 0) != some).any():
        return False
    heads = count[some] / share[some]
    return bool(heads.min() > 0 and heads.max() <= heads.min() * (1 + SAME))
