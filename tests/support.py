"""What several tests use: a chart compiled and drawn, its marks counted, its pixels read."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import vl_convert


def svg_of(chart: Any) -> str:
    return vl_convert.vegalite_to_svg(chart.to_dict())


def marks(chart: Any, kind: str) -> int:
    """Count the marks of a kind ("rect", "symbol", "text", "rule", "line", "image") that the renderer draws."""
    return mark_counts(svg_of(chart)).get(kind, 0)


def mark_counts(svg: str) -> dict[str, int]:
    """Count drawn marks by kind, axes and legends left out."""
    counts: dict[str, int] = {}
    for found in re.finditer(r'<g class="mark-(\w+) role-mark[^"]*"[^>]*>', svg):
        body = "" if found.group().endswith("/>") else _group(svg, found.end())
        counts[found.group(1)] = counts.get(found.group(1), 0) + len(re.findall(r"<(?:path|text|image|line)\b", body))
    return counts


def _group(svg: str, start: int) -> str:
    depth, place = 1, start
    for tag in re.finditer(r"<(/?)g\b[^>]*?(/?)>", svg[start:]):
        depth += -1 if tag.group(1) else 0 if tag.group(2) else 1
        if depth == 0:
            place = start + tag.start()
            break
    return svg[start:place]


def pixels(chart: Any, *, scale: int = 1) -> np.ndarray:
    """Return the drawn picture as an array [row, column, rgb]."""
    from PIL import Image

    png = vl_convert.vegalite_to_png(chart.to_dict(), scale=scale)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def panel_offset(chart: Any) -> tuple[int, int]:
    """Return where the plot area of a single-panel chart starts in its picture, x and y."""
    x, y = re.findall(r'<g fill="none"[^>]* transform="translate\(([-\d.]+),([-\d.]+)\)"', svg_of(chart))[0]
    return round(float(x)), round(float(y))


def find(spec: Any, key: str) -> list[Any]:
    """Return every value of a key anywhere in a spec, in order."""
    found: list[Any] = []
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name == key:
                found.append(value)
            found += find(value, key)
    elif isinstance(spec, list):
        for value in spec:
            found += find(value, key)
    return found
