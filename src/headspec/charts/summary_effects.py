"""The panel of a summary that sets the effect of pruning against that of fine-tuning."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np

from headspec.charts import parts
from headspec.charts.ranges import significant
from headspec.charts.summary_frame import View
from headspec.charts.summary_parts import (
    AXIS,
    EDGE,
    SIGNED,
    Look,
    Section,
    bent_axis,
    facet_of,
    level_labels,
    level_tip,
    listed,
    look_of,
    tooltip_of,
    words_of,
)

HEIGHT = 190


def effects_panel(section: Section) -> Any:
    """Return the effect of pruning against that of fine-tuning, in four named quadrants."""
    view, look = section.view, look_of(section)
    place = "pruning_effect" if view.nudges is None else "pruning_place"
    x = bent_axis(alt.X, f"{place}[0]:Q", view.pruning, view.cell, 34, {"grid": False})
    x["title"] = "change by pruning, %"
    y = bent_axis(alt.Y, "tuning_effect[0]:Q", view.tuning, HEIGHT, 16, {"grid": False, **AXIS})
    marks = alt.Chart().transform_filter(f"isValid(datum.{place}[0]) && isValid(datum.tuning_effect[0])")
    tooltip = [
        *tooltip_of(view, None, level_tip()),
        alt.Tooltip("pruning_effect[0]:Q", title="pruning, %"),
        alt.Tooltip("tuning_effect[0]:Q", title="tuning, %"),
    ]
    size = alt.Size("pruning_level:O", title="Heads pruned", scale=_sizes(view), legend=_size_legend(view))
    whisker = marks.mark_rule(aria=False, opacity=0.45)
    seen: Any = alt.layer(
        whisker.encode(x=alt.X(f"{place}[1]:Q"), x2=f"{place}[2]"),
        whisker.encode(y=alt.Y("tuning_effect[1]:Q"), y2="tuning_effect[2]"),
        marks.mark_point(filled=True).encode(shape=look.shape, size=size, opacity=look.faded, tooltip=tooltip),
    ).encode(x=x, y=y, color=look.colour)
    layers: list[Any] = [*_quadrants(view), seen, *words_of(section, "effects")]
    if view.pruning.outside or view.tuning.outside:
        layers += _beyond(view, x, y, look)
    if view.lost["pruning_effect"] or view.lost["tuning_effect"]:
        layers += _lost_effects(view, look, place)
    chart: Any = alt.layer(*layers, data=section.frame).properties(width=view.cell, height=HEIGHT)
    note = "% change of perplexity on symmetric log axes: by fine-tuning up; dotted: the baseline regained, better below it"
    return facet_of(section, chart, "Effect of pruning against effect of fine-tuning", note)


def _quadrants(view: View) -> list[Any]:
    """Return the lines of no change, the line of a regained baseline, and the names of the quadrants."""
    px, ty, width = view.pruning, view.tuning, view.cell
    one = alt.Chart().transform_sample(1)  # whichever row: these marks hold constants
    rule = one.mark_rule(style="headspec-rule", aria=False)
    lines: list[Any] = [rule.encode(x=alt.datum(0)), rule.encode(y=alt.datum(0))]
    # fine-tuned is baseline where one change undoes the other: (1 + pruning) · (1 + tuning) = 1
    pruning = px.straighten(np.linspace(float(px.bend(px.low)), float(px.bend(px.high)), 29))
    tuning = 100 * (1 / np.maximum(1 + pruning / 100, 1e-9) - 1)
    inside = (tuning >= ty.low) & (tuning <= ty.high)
    points = [
        [significant(a, 3), significant(b, 3)] for a, b in zip(pruning[inside][::2], tuning[inside][::2], strict=True)
    ]
    curve = one.transform_calculate(_even=str(points).replace(" ", "")).transform_flatten(["_even"])
    curve = curve.mark_line(style="headspec-rule", strokeDash=[1, 3], aria=False)
    lines.append(curve.encode(x=alt.X("_even[0]:Q"), y=alt.Y("_even[1]:Q")))
    # one layer of four texts, beside the line of no change rather than in the far corners, where the points lie
    level = round(HEIGHT * (1 - float(ty.share(0.0))))
    names = ("helped,\\nthen hurt", "hurt twice", "helped\\ntwice", "hurt, then repaired")
    places = [(4, level - 25), (width - 4, 4), (4, HEIGHT - 26), (width - 4, level + 5)]
    cells = ",".join(f"['{name}',{x},{y}]" for name, (x, y) in zip(names, places, strict=True))
    words = one.transform_calculate(_name=f"[{cells}]").transform_flatten(["_name"])
    align = alt.expr(f"datum._name[1] > {width / 2:g} ? 'right' : 'left'")
    texts = words.mark_text(style="headspec-muted", fontSize=9, align=align, baseline="top", lineBreak="\n", aria=False)
    at = {"x": alt.X("_name[1]:Q", scale=None), "y": alt.Y("_name[2]:Q", scale=None)}
    return [*lines, texts.encode(**at, text="_name[0]:N")]


def _beyond(view: View, x: Any, y: Any, look: Look) -> list[Any]:
    """Mark means beyond the axes: they stand at the edge in a ring, with arrows and their numbers."""
    tests, pieces = [], []
    for field, ends, (less, more) in (
        ("datum.pruning_effect[0]", view.pruning, "←→"),
        ("datum.tuning_effect[0]", view.tuning, "↓↑"),
    ):
        low, high = f"{field} < {ends.low:.6g}", f"{field} > {ends.high:.6g}"
        tests += [low, high]
        pieces.append(
            f"({low} ? '{less} ' : {high} ? '{more} ' : '') + ({low} || {high} ? {SIGNED.format(field)} + '% ' : '')"
        )
    both = "isValid(datum.pruning_effect[0]) && isValid(datum.tuning_effect[0])"
    rows = (
        alt.Chart().transform_filter(f"{both} && ({' || '.join(tests)})").transform_calculate(_far=" + ".join(pieces))
    )
    words = rows.mark_text(style="headspec-label", fontSize=9, align="right", dx=-10, baseline="middle")
    ring = rows.mark_point(filled=False, size=150, shape="circle", strokeWidth=1.2, opacity=1)
    return [ring.encode(x=x, y=y, color=look.colour), words.encode(x=x, y=y, text="_far:N")]


def _lost_effects(view: View, look: Look, place: str) -> list[Any]:
    """Mark groups without a finite effect: a cross at the upper edge, above the effect that is known, else at the right."""
    lost = [f"isValid(datum.{name}_lost)" for name in ("pruning_effect", "tuning_effect") if view.lost[name]]
    rows = alt.Chart().transform_filter(" || ".join(lost))
    rows = rows.transform_calculate(_px=f"isValid(datum.{place}[0]) ? datum.{place}[0] : {view.pruning.high:.6g}")
    tooltip: list[Any] = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), level_tip()]
    tooltip += [alt.Tooltip(f"{name}_lost:N") for name in ("pruning_effect", "tuning_effect") if view.lost[name]]
    mark = rows.mark_point(shape=parts.CROSS, size=50, strokeWidth=2, filled=False, opacity=1)
    return [mark.encode(x="_px:Q", y=alt.value(EDGE), color=look.colour, tooltip=tooltip)]


def _sizes(view: View) -> alt.Scale:
    return alt.Scale(domain=listed(view.levels), range=[24, 110] if len(view.levels) > 1 else [44, 44])


def _size_legend(view: View) -> alt.Legend | None:
    if len(view.levels) < 2:
        return None
    levels = listed(view.levels)
    some = levels if len(levels) < 7 else [levels[0], levels[len(levels) // 2], levels[-1]]
    return alt.Legend(
        values=some, symbolType="circle", symbolFillColor="#8a8f98", symbolStrokeWidth=0, **level_labels(view)
    )
