"""What the panels of a summary are made of: how strategies look, levels, tooltips, marks at the edges, columns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from headspec.charts import parts
from headspec.charts.ranges import Bent
from headspec.charts.specs import (
    another,
    at,
    calculate,
    facet,
    filled,
    independent,
    keep,
    layers,
    new,
    one_row,
    pixel,
    unit,
)
from headspec.charts.summary_frame import GAP, View

# How a number is written whatever its size, at the edge of a panel and in the cells of the strip.
_SHORT = "(abs({0}) >= 1e5 ? format({0}, '.1e') : abs({0}) >= 100 ? format({0}, ',.0f') : format({0}, '.1f'))"
SIGNED = "(abs({0}) >= 1e5 ? format({0}, '+.1e') : abs({0}) >= 100 ? format({0}, '+,.0f') : format({0}, '+.1f'))"
AXIS = {"minExtent": 34, "maxExtent": 34}
CROSS = {"shape": parts.CROSS, "size": 50, "strokeWidth": 2, "filled": False, "opacity": 1}
EDGE = 5
"""Pixels from the edge of a panel at which what lies beyond it is marked."""
_TITLE = alt.TitleParams(text="")


class Section(NamedTuple):
    """A block of columns.

    Attributes
    ----------
    frame
        The packed frame.
    named
        Whether the columns are named here: over the first panel of a block.
    leads
        The panel that holds the selection which all panels follow; empty in all blocks but the first.
    owner
        The name of the view that makes the selection.
    view
        What all panels share.
    """

    frame: pd.DataFrame
    named: bool
    leads: str
    owner: str
    view: View


class Look(NamedTuple):
    """How strategies look in every panel."""

    colour: alt.Color
    shape: alt.Shape
    offset: alt.XOffset
    faded: Any


def look_of(section: Section, panel: str) -> Look:
    """Return how strategies look in a panel; the legend stands beside the panel that leads."""
    view = section.view
    colours, shapes = view.scales
    legend: Any = alt.Undefined if section.leads == panel else None
    return Look(
        alt.Color("strategy:N", scale=colours, title="Strategy", legend=legend),
        alt.Shape("strategy:N", scale=shapes, title="Strategy", legend=legend),
        alt.XOffset("strategy:N", scale=new(alt.Scale, domain=view.strategies)),
        faded(view, 1, 0.12),
    )


def faded(view: View, picked: float, other: float) -> alt.OpacityValue:
    """Return how opaque the strategies are that are picked in the legend (all, at first), and the others."""
    return alt.OpacityValue(other, condition=[{"param": view.select, "value": picked}])


def level_labels(view: View, suffix: str = "") -> dict[str, Any]:
    """Return how an axis, a legend or a header writes levels; a level that was not given is null."""
    if suffix or any(math.isnan(level) for level in view.levels):
        return {"labelExpr": f"isValid(datum.value) ? format(datum.value, '.3~%'){suffix} : 'no level'"}
    return {"format": ".3~%"}


def levels_axis(view: View) -> alt.X:
    """Return the axis of pruning levels."""
    axis = new(alt.Axis, labelAngle=0, labelOverlap=True, **level_labels(view))
    return alt.X("pruning_level:O", title="Heads pruned", axis=axis, scale=new(alt.Scale, domain=listed(view.levels)))


def bent_axis(
    channel: Any, field: str, ends: Bent, pixels: float, room: float, axis: dict[str, Any], sign: str = "+"
) -> Any:
    """Return a position on an axis of percent, labelled at round values."""
    values = ends.ticks(pixels, room=room)
    axis = axis | {
        "values": values,
        "tickCount": len(values),  # Vega thins explicit values, too
        "labelExpr": f"datum.value ? format(datum.value, '{sign},') : '0'",
    }
    bend: dict[str, Any] = {"type": "symlog", "constant": ends.constant} if ends.constant else {}
    scale = new(alt.Scale, domain=[_short(ends.low), _short(ends.high)], nice=False, zero=False, clamp=True, **bend)
    return channel(field, scale=scale, axis=new(alt.Axis, **axis), title=None)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def listed(levels: list[float]) -> list[Any]:
    """Return levels as they go into a spec: what was not given is null."""
    return [None if math.isnan(level) else level for level in levels]


def level_tip() -> alt.Tooltip:
    """Return the tooltip's line on the level."""
    return alt.Tooltip("pruning_level:Q", title="pruned", format=".3~%")


def tooltip_of(
    view: View, field: str | None, *extra: alt.Tooltip, ends: tuple[str, str] | None = None
) -> list[alt.Tooltip]:
    """Return a tooltip: names, what the caller adds, and the statistics of a field over the seeds."""
    tips = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), *extra]
    if view.runs is None:
        tips.append(alt.Tooltip("runs:Q"))
    if field is not None:
        tips.append(alt.Tooltip(f"{field}:Q", title="mean" if view.spread else "value"))
        if view.spread:
            low, high = ends or (f"{field}_low", f"{field}_high")
            tips += [alt.Tooltip(f"{low}:Q", title="least"), alt.Tooltip(f"{high}:Q", title="greatest")]
    return tips


