"""Pages as a reader opens them: in Chromium, from disk, with the network blocked."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import altair as alt
import pandas as pd
import pytest

from headspec.output.bundle import javascript_bundle
from headspec.output.render import to_svg
from headspec.output.save import save
from headspec.output.spec import to_spec
from headspec.text import clean

pytestmark = pytest.mark.browser

EXAMPLE = Path(__file__).parents[2] / "gallery" / "web" / "feed.html"


def test_every_class_of_chart_is_drawn_offline_without_a_word(charts, tmp_path, open_page):
    marks = {"bars": 2, "map": 12, "packed": 30, "facet": 12, "hconcat": 14, "vconcat": 32, "repeat": 7}
    for name, chart in charts.items():
        opened = open_page(save(chart, tmp_path / f"{name} <&>.html", fallback=False)).wait()
        assert (opened.state, opened.messages, opened.requests) == ("drawn", [], [])
        assert opened.marks("path") == marks[name], name
        assert opened.page.locator("figcaption").inner_text() == to_spec(chart)["description"]
        assert (
            opened.page.locator("[role=graphics-document]").get_attribute("aria-label") == to_spec(chart)["description"]
        )


HOSTILE = [
    "</script><script>window.pwned=1;alert(1)</script>",
    "<!--<script>",
    "'+alert(1)+'",
    '"><img src=x onerror="window.pwned=1;alert(1)">',
    "javascript:alert(1)",
    "]]><svg onload=alert(1)>",
]


def test_hostile_text_is_shown_as_text_and_nothing_runs(make, tmp_path, open_page):
    texts = [*HOSTILE, clean("bell\x07 \u2028 end"), "a\u2028b"]
    frame = pd.DataFrame({"strategy": texts, "perplexity": range(1, len(texts) + 1)})
    for place, text in enumerate(HOSTILE):
        chart = make.bars(frame, title=text, description=text).encode(
            x=alt.X("strategy:N", title=text, axis=alt.Axis(labelLimit=0)),
            color=alt.Color("strategy:N", title=text),
            tooltip=[alt.Tooltip("strategy:N", title="image"), alt.Tooltip("perplexity:Q", title=text)],
        )
        opened = open_page(save(chart, tmp_path / f"{place}.html", title=text)).wait()
        opened.page.locator("svg g.role-mark path").first.hover()
        opened.page.wait_for_selector("#vg-tooltip-element.visible")
        assert text in opened.page.locator("#vg-tooltip-element").inner_text()
        assert opened.page.title() == text
        assert opened.page.locator("figcaption").inner_text() == text
        assert opened.js("window.pwned") is None
        assert (opened.state, opened.messages, opened.requests) == ("drawn", [], [])
        assert opened.marks("path") == len(texts)
        drawn = opened.page.locator("svg text").all_text_contents()
        assert set(texts) <= set(drawn)


def test_the_policy_stops_what_is_added_to_the_page(make, tmp_path, open_page):
    path = save(make.bars(), tmp_path / "a.html", fallback=False)
    text = path.read_text(encoding="utf-8")
    added = "<script>window.pwned=1</script><img src='https://example.org/x.png'><script src='https://example.org/x.js'></script>"
    path.write_text(text.replace("</main>", f"</main>{added}"), encoding="utf-8")
    opened = open_page(path).wait()
    assert opened.state == "drawn"
    assert opened.js("window.pwned") is None
    assert opened.requests == []
    assert len(opened.messages) == 3
    assert all("Content Security Policy" in message for message in opened.messages)
    assert opened.js("fetch('https://example.org/').then(() => 'reached', () => 'refused')") == "refused"
    assert opened.js("(() => { try { return eval('1+1') } catch (error) { return error.name } })()") in ("EvalError", 2)


def test_a_failure_is_told_as_text(make, tmp_path, open_page):
    path = save(make.bars(), tmp_path / "a.html", fallback=False)
    broken = path.read_text(encoding="utf-8").replace(
        '"mark":{"type":"bar"}', '"mark":{"type":"bar \\u003cimg src=x onerror=alert(1)\\u003e"}'
    )
    path.write_text(broken, encoding="utf-8")
    opened = open_page(path).wait()
    assert opened.state == "failed"
    alert = opened.page.locator("[role=alert]")
    assert alert.is_visible()
    assert alert.inner_text().startswith("The chart could not be drawn: ")
    assert opened.page.locator("img").count() == 0
    assert opened.requests == []


def test_without_scripts_the_image_is_there(make, tmp_path, open_page):
    opened = open_page(save(make.heat_map(), tmp_path / "a.html"), scripts=False)
    image = opened.page.locator("noscript img, figure img").first
    assert image.is_visible()
    assert image.get_attribute("alt") == "Entropy of 12 heads."
    assert image.bounding_box()["width"] > 100
    assert opened.messages == []


def background(opened) -> str:
    return opened.js("getComputedStyle(document.body).backgroundColor")


def test_the_page_follows_the_system_and_its_change(make, tmp_path, open_page):
    path = save(make.heat_map(), tmp_path / "a.html", fallback=False)
    light, dark = open_page(path).wait(), open_page(path, dark=True).wait()
    assert background(light) == "rgb(255, 255, 255)" != background(dark)
    ink = "document.querySelector('svg .role-title-text text').getAttribute('fill')"
    inks = light.js(ink), dark.js(ink)
    assert inks[0] != inks[1]
    light.page.emulate_media(color_scheme="dark")
    light.until(f"{ink} === '{inks[1]}'")
    assert background(light) == background(dark)
    assert light.page.locator("#chart svg").count() == 1
    light.page.emulate_media(color_scheme="light")
    light.until(f"{ink} === '{inks[0]}'")
    assert light.marks("path") == 12
    assert light.messages == dark.messages == []


def test_selections_work_without_eval(make, tmp_path, open_page):
    pick = alt.selection_point(name="head_pick", fields=["layer", "head"])
    base = alt.Chart(make.heads_frame()).mark_rect().encode(x="head:O", y="layer:O")
    chart = base.add_params(pick).encode(opacity=alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.25)))
    opened = open_page(save(chart, tmp_path / "a.html", fallback=False)).wait()
    faded = "document.querySelectorAll('svg g.role-mark path[opacity=\"0.25\"]').length"
    assert opened.js(faded) == 0
    opened.page.locator("svg g.role-mark path").nth(5).click()
    opened.until(f"{faded} === 11")
    assert opened.js("headspec.view.signal('head_pick').layer[0]") == 1
    assert opened.messages == []


def test_a_large_chart_on_a_canvas_has_the_colours_of_its_values(make, tmp_path, open_page):
    frame = make.heads_frame(64, 64)
    greys = alt.Scale(domain=[0, 1], range=["#000000", "#ffffff"], interpolate="rgb")
    chart = (
        alt.Chart(frame)
        .mark_rect()
        .encode(alt.X("head:O", axis=None), alt.Y("layer:O", axis=None), alt.Color("value:Q", scale=greys, legend=None))
    )
    chart = chart.properties(width={"step": 4}, height={"step": 4}, padding=0)
    opened = open_page(save(chart, tmp_path / "a.html", fallback=False)).wait()
    wrong = opened.js("""(() => {
        const canvas = document.querySelector('canvas');
        const data = canvas.getContext('2d').getImageData(0, 0, 256, 256).data;
        let wrong = canvas.width === 256 && canvas.height === 256 ? 0 : -1;
        for (let y = 0; y < 256; y++) {
          for (let x = 0; x < 256; x++) {
            const value = (Math.floor(y / 4) * 64 + Math.floor(x / 4)) / 4096;
            wrong += Math.abs(data[4 * (256 * y + x)] - 255 * value) > 1.5 ? 1 : 0;
          }
        }
        return wrong; })()""")
    assert wrong == 0


def test_two_svg_drawings_inlined_on_one_page_keep_their_own_colours(make, tmp_path, open_page):
    gradient = alt.Chart(make.heads_frame()).mark_rect().encode(x="head:O", y="layer:O")
    one = gradient.encode(color=alt.Color("value:Q", scale=alt.Scale(range=["#ff0000", "#ff0000"])))
    two = gradient.encode(color=alt.Color("value:Q", scale=alt.Scale(range=["#0000ff", "#0000ff"])))
    page = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>t</title>{to_svg(one)}{to_svg(two)}"
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    opened = open_page(tmp_path / "a.html")
    used = opened.js("""Array.from(document.querySelectorAll('[fill^="url(#"]')).map(e =>
        document.querySelector(e.getAttribute('fill').slice(4, -1)).querySelector('stop').getAttribute('stop-color'))""")
    assert used == ["rgb(255, 0, 0)", "rgb(0, 0, 255)"]
    assert opened.js(
        "new Set(Array.from(document.querySelectorAll('[id]')).map(e => e.id)).size === document.querySelectorAll('[id]').length"
    )
    assert opened.messages == []


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address that it is served at."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def author_page(folder: Path) -> None:
    """What a web author has: the example page, the scripts, and a spec with its rows beside it."""
    shutil.copy(EXAMPLE, folder / "feed.html")
    (folder / "vega.js").write_text(javascript_bundle(), encoding="utf-8")


@pytest.mark.parametrize("form", ["name", "url", "inline"])
def test_a_page_loads_a_spec_and_feeds_it_new_rows(make, served, open_page, form):
    folder, address = served
    author_page(folder)
    save(make.heat_map(), folder / "chart.vl.json", data=form)
    opened = open_page(address + "feed.html?spec=chart.vl.json", allow=address)
    opened.wait()
    assert opened.state == "drawn"
    first = {"name": 0, "url": 12, "inline": 12}[form]
    assert opened.marks("path") == first
    if form == "name":
        opened.js("feedFrom('heads', 'chart.heads.json')")
        opened.until("document.querySelectorAll('svg g.role-mark path').length === 12")
    if form != "url":  # data by URL is the page's to change by another file, not by name
        rows = [{"layer": layer, "head": head, "value": 0.5} for layer in range(2) for head in range(3)]
        opened.js(f"feed('heads', {json.dumps(rows)})")
        opened.until("document.querySelectorAll('svg g.role-mark path').length === 6")
    assert opened.messages == []
    assert all(asked.startswith(address) for asked in opened.requests)


def test_the_same_page_works_from_disk_with_the_spec_in_it(make, tmp_path, open_page):
    author_page(tmp_path)
    spec = json.dumps(to_spec(make.packed_map(), data="name")).replace("<", "\\u003c")
    page = (tmp_path / "feed.html").read_text(encoding="utf-8").replace("{}</script>", f"{spec}</script>")
    (tmp_path / "feed.html").write_text(page, encoding="utf-8")
    opened = open_page(tmp_path / "feed.html", allow=tmp_path.as_uri()).wait()
    assert (opened.state, opened.marks("path")) == ("drawn", 0)
    opened.js(f"feed('heads', {json.dumps(make.packed_frame().to_dict('records'))})")
    opened.until("document.querySelectorAll('svg g.role-mark path').length === 30")
    assert opened.messages == []
