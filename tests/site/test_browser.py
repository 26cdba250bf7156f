"""The site as a reader uses it: in Chromium, from disk, with the network blocked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def visit(open_page, site):
    """Open a page of the site; its own files are all that it may ask for."""

    def go(path: str, **options):
        return open_page(site / path, allow=site.as_uri(), **options)

    return go


def visible(opened) -> list[str]:
    return opened.page.locator(".cards > li:visible strong").all_text_contents()


def quiet(opened, site: Path) -> bool:
    return opened.messages == [] and all(url.startswith(site.as_uri()) for url in opened.requests)


def test_search_filters_and_says_how_many(visit, site):
    opened = visit("index.html")
    page = opened.page
    assert len(visible(opened)) == 3
    page.keyboard.press("/")
    assert opened.js("document.activeElement.id") == "query"
    assert page.input_value("#query") == ""
    page.keyboard.type("HEAT entropy")
    assert visible(opened) == ["Entropy of heads"]
    assert page.inner_text(".count") == "1 of 3 charts"
    page.fill("#query", "entropy-heatmap")
    assert visible(opened) == ["Entropy of heads"]
    page.fill("#query", "no such chart")
    assert visible(opened) == []
    assert page.locator(".none").is_visible()
    page.click(".reset")
    assert len(visible(opened)) == 3
    assert page.inner_text(".count") == ""
    page.click("[data-value=Experiments]")
    assert visible(opened) == ["Perplexity"]
    assert page.locator("[data-value=Experiments]").get_attribute("aria-pressed") == "true"
    page.fill("#query", "entropy")
    assert visible(opened) == []
    assert quiet(opened, site)


def test_the_way_to_a_chart_by_keyboard(visit, site):
    opened = visit("index.html")
    page = opened.page
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    page.keyboard.press("Enter")
    assert opened.js("document.activeElement.id") == "main"
    for _ in range(10):
        page.keyboard.press("Tab")
        if opened.js("document.activeElement.matches('.cards a')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-state=drawn]")
    assert page.locator("h1").inner_text() == "Entropy of heads"
    assert opened.marks("path") >= 4
    assert quiet(opened, site)


def test_tabs_follow_the_keys(visit, site):
    opened = visit("charts/entropy-of-heads.html").wait()
    page = opened.page

    def shown():
        return page.locator(".tabs > section:visible").evaluate_all("found => found.map(item => item.id)")

    assert shown() == ["python"]
    page.focus("#tab-python")
    for key, panel in [
        ("ArrowRight", "vega-lite"),
        ("End", "data"),
        ("ArrowRight", "python"),
        ("ArrowLeft", "data"),
        ("Home", "python"),
    ]:
        page.keyboard.press(key)
        assert shown() == [panel]
        assert opened.js("document.activeElement.id") == f"tab-{panel}"
        assert page.locator("[role=tab][aria-selected=true]").count() == 1
    page.click("#tab-data")
    assert page.locator("#data table tbody tr").count() == 4
    assert quiet(opened, site)


def test_the_theme_is_switched_kept_and_drawn(visit, site):
    opened = visit("charts/entropy-of-heads.html").wait()
    page = opened.page
    ink = "document.querySelector('svg .role-title-text text').getAttribute('fill')"
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.js(ink), opened.js(background)
    page.click("[data-theme-choice=dark]")
    opened.until(f"{ink} !== {json.dumps(light[0])}")
    assert opened.js(background) != light[1]
    assert page.locator(".live svg").count() == 1
    page.reload()
    opened.wait()
    assert opened.js("document.documentElement.dataset.theme") == "dark"
    page.click("[data-theme-choice=auto]")
    opened.until(f"{ink} === {json.dumps(light[0])}")
    page.emulate_media(color_scheme="dark")
    opened.until(f"{ink} !== {json.dumps(light[0])}")
    assert quiet(opened, site)


def test_the_index_shows_the_thumbnails_of_its_theme(visit):
    for dark in (False, True):
        page = visit("index.html", dark=dark).page
        found = page.locator(".cards img:visible").evaluate_all("found => found.map(item => item.src)")
        assert len(found) == 3
        assert all(src.endswith("-dark.png" if dark else "-light.png") for src in found)
        assert page.evaluate(
            "Array.from(document.querySelectorAll('.cards img')).every(item => !item.complete || item.naturalWidth > 0)"
        )


def test_copy_gives_the_whole_text(visit):
    opened = visit("charts/entropy-of-heads.html").wait()
    page = opened.page
    page.evaluate(
        "navigator.clipboard && Object.defineProperty(navigator.clipboard, 'writeText', {value: text => { window.copied = text; return Promise.resolve(); }})"
    )
    if not opened.js("Boolean(navigator.clipboard)"):
        pytest.skip("no clipboard on a file page here")
    page.click("#python .copyable button")
    opened.until("window.copied")
    assert opened.js("window.copied").startswith("import headspec")
    page.click("#tab-vega-lite")
    page.click("#vega-lite .copyable button")
    opened.until("window.copied.startsWith('{')")
    assert json.loads(opened.js("window.copied"))["description"]


def test_hostile_text_runs_nowhere(visit, site, make):
    page = next(path.name for path in (site / "charts").glob("*.html") if "pwned" in path.name)
    for path in ("index.html", f"charts/{page}"):
        opened = visit(path)
        if path != "index.html":
            opened.wait()
            assert opened.page.locator("h1").inner_text() == make.hostile
            assert opened.state == "drawn"
        assert opened.js("window.pwned") is None
        assert quiet(opened, site)


def test_without_scripts_all_is_there(visit):
    opened = visit("charts/entropy-of-heads.html", scripts=False)
    page = opened.page
    picture = page.locator("figure img")
    assert picture.is_visible()
    assert picture.bounding_box()["width"] > 100
    assert page.locator(".tabs > section:visible").count() == 3
    assert page.locator(".themes").is_hidden()
    index = visit("index.html", scripts=False)
    assert len(visible(index)) == 3
    assert index.page.locator(".search").is_hidden()


def test_on_a_phone_nothing_sticks_out(visit, site):
    pages = ["index.html", *(f"charts/{path.name}" for path in (site / "charts").glob("*.html"))]
    assert len(pages) == 4
    for path in pages:  # one of them with a word that is wider than the phone
        page = visit(path, size=(360, 740)).page
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_a_thousand_cards_are_searched(site, open_page, tmp_path):
    """The search function on a page of a thousand entries, made of the built index."""
    index = (site / "index.html").read_text(encoding="utf-8")
    start, end = index.index('<ul class="cards">'), index.index("</ul>", index.index('<ul class="cards">'))
    names = [f"chart-{place}" for place in range(1000)]
    items = "".join(f'<li data-name="{name}"><a href="#"><strong>{name}</strong></a></li>' for name in names)
    shutil.copytree(site / "assets", tmp_path / "assets")
    (tmp_path / "index.html").write_text(index[:start] + f'<ul class="cards">{items}' + index[end:], encoding="utf-8")
    entries = [
        {
            "name": name,
            "words": f"{name} {'even' if place % 2 == 0 else 'odd'} layer {place % 7}",
            "category": "Heads" if place % 3 else "Experiments",
        }
        for place, name in enumerate(names)
    ]
    (tmp_path / "assets/index.js").write_text(f"window.headspecIndex = {json.dumps(entries)};")
    opened = open_page(tmp_path / "index.html", allow=tmp_path.as_uri())
    for text, wanted in {
        "even": 500,
        "layer 3": sum("3" in f"{place}{place % 7}" for place in range(1000)),
        "chart-999": 1,
        "": 1000,
        "xyz": 0,
    }.items():
        opened.page.fill("#query", text)
        assert len(visible(opened)) == wanted, text
    opened.page.click("[data-value=Experiments]")
    opened.page.fill("#query", "odd")
    assert visible(opened) == [name for place, name in enumerate(names) if place % 3 == 0 and place % 2]
    assert opened.page.inner_text(".count") == "167 of 1000 charts"


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(visit, axe, site, dark):
    pages = ["index.html", *(f"charts/{name}.html" for name in ("entropy-of-heads", "perplexity"))]
    for path in pages:
        opened = visit(path, dark=dark)
        if path != "index.html":
            opened.wait()
        opened.page.evaluate(axe)
        result = opened.page.evaluate("axe.run()")
        found = [
            (item["id"], item["impact"], item["nodes"][0]["html"][:120])
            for item in result["violations"]
            if item["impact"] in ("serious", "critical")
        ]
        assert found == [], path
        assert len(result["passes"]) > 10
