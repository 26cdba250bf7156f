"""Gradient norms as bars, head by head, with what happened to each head on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.charts import parts
from headspec.charts.cells import own_scales, unit
from headspec.charts.describe import heads_text, kinds_note, notes_text, sentence
from headspec.charts.states import found_states, state_layers
from headspec.errors import DataError
from headspec.tables.heads import Pairs, heads_table, one_each
from headspec.text import clean, count, number

ONE_ROW = 96
"""Heads that stand side by side; more are drawn with a row per layer."""
LOG_MEDIAN = 30.0
TONES = ("#5B86B4", "#93B3D3")


@parts.says_what_is_gone
def plot_head_gradients_with_overlays(
    grad_norms: ArrayLike,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    vulnerable_threshold: float | None = 0.01,
    title: str = "Head gradients",
    *,
    scale: Literal["auto", "linear", "log"] = "auto",
    events: Any = None,
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show which heads still learn, which were pruned or revived, and which are about to be pruned.

    Parameters
    ----------
    grad_norms
        Gradient norm per head, ``[layer, head]``, or any other form that `heads_table` reads.
    pruned_heads, revived_heads
        (layer, head) pairs; a head in both lists was pruned and is revived.
    vulnerable_heads
        (layer, head) pairs; given, they replace the threshold.
    vulnerable_threshold
        Without `vulnerable_heads`: heads whose norm lies below it, and which are not pruned, are vulnerable. The line in the
        chart stands there. None marks none.
    title
        The chart's title.
    scale
        ``"linear"`` draws bars from 0. ``"log"`` draws a tick at each norm, since bars on a log axis have no length to
        compare. ``"auto"`` is log where the largest norm is more than 30 times the median, linear otherwise.
    events
        Prune and revive events instead of lists (see `events_table`).
    axes, num_layers, num_heads
        What the axes of the array are, where it is not ``[layer, head]``.
    select
        The name of a selection of a head by click, to link charts.

    Returns
    -------
    altair.LayerChart
        One panel. Up to 96 heads stand side by side, grouped by layer; more get a row per layer, all bars on one scale.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, pairs out of range, negative norms, no finite value.

    Notes
    -----
    Reading it: bars start at 0, so their lengths compare; ticks stand on a log axis, whose lower edge also holds the heads
    with a norm of exactly 0. A ✕ is a pruned head (its gradient is exactly 0), a triangle one
    that was revived, a diamond one whose gradient has almost died.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.plot_head_gradients_with_overlays([[0.5, 0.0], [0.004, 0.3]], pruned_heads=[(0, 1)])
    >>> headspec.summary(chart)
    'Gradient norm of 2 layers × 2 heads: 0 to 0.5, mean 0.201; lowest L0 H1, highest L0 H0. 1 head pruned (L0 H1); 1 head vulnerable (L1 H0). Vulnerable: norm below 0.01.'
    """
    table = heads_table(
        grad_norms,
        measure="gradient_norm",
        axes=axes,
        num_layers=num_layers,
        num_heads=num_heads,
        pruned_heads=pruned_heads,
        revived_heads=revived_heads,
        vulnerable_heads=vulnerable_heads,
        events=events,
        name="grad_norms",
    )
    one_each(table, "grad_norms")
    low, high = parts.extent(table["value"], name="grad_norms")
    if low < 0:
        raise DataError(f"grad_norms reaches down to {number(low)}; a norm is not negative")
    high = high or 1.0
    threshold = vulnerable_threshold if vulnerable_heads is None else None
    if threshold is not None:
        table["vulnerable"] = (table["value"] < threshold) & (table["state"] != "pruned")
    notes = kinds_note(table)
    if threshold is not None:
        notes.append(f"vulnerable: norm below {number(threshold)}")
    table = table.sort_values(["layer", "head"], kind="stable").reset_index(drop=True)
    axis = _axis_of(table, scale, high)
    if axis.log:
        zeros = int((table["value"] == 0).sum())
        notes.append(f"log axis: a tick at each norm{f', {zeros:,} of exactly 0 on the lower edge' if zeros else ''}")
    many = len(table) > ONE_ROW
    frame = _frame(table, axis, many)
    draw = _rows_of_layers if many else _side_by_side
    layers, size, more = draw(frame, axis, threshold, select)
    text = sentence(heads_text(table, "Gradient norm"), notes_text([*notes, *more]))
    chart = alt.layer(*layers, data=frame)
    chart = parts.set_properties(
        chart,
        width=size[0],
        height=size[1],
        title=parts.heading(clean(title), [*notes, *more], width=size[0]),
        description=text,
    )
    return own_scales(chart)


