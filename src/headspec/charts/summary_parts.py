"""What the panels of a summary are made of: how strategies look, levels, tooltips, marks at the edges, columns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from headspec.charts import parts
from headspec.charts.ranges import Bent
from headspec.charts.summary_frame import GAP, View

# How a number is written whatever its size, at the edge of a panel and in the cells of the strip.
_SHORT = "(abs({0}) >= 1e5 ? format({0}, '.1e') : abs({0}) >= 100 ? format({0}, ',.0f') : format({0}, '.1f'))"
SIGNED = "(abs({0}) >= 1e5 ? format({0}, '+.1e') : abs({0}) >= 100 ? format({0}, '+,.0f') : format({0}, '+.1f'))"
AXIS = {"minExtent": 34, "maxExtent": 34}
EDGE = 5
"""Pixels from the edge of a panel at which what lies beyond it is marked."""


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
    view
        What all panels share.
    """

    frame: pd.DataFrame
    named: bool
    leads: str
    view: View


class Look(NamedTuple):
    """How strategies look in every panel."""

    colour: alt.Color
    shape: alt.Shape
    offset: alt.XOffset
    faded: Any


def look_of(section: Section) -> Look:
    """Return how strategies look in the panels of a block."""
    view = section.view
    scales: list[Any] = [alt.Undefined, alt.Undefined]
    if section.named:  # the panels of a page share these scales: one that states them is enough
        scales = list(view.scales)
    return Look(
        alt.Color("strategy:N", scale=scales[0], title="Strategy"),
        alt.Shape("strategy:N", scale=scales[1], title="Strategy"),
        alt.XOffset("strategy:N", scale=alt.Scale(domain=view.strategies)),
        alt.when(alt.param(name=view.select)).then(alt.value(1)).otherwise(alt.value(0.12)),
    )


def level_labels(view: View, suffix: str = "") -> dict[str, str]:
    """Return how an axis, a legend or a header writes levels; a level that was not given is null."""
    if suffix or any(math.isnan(level) for level in view.levels):
        return {"labelExpr": f"isValid(datum.value) ? format(datum.value, '.3~%'){suffix} : 'no level'"}
    return {"format": ".3~%"}


def levels_axis(view: View) -> alt.X:
    """Return the axis of pruning levels."""
    axis = alt.Axis(labelAngle=0, labelOverlap=True, **level_labels(view))
    return alt.X("pruning_level:O", title="Heads pruned", axis=axis, scale=alt.Scale(domain=listed(view.levels)))


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
    bend = {"type": "symlog", "constant": ends.constant} if ends.constant else {}
    scale = alt.Scale(domain=[_short(ends.low), _short(ends.high)], nice=False, zero=False, clamp=True, **bend)
    return channel(field, scale=scale, axis=alt.Axis(**axis), title=None)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def listed(levels: list[float]) -> list[Any]:
    """Return levels as they go into a spec: what was not given is null."""
    return [None if math.isnan(level) else level for level in levels]


def level_tip() -> alt.Tooltip:
    """Return the tooltip's line on the level."""
    return alt.Tooltip("pruning_level:Q", title="pruned", format=".3~%")


def tooltip_of(view: View, field: str | None, *extra: alt.Tooltip) -> list[alt.Tooltip]:
    """Return a tooltip: names, what the caller adds, and the statistics of a field over the seeds."""
    tips = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), *extra]
    if view.runs is None:
        tips.append(alt.Tooltip("runs:Q"))
    if field is not None:
        tips += [
            alt.Tooltip(f"{field}[{place}]:Q", title=name) for place, name in enumerate(("mean", "least", "greatest"))
        ]
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
    rows = alt.Chart().transform_filter(test)
    seen = {"x": x, "y": y, "color": look.colour, "xOffset": look.offset, "opacity": look.faded}
    lines = rows.mark_line(strokeWidth=width, strokeJoin="round", strokeCap="round")
    others = [
        rows.mark_rule(aria=False).encode(y=alt.Y(f"{ends[0]}:Q"), y2=alt.Y2(ends[1])),
        rows.mark_point(filled=True, size=34).encode(shape=look.shape, tooltip=tooltip),
    ]
    if not leads:
        together: Any = alt.layer(lines, *others)
        return [together.encode(**seen)]
    # The layer with the selection must own the legend (elsewhere a click on an entry does nothing) and be the first, not
    # in a group: Altair looks for the selection of a facet there.
    first = lines.encode(**seen).add_params(parts.legend_filter(section.view.select, "strategy"))
    rest: Any = alt.layer(*others)
    plain = {"x": _bare(x), "y": _bare(y), "color": "strategy:N", "xOffset": "strategy:N", "opacity": look.faded}
    return [first, rest.encode(**plain)]


