"""Pictures of a chart: the one module that knows vl-convert.

Everything is drawn as SVG first. Its size is then known before a pixel is made, what it refers to is seen before anything
could be fetched, and the text that it draws can be checked against the fonts that are there.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import altair as alt

from headspec.errors import DataError, HeadspecWarning, KindError, RenderError
from headspec.output import check, fonts, pdf, png, svg
from headspec.output.jsontext import compact, layout
from headspec.output.spec import Export, export
from headspec.output.still import still
from headspec.output.summary import plain_line, title_of
from headspec.output.themes import Theme
from headspec.text import clean, number

if TYPE_CHECKING:
    from altair.typing import ChartType

Column: TypeAlias = Literal["single", "double"] | float

COLUMNS = {"single": 3.35, "double": 7.0}
"""Widths of a journal's columns in inches: 85 mm and 178 mm."""
PAPER_DPI = 300
_CSS_INCH = 72  # a CSS pixel of the chart is a point of the output
_READABLE = 5.0  # points: the least that journals accept


@dataclass(frozen=True)
class Drawing:
    """A chart as drawn once, from which every picture of it is made."""

    text: str
    """The renderer's SVG."""
    size: svg.Size
    title: str
    description: str
    families: tuple[str, ...] = ()
    """Fonts that it names without an alternative."""

    def to_svg(self, *, column: Column | None = None) -> str:
        """Return the SVG text."""
        out = svg.stable(self.text, title=self.title, description=self.description)
        if column is None:
            return out
        width = self.column_width(column)
        return svg.resized(out, f"{width:g}in", f"{width * self.size.height / self.size.width:.4f}in")

    def to_png(self, *, scale: int | None = None, dpi: float | None = None, column: Column | None = None) -> bytes:
        """Return the PNG bytes."""
        factor, ppi = self._resolution(scale, dpi, column)
        check.check_pixels(self.size.width, self.size.height, factor)
        image = self._converted("svg_to_png", scale=factor)
        texts = {"Title": self.title, "Description": self.description}
        return png.with_metadata(image, ppi=ppi, texts=texts)

    def to_pdf(self, *, column: Column | None = None) -> bytes:
        """Return the PDF bytes."""
        drawn = self
        if column is not None:
            width = self.column_width(column) * 72
            height = width * self.size.height / self.size.width
            drawn = replace(self, text=svg.resized(self.text, f"{width:.4f}", f"{height:.4f}"))
        return pdf.stable(drawn._converted("svg_to_pdf"), title=self.title, description=self.description)

    def column_width(self, column: Column) -> float:
        """Return the width of a column in inches; warn where the chart's text becomes too small to read there."""
        width = column_inches(column)
        smallest = svg.smallest_text(self.text)
        points = 72 * width / self.size.width * (smallest or math.inf)
        if points < _READABLE:
            warnings.warn(
                f"the chart is {self.size.width:g} px wide: in a column of {width:g} in its smallest text is "
                f"{number(points, digits=2)} pt; make the chart narrower, use theme='paper' or a wider column=",
                HeadspecWarning,
                stacklevel=4,
            )
        return width

    def _resolution(self, scale: int | None, dpi: float | None, column: Column | None) -> tuple[int, float]:
        """Return the whole scale factor and the pixels per inch that say how large the image is."""
        if scale is not None:
            if dpi is not None or column is not None:
                raise DataError("scale= sets the pixels itself: give either scale= or dpi= and column=")
            return _whole_scale(scale), float(_CSS_INCH * scale)
        if dpi is not None and not (isinstance(dpi, (int, float)) and math.isfinite(dpi) and 0 < dpi <= 4800):
            raise DataError(f"dpi is a number of pixels per inch, from 1 to 4,800, not {clean(repr(dpi))}")
        if column is None:
            factor = 2 if dpi is None else math.ceil(dpi / _CSS_INCH - 1e-9)
            return factor, float(_CSS_INCH * factor)
        width = self.column_width(column)
        factor = max(1, math.ceil((dpi or PAPER_DPI) * width / self.size.width - 1e-9))
        return factor, factor * self.size.width / width

    def _converted(self, function: str, **options: Any) -> bytes:
        warn_of_fonts(self.text, self.families)
        return bytes(_call(function, svg.without_invisible(self.text), **options))


