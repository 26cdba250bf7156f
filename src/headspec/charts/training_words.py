"""What a training chart says in words: the notes under its title and its description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from headspec.charts.describe import sentence
from headspec.charts.training_rows import Line
from headspec.tables.events import state_at
from headspec.tables.history import Series
from headspec.tables.history_cells import HEAD_COUNTS
from headspec.text import count, head_names, listing, number

FULL = 3
"""Up to so many runs are described one by one."""


def brief(value: float) -> str:
    """Return a number for a sentence: 1e+60 and not 1.00e+60."""
    return re.sub(r"\.?0+e", "e", number(value))


def reduced(lines: Sequence[Line], bars: pd.DataFrame, at_steps: int, max_points: int | None) -> list[str]:
    """Return the notes on what was thinned and summed."""
    notes = []
    thinned = [line for line in lines if line.thinned]
    if thinned:
        longest = max(len(line.series.step) for line in thinned)
        most = max_points or max(len(line.rows) for line in thinned)
        how = "half pixel" if max_points is None else "span"
        notes.append(
            f"lines show up to {most:,} of {longest:,} points (minimum and maximum per {how}, gaps; zooming adds none)"
        )
    if len(bars) and (bars["last_step"] != bars["step"]).any():
        notes.append(f"heads of {count(at_steps, 'step')} summed in {count(bars['step'].nunique(), 'bar')}")
    return notes


def not_numbers(lines: Sequence[Line]) -> list[str]:
    """Return the notes on NaN and infinities."""
    several = len({line.series.run for line in lines}) > 1
    found = [(line.series, _not_numbers(line)) for line in lines]
    if sum(bool(kinds) for _, kinds in found) > 6:
        points = sum(int((~np.isfinite(series.value)).sum()) for series, _ in found)
        return [f"{count(points, 'value')} of {sum(bool(kinds) for _, kinds in found)} lines are NaN or ∞"]
    return [f"{series.metric}{f' of {series.run}' if several else ''} is {kinds}" for series, kinds in found if kinds]


def out_of_reach(beyond: pd.DataFrame) -> list[str]:
    """Return the notes on values beyond an axis."""
    notes = []
    for (panel, side), part in beyond.groupby(["panel", "side"], sort=False) if len(beyond) else ():
        extreme = part["value"].max() if side == "above" else part["value"].min()
        end = f"{'up' if side == 'above' else 'down'} to {brief(float(extreme))}"
        notes.append(f"{count(int(part['points'].sum()), 'value')} {side} the {panel} axis, {end}")
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
    notes: Iterable[str],
) -> str:
    """Return what the training shows: ends and extremes of each metric, the heads pruned and revived, what was reduced."""
    ends = [end for item in [*(line.series for line in lines), *counts] for end in (item.step[0], item.step[-1])]
    whose = f" of {listing(runs)}" if len(runs) > 1 else ""
    at = (
        f"over steps {_step(min(ends))} to {_step(max(ends))}"
        if min(ends) < max(ends)
        else f"at step {_step(min(ends))}"
    )
    ruled = f", epochs {epochs['epoch'].min()} to {epochs['epoch'].max()} ruled" if len(epochs) > 1 else ""
    pieces = [f"Training{whose} {at}{ruled}"]
    if len(runs) <= FULL:
        for run in runs:
            lead = f"{run}: " if len(runs) > 1 else ""
            pieces += [lead + _line_text(line) for line in lines if line.series.run == run]
            pieces.append(_lead(lead, _heads_text([item for item in counts if item.run == run], named.get(run))))
    else:
        pieces += [_over_runs(metric, lines) for metric in dict.fromkeys(line.series.metric for line in lines)]
        pieces.append(_heads_over_runs(counts))
    if any((line.value != line.series.value[line.rows])[np.isfinite(line.value)].any() for line in lines):
        notes = [*notes, "values rounded to six significant digits or more"]
    said = "; ".join(note for note in notes if note)
    return sentence(*pieces, f"Note: {said}" if said else "")


def _lead(lead: str, text: str) -> str:
    return lead + text if text else ""


def _line_text(line: Line) -> str:
    series, kinds, low, high = line.series, _not_numbers(line), line.seen.low, line.seen.high
    if low < 0:
        return f"{series.metric} has no finite value: {kinds}"
    steps, values = series.step, series.value
    first, last = _ends(line)
    if first == last:
        text = f"{series.metric} {brief(float(values[first]))} at step {_step(steps[first])}"
    elif values[low] == values[high]:
        text = f"{series.metric} {brief(float(values[first]))} throughout"
    else:
        text = f"{series.metric} from {brief(float(values[first]))} to {brief(float(values[last]))}"
        if line.panel != "sparsity":
            text += f", lowest {brief(float(values[low]))} at step {_step(steps[low])}"
            if high != first:
                text += f", highest {brief(float(values[high]))} at step {_step(steps[high])}"
    return f"{text}, {kinds}" if kinds else text


def _ends(line: Line) -> tuple[int, int]:
    """Return the rows of the first and the last finite value of a series that has one."""
    if line.seen.whole:
        return 0, len(line.series.value) - 1
    finite = np.flatnonzero(np.isfinite(line.series.value))
    return int(finite[0]), int(finite[-1])


def _over_runs(metric: str, lines: Sequence[Line]) -> str:
    """Return how a metric ends in several runs."""
    ends = {}
    for line in lines:
        if line.series.metric == metric and line.seen.low >= 0:
            ends[line.series.run] = float(line.series.value[_ends(line)[1]])
    if not ends:
        return f"{metric} has no finite value"
    low, high = min(ends, key=lambda run: ends[run]), max(ends, key=lambda run: ends[run])
    if ends[low] == ends[high]:
        return f"{metric} ends at {brief(ends[low])} in every run"
    return f"{metric} ends between {brief(ends[low])} ({low}) and {brief(ends[high])} ({high})"


def _totals(series: Sequence[Series]) -> list[int]:
    found = {item.metric: int(np.nansum(item.value[np.isfinite(item.value)])) for item in series}
    return [found.get(metric, 0) for metric in HEAD_COUNTS]


def _heads_text(series: Sequence[Series], named: pd.DataFrame | None) -> str:
    totals = _totals(series)
    if not any(totals):
        return ""
    busy = np.unique(np.concatenate([item.step[item.value > 0] for item in series]))
    where = f"at {count(len(busy), 'step')} from {_step(busy[0])} to {_step(busy[-1])}"
    what = [count(total, noun) for total, noun in zip(totals, ("pruning", "revival"), strict=True) if total]
    text = f"{' and '.join(what)} of heads {where if len(busy) > 1 else f'at step {_step(busy[0])}'}"
    if named is None:
        return text
    gone = [pair for pair, state in state_at(named).items() if state == "pruned"]
    end = f"{count(len(gone), 'head')} pruned at the end ({head_names(gone)})" if gone else "none pruned at the end"
    return f"{text}; {end}"


def _heads_over_runs(counts: Sequence[Series]) -> str:
    totals = [
        _totals([item for item in counts if item.run == run]) for run in dict.fromkeys(item.run for item in counts)
    ]
    if not totals:
        return ""
    said = []
    for found, noun in zip(zip(*totals, strict=True), ("pruning", "revival"), strict=True):
        low, high = min(found), max(found)
        if high:
            said.append(count(high, noun) if low == high else f"{low:,} to {high:,} {noun}s")
    return f"{' and '.join(said)} of heads in each run" if said else ""


def _not_numbers(line: Line) -> str:
    if line.seen.whole:
        return ""
    series, value = line.series, line.series.value
    kinds = (("NaN", np.isnan(value)), ("∞", value == np.inf), ("−∞", value == -np.inf))
    said = []
    for name, found in kinds:
        steps = series.step[found]
        if len(steps):
            span = f"{_step(steps[0])} to {_step(steps[-1])}" if len(steps) > 1 else _step(steps[0])
            said.append(f"{name} at {count(len(steps), 'step')} ({span})")
    return " and ".join(said)


def _step(step: float) -> str:
    return f"{int(step):,}" if step == int(step) else f"{step:g}"
