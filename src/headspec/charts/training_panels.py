"""The panels of a training chart: lines, head events, and what both share."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts import parts
from headspec.charts.specs import (
    another,
    at,
    calculate,
    chart,
    filled,
    flatten,
    independent,
    keep,
    new,
    pixel,
    selection,
    where,
)
from headspec.charts.training_axes import FOOT, LANE, NAMES, ValueAxis, altair_axis, count_ticks, ticks
from headspec.charts.training_rows import Line, crowded

NO_NUMBER = "M-.75,0A.75,.75,0,1,1,.75,0A.75,.75,0,1,1,-.75,0M-.53,.53L.53,-.53"
"""A slashed circle: measured, and not a number that can be drawn."""
DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
FADED = 0.12
GREY = parts.CATEGORY_COLOURS[7]


@dataclass(frozen=True)
class Shared:
    """What all panels have in common."""

    width: int
    domain: tuple[float, float]
    axes: dict[str, ValueAxis]  # of each panel of lines
    lines: pd.DataFrame
    gaps: pd.DataFrame
    beyond: pd.DataFrame
    events: pd.DataFrame
    epochs: pd.DataFrame
    runs: list[str]
    zoom: str
    whole_steps: bool

    @property
    def packed(self) -> bool:
        """Whether the lines come as lists."""
        return len(self.lines) > 0 and isinstance(self.lines["step"].iloc[0], list)

    @property
    def by_run(self) -> bool:
        """Whether colour tells runs apart, and not metrics."""
        return len(self.runs) > 1

    @cached_property
    def scale(self) -> alt.Scale:
        """The scale of the steps: the same explicit domain in every panel."""
        return new(alt.Scale, domain=list(self.domain), nice=False)  # type: ignore[no-any-return]

    @cached_property
    def zooming(self) -> alt.Parameter:
        """The zoom along the steps, one for all panels."""
        return parts.step_zoom(self.zoom)

    @cached_property
    def views(self) -> str:
        """What the names of the views with a selection begin with, another one for all that draws other rows.

        Two views of one name share their rows, in charts side by side too.
        """
        said: list[Any] = [self.width, self.domain, self.zoom, self.axes]
        said += [*self.lines.get("run", []), *self.lines.get("metric", [])]
        for frame in (self.gaps, self.beyond, self.events, self.epochs):
            said += [frame[column].tolist() for column in frame.columns]
        digest = hashlib.blake2b(repr(said).encode("utf-8", "surrogatepass"), digest_size=8)
        for name in ("step", "value") if len(self.lines) else ():
            cells = self.lines[name].tolist()
            flat = list(itertools.chain.from_iterable(cells)) if self.packed else cells
            digest.update(np.asarray(flat, dtype=np.float64).tobytes())
        return f"view_{digest.hexdigest()}"

    def x(self, field: str = "step", axis: alt.Axis | None = None) -> alt.X:
        """Return the step channel."""
        return alt.X(f"{field}:Q", scale=self.scale, axis=axis)


def line_panel(
    shared: Shared,
    panel: str,
    lines: Sequence[Line],
    height: int,
    *,
    place: int,
    last: bool,
    owner: bool,
) -> alt.LayerChart:
    """Return the panel of some metrics: lines, dots where points are few, marks for gaps and for what is beyond the axis.

    `place` counts the panels from the top; the `owner` has the legend of the runs.
    """
    axis = shared.axes[panel]
    metrics = list(dict.fromkeys(line.series.metric for line in lines))
    names = shared.runs if shared.by_run else metrics
    field = "run" if shared.by_run else "metric"
    # a panel of one metric names it on its axis
    has_legend = owner if shared.by_run else len(metrics) > 1
    legend = new(alt.Legend, title=None, symbolType="stroke", symbolStrokeWidth=2.5) if has_legend else None
    colour = alt.Color(f"{field}:N", scale=parts.category_scales(names)[0], legend=legend)
    pick = f"shown_{field}s" if shared.by_run else f"shown_{_slug(panel)}"
    picked = {"param": pick} if shared.by_run or legend else None
    y = alt.Y(
        f"{'_y' if axis.beyond else 'value'}:Q",
        scale=new(alt.Scale, domain=[axis.low, axis.high], type=axis.type, nice=False),
        axis=altair_axis(panel, metrics, axis, height),
    )
    steps = _steps(shared, panel, axis)
    channels: dict[str, Any] = {"x": shared.x(axis=_step_axis(shared, last)), "y": y, "color": colour}
    channels["detail"] = [alt.Detail("run:N"), alt.Detail("metric:N")]
    if shared.by_run and len(metrics) > 1:
        channels["strokeDash"] = _dashes("metric", metrics, 1, new(alt.Legend, title=None))
    elif len(names) > len(parts.CATEGORY_COLOURS):  # the colours come round again
        channels["strokeDash"] = _dashes(field, names, len(parts.CATEGORY_COLOURS), legend)
    if shared.packed:  # too many points for a tooltip each
        channels["tooltip"] = [alt.Tooltip(f"{name}:N") for name in ("run", "metric")[not shared.by_run :]]
    if picked is not None:
        channels["opacity"] = alt.OpacityValue(FADED, condition=[{**picked, "value": 1}])
    form = {
        "clip": True,
        "strokeWidth": 2,  # with round joins, the width at which thinned and full lines look most alike
        "strokeJoin": "round",
        "strokeCap": "round",
        "interpolate": "step-after" if panel == "sparsity" else "linear",
    }
    stroke = chart(shared.lines, "line", steps=steps, mark=form, **channels)
    layers: list[alt.Chart] = [*_rules(shared, height, first=not place), stroke]
    if not shared.packed or any(line.dots for line in lines):
        layers.append(_dots(shared, steps, y, colour, picked))
    if axis.beyond:
        layers += _beyond(shared, panel, height, colour)
    if len(shared.gaps) and (shared.gaps["panel"] == panel).any():
        layers += _gaps(shared, panel, colour, below=LANE if axis.above else 0)
    # on the layer that owns the legend, or the selection would be dead
    own = [parts.legend_filter(pick, field)] if legend is not None else []
    return _panel(layers, shared, height, place, stroke, own)


def _dashes(field: str, names: Sequence[str], every: int, legend: alt.Legend | None) -> alt.StrokeDash:
    """Return the dashes that tell lines apart: another one after `every` names."""
    dashes = [DASHES[place // every % len(DASHES)] for place in range(len(names))]
    return alt.StrokeDash(f"{field}:N", scale=new(alt.Scale, domain=list(names), range=dashes), legend=legend)


def _steps(shared: Shared, panel: str, axis: ValueAxis) -> list[Any]:
    """Return what leads to the rows of one panel, lists taken apart; plain rows, as a page may feed them, pass unchanged."""
    steps: list[Any] = [where(panel=panel)]
    if shared.packed:
        lists = [name for name in ("step", "value", "epoch") if name in shared.lines.columns]
        steps += calculate(**{name: f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]" for name in lists})
        steps.append(flatten(*lists))
    if axis.beyond:
        steps += calculate(_y=axis.clipping("datum.value"))
    return steps


def _dots(shared: Shared, steps: list[Any], y: alt.Y, colour: alt.Color, picked: dict[str, Any] | None) -> alt.Chart:
    """Return the points: drawn where they are few, and there for the tooltip otherwise (unless they are thousands)."""
    tooltip = [alt.Tooltip("run:N")] if shared.by_run else []
    tooltip += [alt.Tooltip("metric:N"), alt.Tooltip("step:Q", format=",~r")]
    if "epoch" in shared.lines.columns:
        tooltip.append(alt.Tooltip("epoch:Q", format=",.4~g"))
    tooltip.append(alt.Tooltip("value:Q", format=",.6~g"))
    steps = [*steps, keep("isValid(datum.value)")]
    if shared.packed:
        steps.append(keep("datum._dots"))
    few: Any = "datum._dots" if picked is None else {"and": ["datum._dots", picked]}
    seen = alt.OpacityValue(0, condition=[{"test": few, "value": 1}])
    form = {"filled": True, "size": 34, "clip": True, "strokeWidth": 0}
    channels = {"x": shared.x(), "y": another(y, axis=alt.Undefined), "color": colour, "opacity": seen}
    return chart(shared.lines, "point", steps=steps, mark=form, **channels, tooltip=tooltip)


def _beyond(shared: Shared, panel: str, height: int, colour: alt.Color) -> list[alt.Chart]:
    """Return the marks of values that the axis does not reach, along the edge that they lie beyond, the extreme in numbers."""
    tooltip = [alt.Tooltip("run:N")] if shared.by_run else []
    tooltip += [alt.Tooltip("metric:N"), alt.Tooltip("step:Q", format=",~r"), alt.Tooltip("last_step:Q", format=",~r")]
    tooltip += [alt.Tooltip("value:Q", title="extreme", format=".4~g"), alt.Tooltip("points:Q", format=",~r")]
    mine = shared.beyond[(shared.beyond["panel"] == panel) & shared.beyond["_peak"]]
    layers = []
    for row in mine.itertuples():
        above = row.side == "above"
        steps = [where(panel=panel, side=str(row.side))]
        edge = {"y": pixel(LANE / 2 + 1 if above else height - LANE / 2 - 1)}
        span = {"strokeWidth": 4, "opacity": 0.45, "clip": True}
        ends: dict[str, Any] = {"x": shared.x(), "x2": alt.X2("last_step")}
        layers.append(chart(shared.beyond, "rule", steps=steps, mark=span, **ends, color=colour, **edge))
        shape = "triangle-up" if above else "triangle-down"
        form: dict[str, Any] = {"shape": shape, "filled": True, "size": 60, "clip": True, "opacity": 1}
        seen = {"x": shared.x(), "color": colour, "tooltip": tooltip}
        layers.append(chart(shared.beyond, "point", steps=steps, mark=form, **seen, **edge))
        # beside the stretch, on the side where there is room
        step: Any = row.step
        left = (step - shared.domain[0]) / (shared.domain[1] - shared.domain[0]) > 0.15
        side = {"align": "right" if left else "left", "dx": -8 if left else 8, "baseline": "middle"}
        words = {"x": shared.x("step" if left else "last_step"), "text": alt.Text("value:Q", format=".3~g")}
        form = {**side, "style": "headspec-label", "clip": True}
        layers.append(chart(shared.beyond, "text", steps=[*steps, keep("datum._peak")], mark=form, **words, **edge))
    return layers


def _gaps(shared: Shared, panel: str, colour: alt.Color, *, below: int) -> list[alt.Chart]:
    """Return the marks of NaN and infinities along the top edge: from the first to the last step of each gap."""
    steps = [where(panel=panel), *calculate(_at=f"{LANE} * datum._lane + {LANE / 2 + 1 + below}")]
    lane = alt.Y("_at:Q", scale=None, axis=None)
    span = {"strokeWidth": 4, "opacity": 0.45, "clip": True}
    ends: dict[str, Any] = {"x": shared.x(), "x2": alt.X2("last_step"), "y": lane, "color": colour}
    tooltip = [alt.Tooltip(f"{name}:N") for name in (["run"] if shared.by_run else []) + ["metric", "kind"]]
    tooltip += [alt.Tooltip(f"{name}:Q", format=",~r") for name in ("step", "last_step", "points", "gaps")]
    shapes = new(alt.Scale, domain=["NaN or ∞"], range=[NO_NUMBER])
    shape = alt.Shape("_mark:N", scale=shapes, legend=new(alt.Legend, title=None))
    form = {"size": 70, "strokeWidth": 1.6, "filled": False, "opacity": 1, "clip": True}
    seen = {"x": shared.x(), "y": lane, "color": colour, "shape": shape, "tooltip": tooltip}
    return [
        chart(shared.gaps, "rule", steps=steps, mark=span, **ends),
        chart(shared.gaps, "point", steps=steps, mark=form, **seen),
    ]


def events_panel(shared: Shared, height: int, *, place: int, last: bool) -> alt.LayerChart:
    """Return the panel of pruned and revived heads: bars up for revived and down for pruned, or a lane per run."""
    if shared.by_run:
        return _events_lanes(shared, height, place=place, last=last)
    events = shared.events
    most, least = max(float(events["_height"].max()), 0.0), min(float(events["_height"].min()), 0.0)
    room = 0.22 * (most - least)
    numbers = {"labelExpr": "format(abs(datum.value), ',d')", "labelOverlap": False}
    y = alt.Y(
        "_height:Q",
        scale=new(alt.Scale, domain=[least - room * (least < 0), most + room * (most > 0)], nice=False),
        axis=new(alt.Axis, title="Heads", **ticks(count_ticks(least, most, height)), **numbers),
    )
    marks = _event_marks(events)
    apart = shared.width / events["step"].nunique()
    once = alt.AggregateTransform(aggregate=[{"op": "count", "as": "events"}])
    zero = chart(events, "rule", steps=[once], mark={"style": "headspec-rule", "aria": False}, y=at(0))
    ends: dict[str, Any] = {"y": y, "y2": alt.Y2Datum(0), "color": marks["color"]}
    form: dict[str, Any] = {"strokeWidth": min(2.0, max(1.0, apart / 5)), "opacity": 1, "clip": True}
    stems = chart(events, "rule", mark=form, x=shared.x(axis=_step_axis(shared, last)), **ends)
    layers = [*_rules(shared, height, first=not place, events=False), zero, stems]
    if (events["last_step"] != events["step"]).any():  # a bar covers the steps that it counts
        form = {"opacity": 0.35, "clip": True}
        layers.append(chart(events, "bar", mark=form, x=shared.x(), x2=alt.X2("last_step"), **ends))
    size = min(42.0, max(14.0, (0.9 * apart) ** 2))
    form = {"size": size, "strokeWidth": 1.8 if size > 30 else 1.4, "filled": False, "opacity": 1, "clip": True}
    layers.append(chart(events, "point", mark=form, x=shared.x(), y=alt.Y("_height:Q"), **marks))
    return _panel(layers, shared, height, place, stems)


def _events_lanes(shared: Shared, height: int, *, place: int, last: bool) -> alt.LayerChart:
    events = shared.events
    # long names differ at their ends: cut in the middle
    names = new(alt.Axis, title=None, labelExpr="truncate(datum.label, 26, 'center')")
    lane = alt.Y("run:N", sort=shared.runs, axis=names, scale=new(alt.Scale, domain=shared.runs))
    order = ["revived", "pruned"]
    marks = _event_marks(events)
    marks["yOffset"] = alt.YOffset("event:N", sort=order, scale=new(alt.Scale, domain=order))
    most = float(events["count"].max())
    if most > 1:
        ends = {"values": [1, most], "format": ",d", "direction": "horizontal"}
        grey = {"symbolFillColor": GREY, "symbolStrokeColor": GREY}
        scale = new(alt.Scale, domain=[1, most], range=[20, 120])
        marks["size"] = alt.Size("count:Q", scale=scale, legend=new(alt.Legend, title="heads", **ends, **grey))
    form = {"strokeWidth": 1.8, "size": 42, "filled": False, "opacity": 1, "clip": True}
    symbols = chart(events, "point", mark=form, x=shared.x(axis=_step_axis(shared, last)), y=lane, **marks)
    layers = [*_rules(shared, height, first=not place, events=False), symbols]
    return _panel(layers, shared, {"step": 16}, place, symbols)


def _event_marks(events: pd.DataFrame) -> dict[str, Any]:
    """Return colour, fill and shape of the events, under one legend, and their tooltip."""
    colour, shape = parts.state_scales(events["event"])
    tooltip = [alt.Tooltip("event:N"), alt.Tooltip("count:Q", title="heads"), alt.Tooltip("step:Q", format=",~r")]
    if (events["last_step"] != events["step"]).any():
        tooltip.append(alt.Tooltip("last_step:Q", format=",~r"))
    if "heads" in events.columns:
        tooltip.append(alt.Tooltip("heads:N", title="which"))
    if events["run"].nunique() > 1:
        tooltip.insert(0, alt.Tooltip("run:N"))
    legend = new(alt.Legend, title=None)
    return {
        "color": alt.Color("event:N", scale=colour, legend=legend),
        "fill": alt.Fill("event:N", scale=colour, legend=legend),
        "shape": alt.Shape("event:N", scale=shape, legend=legend),
        "tooltip": tooltip,
    }


def _rules(shared: Shared, height: int, *, first: bool, events: bool = True) -> list[alt.Chart]:
    """Return the rules that cross every panel: epochs, and faintly the steps at which heads were pruned or revived.

    Where these are many, ticks at the foot of the panel stand for them.
    """
    layers = []
    if len(shared.epochs):
        form: dict[str, Any] = {"style": "headspec-rule", "strokeDash": [2, 3], "clip": True}
        layers.append(chart(shared.epochs, "rule", mark=form, x=shared.x(axis=_epoch_axis(shared) if first else None)))
    if events and len(shared.events) and not shared.by_run:
        colour = alt.Stroke("event:N", scale=parts.state_scales(shared.events["event"])[0], legend=None)
        many = crowded(shared.events)
        form = {"strokeWidth": 1, "opacity": 0.8 if many else 0.3, "clip": True}
        foot = {"y": pixel(height - FOOT), "y2": pixel(height)} if many else {}
        layers.append(chart(shared.events, "rule", mark=form, x=shared.x(), stroke=colour, **foot))
    return layers


def _epoch_axis(shared: Shared) -> alt.Axis:
    """Return the axis that names the ruled epochs above the first panel; only numbers of ours are in its expression."""
    steps, epochs = shared.epochs["step"].tolist(), shared.epochs["epoch"].tolist()
    apart = shared.width / max(len(steps), 1)
    word = "'epoch ' + " if apart > 62 else "(datum.index == 0 ? 'epoch ' : '') + "
    words = {"labelExpr": f"{word}{epochs}[indexof({steps}, datum.value)]", "labelOverlap": True, "labelPadding": 1}
    bare = {"orient": "top", "ticks": False, "domain": False, "grid": False, "title": None}
    axis: alt.Axis = new(alt.Axis, **ticks(steps), **words, **bare)
    return axis


def _step_axis(shared: Shared, last: bool) -> alt.Axis:
    low, high = (math.ceil(shared.domain[0]), math.floor(shared.domain[1]))
    room = max(2, shared.width // 70)
    few = shared.whole_steps and high - low < room  # no ticks between two steps
    same: dict[str, Any] = ticks(range(low, high + 1)) | {"format": ",d"} if few else {"tickCount": room}
    same["grid"] = False
    axis: alt.Axis = new(alt.Axis, title="Step" if last else None, **same)
    return axis if last else filled(axis, labels=False, ticks=False)


def _slug(panel: str) -> str:
    return panel if panel in NAMES else "metrics"


def _panel(
    layers: list[alt.Chart],
    shared: Shared,
    height: Any,
    place: int,
    zoomed: alt.Chart,
    own: Sequence[alt.Parameter] = (),
) -> alt.LayerChart:
    """Return the layers as a chart, whose selections are made on one of them: the zoom, and what is its own."""
    zoomed.name = f"{shared.views}_{place}"  # ending in the place, as Altair would number it in a stack
    params = [selection(item, zoomed.name) for item in (*own, shared.zooming)]
    size = {"width": shared.width, "height": height}
    return filled(alt.LayerChart(), layer=layers, params=params, resolve=independent("axis", "x"), **size)
