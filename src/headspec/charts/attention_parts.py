"""What the two forms of an attention chart share: labels, colour scale, notes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from headspec.reduce.palette import ColourScale, ScaleType
from headspec.text import number

POOLED = {"max": "maximum", "mean": "mean", "both": "maximum or, at the switch, the mean"}
"""What a cell or pixel is of its block."""
TOKEN_ROOM = 11
"""Pixels that a token label needs."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Labels(NamedTuple):
    """The tokens of the axes, and the words for them."""

    query: list[str] | None
    key: list[str] | None


def domain(scale: ScaleType, low: float, high: float, max_value: float | None) -> ColourScale:
    """Return the colour scale of weights: from 0, and on a log scale over four decades."""
    top = max_value if max_value is not None else high
    if not top > 0:
        top = 1.0
    if scale == "log":
        return ColourScale("magma", top * 1e-4, top, "log")
    if low < 0:
        end = max(-low, high)
        return ColourScale("purpleorange", -end, end, scale)
    return ColourScale("magma", 0.0, top, scale)


def clipped(scale: ColourScale, low: float, high: float) -> list[str]:
    """Return the notes on what the colour scale bends or does not reach."""
    notes = []
    if scale.type != "linear":
        notes.append(f"{'square-root' if scale.type == 'sqrt' else 'logarithmic'} colour scale")
    if scale.type == "log" and low < scale.low:
        notes.append(f"weights below {number(scale.low)} in the lowest colour")
    if high > scale.high * (1 + 1e-6):
        notes.append(f"weights up to {number(high)} drawn in the colour of {number(scale.high)}")
    return notes


def param_name(tokens: Sequence[str]) -> str:
    """Return the name of the param that holds tokens: two charts of the same text share one."""
    digest = hashlib.sha256(json.dumps(list(tokens)).encode()).hexdigest()
    return f"tokens_{digest[:10]}"
