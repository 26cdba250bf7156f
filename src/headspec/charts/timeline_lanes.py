"""The lanes of a timeline: where each head stands, in whole pixels, and how the lanes are labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt

from headspec.charts.timeline_spans import Head
from headspec.charts.timeline_values import EDGE, Pooled
from headspec.errors import DataError
from headspec.reduce.palette import ColourScale
from headspec.tables.packing import Code

TALL = 640
"""Pixels that the lanes may take together, as long as each has a few."""
MOST_LANES = 2_048
LABEL = 11
"""Pixels that a label needs."""
SPARSE = 8
"""Where fewer than one head in so many could be named, layers are."""


class Lanes(NamedTuple):
    """Where the heads stand: layer by layer, whole pixels each."""

    heads: list[Head]
    top: dict[Head, int]
    pitch: int
    """Pixels from lane to lane."""
    thick: int
    """Pixels of a bar."""
    height: int


def lanes_for(heads: list[Head], lane: int | None) -> Lanes:
    """Return the lanes of some heads; `lane` is the pixels of one, decided by their number where it is None."""
    if len(heads) > MOST_LANES:
        raise DataError(
            f"{len(heads):,} heads are more than the {MOST_LANES:,} lanes that a timeline draws; heads='events' leaves out those that "
            "nothing happened to, or give the events of a part of the layers"
        )
    pitch = lane or max(1 if len(heads) > TALL // 2 else 2, min(20, TALL // len(heads)))
    gap = 3 if pitch >= 12 else 2 if pitch >= 8 else 1 if pitch >= 4 else 0
    between = 6 if pitch >= 8 else 3 if pitch >= 2 else 2
    top, at = {}, 0
    for place, head in enumerate(heads):
        if place:
            at += pitch + between * (head[0] != heads[place - 1][0])
        top[head] = at
    return Lanes(heads, top, pitch, pitch - gap, at + pitch)


class View(NamedTuple):
    """What the layers of a timeline have in common."""

    lanes: Lanes
    width: int
    domain: tuple[float, float]
    zoom: str
    select: str | None

    def x(self, field: str = "step", axis: alt.Axis | None = None) -> alt.X:
        """Return the step channel, its domain explicit."""
        return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(self.domain), nice=False, zero=False), axis=axis)

    def y(self, field: str, axis: alt.Axis | None = None) -> alt.Y:
        """Return the lane channel: pixels from the top."""
        scale = alt.Scale(domain=[self.lanes.height, 0], nice=False, zero=False)
        return alt.Y(f"{field}:Q", scale=scale, axis=axis)


class Coloured(NamedTuple):
    """A measure with its colours."""

    pooled: Pooled
    scale: ColourScale
    code: Code
    legend: str


def step_axis(view: View) -> alt.Axis:
    """Return the axis of steps."""
    return alt.Axis(title="Step", tickCount=max(2, view.width // 70), grid=False)


def lane_axis(lanes: Lanes) -> alt.Axis:
    """Return the axis that names the lanes: every one, every so many in each layer, or one for a layer or for several."""
    shown = labelled(lanes)
    names = [name for name, _ in shown]
    values = [at for _, at in shown]
    heads = names and "H" in names[0]
    return alt.Axis(
        title="Head" if heads else "Layer",
        values=values,
        labelExpr=f"{names}[indexof({values}, datum.value)]",
        labelOverlap=False,
        grid=False,
        domain=False,
        ticks=False,
        labelPadding=6,
    )


def labelled(lanes: Lanes) -> list[tuple[str, float]]:
    """Return the names on the lane axis and where they stand, at least a line of text apart."""
    layers: dict[int, list[Head]] = {}
    for head in lanes.heads:
        layers.setdefault(head[0], []).append(head)
    every = next((n for n in (1, 2, 4, 5, SPARSE) if n * lanes.pitch >= LABEL), SPARSE)
    if every < SPARSE:
        chosen = [head for heads in layers.values() for head in heads[::every]]
        named = [(f"L{layer} H{head}", lanes.top[layer, head] + lanes.thick / 2) for layer, head in chosen]
    else:
        ends = [(lanes.top[heads[0]], lanes.top[heads[-1]] + lanes.thick) for heads in layers.values()]
        named = [(f"L{layer}", (low + high) / 2) for layer, (low, high) in zip(layers, ends, strict=True)]
    return _apart(named)


def _apart(named: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    kept: list[tuple[str, float]] = []
    for name, at in named:
        if not kept or at - kept[-1][1] >= LABEL:
            kept.append((name, at))
    return kept


def domain_of(first: float, last: float, width: int) -> tuple[float, float]:
    """Return the ends of the step axis, a few pixels beyond the first and the last step."""
    room = (last - first) * EDGE / (width - 2 * EDGE)
    return first - room, last + room