def _whole_scale(scale: object) -> int:
    if isinstance(scale, bool) or not isinstance(scale, (int, float)):
        raise KindError(f"scale is a whole number, not {type(scale).__name__}")
    if not (1 <= scale <= 32 and scale == int(scale)):
        raise DataError(
            f"scale={scale!r}: a whole number from 1 to 32, because at any other the edges of cells bleed into their "
            "neighbours' colours; for a resolution give dpi=, for a size in print column="
        )
    return int(scale)


def column_inches(column: object) -> float:
    """Return the width that ``column=`` asks for, in inches."""
    if isinstance(column, str) and column in COLUMNS:
        return COLUMNS[column]
    if isinstance(column, (int, float)) and not isinstance(column, bool) and 0.5 <= column <= 60:
        return float(column)
    raise DataError(f"column is 'single' (85 mm), 'double' (178 mm) or a width in inches, not {clean(repr(column))}")


def draw(
    chart: ChartType,
    *,
    theme: Theme = None,
    background: str | None = None,
    max_marks: int = check.MAX_MARKS,
    silent: bool = False,
) -> Drawing:
    """Draw a chart once; SVG, PNG and PDF are then made of the same drawing.

    The arguments are those of `to_png`; a `silent` drawing lacks the labels of marks that an SVG tells screen readers.
    """
    return draw_export(export(chart, theme=theme), background=background, max_marks=max_marks, silent=silent)


def draw_export(
    taken: Export, *, background: str | None = None, max_marks: int = check.MAX_MARKS, silent: bool = False
) -> Drawing:
    """Draw a chart that was taken apart, after all that could harm has been refused."""
    check.check_safe(taken)
    check.check_marks(taken, max_marks=max_marks)
    if background is not None:
        taken = Export({**taken.spec, "background": background}, taken.datasets)
    body, families = fonts.with_fallback(compact(still(taken.spec) if silent else taken.spec))
    drawn = str(_call("vegalite_to_svg", taken.text(body), vl_version=_version(), allowed_base_urls=[]))
    address = check.foreign_address(drawn)
    if address is not None:
        raise DataError(
            f"the chart draws an image from {clean(address)[:80]!r}: an image is drawn from a data: address"
        )
    if svg.is_blank(drawn) and any(item.lines for item in taken.datasets.values()):
        absent = check.missing_fields(taken)
        warnings.warn(
            f"the chart has rows and draws no mark{': ' + absent if absent else ''}", HeadspecWarning, stacklevel=4
        )
    return Drawing(
        drawn, svg.size_of(drawn), title_of(taken.spec), plain_line(taken.spec["description"]), tuple(families)
    )


def to_png(
    chart: ChartType,
    *,
    scale: int | None = None,
    dpi: float | None = None,
    column: Column | None = None,
    theme: Theme = None,
    background: str | None = None,
    max_marks: int = check.MAX_MARKS,
) -> bytes:
    r"""Return a chart as a PNG image.

    Parameters
    ----------
    chart
        Any Altair chart.
    scale
        Pixels per pixel of the chart, a whole number (2 if nothing else is given): at any other the edges of cells bleed.
    dpi
        Pixels per inch, of which the chart's pixels have 72: rounded up to a whole scale (300 gives 5 × 72 = 360), and the
        image says so, so that it is as large in print as was meant.
    column
        The width in print: ``"single"`` (85 mm, 3.35 in), ``"double"`` (178 mm, 7 in), or inches. The whole scale is the least
        that has `dpi` pixels per inch (300) at this width, and the image's resolution makes it just that wide.
    theme
        As for `to_spec`.
    background
        A CSS colour instead of the theme's; ``"transparent"`` for none.
    max_marks
        The most marks to draw.

    Returns
    -------
    bytes
        The image, with the chart's description as its ``Description`` text. The same chart gives the same bytes wherever
        the same fonts are installed.

    Raises
    ------
    RenderError
        If the chart is too large to draw, or the renderer fails.
    DataError
        If the chart asks for addresses, or holds text or names that break the renderer; if a size makes no sense.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]])
    >>> headspec.to_png(chart, dpi=300)[:4]
    b'\x89PNG'
    """
    drawing = draw(chart, theme=theme, background=background, max_marks=max_marks, silent=True)
    return drawing.to_png(scale=scale, dpi=dpi, column=column)


