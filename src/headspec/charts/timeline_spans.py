"""When each head was on and when it was off: spans between events, by the latest event before each step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from headspec.arrays import kind_of
from headspec.errors import DataError, KindError
from headspec.tables.events import events_table
from headspec.text import clean, head_name

Head = tuple[int, int]
Counts = int | Sequence[int] | None


class Span(NamedTuple):
    """A stretch of steps in one state: from `start` up to, and not including, `end`."""

    state: str
    start: float
    end: float
    open: bool
    """Whether it reaches the last step in this state, so that it includes that step."""


class Timeline(NamedTuple):
    """What happened to the heads within a range of steps."""

    first: float
    last: float
    spans: dict[Head, list[Span]]
    """Of every lane, layer by layer; the spans of a head follow each other without a gap."""
    events: pd.DataFrame
    """Those within the range."""
    before: int
    """Events before the first step: they are not drawn, and decide the state that a head begins with."""
    after: int
    again: int
    """Prunings of heads that were pruned already."""
    idle: int
    """Revivals of heads that were active."""
    off: list[Head]
    """Heads that are pruned at the last step."""


def lanes_of(num_layers: int | None, num_heads: Counts) -> list[Head] | None:
    """Return all heads of a shape, None where none is given."""
    if num_layers is None and num_heads is None:
        return None
    if isinstance(num_heads, (str, bytes)) or (num_heads is not None and not isinstance(num_heads, (int, Iterable))):
        raise KindError(f"num_heads is {kind_of(num_heads)}; expected a number, or one per layer")
    if isinstance(num_heads, Iterable):
        counts = [int(item) for item in num_heads]
        if num_layers is not None and len(counts) != num_layers:
            raise DataError(f"num_heads lists {len(counts)} layers, but num_layers={num_layers}")
    elif num_layers is None or num_heads is None:
        raise DataError(
            f"num_layers={num_layers} and num_heads={num_heads} leave the other open; give both, or num_heads= as one count per layer"
        )
    else:
        counts = [int(num_heads)] * int(num_layers)
    if not counts or min(counts) < 1:
        raise DataError(f"num_layers={num_layers} and num_heads={num_heads} must be 1 or more")
    return [(layer, head) for layer, size in enumerate(counts) for head in range(size)]


def read_events(events: Any, lanes: list[Head] | None) -> pd.DataFrame:
    """Return the events table, every event of a head that has a lane."""
    table = events_table([] if events is None else events)
    if lanes is not None:
        known = set(lanes)
        for pair in zip(table["layer"].tolist(), table["head"].tolist(), strict=True):
            if pair not in known:
                layers = sorted({layer for layer, _ in known})
                has = [head for layer, head in known if layer == pair[0]]
                what = f"layer {pair[0]} has heads {min(has)} to {max(has)}" if has else f"layers go to {layers[-1]}"
                raise DataError(f"events names {head_name(*pair)}, which is out of range: {what} (counted from 0)")
    return table


def step_range(steps: Any, found: Sequence[float]) -> tuple[float, float]:
    """Return the first and the last step: as given, or of all that has steps."""
    if steps is None:
        if not found:
            raise DataError("nothing says which steps there are: no events; give steps=(first, last)")
        if min(found) == max(found):
            raise DataError(
                f"all there is happened at step {step_text(min(found))}; give steps=(first, last), from the start to the end "
                "of training"
            )
        return min(found), max(found)
    ends = [end.item() if hasattr(end, "item") else end for end in steps] if hasattr(steps, "__iter__") else [steps]
    if len(ends) != 2 or not all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends):
        raise KindError(f"steps is {clean(repr(steps))[:60]}; expected the first and the last step: steps=(0, 1000)")
    if not (all(map(math.isfinite, ends)) and ends[0] < ends[1]):
        raise DataError(f"steps={clean(repr(tuple(ends)))}; expected two finite steps, the first before the last")
    return ends[0], ends[1]


def timeline_of(events: pd.DataFrame, lanes: Iterable[Head], first: float, last: float) -> Timeline:
    """Return the spans of all heads within a range of steps."""
    by_head: dict[Head, list[tuple[float, str]]] = {}
    for step, layer, head, event in zip(*(events[name].tolist() for name in events.columns[:4]), strict=True):
        by_head.setdefault((layer, head), []).append((step, event))
    spans: dict[Head, list[Span]] = {}
    again = idle = 0
    off: list[Head] = []
    for lane in lanes:
        state, since, mine = "active", first, []
        for step, event in by_head.get(lane, ()):
            if step > last:
                break
            new = "pruned" if event == "pruned" else "active"
            if new == state:
                again, idle = again + (new == "pruned"), idle + (new == "active")
                continue
            at = max(step, first)
            if at > since:
                mine.append(Span(state, since, at, False))
            state, since = new, at
            if mine and mine[-1].state == state:  # off and on again within one step
                since = mine.pop().start
        if last > since:
            mine.append(Span(state, since, last, True))
        if state == "pruned":
            off.append(lane)
        spans[lane] = mine
    inside = (events["step"] >= first) & (events["step"] <= last)
    return Timeline(
        first,
        last,
        spans,
        events[inside].reset_index(drop=True),
        int((events["step"] < first).sum()),
        int((events["step"] > last).sum()),
        again,
        idle,
        off,
    )


def active_at(spans: Sequence[Span], steps: np.ndarray[Any, Any]) -> list[tuple[Span, int, int]]:
    """Return each active span with the rows of the (ascending) steps that lie in it."""
    found = []
    for span in spans:
        if span.state == "active":
            start = int(np.searchsorted(steps, span.start, side="left"))
            end = int(np.searchsorted(steps, span.end, side="right" if span.open else "left"))
            found.append((span, start, end))
    return found


def time_off(spans: Sequence[Span]) -> float:
    """Return for how many steps a head was pruned."""
    return float(sum(span.end - span.start for span in spans if span.state == "pruned"))


def step_text(step: float) -> str:
    """Return a step as a reader would write it."""
    return f"{int(step):,}" if step == int(step) else f"{step:g}"
