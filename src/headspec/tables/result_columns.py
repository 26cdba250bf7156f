"""The columns of a results frame, whatever their names and kinds: keys as codes, cells as numbers."""

from __future__ import annotations

import math
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.sources import rows
from headspec.sources.files import load_results_from_file
from headspec.text import clean, listing

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]

STAGES = ("baseline", "pruned", "fine_tuned")
METRIC_STAGES = {
    "perplexity_change": "pruned",
    "perplexity_change_from_pruned": "fine_tuned",
    "perplexity_change_from_baseline": "fine_tuned",
    "recovery_percentage": "fine_tuned",
    "improvement_percentage": "fine_tuned",
}
"""The metrics that follow from the perplexities, each with the stage at which it is known."""

# Names are compared without case and punctuation: "Fine-tuned Perplexity" and "fine_tuned_perplexity" are one.
_ALIASES = {
    "model": ("model", "modelname"),
    "strategy": ("strategy", "pruningstrategy", "method", "pruningmethod"),
    "pruning_level": (
        *("pruninglevel", "level", "pruningratio", "pruningfraction", "pruningamount"),
        *("pruningpercent", "pruningpercentage", "pruninglevelpercent"),
    ),
    "seed": ("seed", "randomseed", "trial", "replicate"),
    "stage": ("stage",),
    "metric": ("metric",),
    "value": ("value",),
    "perplexity": ("perplexity", "ppl"),
    "baseline": ("baselineperplexity", "baselineppl", "perplexitybaseline"),
    "pruned": ("prunedperplexity", "prunedppl", "perplexitypruned"),
    "fine_tuned": ("finetunedperplexity", "finetunedppl", "perplexityfinetuned", "tunedperplexity"),
    "perplexity_change": ("perplexitychange",),
    "perplexity_change_from_pruned": ("perplexitychangefrompruned",),
    "perplexity_change_from_baseline": ("perplexitychangefrombaseline",),
    "recovery_percentage": ("recoverypercentage", "recovery", "recoverypercent", "recoverypct"),
    "improvement_percentage": ("improvementpercentage", "improvement", "improvementpercent", "improvementpct"),
}
_STAGE_ALIASES = {
    "baseline": ("baseline", "base", "original", "unpruned", "beforepruning"),
    "pruned": ("pruned", "pruning", "afterpruning", "postpruning"),
    "fine_tuned": ("finetuned", "finetune", "finetuning", "tuned", "afterfinetuning", "postfinetuning"),
}
_MISSING = frozenset({"", "-", "na", "n/a", "<na>", "none", "null"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf(inity)?)", re.IGNORECASE | re.ASCII)


FIRST = 1_000
"""Rows of a column of names whose names are likely to be all there are."""


class Key(NamedTuple):
    """A column that names things: a code for each row (−1 where blank), and what each code stands for."""

    codes: Codes
    labels: list[Any]


class Numbers(NamedTuple):
    """A column of numbers; `missing` marks what was not measured, NaN elsewhere was measured."""

    values: Floats
    missing: Bools


def warn(message: str) -> None:
    """Warn at the line outside headspec that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "headspec":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, HeadspecWarning, stacklevel=level)


def open_frame(results: Any, columns: Mapping[str, str]) -> nw.DataFrame[Any]:
    """Return results as an eager frame; a path is read, lists of rows and dicts of columns are made a frame.

    Raises
    ------
    KindError
        If the object is none of those.
    DataError
        If it has no rows.
    """
    if isinstance(results, (str, os.PathLike)):
        results = load_results_from_file(results)
    elif isinstance(results, Mapping):
        results = rows.from_columns(results, name="results")
    elif isinstance(results, (list, tuple)):
        results = rows.from_rows(results, name="results")
    try:
        frame: Any = nw.from_native(results)
    except TypeError:
        raise KindError(
            f"results is a {type(results).__name__}; expected a dataframe (pandas, Polars, PyArrow, …), a list of rows "
            "(dicts), a dict of columns, or the path of a CSV, JSON, JSON Lines or Parquet file"
        ) from None
    if isinstance(frame, nw.LazyFrame):
        found = match_columns(frame.collect_schema().names(), columns)
        frame = frame.select(list(dict.fromkeys(found.values()))).collect() if found else frame.collect()
    if not isinstance(frame, nw.DataFrame):
        raise KindError("results is a single column; expected a dataframe with a row per stage of a run")
    if not len(frame):
        raise DataError(f"results has no rows; its columns are: {listing(frame.columns, limit=20) or 'none'}")
    return frame


def match_columns(names: Sequence[Any], columns: Mapping[str, str]) -> dict[str, str]:
    """Return which column of a frame holds what, by name without case and punctuation or as the caller says.

    Raises
    ------
    DataError
        If two columns claim the same thing, or the caller names a column that is not there.
    """
    if twice := sorted({clean(name) for name in names if list(names).count(name) > 1}):
        raise DataError(f"results has several columns called {listing(twice)}; columns need names of their own")
    for ours, theirs in columns.items():
        if ours not in _ALIASES:
            raise DataError(f"columns has a key {clean(ours)!r}; its keys are: {listing(_ALIASES, limit=20)}")
        if theirs not in names:
            raise no_column(f"column {clean(theirs)!r}, which columns names for {ours}", names)
    found: dict[str, str] = dict(columns)
    meanings = {alias: ours for ours, aliases in _ALIASES.items() for alias in aliases}
    for name in names:
        meaning = meanings.get(_plain(str(name)))
        if meaning is None or meaning in columns or name in columns.values():
            continue
        if meaning not in found or name == meaning:  # our own spelling goes before another one
            found[meaning] = name
        elif found[meaning] != meaning:
            raise DataError(
                f"results has both {clean(found[meaning])!r} and {clean(name)!r} for {meaning}; rename one, or choose "
                f"with columns={{{meaning!r}: …}}"
            )
    return found


def no_column(what: str, names: Sequence[Any]) -> DataError:
    """Return the error about a column that is not there, with those that are."""
    return DataError(
        f"results has no {what}; its columns are: {listing(names, limit=30)}. "
        "Rename one, or say which it is with columns={…: …}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


# keys --------------------------------------------------------------------------------------------------------------


def _factorize(series: nw.Series[Any]) -> tuple[Codes, list[Any]]:
    native: Any = series.to_native()
    if isinstance(series.dtype, nw.Enum) and not isinstance(native, pd.Series):
        native = pd.Series(pd.Categorical(series.to_list(), categories=list(series.dtype.categories)))
    elif not isinstance(native, pd.Series):
        native = pd.Series(native.to_numpy() if series.dtype.is_numeric() else series.to_list(), dtype=None)
    if isinstance(native.dtype, pd.CategoricalDtype):
        codes, labels = native.cat.codes.to_numpy(np.int64), list(native.cat.categories)
        present = np.bincount(codes[codes >= 0], minlength=len(labels)) > 0
        places = np.append(np.cumsum(present) - 1, -1)  # categories that no row has are no labels
        return places[codes], [label for label, here in zip(labels, present, strict=True) if here]
    try:
        found, uniques = _codes_of_names(native) if native.dtype in ("str", object) else pd.factorize(native)
    except TypeError:  # lists or dicts in cells
        raise KindError(f"results: {clean(series.name)!r} holds lists or objects; expected names or numbers") from None
    return found.astype(np.int64, copy=False), list(uniques)


def _codes_of_names(names: Any) -> tuple[Any, list[Any]]:
    """Return what ``pd.factorize`` does: many rows are looked up in the few names that the first of them have."""
    _, known = pd.factorize(names.iloc[:FIRST])
    if len(names) <= 4 * FIRST or not 0 < len(known) <= FIRST // 10:
        codes, labels = pd.factorize(names)
        return codes, list(labels)
    codes = pd.Index(known, dtype=names.dtype).get_indexer(names)
    others = np.flatnonzero(codes < 0)
    more, labels = pd.factorize(names.iloc[others])
    codes[others] = np.where(more < 0, -1, more + len(known))
    return codes, [*known, *labels]


def _merged(codes: Codes, labels: Sequence[Any]) -> Key:
    """Return the key with equal labels made one, and None made blank."""
    places: dict[Any, int] = {}
    where = [-1 if label is None else places.setdefault(label, len(places)) for label in labels]
    if where == list(range(len(labels))):
        return Key(codes, list(places))
    return Key(np.array([*where, -1], dtype=np.int64)[codes], list(places))


def names_key(series: nw.Series[Any]) -> Key:
    """Return a column of names, cleaned, in the order given; what is null, NaN or empty is blank."""
    codes, found = _factorize(series)
    labels = [None if label is None or label != label else clean(str(label).strip()) or None for label in found]
    return _merged(codes, labels)


def stages_key(series: nw.Series[Any]) -> Codes:
    """Return a column of stages as places in `STAGES`.

    Raises
    ------
    DataError
        If a cell names no known stage.
    """
    codes, found = _factorize(series)
    meanings = {alias: place for place, stage in enumerate(STAGES) for alias in _STAGE_ALIASES[stage]}
    places = [meanings.get(_plain(str(label)), -1) for label in found]
    if unknown := [label for label, place in zip(found, places, strict=True) if place < 0]:
        raise DataError(
            f"results: stage has {listing(unknown)}; stages are baseline, pruned and fine_tuned "
            '("Fine-tuned", "finetuned" and the like are read, too)'
        )
    if (codes < 0).any():
        raise DataError(f"results: stage is blank in row {int(np.argmax(codes < 0)):,}; each row needs its stage")
    return codes if places == list(range(len(places))) else np.array(places, dtype=np.int64)[codes]


def seeds_key(series: nw.Series[Any]) -> Key:
    """Return a column of seeds: whole numbers, or text where they are not."""
    codes, found = _factorize(series)
    if series.dtype.is_integer():
        return Key(codes, [int(label) for label in found])
    labels: list[Any] = []
    for label in found:
        text = "" if label is None or label != label else clean(str(label).strip())
        whole = re.fullmatch(r"([+-]?\d+)(\.0*)?", text)
        labels.append(int(whole[1]) if whole else text or None)
    if any(isinstance(label, str) for label in labels):
        labels = [None if label is None else str(label) for label in labels]
    return _merged(codes, labels)


def levels_key(series: nw.Series[Any], *, unit: str) -> tuple[Key, bool]:
    """Return a column of pruning levels as shares from 0 to 1, and whether they were read as percent.

    The table decides: percent if any level is above 1 (then 1 is one percent, too), shares otherwise; ``30%`` is
    always percent.

    Raises
    ------
    DataError
        If a level is no number, negative, or above 100 percent.
    """
    codes, found = _factorize(series)
    name = clean(series.name)
    marked = [isinstance(label, str) and label.strip().endswith("%") for label in found]
    numbers: list[float | None] = []
    for place, (label, percent) in enumerate(zip(found, marked, strict=True)):
        try:
            value = _number(label[: label.rindex("%")] if percent else label)
        except ValueError:
            raise _no_number(name, int(np.argmax(codes == place)), label) from None
        numbers.append(None if value is None or math.isnan(value) else value)
    bare = [value for value, percent in zip(numbers, marked, strict=True) if value is not None and not percent]
    as_percent = unit == "percent" or (unit == "auto" and (any(v > 1 for v in bare) or "percent" in _plain(name)))
    shares = [
        None if value is None else round(value / 100 if percent or as_percent else value, 9) + 0.0
        for value, percent in zip(numbers, marked, strict=True)
    ]
    for label, share in zip(found, shares, strict=True):
        if share is not None and not 0 <= share <= 1:
            raise DataError(
                f"results: {name} has {clean(label)}; expected shares of the heads from 0 to 1, or percent from 0 to 100"
                + (' (level_unit="percent" reads 1 as one percent)' if unit == "fraction" else "")
            )
    return _merged(codes, shares), as_percent


# numbers -----------------------------------------------------------------------------------------------------------


def numbers_of(series: nw.Series[Any]) -> Numbers:
    """Return a column as numbers; text that holds clean numbers is read.

    Raises
    ------
    DataError
        If a cell holds no number: it names the column, the row and the cell.
    """
    name = clean(series.name)
    native: Any = series.to_native()
    if series.dtype.is_numeric():
        if isinstance(native, pd.Series) and isinstance(native.dtype, np.dtype):
            values = native.to_numpy(dtype=np.float64)  # null and NaN are one here, and count as NaN
            return Numbers(values, np.zeros(len(values), dtype=bool))
        missing = series.is_null().to_numpy().astype(bool)
        values = series.cast(nw.Float64()).fill_null(0.0).to_numpy().astype(np.float64)
        return Numbers(np.where(missing, np.nan, values), missing)
    if series.dtype == nw.Boolean():
        raise DataError(f"results: {name} holds true and false; expected numbers")
    # pandas' columns of objects are read cell by cell: None and NaN are two things there
    if series.dtype == nw.String() and not (isinstance(native, pd.Series) and native.dtype == object):
        codes, cells = _factorize(series)
        cells, codes = [*cells, None], np.where(codes < 0, len(cells), codes)
    else:
        cells = series.to_list()
        codes = np.arange(len(cells))
    found: list[float | None] = []
    for place, cell in enumerate(cells):
        try:
            found.append(_number(cell))
        except ValueError:
            raise _no_number(name, int(np.argmax(codes == place)), cell) from None
    missing = np.array([value is None for value in found], dtype=bool)
    values = np.array([np.nan if value is None else value for value in found], dtype=np.float64)
    return Numbers(values[codes], missing[codes])


def _number(cell: Any) -> float | None:
    """Return the number that a cell holds, None if it is missing; anything else is a ValueError."""
    if cell is None or cell is pd.NA:
        return None
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in _MISSING:
            return None
        if not _NUMBER.fullmatch(text):
            raise ValueError(text)
        return float(text)
    if isinstance(cell, (bool, np.bool_, complex)):
        raise ValueError(cell)
    try:
        return float(cell)
    except (TypeError, OverflowError):
        raise ValueError(cell) from None


def _no_number(name: str, row: int, cell: Any) -> DataError:
    return DataError(f"results: {name} holds {clean(repr(cell))} in row {row:,} (from 0); expected a number")
