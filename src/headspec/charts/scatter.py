"""One point per head: two measures against each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike
from headspec.charts import parts
from headspec.charts.cells import own_scales, unit
from headspec.charts.describe import notes_text, sentence, states_text
from headspec.charts.heatmaps import LOG_RATIO
from headspec.charts.states import found_states, state_layers
from headspec.errors import DataError
from headspec.tables.heads import Pairs, heads_table, one_each
from headspec.text import count, head_name, number

WIDTH, HEIGHT = 420, 320


@parts.says_what_is_gone
def visualize_entropy_vs_gradient(
    entropy_values: ArrayLike,
    grad_norm_values: ArrayLike,
    title: str = "Entropy against gradient norm",
    *,
    unit_name: Literal["nats", "bits", "%"] = "nats",
    scale: Literal["auto", "linear", "log"] = "auto",
    trend: bool = False,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    events: Any = None,
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    select: str | None = None,
) -> alt.LayerChart:
    """Show whether unfocused heads are the ones that no longer learn: entropy against gradient norm, a point per head.

    Parameters
    ----------
    entropy_values, grad_norm_values
        ``[layer, head]`` each, or any other form that `heads_table` reads. A head that lacks either value is not drawn; the
        subtitle counts them.
    title
        The chart's title.
    unit_name
        The unit of the entropy, for the axis.
    scale
        The gradient axis: ``"auto"`` is log where the largest positive norm is more than 100 times the smallest. On a log
        axis heads with a gradient of exactly 0 stand on the lower edge.
    trend
        Draw the least-squares line through the points, in the space of the axes.
    pruned_heads, revived_heads, vulnerable_heads, events
        Heads to mark (see `visualize_entropy_heatmap`).
    axes, num_layers, num_heads
        What the axes of both arrays are, where they are not ``[layer, head]``.
    select
        The name of a selection of a head by click, to link charts.

    Returns
    -------
    altair.LayerChart
        One panel; its colour scale is its own beside any other chart.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, pairs out of range, no head with both values.

    Notes
    -----
    Reading it: lower right are heads with diffuse attention and little gradient, the usual candidates for pruning. Spearman's
    ρ in the subtitle says how far the two orders agree (−1 to 1).

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_entropy_vs_gradient([[0.2, 1.9], [1.1, 0.7]], [[0.9, 0.1], [0.3, 0.5]])
    >>> headspec.summary(chart)
    'Entropy against gradient norm of 4 heads: entropy 0.2 to 1.9 nats, gradient norm 0.1 to 0.9. Spearman ρ = −1. Most diffuse: L0 H1; most focused: L0 H0; largest gradient: L0 H0; smallest: L0 H1.'
    """
    shape: dict[str, Any] = {"axes": axes, "num_layers": num_layers, "num_heads": num_heads}
    entropy = heads_table(
        entropy_values,
        measure="entropy",
        pruned_heads=pruned_heads,
        revived_heads=revived_heads,
        vulnerable_heads=vulnerable_heads,
        events=events,
        name="entropy_values",
        **shape,
    )
    gradient = heads_table(grad_norm_values, measure="gradient_norm", name="grad_norm_values", **shape)
    one_each(entropy, "entropy_values")
    one_each(gradient, "grad_norm_values")
    table = _joined(entropy, gradient)
    whole = table.dropna(subset=["entropy", "gradient_norm"]).reset_index(drop=True)
    if whole.empty:
        raise DataError(
            f"no head has both values: entropy_values covers {len(entropy)} heads, grad_norm_values {len(gradient)}"
        )
    log = _is_log(whole["gradient_norm"], scale)
    notes = _notes(table, whole, log)
    chart = alt.layer(*_layers(whole, log, unit_name, trend, select), data=whole)
    chart = parts.set_properties(
        chart,
        width=WIDTH,
        height=HEIGHT,
        title=parts.heading(title, notes, width=WIDTH),
        description=_describe(whole, unit_name, notes),
    )
    return own_scales(chart)


def _joined(entropy: pd.DataFrame, gradient: pd.DataFrame) -> pd.DataFrame:
    left = entropy[["layer", "head", "value", "state", "vulnerable"]].rename(columns={"value": "entropy"})
    right = gradient[["layer", "head", "value"]].rename(columns={"value": "gradient_norm"})
    table = left.merge(right, on=["layer", "head"], how="outer")
    table["state"] = table["state"].fillna("active")
    table["vulnerable"] = table["vulnerable"].eq(True)
    return table


def _is_log(norms: pd.Series, scale: str) -> bool:
    positive = norms[norms > 0]
    if scale == "log" and ((norms < 0).any() or positive.empty):
        raise DataError('scale="log" needs positive gradient norms')
    if scale != "auto":
        return scale == "log"
    return len(positive) > 1 and not (norms < 0).any() and float(positive.max() / positive.min()) > LOG_RATIO


def _rho(whole: pd.DataFrame) -> float:
    """Return Spearman's rank correlation, NaN where a measure is constant."""
    ranks = whole[["entropy", "gradient_norm"]].rank()
    if len(ranks) < 3 or (ranks.nunique() < 2).any():
        return float("nan")
    return float(np.corrcoef(ranks["entropy"], ranks["gradient_norm"])[0, 1])


