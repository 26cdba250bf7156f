"""A chart as one HTML file that needs nothing else: no network, no server, no trust in the text that it shows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from headspec.errors import DataError, KindError
from headspec.output import check
from headspec.output.bundle import NOTICE, javascript_bundle
from headspec.output.jsontext import compact, safe
from headspec.output.spec import Export, export
from headspec.output.summary import plain_line, title_of
from headspec.output.themes import Theme, chosen, theme_dict
from headspec.text import clean

if TYPE_CHECKING:
    from altair.typing import ChartType

SVG_MARKS = 4_000
"""Up to so many marks are drawn as SVG, which prints and scales well; more as canvas, which stays quick."""

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z|[a-zA-Z]{3,24}\Z")
_INKS = ("#1b1f24", "#e8ebef")


def to_html(
    chart: ChartType,
    *,
    title: str | None = None,
    theme: Theme = None,
    lang: str = "en",
    fallback: bool = True,
    background: str | None = None,
    max_marks: int = check.MAX_MARKS,
) -> str:
    """Return a chart as one self-contained HTML page, which works offline and from disk.

    Parameters
    ----------
    chart
        Any Altair chart.
    title
        The page's title; the chart's own if not given.
    theme
        ``"auto"``: headspec's light and dark themes, following the reader's system; else as for `to_spec`. None is the
        theme that is enabled in Altair and, where nothing was chosen there, ``"auto"``.
    lang
        The language of the chart's text, as in HTML's ``lang``.
    fallback
        Whether to hold a PNG for readers without scripts.
    background, max_marks
        As for `to_png`.

    Returns
    -------
    str
        The page. Its content security policy allows the two scripts that it holds, by their hashes, and no connection at
        all; data, titles and names are data in it, never markup, script or expression. The description is shown below the
        chart and is its alternative text. ``headspec.view`` is the Vega view, for scripts of a page that embeds it.

    Raises
    ------
    DataError
        If the chart asks for addresses, or holds text or names that break the renderer.
    RenderError
        If it draws more marks than `max_marks`.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]])
    >>> headspec.to_html(chart)[:15]
    '<!doctype html>'
    """
    if theme is None and chosen() is None:
        theme = "auto"
    taken, dark = _themed(chart, theme)
    if background is not None:
        taken = Export({**taken.spec, "background": background}, taken.datasets)
        dark = {key: value for key, value in dark.items() if key != "background"} if dark else dark
    check.check_safe(taken)
    marks = check.check_marks(taken, max_marks=max_marks).marks
    image = _fallback(taken, background, max_marks) if fallback else ""
    return page(
        taken,
        dark=dark,
        title=_title(title, taken.spec),
        lang=_lang(lang),
        renderer="svg" if marks <= SVG_MARKS else "canvas",
        fallback=image,
    )


def _themed(chart: ChartType, theme: Theme) -> tuple[Export, dict[str, Any] | None]:
    """Return the chart under its theme and, if it follows the system, what is different in the dark."""
    if theme != "auto":
        return export(chart, theme=theme), None
    bare = export(chart, theme={})
    light, dark = bare.themed(theme_dict("light")), bare.themed(theme_dict("dark"))
    return light, {key: value for key, value in dark.spec.items() if value != light.spec.get(key)}


def page(taken: Export, *, dark: Mapping[str, Any] | None, title: str, lang: str, renderer: str, fallback: str) -> str:
    """Return the page of a chart that has been checked."""
    bundle, boot = javascript_bundle(), template("tooltip.js") + template("boot.js")
    description = escape(plain_line(taken.spec["description"]))
    colours = _colours(taken.spec)
    parts = {
        "lang": lang,
        "csp": content_policy(bundle, boot),
        "scheme": "light dark" if dark else "dark" if _is_dark(colours[0]) else "light",
        "description": description,
        "title": escape(title),
        "style": _style(colours, _colours({**taken.spec, **dark}) if dark else None),
        "fallback": fallback and f"<noscript>{fallback.replace('{{alt}}', description)}</noscript>",
        "notice": NOTICE,
        "payload": _payload(taken, dark, renderer, night=_is_dark(colours[0])),
        "bundle": bundle,
        "boot": boot,
    }
    return filled(template("page.html"), parts)


def _payload(taken: Export, dark: Mapping[str, Any] | None, renderer: str, *, night: bool) -> str:
    rest = compact({"dark": dark or None, "night": night, "renderer": renderer})
    return script_json(f'{rest[:-1]},"spec":{taken.text()}}}')


def script_json(text: str) -> str:
    """Return JSON text that can stand in a ``<script type="application/json">``: nothing in it can end the script."""
    return safe(text).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def content_policy(*scripts: str) -> str:
    """Return a content security policy that allows these inline scripts, by hash, and no connection."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


@lru_cache
def template(name: str) -> str:
    """Return the text of one of the templates of this package."""
    return resources.files("headspec.output").joinpath("templates", name).read_text(encoding="utf-8")


def filled(text: str, parts: Mapping[str, str]) -> str:
    """Return a template with its ``{{name}}`` places filled, in one pass: what is filled in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match.group(1)], text)


def _fallback(taken: Export, background: str | None, max_marks: int) -> str:
    from headspec.output.render import draw_export

    drawing = draw_export(taken, background=background, max_marks=max_marks)
    image = base64.b64encode(drawing.to_png(scale=2)).decode()
    size = f'width="{drawing.size.width:g}" height="{drawing.size.height:g}"'
    return f'<img {size} alt="{{{{alt}}}}" src="data:image/png;base64,{image}">'


def _title(given: str | None, spec: Mapping[str, Any]) -> str:
    if given is not None:
        if not isinstance(given, str):
            raise KindError(f"title is a str, not {type(given).__name__}")
        return plain_line(given)
    found = title_of(spec)
    return found or re.split(r"(?<=[.!?])\s", plain_line(spec["description"]), maxsplit=1)[0][:120]


def _lang(lang: object) -> str:
    if not isinstance(lang, str) or not re.fullmatch(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*", lang):
        raise DataError(f"lang is a language tag such as 'en' or 'de-CH', not {clean(repr(lang))}")
    return lang


def _colours(spec: Mapping[str, Any]) -> tuple[str, str]:
    """Return the page's background, which is the chart's, and an ink that can be read on it."""
    config = spec.get("config")
    found = spec.get("background") or (config.get("background") if isinstance(config, Mapping) else None)
    page_colour = found if isinstance(found, str) and _COLOUR.match(found) and found != "transparent" else "#ffffff"
    return page_colour, _INKS[_is_dark(page_colour)]


def _is_dark(colour: str) -> bool:
    if not colour.startswith("#"):
        return colour.lower() == "black"
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[place : place + 2], 16) for place in (0, 2, 4))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 110


def _style(light: tuple[str, str], dark: tuple[str, str] | None) -> str:
    lines = [f"--page: {page_colour}; --ink: {ink};" for page_colour, ink in (light, dark or light)]
    media = f"@media (prefers-color-scheme: dark) {{ :root {{ {lines[1]} }} }}" if dark else ""
    return filled(template("page.css"), {"colours": lines[0], "dark": media}).rstrip()
