"""Charts become a static site that opens from disk, offline, from any sub-path."""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import headspec
from headspec.errors import DataError, need
from headspec.output.bundle import NOTICE, javascript_bundle
from headspec.output.spec import export
from headspec.site.cards import Card, Overview, named, slug
from headspec.site.draw import CODE_LETTERS, Page, begin_card
from headspec.site.pictures import Drawers
from headspec.site.store import Store, digest
from headspec.text import clean, count

Progress = Callable[[int, int, str], None]
T = TypeVar("T")


@dataclass
class Built:
    """What a build did."""

    folder: Path
    pages: int = 0
    written: int = 0
    removed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    """What a reader of the site will miss: a title and what."""

    @property
    def index(self) -> Path:
        """The page to open."""
        return self.folder / "index.html"

    def said(self) -> str:
        """Return one line about the build."""
        failed = f", {count(len(self.failed), 'card')} failed" if self.failed else ""
        return f"{count(self.pages, 'page')}, {count(self.written, 'file')} written, {self.removed:,} removed{failed}: {self.index}"


def build_gallery(
    cards: Iterable[Any],
    folder: str | os.PathLike[str],
    *,
    title: str = "Gallery",
    text: str = "",
    templates: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    workers: int = 1,
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
    workers
        Processes that draw pictures at the same time. A script that asks for several must have its work below
        ``if __name__ == "__main__":``, as each of them imports it.

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
    all_cards = [_card(item) for item in cards]
    return build_site(
        all_cards,
        folder,
        title=title,
        text=text,
        templates=templates,
        force=force,
        progress=progress,
        workers=workers,
    )


def build_site(
    cards: Sequence[Card],
    folder: str | os.PathLike[str],
    *,
    title: str,
    text: str,
    overviews: Sequence[Overview] = (),
    templates: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    workers: int = 1,
) -> Built:
    """Build a site of cards and of pages that show several of them together; the arguments are those of `build_gallery`."""
    environment = _environment(templates)
    store = Store(folder, force=force)
    built = Built(Path(folder).expanduser())
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise DataError(f"workers={clean(repr(workers))} is no number of processes; give 1 or more")
    try:
        pages, built.failed = _drawn(named(cards), store, progress, workers)
        site = _Site(store, environment, pages, clean(title), clean(text), templates)
        site.write([_shown(overview, pages) for overview in overviews])
    except BaseException:
        store.discard()
        raise
    built.pages = len(pages)
    built.notes = [(page.card.title, f"no PDF: {page.missing_pdf}") for page in pages if page.missing_pdf]
    built.written, built.removed = store.finish()
    return built


def _drawn(
    cards: Sequence[tuple[str, Card]], store: Store, progress: Progress | None, workers: int
) -> tuple[list[Page], list[tuple[str, str]]]:
    """Return the pages of all cards that can be drawn, and the titles of the others with the reasons."""
    pages: dict[int, Page] = {}
    failed: dict[int, tuple[str, str]] = {}

    def attempt(number: int, step: Callable[[], T]) -> T | None:
        try:
            return step()
        except Exception as error:  # one card that fails must not take the others with it
            if isinstance(error, MemoryError) or _is_disk(error):
                raise
            failed[number] = (cards[number][1].title, f"{type(error).__name__}: {clean(error)}")
            return None

    def finish(number: int, wait: Callable[[], Page]) -> None:
        page = attempt(number, wait)
        if page is not None:
            pages[number] = page

    begun: deque[tuple[int, Callable[[], Page]]] = deque()
    with Drawers(workers) as drawers:
        for number, (name, card) in enumerate(cards):
            if progress is not None:
                progress(number + 1, len(cards), card.title)
            wait = attempt(number, lambda name=name, card=card: begin_card(name, card, store, drawers))  # type: ignore[misc]
            if wait is not None:
                begun.append((number, wait))
            while len(begun) > (2 * workers if workers > 1 else 0):  # the charts ahead are held in memory
                finish(*begun.popleft())
        while begun:
            finish(*begun.popleft())
    return [pages[number] for number in sorted(pages)], [failed[number] for number in sorted(failed)]


def _is_disk(error: BaseException) -> bool:
    return isinstance(error, OSError) or isinstance(error.__cause__, OSError)


def _card(item: Any) -> Card:
    if isinstance(item, Card):
        return item
    from headspec.output.summary import title_of

    return Card(chart=item, title=title_of(export(item, theme={}).spec) or "Chart")


# --- the pages --------------------------------------------------------------------------------------------------------------


def _environment(templates: str | os.PathLike[str] | None) -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise need("jinja2", extra="site", purpose="to build a gallery") from error
    if templates is not None and not Path(templates).is_dir():
        raise DataError(
            f"templates={clean(templates)} is no folder; give one with page.html, site.css or others of headspec's files"
        )
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
        return Markup('<pre tabindex="0"><code>{}</code></pre>').format(escape(text))
    formatter = HtmlFormatter(nowrap=True)
    return Markup('<pre tabindex="0"><code>{}</code></pre>').format(
        Markup(highlight(text, get_lexer_by_name(language), formatter))
    )


def _asset(name: str, templates: str | os.PathLike[str] | None) -> str:
    if templates is not None and (own := Path(templates) / name).is_file():
        return own.read_text(encoding="utf-8")
    return resources.files("headspec.site").joinpath("assets", name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class _Shown:
    """An overview with the pages of its cards, those that could be drawn."""

    overview: Overview
    live: list[Page]
    pages: list[Page]

    @property
    def linked(self) -> bool:
        """Whether a head that is picked in one chart is shown by others."""
        return sum('"head_pick"' in page.payload for page in self.live) > 1


def _shown(overview: Overview, pages: Sequence[Page]) -> _Shown:
    def of(cards: Sequence[Card]) -> list[Page]:
        wanted = {id(card) for card in cards}
        return [page for page in pages if id(page.card) in wanted]

    return _Shown(overview, of(overview.live), of(overview.cards))


class _Filter(NamedTuple):
    """Buttons that filter the cards of the index."""

    name: str
    label: str
    all: str
    values: list[tuple[str, str, int]]


@dataclass(frozen=True)
class _Site:
    """The pages of a site, and what all of them share."""

    store: Store
    environment: Any
    pages: Sequence[Page]
    title: str
    text: str
    templates: str | os.PathLike[str] | None

    def write(self, overviews: Sequence[_Shown]) -> None:
        """Write the index, the overviews and the page of each card."""
        runs = {page.name: shown.overview for shown in overviews for page in shown.pages}
        vega = self._assets(runs)
        self._page(
            "index.html", "index", root="", pages=self.pages, filters=self._filters(overviews), overviews=overviews
        )
        for shown in overviews:
            self._page(f"runs/{shown.overview.name}.html", "overview", root="../", vega=vega, shown=shown)
        for place, page in enumerate(self.pages):
            before = self.pages[place - 1] if place else None
            after = self.pages[place + 1] if place + 1 < len(self.pages) else None
            around = {"before": before, "after": after, "overview": runs.get(page.name), "code_letters": CODE_LETTERS}
            self._page(f"charts/{page.name}.html", "page", root="../", vega=vega, page=page, **around)

    def _filters(self, overviews: Sequence[_Shown]) -> list[_Filter]:
        categories = Counter(page.card.category for page in self.pages)
        found = [_Filter("category", "Category", "All", [(name, name, size) for name, size in categories.items()])]
        if len(overviews) > 1:
            runs = [(shown.overview.name, shown.overview.title, len(shown.pages)) for shown in overviews]
            found.append(_Filter("run", "Run", "All runs", runs))
        return found

    def _page(self, path: str, template: str, **values: Any) -> None:
        versions = {
            "headspec": headspec.__version__,
            "altair": metadata.version("altair"),
            "vl-convert": metadata.version("vl-convert-python"),
        }
        html = self.environment.get_template(f"{template}.html").render(
            site=self.title, text=self.text, versions=versions, **values
        )
        self.store.put(path, html)

    def _assets(self, runs: Mapping[str, Overview]) -> str:
        """Write what all pages share; return the path of the scripts that draw."""
        bundle = javascript_bundle()
        vega = f"assets/vega-{digest(bundle)[:12]}.js"
        self.store.put(vega, f"/* {NOTICE} */\n{bundle}")
        for name in ("site.css", "site.js"):
            self.store.put(f"assets/{name}", _asset(name, self.templates))
        found = [
            {
                "name": page.name,
                "words": _words(page.card),
                "category": page.card.category,
                **({"run": runs[page.name].name} if page.name in runs else {}),
            }
            for page in self.pages
        ]
        text = json.dumps(found, ensure_ascii=True, sort_keys=True)
        self.store.put("assets/index.js", f"window.headspecIndex = {text};\n")
        return vega


def _words(card: Card) -> str:
    """Return what the search looks through."""
    return " ".join([card.title, card.question, card.category, card.kind, *card.tags]).lower()
