"""What the chart of all heads says of itself: what a pixel stands for, whose colours they are, what is strongest."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from headspec.charts.attention_heads_parts import Extras
from headspec.charts.attention_parts import POOLED, clipped
from headspec.charts.cells import Grid
from headspec.charts.describe import absent_count, heads_size, heads_text, sentence
from headspec.reduce import sprites
from headspec.reduce.cells import LEVELS, Pooling
from headspec.reduce.palette import ColourScale
from headspec.text import count, number


def notes_of(
    found: Mapping[int, sprites.HeadBlocks],
    table: pd.DataFrame,
    grid: Grid,
    colours: ColourScale,
    max_value: float | str,
    blank: bool,
    pool: Pooling,
    side: int,
    extras: Extras,
) -> list[str]:
    """Return the notes of the chart's title."""
    counts = {kind: sum(blocks.counts[kind] for blocks in found.values()) for kind in ("nan", "inf", "-inf", "masked")}
    absent = absent_count(table, grid.layers, grid.heads)
    high = max(float(np.nanmax(blocks.values, initial=-math.inf)) for blocks in found.values())
    whose = {
        "shared": f"colours shared by all heads, up to the largest {'mean' if pool == 'mean' and pooled(found) else 'weight'} "
        f"{number(colours.high)}",
        "head": "each head's colours reach to its own largest weight, so brightness does not compare between heads",
    }
    unbordered = 0 if extras.measure is None else int((extras.measure["kind"] != "value").sum())
    bent = clipped(colours, 0.0, 1.0 if max_value == "head" else high)
    return [
        _pixels_note(found, side, pool),
        whose.get(str(max_value), f"colours from {number(colours.low)} to {number(colours.high)} in all heads"),
        f"{LEVELS} colour steps",
        *bent,
        "later keys get no weight and are left clear" if blank else "",
        *(f"{found:,} {kind}, grey" for kind, found in counts.items() if found and kind != "masked"),
        "padding grey" if counts["masked"] else "",
        f"{count(absent, 'head')} absent" if absent else "",
        f"{count(unbordered, 'head')} without a finite measure, no border" if unbordered else "",
    ]


def pooled(found: Mapping[int, sprites.HeadBlocks]) -> bool:
    """Tell whether a pixel of some thumbnail stands for several weights."""
    return any(blocks.size != (1, 1) for blocks in found.values())


def _pixels_note(found: Mapping[int, sprites.HeadBlocks], side: int, pool: Pooling) -> str:
    """Say how many pixels a thumbnail has and what one of them stands for."""
    sizes = sorted({blocks.size for blocks in found.values()})
    what = POOLED[pool]
    if sizes == [(1, 1)]:
        longest = max(max(blocks.shape) for blocks in found.values())
        factor = sprites.fit(longest, side).pixels
        same = len({blocks.shape for blocks in found.values()}) == 1
        each = "a pixel for each weight" if factor == 1 else f"{factor} × {factor} px for each weight"
        return f"thumbnails of {side} × {side} px, {each if same else 'each weight drawn'}"
    high, wide = sizes[-1]
    if len(sizes) == 1:
        return f"thumbnails of {side} × {side} px, each pixel the {what} of {high} × {wide} weights"
    least = " × ".join(map(str, sizes[0]))
    return f"thumbnails of {side} × {side} px, each pixel the {what} of {least} to {high} × {wide} weights, by layer"


def described(table: pd.DataFrame, found: Mapping[int, sprites.HeadBlocks]) -> str:
    """Return how many heads and tokens there are, and where their largest weights lie."""
    shapes = {blocks.shape for blocks in found.values()}
    if len(shapes) == 1:
        queries, keys = shapes.pop()
        size = f"{count(queries, 'query', 'queries')} × {count(keys, 'key')} each"
    else:
        sizes = sorted(shapes)
        size = f"{sizes[0][0]} × {sizes[0][1]} to {sizes[-1][0]} × {sizes[-1][1]} queries × keys"
    finite = np.asarray(table["kind"], dtype=object) == "value"
    first = np.concatenate([blocks.places[:, 1] == 0 for blocks in found.values()])[finite]
    bare = table.assign(state="active", vulnerable=False)
    return sentence(
        f"Thumbnails of the attention of {heads_size(table)}, {size}",
        heads_text(bare, "Largest weight"),
        f"In {int(first.sum()):,} of {count(int(finite.sum()), 'head')} it lies on the first key",
    )
