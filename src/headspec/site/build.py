"""Charts become a static site that opens from disk, offline, from any sub-path."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import headspec
from headspec.errors import HeadspecWarning, need
from headspec.output.bundle import NOTICE, javascript_bundle
from headspec.output.check import check_marks, check_safe
from headspec.output.jsontext import compact
from headspec.output.page import SVG_MARKS, script_json
from headspec.output.render import Drawing, draw_export
from headspec.output.spec import export, to_json
from headspec.output.table import to_table
from headspec.output.themes import theme_dict
from headspec.site.cards import Card, named, slug
from headspec.site.store import Store, digest
from headspec.text import clean, count

EDITOR_LIMIT = 6_000
"""Letters of a spec that still go into an address of the Vega editor."""
TABLE_ROWS = 200
"""Rows of the data table on a page; the CSV has them all."""
THUMB = 320
"""Pixels of a thumbnail's longer side, as shown."""

Progress = Callable[[int, int, str], None]


@dataclass
class Built:
    """What a build did."""

    folder: Path
    pages: int = 0
    written: int = 0
    removed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def index(self) -> Path:
        """The page to open."""
        return self.folder / "index.html"

    def said(self) -> str:
        """Return one line about the build."""
        failed = f", {count(len(self.failed), 'card')} failed" if self.failed else ""
        return f"{count(self.pages, 'page')}, {count(self.written, 'file')} written, {self.removed:,} removed{failed}: {self.index}"


@dataclass(frozen=True)
class Page:
    """A card that was drawn: all that its page and the index say of it."""

    name: str
    card: Card
    summary: str
    spec: str
    payload: str
    table: dict[str, Any]
    size: tuple[int, int]
    thumb: tuple[int, int]
    editor: str


