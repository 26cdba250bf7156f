"""SVG as text: its size, ids that depend on its content alone, and a title and description that readers are told."""

from __future__ import annotations

import hashlib
import re
from html import escape
from typing import NamedTuple

from headspec.errors import RenderError

_OPEN = re.compile(r"<svg\b[^>]*>")
_SIZE = re.compile(r'\bwidth="([\d.]+)" height="([\d.]+)"')
# the ids that Vega numbers from a counter of the process; text has no such quotes around it
_ID = re.compile(r'(\bid="|="url\(#|href="#)((?:gradient|clip|pattern)_?\d+)(?=[")])')

_INVISIBLE = re.compile(r'<path (?:[^<>]* )?opacity="0"(?: [^<>]*)?/>')  # in text and in attributes < and > are escaped


class Size(NamedTuple):
    """The size of a drawing in CSS pixels."""

    width: float
    height: float


def size_of(svg: str) -> Size:
    """Return the size that an SVG of the renderer states."""
    head = _OPEN.search(svg)
    found = _SIZE.search(head.group()) if head else None
    if found is None:
        raise RenderError("the renderer returned an SVG without a size")
    return Size(float(found.group(1)), float(found.group(2)))


def stable(svg: str, *, title: str = "", description: str = "") -> str:
    """Return the SVG with ids of its own and with its title and description.

    Both are plain text without control characters. The ids that Vega numbers through the process (gradients, clips) are numbered within the drawing and begin with a hash
    of it: two calls give the same text, and two drawings on one page do not refer to each other's parts.
    """
    order: dict[str, int] = {}

    def plain(match: re.Match[str]) -> str:
        return f"{match.group(1)}{order.setdefault(match.group(2), len(order))}"

    digest = hashlib.blake2b(_ID.sub(plain, svg).encode(), digest_size=5)
    digest.update(f"\0{title}\0{description}".encode())
    prefix = f"hs{digest.hexdigest()}"
    svg = _ID.sub(lambda match: f"{match.group(1)}{prefix}-{order[match.group(2)]}", svg)
    parts = [(name, text) for name, text in (("title", title), ("desc", description)) if text]
    if not parts:
        return svg
    labels = f' role="img" aria-labelledby="{" ".join(f"{prefix}-{name}" for name, _ in parts)}"'
    told = "".join(f'<{name} id="{prefix}-{name}">{escape(text, quote=False)}</{name}>' for name, text in parts)
    return _OPEN.sub(lambda head: f"{head.group()[:-1]}{labels}>{told}", svg, count=1)


def resized(svg: str, width: str, height: str) -> str:
    """Return the SVG with another stated size, its drawing scaled to it."""
    return _OPEN.sub(lambda head: _SIZE.sub(f'width="{width}" height="{height}"', head.group(), count=1), svg, count=1)


def without_invisible(svg: str) -> str:
    """Return the SVG without its fully transparent marks, which carry tooltips: a picture has none, and takes as long."""
    return _INVISIBLE.sub("", svg)


def drawn_text(svg: str) -> set[str]:
    """Return the characters of all text that an SVG draws, other than ASCII."""
    if svg.isascii() and "&#" not in svg:
        return set()
    return {char for text in re.findall(r"<(?:text|tspan)\b[^>]*>([^<]+)", svg) for char in text if not char.isascii()}


def smallest_text(svg: str) -> float | None:
    """Return the smallest font size in CSS pixels, None where there is no text."""
    sizes = re.findall(r'<text\b[^>]*?font-size="([\d.]+)px"', svg)
    return min(map(float, set(sizes)), default=None)


def is_blank(svg: str) -> bool:
    """Tell whether no mark was drawn: axes and legends alone are no picture."""
    return re.search(r'<g class="mark-[a-z]+ role-mark[^>]*(?<!/)>(?!</g>)', svg) is None
