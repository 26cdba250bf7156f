"""The marks of a timeline: bars, lines and cells of spans, and the events on top."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from headspec.charts import parts
from headspec.charts.cells import GREYS, grey_first, own_scales, unit
from headspec.charts.timeline_frames import cells_frame, events_frame, rows_of, spans_frame
from headspec.charts.timeline_image import picture
from headspec.charts.timeline_lanes import Coloured, View, lane_axis, step_axis
from headspec.charts.timeline_spans import Timeline
from headspec.charts.timeline_values import ALL_KINDS, UNMEASURED

TONES = ("#75879C", "#A9B7C6")
"""The bars of even and of odd layers, where no measure colours them."""
THIN = 3
"""Pixels of a bar from which on the line of a pruned span is thinner than it."""
LANE_GREYS = GREYS | {UNMEASURED: "#A8AEB6"}


def lanes_panel(view: View, timeline: Timeline, coloured: Coloured | None) -> alt.LayerChart:
    """Return the lanes: bars while heads are active, thin lines while they are pruned, and the events on top."""
    image = coloured is not None and coloured.pooled.image
    spans = spans_frame(view, timeline, coloured.pooled if coloured is not None and image else None)
    start = "step"
    if coloured is None:
        marks = _bars(view, spans)
    elif image:
        marks = _maxima(view, spans, coloured)
    else:
        marks, start = _cells(view, coloured), "_from"
    marks = marks.encode(x=view.x(start, step_axis(view)), y=view.y("_y", lane_axis(view.lanes)))
    if view.select is not None:
        marks = marks.add_params(parts.head_pick(view.select))
    layers = [picture(view, coloured, LANE_GREYS)] if coloured is not None and image else []
    layers.append(unit(marks.add_params(parts.step_zoom(view.zoom))))
    if any(span.state == "pruned" for mine in timeline.spans.values() for span in mine):
        layers.append(_pruned(view, spans))
    if view.select is not None:
        layers.append(_ring(view, spans))
    if len(timeline.events):
        layers += _events(view, timeline.events)
    chart: Any = alt.layer(*layers)
    chart = chart.resolve_axis(x="independent", y="independent").properties(width=view.width, height=view.lanes.height)
    return own_scales(chart)


def _bars(view: View, spans: pd.DataFrame) -> alt.Chart:
    """Return a bar per active span, its tone that of the layer."""
    tone = alt.when("datum.layer % 2 == 0").then(alt.value(TONES[0])).otherwise(alt.value(TONES[1]))
    base = rows_of(spans).transform_filter("datum.state === 'active'")
    base = base.transform_calculate(_y2=f"datum._y + {view.lanes.thick}")
    tooltip = [alt.Tooltip("layer:O"), alt.Tooltip("head:O"), alt.Tooltip("state:N"), *_when()]
    return unit(base.mark_rect(clip=True, aria=False).encode(x2="last_step", y2="_y2", color=tone, tooltip=tooltip))


def _cells(view: View, coloured: Coloured) -> alt.Chart:
    """Return the cells of the measure along the active spans."""
    frame = cells_frame(view, coloured)
    present = [kind for kind in ALL_KINDS[1:] if "kind" in frame.columns and (frame["kind"] == kind).any()]
    low, scale = view.domain[0], (view.domain[1] - view.domain[0]) / view.width
    base = rows_of(frame).transform_calculate(
        _y2=f"datum._y + {view.lanes.thick}",
        _from=f"{low!r} + {scale!r} * datum._x",  # from pixels, as a cell takes whole ones
        _to=f"{low!r} + {scale!r} * datum._x2",
    )
    colour = _colour(view, coloured)
    tooltip = [alt.Tooltip("layer:O"), alt.Tooltip("head:O")]
    tooltip += _when() if "last_step" in frame.columns else [alt.Tooltip("step:Q", format=",.6~g")]
    tooltip.append(alt.Tooltip("value:Q", title=coloured.legend, format=".4~g"))
    if present:
        tooltip.append(alt.Tooltip("kind:N"))
    rects = base.mark_rect(clip=True, aria=False, invalid=None if present else alt.Undefined)
    return unit(rects.encode(x2="_to", y2="_y2", color=grey_first(present, colour, LANE_GREYS), tooltip=tooltip))


def _maxima(view: View, spans: pd.DataFrame, coloured: Coloured) -> alt.Chart:
    """Return the invisible bars over an image: they carry its axes, its legend, and tooltips with each span's maximum."""
    base = rows_of(spans).transform_filter("datum.state === 'active'")
    base = base.transform_calculate(_y2=f"datum._y + {view.lanes.thick}")
    tooltip = [alt.Tooltip("layer:O"), alt.Tooltip("head:O"), *_when()]
    tooltip.append(alt.Tooltip("value:Q", title=f"{coloured.legend}, maximum", format=".4~g"))
    tooltip.append(alt.Tooltip("at_step:Q", title="at step", format=",.6~g"))
    rects = base.mark_rect(opacity=0, clip=True, aria=False)
    return unit(rects.encode(x2="last_step", y2="_y2", color=_colour(view, coloured), tooltip=tooltip))


