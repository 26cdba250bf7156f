"""The panels of a training chart: lines, head events, and what both share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from headspec.charts import parts
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

    def x(self, field: str = "step", axis: alt.Axis | None = None) -> alt.X:
        """Return the step channel: the same explicit domain in every panel."""
        return alt.X(f"{field}:Q", scale=alt.Scale(domain=list(self.domain), nice=False), axis=axis)


def line_panel(
    shared: Shared,
    panel: str,
    lines: Sequence[Line],
    axis: ValueAxis,
    height: int,
    *,
    first: bool,
    last: bool,
    owner: bool,
) -> alt.LayerChart:
    """Return the panel of some metrics: lines, dots where points are few, marks for gaps and for what is beyond the axis."""
    metrics = list(dict.fromkeys(line.series.metric for line in lines))
    names = shared.runs if shared.by_run else metrics
    field = "run" if shared.by_run else "metric"
    # one panel owns the legend of the runs; a panel of one metric names it on its axis
    has_legend = owner if shared.by_run else len(metrics) > 1
    legend = alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=2.5) if has_legend else None
    colour = alt.Color(f"{field}:N", scale=parts.category_scales(names)[0], legend=legend)
    pick = parts.legend_filter(f"shown_{field}s" if shared.by_run else f"shown_{_slug(panel)}", field)
    shown = alt.when(pick).then(alt.value(1)).otherwise(alt.value(FADED)) if shared.by_run or legend else None
    y = alt.Y(
        f"{'_y' if axis.beyond else 'value'}:Q",
        scale=alt.Scale(domain=[axis.low, axis.high], type=axis.type, nice=False),
        axis=altair_axis(panel, metrics, axis, height),
    )
    base = _rows(shared, panel)
    stroke = base.mark_line(
        clip=True,
        strokeWidth=2,  # with round joins, the width at which thinned and full lines look most alike
        strokeJoin="round",
        strokeCap="round",
        interpolate="step-after" if panel == "sparsity" else "linear",
    ).encode(x=shared.x(axis=_step_axis(shared, last)), y=y, color=colour, detail=["run:N", "metric:N"])
    if shared.by_run and len(metrics) > 1:
        stroke = stroke.encode(strokeDash=_dashes("metric", metrics, 1, alt.Legend(title=None)))
    elif len(names) > len(parts.CATEGORY_COLOURS):  # the colours come round again
        stroke = stroke.encode(strokeDash=_dashes(field, names, len(parts.CATEGORY_COLOURS), legend))
    if shared.packed:  # too many points for a tooltip each
        stroke = stroke.encode(tooltip=[alt.Tooltip(f"{name}:N") for name in ("run", "metric")[not shared.by_run :]])
    if shown is not None:
        stroke = stroke.encode(opacity=shown)
    if legend is not None:
        stroke = stroke.add_params(pick)  # on the layer that owns the legend, or it would be dead
    layers: list[alt.Chart] = [*_rules(shared, height, first=first), stroke.add_params(parts.step_zoom(shared.zoom))]
    layers.append(_dots(shared, base, y, colour, None if shown is None else pick))
    if axis.beyond:
        layers += _beyond(shared, panel, height, colour)
    if len(shared.gaps) and (shared.gaps["panel"] == panel).any():
        layers += _gaps(shared, panel, colour, below=LANE if axis.above else 0)
    return _panel(layers, shared, height)


def _dashes(field: str, names: Sequence[str], every: int, legend: alt.Legend | None) -> alt.StrokeDash:
    """Return the dashes that tell lines apart: another one after `every` names."""
    dashes = [DASHES[place // every % len(DASHES)] for place in range(len(names))]
    return alt.StrokeDash(f"{field}:N", scale=alt.Scale(domain=list(names), range=dashes), legend=legend)


def _rows(shared: Shared, panel: str) -> alt.Chart:
    """Return the rows of one panel, lists taken apart; plain rows, as a page may feed them, pass unchanged."""
    base = alt.Chart(shared.lines).transform_filter(alt.FieldEqualPredicate(field="panel", equal=panel))
    if not shared.packed:
        return base
    lists = [name for name in ("step", "value", "epoch", "_y") if name in shared.lines.columns]
    plain: Any = {name: f"isArray(datum.{name}) ? datum.{name} : [datum.{name}]" for name in lists}
    chart: Any = base.transform_calculate(**plain)
    flat: alt.Chart = chart.transform_flatten(lists)
    return flat


def _dots(shared: Shared, base: alt.Chart, y: alt.Y, colour: alt.Color, pick: alt.Parameter | None) -> alt.Chart:
    """Return the points: drawn where they are few, and there for the tooltip otherwise (unless they are thousands)."""
    tooltip = [alt.Tooltip("run:N")] if shared.by_run else []
    tooltip += [alt.Tooltip("metric:N"), alt.Tooltip("step:Q", format=",~r")]
    if "epoch" in shared.lines.columns:
        tooltip.append(alt.Tooltip("epoch:Q", format=",.4~g"))
    tooltip.append(alt.Tooltip("value:Q", format=",.6~g"))
    points = base.transform_filter("isValid(datum.value)").mark_point(filled=True, size=34, clip=True, strokeWidth=0)
    own: Any = y.copy()
    own.axis = alt.Undefined
    points = points.encode(x=shared.x(), y=own, color=colour, tooltip=tooltip)
    if shared.packed:
        points = points.transform_filter("datum._dots")
    few = alt.when("datum._dots") if pick is None else alt.when(alt.datum["_dots"], pick)
    drawn: alt.Chart = points.encode(opacity=few.then(alt.value(1)).otherwise(alt.value(0)))
    return drawn


def _beyond(shared: Shared, panel: str, height: int, colour: alt.Color) -> list[alt.Chart]:
    """Return the marks of values that the axis does not reach, along the edge that they lie beyond, the extreme in numbers."""
    tooltip = [alt.Tooltip("run:N")] if shared.by_run else []
    tooltip += [alt.Tooltip("metric:N"), alt.Tooltip("step:Q", format=",~r"), alt.Tooltip("last_step:Q", format=",~r")]
    tooltip += [alt.Tooltip("value:Q", title="extreme", format=".4~g"), alt.Tooltip("points:Q", format=",~r")]
    mine = shared.beyond[(shared.beyond["panel"] == panel) & shared.beyond["_peak"]]
    layers = []
    for row in mine.itertuples():
        above = row.side == "above"
        base = alt.Chart(shared.beyond).transform_filter(
            alt.FieldEqualPredicate(field="panel", equal=panel)
            & alt.FieldEqualPredicate(field="side", equal=str(row.side))
        )
        at = {"y": alt.value(LANE / 2 + 1 if above else height - LANE / 2 - 1)}
        span = base.mark_rule(strokeWidth=4, opacity=0.45, clip=True)
        layers.append(span.encode(x=shared.x(), x2="last_step:Q", color=colour, **at))
        shape = "triangle-up" if above else "triangle-down"
        marks = base.mark_point(shape=shape, filled=True, size=60, clip=True, opacity=1)
        layers.append(marks.encode(x=shared.x(), color=colour, tooltip=tooltip, **at))
        # beside the stretch, on the side where there is room
        step: Any = row.step
        left = (step - shared.domain[0]) / (shared.domain[1] - shared.domain[0]) > 0.15
        label = base.transform_filter("datum._peak").mark_text(
            align="right" if left else "left",
            dx=-8 if left else 8,
            baseline="middle",
            style="headspec-label",
            clip=True,
        )
        text = alt.Text("value:Q", format=".3~g")
        layers.append(label.encode(x=shared.x("step" if left else "last_step"), text=text, **at))
    return layers


def _gaps(shared: Shared, panel: str, colour: alt.Color, *, below: int) -> list[alt.Chart]:
    """Return the marks of NaN and infinities along the top edge: from the first to the last step of each gap."""
    base = alt.Chart(shared.gaps).transform_filter(alt.FieldEqualPredicate(field="panel", equal=panel))
    base = base.transform_calculate(_at=f"{LANE} * datum._lane + {LANE / 2 + 1 + below}")
    lane = alt.Y("_at:Q", scale=None, axis=None)
    span = base.mark_rule(strokeWidth=4, opacity=0.45, clip=True).encode(
        x=shared.x(), x2="last_step:Q", y=lane, color=colour
    )
    tooltip = [alt.Tooltip(f"{name}:N") for name in (["run"] if shared.by_run else []) + ["metric", "kind"]]
    tooltip += [alt.Tooltip(f"{name}:Q", format=",~r") for name in ("step", "last_step", "points", "gaps")]
    shape = alt.Shape("_mark:N", scale=alt.Scale(domain=["NaN or ∞"], range=[NO_NUMBER]), legend=alt.Legend(title=None))
    marks = base.mark_point(size=70, strokeWidth=1.6, filled=False, opacity=1, clip=True).encode(
        x=shared.x(), y=lane, color=colour, shape=shape, tooltip=tooltip
    )
    return [span, marks]


def events_panel(shared: Shared, height: int, *, first: bool, last: bool) -> alt.LayerChart:
    """Return the panel of pruned and revived heads: bars up for revived and down for pruned, or a lane per run."""
    if shared.by_run:
        return _events_lanes(shared, height, first=first, last=last)
    events = shared.events
    most, least = max(float(events["_height"].max()), 0.0), min(float(events["_height"].min()), 0.0)
    room = 0.22 * (most - least)
    y = alt.Y(
        "_height:Q",
        scale=alt.Scale(domain=[least - room * (least < 0), most + room * (most > 0)], nice=False),
        axis=alt.Axis(
            title="Heads",
            labelExpr="format(abs(datum.value), ',d')",
            **ticks(count_ticks(least, most, height)),
            labelOverlap=False,
        ),
    )
    base = alt.Chart(events)
    marks = _event_marks(events)
    apart = shared.width / events["step"].nunique()
    stems = base.mark_rule(strokeWidth=min(2.0, max(1.0, apart / 5)), opacity=1, clip=True)
    stems = stems.encode(x=shared.x(axis=_step_axis(shared, last)), y=y, y2=alt.datum(0), color=marks["color"])
    zero = base.transform_aggregate(events="count()").mark_rule(style="headspec-rule").encode(y=alt.datum(0))
    layers = [*_rules(shared, height, first=first, events=False), zero]
    layers.append(stems.add_params(parts.step_zoom(shared.zoom)))
    if (events["last_step"] != events["step"]).any():  # a bar covers the steps that it counts
        bars = base.mark_bar(opacity=0.35, clip=True)
        layers.append(bars.encode(x=shared.x(), x2="last_step:Q", y=y, y2=alt.datum(0), color=marks["color"]))
    size = min(42.0, max(14.0, (0.9 * apart) ** 2))
    symbols = base.mark_point(size=size, strokeWidth=1.8 if size > 30 else 1.4, filled=False, opacity=1, clip=True)
    layers.append(symbols.encode(x=shared.x(), y=alt.Y("_height:Q"), **marks))
    return _panel(layers, shared, height)


def _events_lanes(shared: Shared, height: int, *, first: bool, last: bool) -> alt.LayerChart:
    events = shared.events
    # long names differ at their ends: cut in the middle
    names = alt.Axis(title=None, labelExpr="truncate(datum.label, 26, 'center')")
    lane = alt.Y("run:N", sort=shared.runs, axis=names, scale=alt.Scale(domain=shared.runs))
    shift = alt.YOffset("event:N", sort=["revived", "pruned"], scale=alt.Scale(domain=["revived", "pruned"]))
    symbols = alt.Chart(events).mark_point(strokeWidth=1.8, size=42, filled=False, opacity=1, clip=True)
    symbols = symbols.encode(x=shared.x(axis=_step_axis(shared, last)), y=lane, yOffset=shift, **_event_marks(events))
    most = float(events["count"].max())
    if most > 1:
        legend = alt.Legend(
            title="heads",
            values=[1, most],
            format=",d",
            direction="horizontal",
            symbolFillColor=GREY,
            symbolStrokeColor=GREY,
        )
        scale = alt.Scale(domain=[1, most], range=[20, 120])
        symbols = symbols.encode(size=alt.Size("count:Q", scale=scale, legend=legend))
    layers = [*_rules(shared, height, first=first, events=False), symbols.add_params(parts.step_zoom(shared.zoom))]
    return _panel(layers, shared, {"step": 16})


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
    legend = alt.Legend(title=None)
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
        rule = alt.Chart(shared.epochs).mark_rule(style="headspec-rule", strokeDash=[2, 3], clip=True)
        layers.append(rule.encode(x=shared.x(axis=_epoch_axis(shared) if first else None)))
    if events and len(shared.events) and not shared.by_run:
        colour = alt.Stroke("event:N", scale=parts.state_scales(shared.events["event"])[0], legend=None)
        many = crowded(shared.events)
        rule = alt.Chart(shared.events).mark_rule(strokeWidth=1, opacity=0.8 if many else 0.3, clip=True)
        if many:
            rule = rule.encode(y=alt.value(height - FOOT), y2=alt.value(height))
        layers.append(rule.encode(x=shared.x(), stroke=colour))
    return layers


def _epoch_axis(shared: Shared) -> alt.Axis:
    """Return the axis that names the ruled epochs above the first panel; only numbers of ours are in its expression."""
    steps, epochs = shared.epochs["step"].tolist(), shared.epochs["epoch"].tolist()
    apart = shared.width / max(len(steps), 1)
    word = "'epoch ' + " if apart > 62 else "(datum.index == 0 ? 'epoch ' : '') + "
    return alt.Axis(
        orient="top",
        **ticks(steps),
        labelExpr=f"{word}{epochs}[indexof({steps}, datum.value)]",
        labelOverlap=True,
        labelPadding=1,
        ticks=False,
        domain=False,
        grid=False,
        title=None,
    )


def _step_axis(shared: Shared, last: bool) -> alt.Axis:
    low, high = (math.ceil(shared.domain[0]), math.floor(shared.domain[1]))
    room = max(2, shared.width // 70)
    few = shared.whole_steps and high - low < room  # no ticks between two steps
    same: dict[str, Any] = ticks(range(low, high + 1)) | {"format": ",d"} if few else {"tickCount": room}
    same["grid"] = False
    return alt.Axis(title="Step", **same) if last else alt.Axis(title=None, labels=False, ticks=False, **same)


def _slug(panel: str) -> str:
    return panel if panel in NAMES else "metrics"


def _panel(layers: list[alt.Chart], shared: Shared, height: Any) -> alt.LayerChart:
    chart = alt.layer(*layers)
    assert isinstance(chart, alt.LayerChart)
    chart = chart.resolve_axis(x="independent").properties(width=shared.width, height=height)
    assert isinstance(chart, alt.LayerChart)
    return chart