def _notes(table: pd.DataFrame, whole: pd.DataFrame, log: bool) -> list[str]:
    rho = _rho(whole)
    lost = len(table) - len(whole)
    zeros = int((whole["gradient_norm"] == 0).sum()) if log else 0
    return [
        count(len(whole), "head"),
        "" if np.isnan(rho) else f"Spearman ρ = {number(rho, digits=2)}",
        "log gradient axis" if log else "",
        f"{count(zeros, 'head')} with a gradient of exactly 0 on the lower edge" if zeros else "",
        f"{count(lost, 'head')} not drawn: no finite value of both" if lost else "",
    ]


def _layers(whole: pd.DataFrame, log: bool, unit_name: str, trend: bool, select: str | None) -> list[alt.Chart]:
    positive = whole.loc[whole["gradient_norm"] > 0, "gradient_norm"]
    y_scale = (
        alt.Scale(type="log", domain=_padded_log(float(positive.min()), float(positive.max())), nice=False)
        if log
        # an explicit domain where heads can be picked: the ring of a pick that is not made has no rows to take one from
        else (
            alt.Scale(zero=True) if select is None else alt.Scale(domain=_from_zero(whole["gradient_norm"]), nice=True)
        )
    )
    x = alt.X(
        "entropy:Q", title=f"Entropy ({unit_name})", scale=alt.Scale(domain=_padded(whole["entropy"]), nice=False)
    )
    y = alt.Y(
        "gradient_norm:Q",
        title="Gradient norm",
        scale=y_scale,
        axis=alt.Axis(format="~e" if log and positive.min() < 1e-4 else "~g"),
    )
    depth = [int(whole["layer"].min()), int(whole["layer"].max())]
    colour = alt.Color(
        "layer:Q",
        scale=alt.Scale(scheme="viridis", domain=depth if depth[0] < depth[1] else [depth[0], depth[0] + 1]),
        legend=alt.Legend(title="Layer", format="d", tickMinStep=1, gradientLength=120)
        if depth[0] < depth[1]
        else None,
    )
    tooltip = [
        alt.Tooltip("layer:O"),
        alt.Tooltip("head:O"),
        alt.Tooltip("entropy:Q", format=".4g"),
        alt.Tooltip("gradient_norm:Q", title="gradient norm", format=".4g"),
        alt.Tooltip("state:N"),
    ]
    size = 70 if len(whole) <= 200 else 28
    layers: list[alt.Chart] = []
    if trend:
        layers.append(_trend(whole, log))
    drawn = unit(alt.Chart().transform_filter("datum.gradient_norm > 0")) if log else alt.Chart()
    points = drawn.mark_point(filled=True, size=size, opacity=0.9, stroke="white", strokeWidth=0.6).encode(
        x=x, y=y, color=colour, tooltip=tooltip
    )
    if select is not None:
        points = points.add_params(parts.head_pick(select))
    layers.append(unit(points))
    if log and (whole["gradient_norm"] == 0).any():
        edge = unit(alt.Chart().transform_filter("datum.gradient_norm == 0"))
        layers.append(
            unit(
                edge.mark_point(filled=True, size=size, shape="triangle-down", opacity=0.9).encode(
                    x=x, y=alt.value(HEIGHT - 5), color=colour.copy().legend(None), tooltip=tooltip
                )
            )
        )
    if select is not None:
        ring = unit(alt.Chart().transform_filter({"param": select, "empty": False}))
        layers.append(
            unit(ring.mark_point(size=size * 3, strokeWidth=2, stroke="#E5484D", aria=False).encode(x=x, y=y))
        )
    return layers + _marks(whole, x, y, log, size)


