"""Layer × head maps: one builder for every measure of heads.

Whole pixels per cell, always: a rect on part of a pixel draws a wrong colour. Up to `ROWS` cells the frame has a row per
cell; above, a row per layer with its cells as lists of integers (`tables.packing`); above `CELLS` the map would be larger
than its panel and is refused by name, since a head is what the reader looks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts import parts
from headspec.charts.describe import GLYPHS
from headspec.charts.specs import filled, independent, new
from headspec.errors import DataError
from headspec.reduce.palette import ColourScale, dark_ink_range
from headspec.tables.heads import KINDS, STATES, one_each, those_of
from headspec.tables.packing import KEY, Code, code_for, pack_heads

ROWS = 1_000
CELLS = 20_000
LABELS = 600
"""Cell texts that a chart carries by itself: each takes the renderer about a millisecond."""
FORCED_LABELS = 4_096
LEGENDS = ("value", "state")
Annotate = bool | Literal["force"]

GREYS = {"nan": "#B0B0B0", "inf": "#8A8A8A", "-inf": "#8A8A8A", "masked": "#D6D6D6", "zero": "#EFE9DC"}


class Grid(NamedTuple):
    """The places of a map and the whole pixels that each takes."""

    layers: list[int]
    heads: list[int]
    width: int
    height: int

    @property
    def cells(self) -> int:
        """Number of places."""
        return len(self.layers) * len(self.heads)

    @property
    def pixels(self) -> int:
        """Width of the whole map."""
        return len(self.heads) * self.width


def grid_of(table: pd.DataFrame, *, panel: int = parts.PANEL) -> Grid:
    """Return the grid of a heads table: every layer and head from the first to the last."""
    layers, heads = parts.id_range(table["layer"]), parts.id_range(table["head"])
    width = parts.whole_pixels(len(heads), most=44, panel=panel)
    height = parts.whole_pixels(len(layers), most=32, panel=panel)
    if width < 24 or height < 14:
        width = height = min(width, height)
    if len(layers) * len(heads) > CELLS:
        raise DataError(
            f"{len(layers)} layers × {len(heads)} heads are {len(layers) * len(heads):,} cells, more than the {CELLS:,} that a "
            "map draws one by one; draw a part of the layers, or their mean per layer"
        )
    return Grid(layers, heads, width, height)


def labels_fit(grid: Grid, letters: int, annotate: Annotate) -> int | None:
    """Return the font size of cell text, None where there is none: not asked for, not legible, or too many."""
    if annotate is False:
        return None
    if annotate == "force":
        if grid.cells > FORCED_LABELS:
            raise DataError(f'annotate="force" would write {grid.cells:,} numbers; at most {FORCED_LABELS:,} are drawn')
        return max(5, min(11, int((grid.width - 3) / (0.58 * letters)), grid.height - 2))
    size = min(11, int((grid.width - 4) / (0.58 * letters)), grid.height - 4)
    return size if size >= 8 and grid.cells <= LABELS else None


def head_map(
    table: pd.DataFrame,
    scale: ColourScale,
    *,
    legend: str,
    value_format: str | None = None,
    annotate: Annotate = True,
    select: str | None = None,
    panel: int = parts.PANEL,
    legends: Sequence[str] = LEGENDS,
) -> tuple[alt.LayerChart, list[str]]:
    """Return the map of a heads table and the notes that its title must carry.

    Parameters
    ----------
    table
        A heads table, with ``group`` where the caller facets by it.
    scale
        The colour scale, its domain explicit.
    legend
        The legend's title: the measure with its unit.
    value_format
        The d3 format of cell text and tooltip; by default as many decimals as the domain needs.
    annotate
        Cell text: True writes it where it is legible, False never, ``"force"`` always (within bounds).
    select
        The name of the selection of a head by click, for charts that are linked.
    panel
        Pixels that the map may take in each direction.
    legends
        Which legends it shows; none where a map beside it says the same.
    """
    one_each(table, "the table of heads", groups=True)
    grid = grid_of(table, panel=panel)
    low, high = scale.low, scale.high
    value_format = value_format or parts.number_format(low, high, log=scale.type == "log")
    font = labels_fit(grid, parts.format_width(low, high, value_format), annotate)
    notes: list[str] = []
    if len(table) <= ROWS:
        columns = ["layer", "head", "value", "kind", "state", "vulnerable"]
        frame = table[[*(["group"] if "group" in table.columns else []), *columns]]
        transforms: dict[str, Any] = {}
    else:
        finite = table["value"].to_numpy()[np.asarray(table["kind"], dtype=object) == "value"]
        code = code_for(float(finite.min()), float(finite.max()), log=scale.type == "log")
        notes.append(code.said())
        frame = pack_heads(table, code)
        transforms = {"transform": flattening(frame, code)}
    layers = _layers(frame, table, grid, scale, legend, value_format, font, select, legends)
    chart = alt.layer(*layers, data=frame, **transforms)
    chart = parts.set_properties(chart, width=alt.Step(grid.width), height=alt.Step(grid.height))
    return own_scales(chart), notes


def own_scales(chart: Any) -> alt.LayerChart:
    """Return a map that shares no scale with a chart beside it: a state there would take another one's look here."""
    own = independent("scale", "color", "fill", "stroke", "shape")
    # set on the chart, which is ours until it is returned: `resolve_scale` would copy all of it
    chart.resolve = own if chart.resolve is alt.Undefined else filled(chart.resolve, scale=own["scale"])
    return narrow(chart)


