from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import altair as alt
import pandas as pd
import pytest

from headspec.errors import DataError, KindError
from headspec.output.page import filled, script_json, template, to_html
from headspec.output.spec import to_spec

HOSTILE = [
    "</script><script>document.title='pwned'</script>",
    "<!--<script>",
    "'+alert(1)+'",
    '"><img src=x onerror=alert(1)>',
    "&lt;b&gt; &amp;",
    "{{bundle}} {{title}}",
    "\\u003c",
]


class Reader(HTMLParser):
    """The parts of a page, as a browser's parser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self._inside:
            self.texts[self._inside[-1]] = self.texts.get(self._inside[-1], "") + data

    def attribute(self, tag: str, name: str) -> list[str | None]:
        return [attrs[name] for found, attrs in self.tags if found == tag and name in attrs]

    @property
    def payload(self) -> dict:
        return json.loads(self.scripts[0][1])


def test_the_page_holds_the_spec_two_scripts_and_nothing_that_is_fetched(make):
    text = to_html(make.heat_map(), fallback=False, theme="light")
    page = Reader(text)
    assert page.payload["spec"] == to_spec(make.heat_map(), theme="light")
    assert [attrs for attrs, _ in page.scripts] == [{"type": "application/json", "id": "spec"}, {}, {}]
    assert not [tag for tag, attrs in page.tags if tag in ("link", "iframe", "object", "base") or "src" in attrs]
    outside = text.replace(page.scripts[1][1], "").replace(page.scripts[0][1], "")
    assert not re.search(r"https?://", outside)


def test_the_policy_allows_the_two_scripts_by_hash_and_no_connection(make):
    page = Reader(to_html(make.heat_map(), fallback=False))
    (policy,) = (attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == rules["base-uri"] == "'none'"
    assert rules["style-src"] == "'unsafe-inline'"
    assert rules["img-src"] == "data:"
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for _, text in page.scripts[1:]
    ]
    assert rules["script-src"].split() == hashes
    assert "unsafe" not in rules["script-src"]


def test_title_language_and_alternative_text(make):
    page = Reader(to_html(make.heat_map(title="Entropy <0>", description="Says “it” & <more>."), lang="de-CH"))
    assert page.attribute("html", "lang") == ["de-CH"]
    assert page.texts["title"] == page.texts["h1"] == "Entropy <0>"
    assert page.texts["figcaption"] == "Says “it” & <more>."
    assert page.attribute("img", "alt") == ["Says “it” & <more>."]
    assert page.attribute("img", "src")[0].startswith("data:image/png;base64,iVBOR")
    assert Reader(to_html(make.heat_map(), title="Mine", fallback=False)).texts["title"] == "Mine"
    assert Reader(to_html(make.bars(description="One. Two."), fallback=False)).texts["title"] == "One."
    assert page.texts["h1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_data(make, text):
    frame = pd.DataFrame({"strategy": [text], "perplexity": [1.0]})
    chart = make.bars(frame, title=text, description=text).encode(
        x=alt.X("strategy:N", title=text), tooltip="strategy:N"
    )
    page = Reader(to_html(chart, fallback=False))
    plain = Reader(to_html(make.bars(), fallback=False))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.scripts[1:] == plain.scripts[1:]
    assert page.payload["spec"]["datasets"]["results"][0]["strategy"] == text
    assert page.payload["spec"]["title"] == page.payload["spec"]["encoding"]["x"]["title"] == text
    assert page.texts["title"] == page.texts["figcaption"] == text
    raw = re.search(r'id="spec">(.*?)</script>', to_html(chart, fallback=False), re.S)[1]
    assert not set(raw) & set("<>&")


def test_json_in_a_script_element_is_the_same_json():
    value = {"a": HOSTILE, "b": "\u2028\u2029\x00\x07\ud800"}
    text = script_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    text.encode("utf-8")


def test_what_fills_a_template_is_not_filled_again():
    assert filled("{{a}}-{{b}}", {"a": "{{b}}", "b": "{{a}}"}) == "{{b}}-{{a}}"


def test_light_dark_and_auto(make):
    chart = make.heat_map()
    auto, dark = Reader(to_html(chart, fallback=False)), Reader(to_html(chart, theme="dark", fallback=False))
    assert auto.payload["spec"] == to_spec(chart, theme="light")
    assert auto.payload["spec"] | auto.payload["dark"] == to_spec(chart, theme="dark") == dark.payload["spec"]
    assert dark.payload["dark"] is None
    assert dark.payload["night"] is True
    background = to_spec(chart, theme="dark")["config"]["background"]
    assert f"--page: {background}" in dark.texts["style"]
    assert f"--page: {background}" in auto.texts["style"].split("prefers-color-scheme: dark")[1]
    scheme = [attrs["content"] for _, attrs in auto.tags if attrs.get("name") == "color-scheme"]
    assert scheme == ["light dark"]
    with alt.theme.enable("headspec_paper"):
        assert Reader(to_html(chart, fallback=False)).payload["dark"] is None


@pytest.mark.parametrize(
    "colour", ["red;} body{display:none", "</style><script>", "url(http://x)", "var(--x)", "#12345"]
)
def test_a_background_that_is_no_plain_colour_stays_out_of_the_style(make, colour):
    text = to_html(make.bars(), background=colour, fallback=False)
    assert colour not in Reader(text).texts["style"]


def test_large_charts_are_drawn_on_a_canvas(make):
    assert Reader(to_html(make.heat_map(), fallback=False)).payload["renderer"] == "svg"
    many = make.heat_map(make.heads_frame(70, 70))
    assert Reader(to_html(many, fallback=False)).payload["renderer"] == "canvas"


@pytest.mark.parametrize("lang", ["", 'en"><script>', "e", 3, None])
def test_a_language_that_is_no_tag_is_refused(make, lang):
    with pytest.raises(DataError, match="language tag"):
        to_html(make.bars(), lang=lang, fallback=False)


def test_a_title_that_is_no_text_is_refused(make):
    with pytest.raises(KindError, match="title is a str"):
        to_html(make.bars(), title=3, fallback=False)  # type: ignore[arg-type]


def test_a_page_is_small_beside_its_scripts(make):
    page = to_html(make.heat_map(), fallback=False)
    assert len(page) - len(Reader(page).scripts[1][1]) < 25_000


def test_templates_are_found_as_package_data():
    assert "{{payload}}" in template("page.html")
    assert "ast: true" in template("boot.js")
    assert "innerHTML" not in template("boot.js")