class _Axis(NamedTuple):
    """The axis of norms: from `low` to `high`; a log one has ticks in place of bars."""

    low: float
    high: float
    log: bool

    def height(self, norms: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return how high norms stand, 0 to 1."""
        values = np.asarray(norms, dtype=np.float64)
        if not self.log:
            return np.asarray(values / self.high)
        span = np.log10(self.high / self.low)
        return np.asarray(np.log10(np.maximum(values, self.low) / self.low) / span)


def _axis_of(table: pd.DataFrame, scale: str, high: float) -> _Axis:
    positive = table.loc[table["value"] > 0, "value"]
    if scale == "log" and positive.empty:
        raise DataError('scale="log" needs a positive norm')
    log = scale == "log" or (scale == "auto" and len(positive) > 2 and high > LOG_MEDIAN * float(positive.median()))
    if not log:
        return _Axis(0.0, high, False)
    low = float(positive.min())
    return _Axis(low / 1.3, (high if high > low else low * 10) * 1.0, True)


def _frame(table: pd.DataFrame, axis: _Axis, many: bool) -> pd.DataFrame:
    """Return the rows that are drawn, with where each bar or tick stands."""
    frame = table[["layer", "head", "value", "kind", "state", "vulnerable"]].copy()
    if many:
        frame["_x"], frame["_base"] = frame["head"].astype(float), frame["layer"] + 1.0
        frame["_top"] = frame["_base"] - 0.86 * axis.height(frame["value"])
        frame["_mark"] = frame["layer"] + 0.3
    else:
        first = frame["layer"].ne(frame["layer"].shift()).cumsum() - 1
        frame["_x"] = np.arange(len(frame)) + 0.8 * first  # a gap between layers
        frame["_top"] = frame["value"].clip(lower=axis.low) if axis.log else frame["value"]
        frame["_base"], frame["_mark"] = axis.low, frame["_top"].fillna(axis.low)
    frame["_end"] = frame["_x"] + 0.84
    frame["_middle"] = frame["_x"] + 0.42
    return frame.round(dict.fromkeys(("_x", "_end", "_middle"), 6))


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("layer:O"),
        alt.Tooltip("head:O"),
        alt.Tooltip("value:Q", title="gradient norm", format=".4g"),
        alt.Tooltip("state:N"),
        alt.Tooltip("vulnerable:N"),
    ]


def _bars(x: alt.X, y: alt.Y, select: str | None, axis: _Axis, many: bool) -> list[alt.Chart]:
    """Return the bars (ticks on a log axis) and, with a selection, the ring around the picked head."""
    tone = alt.when("datum.layer % 2 == 0").then(alt.value(TONES[0])).otherwise(alt.value(TONES[1]))
    if axis.log:
        ticks = alt.Chart().mark_rule(strokeWidth=3, aria=not many)
        bars = unit(ticks.encode(x=x, x2="_end", y=y, color=tone, tooltip=_tooltip()))
    else:
        rects = alt.Chart().mark_rect(aria=not many)
        bars = unit(rects.encode(x=x, x2="_end", y=y, y2="_base", color=tone, tooltip=_tooltip()))
    if select is None:
        return [bars]
    ring = unit(alt.Chart().transform_filter({"param": select, "empty": False}))
    edge = ring.mark_rect(filled=False, stroke="#E5484D", strokeWidth=2, aria=False)
    return [unit(bars.add_params(parts.head_pick(select))), unit(edge.encode(x=x, x2="_end", y=y, y2="_base"))]


def _marks(frame: pd.DataFrame, x: alt.X, y: alt.Y, size: float, *, shift: tuple[float, float]) -> list[alt.Chart]:
    place = alt.Chart().encode(x=x, y=y, tooltip=_tooltip()[:3])
    spots = [
        (name, place, {"size": size, "yOffset": up}) for name, up in zip(("state", "vulnerable"), shift, strict=True)
    ]
    return state_layers(spots, found_states(frame), thick=1.8)


def _side_by_side(
    frame: pd.DataFrame, axis_of_norms: _Axis, threshold: float | None, select: str | None
) -> tuple[list[alt.Chart], tuple[int, int], list[str]]:
    low, high, log = axis_of_norms
    total = float(frame["_end"].max()) + 0.16
    pixels = max(5, min(26, int(760 / total)))
    width, height = round(total * pixels), 220
    middles = frame.groupby("layer")["_middle"].mean()
    values = [round(float(value), 3) for value in middles]
    names = [f"Layer {layer}" if pixels * len(frame) / len(middles) > 44 else f"L{layer}" for layer in middles.index]
    numbered = pixels >= 10
    axis = alt.Axis(
        values=values,
        labelExpr=f"{names}[indexof({values}, datum.value)]",
        labelOverlap="greedy",
        labelPadding=16 if numbered else 4,
        ticks=False,
        domain=False,
        grid=False,
    )
    x = alt.X("_x:Q", title=None, scale=alt.Scale(domain=[-0.16, total], nice=False, zero=False), axis=axis)
    span: dict[str, Any] = {
        "domain": [low, high * (2.0 if log else 1.12)],
        "nice": False,
        "type": "log" if log else "linear",
    }
    y = alt.Y("_top:Q", title="Gradient norm", scale=alt.Scale(**span), axis=alt.Axis(format="~g"))
    layers = _bars(x, y, select, axis_of_norms, many=False)
    middle = alt.X("_middle:Q", title=None, scale=alt.Scale(domain=[-0.16, total], nice=False, zero=False), axis=axis)
    if threshold is not None and low < threshold < high:
        rule = parts.one_mark().mark_rule(strokeDash=[4, 3], style="headspec-rule", aria=False)
        layers.append(unit(rule.encode(y=alt.YDatum(threshold))))
    if numbered:
        heads = alt.Chart().mark_text(baseline="top", dy=4, fontSize=9, style="headspec-muted", aria=False)
        layers.append(unit(heads.encode(x=middle, y=alt.value(height), text="head:O")))
    missing = unit(alt.Chart().transform_filter("datum.kind !== 'value'"))
    if (frame["kind"] != "value").any():
        signs = "{'nan': '–', 'inf': '∞', '-inf': '−∞', 'masked': '·'}[datum.kind]"
        dashes = unit(missing.transform_calculate(_sign=signs)).mark_text(dy=-5, style="headspec-ink")
        layers.append(unit(dashes.encode(x=middle, y=alt.value(height), text="_sign:N")))
    top = alt.Y("_mark:Q")
    layers += _marks(frame, middle, top, max(40.0, min(90.0, pixels * 5.0)), shift=(-9, -22))
    return layers, (width, height), []


def _rows_of_layers(
    frame: pd.DataFrame, axis_of_norms: _Axis, threshold: float | None, select: str | None
) -> tuple[list[alt.Chart], tuple[int, int], list[str]]:
    heads, layer_ids = int(frame["head"].max()) + 1, parts.id_range(frame["layer"])
    first, last = layer_ids[0], int(frame["layer"].max()) + 1
    pixels = max(4, min(24, 640 // heads))
    row = max(10, min(40, 760 // (last - first)))
    width, height = pixels * heads, row * (last - first)
    shared: dict[str, Any] = {"nice": False, "zero": False}
    head_values = parts.axis_values(range(heads), pixels, room=20) or list(range(heads))
    layer_values = parts.axis_values(range(first, last), row, room=12) or list(range(first, last))
    x_axis = alt.Axis(
        values=[value + 0.42 for value in head_values],
        labelExpr="floor(datum.value)",
        grid=False,
        domain=False,
        labelOverlap=False,
    )
    y_axis = alt.Axis(
        values=[value + 0.7 for value in layer_values],
        labelExpr="floor(datum.value)",
        grid=False,
        domain=False,
        ticks=False,
        labelOverlap=False,
    )
    x = alt.X("_x:Q", title="Head", scale=alt.Scale(domain=[0, heads], **shared), axis=x_axis)
    y = alt.Y("_top:Q", title="Layer", scale=alt.Scale(domain=[last, first], **shared), axis=y_axis)
    base = alt.Chart(pd.DataFrame({"_base": [layer + 1.0 for layer in layer_ids]}))
    lines = unit(base.mark_rule(style="headspec-grid", aria=False).encode(y=alt.Y("_base:Q")))
    layers = [lines, *_bars(x, y, select, axis_of_norms, many=True)]
    size = max(20.0, min(70.0, float(min(pixels, row)) ** 2 * 0.3))
    layers += _marks(frame, alt.X("_middle:Q"), alt.Y("_mark:Q"), size, shift=(0, 0))
    low, high, log = axis_of_norms
    notes = [f"a row per layer, each from {number(low)} to {number(high)}{' (log)' if log else ''}"]
    missing = int((frame["kind"] != "value").sum())
    if missing:
        notes.append(f"{count(missing, 'head')} without a bar")
    return layers, (width, height), notes