def to_svg(
    chart: ChartType,
    *,
    column: Column | None = None,
    theme: Theme = None,
    background: str | None = None,
    max_marks: int = check.MAX_MARKS,
) -> str:
    """Return a chart as SVG text, with its title and description in it.

    Several such drawings can stand in one page: their ids are their own. With ``column=`` the drawing is stated to be that
    wide in print.

    Parameters
    ----------
    chart, column, theme, background, max_marks
        As for `to_png`.

    Returns
    -------
    str
        Well-formed XML. The same chart gives the same text in every process.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]])
    >>> headspec.to_svg(chart)[:4]
    '<svg'
    """
    return draw(chart, theme=theme, background=background, max_marks=max_marks).to_svg(column=column)


def to_pdf(
    chart: ChartType,
    *,
    column: Column | None = None,
    theme: Theme = None,
    background: str | None = None,
    max_marks: int = check.MAX_MARKS,
) -> bytes:
    """Return a chart as a PDF page, vector and with its text as text.

    A pixel of the chart is a point; with ``column=`` the page is that wide.

    Parameters
    ----------
    chart, column, theme, background, max_marks
        As for `to_png`.

    Returns
    -------
    bytes
        The document. The same chart gives the same bytes: the renderer's order of fonts, which varies, is made one.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]])
    >>> headspec.to_pdf(chart, column="single")[:4]
    b'%PDF'
    """
    return draw(chart, theme=theme, background=background, max_marks=max_marks, silent=True).to_pdf(column=column)


def to_vega(chart: ChartType, *, theme: Theme = None) -> dict[str, Any]:
    """Return a chart as the Vega spec that its Vega-Lite compiles to."""
    out: dict[str, Any] = _call("vegalite_to_vega", export(chart, theme=theme).text(), vl_version=_version())
    return out


def bundle_source() -> str:
    """Return the scripts of Vega, Vega-Lite and Vega-Embed as one text, made anew; `headspec.output.bundle` keeps it."""
    return str(_call("javascript_bundle", vl_version=_version()))


def _version() -> str | None:
    """Return the version of Vega-Lite that Altair writes, if the renderer has it; else None, its newest."""
    import vl_convert

    wanted = ".".join(str(alt.SCHEMA_VERSION).lstrip("v").split(".")[:2])
    return wanted if wanted in vl_convert.get_vegalite_versions() else None


def _call(function: str, *inputs: Any, **options: Any) -> Any:
    import vl_convert

    convert: Callable[..., Any] = getattr(vl_convert, function)
    try:
        return convert(*inputs, **options)
    except Exception as err:  # whatever the renderer raises: its kinds say nothing
        lines = [line.strip() for line in str(err).splitlines() if line.strip()]
        told = clean(" ".join(lines[:2]))[:300] or type(err).__name__
        raise RenderError(f"the renderer could not draw the chart: {told}") from err


def warn_of_fonts(text: str, families: Iterable[str] = ()) -> None:
    """Warn of characters of an SVG, and of families, that the renderer has no font for."""

    def small(picture: str) -> bytes:
        return bytes(_call("svg_to_png", picture, scale=1))

    missing = fonts.missing_characters(svg.drawn_text(text), small)
    if missing:
        warnings.warn(fonts.characters_warning(missing), HeadspecWarning, stacklevel=5)
    for family in fonts.missing_families(families, small):
        warnings.warn(
            f"the font {clean(family)!r} is not installed: the text is drawn in sans-serif",
            HeadspecWarning,
            stacklevel=5,
        )


def json_of(spec: dict[str, Any]) -> str:
    """Return a compiled spec as JSON for a file."""
    return layout(json.loads(json.dumps(spec, allow_nan=False)))
