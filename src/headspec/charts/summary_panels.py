"""Panels of a summary: perplexity at each stage, recovery, final change; each with a column per model."""

from __future__ import annotations

import json
from typing import Any

import altair as alt

from headspec.charts import parts
from headspec.charts.specs import calculate, keep, new, pixel, unit
from headspec.charts.summary_frame import View
from headspec.charts.summary_parts import (
    AXIS,
    EDGE,
    SIGNED,
    Section,
    arrows,
    bent_axis,
    crosses,
    level_labels,
    level_tip,
    levels_axis,
    listed,
    look_of,
    marks_of,
    panel_of,
    rule_at,
    tooltip_of,
    words_of,
)
from headspec.reduce.palette import MISSING, ColourScale, dark_ink_range
from headspec.tables.result_columns import STAGES


def stages_panel(section: Section) -> Any:
    """Return the perplexity across the stages, a row per level."""
    view, look = section.view, look_of(section, "stages")
    height = 92 if len(view.shown_levels) < 4 else 80
    labels = new(alt.Axis, labelAngle=0, labelExpr="replace(datum.value, '_', '-')")
    x = alt.X("stage:N", title=None, axis=labels, scale=new(alt.Scale, domain=list(STAGES)))
    y, drawn, steps = _stage_values(view, height)
    tooltip = tooltip_of(view, "_cell", level_tip(), alt.Tooltip("stage:N"), ends=("_low", "_high"))
    leads, test = section.leads == "stages", "isValid(datum._cell)"
    marks = marks_of(section, test, x, y, drawn[1:], look, tooltip, width=1.5, leads=leads)
    low, high = ("datum._low", "datum._high") if view.spread else ("datum._cell", "datum._cell")
    if view.change is not None:
        marks.insert(1 if leads else 0, rule_at(0))
        if view.change.outside:
            above, below = f"{view.change.high:.6g}", f"{view.change.low:.6g}"
            marks += arrows(above, x, look, ends=(drawn[0], drawn[2]), numbers=("datum._cell", high))
            marks += arrows(below, x, look, ends=drawn[:2], numbers=("datum._cell", low), below=height)
    elif view.limits is not None:
        ends = ("_cell", high.removeprefix("datum."))
        marks += arrows("datum._limit", x, look, ends=ends, numbers=("datum._cell", high))
    if any(view.lost[stage] for stage in STAGES):
        marks += crosses("datum[datum.stage + '_lost']", x, look)
    marks += words_of(section, "stages", "datum.stage == 'pruned'")
    present = [stage for stage in STAGES if stage in section.frame.columns]
    fold: Any = alt.FoldTransform(**{"fold": present, "as": ["stage", "_cell"]})
    header = new(alt.Header, labelPadding=40, **level_labels(view, " + ' pruned'"))
    shown = listed(view.shown_levels)
    order = [level for level in shown if level is not None] or alt.Undefined
    rows = new(alt.FacetFieldDef, field="pruning_level", type="ordinal", sort=order, title=None, header=header)
    some = keep(f"indexof({json.dumps(shown)}, datum.pruning_level) >= 0")
    return panel_of(
        section,
        marks,
        height,
        "Perplexity at each stage",
        "% above the baseline, one axis for all" if view.change is not None else "a log axis of its own in each cell",
        steps=[fold, *calculate(**steps)],
        row=rows,
        before=[some] if len(view.shown_levels) < len(view.levels) else None,
        own_y=view.change is None,
    )


def _stage_values(view: View, height: int) -> tuple[alt.Y, tuple[str, str, str], dict[str, str]]:
    """Return the axis of the stages, the fields of mean, least and greatest on it, and what calculates them."""
    fields = ("_cell", "_low", "_high") if view.spread else ("_cell",)
    steps = {f"_{end}": f"datum[datum.stage + '_{end}']" for end in ("low", "high") if view.spread}
    if view.change is not None:
        for place, field in enumerate(fields):
            steps[f"_c{place}"] = f"isValid(datum.{field}) ? 100 * (datum.{field} / datum.baseline - 1) : null"
        y = bent_axis(alt.Y, "_c0:Q", view.change, height, 15, AXIS)
    else:
        for place, field in enumerate(fields):
            if view.limits is not None:
                steps[f"_c{place}"] = f"isValid(datum.{field}) ? min(datum.{field}, datum._limit) : null"
        settings: dict[str, Any] = dict(AXIS)
        axis = new(alt.Axis, tickCount=4, format=",.3~r", **settings)
        scale = new(alt.Scale, type="log", nice=False, padding=8)
        y = alt.Y("_cell:Q" if view.limits is None else "_c0:Q", scale=scale, axis=axis, title=None)
    drawn = (
        fields if view.change is None and view.limits is None else tuple(f"_c{place}" for place in range(len(fields)))
    )
    return y, (drawn[0], drawn[-2], drawn[-1]) if view.spread else (drawn[0],) * 3, steps


