"""The panel of a summary that sets the effect of pruning against that of fine-tuning."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

from headspec.charts.ranges import significant
from headspec.charts.specs import calculate, flatten, keep, layers, new, one_row, pixel, unit
from headspec.charts.summary_frame import View
from headspec.charts.summary_parts import (
    AXIS,
    CROSS,
    EDGE,
    SIGNED,
    Look,
    Section,
    bent_axis,
    faded,
    level_labels,
    level_tip,
    listed,
    look_of,
    panel_of,
    rule_at,
    tooltip_of,
    words_of,
)

HEIGHT = 190


def effects_panel(section: Section) -> Any:
    """Return the effect of pruning against that of fine-tuning, in four named quadrants."""
    view, look = section.view, look_of(section, "effects")
    place = "pruning_effect" if view.nudges is None else "_place"
    x = bent_axis(alt.X, f"{place}:Q", view.pruning, view.cell, 34, {"grid": False})
    x["title"] = "change by pruning, %"
    y = bent_axis(alt.Y, "tuning_effect:Q", view.tuning, HEIGHT, 16, {"grid": False, **AXIS})
    tooltip = [
        *tooltip_of(view, None, level_tip()),
        alt.Tooltip("pruning_effect:Q", title="pruning, %"),
        alt.Tooltip("tuning_effect:Q", title="tuning, %"),
    ]
    size = alt.Size("pruning_level:O", title="Heads pruned", scale=_sizes(view), legend=_size_legend(view))
    points = unit("point", mark={"filled": True}, shape=look.shape, size=size, opacity=look.faded, tooltip=tooltip)
    faint: dict[str, Any] = {"opacity": faded(view, 0.45, 0.06)}
    whiskers = [
        unit("rule", x=alt.X(f"{place}_low:Q"), x2=alt.X2(f"{place}_high"), **faint),
        unit("rule", y=alt.Y("tuning_effect_low:Q"), y2=alt.Y2("tuning_effect_high"), **faint),
    ]
    steps = [keep("isValid(datum.pruning_effect) && isValid(datum.tuning_effect)")]
    seen = layers(*(whiskers if view.spread else []), points, steps=steps, x=x, y=y, color=look.colour)
    marks: list[Any] = [*_quadrants(view), seen, *words_of(section, "effects")]
    if view.pruning.outside or view.tuning.outside:
        marks += _beyond(view, x, y, look)
    if view.lost["pruning_effect"] or view.lost["tuning_effect"]:
        marks += _lost_effects(view, look, place)
    note = "% change of perplexity on symmetric log axes: by fine-tuning up; dotted: the baseline regained, better below it"
    return panel_of(section, marks, HEIGHT, "Effect of pruning against effect of fine-tuning", note)


def _quadrants(view: View) -> list[Any]:
    """Return the lines of no change, the line of a regained baseline, and the names of the quadrants."""
    px, ty, width = view.pruning, view.tuning, view.cell
    # fine-tuned is baseline where one change undoes the other: (1 + pruning) · (1 + tuning) = 1
    pruning = px.straighten(np.linspace(float(px.bend(px.low)), float(px.bend(px.high)), 29))
    tuning = 100 * (1 / np.maximum(1 + pruning / 100, 1e-9) - 1)
    inside = (tuning >= ty.low) & (tuning <= ty.high)
    dots = {"style": "headspec-rule", "strokeDash": [1, 3], "aria": False}
    places = {"_ex": str(_figures(pruning[inside][::2])), "_ey": str(_figures(tuning[inside][::2]))}
    steps = [one_row(), *calculate(**places), flatten("_ex", "_ey")]
    even = unit("line", steps=steps, mark=dots, x=alt.X("_ex:Q"), y=alt.Y("_ey:Q"))
    # one layer of four texts, beside the line of no change rather than in the far corners, where the points lie
    level = round(HEIGHT * (1 - float(ty.share(0.0))))
    names = ("helped,\\nthen hurt", "hurt twice", "helped\\ntwice", "hurt, then repaired")
    across, down = [4, width - 4, 4, width - 4], [level - 25, 4, HEIGHT - 26, level + 5]
    cells = "[{}]".format(",".join(f"'{name}'" for name in names))
    steps = [one_row(), *calculate(_name=cells, _nx=str(across), _ny=str(down)), flatten("_name", "_nx", "_ny")]
    align = alt.ExprRef(expr=f"datum._nx > {width / 2:g} ? 'right' : 'left'")
    form = {"style": "headspec-muted", "fontSize": 9, "align": align, "baseline": "top", "lineBreak": "\n"}
    where = {"x": alt.X("_nx:Q", scale=None), "y": alt.Y("_ny:Q", scale=None)}
    texts = unit("text", steps=steps, mark=form, **where, text=alt.Text("_name:N"))
    return [rule_at(0, channel="x"), rule_at(0), even, texts]


def _figures(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [significant(value, 3) for value in values.tolist()]


def _beyond(view: View, x: Any, y: Any, look: Look) -> list[Any]:
    """Mark means beyond the axes: they stand at the edge in a ring, with arrows and their numbers."""
    tests, pieces = [], []
    for field, ends, (less, more) in (
        ("datum.pruning_effect", view.pruning, "←→"),
        ("datum.tuning_effect", view.tuning, "↓↑"),
    ):
        low, high = f"{field} < {ends.low:.6g}", f"{field} > {ends.high:.6g}"
        tests += [low, high]
        arrow = f"({low} ? '{less} ' : {high} ? '{more} ' : '')"
        pieces.append(f"{arrow} + ({low} || {high} ? {SIGNED.format(field)} + '% ' : '')")
    both = "isValid(datum.pruning_effect) && isValid(datum.tuning_effect)"
    steps = [keep(f"{both} && ({' || '.join(tests)})"), *calculate(_far=" + ".join(pieces))]
    ring = {"filled": False, "size": 150, "shape": "circle", "strokeWidth": 1.2, "opacity": 1}
    form = {"style": "headspec-label", "fontSize": 9, "align": "right", "dx": -10, "baseline": "middle"}
    return [
        unit("point", steps=steps, mark=ring, x=x, y=y, color=look.colour),
        unit("text", steps=steps, mark=form, x=x, y=y, text=alt.Text("_far:N")),
    ]


def _lost_effects(view: View, look: Look, place: str) -> list[Any]:
    """Mark groups without a finite effect: a cross at the upper edge, above the effect that is known, else at the right."""
    lost = [f"isValid(datum.{name}_lost)" for name in ("pruning_effect", "tuning_effect") if view.lost[name]]
    known = calculate(_px=f"isValid(datum.{place}) ? datum.{place} : {view.pruning.high:.6g}")
    tooltip: list[Any] = [alt.Tooltip("model:N"), alt.Tooltip("strategy:N"), level_tip()]
    tooltip += [alt.Tooltip(f"{name}_lost:N") for name in ("pruning_effect", "tuning_effect") if view.lost[name]]
    seen = {"x": alt.X("_px:Q"), "y": pixel(EDGE), "color": look.colour, "tooltip": tooltip}
    return [unit("point", steps=[keep(" || ".join(lost)), *known], mark=CROSS, **seen)]


def _sizes(view: View) -> alt.Scale:
    scale: alt.Scale = new(alt.Scale, domain=listed(view.levels), range=[24, 110] if len(view.levels) > 1 else [44, 44])
    return scale


def _size_legend(view: View) -> alt.Legend | None:
    if len(view.levels) < 2:
        return None
    levels = listed(view.levels)
    some = levels if len(levels) < 7 else [levels[0], levels[len(levels) // 2], levels[-1]]
    grey = {"symbolType": "circle", "symbolFillColor": "#8a8f98", "symbolStrokeWidth": 0}
    legend: alt.Legend = new(alt.Legend, values=some, **grey, **level_labels(view))
    return legend
