"""Axes that hold most values in view: ranges that one diverged run does not stretch, ticks, and short names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headspec.text import number


class Range(NamedTuple):
    """The ends of an axis, and how many of the values lie outside."""

    low: float
    high: float
    outside: int

    def padded(self, share: float) -> Range:
        """Return the range with room at both ends."""
        room = share * (self.high - self.low)
        return Range(self.low - room, self.high + room, self.outside)


def robust(values: Iterable[float], *, keep: float, anchors: Sequence[float] = (), factor: float = 4.0) -> Range:
    """Return a range that shows the values, without those so far out that the rest would be squeezed to a line.

    All values are in the range if it is no wider than `keep`. Else those are that make it at most `factor` times as wide as
    the range of the ordinary values: those within six median deviations of the median (and within a quarter of `keep`).

    Parameters
    ----------
    values
        Finite and other values; only the finite count.
    keep
        A width that is never too wide.
    anchors
        Values that are in the range in any case, and count as ordinary.
    factor
        How much wider than the ordinary values the range may become to hold the others.
    """
    array = np.asarray(list(values), dtype=np.float64)
    finite = np.concatenate([array[np.isfinite(array)], np.asarray(anchors, dtype=np.float64)])
    if not len(finite):
        return Range(0.0, 0.0, 0)
    low, high = float(finite.min()), float(finite.max())
    if high - low <= keep:
        return Range(low, high, 0)
    centre = float(np.sort(finite)[(len(finite) - 1) // 2])  # an actual value: two far apart have no middle
    away = np.abs(finite - centre)
    reach = max(6.0 * float(np.sort(away)[(len(away) - 1) // 2]), keep / 4)
    ordinary = np.concatenate([finite[away <= reach], np.asarray(anchors, dtype=np.float64)])
    first, last = float(ordinary.min()), float(ordinary.max())
    width = factor * max(last - first, keep / 4)
    within = finite[(finite >= last - width) & (finite <= first + width)]
    low, high = min(float(within.min()), first), max(float(within.max()), last)
    return Range(low, high, int(((finite < low) | (finite > high)).sum()))


def ratio_ticks(low: float, high: float, *, most: int) -> list[float]:
    """Return ratios to label on a log axis of relative change, no change (1) among them, spread evenly."""
    shares = (-0.99, -0.98, -0.95, -0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2, -0.1, -0.05, -0.02, -0.01)
    steps: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 9.0)
    steps += tuple(base * 10.0**power for power in range(1, 12) for base in (2.0, 5.0, 9.0))
    inside = [round(1 + step, 12) for step in (*shares, *steps) if low <= 1 + step <= high]
    apart = math.log(high / low) / max(most, 1)
    ticks = [1.0]
    for side in ([tick for tick in inside if tick > 1], [tick for tick in reversed(inside) if tick < 1]):
        last = 1.0
        for tick in side:
            if abs(math.log(tick / last)) >= apart:
                ticks.append(tick)
                last = tick
    return sorted(ticks)


def short_names(names: Sequence[str], *, letters: int) -> tuple[dict[str, str], str]:
    """Return names that fit, all different, and the prefix that was taken off them all (often empty).

    The prefix that all names share goes first, up to a ``/``, ``-``, ``_``, ``@``, ``=``, ``:`` or space; what is still too
    long loses its middle.
    """
    prefix = _shared_prefix(names) if max(map(len, names), default=0) > letters else ""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for place, name in enumerate(names, start=1):
        rest = name[len(prefix) :]
        short = rest if len(rest) <= letters else f"{rest[: letters // 2]}…{rest[len(rest) - (letters - 1) // 2 :]}"
        if short in taken:
            tail = f"…{place}"
            short = short[: max(letters - len(tail), 1)] + tail
        taken.add(short)
        found[name] = short
    return found, prefix


def _shared_prefix(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    ends = [match.end() for match in re.finditer(r"[/\-_@=: .]", first[:same])]
    return first[: ends[-1]] if ends and ends[-1] >= 4 else ""


def significant(value: float, digits: int = 5) -> float | None:
    """Return a number as it goes into a chart: to so many significant digits, None if it is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def triple(mean: float, low: float, high: float, *, digits: int = 5) -> list[float | None]:
    """Return mean, least and greatest as a cell of a chart's frame; empty where there is no finite value.

    Not null: Vega reads the first item of each cell before any filter can leave it out.
    """
    return [significant(value, digits) for value in (mean, low, high)] if math.isfinite(mean) else []


def span_text(values: npt.ArrayLike, unit: str = "") -> str:
    """Return the range of the finite values in words: ``72 to 354 %``."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if not len(finite):
        return "no finite value"
    low, high = number(float(finite.min())), number(float(finite.max()))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
