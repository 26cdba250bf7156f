"""The four panels of a summary: stages, recovery, effects and final change, each with a column per model."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from headspec.charts import parts
from headspec.charts.ranges import ratio_ticks
from headspec.charts.summary_frame import GAP, View
from headspec.reduce.palette import MISSING, ColourScale, dark_ink_range
from headspec.tables.result_columns import STAGES

# How a number is written whatever its size, at the edge of a panel and in the cells of the strip.
_SHORT = "(abs({0}) >= 1e5 ? format({0}, '.1e') : abs({0}) >= 100 ? format({0}, ',.0f') : format({0}, '.1f'))"
_SIGNED = "(abs({0}) >= 1e5 ? format({0}, '+.1e') : abs({0}) >= 100 ? format({0}, '+,.0f') : format({0}, '+.1f'))"
_AXIS = {"minExtent": 34, "maxExtent": 34}
_EDGE = 5
"""Pixels from the edge of a panel at which what lies beyond it is marked."""


class Section(NamedTuple):
    """A block of columns.

    Attributes
    ----------
    frame, models
        The packed frame, and the models in order.
    named
        Whether the columns are named here: over the first panel of a block.
    leads
        The panel that holds the selection which all panels follow; empty in all blocks but the first.
    view
        What all panels share.
    """

    frame: pd.DataFrame
    models: list[str]
    named: bool
    leads: str
    view: View


class _Look(NamedTuple):
    """How strategies look in every panel."""

    colour: alt.Color
    shape: alt.Shape
    offset: alt.XOffset
    faded: Any


def stages_panel(section: Section) -> Any:
    """Return the perplexity across the stages, a row per level; each cell has a log axis of its own."""
    view, look = section.view, _look(section)
    stages = alt.Axis(labelAngle=0, labelExpr="replace(datum.value, '_', '-')")
    x = alt.X("stage:N", title=None, axis=stages, scale=alt.Scale(domain=list(STAGES)))
    axis = alt.Axis(tickCount=4, format=",.3~r", **_AXIS)
    capped = view.limits is not None
    mean, low, high = ("_mean", "_low", "_high") if capped else ("_cell[0]", "_cell[1]", "_cell[2]")
    y = alt.Y(f"{mean}:Q", scale=alt.Scale(type="log", nice=False, padding=8), axis=axis, title=None)
    tooltip = _tooltip(view, "_cell", _level_tip(), alt.Tooltip("stage:N"))
    layers = [
        *_marks(section, "_cell", x, y, (low, high), look, tooltip, width=1.5, leads=section.leads == "stages"),
        *_notes(section, "stages", "datum.stage == 'pruned'"),
    ]
    if capped:
        layers += _arrows("_cell", "datum.limit", x, look)
    if any(view.lost[stage] for stage in STAGES):
        layers += _crosses("datum[datum.stage + '_lost']", x, look)
    height = 86 if len(view.shown_levels) < 4 else 74
    chart: Any = alt.layer(*layers, data=section.frame).properties(width=view.cell, height=height)
    chart = chart.transform_fold([stage for stage in STAGES if stage in section.frame.columns], as_=["stage", "_cell"])
    if capped:
        limited = {f"_{name}": f"min(datum._cell[{i}], datum.limit)" for i, name in enumerate(("mean", "low", "high"))}
        chart = chart.transform_calculate(**limited)
    header = alt.Header(labelPadding=40, **_level_labels(view, " + ' pruned'"))
    row = alt.Row("pruning_level:O", sort=_listed(view.shown_levels), title=None, header=header)
    facet = _facet(section, chart, "Perplexity at each stage", "a log axis of its own in each cell", row=row)
    if len(view.shown_levels) < len(view.levels):
        facet = facet.transform_filter(alt.FieldOneOfPredicate(field="pruning_level", oneOf=view.shown_levels))
    return facet.resolve_scale(y="independent")


def recovery_panel(section: Section) -> Any:
    """Return the recovery by level: 0 is no repair, 100 the baseline regained."""
    view, look, height = section.view, _look(section), 130
    x = _levels(view)
    low, high = view.recovery.low, view.recovery.high
    scale = alt.Scale(domain=[low, high], nice=False, zero=False, clamp=True)
    y = alt.Y("recovery[0]:Q", scale=scale, axis=alt.Axis(tickCount=5, **_AXIS), title=None)
    extra = [alt.Tooltip("unhurt:Q", title="undefined runs")] if view.unhurt else []
    tooltip = _tooltip(view, "recovery", _level_tip(), *extra)
    ends = ("recovery[1]", "recovery[2]")
    layers = _marks(section, "recovery", x, y, ends, look, tooltip, width=1, leads=section.leads == "recovery")
    one = alt.Chart().transform_sample(1)  # whichever row: these rules hold constants
    for value, dash in ((0, [1, 0]), (100, [4, 3])):
        rule = one.mark_rule(style="headspec-rule", aria=False, strokeDash=dash)
        layers.insert(1, rule.encode(y=alt.datum(value)))
    layers += _notes(section, "recovery")
    if view.recovery.outside:
        layers += _arrows("recovery", f"{high!r}", x, look)
        layers += _arrows("recovery", f"{low!r}", x, look, below=height)
    if view.lost["recovery"]:
        layers += _crosses("datum.recovery_lost", x, look)
    if view.unhurt:
        undefined = alt.Chart().transform_filter("datum.unhurt > 0 && !isValid(datum.recovery[0])")
        hollow = undefined.mark_point(size=30, filled=False, opacity=1)
        seen = {"x": x, "xOffset": look.offset, "color": look.colour, "shape": look.shape}
        layers.append(hollow.encode(**seen, y=alt.value(height - _EDGE), tooltip=tooltip))
    chart = alt.layer(*layers, data=section.frame).properties(width=view.cell, height=height)
    note = "100 · (pruned − fine-tuned) / (pruned − baseline); dashed: the baseline regained"
    return _facet(section, chart, "Recovery, %", note)


def effects_panel(section: Section) -> Any:
    """Return the effect of pruning against that of fine-tuning, in four named quadrants."""
    view, look, height = section.view, _look(section), 190
    x = _ratio(alt.X, "_px0", view.pruning, view.cell // 44, alt.Axis())
    y = _ratio(alt.Y, "_ty0", view.tuning, height // 30, alt.Axis(**_AXIS))
    marks = alt.Chart().transform_filter("isValid(datum.pruning_effect[0]) && isValid(datum.tuning_effect[0])")
    tooltip = [
        *_tooltip(view, None, _level_tip()),
        alt.Tooltip("pruning_effect[0]:Q", title="pruning, %"),
        alt.Tooltip("tuning_effect[0]:Q", title="tuning, %"),
    ]
    size = alt.Size("pruning_level:O", title="Heads pruned", scale=_sizes(view), legend=_size_legend(view))
    whisker = marks.mark_rule(aria=False)
    seen: Any = alt.layer(
        whisker.encode(x="_px1:Q", x2="_px2", y=y, opacity=alt.value(0.45)),
        whisker.encode(x=x, y="_ty1:Q", y2="_ty2", opacity=alt.value(0.45)),
        marks.mark_point(filled=True).encode(
            x=x, y=y, shape=look.shape, size=size, opacity=look.faded, tooltip=tooltip
        ),
    )
    layers: list[Any] = [*_quadrants(view, height), seen.encode(color=look.colour), *_notes(section, "effects")]
    if view.pruning.outside or view.tuning.outside:
        layers += _beyond(view, x, y, look)
    if view.lost["pruning_effect"] or view.lost["tuning_effect"]:
        layers += _lost_effects(view, look)
    chart: Any = alt.layer(*layers, data=section.frame).properties(width=view.cell, height=height)
    nudge = " * datum.nudge" if view.nudges is not None else ""
    chart = chart.transform_calculate(
        **{f"_px{place}": f"(1 + datum.pruning_effect[{place}] / 100){nudge}" for place in range(3)},
        **{f"_ty{place}": f"1 + datum.tuning_effect[{place}] / 100" for place in range(3)},
    )
    note = "relative change of perplexity, log axes: pruning across, fine-tuning up; dotted: the baseline regained"
    return _facet(section, chart, "Effect of pruning against effect of fine-tuning", note)


def final_panel(section: Section) -> Any:
    """Return the change from the baseline to the last stage, as a strip of cells per model."""
    view = section.view
    scale = ColourScale("purpleorange", -view.final, view.final)
    strategies = alt.Axis(labelLimit=120, minExtent=34)
    y = alt.Y("strategy:N", scale=alt.Scale(domain=view.strategies), title=None, axis=strategies)
    legend = alt.Legend(title="Final change, %", gradientLength=80, format="+.3~r")
    fill = alt.Fill("final_change:Q", scale=parts.colour_scale(scale), legend=legend)
    tooltip = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), _level_tip(), alt.Tooltip("final_change:Q")]
    cells = alt.Chart().transform_filter("isValid(datum.final_change)")
    layers: list[Any] = [cells.mark_rect().encode(fill=fill, tooltip=tooltip)]
    if view.lost["final_change"]:
        lost = alt.Chart().transform_filter("isValid(datum.final_change_lost) && !isValid(datum.final_change)")
        grey = lost.mark_rect(color="rgb({},{},{})".format(*MISSING))
        layers.append(grey.encode(tooltip=[*tooltip[:3], alt.Tooltip("final_change_lost:N", title="final change")]))
    if (size := _strip_font(section)) is not None:
        layers.append(_strip_text(view, scale, size))
    chart: Any = alt.layer(*layers, *_notes(section, "final"), data=section.frame).encode(x=_levels(view), y=y)
    chart = chart.properties(width=view.cell, height=max(22 * len(view.strategies), 40))
    return _facet(
        section, chart, "Final change of perplexity, % of the baseline", "below 0 is better than before pruning"
    )


# shared by the panels ----------------------------------------------------------------------------------------------


def _look(section: Section) -> _Look:
    view = section.view
    scales: list[Any] = [alt.Undefined, alt.Undefined]
    if section.named:  # the panels of a page share these scales: one that states them is enough
        scales = list(parts.category_scales(view.strategies))
    return _Look(
        alt.Color("strategy:N", scale=scales[0], title="Strategy"),
        alt.Shape("strategy:N", scale=scales[1], title="Strategy"),
        alt.XOffset("strategy:N", scale=alt.Scale(domain=view.strategies)),
        alt.when(alt.param(name=view.select)).then(alt.value(1)).otherwise(alt.value(0.12)),
    )


def _level_labels(view: View, suffix: str = "") -> dict[str, str]:
    """Return how an axis, a legend or a header writes levels; a level that was not given is null."""
    if suffix or any(math.isnan(level) for level in view.levels):
        return {"labelExpr": f"isValid(datum.value) ? format(datum.value, '.3~%'){suffix} : 'no level'"}
    return {"format": ".3~%"}


def _levels(view: View) -> alt.X:
    axis = alt.Axis(labelAngle=0, labelOverlap=True, **_level_labels(view))
    return alt.X("pruning_level:O", title="Heads pruned", axis=axis, scale=alt.Scale(domain=_listed(view.levels)))


def _listed(levels: list[float]) -> list[Any]:
    return [None if math.isnan(level) else level for level in levels]


def _level_tip() -> alt.Tooltip:
    return alt.Tooltip("pruning_level:Q", title="pruned", format=".3~%")


def _tooltip(view: View, field: str | None, *extra: alt.Tooltip) -> list[alt.Tooltip]:
    tips = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), *extra]
    if view.runs is None:
        tips.append(alt.Tooltip("runs:Q"))
    if field is not None:
        tips += [
            alt.Tooltip(f"{field}[{place}]:Q", title=name) for place, name in enumerate(("mean", "least", "greatest"))
        ]
    return tips


def _marks(
    section: Section,
    cell: str,
    x: Any,
    y: Any,
    ends: tuple[str, str],
    look: _Look,
    tooltip: list[alt.Tooltip],
    *,
    width: float,
    leads: bool,
) -> list[Any]:
    """Return the lines, the spreads over seeds and the means of the strategies."""
    rows = alt.Chart().transform_filter(f"isValid(datum.{cell}[0])")
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
    return [first, rest.encode(**seen)]


def _facet(section: Section, chart: Any, title: str, note: str, **row: Any) -> Any:
    view = section.view
    field = "panel" if "panel" in section.frame.columns else "model"
    order = [view.short[model] if field == "panel" else model for model in section.models]
    header = alt.Header(labelLimit=view.cell + GAP - 8) if section.named and any(section.models) else None
    column = alt.Column(f"{field}:N", sort=order, title=None, header=header)
    heading = alt.TitleParams(text=title, subtitle=note, fontSize=12, anchor="start", offset=6)
    return chart.facet(column=column, spacing={"column": GAP, "row": 10}, bounds="flush", title=heading, **row)


def _notes(section: Section, panel: str, test: str = "true") -> list[Any]:
    """Return the words in the column of a model that has nothing to show in this panel."""
    name = f"{panel}_note"
    if name not in section.frame.columns:
        return []
    words = alt.Chart().transform_filter(f"isValid(datum.{name}) && {test}")
    words = words.mark_text(style="headspec-muted", baseline="middle", fontSize=10)
    return [words.encode(x=alt.value(section.view.cell / 2), y=alt.value(56), text=f"{name}:N")]


def _arrows(cell: str, limit: str, x: Any, look: _Look, *, below: int | None = None) -> list[Any]:
    """Mark what lies beyond the end of an axis: an arrow at the edge and the number."""
    end, sign, shape = (1, "<", "triangle-down") if below else (2, ">", "triangle-up")
    place = (below - _EDGE) if below else _EDGE
    rows = alt.Chart().transform_filter(f"isValid(datum.{cell}[0]) && datum.{cell}[{end}] {sign} {limit}")
    word = "least " if below else "max "
    text = f"(datum.{cell}[0] {sign} {limit} ? '' : '{word}') + {_SHORT.format(f'datum.{cell}[datum.{cell}[0] {sign} {limit} ? 0 : {end}]')}"
    seen = {"x": x, "xOffset": look.offset, "color": look.colour}
    words = rows.transform_calculate(_far=text).mark_text(
        style="headspec-label", fontSize=9, angle=270, align="left" if below else "right", dy=0, dx=8 if below else -8
    )
    return [
        rows.mark_point(filled=True, size=44, shape=shape, opacity=1).encode(**seen, y=alt.value(place)),
        words.encode(x=x, xOffset=look.offset, y=alt.value(place), text="_far:N"),
    ]


def _crosses(lost: str, x: Any, look: _Look) -> list[Any]:
    """Mark seeds that came to no finite number: a cross at the upper edge."""
    rows = alt.Chart().transform_calculate(_lost=lost).transform_filter("isValid(datum._lost)")
    mark = rows.mark_point(shape=parts.CROSS, size=50, strokeWidth=2, filled=False, opacity=1)
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("strategy:N"),
        _level_tip(),
        alt.Tooltip("_lost:N", title="not finite"),
    ]
    return [mark.encode(x=x, xOffset=look.offset, color=look.colour, y=alt.value(_EDGE), tooltip=tooltip)]


# effects -----------------------------------------------------------------------------------------------------------


def _ratio(channel: Any, field: str, ends: Any, most: int, axis: alt.Axis) -> Any:
    """Return a position on a log axis of ratios, labelled as percent of change."""
    axis["values"] = ratio_ticks(ends.low, ends.high, most=max(most, 3))
    axis["labelExpr"] = "datum.value == 1 ? '0' : format(datum.value - 1, '+,.3~%')"
    axis["grid"] = False
    scale = alt.Scale(type="log", domain=[ends.low, ends.high], nice=False, clamp=True)
    title = "change by pruning" if channel is alt.X else None
    return channel(f"{field}:Q", scale=scale, axis=axis, title=title)


def _quadrants(view: View, height: int) -> list[Any]:
    """Return the lines of no change, the diagonal of a regained baseline, and the names of the quadrants."""
    width = view.cell
    one = alt.Chart().transform_sample(1)  # whichever row: these marks hold constants
    rule = one.mark_rule(style="headspec-rule", aria=False)
    lines: list[Any] = [rule.encode(x=alt.datum(1)), rule.encode(y=alt.datum(1))]
    first = max(view.pruning.low, 1 / view.tuning.high)
    last = min(view.pruning.high, 1 / view.tuning.low)
    if last > first:  # fine-tuned = baseline where one ratio undoes the other
        ends = {"x": alt.datum(first), "x2": alt.datum(last), "y": alt.datum(1 / first), "y2": alt.datum(1 / last)}
        lines.append(one.mark_rule(style="headspec-rule", strokeDash=[1, 3], aria=False).encode(**ends))
    # one layer of four texts: their places are pixels, so they go without scales
    names = ("helped,\\nthen hurt", "hurt twice", "helped\\ntwice", "hurt, then repaired")
    # beside the line of no change rather than in the far corners: the points lie along the diagonal
    level = height * math.log(view.tuning.high) / math.log(view.tuning.high / view.tuning.low)
    places = [(4, round(level) - 25), (width - 4, 4), (4, height - 26), (width - 4, round(level) + 5)]
    cells = ",".join(f"['{name}',{x},{y}]" for name, (x, y) in zip(names, places, strict=True))
    words = one.transform_calculate(_name=f"[{cells}]").transform_flatten(["_name"])
    align = alt.expr(f"datum._name[1] > {width / 2:g} ? 'right' : 'left'")
    texts = words.mark_text(style="headspec-muted", fontSize=9, align=align, baseline="top", lineBreak="\n", aria=False)
    x, y = alt.X("_name[1]:Q", scale=None), alt.Y("_name[2]:Q", scale=None)
    return [*lines, texts.encode(x=x, y=y, text="_name[0]:N")]


def _beyond(view: View, x: Any, y: Any, look: _Look) -> list[Any]:
    """Mark means beyond the axes: they stand at the edge, with arrows and their numbers."""
    px, ty = view.pruning, view.tuning
    beyond = (
        f"datum._px0 > {px.high!r} || datum._px0 < {px.low!r} || datum._ty0 > {ty.high!r} || datum._ty0 < {ty.low!r}"
    )
    pieces = []
    for field, effect, ends, (more, less) in (
        ("_px0", "pruning_effect", px, "→←"),
        ("_ty0", "tuning_effect", ty, "↑↓"),
    ):
        percent = _SIGNED.format(f"datum.{effect}[0]")
        pieces.append(
            f"(datum.{field} > {ends.high!r} ? '{more} ' + {percent} + '% ' : "
            f"datum.{field} < {ends.low!r} ? '{less} ' + {percent} + '% ' : '')"
        )
    rows = alt.Chart().transform_filter(beyond).transform_calculate(_far=" + ".join(pieces))
    words = rows.mark_text(style="headspec-label", fontSize=9, align="right", dx=-8, dy=-8)
    ring = rows.mark_point(filled=False, size=150, shape="circle", strokeWidth=1.2, opacity=1)
    return [ring.encode(x=x, y=y, color=look.colour), words.encode(x=x, y=y, text="_far:N")]


def _lost_effects(view: View, look: _Look) -> list[Any]:
    """Mark groups without a finite effect: a cross at the upper edge, above the effect that is known, else at the right."""
    lost = [f"isValid(datum.{name}_lost)" for name in ("pruning_effect", "tuning_effect") if view.lost[name]]
    rows = alt.Chart().transform_filter(" || ".join(lost))
    rows = rows.transform_calculate(_px0=f"isValid(datum.pruning_effect[0]) ? datum._px0 : {view.pruning.high!r}")
    tooltip: list[Any] = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), _level_tip()]
    tooltip += [alt.Tooltip(f"{name}_lost:N") for name in ("pruning_effect", "tuning_effect") if view.lost[name]]
    mark = rows.mark_point(shape=parts.CROSS, size=50, strokeWidth=2, filled=False, opacity=1)
    return [mark.encode(x="_px0:Q", y=alt.value(_EDGE), color=look.colour, tooltip=tooltip)]


def _sizes(view: View) -> alt.Scale:
    return alt.Scale(domain=_listed(view.levels), range=[24, 110] if len(view.levels) > 1 else [44, 44])


def _size_legend(view: View) -> alt.Legend | None:
    if len(view.levels) < 2:
        return None
    levels = _listed(view.levels)
    some = levels if len(levels) < 7 else [levels[0], levels[len(levels) // 2], levels[-1]]
    return alt.Legend(
        values=some, symbolType="circle", symbolFillColor="#8a8f98", symbolStrokeWidth=0, **_level_labels(view)
    )


# strip -------------------------------------------------------------------------------------------------------------


def _strip_text(view: View, scale: ColourScale, size: int) -> Any:
    low, high = dark_ink_range(scale)
    value = "datum.final_change"
    dagger = " + (datum.untuned ? '†' : '')" if view.untuned else ""
    lost = "datum.final_change_lost" if view.lost["final_change"] else "null"
    dark = alt.when(f"!({value} < {low:.4g} || {value} > {high:.4g})")
    words = alt.Chart().transform_calculate(
        _text=f"isValid(datum.final_change) ? {_SIGNED.format(value)}{dagger} : {lost}"
    )
    words = words.transform_filter("isValid(datum._text)").mark_text(fontSize=size, aria=False)
    return words.encode(text="_text:N", color=dark.then(alt.value("#000")).otherwise(alt.value("#fff")))


def _strip_font(section: Section) -> int | None:
    """Return the size at which the numbers fit their cells; None if they do not."""
    view = section.view
    means = [mean for means in section.frame["final_change"] for mean in means if mean is not None]
    letters = max((len(_signed(mean)) for mean in means), default=3) + view.untuned
    size = min(11, int((view.cell / max(len(view.levels), 1) - 3) / (0.58 * letters)))
    return size if size >= 7 else None


def _signed(value: float) -> str:
    return f"{value:+.1e}" if abs(value) >= 1e5 else f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.1f}"
