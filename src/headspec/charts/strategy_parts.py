"""What both comparisons of strategies draw: figures beside bars, spreads over seeds, tooltips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

# Three significant digits, thousands grouped, powers of ten for what is larger still.
_FIGURE = "(abs({0}) >= 1e6 ? format({0}, '.1e') : abs({0}) >= 1000 ? format({0}, ',.0f') : format({0}, ',.3~r'))"


def clamped(low: str | None, high: str) -> dict[str, str]:
    """Return what calculates the drawn ends: the statistics, as far as the axis shows them."""

    def kept(name: str) -> str:
        value = f"min(datum.{name}, {high})"
        value = f"max({value}, {low})" if low is not None else value
        return f"isValid(datum.{name}) ? {value} : null"

    return {"_mean": kept("mean"), "_least": kept("least"), "_greatest": kept("greatest")}


def spread_rules(seen: Mapping[str, Any]) -> Any:
    """Return the lines from the least to the greatest seed."""
    rows = alt.Chart().transform_filter("datum.greatest > datum.least")
    return rows.mark_rule(style="headspec-ink", strokeWidth=1.2, aria=False).encode(
        x="_least:Q", x2="_greatest", **seen
    )


def figures(frame: pd.DataFrame, seen: Mapping[str, Any], high: str, low: str | None) -> list[Any]:
    """Return the figures beside the bars, and the words where there is none."""
    far = f"datum.mean > {high} ? '→ ' : " + (f"datum.mean < {low} ? '← ' : ''" if low is not None else "''")
    partly = " + (isValid(datum.lost) ? ' (' + datum.lost + ')' : '')" if "lost" in frame else ""
    left = "datum.mean < 0"
    rows = (
        alt.Chart()
        .transform_filter("isValid(datum.mean)")
        .transform_calculate(
            _label=f"({far}) + {_FIGURE.format('datum.mean')}{partly}",
            _at=f"{left} ? min(datum._mean, datum._least) : max(datum._mean, datum._greatest)",
        )
    )
    side: dict[str, Any] = {"align": "left", "dx": 5}
    if low is not None:
        side = {"align": alt.expr(f"{left} ? 'right' : 'left'"), "dx": alt.expr(f"{left} ? -5 : 5")}
    words = rows.mark_text(style="headspec-label", baseline="middle", **side)
    layers: list[Any] = [words.encode(x="_at:Q", text="_label:N", **seen)]
    for name, style in (("lost", "headspec-label"), ("undefined", "headspec-muted")):
        if name in frame:
            words = alt.Chart().transform_filter(f"isValid(datum.{name}) && !isValid(datum.mean)")
            words = words.mark_text(style=style, align="left", baseline="middle", dx=5, fontSize=10)
            at = alt.value(0) if low is None else alt.datum(0)
            layers.append(words.encode(x=at, text=f"{name}:N", **seen))
    return layers


def tooltip_of(frame: pd.DataFrame, *more: str) -> list[alt.Tooltip]:
    """Return a tooltip of the names and statistics of a group."""
    names = [name for name in ("model", "strategy") if frame[name].astype(str).any()]
    tips = [alt.Tooltip(f"{name}:N") for name in (*names, *more)]
    if frame["pruning_level"].notna().any():
        tips.append(alt.Tooltip("pruning_level:Q", title="pruned", format=".3~%"))
    tips += [alt.Tooltip(f"{name}:Q") for name in ("mean", "least", "greatest", "runs")]
    return [*tips, *([alt.Tooltip("lost:N", title="not finite")] if "lost" in frame else [])]
