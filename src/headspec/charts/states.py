"""The marks of pruned, revived and vulnerable heads: a shape and a colour each, and one legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from headspec.charts import parts
from headspec.tables.heads import STATES, those_of


def found_states(table: pd.DataFrame) -> list[str]:
    """Return the states that occur in a heads table and are marked."""
    found = those_of(table["state"], STATES[1:])
    return [*found, "vulnerable"] if bool(table["vulnerable"].any()) else found


def state_layers(
    spots: Sequence[tuple[str, Any, dict[str, Any]]], found: Sequence[str], *, thick: float, halo: bool = True
) -> list[alt.Chart]:
    """Return the layers that mark heads by state.

    The chart that holds them must keep its own stroke and shape scales (`cells.own_scales`): beside another chart its states
    would take the other's look.

    Parameters
    ----------
    spots
        For each group of marks: ``"state"`` or ``"vulnerable"``, a chart without a mark that says where they stand, and the
        settings of the mark.
    found
        The states that occur in the whole chart, for the legend.
    thick
        Width of the strokes.
    halo
        Draw each mark over a white copy, wider by two pixels.
    """
    colours, shapes = parts.state_scales(found)
    legend: alt.Legend | None = alt.Legend(title="State", symbolFillColor="transparent")
    layers: list[alt.Chart] = []
    for name, spot, mark in spots:
        states = ["vulnerable"] if name == "vulnerable" else [state for state in found if state != "vulnerable"]
        if not states or (name == "vulnerable" and "vulnerable" not in found):
            continue
        rows = spot.transform_filter("datum.vulnerable" if name == "vulnerable" else "datum.state !== 'active'")
        if name == "vulnerable":
            rows = rows.transform_calculate(state="'vulnerable'")
        for state in states if halo else []:  # a constant shape: on a scale it would own a legend
            below = rows.transform_filter(f"datum.state === '{state}'")
            layers.append(
                below.mark_point(
                    shape=parts.STATE_SHAPES[state],
                    stroke="white",
                    strokeWidth=thick + 2,
                    opacity=1,
                    aria=False,
                    **mark,
                )
            )
        marks = rows.mark_point(strokeWidth=thick, opacity=1, fill="transparent", **mark)
        layers.append(
            marks.encode(
                shape=alt.Shape("state:N", scale=shapes, legend=legend),
                stroke=alt.Stroke("state:N", scale=colours, legend=legend),
            )
        )
        legend = None  # the first layer's names all states
    return layers
