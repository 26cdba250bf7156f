"""What a notebook gets: an output that is live, a picture without scripts, and text that stays text."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

import headspec
import headspec.notebook
from headspec.errors import DataError
from headspec.notebook.display import renderer, scripts


@pytest.fixture
def enabled() -> Any:
    headspec.notebook.enable()
    yield headspec.visualize_entropy_heatmap(np.arange(12.0).reshape(3, 4), pruned_heads=[(0, 1)])
    headspec.notebook.disable()


def test_importing_changes_nothing() -> None:
    code = "import altair as alt; before = alt.renderers.active; import headspec.notebook; assert alt.renderers.active == before"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_enable_sets_altairs_renderer_and_disable_takes_it_back() -> None:
    before = alt.renderers.active
    headspec.notebook.enable("png")
    assert alt.renderers.active == "headspec"
    headspec.notebook.disable()
    assert alt.renderers.active == before == "default"


def test_the_renderer_is_an_entry_point() -> None:
    with alt.renderers.enable("headspec"):
        bundle = alt.Chart(pd.DataFrame({"a": [1]})).mark_point().encode(x="a:Q")._repr_mimebundle_()
    assert "text/html" in bundle


def test_an_output_is_data_a_picture_and_words(enabled: Any) -> None:
    bundle = enabled._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/plain"] == headspec.summary(enabled)
    html = bundle["text/html"]
    assert headspec.summary(enabled) in html  # the picture's alternative text
    picture = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert picture is not None
    assert base64.b64decode(picture.group(1)).startswith(b"\x89PNG")
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html).group(1))
    assert len(payload["spec"]["datasets"]["heads"]) == 12
    assert payload["dark"]["config"]


def test_an_output_stays_small_and_the_scripts_stand_once(enabled: Any) -> None:
    html = enabled._repr_mimebundle_()["text/html"]
    assert len(html) < 60_000
    assert "vegaEmbed" not in html
    assert 880_000 < len(scripts()) < 950_000


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_alone(form: str) -> None:
    headspec.notebook.enable(form)
    try:
        bundle = headspec.visualize_entropy_heatmap([[0.5]])._repr_mimebundle_()
    finally:
        headspec.notebook.disable()
    assert set(bundle) == {{"png": "image/png", "svg": "image/svg+xml"}[form], "text/plain"}


def test_a_picture_of_its_own_for_converters_that_read_no_html() -> None:
    spec = headspec.to_spec(headspec.visualize_entropy_heatmap([[0.5]]), theme="none")
    assert set(renderer(spec, png=True)) == {"text/html", "text/plain", "image/png"}


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(DataError, match="known are live, png and svg"):
        headspec.notebook.enable("gif")  # type: ignore[arg-type]


HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"


def page(*outputs: str) -> str:
    return f"<!doctype html><html lang='en'><head><title>notebook</title></head><body>{''.join(outputs)}</body></html>"


def outputs_of(*charts: Any) -> list[str]:
    headspec.notebook.enable()
    try:
        return [chart._repr_mimebundle_()["text/html"] for chart in charts]
    finally:
        headspec.notebook.disable()


def test_outputs_are_drawn_in_a_page_and_hostile_text_stays_text(tmp_path: Path, open_page: Any) -> None:
    hostile = (
        alt.Chart(pd.DataFrame({"a": [1, 2], "b": [HOSTILE, "y"]}), title=HOSTILE).mark_bar().encode(x="b:N", y="a:Q")
    )
    calm = headspec.visualize_entropy_heatmap(np.ones((2, 2)))
    first, second, third = outputs_of(hostile, calm, calm)
    # one output stands before the scripts, as it does where a notebook is scrolled into view from below
    (tmp_path / "nb.html").write_text(page(first, scripts(), second, scripts(), third), encoding="utf-8")
    opened = open_page(tmp_path / "nb.html")
    opened.until("Array.from(document.querySelectorAll('figure.headspec')).every(f => f.dataset.state === 'drawn')")
    assert opened.page.title() == "notebook"
    assert opened.messages == []
    assert opened.requests == []
    assert opened.js("document.querySelectorAll('figure.headspec img[hidden]').length") == 3


def test_an_output_that_comes_later_is_drawn_too(tmp_path: Path, open_page: Any) -> None:
    (output,) = outputs_of(headspec.visualize_entropy_heatmap(np.ones((2, 2))))
    (tmp_path / "nb.html").write_text(page(scripts()), encoding="utf-8")
    opened = open_page(tmp_path / "nb.html")
    opened.page.evaluate("html => { document.body.insertAdjacentHTML('beforeend', html); }", output)
    opened.until("document.querySelector('figure.headspec').dataset.state === 'drawn'")


def test_without_scripts_the_picture_is_there(tmp_path: Path, open_page: Any) -> None:
    (output,) = outputs_of(headspec.visualize_entropy_heatmap(np.ones((2, 2))))
    (tmp_path / "nb.html").write_text(page(scripts(), output), encoding="utf-8")
    opened = open_page(tmp_path / "nb.html", scripts=False)
    assert opened.page.locator("figure.headspec img").is_visible()


def test_the_theme_that_was_enabled_in_altair_is_kept() -> None:
    chart = headspec.visualize_entropy_heatmap([[0.5]])
    with alt.theme.enable("headspec_dark"):
        (output,) = outputs_of(chart)
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', output).group(1))
    assert payload["spec"]["config"]["background"] == "#14171c"
    assert payload["dark"] is None


def test_a_notebook_that_was_run_holds_the_scripts_once(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [
        "import headspec, headspec.notebook\nheadspec.notebook.enable()",
        "headspec.visualize_entropy_heatmap([[0.5, 1.0]])",
        "headspec.visualize_gradient_norms([[0.5, 1.0]])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    nbformat.validate(notebook)
    text = nbformat.writes(notebook)
    assert text.count("window.vegaEmbed=") == 1
    assert [len(cell.outputs) for cell in notebook.cells] == [1, 1, 1]
    assert len(text) < 1_100_000
