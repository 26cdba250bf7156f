"""The pages as text: links, ids, headings, and text that tries to be more than text."""

from __future__ import annotations

import json
import re

from headspec.site.cards import Card
from headspec.site.draw import CODE_LETTERS


def test_every_link_of_every_page_leads_somewhere(site, make):
    assert make.check_links(site) == 4


def test_a_page_says_what_its_card_says(site):
    text = (site / "charts/entropy-of-heads.html").read_text(encoding="utf-8")
    for part in (
        "Which heads attend sharply?",
        "Dark is sharp.",
        "ntropy of 2 layers × 2 heads",
        "visualize_entropy_heatmap",
    ):
        assert part in re.sub(r"</?span[^>]*>", "", text)
    assert 'rel="next" href="perplexity.html"' in text
    assert 'rel="prev"' not in text


def test_the_summary_is_the_alternative_text(site):
    text = (site / "charts/entropy-of-heads.html").read_text(encoding="utf-8")
    summary = re.search(r'<p id="summary">(.*?)</p>', text).group(1)
    assert "ntropy of 2 layers × 2 heads: 0.2 to 1.9 nats" in summary
    assert f'<noscript><img src="entropy-of-heads.png" alt="{summary}"' in text


def test_hostile_text_stays_text(site, make):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script>window" not in text
        assert "49" not in re.findall(r"<h1>.*?</h1>", text)[0]  # a template in a title is not run
        assert len(re.findall(r"<script[ >]", text)) == make.read_page(page).tags["script"]
    index = (site / "assets/index.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("window.headspecIndex = ").removesuffix(";\n"))
    assert [entry["name"] for entry in found][:2] == ["entropy-of-heads", "perplexity"]
    assert make.hostile.lower() in found[2]["words"]
    assert "entropy-heatmap" in found[0]["words"]


def test_nothing_is_fetched_from_elsewhere(site):
    for page in [*site.rglob("*.html"), site / "assets/site.css"]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"""(src|srcset|action)=["']?(https?:)?//|@import|url\(""", text), page.name
    assert all("default-src 'none'" in page.read_text(encoding="utf-8") for page in site.rglob("*.html"))


def test_the_index_counts_its_categories(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'data-value="(Heads|Experiments|)"[^>]*>\w+ <span>(\d)</span>', text) == [
        ("", "3"),
        ("Heads", "1"),
        ("Experiments", "1"),
    ]
    assert text.count('loading="lazy"') == 6


def test_an_address_of_the_editor_only_where_it_is_short(site, make, build):
    import altair as alt
    import pandas as pd

    assert "vega.github.io/editor" in (site / "charts/perplexity.html").read_text(encoding="utf-8")
    frame = pd.DataFrame({"a": range(3000), "b": [place * place % 7919 for place in range(3000)]})
    built = build([Card(chart=alt.Chart(frame).mark_point().encode(x="a:Q", y="b:Q"), title="Large", code="x = 1\n")])
    text = (built.folder / "charts/large.html").read_text(encoding="utf-8")
    assert "vega.github.io/editor" not in text
    assert f"The first {CODE_LETTERS:,} of" in text
    assert "200 of 3,000 rows" in text
    assert make.check_links(built.folder) == 2


def test_without_a_pdf_the_page_does_not_promise_one(site):
    page = next(path for path in (site / "charts").glob("*.html") if "pwned" in path.name)
    has = page.with_suffix(".pdf").is_file()  # a renderer that can put emoji into a PDF may come
    assert (f"{page.stem}.pdf" in page.read_text(encoding="utf-8")) == has


def test_a_gallery_of_nothing_is_a_page(build, make):
    built = build([])
    assert make.check_links(built.folder) == 1
