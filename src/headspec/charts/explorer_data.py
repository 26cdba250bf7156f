"""What the explorer shows: measures of the heads, their weights within a budget of bytes, the head that it opens on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.axes import Layer
from headspec.charts.attention_heads_parts import shape_of
from headspec.charts.attention_parts import domain
from headspec.charts.heatmaps import spread, zeros_apart
from headspec.errors import DataError, KindError
from headspec.reduce import pairs, sprites
from headspec.reduce.cells import Pool
from headspec.reduce.palette import ColourScale, ScaleType
from headspec.stored import meter
from headspec.tables.heads import heads_table, one_each
from headspec.tables.packing import Code
from headspec.text import clean, count, head_name, listing

CELLS = 140
"""Queries and keys of a matrix, at most: more would be less than three pixels each."""
LEAST_CELLS = 8
"""Blocks in each direction below which a pooled matrix says nothing."""
GRADIENT = "Gradient norm"


class Measure(NamedTuple):
    """A measure of the heads: its name, its values as a heads table, its colours."""

    name: str
    table: pd.DataFrame
    scale: ColourScale


# --- measures --------------------------------------------------------------------------------------------------------------


def measures_of(
    layers: Sequence[Layer],
    masks: Mapping[int, sprites.Mask],
    given: Mapping[str, ArrayLike] | None,
    gradient: ArrayLike | None,
) -> tuple[list[Measure], pd.DataFrame, list[str]]:
    """Return the measures, how each head looks (`looks_of`), and what the reader must know about them."""
    looks = looks_of(layers, masks)
    notes: list[str] = []
    if given is None:
        named, notes = _own(layers, masks, looks)
    else:
        if not isinstance(given, Mapping):
            raise KindError("measures is no dict; expected {name: values}, with a value for each layer and head")
        named = {clean(name): (values, None) for name, values in given.items()}
        if len(named) != len(given):
            raise DataError("measures names a measure twice")
    if gradient is not None:
        if GRADIENT in named:
            raise DataError(f"measures has {GRADIENT!r} already; leave gradient= out, or rename it")
        named[GRADIENT] = (gradient, None)
    if not named:
        raise DataError("measures is empty: the map needs one at least; leave it out for the entropy")
    out = [_measure(name, values, scale, looks) for name, (values, scale) in named.items()]
    return out, looks, notes


def _measure(name: str, values: Any, scale: ColourScale | None, heads: pd.DataFrame) -> Measure:
    where = "gradient" if name == GRADIENT else f"measures[{name!r}]"
    table = heads_table(values, measure=name, name=where)
    one_each(table, where)
    joined = heads[["layer", "head"]].merge(table, on=["layer", "head"], how="left")
    if joined["measure"].isna().all():
        raise DataError(f"{where} covers none of the {len(heads):,} heads of attentions")
    joined["kind"] = joined["kind"].fillna("masked")
    if not (joined["kind"] == "value").any():
        raise DataError(f"{where} holds no finite value; there is nothing to draw")
    scale = scale or spread(joined, "auto", "viridis", name=where)
    return Measure(name, zeros_apart(joined, scale), scale)


def _own(
    layers: Sequence[Layer], masks: Mapping[int, sprites.Mask], looks: pd.DataFrame
) -> tuple[dict[str, tuple[Any, ColourScale | None]], list[str]]:
    """Return the measures that need nothing but the attention."""
    from headspec.measures.entropy import calculate_entropy

    named: dict[str, tuple[Any, ColourScale | None]] = {}
    notes = []
    keys = masks[layers[0].id][1]
    try:
        entropy: Any = calculate_entropy(
            {layer.id: layer.array[None] for layer in layers},
            attention_mask=None if keys is None else keys[None, :].astype(np.int64),
        )
        top = max((float(np.nanmax(row, initial=0.0)) for row in entropy.values()), default=0.0)
        named["Entropy (nats)"] = (entropy, ColourScale("viridis", 0.0, top or 1.0))
    except DataError as error:
        notes.append(f"no entropy: {re.split('[;.:] ', str(error))[0]}")
    share = ColourScale("viridis", 0.0, 1.0)
    for name, column in (
        ("Weight on the first key", "first"),
        ("Weight on the previous token", "previous"),
        ("Largest weight of a query, mean", "sharp"),
    ):
        if looks[column].notna().any():
            top = float(looks[column].max())
            scale = share if looks[column].min() >= 0 and 0.3 <= top <= 1 else None
            named[name] = (looks[["layer", "head"]].assign(value=looks[column]), scale)
    return named, notes


def looks_of(layers: Sequence[Layer], masks: Mapping[int, sprites.Mask]) -> pd.DataFrame:
    """Return where each head looks: columns ``layer``, ``head``, ``first``, ``previous``, ``sharp``, ``elsewhere``.

    All are means over the queries: of the weight on the first key and on the previous one (of queries that have one), of
    the largest weight, and of the largest weight on other keys than the first and the query's own. NaN where nothing is
    measured.
    """
    rows = [
        (layer.id, head, *values)
        for layer in layers
        for head, values in enumerate(_looks(layer, masks[layer.id]).tolist())
    ]
    return pd.DataFrame(rows, columns=["layer", "head", "first", "previous", "sharp", "elsewhere"])


def _looks(layer: Layer, mask: sprites.Mask) -> npt.NDArray[np.float64]:
    queries, keys = shape_of(layer)
    square = queries == keys > 1
    start = 0 if mask[1] is None or not mask[1].any() else int(mask[1].argmax())  # padding may be on the left
    sums, numbers = np.zeros((2, int(layer.array.shape[0]), 4))
    counts = {"masked": 0, "nan": 0}
    for which, rows, data in sprites.read_heads(layer.array, 1, mask, counts, f"attentions[{layer.id}]"):
        live: npt.NDArray[np.bool_] = np.asarray(np.isfinite(data).any(axis=2))
        clear = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)  # a copy: it is written to below
        query = np.arange(rows.start, rows.stop)
        behind = live & (query > start) if square else live
        own = np.arange(len(query))
        _add(sums, numbers, which, 0, clear[:, :, start], behind)
        if square:
            _add(sums, numbers, which, 1, clear[:, own, np.maximum(query - 1, 0)], behind)
        _add(sums, numbers, which, 2, clear.max(axis=2), live)
        if square:
            clear[:, :, start] = 0.0
            clear[:, own, query] = 0.0
        _add(sums, numbers, which, 3, clear.max(axis=2), live)
    return np.asarray(np.divide(sums, numbers, out=np.full(sums.shape, np.nan), where=numbers > 0))


def _add(
    sums: npt.NDArray[np.float64],
    numbers: npt.NDArray[np.float64],
    which: slice,
    place: int,
    values: npt.NDArray[Any],
    live: npt.NDArray[np.bool_],
) -> None:
    sums[which, place] += np.where(live, values, 0.0).sum(axis=1, dtype=np.float64)
    numbers[which, place] += live.sum(axis=1)


# --- weights ---------------------------------------------------------------------------------------------------------------


class Weights(NamedTuple):
    """The weights of all heads, packed."""

    heads: list[pairs.Integers]
    """The integers of each head, by layer and head."""
    forms: list[int]
    """Which layout each head has."""
    code: Code
    scale: ColourScale
    layouts: list[pairs.Layout]
    shapes: list[tuple[int, int]]
    """Queries and keys of the heads of each layout."""
    size: int
    """Bytes of JSON."""
    low: float
    high: float
    """The largest value that is drawn."""
    counts: dict[str, int]

    @property
    def pooled(self) -> bool:
        """Whether a cell stands for several weights."""
        return any(layout.size != (1, 1) for layout in self.layouts)

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and keys of the largest heads."""
        return max(shape[0] for shape in self.shapes), max(shape[1] for shape in self.shapes)

    @property
    def block(self) -> tuple[int, int]:
        """Queries and keys of a block; the same in all layers, since blocks are what pairs are compared by."""
        return self.layouts[0].size