def _bare(channel: Any) -> Any:
    """Return a position without its scale and axis: the first layer states them for all."""
    return type(channel)(channel["shorthand"], title=None)


def facet_of(section: Section, chart: Any, title: str, note: str, **row: Any) -> Any:
    """Return a panel: a column per model, under a title."""
    view = section.view
    field = "panel" if "panel" in section.frame.columns else "model"
    frame = section.frame.drop_duplicates("model")
    order = frame[field].tolist()
    header = alt.Header(labelLimit=view.cell + GAP - 8) if section.named and any(order) else None
    column = alt.Column(f"{field}:N", sort=order, title=None, header=header)
    heading = alt.TitleParams(text=title, subtitle=note, fontSize=12, anchor="start", offset=6)
    return chart.facet(column=column, spacing={"column": GAP, "row": 10}, bounds="flush", title=heading, **row)


def rule_at(value: float, *, dash: bool = False) -> Any:
    """Return a line across a panel."""
    one = alt.Chart().transform_sample(1)  # whichever row: it holds a constant
    style: dict[str, Any] = {"strokeDash": [4, 3]} if dash else {}
    return one.mark_rule(style="headspec-rule", aria=False, **style).encode(y=alt.datum(value))


def words_of(section: Section, panel: str, test: str = "true") -> list[Any]:
    """Return the words in the column of a model that has nothing to show in this panel."""
    name = f"{panel}_note"
    if name not in section.frame.columns:
        return []
    words = alt.Chart().transform_filter(f"isValid(datum.{name}) && {test}")
    words = words.mark_text(style="headspec-muted", baseline="middle", fontSize=10)
    return [words.encode(x=alt.value(section.view.cell / 2), y=alt.value(56), text=f"{name}:N")]


def arrows(
    mean: str, end: str, limit: str, number: tuple[str, str], x: Any, look: Look, *, below: int | None = None
) -> list[Any]:
    """Mark what lies beyond an end of an axis: an arrow at the edge, and the number.

    Parameters
    ----------
    mean, end
        Expressions: where the mean lies, and the end of the spread on that side.
    limit
        The end of the axis, an expression.
    number
        Expressions of the numbers to write for them.
    below
        The height of the panel, for its lower end.
    """
    sign, shape, word = ("<", "triangle-down", "least ") if below else (">", "triangle-up", "max ")
    place = (below - EDGE) if below else EDGE
    far = f"{mean} {sign} {limit} ? {_SHORT.format(number[0])} : '{word}' + {_SHORT.format(number[1])}"
    rows = alt.Chart().transform_filter(f"isValid({end}) && {end} {sign} {limit}").transform_calculate(_far=far)
    seen = {"x": x, "xOffset": look.offset, "color": look.colour}
    words = rows.mark_text(
        style="headspec-label", fontSize=9, angle=270, align="left" if below else "right", dx=8 if below else -8
    )
    return [
        rows.mark_point(filled=True, size=44, shape=shape, opacity=1).encode(**seen, y=alt.value(place)),
        words.encode(x=x, xOffset=look.offset, y=alt.value(place), text="_far:N"),
    ]


def crosses(lost: str, x: Any, look: Look) -> list[Any]:
    """Mark seeds that came to no finite number: a cross at the upper edge."""
    rows = alt.Chart().transform_calculate(_lost=lost).transform_filter("isValid(datum._lost)")
    mark = rows.mark_point(shape=parts.CROSS, size=50, strokeWidth=2, filled=False, opacity=1)
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("strategy:N"),
        level_tip(),
        alt.Tooltip("_lost:N", title="not finite"),
    ]
    return [mark.encode(x=x, xOffset=look.offset, color=look.colour, y=alt.value(EDGE), tooltip=tooltip)]