def recovery_panel(section: Section) -> Any:
    """Return the recovery by level: 0 is no repair, 100 the baseline regained."""
    view, look, height = section.view, look_of(section, "recovery"), 140
    x, ends = levels_axis(view), view.recovery
    y = bent_axis(alt.Y, "recovery:Q", ends, height, 15, AXIS, sign="")
    extra = [alt.Tooltip("unhurt:Q", title="undefined runs")] if view.unhurt else []
    tooltip = tooltip_of(view, "recovery", level_tip(), *extra)
    leads, spread = section.leads == "recovery", ("recovery_low", "recovery_high")
    marks = marks_of(section, "isValid(datum.recovery)", x, y, spread, look, tooltip, width=1, leads=leads)
    marks[1 if leads else 0 : 0] = [rule_at(0), rule_at(100, dash=True)][: 2 if ends.high >= 100 else 1]
    if ends.outside:
        for side, limit, below in (("_high", ends.high, None), ("_low", ends.low, height)):
            far = "recovery" + (side if view.spread else "")
            numbers = ("datum.recovery", f"datum.{far}")
            marks += arrows(f"{limit:.6g}", x, look, ends=("recovery", far), numbers=numbers, below=below)
    if view.lost["recovery"]:
        marks += crosses("datum.recovery_lost", x, look)
    if view.unhurt:
        undefined = [keep("datum.unhurt > 0 && !isValid(datum.recovery)")]
        seen = {"x": x, "xOffset": look.offset, "color": look.colour, "shape": look.shape, "y": pixel(height - EDGE)}
        hollow = {"size": 30, "filled": False, "opacity": 1}
        marks.append(unit("point", steps=undefined, mark=hollow, **seen, tooltip=tooltip))
    marks += words_of(section, "recovery")
    note = "100 · (pruned − fine-tuned) / (pruned − baseline); dashed: the baseline regained"
    note += "; symmetric log axis" if ends.constant else ""
    return panel_of(section, marks, height, "Recovery, %", note)


def final_panel(section: Section) -> Any:
    """Return the change from the baseline to the last stage, as a strip of cells per model."""
    view = section.view
    scale = ColourScale("purpleorange", -view.final, view.final, "sqrt" if view.root else "linear")
    strategies = new(alt.Axis, labelLimit=120, minExtent=34)
    y = alt.Y("strategy:N", scale=new(alt.Scale, domain=view.strategies), title=None, axis=strategies)
    legend = new(alt.Legend, title="Final change, %", gradientLength=80, format="+.3~r")
    fill = alt.Fill("final_change:Q", scale=parts.colour_scale(scale), legend=legend)
    tooltip = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), level_tip(), alt.Tooltip("final_change:Q")]
    marks = [unit("rect", steps=[keep("isValid(datum.final_change)")], fill=fill, tooltip=tooltip)]
    if view.lost["final_change"]:
        steps = [keep("isValid(datum.final_change_lost) && !isValid(datum.final_change)")]
        tips = [*tooltip[:3], alt.Tooltip("final_change_lost:N", title="final change")]
        marks.append(unit("rect", steps=steps, mark={"color": "rgb({},{},{})".format(*MISSING)}, tooltip=tips))
    if (size := _strip_font(section)) is not None:
        marks.append(_strip_text(view, scale, size))
    marks += words_of(section, "final")
    height = max(22 * len(view.strategies), 40)
    note = "below 0 is better than before pruning" + ("; colours on a root scale" if view.root else "")
    shared = {"x": levels_axis(view), "y": y}
    return panel_of(section, marks, height, "Final change of perplexity, % of the baseline", note, shared=shared)


def _strip_text(view: View, scale: ColourScale, size: int) -> Any:
    low, high = dark_ink_range(scale)
    value = "datum.final_change"
    dagger = " + (datum.untuned ? '†' : '')" if view.untuned else ""
    lost = "datum.final_change_lost" if view.lost["final_change"] else "null"
    words = calculate(_text=f"isValid({value}) ? {SIGNED.format(value)}{dagger} : {lost}")
    ink = alt.ColorValue("#000", condition=[{"test": f"{value} < {low:.4g} || {value} > {high:.4g}", "value": "#fff"}])
    steps = [*words, keep("isValid(datum._text)")]
    return unit("text", steps=steps, mark={"fontSize": size}, text=alt.Text("_text:N"), color=ink)


def _strip_font(section: Section) -> int | None:
    """Return the size at which the numbers fit their cells; None if they do not."""
    view = section.view
    means = [mean for means in section.frame["final_change"] for mean in means if mean is not None]
    letters = max((len(_signed(mean)) for mean in means), default=3) + view.untuned
    size = min(11, int((view.cell / max(len(view.levels), 1) - 3) / (0.58 * letters)))
    return size if size >= 7 else None


def _signed(value: float) -> str:
    return f"{value:+.1e}" if abs(value) >= 1e5 else f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.1f}"
