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
    array = array[np.isfinite(array)]
    fixed = np.asarray(anchors, dtype=np.float64)
    finite = np.concatenate([array, fixed])
    if not len(finite):
        return Range(0.0, 0.0, 0)
    if finite.max() - finite.min() <= keep:
        return Range(float(finite.min()), float(finite.max()), 0)
    # together, the anchors weigh as much as the values: of three, two may have diverged
    weight = -(-len(array) // len(fixed)) if len(fixed) else 0
    found = _ordinary(np.concatenate([array, np.repeat(fixed, weight)]), fixed, keep, factor)
    if len(array) and not ((array >= found[0]) & (array <= found[1])).any():
        found = _ordinary(finite, fixed, keep, factor)  # values that all lie far from the anchors are not diverged
    return Range(*found, int(((array < found[0]) | (array > found[1])).sum()))


def _ordinary(
    values: npt.NDArray[np.float64], anchors: npt.NDArray[np.float64], keep: float, factor: float
) -> tuple[float, float]:
    centre = float(np.sort(values)[(len(values) - 1) // 2])  # an actual value: two far apart have no middle
    away = np.abs(values - centre)
    reach = max(6.0 * float(np.sort(away)[(len(away) - 1) // 2]), keep / 4)
    ordinary = np.concatenate([values[away <= reach], anchors])
    first, last = float(ordinary.min()), float(ordinary.max())
    width = factor * max(last - first, keep / 4)
    within = values[(values >= last - width) & (values <= first + width)]
    return min(float(within.min()), first), max(float(within.max()), last)


class Bent(NamedTuple):
    """An axis that is linear near 0 and logarithmic farther out, to both sides (Vega's symlog); plain if `constant` is 0.

    Changes of a few tenths of a percent and of some hundred percent are told apart on it side by side.
    """

    low: float
    high: float
    outside: int
    constant: float

    def bend(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where values lie, in the unit of the axis."""
        array = np.asarray(values, dtype=np.float64)
        return np.sign(array) * np.log1p(np.abs(array) / self.constant) if self.constant else array

    def straighten(self, places: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the values at places, the inverse of `bend`."""
        array = np.asarray(places, dtype=np.float64)
        return np.sign(array) * self.constant * np.expm1(np.abs(array)) if self.constant else array

    def share(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where values lie between the low end (0) and the high end (1), those outside at the nearer end."""
        low, high = float(self.bend(self.low)), float(self.bend(self.high))
        return np.asarray(np.clip((self.bend(values) - low) / (high - low), 0.0, 1.0))

    def widened(self, *, room: float = 0.06, least: float = 0.0) -> Bent:
        """Return the axis with room at both ends, and with a least share of it on each side of 0."""
        low, high = float(self.bend(self.low)), float(self.bend(self.high))
        width = max(high - low, 1e-9)
        low, high = low - room * width, high + room * width
        if least:
            low, high = min(low, -high * least / (1 - least)), max(high, -low * least / (1 - least))
        return self._replace(low=float(self.straighten(low)), high=float(self.straighten(high)))

    def ticks(self, pixels: float, *, room: float) -> list[float]:
        """Return round values to label, so far apart that labels have room; 0 is one of them."""
        unit = pixels / max(float(self.bend(self.high)) - float(self.bend(self.low)), 1e-12)
        if not self.constant:
            step = next(s for s in (10.0**p * m for p in range(-3, 300) for m in (1, 2, 5)) if s * unit >= room)
            return [step * place for place in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        end = max(-self.low, self.high)
        powers = [10.0**power for power in range(-3, 14)]
        shown: list[float] = []
        for steps in ((1, 2, 5), (1, 3), (1,)):
            places = [step * power for power in powers for step in steps if step * power <= end]
            shown = [value for value in places if unit * float(self.bend(value)) >= room]
            if all(gap >= room for gap in np.diff(unit * self.bend(shown))):
                break
        else:  # some decades, then, counted from the greatest
            kept: list[float] = []
            for value in reversed(shown):
                if not kept or unit * float(self.bend(kept[0]) - self.bend(value)) >= room:
                    kept.insert(0, value)
            shown = kept
        return (
            [-value for value in reversed(shown) if -value >= self.low] + [0.0] + [v for v in shown if v <= self.high]
        )


def bent(values: Iterable[float]) -> Bent:
    """Return an axis for changes in percent of any size, with those too far out left beyond its ends.

    It is linear up to the size that a quarter of the changes have, from 0.1 to 20 percent.
    """
    array = np.asarray(list(values), dtype=np.float64)
    sizes = np.abs(array[np.isfinite(array) & (array != 0)])
    constant = float(np.clip(np.quantile(sizes, 0.25), 0.1, 20.0)) if len(sizes) else 1.0
    constant = float(f"{constant:.1g}")
    found = Bent(0.0, 0.0, 0, constant)
    ends = robust(found.bend(array), keep=8.0, anchors=(0.0,), factor=2.0)
    if ends.high - ends.low < 1e-9:
        ends = Range(-1.0, 1.0, 0)
    return found._replace(
        low=float(found.straighten(ends.low)), high=float(found.straighten(ends.high)), outside=ends.outside
    )


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


def span_text(values: npt.ArrayLike, unit: str = "") -> str:
    """Return the range of the finite values in words: ``72 to 354 %``."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if not len(finite):
        return "no finite value"
    low, high = number(float(finite.min())), number(float(finite.max()))
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
