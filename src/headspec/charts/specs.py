"""Altair's own classes for the insides of a large chart.

`alt.Chart` and its compositions copy what they hold at each step, and each copy composes anew: a page of panels of layers
takes seconds. The classes that Altair generates from the schema, of which those charts are made, do not. They serve here for
what is never handed out by itself; what is handed out is a chart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, cast

import altair as alt

T = TypeVar("T")
_MARK, _UNIT, _LAYERS = alt.MarkDef(type="point"), alt.UnitSpec(mark="point"), alt.LayerSpec(layer=[])
_FILTER, _FLATTEN = alt.FilterTransform(filter="true"), alt.FlattenTransform(flatten=["_"])
_CALCULATE = alt.CalculateTransform(**{"calculate": "true", "as": "_"})
_ONE = alt.SampleTransform(sample=1)
_FACET = alt.FacetSpec(spec=_UNIT, facet=alt.FacetMapping())
_SELECTION = alt.TopLevelSelectionParameter(name="_", select="point")


def filled(spec: T, /, **properties: Any) -> T:
    """Return the object with these properties.

    Given at creation, they would be checked there, and again at each level above: the chart checks them, once, when it becomes
    a dictionary.
    """
    whole: Any = spec
    for name, value in properties.items():
        whole[name] = value
    return spec


def new(kind: Any, /, **properties: Any) -> Any:
    """Return an object that may be empty, with these properties."""
    return filled(kind(), **properties)


def another(spec: T, /, **properties: Any) -> T:
    """Return an object like one that was checked when it was made, with these properties."""
    whole: Any = spec
    return filled(cast("T", whole.copy(deep=False)), **properties)


def mark_of(kind: str, /, **properties: Any) -> alt.MarkDef:
    """Return a mark with its properties."""
    return another(_MARK, type=kind, **properties)


def unit(kind: str, *, steps: Sequence[Any] = (), mark: dict[str, Any] | None = None, **channels: Any) -> alt.UnitSpec:
    """Return one mark with its transforms and channels."""
    form: Any = mark_of(kind, **mark) if mark else kind
    spec = another(_UNIT, mark=form, encoding=new(alt.Encoding, **channels))
    return filled(spec, transform=list(steps)) if steps else spec


def chart(data: Any, kind: str, *, steps: Sequence[Any] = (), mark: dict[str, Any], **channels: Any) -> alt.Chart:
    """Return the same with rows of its own."""
    spec = filled(alt.Chart(data), mark=mark_of(kind, **mark), encoding=new(alt.FacetedEncoding, **channels))
    return filled(spec, transform=list(steps)) if steps else spec


def facet(inner: Any, columns: Any, rows: Any = alt.Undefined, **more: Any) -> alt.FacetSpec:
    """Return a chart of a cell for each value of a column, or of two."""
    return another(_FACET, spec=inner, facet=new(alt.FacetMapping, column=columns, row=rows), **more)


def layers(*parts: Any, steps: Sequence[Any] = (), **more: Any) -> alt.LayerSpec:
    """Return marks on top of each other, with the transforms and channels (or sizes) that they share."""
    size = {name: more.pop(name) for name in ("width", "height") if name in more}
    spec = another(_LAYERS, layer=list(parts), **size)
    if more:
        filled(spec, encoding=new(alt.SharedEncoding, **more))
    return filled(spec, transform=list(steps)) if steps else spec


def independent(what: Literal["scale", "axis"], *channels: str) -> alt.Resolve:
    """Return that the parts of a chart have these scales or axes each for itself; a chart may be handed out with it."""
    kind = alt.ScaleResolveMap if what == "scale" else alt.AxisResolveMap
    own: alt.Resolve = new(alt.Resolve, **{what: new(kind, **dict.fromkeys(channels, "independent"))})
    return own


def digest(*what: Any) -> str:
    """Return a name for what a chart draws, another one for all else: Altair names views so, by the whole chart."""
    return hashlib.blake2b(repr(what).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def selection(parameter: alt.Parameter, *views: str) -> alt.TopLevelSelectionParameter:
    """Return a selection as a chart of several views holds it: with the names of the views that it is made in."""
    own: Any = parameter.param
    given = {name: own[name] for name in ("name", "select", "bind", "value") if own[name] is not alt.Undefined}
    return another(_SELECTION, **given, views=list(views))


def keep(test: Any) -> alt.FilterTransform:
    """Return the transform that keeps the rows that pass a test."""
    return another(_FILTER, filter=test)


def where(**columns: Any) -> alt.FilterTransform:
    """Return the transform that keeps the rows with these values, which may be text of users."""
    tests = [{"field": name, "equal": value} for name, value in columns.items()]
    return keep(tests[0] if len(tests) == 1 else {"and": tests})


def calculate(**steps: str) -> list[Any]:
    """Return the transforms that calculate columns."""
    return [another(_CALCULATE, **{"calculate": formula, "as": name}) for name, formula in steps.items()]


def flatten(*names: str) -> Any:
    """Return the transform that turns lists into rows."""
    return another(_FLATTEN, flatten=list(names))


def one_row() -> alt.SampleTransform:
    """Return the transform that keeps one row, whichever, for marks that hold constants."""
    return another(_ONE)


def at(value: float) -> Any:
    """Return a constant on a scale."""
    return alt.PositionDatumDef(datum=value)


def pixel(value: float | str) -> Any:
    """Return a constant in pixels, or a constant colour or text."""
    return {"value": value}
