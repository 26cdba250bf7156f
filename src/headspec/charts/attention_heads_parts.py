"""What the charts of all heads share: one sequence of every layer, the rows that stand for the heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.axes import Layer
from headspec.charts.attention_parts import Labels
from headspec.charts.cells import ROWS
from headspec.charts.heatmaps import spread, zeros_apart
from headspec.errors import DataError
from headspec.reduce import sprites
from headspec.reduce.palette import ColourScale
from headspec.tables.attention import token_lists
from headspec.tables.heads import heads_table, one_each
from headspec.tables.packing import KEY

ENTROPIES = 2**24
"""Weights up to which the entropies cost next to nothing."""


def one_sequence(layers: Sequence[Layer], batch_idx: int | None) -> list[Layer]:
    """Return the layers with one sequence of the batch each: ``[head, query, key]``, still of their own library."""
    out = []
    for layer in layers:
        batch = int(layer.array.shape[0])
        if batch > 1 and batch_idx is None:
            raise DataError(f"attentions hold a batch of {batch}; pick one with batch_idx=0 … {batch - 1}")
        if not -batch <= (batch_idx or 0) < batch:
            raise DataError(f"batch_idx={batch_idx} is out of range: attentions hold a batch of {batch}")
        out.append(Layer(layer.id, layer.array[batch_idx or 0]))
    if len({layer.id for layer in out}) != len(out):
        raise DataError("attentions give a layer twice")
    return sorted(out, key=lambda layer: layer.id)


def shape_of(layer: Layer) -> tuple[int, int]:
    """Return the queries and keys of a layer's heads."""
    return int(layer.array.shape[1]), int(layer.array.shape[2])


def labels_of(layers: Sequence[Layer], tokens: Any, query_tokens: Any, key_tokens: Any) -> Labels:
    """Return the tokens of the axes, which must be the same in all layers."""
    if tokens is None and query_tokens is None and key_tokens is None:
        return Labels(None, None)
    shapes = {shape_of(layer) for layer in layers}
    if len(shapes) > 1:
        raise DataError(
            f"the layers of attentions have {len(shapes)} different shapes, and tokens name the positions of one; leave the "
            "tokens out, or draw the layers that share a shape: attentions={layer: array}"
        )
    return Labels(*token_lists(tokens, query_tokens, key_tokens, shapes.pop()))


class Extras(NamedTuple):
    """What the rows hold besides the strongest pairs."""

    entropy: bool
    measure: pd.DataFrame | None
    border: ColourScale | None
    transforms: list[Any]


def heads_frame(
    table: pd.DataFrame,
    found: Mapping[int, sprites.HeadBlocks],
    layers: Sequence[Layer],
    masks: Mapping[int, sprites.Mask],
    measure: ArrayLike | None,
) -> tuple[pd.DataFrame, Extras]:
    """Return the frame of the chart: a row per head, or a row per layer with lists where there are many."""
    places = np.concatenate([blocks.places for blocks in found.values()])
    columns: dict[str, Any] = {
        "layer": table["layer"].to_numpy(),
        "head": table["head"].to_numpy(),
        "weight": table["value"].to_numpy(),
        "query": places[:, 0],
        "key": places[:, 1],
        "state": table["state"].array,
        "vulnerable": table["vulnerable"].array,
    }
    entropies = _entropies(layers, masks)
    if entropies is not None:
        columns["entropy"] = entropies.round(4)
    values = border = None
    if measure is not None:
        values = heads_table(measure, measure="measure", name="measure")
        one_each(values, "measure")
        border = spread(values, "auto", "viridis", name="measure")
        values = zeros_apart(values, border)
        merged = table[["layer", "head"]].merge(values, on=["layer", "head"], how="left")
        if merged["kind"].isna().all():
            raise DataError("measure covers none of the heads of attentions; expected a value for each layer and head")
        values = merged.assign(kind=merged["kind"].fillna("masked"), state="active", vulnerable=False)
        columns["measure"] = values["value"].array
    frame = pd.DataFrame(columns)
    if len(frame) <= ROWS:
        frame.attrs[KEY] = {"name": "heads"}
        return frame, Extras(entropies is not None, values, border, [])
    lists = frame.columns[1:].tolist()
    packed = pd.DataFrame(
        [
            {"layer": layer, **{name: _plain(part[name]) for name in lists}}
            for layer, part in frame.groupby("layer", sort=True)
        ]
    )
    packed.attrs[KEY] = {"name": "heads"}
    steps: list[Any] = [
        alt.CalculateTransform(**{"calculate": f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]", "as": name})
        for name in lists
    ]
    return packed, Extras(entropies is not None, values, border, [*steps, alt.FlattenTransform(flatten=lists)])


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return a column as a list for a cell: None for NaN, which would reach the JSON."""
    return [None if item != item else item for item in column.tolist()]


def _entropies(layers: Sequence[Layer], masks: Mapping[int, sprites.Mask]) -> npt.NDArray[np.float64] | None:
    """Return the mean entropy of each head, layer by layer, where it costs little and the rows are distributions, else None."""
    total = sum(math.prod(int(size) for size in layer.array.shape) for layer in layers)
    if total > ENTROPIES:
        return None
    from headspec.measures.entropy import calculate_entropy

    keys = masks[layers[0].id][1]
    mask = None if keys is None else keys[None, :].astype(np.int64)
    try:
        found: Any = calculate_entropy({layer.id: layer.array[None] for layer in layers}, attention_mask=mask)
    except DataError:  # rows that are no distributions have no entropy
        return None
    return np.concatenate([found[layer.id] for layer in layers])
