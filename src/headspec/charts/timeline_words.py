"""What a timeline says in words: the notes under its title and its description."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from headspec.charts.describe import sentence
from headspec.charts.timeline_spans import Head, Timeline, step_text, time_off
from headspec.charts.timeline_values import UNMEASURED, Pooled
from headspec.tables.history import Series
from headspec.text import count, head_name, head_names, number


def notes_of(
    timeline: Timeline,
    left_out: int,
    pooled: Pooled | None,
    *,
    known: bool,
    lines: bool,
    pool: str,
    measure: str,
    exact: str,
) -> list[str]:
    """Return what the reader must know, for the subtitle."""
    off = "a thin line" if lines else "faint"
    said = [f"a bar while a head is active, {off} while it is pruned"]
    if pooled is not None:
        said += _measure_notes(pooled, pool, measure, exact)
    if left_out:
        said.append(f"{count(left_out, 'head')} without events, active throughout, not drawn")
    if not known:
        said.append("only heads with events are known")
    wrong = [
        f"{count(timeline.again, 'pruning')} of a head pruned already" if timeline.again else "",
        f"{count(timeline.idle, 'revival')} of an active head" if timeline.idle else "",
    ]
    if any(wrong):
        said.append(f"{' and '.join(item for item in wrong if item)}: marked, without effect")
    if timeline.before:
        said.append(
            f"{count(timeline.before, 'event')} before step {step_text(timeline.first)} decide the state there, not drawn"
        )
    if timeline.after:
        said.append(f"{count(timeline.after, 'event')} after step {step_text(timeline.last)} not drawn")
    return said


def _measure_notes(pooled: Pooled, pool: str, measure: str, exact: str) -> list[str]:
    kinds = [kind for piece in pooled.pieces for kind in piece.kinds]
    how = "maximum" if pool == "max" else "mean"
    cell = "pixel column" if pooled.image else "cell"
    said = [
        f"colour: {measure}, "
        + (
            f"each {cell} the {how} of up to {pooled.most:,} measurements"
            if pooled.most > 1
            else "each measurement reaching half-way to the next"
        )
    ]
    if UNMEASURED in kinds:
        said.append("grey where not measured")
    if pooled.missing:
        said.append(f"{count(pooled.missing, 'measurement')} of active heads without a finite value")
    if pooled.dropped:
        said.append(f"{count(pooled.dropped, 'measured step')} outside the range not drawn")
    return [*said, exact]


def describe(timeline: Timeline, left_out: int, pooled: Pooled | None, measure: str, lines: Sequence[Series]) -> str:
    """Return what happened: who was pruned most often and off the longest, who is off at the end, the measure, the loss."""
    heads = list(timeline.spans)
    layers = len({layer for layer, _ in heads})
    range_text = f"steps {step_text(timeline.first)} to {step_text(timeline.last)}"
    return sentence(
        f"Timeline of {count(len(heads), 'head')} in {count(layers, 'layer')} over {range_text}: {_events_text(timeline)}",
        _most_text(timeline),
        _end_text(timeline, left_out),
        _measure_text(pooled, measure) if pooled is not None else "",
        *[_line_text(line) for line in lines],
    )


def _events_text(timeline: Timeline) -> str:
    events = timeline.events
    if not len(events):
        return "no head was pruned or revived"
    counts = events["event"].value_counts()
    what = [
        count(int(counts.get(event, 0)), noun)
        for event, noun in (("pruned", "pruning"), ("revived", "revival"))
        if counts.get(event, 0)
    ]
    heads = len(events[["layer", "head"]].drop_duplicates())
    return f"{' and '.join(what)} of {count(heads, 'head')}"


def _most_text(timeline: Timeline) -> str:
    """Return who was pruned most often, and who was off for the longest."""
    said = []
    pruned = timeline.events[timeline.events["event"] == "pruned"]
    times = pruned.groupby(["layer", "head"]).size()
    if len(times) and int(times.max()) > 1:
        most = int(times.max())
        said.append(f"Pruned most often: {head_names(_pairs(times[times == most]), limit=5)} ({most} times)")
    off = {head: time_off(spans) for head, spans in timeline.spans.items()}
    longest = max(off.values(), default=0.0)
    if longest > 0:
        heads = [head for head, steps in off.items() if steps == longest]
        share = longest / (timeline.last - timeline.first)
        lead = "longest off" if said else "Longest off"
        said.append(f"{lead}: {head_names(heads, limit=5)}, {step_text(longest)} steps ({share:.0%} of the time)")
    return "; ".join(said)


def _pairs(series: pd.Series) -> list[Head]:
    return [(int(layer), int(head)) for layer, head in series.index]


def _end_text(timeline: Timeline, left_out: int) -> str:
    if not timeline.off:
        return "At the end none is pruned" if len(timeline.events) or timeline.before else ""
    off = set(timeline.off)
    by_layer: dict[int, list[Head]] = {}
    for head in timeline.spans:
        by_layer.setdefault(head[0], []).append(head)
    dead = [layer for layer, heads in by_layer.items() if off.issuperset(heads)] if not left_out else []
    whole = f", all of layer{'s' if len(dead) > 1 else ''} {', '.join(map(str, dead[:8]))}" if dead else ""
    return f"At the end {count(len(timeline.off), 'head')} pruned ({head_names(timeline.off)}){whole}"


def _measure_text(pooled: Pooled, measure: str) -> str:
    said = [
        f"{number(end.value)} ({head_name(*end.head)} at step {step_text(end.step)})"
        for end in (pooled.low, pooled.high)
    ]
    return f"{measure[:1].upper()}{measure[1:]} of active heads from {said[0]} to {said[1]}"


def _line_text(line: Series) -> str:
    finite = np.isfinite(line.value)
    if not finite.any():
        return f"{line.metric}: no finite value"
    values = line.value[finite]
    name = line.metric
    if len(values) == 1:
        return f"{name} {number(float(values[0]))} at step {step_text(float(line.step[finite][0]))}"
    return f"{name} from {number(float(values[0]))} to {number(float(values[-1]))}"