def _colour(view: View, coloured: Coloured) -> alt.Color:
    legend = parts.gradient_legend(coloured.legend, view.lanes.height, coloured.scale)
    return alt.Color("value:Q", scale=parts.colour_scale(coloured.scale), legend=legend)


def _when() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("step:Q", title="from step", format=",.6~g"),
        alt.Tooltip("last_step:Q", title="to step", format=",.6~g"),
    ]


def _pruned(view: View, spans: pd.DataFrame) -> alt.Chart:
    """Return a thin line per pruned span, on whole pixels."""
    thick = view.lanes.thick
    base = rows_of(spans).transform_filter("datum.state === 'pruned'")
    base = base.transform_calculate(_middle=f"datum._y + {thick / 2}")
    style = "headspec-rule" if thick >= THIN else "headspec-grid"
    line = base.mark_rule(style=style, strokeWidth=2 if thick % 2 == 0 else 1, clip=True, aria=False)
    tooltip = [alt.Tooltip("layer:O"), alt.Tooltip("head:O"), alt.Tooltip("state:N"), *_when()]
    return unit(line.encode(x=view.x(), x2="last_step", y=view.y("_middle"), tooltip=tooltip))


def _ring(view: View, spans: pd.DataFrame) -> alt.Chart:
    """Return the frame around the lane of the picked head."""
    choice: Any = {"param": view.select, "empty": False}
    picked = rows_of(spans).transform_filter(choice)
    picked = picked.transform_calculate(_y2=f"datum._y + {view.lanes.thick}")
    frame = picked.mark_rect(filled=False, stroke="#E5484D", strokeWidth=1.5, clip=True, aria=False)
    return unit(frame.encode(x=view.x(), x2="last_step", y=view.y("_y"), y2="_y2"))


def _events(view: View, events: pd.DataFrame) -> list[alt.Chart]:
    """Return the marks of prunings and revivals: by shape and colour, on a halo where there is room for one."""
    frame = events_frame(view, events)
    present = list(dict.fromkeys(events["event"]))
    colours, shapes = parts.state_scales(present)
    side = max(4.5, min(9.0, 0.62 * view.lanes.pitch + 1))
    thick = 1.8 if side >= 7 else 1.2
    base = rows_of(frame)
    place: dict[str, Any] = {"x": view.x(), "y": view.y("_y")}
    line: dict[str, Any] = {"size": side * side, "filled": False, "opacity": 1, "clip": True}
    layers = []
    for event in present if view.lanes.pitch >= 6 else ():
        halo = base.transform_filter(f"datum.event === '{event}'").mark_point(
            shape=parts.STATE_SHAPES[event], style="headspec-halo", strokeWidth=thick + 2.4, aria=False, **line
        )
        layers.append(unit(halo.encode(**place)))
    legend = alt.Legend(title="Event", symbolFillColor="transparent")
    marks = base.mark_point(strokeWidth=thick, fill="transparent", **line).encode(
        **place,
        shape=alt.Shape("event:N", scale=shapes, legend=legend),
        stroke=alt.Stroke("event:N", scale=colours, legend=legend),
        tooltip=[alt.Tooltip("step:Q", format=",.6~g")]
        + [alt.Tooltip(f"{name}:O") for name in ("layer", "head")]
        + [alt.Tooltip("event:N")],
    )
    return [*layers, unit(marks)]
