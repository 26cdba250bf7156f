"""One call for every kind of file: the suffix of its name says which."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headspec.errors import DataError
from headspec.output import files
from headspec.output.datasets import Dataset
from headspec.output.spec import DataForm, check_chart, export, to_json
from headspec.output.themes import Theme
from headspec.text import clean, listing

if TYPE_CHECKING:
    from altair.typing import ChartType

    from headspec.output.render import Column


def save(
    chart: ChartType,
    path: str | os.PathLike[str],
    *,
    theme: Theme = None,
    data: DataForm | None = None,
    scale: int | None = None,
    dpi: float | None = None,
    column: Column | None = None,
    background: str | None = None,
    title: str | None = None,
    lang: str | None = None,
    fallback: bool | None = None,
    max_marks: int | None = None,
) -> Path:
    """Save a chart; the suffix of the path says as what.

    ==========================  ====================================================  ===============================
    suffix                      what is written                                       arguments besides ``theme``
    ==========================  ====================================================  ===============================
    ``.vl.json``, ``.json``     Vega-Lite, see `to_json`                              data
    ``.vg.json``                the Vega that it compiles to
    ``.html``                   an offline page in one file, see `to_html`            title, lang, fallback, background
    ``.png``                    an image, see `to_png`                                scale, dpi, column, background
    ``.svg``, ``.pdf``          vectors, see `to_svg` and `to_pdf`                    column, background
    ==========================  ====================================================  ===============================

    Parameters
    ----------
    chart
        Any Altair chart.
    path
        Where to; its folder must exist. The file is written whole or not at all.
    theme
        ``"light"``, ``"dark"``, ``"paper"``, for a page also ``"auto"``, another theme of Altair's registry, or a dict.
    data
        For Vega-Lite: ``"inline"`` (if not given), ``"name"`` or ``"url"``. The rows then go into files beside the spec,
        ``chart.heads.json`` for the dataset ``heads`` of ``chart.vl.json``; with ``"url"`` the spec refers to them.
    scale, dpi, column, background, title, lang, fallback, max_marks
        As for the function that makes the output.

    Returns
    -------
    Path
        The path.

    Raises
    ------
    DataError
        If the suffix is unknown, its folder is missing, or an argument has no meaning for it.
    RenderError
        If the chart cannot be drawn, or the file cannot be written.

    Examples
    --------
    >>> import altair as alt, pandas as pd, tempfile, pathlib
    >>> chart = alt.Chart(pd.DataFrame({"a": [1, 2]})).mark_point().encode(x="a:Q")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(chart, pathlib.Path(folder) / "chart.svg").name
    'chart.svg'
    """
    check_chart(chart)
    place = files.target(path)
    suffix = _suffix(place)
    make, allowed = _FORMATS[suffix]
    options = {
        "data": data,
        "scale": scale,
        "dpi": dpi,
        "column": column,
        "background": background,
        "title": title,
        "lang": lang,
        "fallback": fallback,
        "max_marks": max_marks,
    }
    given = {name: value for name, value in options.items() if value is not None}
    wrong = [f"{name}=" for name in given if name not in allowed]
    if wrong:
        can = f"; it takes {listing(f'{name}=' for name in allowed)}" if allowed else ""
        raise DataError(f"{listing(wrong)} has no meaning for {suffix}{can}")
    if data == "name" or data == "url":
        return _save_parts(chart, place, suffix, theme, data)
    return files.write_atomic(place, make(chart, theme=theme, **given))


def _suffix(place: Path) -> str:
    name = place.name.lower()
    suffix = next((known for known in _FORMATS if name.endswith(known) and name != known), None)
    if suffix is None:
        given = (
            f"the suffix {clean(place.suffix)!r} is unknown" if place.suffix else f"{clean(place.name)!r} has no suffix"
        )
        raise DataError(f"{given}; a chart is saved as {listing(_FORMATS, last='or')}")
    return suffix


def _save_parts(chart: ChartType, place: Path, suffix: str, theme: Theme, data: DataForm) -> Path:
    """Write the rows beside the spec, and the spec last: it never refers to rows that are not there."""
    stem = place.name[: -len(suffix)]
    datasets = export(chart, theme={}).datasets
    text = to_json(chart, data=data, theme=theme, url=f"{stem}.{{name}}.json")
    for name, item in datasets.items():
        files.write_atomic(place.with_name(f"{stem}.{name}.json"), _rows(item))
    return files.write_atomic(place, text)


def _rows(item: Dataset) -> str:
    if item.lines:
        return "[\n" + ",\n".join(item.lines) + "\n]\n"
    value = json.loads(item.text)
    return value if isinstance(value, str) else item.text + "\n"  # CSV text is its own file


def _json(chart: ChartType, **options: Any) -> str:
    return to_json(chart, **options)


def _vega(chart: ChartType, *, theme: Theme) -> str:
    from headspec.output.render import json_of, to_vega

    return json_of(to_vega(chart, theme=theme))


def _html(chart: ChartType, **options: Any) -> str:
    from headspec.output.page import to_html

    return to_html(chart, **options)


def _png(chart: ChartType, **options: Any) -> bytes:
    from headspec.output.render import to_png

    return to_png(chart, **options)


def _svg(chart: ChartType, **options: Any) -> str:
    from headspec.output.render import to_svg

    return to_svg(chart, **options)


def _pdf(chart: ChartType, **options: Any) -> bytes:
    from headspec.output.render import to_pdf

    return to_pdf(chart, **options)


_FORMATS: dict[str, tuple[Callable[..., str | bytes], tuple[str, ...]]] = {
    ".vl.json": (_json, ("data",)),
    ".vg.json": (_vega, ()),
    ".json": (_json, ("data",)),
    ".html": (_html, ("title", "lang", "fallback", "background", "max_marks")),
    ".png": (_png, ("scale", "dpi", "column", "background", "max_marks")),
    ".svg": (_svg, ("column", "background", "max_marks")),
    ".pdf": (_pdf, ("column", "background", "max_marks")),
}
