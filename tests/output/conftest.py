"""Small charts made by hand: the output room takes any Altair chart, and knows no builder."""

from __future__ import annotations

from types import SimpleNamespace

import altair as alt
import pandas as pd
import pytest


def heads_frame(layers: int = 3, heads: int = 4) -> pd.DataFrame:
    cells = [(layer, head) for layer in range(layers) for head in range(heads)]
    return pd.DataFrame(
        {
            "layer": [layer for layer, _ in cells],
            "head": [head for _, head in cells],
            "value": [round((layer * heads + head) / (layers * heads), 4) for layer, head in cells],
        }
    )


def heat_map(frame: pd.DataFrame | None = None, **properties: object) -> alt.LayerChart:
    """A heat map of one layer, as headspec's own are: whole pixels, a scale of its own."""
    base = alt.Chart(heads_frame() if frame is None else frame)
    cells = base.mark_rect().encode(
        x="head:O", y="layer:O", color=alt.Color("value:Q", scale=alt.Scale(domain=[0, 1], scheme="viridis"))
    )
    settings = {
        "width": {"step": 20},
        "height": {"step": 20},
        "title": "Entropy",
        "description": "Entropy of 12 heads.",
    }
    return alt.layer(cells).properties(**(settings | properties)).resolve_scale(color="independent")


def packed_frame(layers: int = 5, heads: int = 6) -> pd.DataFrame:
    """One row per layer, its heads as lists of integers."""
    return pd.DataFrame(
        {
            "layer": range(layers),
            "head": [list(range(heads))] * layers,
            "q": [[(layer * heads + head) * 7 % 100 for head in range(heads)] for layer in range(layers)],
        }
    )


def packed_map(frame: pd.DataFrame | None = None) -> alt.LayerChart:
    """A heat map of list columns, flattened on the LayerChart."""
    base = alt.Chart(packed_frame() if frame is None else frame)
    cells = base.mark_rect().encode(x="head:O", y="layer:O", color=alt.Color("q:Q", scale=alt.Scale(domain=[0, 100])))
    return (
        alt.layer(cells)
        .transform_calculate(
            head="isArray(datum.head) ? datum.head : [datum.head]", q="isArray(datum.q) ? datum.q : [datum.q]"
        )
        .transform_flatten(["head", "q"])
        .properties(width={"step": 8}, height={"step": 8}, description="Thirty packed cells.")
    )


def bars(frame: pd.DataFrame | None = None, **properties: object) -> alt.Chart:
    data = pd.DataFrame({"strategy": ["entropy", "random"], "perplexity": [12.5, 18.0]}) if frame is None else frame
    return alt.Chart(data).mark_bar().encode(x="strategy:N", y="perplexity:Q").properties(**properties)


@pytest.fixture
def make() -> SimpleNamespace:
    """The makers of the charts above."""
    return SimpleNamespace(
        heads_frame=heads_frame, heat_map=heat_map, packed_frame=packed_frame, packed_map=packed_map, bars=bars
    )


@pytest.fixture
def charts() -> dict[str, alt.TopLevelMixin]:
    """One chart of every class, with list columns, facets and concatenations."""
    frame = heads_frame()
    faceted = (
        alt.Chart(frame.assign(run="a")).mark_rect().encode(x="head:O", y="layer:O", color="value:Q").facet("run:N")
    )
    return {
        "bars": bars(),
        "map": heat_map(frame),
        "packed": packed_map(),
        "facet": faceted,
        "hconcat": heat_map(frame) | bars(),
        "vconcat": packed_map() & bars(),
        "repeat": alt.Chart(frame)
        .mark_bar()
        .encode(x=alt.X(alt.repeat(), type="ordinal"), y="count()")
        .repeat(["layer", "head"]),
    }