def weights_of(
    layers: Sequence[Layer],
    masks: Mapping[int, sprites.Mask],
    *,
    causal: bool | None,
    scale: ScaleType,
    max_value: float | None,
    pool: Pool | None,
    budget: int | None,
) -> Weights:
    """Return the weights of all heads, pooled until they take no more than `budget` bytes (None: whatever they take)."""
    longest = max(max(shape_of(layer)) for layer in layers)
    heads = sum(int(layer.array.shape[0]) for layer in layers)
    triangle = causal is not False and all(shape[0] == shape[1] > 1 for shape in map(shape_of, layers))
    block = -(-longest // CELLS)
    if budget is not None:
        block = max(block, _first_block(longest, heads, budget, triangle))
    while True:
        if block > 1 and pool is None:
            raise _unpooled(heads, longest, block, budget)
        if budget is not None and -(-longest // block) < min(LEAST_CELLS, longest):
            raise _too_small(heads, longest, budget, triangle)
        found = _packed(layers, masks, block, causal, scale, max_value, pool or "max")
        if budget is None or found.size <= budget:
            return found
        block = max(block + 1, int(block * math.sqrt(found.size / budget) * 0.98))


def _first_block(longest: int, heads: int, budget: int, triangle: bool) -> int:
    """Return the least block with which the lists may fit, at two bytes for each weight: nothing smaller is worth trying."""
    for block in range(1, longest + 1):
        cells = -(-longest // block)
        if 2 * heads * (cells * (cells + 1) // 2 if triangle else cells * cells) <= budget:
            return block
    return longest


def _unpooled(heads: int, longest: int, block: int, budget: int | None) -> DataError:
    return DataError(
        f"pool=None, but {count(heads, 'head')} of {longest:,} tokens need blocks of {block} × {block} weights to stay within "
        f"{f'budget={budget:,} bytes and ' if budget is not None else ''}{CELLS} cells a side; pool='max' draws the maximum of "
        "each block, or draw a part of the layers ({layer: array}) or tokens"
    )


def _too_small(heads: int, longest: int, budget: int, triangle: bool) -> DataError:
    cells = min(LEAST_CELLS, longest)
    need = 4 * heads * (cells * (cells + 1) // 2 if triangle else cells * cells) + 2 * heads
    return DataError(
        f"budget={budget:,} bytes is too small for the weights of {count(heads, 'head')} of {count(longest, 'token')}, even pooled to "
        f"{cells} × {cells} blocks; give budget={need:,} or more, draw a part of the layers (attentions={{layer: array}}), or keep the "
        "weights in files beside the page (head_explorer_files)"
    )


def _packed(
    layers: Sequence[Layer],
    masks: Mapping[int, sprites.Mask],
    block: int,
    causal: bool | None,
    scale_type: ScaleType,
    max_value: float | None,
    how: Pool,
) -> Weights:
    found = {}
    with meter("attentions", (layer.array for layer in layers)) as reading:
        for layer in layers:
            name = f"attentions[{layer.id}]"
            found[layer.id] = sprites.pool_heads(
                layer.array, block=block, how=how, mask=masks[layer.id], name=name, meter=reading
            )
    finite = [blocks.values[np.isfinite(blocks.values)] for blocks in found.values()]
    drawn = np.concatenate(finite) if sum(map(len, finite)) else np.zeros(0)
    if not drawn.size:
        raise DataError(
            f"attentions hold no finite weight in any of {count(sum(len(b.best) for b in found.values()), 'head')}; there is nothing to draw"
        )
    later = [layer for layer, blocks in found.items() if not blocks.causal]
    if causal and later:
        raise DataError(
            f"causal=True, but in layer {later[0]} some query gives weight to a later key; leave causal out to see all cells"
        )
    triangles = causal is not False and not later
    low, high = float(drawn.min()), float(drawn.max())
    colours = domain(scale_type, low, high, max_value)
    bottom = colours.low if scale_type == "log" else min(low, 0.0)
    code = pairs.weight_code(bottom, max(high, bottom * 10 if scale_type == "log" else bottom), log=scale_type == "log")
    layouts = {
        layer: pairs.Layout(blocks.values.shape[1], blocks.values.shape[2], (block, block), triangles)
        for layer, blocks in found.items()
    }
    rows: list[pairs.Integers] = []
    forms: list[int] = []
    kinds = list(dict.fromkeys((layouts[which], blocks.shape) for which, blocks in found.items()))
    for which, blocks in found.items():
        hidden = sprites.masked_blocks(blocks.shape, blocks.size, masks[which])
        packed = pairs.pack(blocks.values, layouts[which], code, hidden)
        rows += list(packed)
        forms += [kinds.index((layouts[which], blocks.shape))] * len(packed)
    counts = {kind: sum(blocks.counts[kind] for blocks in found.values()) for kind in ("nan", "inf", "-inf", "masked")}
    size = sum(pairs.text_bytes(item[None]) for item in rows)
    parted = [layout for layout, _ in kinds], [shape for _, shape in kinds]
    return Weights(rows, forms, code, colours, *parted, size, low, high, counts)


# --- the head that it opens on ---------------------------------------------------------------------------------------------


def first_pick(pick: Sequence[int] | None, looks: pd.DataFrame) -> tuple[int, int, str]:
    """Return the head that the explorer opens on, and why in words."""
    known = list(zip(looks["layer"].tolist(), looks["head"].tolist(), strict=True))
    if pick is not None:
        from headspec.axes import pairs_of

        sizes = looks.groupby("layer")["head"].max() + 1
        chosen = pairs_of([pick], name="pick", shape=dict(zip(sizes.index.tolist(), sizes.tolist(), strict=True)))[0]
        if chosen not in known:
            raise DataError(
                f"pick names {head_name(*chosen)}, which attentions do not have; they have layers {listing(sizes.index)}"
            )
        return (*chosen, f"opens on {head_name(*chosen)}")
    score = looks["elsewhere"].to_numpy(np.float64)
    if not (score > 0).any():
        return (*known[0], f"opens on {head_name(*known[0])}, the first head")
    best = known[int(np.nanargmax(score))]
    return (
        *best,
        f"opens on {head_name(*best)}, which looks most sharply at keys other than the first and the query itself",
    )
