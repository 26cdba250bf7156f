"""The axes of a training chart: what each value axis reaches, and where ticks stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import numpy as np
import numpy.typing as npt

from headspec.charts.specs import new

Floats = npt.NDArray[np.float64]
AxisType = Literal["linear", "log"]

EDGE = 8
"""Pixels between the outermost values of a panel and its edges."""
LANE = 11
"""Pixels of a lane of marks along a panel's edge."""
FOOT = 6
"""Pixels of the ticks at a panel's foot that stand for head events."""
FENCE = 20.0
"""Values so many interquartile ranges outside the middle half of a panel's points lie beyond a linear axis."""
FACTOR = 1e5
"""Values so many times outside it lie beyond a log axis."""
WIDE = 0.15
"""A log axis serves where the middle half of the points takes this share of it or more."""


MOST = 1.79e308
"""About the greatest number that an expression can hold."""


@dataclass(frozen=True)
class ValueAxis:
    """The value axis of a panel: what it reaches, and whether some values lie beyond."""

    type: AxisType
    low: float  # of the axis, margins included
    high: float
    least: float  # of the values within
    most: float
    above: bool  # whether some lie beyond
    below: bool

    @property
    def beyond(self) -> bool:
        """Whether some values are not reached."""
        return self.above or self.below

    @property
    def reach(self) -> tuple[float, float]:
        """Where values beyond the axis are drawn: just outside the panel, where a line is cut off."""
        if self.type == "log":
            room = (self.high / self.low) ** 0.2
            low, high = self.low / room, self.high * room
        else:
            room = 0.2 * (self.high - self.low)
            low, high = self.low - room, self.high + room
        return max(low, -MOST), min(high, MOST)

    def clipping(self, value: str) -> str:
        """Return the expression of where a value is drawn."""
        low, high = self.reach
        return f"isValid({value}) ? clamp({value}, {low:.9g}, {high:.9g}) : null"


def value_axis(
    values: Floats, panel: str, height: int, *, lanes: int = 0, forced: AxisType | None = None, foot: int = 0
) -> ValueAxis:
    """Decide the axis of a panel from the values that it draws, with room for lanes of marks at its edges.

    Linear, or for a perplexity that spans a factor of ten log; log too where a linear axis cannot hold all and a log axis
    can, with room for the middle half of the points. What lies far outside this middle half is marked at the edge.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return ValueAxis("linear", 0.0, 1.0, 0.0, 1.0, False, False)
    kind: AxisType = forced or "linear"
    inside = values
    if forced == "log":
        inside = values[values > 0]
    elif forced is None and panel != "sparsity":
        positive = float(values.min()) > 0
        kind = "log" if positive and panel == "perplexity" and values.max() > 10 * values.min() else "linear"
        inside = values[_within(values, kind)]
        if kind == "linear" and positive and len(inside) < len(values) and _suits_log(values):
            kind, inside = "log", values
    least, most = float(inside.min()), float(inside.max())
    above, below = bool((values > most).any()), bool((values < least).any())
    top, bottom = EDGE + LANE * (lanes + above), EDGE + LANE * below + foot
    low, high = _ends(least, most, kind, top / max(height - top - bottom, 1), bottom / max(height - top - bottom, 1))
    if least >= 0 > low and not foot:
        low = 0.0
    return ValueAxis(kind, low, high, least, most, above, below)


def _within(values: Floats, kind: AxisType) -> npt.NDArray[np.bool_]:
    """Return which values an axis should reach, the others being far outside the middle half."""
    low, high = (float(part) for part in np.quantile(values, [0.25, 0.75], method="lower"))
    if kind == "log":
        room = max(math.log(FACTOR), 3 * math.log(high / low))
        return (np.log(values) >= math.log(low) - room) & (np.log(values) <= math.log(high) + room)
    spread = max(high - low, 0.25 * abs(float(np.median(values))))
    if not spread:
        return np.ones(len(values), dtype=bool)  # most are 0: the others are what there is to see
    return (values >= low - FENCE * spread) & (values <= high + FENCE * spread)


def _suits_log(values: Floats) -> bool:
    low, high = (float(part) for part in np.quantile(values, [0.25, 0.75], method="lower"))
    share = math.log(high / low) / math.log(float(values.max()) / float(values.min()))
    return share >= WIDE and bool(_within(values, "log").all())


def _ends(least: float, most: float, kind: AxisType, above: float, below: float) -> tuple[float, float]:
    if kind == "log":
        low, high = math.log10(least), math.log10(most)
        span = (high - low) or 0.2
        return 10 ** max(low - below * span, -307.0), 10 ** min(high + above * span, 308.0)
    span = (most - least) or 0.2 * abs(most) or 1.0
    return least - below * span, most + above * span


NAMES = {"loss": "Loss", "sparsity": "Sparsity", "perplexity": "Perplexity"}


def altair_axis(panel: str, metrics: Sequence[str], axis: ValueAxis, height: int) -> alt.Axis:
    """Return the axis as Altair draws it, named after its panel, or after the metric where there is one."""
    name = metrics[0] if len(metrics) == 1 and metrics[0] not in NAMES else NAMES.get(panel, panel)
    title = f"{name} (log)" if axis.type == "log" else name
    if axis.type == "log":
        round_ones = ticks(_log_ticks(axis.low, axis.high, height))
        logs: alt.Axis = new(alt.Axis, title=title, format=",~g" if axis.most < 1e6 else "~e", **round_ones)
        return logs
    size = max(abs(axis.least), abs(axis.most))
    form: Any = alt.Undefined
    label: Any = alt.Undefined
    if panel == "sparsity" and axis.least >= 0 and axis.most <= 1:
        form = ".0%" if axis.most >= 0.04 else ".1~%"
    elif size >= 1e6 or 0 < size < 1e-3:
        label = "datum.value == 0 ? '0' : format(datum.value, '~e')"
    plain: alt.Axis = new(alt.Axis, title=title, tickCount=max(3, height // 30), format=form, labelExpr=label)
    return plain


def ticks(values: Sequence[float]) -> dict[str, Any]:
    """Return the ticks of an axis; Vega drops some of its explicit values unless their count is asked for too."""
    return {"values": list(values), "tickCount": max(len(values), 2)}


def _log_ticks(least: float, most: float, height: int) -> list[float]:
    """Return round numbers within a range, as many as there is room for."""
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    room = max(2, height // 20)
    for factors in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in range(low, high + 1) for factor in factors]
        ticks = [float(f"{tick:.3g}") for tick in ticks if least <= tick <= most]
        if len(ticks) <= room:
            break
    every = -(-len(ticks) // room)
    return ticks[::every] if len(ticks) > 1 else [float(f"{least:.3g}"), float(f"{most:.3g}")]


def count_ticks(least: float, most: float, height: int) -> list[float]:
    """Return whole numbers around 0, far enough apart to be read."""
    room = 14 * (1.44 * (most - least) or 1.0) / height
    step = next((n * 10**p for p in range(12) for n in (1, 2, 5) if n * 10**p >= room), 10**12)
    return [float(tick) for tick in range(math.ceil(least / step) * step, math.floor(most / step) * step + 1, step)]
