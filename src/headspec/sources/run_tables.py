"""What the tables of a run are: histories, results, events, values of heads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from headspec.errors import DataError
from headspec.sources.run import Run, Table
from headspec.sources.run_arrays import MOST_HEADS, MOST_LAYERS, HeadMap, HeadSteps
from headspec.sources.run_config import FileConfig
from headspec.text import clean, count, listing

_STEPS = ("step", "global_step", "steps", "iteration", "iter")


def take_table(run: Run, file: str, frame: Any, about: FileConfig, *, recorded: bool = False) -> None:
    """Take a table as what its columns say that it is, if the readers of such tables agree."""
    names = {str(column).strip().lower() for column in (frame.columns if isinstance(frame, pd.DataFrame) else ())}
    role = about.role or _role_of(names)
    if role == "events":
        from headspec.tables.events import events_table

        table = events_table(frame)
        run.events.append(Table(file, frame, about, recorded=recorded))
        heads = len(table[["layer", "head"]].drop_duplicates())
        run.used.append((clean(file), f"event list ({count(len(table), 'event')} of {count(heads, 'head')})"))
    elif role == "results":
        from headspec.tables.results import results_table

        table = results_table(frame)
        run.results.append(Table(file, frame, about))
        parts = [count(table[name].nunique(), noun) for name, noun in (("model", "model"),)]
        strategies = table["strategy"].nunique()
        run.used.append((clean(file), f"results table ({parts[0]}, {strategies:,} strategies, {len(frame):,} rows)"))
    elif role == "history":
        take_history(run, Table(file, frame, about, recorded=recorded), names)
    elif role in ("heads", "steps"):
        take_heads(run, file, frame, about)
    else:
        found = listing(sorted(names), limit=8) or "none"
        raise DataError(
            "no history (a step and metrics), results (a strategy, stages or perplexities), events (step, layer, head, event) "
            f"or heads (layer, head, measure, value): its columns are {found}"
        )


def _role_of(names: set[str]) -> str:
    if {"layer", "head", "event"} <= names:
        return "events"
    if {"layer", "head", "value"} <= names:
        return "heads"
    if any("strategy" in name or name == "method" for name in names):
        return "results"
    return "history" if names & set(_STEPS) and len(names) > 1 and not {"layer", "head"} <= names else ""


def take_history(run: Run, table: Table, names: set[str]) -> None:
    """Take a table of metrics; `names` are those of its columns."""
    from headspec.tables.history import read_history

    config = table.config
    step = config.step or next((name for name in _STEPS if name in names), "step")
    table = replace(table, config=replace(config, step=step, epoch=config.epoch or "epoch"))
    history = read_history(table.value, step=step, epoch=table.config.epoch)
    steps = max((len(series.step) for series in history.series), default=0)
    metrics = list(dict.fromkeys(series.metric for series in history.series))
    run.histories.append(table)
    run.used.append((clean(table.file), f"metrics history ({count(steps, 'step')}: {listing(metrics, limit=6)})"))


def take_heads(run: Run, file: str, frame: pd.DataFrame, about: FileConfig) -> None:
    """Take a long table of heads: a map for each measure, or its values over the steps where it has several."""
    from headspec.tables.heads import heads_table

    steps = frame["step"] if "step" in frame.columns else None
    known = steps is None or (  # of text, "1000" would come before "500"
        pd.api.types.is_numeric_dtype(steps) and bool(np.isfinite(steps.to_numpy(np.float64, na_value=np.nan)).all())
    )
    if not known:
        raise DataError("its column 'step' has cells that are no numbers")
    table = heads_table(frame, name="it")
    if table["layer"].max() >= MOST_LAYERS or table["head"].max() >= MOST_HEADS:
        raise DataError(f"L{table['layer'].max()} H{table['head'].max()} is beyond the layers and heads of a model")
    by = [column for column in ("run", "measure") if column in frame.columns]
    groups = list(frame.groupby(by, sort=False, dropna=False)) if by else [((), frame)]
    runs = frame["run"].nunique() if "run" in by else 1
    stem = file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    said = []
    for name, rows in groups:
        found = dict(zip(by, name, strict=True))
        key = clean(found.get("measure", stem))
        measure = about.measure if about.measure and frame.get("measure", pd.Series([stem])).nunique() == 1 else key
        of = clean(found["run"]) if runs > 1 else ""
        shape = (int(rows["layer"].max()) + 1, int(rows["head"].max()) + 1)
        at = np.unique(rows["step"]) if steps is not None else np.array([])
        values = np.full((max(len(at), 1), *shape), np.nan)
        place = np.searchsorted(at, rows["step"]) if len(at) else 0
        values[place, rows["layer"].astype(int), rows["head"].astype(int)] = pd.to_numeric(
            rows["value"], errors="coerce"
        )
        series = HeadSteps(measure, file, key, "", at, values, clean(about.title), origin="table", rows=rows, of=of)
        if len(at) > 1:
            run.steps.append(series)
            said.append(series.said)
        else:
            step = at[0].item() if len(at) else None
            one = HeadMap(measure, file, key, values[0], clean(about.title), step, origin="table", rows=rows, of=of)
            run.maps.append(one)
            said.append(f"{measure} of {shape[0]} layers × {shape[1]} heads")
    run.used.append((clean(file), f"heads table ({'; '.join(dict.fromkeys(said))})"))


def is_table(value: Any) -> bool:
    """Tell whether a JSON value is a table: a list of rows, or columns of one length."""
    if isinstance(value, dict):
        value = value.get("results", value.get("data", value))
    if isinstance(value, dict):
        sizes = {len(item) if isinstance(item, list) else -1 for item in value.values()}
        return len(sizes) == 1 and -1 not in sizes
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
