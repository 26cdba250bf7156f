"""Runs of an experiment as arrays: one place per run (model, strategy, level, seed), one array per stage and metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from headspec.errors import DataError
from headspec.tables.result_columns import METRIC_STAGES, STAGES, Bools, Codes, Floats, Key, warn
from headspec.tables.result_shapes import KEYS, Block, Entries
from headspec.text import clean, count, listing, number


@dataclass(frozen=True)
class Runs:
    """Runs in the order of their keys.

    Attributes
    ----------
    labels
        What the codes of ``model``, ``strategy``, ``pruning_level`` and ``seed`` stand for, in the order to show.
    codes
        A code per run and key, −1 where blank.
    perplexity, measured
        Values per stage, and where the stage was measured at all (NaN there is a value, too).
    metrics
        What follows from the perplexities, or was given without them.
    unhurt
        Where recovery is undefined because pruning did not hurt.
    notes
        What was read in a way that the reader should know.
    """

    labels: dict[str, list[Any]]
    codes: dict[str, Codes]
    perplexity: dict[str, Floats]
    measured: dict[str, Bools]
    metrics: dict[str, Floats]
    unhurt: Bools
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.unhurt)

    def where(self, keep: Bools) -> Runs:
        """Return the runs of a mask, with the labels that they use."""
        labels: dict[str, list[Any]] = {}
        codes: dict[str, Codes] = {}
        for key in KEYS:
            kept = self.codes[key][keep]
            present = np.bincount(kept[kept >= 0], minlength=len(self.labels[key])) > 0
            labels[key] = [label for label, here in zip(self.labels[key], present, strict=True) if here]
            codes[key] = np.append(np.cumsum(present) - 1, -1)[kept]
        return replace(
            self,
            labels=labels,
            codes=codes,
            perplexity={stage: values[keep] for stage, values in self.perplexity.items()},
            measured={stage: values[keep] for stage, values in self.measured.items()},
            metrics={metric: values[keep] for metric, values in self.metrics.items()},
            unhurt=self.unhurt[keep],
        )

    def choose(self, key: str, labels: Iterable[Any], *, argument: str = "") -> Runs:
        """Return the runs with one of these labels, and the labels in this order.

        Raises
        ------
        DataError
            If a label is not there: it lists those that are.
        """
        known = self.labels[key]
        wanted = list(dict.fromkeys(clean(str(label).strip()) if key != "pruning_level" else label for label in labels))
        if unknown := [label for label in wanted if label not in known]:
            shown = [percent(float(label)) for label in known] if key == "pruning_level" else known
            what = [percent(float(label)) for label in unknown] if key == "pruning_level" else unknown
            raise DataError(
                f"{argument or key} has {listing(what)}, which the results do not have; there: {listing(shown, limit=20) or 'none'}"
            )
        if not wanted:
            raise DataError(f"{argument or key} is empty; name one at least of {listing(known, limit=20)}")
        places = np.full(len(known) + 1, -1, dtype=np.int64)
        for place, label in enumerate(wanted):
            places[known.index(label)] = place
        moved = places[self.codes[key]]
        runs = replace(self, labels=self.labels | {key: wanted}, codes=self.codes | {key: moved})
        return runs.where(moved >= 0)

    def name(self, run: int) -> str:
        """Return what to call a run in a message."""
        parts = []
        for key in KEYS:
            if (code := int(self.codes[key][run])) >= 0:
                label = self.labels[key][code]
                parts.append(percent(label) if key == "pruning_level" else f"seed {label}" if key == "seed" else label)
        return " · ".join(parts) or "the only run"


def percent(level: float) -> str:
    """Return a share as a reader would write it: ``30 %``, ``0.5 %``."""
    return f"{round(100 * level, 6):g} %"


def frame_of_labels(runs: Runs) -> pd.DataFrame:
    """Return the keys of the runs as columns: ordered categories, shares, and seeds."""
    names = {}
    for key in ("model", "strategy"):
        names[key] = pd.Categorical.from_codes(
            runs.codes[key], categories=pd.Index(runs.labels[key], dtype=object), ordered=True
        )
    levels = np.append(np.asarray(runs.labels["pruning_level"], dtype=np.float64), np.nan)
    seeds = runs.labels["seed"]
    whole = all(isinstance(seed, int) for seed in seeds)
    found = pd.array([*seeds, None], dtype="Int64" if whole else "string")
    return pd.DataFrame(
        names | {"pruning_level": levels[runs.codes["pruning_level"]], "seed": found[runs.codes["seed"]]}
    )


def gather(entries: Entries) -> Runs:
    """Return a run per distinct key, with each value at its place; values that follow are not there yet."""
    keys = {key: entries.keys[key] for key in KEYS}
    levels = _level_order(keys)
    keys["pruning_level"] = levels
    combined = combined_codes([keys[key].codes for key in KEYS], [len(keys[key].labels) for key in KEYS])
    run_of_row, first = numbered(combined)
    size = len(first)
    codes = {key: keys[key].codes[first] for key in KEYS}
    labels = {key: keys[key].labels for key in KEYS}
    perplexity = {stage: np.full(size, np.nan) for stage in STAGES}
    measured = {stage: np.zeros(size, dtype=bool) for stage in STAGES}
    metrics = {metric: np.full(size, np.nan) for metric in METRIC_STAGES}
    runs = Runs(labels, codes, perplexity, measured, metrics, np.zeros(size, dtype=bool), list(entries.notes))
    repeated = 0
    for block in entries.blocks:
        rows, values = np.arange(len(combined)) if block.rows is None else block.rows, block.values
        if block.missing.any():
            rows, values = rows[~block.missing], values[~block.missing]
        target = perplexity[block.stage] if block.metric == "perplexity" else metrics[block.metric]
        places = run_of_row[rows]
        repeated += _place(target, places, values, runs, block, rows)
        if block.metric == "perplexity":
            measured[block.stage][places] = True
            _check_positive(values, rows, block)
    if repeated:
        warn(f"results repeats {count(repeated, 'value')} word for word (same keys, same number); each is used once")
    return runs


def _place(target: Floats, places: Codes, values: Floats, runs: Runs, block: Block, rows: Codes) -> int:
    """Put values at their runs and return how many were repeats; two different values for one run are an error."""
    target[places] = values
    if len(places) < 2 or int(np.bincount(places).max()) < 2:
        return 0
    kept = target[places]
    differs = ~((kept == values) | (np.isnan(kept) & np.isnan(values)))
    if differs.any():
        row = int(np.argmax(differs))
        raise DataError(
            f"results has several {block.stage} rows with different {block.metric} for {runs.name(int(places[row]))} "
            f"({number(float(values[row]))} and {number(float(kept[row]))}; row {int(rows[row]):,}, from 0): repeats need a "
            "seed column of their own, or the rows another strategy, level or model"
        )
    return len(places) - int((np.bincount(places) > 0).sum())


def _check_positive(values: Floats, rows: Codes, block: Block) -> None:
    if bool((values <= 0).any()):
        row = int(np.argmax(values <= 0))
        raise DataError(
            f"results: the {block.stage} perplexity in row {int(rows[row]):,} (from 0) is {values[row]:g}; a perplexity is "
            "above 0 (exp of the mean loss in nats)"
        )


def combined_codes(codes: Sequence[Codes], sizes: Sequence[int]) -> Codes:
    """Return one integer per row for several keys; blank is a value of its own."""
    combined = codes[0] + 1
    for code, size in zip(codes[1:], sizes[1:], strict=True):
        combined *= size + 1
        combined += code
        combined += 1
    return combined


def numbered(combined: Codes) -> tuple[Codes, Codes]:
    """Return the run of each row, runs in the order of their keys, and the first row of each run."""
    span = int(combined.max()) + 1
    if span <= max(4 * len(combined), 1 << 20):  # a table of all keys is cheaper than sorting the rows
        first = np.full(span, -1, dtype=np.int64)
        first[combined[::-1]] = np.arange(len(combined) - 1, -1, -1)
        used = first >= 0
        return (np.cumsum(used) - 1)[combined], first[used]
    _, first, places = np.unique(combined, return_index=True, return_inverse=True)
    return places.astype(np.int64), first.astype(np.int64)


def _level_order(keys: Mapping[str, Key]) -> Key:
    """Put the levels in the order in which one model and strategy lists them all, else in ascending order.

    The order of first appearance in the whole table can be an accident: the first model may lack a level.
    """
    codes, labels = keys["pruning_level"]
    size = len(labels)
    if codes[0] >= 0:  # the first model and strategy, if they have all levels, come before all others that do
        rows = np.flatnonzero(np.logical_and.reduce([keys[key].codes == keys[key].codes[0] for key in KEYS[:2]]))
        seen, firsts = np.unique(codes[rows], return_index=True)
        if len(seen[seen >= 0]) == size:
            return _ordered(codes, labels, np.argsort(firsts[seen >= 0], kind="stable"))
    groups = combined_codes([keys["model"].codes, keys["strategy"].codes], [len(keys[key].labels) for key in KEYS[:2]])
    groups, starts = numbered(groups)
    firsts = np.full(len(starts) * (size + 1), -1, dtype=np.int64)
    firsts[(groups * (size + 1) + codes + 1)[::-1]] = np.arange(len(codes) - 1, -1, -1)
    per_group = firsts.reshape(len(starts), size + 1)[:, 1:]
    full = per_group[(per_group >= 0).all(axis=1)]
    if len(full):
        order = np.argsort(full[np.argmin(full.min(axis=1))] if size else full[0], kind="stable")
    else:
        order = np.argsort(np.asarray(labels, dtype=float), kind="stable")
    return _ordered(codes, labels, order)


def _ordered(codes: Codes, labels: list[Any], order: Codes) -> Key:
    """Return a key with its labels in another order."""
    if (order == np.arange(len(labels))).all():
        return Key(codes, labels)
    places = np.full(len(labels) + 1, -1, dtype=np.int64)
    places[order] = np.arange(len(labels))
    return Key(places[codes], [labels[place] for place in order])