def marks_of(
    section: Section,
    test: str,
    x: Any,
    y: Any,
    ends: tuple[str, str],
    look: Look,
    tooltip: Any,
    *,
    width: float,
    leads: bool,
) -> list[Any]:
    """Return the lines, the spreads over seeds and the means of the strategies."""
    seen = {"x": x, "y": y, "color": look.colour, "xOffset": look.offset, "opacity": look.faded}
    form: dict[str, Any] = {"strokeWidth": width, "strokeJoin": "round", "strokeCap": "round"}
    others = [unit("point", mark={"filled": True, "size": 34}, shape=look.shape, tooltip=tooltip)]
    if section.view.spread:
        others.insert(0, unit("rule", y=alt.Y(f"{ends[0]}:Q"), y2=alt.Y2(ends[1])))
    if not leads:
        return [layers(unit("line", mark=form), *others, steps=[keep(test)], **seen)]
    # The layer with the selection must own the legend: elsewhere a click on an entry does nothing.
    first = filled(unit("line", steps=[keep(test)], mark=form, **seen), name=section.owner)
    plain = {"x": _bare(x), "y": _bare(y), "color": alt.Color("strategy:N"), "xOffset": alt.XOffset("strategy:N")}
    return [first, layers(*others, steps=[keep(test)], **plain, opacity=look.faded)]


def _bare(channel: Any) -> Any:
    """Return a position without its scale and axis: the first layer states them for all."""
    return type(channel)(channel["shorthand"], title=None)


def panel_of(
    section: Section,
    marks: list[Any],
    height: int,
    title: str,
    note: str,
    *,
    steps: list[Any] | None = None,
    row: Any = None,
    before: list[Any] | None = None,
    shared: dict[str, Any] | None = None,
    own_y: bool = False,
) -> Any:
    """Return a panel: marks on top of each other, in a column per model, under a title.

    Parameters
    ----------
    section, marks, height, title, note
        What is drawn, in how many pixels, and the words over it.
    steps, before
        Transforms within each cell, and before the rows are dealt out to the cells.
    row
        A row of cells for each value of a column.
    shared
        Channels of all marks.
    own_y
        Whether each cell has a y axis of its own.
    """
    view = section.view
    size: dict[str, Any] = {"width": view.cell, "height": height}
    field = "panel" if "panel" in section.frame.columns else "model"
    order = section.frame.drop_duplicates("model")[field].tolist()
    header = new(alt.Header, labelLimit=view.cell + GAP - 8) if section.named and any(order) else None
    columns = new(alt.FacetFieldDef, field=field, type="nominal", sort=order, title=None, header=header)
    inner = layers(*marks, steps=steps or (), **size, **(shared or {}))
    heading = another(_TITLE, text=title, subtitle=note, fontSize=12, anchor="start", offset=6)
    spacing: Any = GAP if row is None else {"column": GAP, "row": 10}
    panel = facet(inner, columns, alt.Undefined if row is None else row, spacing=spacing, bounds="flush", title=heading)
    if before:
        filled(panel, transform=before)
    return filled(panel, resolve=independent("scale", "y")) if own_y else panel


def rule_at(value: float, *, channel: str = "y", dash: bool = False) -> Any:
    """Return a line across a panel."""
    style: dict[str, Any] = {"style": "headspec-rule", "aria": False} | ({"strokeDash": [4, 3]} if dash else {})
    return unit("rule", steps=[one_row()], mark=style, **{channel: at(value)})


def words_of(section: Section, panel: str, test: str = "true") -> list[Any]:
    """Return the words in the column of a model that has nothing to show in this panel."""
    name = f"{panel}_note"
    if name not in section.frame.columns:
        return []
    steps = [keep(f"isValid(datum.{name}) && {test}")]
    form: dict[str, Any] = {"style": "headspec-muted", "baseline": "middle", "fontSize": 10}
    place = {"x": pixel(section.view.cell / 2), "y": pixel(56)}
    return [unit("text", steps=steps, mark=form, **place, text=alt.Text(f"{name}:N"))]


def arrows(
    limit: str, x: Any, look: Look, *, ends: tuple[str, str], numbers: tuple[str, str], below: int | None = None
) -> list[Any]:
    """Mark what lies beyond an end of an axis: an arrow at the edge, and the number.

    Parameters
    ----------
    limit
        The end of the axis, an expression.
    x, look
        Where the strategies stand, and how they look.
    ends, numbers
        Where the mean and the end of the spread on that side lie (fields), and what to write for them (expressions).
    below
        The height of the panel, for its lower end.
    """
    sign, shape, word = ("<", "triangle-down", "least ") if below else (">", "triangle-up", "max ")
    place = pixel((below - EDGE) if below else EDGE)
    mean, end = (f"datum.{name}" for name in ends)
    texts = [_SHORT.format(number) for number in numbers]
    steps = [
        keep(f"isValid({end}) && {end} {sign} {limit}"),
        *calculate(_far=f"{mean} {sign} {limit} ? {texts[0]} : '{word}' + {texts[1]}"),
    ]
    style = {"style": "headspec-label", "fontSize": 9, "angle": 270}
    side = {"align": "left", "dx": 8} if below else {"align": "right", "dx": -8}
    symbol = {"filled": True, "size": 44, "shape": shape, "opacity": 1}
    seen = {"x": x, "xOffset": look.offset, "y": place}
    return [
        unit("point", steps=steps, mark=symbol, **seen, color=look.colour),
        unit("text", steps=steps, mark=style | side, **seen, text=alt.Text("_far:N")),
    ]


def crosses(lost: str, x: Any, look: Look) -> list[Any]:
    """Mark seeds that came to no finite number: a cross at the upper edge."""
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("strategy:N"),
        level_tip(),
        alt.Tooltip("_lost:N", title="not finite"),
    ]
    seen = {"x": x, "xOffset": look.offset, "color": look.colour, "y": pixel(EDGE), "tooltip": tooltip}
    return [unit("point", steps=[*calculate(_lost=lost), keep("isValid(datum._lost)")], mark=CROSS, **seen)]
