"""Attention of many heads as lists of small integers, one list per head, within a budget of bytes.

Row by row; of causal heads only the keys that a query may see. ``weight = offset + step · q`` for the integers from 0 on
(a power of ten of it on a log scale); a negative integer says why there is no weight (`WHY`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.tables.packing import KEY, Code

WHY = ("nan", "inf", "-inf", "masked")
"""What −1, −2, … stand for."""
LEVELS = 1_000
"""Steps between the least and the greatest weight, about: three digits."""
Integers = npt.NDArray[np.int32]


class Layout(NamedTuple):
    """Where in its list a pair of a head is."""

    rows: int
    columns: int
    size: tuple[int, int]
    """Queries and keys of a block: 1, 1 where each weight is kept."""
    causal: bool

    @property
    def length(self) -> int:
        """Integers of a head."""
        return self.rows * (self.rows + 1) // 2 if self.causal else self.rows * self.columns

    def places(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the row and the column of each integer."""
        if self.causal:
            return np.tril_indices(self.rows)
        row, column = np.divmod(np.arange(self.length), self.columns)
        return row, column


def weight_code(low: float, high: float, *, log: bool = False) -> Code:
    """Return the code for weights between two ends: a step of 1, 2 or 5 times a power of ten, at most `LEVELS` of them."""
    if log:
        low, high = math.log10(low), math.log10(high)
    width = (high - low) / LEVELS
    if not width > 0:
        return Code(low, 1.0, log)
    exponent = math.floor(math.log10(width) + 1e-9)
    digit = next(item for item in (1, 2, 5, 10) if item * 10.0**exponent >= width * (1 - 1e-9))
    step = float(f"{digit}e{exponent}")
    return Code(round(math.floor(low / step + 1e-9) * step, max(0, -exponent)), step, log)


def pack(values: npt.NDArray[Any], layout: Layout, code: Code, masked: npt.NDArray[np.bool_] | None) -> Integers:
    """Return the integers of heads ``[head, row, column]`` as an array ``[head, place]``."""
    row, column = layout.places()
    weights = np.asarray(values[:, row, column], dtype=np.float64)
    finite = np.isfinite(weights)
    with np.errstate(invalid="ignore"):
        packed = code.pack(np.where(finite, weights, np.nan))
    # on a log scale what lies below its low end, zero among it, is drawn as that end
    out = np.maximum(np.nan_to_num(packed, nan=0.0, neginf=0.0), 0).astype(np.int32)
    if not finite.all():
        out[np.isnan(weights)] = -1
        out[weights == np.inf] = -2
        out[weights == -np.inf] = -3
        if masked is not None:
            out[np.isnan(weights) & masked[row, column]] = -4
    return out


def text_bytes(packed: Integers) -> int:
    """Return how many bytes the lists take as JSON."""
    size = np.abs(packed)
    total = 2 * packed.size + 2 * len(packed) + int((packed < 0).sum())
    bound = 10
    while bound <= 10**8 and (more := int((size >= bound).sum())):
        total += more
        bound *= 10
    return total


def with_lists(
    frame: pd.DataFrame,
    heads: Sequence[Integers],
    forms: Sequence[int],
    layouts: Sequence[Layout],
    shapes: Sequence[tuple[int, int]],
    code: Code,
) -> pd.DataFrame:
    """Return a frame of heads with the list ``q`` of each, and ``_layout``, which form it has, where layouts differ.

    Parameters
    ----------
    frame
        A row per head.
    heads
        The integers of each, in the order of the rows.
    forms
        Which layout each head has.
    layouts, shapes
        The layouts, and the queries and keys of their heads.
    code
        What the integers stand for.
    """
    out = frame.copy()
    out["q"] = [packed.tolist() for packed in heads]
    if len(layouts) > 1:
        out["_layout"] = list(forms)
    about = {"layouts": [tuple(layout) for layout in layouts], "shapes": list(shapes)}
    out.attrs[KEY] = {**frame.attrs.get(KEY, {}), "code": tuple(code), "pairs": about}
    return out


def unpack_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the long table of heads with lists: a row per layer, head, query and key (or block of them)."""
    about = frame.attrs[KEY]["pairs"]
    code = Code(*frame.attrs[KEY]["code"])
    layouts = [Layout(*item) for item in about["layouts"]]
    pooled = any(layout.size != (1, 1) for layout in layouts)
    forms = frame["_layout"].tolist() if "_layout" in frame.columns else [0] * len(frame)
    pieces: dict[str, list[Any]] = {name: [] for name in ("query", "key", "last_query", "last_key", "packed")}
    for form, packed in zip(forms, frame["q"], strict=True):
        layout, shape = layouts[form], about["shapes"][form]
        row, column = layout.places()
        pieces["query"].append(row * layout.size[0])
        pieces["key"].append(column * layout.size[1])
        pieces["last_query"].append(np.minimum((row + 1) * layout.size[0], shape[0]) - 1)
        pieces["last_key"].append(np.minimum((column + 1) * layout.size[1], shape[1]) - 1)
        pieces["packed"].append(np.asarray(packed, dtype=np.int64))
    index = np.repeat(np.arange(len(frame)), [len(packed) for packed in pieces["packed"]])
    base = frame.drop(columns=["q"]).rename(columns=dict(frame.attrs[KEY].get("rename", {})))
    out = base.iloc[index].reset_index(drop=True)
    for name in ("query", "key", *(("last_query", "last_key") if pooled else ())):
        out[name] = np.concatenate(pieces[name])
    packed = np.concatenate(pieces["packed"])
    out["weight"] = np.where(packed >= 0, code.unpack(np.maximum(packed, 0).astype(np.float64)), np.nan)
    out["kind"] = np.asarray(["value", *WHY], dtype=object)[np.maximum(-packed, 0)]
    return out
