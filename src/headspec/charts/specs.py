"""Altair's own classes for the insides of a large chart.

`alt.Chart` and its compositions copy what they hold at each step, and each copy composes anew: a page of panels of layers
takes seconds. The classes that Altair generates from the schema, of which those charts are made, do not. They serve here for
what is never handed out by itself; what is handed out is a chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt


def unit(kind: str, *, steps: Sequence[Any] = (), mark: dict[str, Any] | None = None, **channels: Any) -> alt.UnitSpec:
    """Return one mark with its transforms and channels."""
    form: Any = kind
    if mark:
        form = alt.MarkDef(type="point")
        _fill(form, type=kind, **mark)
    spec = alt.UnitSpec(mark="point")
    _fill(spec, mark=form, encoding=_fill(alt.Encoding(), **channels))
    return _fill(spec, transform=list(steps)) if steps else spec


def layers(*parts: Any, steps: Sequence[Any] = (), **more: Any) -> alt.LayerSpec:
    """Return marks on top of each other, with the transforms and channels (or sizes) that they share."""
    spec = alt.LayerSpec(layer=[])
    size = {name: more.pop(name) for name in ("width", "height") if name in more}
    _fill(spec, layer=list(parts), **size)
    if more:
        _fill(spec, encoding=_fill(alt.SharedEncoding(), **more))
    return _fill(spec, transform=list(steps)) if steps else spec


def _fill(spec: Any, **properties: Any) -> Any:
    # Given at creation, they would be checked there, and again at each level above: the chart checks them, once, when it
    # becomes a dictionary.
    for name, value in properties.items():
        spec[name] = value
    return spec


def keep(test: str) -> alt.FilterTransform:
    """Return the transform that keeps the rows that pass a test."""
    return alt.FilterTransform(filter=test)


def calculate(**steps: str) -> list[Any]:
    """Return the transforms that calculate columns."""
    return [alt.CalculateTransform(**{"calculate": formula, "as": name}) for name, formula in steps.items()]


def flatten(*names: str) -> Any:
    """Return the transform that turns lists into rows."""
    return alt.FlattenTransform(flatten=list(names))


ONE = alt.SampleTransform(sample=1)
"""Keeps one row, whichever, for marks that hold constants."""


def at(value: float) -> Any:
    """Return a constant on a scale."""
    return alt.PositionDatumDef(datum=value)


def pixel(value: float) -> Any:
    """Return a constant in pixels, or a constant colour or text."""
    return {"value": value}