def _padded(values: pd.Series) -> list[float]:
    """Return the domain of an axis with room for the points at its ends; it does not cross zero for that."""
    low, high = float(values.min()), float(values.max())
    room = 0.04 * (high - low) or 0.1 * abs(high) or 1.0
    return [max(0.0, low - room) if low >= 0 else low - room, high + room]


def _from_zero(values: pd.Series) -> list[float]:
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return [low, high if high > low else low + 1.0]


def _padded_log(low: float, high: float) -> list[float]:
    pad = (high / low) ** 0.06 if high > low else 2.0
    return [low / pad, high * pad]


def _marks(whole: pd.DataFrame, x: alt.X, y: alt.Y, log: bool, size: int) -> list[alt.Chart]:
    """Return the layers that mark pruned, revived and vulnerable heads around their points."""
    spots: list[tuple[str, Any, dict[str, Any]]] = []
    for name, area in (("state", size * 1.6), ("vulnerable", size * 3.2)):
        for low_edge in (False, True) if log else (False,):
            there = whole[(whole["gradient_norm"] == 0) == low_edge] if log else whole
            if not (there["vulnerable"] if name == "vulnerable" else there["state"] != "active").any():
                continue  # an empty layer would be an unnamed picture to a screen reader
            rows: Any = alt.Chart()
            if log:
                rows = rows.transform_filter(f"datum.gradient_norm {'==' if low_edge else '>'} 0")
            height: Any = alt.value(HEIGHT - 5) if low_edge else y
            spots.append((name, rows.encode(x=x, y=height), {"size": area}))
    return state_layers(spots, found_states(whole), thick=1.8, halo=False)


def _trend(whole: pd.DataFrame, log: bool) -> alt.Chart:
    """Return the least-squares line, fitted in the space of the axes to the heads that are drawn there."""
    rows = whole[whole["gradient_norm"] > 0] if log else whole
    x = rows["entropy"].to_numpy(np.float64)
    y = rows["gradient_norm"].to_numpy(np.float64)
    if len(x) < 2 or np.ptp(x) == 0:
        raise DataError("trend=True needs two heads or more with different entropies")
    slope, offset = np.polyfit(x, np.log10(y) if log else y, 1)
    ends = np.array([x.min(), x.max()])
    fitted = slope * ends + offset
    line = pd.DataFrame({"entropy": ends, "gradient_norm": 10.0**fitted if log else fitted})
    return unit(
        alt.Chart(line)
        .mark_line(strokeDash=[5, 4], strokeWidth=1.5, style="headspec-muted", clip=True, aria=False)
        .encode(x="entropy:Q", y="gradient_norm:Q")
    )


def _describe(whole: pd.DataFrame, unit_name: str, notes: list[str]) -> str:
    names = [head_name(layer, head) for layer, head in zip(whole["layer"], whole["head"], strict=True)]
    entropy, norm = whole["entropy"].to_numpy(np.float64), whole["gradient_norm"].to_numpy(np.float64)
    rho = _rho(whole)
    return sentence(
        f"Entropy against gradient norm of {count(len(whole), 'head')}: entropy {number(entropy.min())} to "
        f"{number(entropy.max())} {unit_name}, gradient norm {number(norm.min())} to {number(norm.max())}",
        "" if np.isnan(rho) else f"Spearman ρ = {number(rho, digits=2)}",
        f"Most diffuse: {names[int(entropy.argmax())]}; most focused: {names[int(entropy.argmin())]}; "
        f"largest gradient: {names[int(norm.argmax())]}; smallest: {names[int(norm.argmin())]}",
        states_text(whole),
        notes_text(notes[2:]),
    )
