"""The three themes, entry points of Altair's registry: ``headspec_light``, ``headspec_dark``, ``headspec_paper``.

Charts carry no configuration of their own; what is neutral in them (ink, rules, frames) is a named style that each
theme fills in. Without a theme the styles fall back to Vega-Lite's defaults, which hold on a light page.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from altair import theme as _registry

FONT = "sans-serif"  # the renderer's bundled font; a family that it lacks would make all text vanish


class _Inks(NamedTuple):
    background: str
    ink: str
    muted: str
    line: str
    grid: str


_LIGHT = _Inks(background="#ffffff", ink="#1b1f24", muted="#57606a", line="#8c959f", grid="#e7eaee")
_DARK = _Inks(background="#14171c", ink="#e8ebef", muted="#a3adb8", line="#6b7480", grid="#2a3038")
_PAPER = _Inks(background="#ffffff", ink="#000000", muted="#333333", line="#444444", grid="#e2e2e2")


def light() -> _registry.ThemeConfig:
    """Return the theme for light pages and notebooks."""
    return _theme(_LIGHT, title=14, text=11, small=10)


def dark() -> _registry.ThemeConfig:
    """Return the theme for dark pages and notebooks."""
    return _theme(_DARK, title=14, text=11, small=10)


def paper() -> _registry.ThemeConfig:
    """Return the theme for print: black ink, no grid, titles no larger than a caption."""
    return _theme(_PAPER, title=11, text=10, small=9, grid=False)


def _theme(inks: _Inks, *, title: int, text: int, small: int, grid: bool = True) -> _registry.ThemeConfig:
    legend: dict[str, Any] = {
        "labelColor": inks.ink,
        "titleColor": inks.ink,
        "labelFontSize": small,
        "titleFontSize": text,
        "titleFontWeight": "normal",
        "labelLimit": 220,
        "titleLimit": 220,
        "symbolStrokeWidth": 2,
        "gradientThickness": 12,
        "gradientStrokeColor": inks.line,
    }
    config: Any = {  # a plain dict: the typed form lacks named styles
        "background": inks.background,
        "font": FONT,
        "padding": 8,
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": inks.ink,
            "subtitleColor": inks.muted,
            "fontSize": title,
            "fontWeight": "bold",
            "subtitleFontSize": text,
            "subtitlePadding": 4,
            "offset": 8,
        },
        "axis": {
            "labelColor": inks.ink,
            "titleColor": inks.ink,
            "domainColor": inks.line,
            "tickColor": inks.line,
            "gridColor": inks.grid,
            "labelFontSize": small,
            "titleFontSize": text,
            "titleFontWeight": "normal",
            "titlePadding": 6,
            "tickSize": 4,
            "labelLimit": 160,
        },
        "axisBand": {"domain": False, "grid": False},
        "axisQuantitative": {"grid": grid},
        "legend": legend,
        "header": {
            "labelColor": inks.ink,
            "titleColor": inks.ink,
            "labelFontSize": text,
            "titleFontSize": text,
            "titleFontWeight": "normal",
            "labelLimit": 400,
        },
        "text": {"color": inks.ink},
        "rule": {"color": inks.line},
        "style": {
            "headspec-ink": {"color": inks.ink},
            "headspec-muted": {"color": inks.muted},
            "headspec-halo": {"color": inks.background},
            "headspec-rule": {"color": inks.line, "strokeWidth": 1},
            "headspec-grid": {"color": inks.grid, "strokeWidth": 1},
            "headspec-label": {"color": inks.ink, "fontSize": small},
        },
    }
    return {"config": config}
