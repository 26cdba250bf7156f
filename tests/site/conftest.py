"""Small sites: three cards, one of them hostile, built once."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import altair as alt
import pandas as pd
import pytest

import headspec
from headspec.site.cards import Card

HOSTILE = "</script><script>window.pwned=1</script> \"'+alert(1)+' 🙂 ../..\\ {{ 7*7 }} " + "W" * 60


def entropy_card(**changes: Any) -> Card:
    chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]], select="head_pick")
    words = {
        "title": "Entropy of heads",
        "question": "Which heads attend sharply?",
        "category": "Heads",
        "tags": ["entropy", "heat map"],
        "code": 'import headspec\n\nchart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]], select="head_pick")\n',
        "reading": ["Dark is sharp."],
        "kind": "entropy-heatmap",
    }
    return Card(chart=chart, **{**words, **changes})


def bar_card(title: str = "Perplexity", **changes: Any) -> Card:
    frame = pd.DataFrame({"strategy": ["entropy", "random"], "perplexity": [12.5, 18.0]})
    chart = alt.Chart(frame).mark_bar().encode(x="strategy:N", y="perplexity:Q")
    return Card(
        **{"chart": chart, "title": title, "category": "Experiments", "tags": ["bars"], "code": "x = 1\n", **changes}
    )


def hostile_card() -> Card:
    frame = pd.DataFrame({"strategy": [HOSTILE, "b"], "perplexity": [1.0, 2.0]})
    chart = alt.Chart(frame, title=HOSTILE).mark_bar().encode(x="strategy:N", y="perplexity:Q")
    return Card(
        chart=chart,
        title=HOSTILE,
        question=HOSTILE,
        text=HOSTILE,
        category=HOSTILE,
        tags=[HOSTILE],
        code=f"x = {HOSTILE!r}\n",
        reading=[HOSTILE],
        kind=HOSTILE,
    )


def three() -> list[Card]:
    return [entropy_card(), bar_card(text="Lower is better."), hostile_card()]


class _Reader(HTMLParser):
    """What a page refers to, its ids, its headings, its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: Counter[str] = Counter()
        self.refers: list[str] = []
        self.without_alt = 0
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        self.ids += [given["id"] or ""] if "id" in given else []
        for name in ("aria-labelledby", "aria-describedby", "for", "data-spec"):
            self.refers += (given.get(name) or "").split()
        self.without_alt += tag == "img" and "alt" not in given
        self.handlers += [name for name in given if name.startswith("on")]


def read_page(path: Path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


def check_links(folder: Path) -> int:
    """Check every page below a folder; return how many there are."""
    pages = sorted(folder.rglob("*.html"))
    ids = {page.resolve(): set(read_page(page).ids) for page in pages}
    for page in pages:
        read = read_page(page)
        assert len(read.ids) == len(set(read.ids)), f"{page.name}: ids twice"
        assert read.tags["h1"] == 1, page.name
        assert not read.without_alt, page.name
        assert not read.handlers, page.name
        assert set(read.refers) <= set(read.ids), page.name
        assert read.tags["main"] == read.tags["header"] == read.tags["footer"] == 1
        for link in read.links:
            if link == "data:," or re.match(r"https://vega\.github\.io/editor/", link):
                continue
            assert not re.match(r"[a-z]+:|//|/", link), f"{page.name}: {link}"
            place, _, fragment = link.partition("#")
            target = (page.parent / unquote(place)).resolve() if place else page.resolve()
            assert target.is_file(), f"{page.name}: {link} is not there"
            assert folder.resolve() in target.parents
            assert not fragment or fragment in ids[target], f"{page.name}: {link}"
    return len(pages)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above."""
    return SimpleNamespace(
        entropy_card=entropy_card,
        bar_card=bar_card,
        hostile_card=hostile_card,
        three=three,
        read_page=read_page,
        check_links=check_links,
        files_of=files_of,
        hostile=HOSTILE,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of the three cards; nobody writes to it."""
    folder = tmp_path_factory.mktemp("a site & more")
    built = headspec.build_gallery(three(), folder, title="Three <charts>", text="Small & hostile.")
    assert not built.failed
    return folder


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Any]:
    """Build a site of some cards below the test's folder."""

    def run(cards: list[Card], name: str = "site", **options: Any) -> Any:
        return headspec.build_gallery(cards, tmp_path / name, **options)

    return run


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: axe-core is fetched with it")
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(
            [npm, "install", "axe-core@4", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder,
            capture_output=True,
            timeout=60,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"axe-core could not be installed: {error}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
