"""The forms that a training history comes in, read into columns of numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd

from headspec.arrays import NumpyArray, kind_of
from headspec.errors import DataError, HeadspecError, HeadspecWarning, KindError
from headspec.tables.history_cells import (
    Cells,
    Floats,
    cells_list,
    frame_cells,
    is_frame,
    is_scalar,
    read_cells,
    steps_and_values,
    steps_of,
)
from headspec.text import clean, listing

DEFAULT_RUN = "run"
FORMS = (
    'a dict of lists {"step": [...], "train_loss": [...]}, a list of dicts (one per row), a dataframe, '
    "or {run: history} for several runs"
)


class Column(NamedTuple):
    """One metric with its steps, as they came: not sorted, repeats and all."""

    step: NumpyArray
    cells: Cells
    epoch: Floats | None = None


Run = tuple[str, dict[str, Column]]


def runs_of(history: Any, run: str | None, step: str, epoch: str) -> list[Run]:
    """Return the columns of each run; what is not a number is left out, with one warning."""
    left_out: dict[str, str] = {}
    found = list(_read(history, run, step, epoch, left_out))
    names = [name for name, _ in found]
    if len(set(names)) != len(names):
        raise DataError(
            f"metrics_history names a run twice: {listing(sorted({n for n in names if names.count(n) > 1}))}"
        )
    if left_out:
        what = listing(f"{name} ({kind})" for name, kind in left_out.items())
        warnings.warn(f"metrics_history: left out {what}, which hold no numbers", HeadspecWarning, stacklevel=4)
    return found


def _read(history: Any, run: str | None, step: str, epoch: str, left_out: dict[str, str]) -> Iterator[Run]:
    if isinstance(history, Mapping):
        if not history:
            raise DataError(f"metrics_history is empty; expected {FORMS}")
        if step not in history and all(_is_history(value) for value in history.values()):
            for name, part in history.items():
                yield from _read(part, clean(name), step, epoch, left_out)
        elif all(is_scalar(value) for value in history.values()):
            yield from _from_rows([history], run, step, left_out)
        else:
            yield from _from_lists(history, run, step, left_out)
    elif is_frame(history):
        yield from _from_frame(history, run, step, epoch, left_out)
    elif isinstance(history, (list, tuple)) and all(isinstance(row, Mapping) for row in history):
        yield from _from_rows(history, run, step, left_out)
    else:
        log = next((f".{a}" for a in ("state.log_history", "log_history", "history") if _reach(history, a)), "")
        hint = f"; pass its {log[1:]}: metrics_history=….{log[1:]}" if log else ""
        raise KindError(f"metrics_history is {kind_of(history)}; expected {FORMS}{hint}")


def _reach(value: Any, path: str) -> bool:
    for name in path.split("."):
        value = getattr(value, name, None)
    return value is not None


def _is_history(value: Any) -> bool:
    return (
        (isinstance(value, Mapping) and any(isinstance(key, str) for key in value))
        or is_frame(value)
        or (isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value))
    )


def _distinct(names: Sequence[object]) -> list[str]:
    cleaned = [clean(name) for name in names]
    if len(set(cleaned)) != len(cleaned):
        raise DataError(f"metrics_history has names that read alike: {listing(map(repr, names))}")
    return cleaned


def _no_step(step: str, names: Sequence[object]) -> DataError:
    there = f"it has {listing(names)}" if len(names) else "it is empty"
    return DataError(f"metrics_history lacks {step!r}; {there}. Say which one holds the step: step=…")


def _from_lists(history: Mapping[Any, Any], run: str | None, step: str, left_out: dict[str, str]) -> Iterator[Run]:
    shared, own, sizes = {}, {}, {}
    order = _distinct(list(history))
    for name, value in zip(order, history.values(), strict=True):
        pair = steps_and_values(value, name)
        if pair is not None:
            own[name] = pair
        else:
            shared[name] = cells_list(value, name)
            sizes[name] = len(shared[name])
    if step not in shared and shared:
        raise _no_step(step, list(history))
    if len(set(sizes.values())) > 1:
        have = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        few = min(sizes, key=lambda name: sizes[name])
        raise DataError(
            f"metrics_history has lists of unequal length: {have}. Give None where a metric was not measured, or the "
            f"metric with its own steps: {few!r}: (steps, values)"
        )
    steps = steps_of(shared.pop(step), step) if step in shared else np.zeros(0)
    columns: dict[str, Column] = {}
    names = shared.pop("run", None)
    for name, cells in shared.items():
        read = read_cells(cells, name, left_out)
        if read is not None:
            columns[name] = Column(steps, read)
    for name, (at, cells) in own.items():
        read = read_cells(cells, name, left_out)
        if read is not None:
            columns[name] = Column(steps_of(at, f"{name} (steps)"), read)
    columns = {name: columns[name] for name in order if name in columns}
    if names is None:
        yield clean(run if run is not None else DEFAULT_RUN), columns
        return
    if own:
        raise DataError(
            f"metrics_history has a list 'run', and {listing(own)} with steps of its own, which run they belong to is "
            "not said; give {run: history}"
        )
    yield from _split(names, run, columns)


def _split(names: Any, run: str | None, columns: dict[str, Column]) -> Iterator[Run]:
    codes, labels = _labels(names, run)
    for code, label in enumerate(labels):
        rows = np.flatnonzero(codes == code)
        if len(labels) == 1:
            yield label, columns
            return
        shared = next(iter(columns.values())).step[rows] if columns else rows  # one array for all metrics
        yield label, {name: Column(shared, column.cells.take(rows)) for name, column in columns.items()}


def _labels(names: Any, run: str | None) -> tuple[NumpyArray, list[str]]:
    codes, unique = pd.factorize(names if isinstance(names, pd.Series) else np.asarray(list(names), dtype=object))
    labels = [clean(name) for name in unique]
    if (codes < 0).any():
        raise DataError(f"metrics_history['run'] is missing in row {int(np.flatnonzero(codes < 0)[0])}; name each run")
    if len(set(labels)) != len(labels):
        raise DataError(f"metrics_history['run'] holds names that read alike: {listing(map(repr, unique))}")
    if run is not None and len(labels) > 1:
        raise DataError(f"metrics_history holds the runs {listing(labels)}, which one name, {run!r}, cannot stand for")
    return codes, labels if run is None else [clean(run)]


def _from_rows(
    rows: Sequence[Mapping[Any, Any]], run: str | None, step: str, left_out: dict[str, str]
) -> Iterator[Run]:
    if not rows:
        raise DataError(f"metrics_history is empty; expected {FORMS}")
    runs: dict[Any, tuple[list[Any], dict[Any, tuple[list[int], list[Any]]]]] = {}
    for place, row in enumerate(rows):
        if row.get(step) is None:
            if not any(step in other for other in rows):
                raise _no_step(step, list(dict.fromkeys(key for other in rows for key in other)))
            raise DataError(f"metrics_history[{place}] lacks {step!r}; it has {listing(row)}")
        steps, columns = runs.setdefault(row.get("run"), ([], {}))
        for key, value in row.items():
            if key != step and key != "run" and value is not None:
                at, cells = columns.setdefault(key, ([], []))
                at.append(len(steps))
                cells.append(value)
        steps.append(row[step])
    if list(runs) == [None]:
        labels = [clean(run if run is not None else DEFAULT_RUN)]
    else:
        _, labels = _labels(list(runs), run)
    for label, (steps, columns) in zip(labels, runs.values(), strict=True):
        all_steps = steps_of(steps, step)
        read: dict[str, Column] = {}
        for key, (at, cells) in columns.items():
            found = read_cells(cells, clean(key), left_out)
            if found is not None:
                read[clean(key)] = Column(all_steps if len(at) == len(all_steps) else all_steps[at], found)
        yield label, read


def _from_frame(frame: Any, run: str | None, step: str, epoch: str, left_out: dict[str, str]) -> Iterator[Run]:
    if isinstance(frame, pd.DataFrame) and step not in frame.columns and frame.index.name == step:
        frame = frame.reset_index()
    try:
        data: Any = nw.from_native(frame)
        data = data.collect() if isinstance(data, nw.LazyFrame) else data
        columns = dict(zip(_distinct(data.columns), (data[name] for name in data.columns), strict=True))
    except HeadspecError:
        raise
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        raise DataError(f"metrics_history could not be read as a dataframe: {clean(error)}") from error
    if step not in columns:
        raise _no_step(step, list(columns))
    if not len(data):
        raise DataError(f"metrics_history is empty: a dataframe without rows, columns {listing(columns)}")
    steps = _frame_steps(columns.pop(step), step)
    names = columns.pop("run").to_native() if "run" in columns else None
    names = names if names is None or isinstance(names, pd.Series) else data["run"].to_list()
    if {"metric", "value"} <= set(columns):
        yield from _from_long(columns, steps, names, run, epoch)
        return
    read = {}
    for name, column in columns.items():
        cells = frame_cells(column, name, left_out)
        if cells is not None:
            read[name] = Column(steps, cells)
    if names is None:
        yield clean(run if run is not None else DEFAULT_RUN), read
    else:
        yield from _split(names, run, read)


def _frame_steps(column: Any, step: str) -> NumpyArray:
    if column.is_null().any():
        raise DataError(f"metrics_history[{step!r}] is missing in row {int(column.is_null().arg_true()[0])}")
    return steps_of(column.to_numpy() if column.dtype.is_numeric() else column.to_list(), step)


def _from_long(columns: Mapping[str, Any], steps: NumpyArray, names: Any, run: str | None, epoch: str) -> Iterator[Run]:
    more = [name for name in columns if name not in ("metric", "value", epoch)]
    if more:
        warnings.warn(
            f"metrics_history: a long table is read by run, step, {epoch}, metric and value; not read: {listing(more)}",
            HeadspecWarning,
            stacklevel=7,
        )
    native = columns["metric"].to_native()
    codes, metrics = pd.factorize(
        native if isinstance(native, pd.Series) else np.asarray(columns["metric"].to_list(), dtype=object)
    )
    if (codes < 0).any():
        raise DataError(f"metrics_history['metric'] is missing in row {int(np.flatnonzero(codes < 0)[0])}")
    cells = frame_cells(columns["value"], "value", {})
    if cells is None:
        raise KindError(f"metrics_history['value'] holds {columns['value'].dtype}; expected numbers")
    value = columns["value"].to_native()
    if isinstance(value, pd.Series) and isinstance(value.dtype, np.dtype) and value.dtype.kind == "f":
        cells = Cells(cells.value, None)  # a row of a long table was measured, also where it is NaN
    epochs = None
    if epoch in columns:
        clock = frame_cells(columns[epoch], epoch, {})
        epochs = None if clock is None else clock.value
    run_codes, labels = (np.zeros(len(steps), dtype=np.intp), [clean(run if run is not None else DEFAULT_RUN)])
    if names is not None:
        run_codes, labels = _labels(names, run)
    group = run_codes * len(metrics) + codes
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(labels) * len(metrics) + 1))
    for place, label in enumerate(labels):
        part: dict[str, Column] = {}
        firsts = {}
        for code, metric in enumerate(metrics):
            low, high = ends[place * len(metrics) + code : place * len(metrics) + code + 2]
            rows = order[low:high]
            if len(rows):
                firsts[clean(metric)] = rows[0]
                part[clean(metric)] = Column(steps[rows], cells.take(rows), None if epochs is None else epochs[rows])
        yield label, {name: part[name] for name in sorted(part, key=lambda name: firsts[name])}
