"""Compact frames for drawing: one row per layer or query, its cells as lists of small integers.

A chart flattens the lists again in Vega-Lite. ``value = offset + step · q`` (or ten to that power where the scale is
logarithmic), so a drawn value is exact to half a step; the step is stated on the chart. What a packed frame holds is
kept in ``frame.attrs["headspec"]``, from which `unpack` returns the long table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.tables.heads import KINDS, STATES, those_of

KEY = "headspec"
LEVELS = 10_000
"""The greatest packed integer, about: four digits."""


class Code(NamedTuple):
    """How values are packed: ``value = offset + step · q``, a power of ten of it if `log`."""

    offset: float
    step: float
    log: bool = False

    def pack(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the integers (as floats, NaN where there is no value)."""
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log10(values)
        return np.asarray(np.rint((values - self.offset) / self.step), dtype=np.float64)

    def unpack(self, packed: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the values that the chart draws."""
        values = self.offset + self.step * packed
        decimals = 2 - math.floor(math.log10(self.step))
        if 0 <= decimals <= 15:  # so that 0.1 + 3 · 0.1 reads 0.4
            values = np.round(values, decimals)
        return np.asarray(10.0**values if self.log else values, dtype=np.float64)

    def said(self) -> str:
        """Return the words for the chart's notes."""
        if self.log:
            return f"drawn to ±{100 * (10 ** (self.step / 2) - 1):.2g} %"
        return f"drawn to ±{self.step / 2:g}"


def code_for(low: float, high: float, *, log: bool = False) -> Code:
    """Return the code for values between two ends: the step is a power of ten, at most `LEVELS` steps in all."""
    if log:
        low, high = math.log10(low), math.log10(high)
    width = high - low
    if not width:
        return Code(low, 1.0, log)
    exponent = math.ceil(math.log10(width / LEVELS) - 1e-6)
    step = float(f"1e{exponent}")
    return Code(round(math.floor(low / step + 1e-9) * step, max(0, -exponent)), step, log)


def pack_heads(
    table: pd.DataFrame, code: Code, *, others: Mapping[str, Code] | None = None, kinds: Sequence[str] = KINDS
) -> pd.DataFrame:
    """Return one row per layer (and group) of a heads table, its heads as lists.

    Columns: ``layer``, ``q`` (integers, None where there is no finite value), ``head`` where the heads of some layer are
    not 0, 1, 2, …; ``code`` (kind, state and flag in one integer) where anything but finite values of active heads occurs;
    ``group`` if the table has it. `others` are further columns of numbers, packed as ``q_`` and their name; `kinds` is what
    a cell may hold, where that is more than usual.
    """
    others = dict(others or {})
    groups = ["group"] if "group" in table.columns else []
    table = table.sort_values(["layer", "head"], kind="stable")
    if groups:
        order = {name: place for place, name in enumerate(dict.fromkeys(table["group"]))}
        table = table.sort_values("group", key=lambda names: names.map(order), kind="stable")
    packed = code.pack(table["value"].to_numpy(np.float64))
    beside = {f"q_{name}": own.pack(table[name].to_numpy(np.float64)) for name, own in others.items()}
    heads = table["head"].to_numpy()
    codes = _codes(table, kinds)
    columns: dict[str, list[Any]] = {name: [] for name in (*groups, "layer", "q", *beside, "head", "code")}
    keys = table[[*groups, "layer"]].to_numpy(dtype=object)
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    for start, end in zip(starts, [*starts[1:], len(table)], strict=True):
        for name, item in zip((*groups, "layer"), keys[start], strict=True):
            columns[name].append(item)
        columns["q"].append(whole(packed[start:end]))
        for name, cells in beside.items():
            columns[name].append(whole(cells[start:end]))
        columns["head"].append(heads[start:end].tolist())
        columns["code"].append(codes[start:end].tolist())
    if all(row == list(range(len(row))) for row in columns["head"]):
        del columns["head"]
    if not codes.any():
        del columns["code"]
    frame = pd.DataFrame(columns)
    frame["layer"] = frame["layer"].astype(np.int64)
    frame.attrs[KEY] = {
        "name": "heads",
        "code": tuple(code),
        "measure": table["measure"].iloc[0],
        "kinds": tuple(kinds),
        "others": {name: tuple(own) for name, own in others.items()},
    }
    return frame


def _codes(table: pd.DataFrame, kinds: Sequence[str]) -> npt.NDArray[np.int64]:
    out = table["vulnerable"].to_numpy(np.int64)
    for column, names, weight in (("kind", kinds, 6), ("state", STATES, 2)):
        cells = table[column].to_numpy(dtype=object)
        for name in those_of(table[column], names[1:]):
            out = out + weight * list(names).index(name) * (cells == name)
    return out


def whole(values: npt.NDArray[np.float64]) -> list[int | None]:
    """Return integers for a list column, None for NaN: a NaN inside a list would reach the JSON."""
    valid = np.isfinite(values)
    if valid.all():
        return values.astype(np.int64).tolist()  # type: ignore[no-any-return]
    return [int(value) if ok else None for value, ok in zip(values.tolist(), valid.tolist(), strict=True)]


def pack_matrix(
    weights: npt.NDArray[np.float64], code: Code, *, masked: npt.NDArray[np.bool_] | None, lengths: Sequence[int]
) -> pd.DataFrame:
    """Return one row per query of an attention matrix, the weights on its first `lengths[query]` keys as a list."""
    packed: npt.NDArray[Any] = code.pack(weights)
    ordinary = bool(np.isfinite(packed).all()) and (masked is None or not masked.any())
    if ordinary:
        packed = packed.astype(np.int64)
    pairs = list(zip(packed, lengths, strict=True))
    rows = [row[:size].tolist() if ordinary else whole(row[:size]) for row, size in pairs]
    frame = pd.DataFrame({"query": np.arange(len(rows)), "q": rows})
    if not ordinary:
        kind = np.where(np.isnan(weights), 1, np.where(weights == np.inf, 2, np.where(weights == -np.inf, 3, 0)))
        if masked is not None:
            kind = np.where(masked, 4, kind)
        if kind.any():
            frame["code"] = [(row[:size] * 6).tolist() for row, size in zip(kind, lengths, strict=True)]
    frame.attrs[KEY] = {"name": "attention", "code": tuple(code)}
    return frame


def pack_blocks(
    maxima: npt.NDArray[np.float64],
    places: npt.NDArray[np.int64],
    coarse: tuple[int, int],
    shape: tuple[int, int],
    code: Code,
    keep: npt.NDArray[np.bool_],
) -> pd.DataFrame:
    """Return one row per row of tooltip rects: their exact maxima and where each maximum is, as lists.

    `keep` says which rects to draw. Columns: ``query`` and ``query2`` (the rects' edges), and the lists ``key``, ``key2``,
    ``q``, ``at_query``, ``at_key``.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("query", "query2", "key", "key2", "q", "at_query", "at_key")}
    packed = code.pack(maxima)
    for row in range(len(maxima)):
        kept = np.flatnonzero(keep[row])
        if not kept.size:
            continue
        columns["query"].append(row * coarse[0])
        columns["query2"].append(min((row + 1) * coarse[0], shape[0]))
        columns["key"].append((kept * coarse[1]).tolist())
        columns["key2"].append(np.minimum((kept + 1) * coarse[1], shape[1]).tolist())
        columns["q"].append(whole(packed[row, kept]))
        columns["at_query"].append(places[row, kept, 0].tolist())
        columns["at_key"].append(places[row, kept, 1].tolist())
    frame = pd.DataFrame(columns)
    frame.attrs[KEY] = {"name": "blocks", "code": tuple(code)}
    return frame


def unpack(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the long table that a packed frame draws."""
    about = frame.attrs[KEY]
    if "pairs" in about:
        from headspec.reduce.pairs import unpack_pairs

        return unpack_pairs(frame)
    code = Code(*about["code"])
    if about["name"] == "blocks":
        out = frame.explode([name for name in frame.columns if name not in ("query", "query2")], ignore_index=True)
        out["weight"] = code.unpack(out.pop("q").to_numpy(np.float64))
        return out.astype(dict.fromkeys(("key", "key2", "at_query", "at_key"), np.int64))
    index = np.repeat(np.arange(len(frame)), [len(row) for row in frame["q"]])
    others = {f"q_{name}": (name, Code(*own)) for name, own in about.get("others", {}).items()}
    lists = [name for name in ("q", "head", "code", *others) if name in frame.columns]
    out = frame.drop(columns=lists).iloc[index]
    out = out.reset_index(drop=True)
    count = "head" if about["name"] == "heads" else "key"
    if "head" in frame.columns:
        out[count] = np.concatenate([np.asarray(row, dtype=np.int64) for row in frame["head"]])
    else:
        out[count] = np.concatenate([np.arange(len(row)) for row in frame["q"]])
    packed = _numbers(frame["q"])
    for column, (name, own) in others.items():
        out[name] = own.unpack(_numbers(frame[column]))
    value = "value" if about["name"] == "heads" else "weight"
    codes = (
        np.concatenate([np.asarray(row, dtype=np.int64) for row in frame["code"]])
        if "code" in frame.columns
        else np.zeros(len(out), dtype=np.int64)
    )
    out["kind"] = np.asarray(about.get("kinds", KINDS), dtype=object)[codes // 6]
    out[value] = np.where(out["kind"] == "zero", 0.0, code.unpack(packed))
    if about["name"] == "heads":
        out["measure"] = about["measure"]
        out["state"] = np.asarray(STATES, dtype=object)[codes % 6 // 2]
        out["vulnerable"] = (codes % 2).astype(bool)
    return out


def _numbers(lists: pd.Series) -> npt.NDArray[np.float64]:
    return np.concatenate([np.array([np.nan if item is None else item for item in row], dtype=float) for row in lists])