def build_gallery(
    cards: Iterable[Any],
    folder: str | os.PathLike[str],
    *,
    title: str = "Gallery",
    text: str = "",
    templates: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Build a static gallery site of charts.

    Parameters
    ----------
    cards
        `Card` objects, or charts, which become cards with their own titles.
    folder
        Where to. A folder that is not empty and that headspec did not build is refused unless forced.
    title, text
        Heading and one sentence of the index.
    templates
        A folder with templates (``index.html``, ``page.html``, ``base.html``) and assets (``site.css``, ``site.js``) that replace
        headspec's own of the same names.
    force
        Build into a folder that holds other files; they stay.
    progress
        Called before each card with its number, their count and its title.

    Returns
    -------
    Built
        What was written, and which cards failed. The rest of the site is built all the same.

    Raises
    ------
    DataError
        The folder cannot be used.
    RenderError
        A file could not be written; the last complete site is still there.

    Examples
    --------
    >>> import headspec, tempfile
    >>> chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     built = headspec.build_gallery([chart], folder, title="My heads")
    >>> built.pages
    1
    """
    environment = _environment(templates)
    store = Store(folder, force=force)
    built = Built(Path(folder).expanduser())
    all_cards = named([_card(item) for item in cards])
    pages: list[Page] = []
    try:
        for number, (name, card) in enumerate(all_cards, 1):
            if progress is not None:
                progress(number, len(all_cards), card.title)
            try:
                pages.append(_draw(name, card, store))
            except Exception as error:  # one card that fails must not take the others with it
                if isinstance(error, (MemoryError, KeyboardInterrupt)) or _is_disk(error):
                    raise
                built.failed.append((card.title, f"{type(error).__name__}: {clean(error)}"))
        _write(store, environment, pages, title=clean(title), text=clean(text), templates=templates)
    except BaseException:
        store.discard()
        raise
    built.pages = len(pages)
    built.written, built.removed = store.finish()
    return built


def _is_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) or isinstance(error.__cause__, OSError)


def _card(item: Any) -> Card:
    if isinstance(item, Card):
        return item
    from headspec.output.summary import title_of

    return Card(chart=item, title=title_of(export(item, theme={}).spec) or "Chart")


# --- one card -------------------------------------------------------------------------------------------------------------


def _draw(name: str, card: Card, store: Store) -> Page:
    """Render a card's files, those that changed, and return what its page needs."""
    bare = export(card.chart, theme={})
    light, dark = bare.themed(theme_dict("light")), bare.themed(theme_dict("dark"))
    check_safe(light)
    marks = check_marks(light).marks
    spec = to_json(card.chart, theme="none")
    key = digest(light.text(), compact(dark.spec), headspec.__version__, metadata.version("vl-convert-python"))
    drawn: dict[str, Drawing] = {}

    def drawing(theme: str) -> Drawing:
        if theme not in drawn:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", HeadspecWarning)  # a gallery of many pictures repeats them
                drawn[theme] = draw_export(light if theme == "light" else dark)
        return drawn[theme]

    base = f"charts/{name}"
    store.made(f"{base}.png", key, lambda: drawing("light").to_png(scale=2))
    store.made(f"{base}.svg", key, lambda: drawing("light").to_svg())
    store.made(f"{base}.pdf", key, lambda: drawing("light").to_pdf())
    for theme in ("light", "dark"):
        store.made(f"thumbs/{name}-{theme}.png", key, partial(_thumbnail, drawing, theme))
    store.put(f"{base}.vl.json", spec)
    table = to_table(card.chart)
    store.put(f"{base}.csv", table.to_csv(index=False, lineterminator="\n"))
    size = _png_size(store, f"{base}.png")
    dark_only = {item: value for item, value in dark.spec.items() if value != light.spec.get(item)}
    rest = compact({"dark": dark_only, "renderer": "svg" if marks <= SVG_MARKS else "canvas"})
    return Page(
        name=name,
        card=card,
        summary=str(light.spec["description"]),
        spec=spec,
        payload=script_json(f'{rest[:-1]},"spec":{light.text()}}}'),
        table=_table(table),
        size=(size[0] // 2, size[1] // 2),
        thumb=(size[0] // 2, size[1] // 2),
        editor=_editor(card.chart, len(bare.text())),
    )


def _thumbnail(drawing: Callable[[str], Drawing], theme: str) -> bytes:
    return drawing(theme).to_png(scale=1)


def _png_size(store: Store, path: str) -> tuple[int, int]:
    place = store.staging / path
    header = (place if place.is_file() else store.folder / path).read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


def _table(table: Any) -> dict[str, Any]:
    shown = table.head(TABLE_ROWS)
    columns = [str(column) for column in shown.columns]
    text = shown.astype(object).where(shown.notna(), "")
    rows = [
        [f"{cell:.6g}" if isinstance(cell, float) else clean(cell) for cell in row] for row in text.to_numpy().tolist()
    ]
    return {"columns": columns, "rows": rows, "total": len(table), "shown": len(shown)}


def _editor(chart: Any, length: int) -> str:
    """Return the address that opens the spec in the Vega editor, empty where it would be too long for one."""
    return str(chart.to_url()) if length <= EDITOR_LIMIT else ""


# --- the pages --------------------------------------------------------------------------------------------------------------


def _environment(templates: str | os.PathLike[str] | None) -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise need("jinja2", extra="site", purpose="to build a gallery") from error
    own = jinja2.PackageLoader("headspec.site", "templates")
    loader = own if templates is None else jinja2.ChoiceLoader([jinja2.FileSystemLoader(os.fspath(templates)), own])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["slug"] = slug
    environment.filters["code"] = _highlighted
    return environment


def _highlighted(text: str, language: str) -> Any:
    """Return code as HTML, coloured where Pygments is installed."""
    from markupsafe import Markup, escape

    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import get_lexer_by_name
    except ImportError:
        return Markup("<pre><code>{}</code></pre>").format(escape(text))
    formatter = HtmlFormatter(nowrap=True)
    return Markup("<pre><code>{}</code></pre>").format(Markup(highlight(text, get_lexer_by_name(language), formatter)))


def _asset(name: str, templates: str | os.PathLike[str] | None) -> str:
    if templates is not None and (own := Path(templates) / name).is_file():
        return own.read_text(encoding="utf-8")
    return resources.files("headspec.site").joinpath("assets", name).read_text(encoding="utf-8")


def _write(
    store: Store,
    environment: Any,
    pages: Sequence[Page],
    *,
    title: str,
    text: str,
    templates: str | os.PathLike[str] | None,
) -> None:
    bundle = javascript_bundle()
    vega = f"assets/vega-{digest(bundle)[:12]}.js"
    store.put(vega, f"/* {NOTICE} */\n{bundle}")
    for name in ("site.css", "site.js"):
        store.put(f"assets/{name}", _asset(name, templates))
    found = [
        {
            "name": page.name,
            "words": " ".join([page.card.title, page.card.question, page.card.category, *page.card.tags]).lower(),
            "category": page.card.category,
        }
        for page in pages
    ]
    store.put("assets/index.js", f"window.headspecIndex = {json.dumps(found, ensure_ascii=True, sort_keys=True)};\n")
    categories: dict[str, int] = {}
    for page in pages:
        categories[page.card.category] = categories.get(page.card.category, 0) + 1
    versions = {
        "headspec": headspec.__version__,
        "altair": metadata.version("altair"),
        "vl-convert": metadata.version("vl-convert-python"),
    }
    shared = {"site": title, "versions": versions}
    store.put(
        "index.html",
        environment.get_template("index.html").render(**shared, root="", text=text, pages=pages, categories=categories),
    )
    for place, page in enumerate(pages):
        html = environment.get_template("page.html").render(
            **shared,
            root="../",
            vega=vega,
            page=page,
            before=pages[place - 1] if place else None,
            after=pages[place + 1] if place + 1 < len(pages) else None,
        )
        store.put(f"charts/{page.name}.html", html)
