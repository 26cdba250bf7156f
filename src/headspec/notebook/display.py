"""Charts in notebooks: live where scripts run, a picture everywhere else, offline too."""

from __future__ import annotations

import base64
import json
import re
import sys
import warnings
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any, Literal, TypeAlias

import altair as alt

from headspec.errors import DataError, HeadspecWarning
from headspec.output import check
from headspec.output.bundle import NOTICE, javascript_bundle
from headspec.output.jsontext import compact
from headspec.output.page import SVG_MARKS, script_json, template
from headspec.output.png import packed
from headspec.output.render import draw_export
from headspec.output.spec import Export, export_spec
from headspec.output.summary import described, plain_line
from headspec.output.themes import chosen, theme_dict
from headspec.text import clean, listing

NAME = "headspec"
_FORMS = ("live", "png", "svg")
_SAID = "headspec: charts of this notebook are live where scripts run."

Form = Literal["live", "png", "svg"]
Bundle: TypeAlias = dict[str, Any]


def enable(form: Form = "live", *, theme: str = "auto", scale: int = 1, png: bool = False) -> None:
    """Show every Altair chart of this notebook live where scripts run and as a picture elsewhere, offline too.

    Sets Altair's own renderer, so that all charts of the notebook gain by it, not headspec's alone. With ``"live"`` the script
    bundle (about 0.9 MB) goes into the output of this call, once per notebook; each chart's own output holds its data and a
    picture. `disable` goes back.

    Parameters
    ----------
    form
        ``"live"``: interactive, over a picture for readers without scripts. ``"png"`` or ``"svg"``: the picture alone.
    theme
        ``"auto"`` follows the notebook (or the system); ``"light"``, ``"dark"``, ``"paper"`` or a theme of Altair's registry.
        A theme that was enabled in Altair is kept.
    scale
        Pixels of the picture per pixel of the chart, a whole number.
    png
        Also give the picture as ``image/png`` of its own, for converters that read no HTML (LaTeX and PDF).

    Raises
    ------
    DataError
        An unknown form.

    Notes
    -----
    What an output carries: ``text/html`` (the data, and the picture that stands there until the chart is drawn, or for good),
    ``text/plain`` (what the chart shows, in words), and ``image/png`` if asked. All text in it is escaped. Vega-Lite's own MIME
    type is not among them: JupyterLab has no renderer for its present version, and VS Code would take it before the HTML.

    In marimo, which draws Vega-Lite itself and keeps scripts out of its outputs, a chart is its spec alone. In Colab each output
    stands in a frame of its own, out of reach of the scripts: they are not put out, and the picture stays.

    Examples
    --------
    >>> import headspec.notebook
    >>> headspec.notebook.enable("png")
    >>> headspec.notebook.disable()
    """
    if form not in _FORMS:
        raise DataError(f"form={clean(repr(form))}; known are {listing(_FORMS)}")
    alt.renderers.register(NAME, renderer)
    alt.renderers.enable(NAME, form=form, theme=theme, scale=scale, png=png)
    if form == "live":
        _show_once()


def disable() -> None:
    """Go back to Altair's default renderer."""
    alt.renderers.enable("default")


def _show_once() -> None:
    """Put the scripts into the notebook, as the output of the cell that runs; nothing outside a notebook."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel") or "google.colab" in sys.modules:
        return
    display({"text/html": scripts(), "text/plain": _SAID}, raw=True)  # type: ignore[no-untyped-call]


def scripts() -> str:
    """Return the HTML that a notebook holds once: the script bundle and the few lines that draw the figures."""
    runtime = resources.files("headspec.notebook").joinpath("runtime.js").read_text(encoding="utf-8")
    # in a function: the bundle's names are its own, and what an old page's module loader defines is out of its sight
    bundle = (
        f"(function (define, module, exports) {{ if (window.vegaEmbed) {{ return; }}\n{javascript_bundle()}\n}})();"
    )
    return (
        f"<!-- {NOTICE} -->\n<script>{bundle}</script>\n<script>{template('tooltip.js')}{runtime}</script>\n"
        f"<p>{_SAID}</p>"
    )


def renderer(
    spec: dict[str, Any], form: Form = "live", theme: str = "auto", scale: int = 1, png: bool = False, **_: Any
) -> Bundle | tuple[Bundle, Bundle]:
    """Return the MIME bundle of a chart, with its metadata if it has a picture, for Altair's registry."""
    if form == "live" and _marimo() is not None:
        return _for_marimo(spec, theme)
    text = described(spec)
    light, dark = _themed(spec, theme)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeadspecWarning)  # said when the chart is saved, not at every display
        drawing = draw_export(light)
        if form == "svg":
            return {"image/svg+xml": drawing.to_svg(), "text/plain": text}
        picture = packed(drawing.to_png(scale=scale))
    size = (round(drawing.size.width), round(drawing.size.height))
    bundle: Bundle = {"text/plain": text}
    if form == "live":
        bundle["text/html"] = _figure(light, dark, picture, size)
    if form == "live" and not png:
        return bundle
    bundle["image/png"] = picture  # as bytes, which IPython and marimo put into base64 each in its own way
    return bundle, {"image/png": {"width": size[0], "height": size[1]}}


def _marimo() -> Any:
    """Return marimo if this is one of its notebooks; it is not imported for the question."""
    module = sys.modules.get("marimo")
    return module if module is not None and module.running_in_notebook() else None


def _for_marimo(spec: Mapping[str, Any], theme: str) -> Bundle:
    """Return the spec alone: marimo draws it itself, and would show tabs for a bundle of several types."""
    if theme == "auto":
        theme = "dark" if _marimo().app_meta().theme == "dark" else "light"
    export, _ = _themed(spec, theme)
    version = re.search(r"/v(\d+)", str(export.spec.get("$schema")))
    return {f"application/vnd.vegalite.v{version.group(1) if version else 6}+json": json.loads(export.text())}


def _themed(spec: Mapping[str, Any], theme: str) -> tuple[Export, dict[str, Any] | None]:
    """Return the chart under its theme and, if it follows the notebook, what is different in the dark."""
    if chosen() is not None:  # the spec carries the theme that the user enabled in Altair
        return export_spec(spec, theme="none"), None
    plain = {key: value for key, value in spec.items() if key != "config"}  # Altair's default would win over a theme's
    if theme != "auto":
        return export_spec(plain, theme=theme), None
    bare = export_spec(plain, theme="none")
    light, dark = bare.themed(theme_dict("light")), bare.themed(theme_dict("dark"))
    return light, {key: value for key, value in dark.spec.items() if value != light.spec.get(key)}


def _figure(light: Export, dark: Mapping[str, Any] | None, picture: bytes, size: tuple[int, int]) -> str:
    marks = check.check_marks(light).marks
    rest = compact({"dark": dark or None, "night": False, "renderer": "svg" if marks <= SVG_MARKS else "canvas"})
    payload = script_json(f'{rest[:-1]},"spec":{light.text()}}}')
    alternative = escape(plain_line(light.spec["description"]))
    image = base64.b64encode(picture).decode("ascii")
    return (
        f'<figure class="headspec" style="margin:0"><img alt="{alternative}" width="{size[0]}" height="{size[1]}" '
        f'style="max-width:100%;height:auto" src="data:image/png;base64,{image}"><script type="application/json">{payload}</script></figure>'
    )
