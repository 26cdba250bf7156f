"""The table of training histories: one row per run, metric and step at which it was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import NumpyArray
from headspec.errors import DataError
from headspec.tables.history_cells import HEAD_COUNTS, Floats
from headspec.tables.history_forms import FORMS, Column, runs_of

COLUMNS = ["run", "step", "epoch", "metric", "value"]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one run where it was measured: each step once, in order. NaN and infinities were measured."""

    run: str
    metric: str
    step: NumpyArray
    value: Floats
    epoch: Floats | None


def history_table(
    metrics_history: Any, *, run: str | None = None, step: str = "step", epoch: str = "epoch"
) -> pd.DataFrame:
    """Read the metrics of training runs into a long table: one row per run, metric and step at which it was measured.

    Parameters
    ----------
    metrics_history
        One of

        - a dict of lists of equal length, ``{"step": [...], "train_loss": [...]}``. A metric that is measured now and
          then may bring its own steps, ``"eval_loss": (steps, values)`` or ``{step: value}``;
        - a list of dicts, one per row, which may lack keys (``trainer.state.log_history``);
        - a dataframe of any library that Narwhals knows, with one column per metric, or long with ``metric`` and
          ``value``;
        - ``{run: history}``, several of these.

        A column or key ``run`` tells runs apart. ``pruned_heads`` and ``revived_heads`` count the events of their row;
        they may be numbers or lists of (layer, head) pairs (see `events_table`).
    run
        The name of the run where the history does not say it.
    step, epoch
        The names of the columns that hold them. A history may lack the epoch, not the step.

    Returns
    -------
    pandas.DataFrame
        ``run`` and ``metric`` (categories in the order given), ``step`` (whole numbers where all are), ``epoch`` (NaN
        where it is not known) and ``value``; runs and metrics in the order given, steps ascending.

    Raises
    ------
    DataError
        Nothing to read, no step, lists of unequal length, steps that are missing or of 2**53 and more, a metric that mixes
        numbers with something else, negative counts of heads.
    KindError
        A history of another kind.

    Notes
    -----
    ``None``, null and a missing key mean *not measured at this step*: no row. NaN and infinities were measured: a row
    with that value. A NumPy-backed float column of pandas cannot tell None from NaN: in a wide frame its NaN means not
    measured, in a long one each row was measured (drop those of a melted wide frame). Nullable and Arrow columns, Polars
    and lists keep the two apart.

    A resumed run that repeats steps keeps the last value of each (run, metric, step). A metric without any number (text,
    dates, an array per row) is left out with a warning that names it.

    Examples
    --------
    >>> import headspec
    >>> headspec.history_table(
    ...     {"step": [0, 10, 20], "train_loss": [3.0, 2.5, 2.25], "eval_loss": ([0, 20], [3.1, 2.4])}
    ... )
       run  step  epoch      metric  value
    0  run     0    NaN  train_loss   3.00
    1  run    10    NaN  train_loss   2.50
    2  run    20    NaN  train_loss   2.25
    3  run     0    NaN   eval_loss   3.10
    4  run    20    NaN   eval_loss   2.40
    """
    series, _ = read_history(metrics_history, run=run, step=step, epoch=epoch)
    sizes = [len(item.step) for item in series]
    runs, metrics = ([getattr(item, name) for item in series] for name in ("run", "metric"))
    columns = {
        "run": _category(runs, sizes),
        "step": np.concatenate([item.step for item in series]),
        "epoch": np.concatenate([np.full(len(i.step), np.nan) if i.epoch is None else i.epoch for i in series]),
        "metric": _category(metrics, sizes),
        "value": np.concatenate([item.value for item in series]),
    }
    return pd.DataFrame(columns, copy=False)


def _category(names: Sequence[str], sizes: Sequence[int]) -> Any:
    categories = list(dict.fromkeys(names))
    small = np.min_scalar_type(-len(categories))
    codes = np.repeat(np.asarray([categories.index(name) for name in names], dtype=small), sizes)
    return pd.Categorical.from_codes(codes, categories=pd.Index(categories))


class History(NamedTuple):
    """What a history holds: its series, and for each run the rows that name the heads they count."""

    series: list[Series]
    pairs: dict[str, list[tuple[float, str, list[tuple[int, int]]]]]  # (step, metric, heads)


def read_history(metrics_history: Any, *, run: str | None = None, step: str = "step", epoch: str = "epoch") -> History:
    """Return the series of a history, without a copy where none is needed, and the heads that its rows name."""
    series: list[Series] = []
    pairs: dict[str, list[tuple[float, str, list[tuple[int, int]]]]] = {}
    for name, columns in runs_of(metrics_history, run, step, epoch):
        series.extend(_series_of(name, columns, epoch))
        for metric in HEAD_COUNTS:
            column = columns.get(metric)
            if column is None or column.cells.pairs is None:
                continue
            listed = column.cells.pairs
            kept, steps = _latest(column.step, column.cells.measured)
            pairs.setdefault(name, []).extend(
                (at, metric, listed[row] or []) for row, at in zip(kept.tolist(), steps.tolist(), strict=True)
            )
    if not series:
        raise DataError("metrics_history holds no metric with a measured number; expected " + FORMS)
    return History(series, pairs)


# --- from columns to series ---------------------------------------------------------------------------------------------


def _latest(step: NumpyArray, measured: npt.NDArray[np.bool_] | None) -> tuple[NumpyArray, NumpyArray]:
    """Return the rows to keep, by step, and their steps: the last one of each step that was measured."""
    rows = np.arange(len(step)) if measured is None else np.flatnonzero(measured)
    steps = step if measured is None else step[rows]
    if not _increasing(steps):
        order = np.argsort(steps, kind="stable")
        rows, steps = rows[order], steps[order]
        last = np.append(steps[1:] != steps[:-1], True)
        rows, steps = rows[last], steps[last]
    return rows, steps


def _increasing(steps: NumpyArray) -> bool:
    return len(steps) < 2 or bool((steps[1:] > steps[:-1]).all())


def _series_of(run: str, columns: dict[str, Column], epoch: str) -> Iterator[Series]:
    in_order: dict[int, bool] = {}  # metrics share their steps: look at each array once
    clock = columns.get(epoch)
    times: tuple[NumpyArray, Floats] | None = None
    for metric, column in columns.items():
        if metric == epoch:
            continue
        step, (value, measured, _), own = column
        if id(step) not in in_order:
            in_order[id(step)] = _increasing(step)
        if measured is not None and measured.all():
            measured = None
        whole = measured is None and in_order[id(step)]
        if not whole:
            rows, step = _latest(step, measured)
            value, own = value[rows], None if own is None else own[rows]
        if not len(step):
            continue
        if metric in HEAD_COUNTS and (value < 0).any():
            raise DataError(
                f"metrics_history[{metric!r}] is negative at step {step[value < 0][0]}; it counts the heads of its row"
            )
        if own is None and clock is not None:
            if whole and clock.step is column.step and clock.cells.measured is None:
                own = clock.cells.value
            else:
                if times is None:
                    rows, at = _latest(clock.step, clock.cells.measured)
                    times = at, clock.cells.value[rows]
                own = _look_up(step, *times)
        yield Series(run, metric, step, value, own)


def _look_up(step: NumpyArray, known: NumpyArray, value: Floats) -> Floats:
    """Return the values at exactly these steps, NaN elsewhere: an epoch is never made up between two steps."""
    if not len(known):
        return np.full(len(step), np.nan)
    place = np.minimum(np.searchsorted(known, step), len(known) - 1)
    return np.where(known[place] == step, value[place], np.nan)