def narrow(chart: Any) -> alt.LayerChart:
    """Tell the type checker what `alt.layer` returned: a LayerChart, unless its parts were facets."""
    assert isinstance(chart, alt.LayerChart)
    return chart


def unit(chart: Any) -> alt.Chart:
    """Tell the type checker that a chart of one mark stays one."""
    assert isinstance(chart, alt.Chart)
    return chart


def flattening(frame: pd.DataFrame, code: Code) -> list[Any]:
    """Return the transforms that turn a packed frame of heads into rows; running them twice changes nothing.

    A chart that is layered with itself has its transforms hoisted and run twice, hence the ``isArray``.
    """
    others = {f"q_{name}": name for name in frame.attrs[KEY].get("others", {})}
    lists = [name for name in ("q", "head", "code", *others) if name in frame.columns]
    steps: list[Any] = [
        alt.CalculateTransform(**{"calculate": f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]", "as": name})
        for name in lists
    ]
    steps.append(alt.FlattenTransform(flatten=lists))
    if "head" not in lists:
        by = ["group", "layer"] if "group" in frame.columns else ["layer"]
        steps.append(alt.WindowTransform(window=[window("row_number", "_n")], groupby=by))
        steps.append(_calculate("datum._n - 1", "head"))
    steps.append(_calculate(value_expression(code), "value"))
    for packed, name in others.items():
        steps.append(_calculate(value_expression(Code(*frame.attrs[KEY]["others"][name]), packed), name))
    if "code" in lists:
        steps.append(_calculate(f"{list(frame.attrs[KEY]['kinds'])}[floor(datum.code / 6)]", "kind"))
        steps.append(_calculate(f"{list(STATES)}[floor(datum.code % 6 / 2)]", "state"))
        steps.append(_calculate("datum.code % 2 == 1", "vulnerable"))
    return steps


def value_expression(code: Code, field: str = "q") -> str:
    """Return the Vega expression of a packed value."""
    inner = f"{code.offset!r} + {code.step!r} * datum.{field}"
    return f"isValid(datum.{field}) ? {f'pow(10, {inner})' if code.log else inner} : null"


def window(operation: str, name: str) -> Any:
    """Return a field of a window transform; its ``from_dict`` would look through every class of Altair."""
    fields: dict[str, Any] = {"op": operation, "as": name}
    return alt.WindowFieldDef(**fields)


def _calculate(expression: str, name: str) -> alt.CalculateTransform:
    return alt.CalculateTransform(**{"calculate": expression, "as": name})


def _layers(
    frame: pd.DataFrame,
    table: pd.DataFrame,
    grid: Grid,
    scale: ColourScale,
    legend: str,
    value_format: str,
    font: int | None,
    select: str | None,
    legends: Sequence[str],
) -> list[alt.Chart]:
    present = those_of(table["kind"], KINDS[1:])
    stated = bool(those_of(table["state"], STATES[1:]))
    flagged = bool(table["vulnerable"].any())
    place = places(grid)
    tooltip = [alt.Tooltip("layer:O"), alt.Tooltip("head:O"), alt.Tooltip("value:Q", title=legend, format=value_format)]
    if present:
        tooltip.append(alt.Tooltip("kind:N"))
    if stated:
        tooltip.append(alt.Tooltip("state:N"))
    colour = alt.Color(
        "value:Q",
        scale=parts.colour_scale(scale),
        legend=parts.gradient_legend(legend, len(grid.layers) * grid.height, scale) if "value" in legends else None,
    )
    cells = place.mark_rect(invalid=None if present else alt.Undefined, aria=grid.cells <= LABELS).encode(
        color=grey_first(present, colour), tooltip=tooltip
    )
    if select is not None:
        cells = cells.add_params(parts.head_pick(select))
    layers = [cells]
    if font is not None:
        layers.append(texts(place, scale, value_format, font, bool(present), lower=stated or flagged))
    if present and min(grid.width, grid.height) >= 10:
        layers.append(signs(place, present, min(12, grid.height - 2)))
    if select is not None:
        layers.append(ring(place, select, grid))
    if stated or flagged:
        layers += state_marks(place, table, grid, corner=font is not None, legend="state" in legends)
    return layers


def places(grid: Grid) -> alt.Chart:
    """Return the chart that all layers of a map begin with: where a head stands."""
    chart = alt.Chart().encode(
        x=alt.X("head:O", title="Head", scale=parts.band_scale(grid.heads), axis=_axis(grid.heads, grid.width)),
        y=alt.Y("layer:O", title="Layer", scale=parts.band_scale(grid.layers), axis=_axis(grid.layers, grid.height)),
    )
    return unit(chart)


def _axis(ids: Sequence[int], pixels: int) -> alt.Axis:
    values = parts.axis_values(ids, pixels, room=24 if pixels < 14 else 14)
    shared: dict[str, Any] = {"labelAngle": 0, "grid": False, "domain": False, "labelOverlap": False, "zindex": 0}
    made: alt.Axis = new(alt.Axis, **shared) if values is None else new(alt.Axis, values=values, **shared)
    return made


def grey_first(present: Sequence[str], colour: alt.Color, greys: Mapping[str, str] = GREYS) -> alt.Color:
    """Return the colour encoding with the greys before the scale: a scale first would paint them its lowest colour."""
    tests: list[Any] = [{"test": f"datum.kind === '{kind}'", "value": greys[kind]} for kind in present]
    return colour.condition(tests) if tests else colour


def texts(
    place: alt.Chart, scale: ColourScale, value_format: str, font: int, missing: bool, *, lower: bool
) -> alt.Chart:
    """Return the numbers in the cells, each in the ink that is legible on its colour."""
    low, high = dark_ink_range(scale)
    tests = []
    if low != -float("inf"):
        tests.append(f"datum.value >= {low!r}")
    if high != float("inf"):
        tests.append(f"datum.value <= {high!r}")
    ink = text_ink(tests)
    numbers = unit(
        place.mark_text(fontSize=font, baseline="middle", dy=4 if lower else 0, aria=False).encode(
            text=alt.Text("value:Q", format=value_format), color=ink
        )
    )
    return unit(numbers.transform_filter("datum.kind === 'value'")) if missing else numbers


def text_ink(tests: Sequence[str]) -> Any:
    """Return the colour of text: black where all tests hold, else white."""
    if not tests:
        return alt.ColorValue("black")
    return alt.ColorValue("white", condition=[{"test": " && ".join(tests), "value": "black"}])


def signs(place: alt.Chart, present: Sequence[str], font: int, glyphs: Mapping[str, str] = GLYPHS) -> alt.Chart:
    """Return the signs that stand in cells without a finite value."""
    by_kind = "{" + ", ".join(f"'{kind}': '{glyphs[kind]}'" for kind in present) + "}"
    chosen = place.transform_filter("datum.kind !== 'value'").transform_calculate(_sign=f"{by_kind}[datum.kind]")
    marks = unit(chosen).mark_text(fontSize=font, baseline="middle", aria=False)
    return unit(marks.encode(text=alt.Text("_sign:N"), color=alt.ColorValue("black")))


def ring(place: alt.Chart, select: str, grid: Grid) -> alt.Chart:
    """Return the frame around the picked head."""
    picked = unit(place.transform_filter({"param": select, "empty": False}))
    return unit(picked.mark_rect(filled=False, strokeWidth=2 if grid.width >= 12 else 1, stroke="#E5484D", aria=False))


def state_marks(
    place: alt.Chart, table: pd.DataFrame, grid: Grid, *, corner: bool, legend: bool = True
) -> list[alt.Chart]:
    """Return the layers that mark pruned, revived and vulnerable heads, each shape on a white halo."""
    size = max(10, min(grid.width, grid.height, 36))  # on smaller cells a mark may reach over its neighbours
    side = 0.28 * size if corner else 0.6 * size
    thick = 1.8 if size >= 14 else 1.2
    found = those_of(table["state"], STATES[1:])
    flagged = bool(table["vulnerable"].any())
    colours, shapes = parts.state_scales([*found, *(["vulnerable"] if flagged else [])])
    names = alt.Legend(title="State", symbolFillColor="transparent") if legend else None
    layers: list[alt.Chart] = []
    for name, where, across in (
        ("state", "datum.state !== 'active'", 0.8 if corner else 0.5),
        ("vulnerable", "datum.vulnerable", 0.2 if corner else 0.5),
    ):
        if not (found if name == "state" else flagged):
            continue
        spot = unit(place.transform_filter(where)).encode(
            x=place.encoding.x.copy().bandPosition(across),
            y=place.encoding.y.copy().bandPosition(0.2 if corner else 0.5),
        )
        if name == "vulnerable":
            spot = unit(spot.transform_calculate(state="'vulnerable'"))
        line: dict[str, Any] = {"filled": False, "size": side * side, "opacity": 1}
        for state in found if name == "state" else ["vulnerable"]:  # a constant shape: on a scale it would own a legend
            halo = unit(spot.transform_filter(f"datum.state === '{state}'"))
            layers.append(
                halo.mark_point(
                    shape=parts.STATE_SHAPES[state], stroke="white", strokeWidth=thick + 2, aria=False, **line
                )
            )
        marks = spot.mark_point(strokeWidth=thick, fill="transparent", **line)
        shape = alt.Shape("state:N", scale=shapes, legend=names)
        layers.append(unit(marks.encode(shape=shape, stroke=alt.Stroke("state:N", scale=colours, legend=names))))
        names = None  # the first layer's names all states
    return layers
