"""What a training chart says in words: the notes under its title and its description."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from headspec.charts.describe import sentence
from headspec.charts.training_rows import Line, ValueAxis
from headspec.tables.events import state_at
from headspec.tables.history import Series
from headspec.tables.history_cells import HEAD_COUNTS
from headspec.text import count, head_names, listing, number


def brief(value: float) -> str:
    """Return a number for a sentence or a label: 1e+60 and not 1.00e+60."""
    return re.sub(r"\.?0+e", "e", number(value))


def reduced(lines: Sequence[Line], bars: pd.DataFrame, at_steps: int, max_points: int | None) -> list[str]:
    """Return the notes on what was thinned and summed."""
    notes = []
    thinned = [line for line in lines if len(line.rows) < len(line.series.step) and line.panel != "sparsity"]
    if thinned:
        longest = max(len(line.series.step) for line in thinned)
        most = max_points or max(len(line.rows) for line in thinned)
        how = "minimum and maximum per half pixel" if max_points is None else "minimum and maximum per span"
        notes.append(f"lines show up to {most:,} of {longest:,} points ({how}, gaps; zooming adds none)")
    if len(bars) and (bars["last_step"] != bars["step"]).any():
        notes.append(f"heads of {count(at_steps, 'step')} summed in {count(bars['step'].nunique(), 'bar')}")
    return notes


def marked(lines: Sequence[Line], axes: Mapping[str, ValueAxis]) -> list[str]:
    """Return the notes on what is not a number and on what lies beyond an axis."""
    notes = []
    for line in lines:
        kinds = _not_numbers(line.series)
        if kinds:
            notes.append(f"{_whose(line, lines)} is {kinds}")
    for panel, axis in axes.items():
        if not axis.beyond:
            continue
        values = np.concatenate([line.series.value for line in lines if line.panel == panel])
        values = values[np.isfinite(values)]
        low, high = (
            axis.least - abs(1e-4 * axis.least),
            axis.most + abs(1e-4 * axis.most),
        )  # the drawn values are rounded
        for out, side, extreme in ((values > high, "above", "up to"), (values < low, "below", "down to")):
            if out.any():
                end = values[out].max() if side == "above" else values[out].min()
                notes.append(f"{count(int(out.sum()), 'value')} {side} the {panel} axis, {extreme} {brief(float(end))}")
    return notes


def absent(chosen: Mapping[str, list[Series]], bars: pd.DataFrame, left: Sequence[str], perplexity: bool) -> list[str]:
    """Return the notes on what a reader may miss."""
    notes = []
    if "heads" in chosen and not len(bars):
        notes.append("no head was pruned or revived")
    if perplexity and "perplexity" not in chosen:
        notes.append("perplexity was not measured")
    if left:
        notes.append(f"not drawn: {listing(left)}")
    return notes


def training_text(
    runs: Sequence[str],
    lines: Sequence[Line],
    counts: Sequence[Series],
    named: Mapping[str, pd.DataFrame],
    epochs: pd.DataFrame,
    said: Sequence[str],
) -> str:
    """Return what the training shows: ends and extremes of each metric, the heads pruned and revived, what was reduced."""
    steps = [end for item in [*(line.series for line in lines), *counts] for end in (item.step[0], item.step[-1])]
    span = (
        f"over steps {_step(min(steps))} to {_step(max(steps))}"
        if min(steps) < max(steps)
        else f"at step {_step(min(steps))}"
    )
    ruled = (
        f", rules at the first steps of epochs {epochs['epoch'].min()} to {epochs['epoch'].max()}"
        if len(epochs) > 1
        else ""
    )
    pieces = [f"Training of {listing(runs)} {span}{ruled}" if len(runs) > 1 else f"Training {span}{ruled}"]
    for run in runs:
        lead = f"{run}: " if len(runs) > 1 else ""
        pieces += [f"{lead}{_line_text(line)}" for line in lines if line.series.run == run]
        mine = [item for item in counts if item.run == run]
        if any(np.nansum(item.value) for item in mine):
            pieces.append(lead + _heads_text(mine, named.get(run)))
    if any((line.value != line.series.value[line.rows])[np.isfinite(line.value)].any() for line in lines):
        said = [*said, "values rounded to six significant digits or more"]
    notes = "; ".join(note for note in said if note)
    return sentence(*pieces, notes[:1].upper() + notes[1:])


def _line_text(line: Line) -> str:
    series = line.series
    finite = np.isfinite(series.value)
    name, steps, values = series.metric, series.step[finite], series.value[finite]
    if not len(values):
        return f"{name}: no finite value ({_not_numbers(series)})"
    if len(values) == 1:
        text = f"{name} {brief(float(values[0]))} at step {_step(steps[0])}"
    else:
        text = f"{name} from {brief(float(values[0]))} to {brief(float(values[-1]))}"
        if line.panel != "sparsity":
            low, high = int(values.argmin()), int(values.argmax())
            text += f", lowest {brief(float(values[low]))} at step {_step(steps[low])}"
            if high:
                text += f", highest {brief(float(values[high]))} at step {_step(steps[high])}"
    kinds = _not_numbers(series)
    return f"{text}, {kinds}" if kinds else text


def _heads_text(series: Sequence[Series], named: pd.DataFrame | None) -> str:
    totals = {item.metric: int(np.nansum(item.value)) for item in series}
    pruned, revived = (totals.get(metric, 0) for metric in HEAD_COUNTS)
    busy = np.unique(np.concatenate([item.step[item.value > 0] for item in series]))
    where = (
        f"at step {_step(busy[0])}"
        if len(busy) == 1
        else f"at {count(len(busy), 'step')} from {_step(busy[0])} to {_step(busy[-1])}"
    )
    what = [count(total, noun) for total, noun in ((pruned, "pruning"), (revived, "revival")) if total]
    text = f"{' and '.join(what)} of heads {where}"
    if named is None:
        return text
    gone = [pair for pair, state in state_at(named).items() if state == "pruned"]
    return (
        f"{text}; {count(len(gone), 'head')} pruned at the end ({head_names(gone)})"
        if gone
        else f"{text}; none pruned at the end"
    )


def _not_numbers(series: Series) -> str:
    value = series.value
    if np.isfinite(value).all():
        return ""
    kinds = (("NaN", np.isnan(value)), ("∞", value == np.inf), ("−∞", value == -np.inf))
    return " and ".join(
        f"{name} at {count(int(found.sum()), 'step')} ({_step(series.step[found][0])}"
        + (f" to {_step(series.step[found][-1])})" if found.sum() > 1 else ")")
        for name, found in kinds
        if found.any()
    )


def _whose(line: Line, lines: Sequence[Line]) -> str:
    several = len({other.series.run for other in lines}) > 1
    return f"{line.series.metric} of {line.series.run}" if several else line.series.metric


def _step(step: float) -> str:
    return f"{int(step):,}" if step == int(step) else f"{step:g}"
