"""What a notebook gets: an output that is live, a picture without scripts, and text that stays text."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html import escape
from pathlib import Path
from types import SimpleNamespace
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
    assert len(html) < 40_000
    assert "vegaEmbed" not in html
    assert 880_000 < len(scripts()) < 950_000


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_alone(form: str) -> None:
    headspec.notebook.enable(form)
    try:
        bundle = headspec.visualize_entropy_heatmap([[0.5]])._repr_mimebundle_()
    finally:
        headspec.notebook.disable()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    assert set(data) == {{"png": "image/png", "svg": "image/svg+xml"}[form], "text/plain"}
    assert set(metadata) == ({"image/png"} if form == "png" else set())


def test_a_picture_of_its_own_for_converters_that_read_no_html() -> None:
    spec = headspec.to_spec(headspec.visualize_entropy_heatmap([[0.5]]), theme="none")
    data, metadata = renderer(spec, png=True, scale=2)
    assert set(data) == {"text/html", "text/plain", "image/png"}
    shown, real = metadata["image/png"], int.from_bytes(data["image/png"][16:20], "big")
    assert real == 2 * shown["width"]  # finer, not larger


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(DataError, match="known are live, png and svg"):
        headspec.notebook.enable("gif")  # type: ignore[arg-type]


HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"


def page(*outputs: str) -> str:
    return f"<!doctype html><html lang='en'><head><title>notebook</title></head><body>{''.join(outputs)}</body></html>"


def bundles_of(*charts: Any) -> list[dict[str, Any]]:
    headspec.notebook.enable()
    try:
        return [chart._repr_mimebundle_() for chart in charts]
    finally:
        headspec.notebook.disable()


def outputs_of(*charts: Any) -> list[str]:
    return [bundle["text/html"] for bundle in bundles_of(*charts)]


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


VSCODE = """([outputs]) => {
  for (const html of outputs) {  // as its renderer of text/html does: what is inserted is inert, scripts are made anew
    const item = document.body.appendChild(document.createElement("div"));
    item.innerHTML = html;
    for (const node of Array.from(item.getElementsByTagName("script"))) {
      const script = document.createElement("script");
      script.text = node.innerText;
      if (node.type) { script.setAttribute("type", node.type); }
      item.appendChild(script).parentNode.removeChild(script);
    }
  }
}"""


@pytest.mark.parametrize("later", [False, True])
def test_where_scripts_are_made_anew_as_in_vs_code(later: bool, tmp_path: Path, open_page: Any) -> None:
    (output,) = outputs_of(headspec.visualize_entropy_heatmap(np.ones((2, 2))))
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    text = page().replace("<title>", f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>')
    (tmp_path / "nb.html").write_text(text, encoding="utf-8")
    opened = open_page(tmp_path / "nb.html")
    # a view that is opened in the middle of the notebook comes to the scripts last
    opened.page.evaluate(VSCODE, [[output, scripts()] if later else [scripts(), output]])
    opened.until("document.querySelector('figure.headspec').dataset.state === 'drawn'")
    assert opened.messages == []


@pytest.mark.parametrize(
    ("theme", "dark"),
    [
        ("data-jp-theme-light=false", True),
        ("data-jp-theme-light=true", False),
        ("data-vscode-theme-kind=vscode-dark", True),
        ("data-vscode-theme-kind=vscode-high-contrast", True),
        ("data-vscode-theme-kind=vscode-high-contrast-light", False),
    ],
)
def test_the_theme_follows_the_notebook(theme: str, dark: bool, tmp_path: Path, open_page: Any) -> None:
    (output,) = outputs_of(headspec.visualize_entropy_heatmap(np.ones((2, 2))))
    text = page(scripts(), output).replace("<body>", f"<body {theme}>")
    (tmp_path / "nb.html").write_text(text, encoding="utf-8")
    opened = open_page(tmp_path / "nb.html", dark=not dark)  # whatever the system has
    opened.until("document.querySelector('figure.headspec').dataset.state === 'drawn'")
    assert opened.js("document.querySelector('figure.headspec').headspecView.background()") == (
        "#14171c" if dark else "#ffffff"
    )


def test_where_each_output_has_a_frame_of_its_own_the_picture_stands(tmp_path: Path, open_page: Any) -> None:
    """As in Colab; scripts may run there, but those of another output are out of reach."""
    (output,) = outputs_of(headspec.visualize_entropy_heatmap(np.ones((2, 2))))
    frames = [
        f'<iframe sandbox="allow-scripts" srcdoc="{escape(page(html))}"></iframe>' for html in (scripts(), output)
    ]
    (tmp_path / "nb.html").write_text(page(*frames), encoding="utf-8")
    opened = open_page(tmp_path / "nb.html")
    picture = opened.page.frame_locator("iframe >> nth=1").locator("figure.headspec img")
    assert picture.is_visible()
    assert picture.evaluate("image => image.naturalWidth") > 100
    assert opened.messages == []


def test_a_picture_wider_than_the_page_keeps_its_proportions(tmp_path: Path, open_page: Any) -> None:
    (output,) = outputs_of(headspec.visualize_entropy_heatmap(np.ones((2, 24))))
    (tmp_path / "nb.html").write_text(page(output), encoding="utf-8")
    opened = open_page(tmp_path / "nb.html", scripts=False, size=(400, 400))
    shown = opened.page.locator("img").bounding_box()
    width, height = (int(found) for found in re.findall(r'(?:width|height)="(\d+)"', output)[:2])
    assert shown["width"] < 400 < width
    assert shown["width"] / shown["height"] == pytest.approx(width / height, rel=0.02)


@pytest.mark.parametrize(("app", "background"), [("system", "#ffffff"), ("dark", "#14171c")])
def test_in_marimo_a_chart_is_its_spec_with_all_its_rows(
    app: str, background: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(running_in_notebook=lambda: True, app_meta=lambda: SimpleNamespace(theme=app))
    monkeypatch.setitem(sys.modules, "marimo", found)
    (bundle,) = bundles_of(headspec.visualize_entropy_heatmap(np.ones((2, 3))))
    assert list(bundle) == ["application/vnd.vegalite.v6+json"]
    spec = bundle["application/vnd.vegalite.v6+json"]
    assert len(spec["datasets"]["heads"]) == 6
    assert spec["config"]["background"] == background
    monkeypatch.setattr(found, "running_in_notebook", lambda: False)  # imported elsewhere, it changes nothing
    assert "text/html" in bundles_of(headspec.visualize_entropy_heatmap(np.ones((2, 3))))[0]


def test_the_theme_that_was_enabled_in_altair_is_kept() -> None:
    chart = headspec.visualize_entropy_heatmap([[0.5]])
    with alt.theme.enable("headspec_dark"):
        (output,) = outputs_of(chart)
    payload = json.loads(re.search(r'<script type="application/json">(.*?)</script>', output).group(1))
    assert payload["spec"]["config"]["background"] == "#14171c"
    assert payload["dark"] is None


def test_a_notebook_that_was_run_holds_the_scripts_once(executed: Any) -> None:
    text = json.dumps(executed)
    assert text.count("window.vegaEmbed=") == 1
    assert [len(cell.outputs) for cell in executed.cells] == [1, 1, 1]
    assert len(text) < 1_000_000


@pytest.mark.parametrize("live", [True, False])
def test_the_page_that_nbconvert_makes(live: bool, executed: Any, tmp_path: Path, open_page: Any) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    text, _ = nbconvert.HTMLExporter().from_notebook_node(executed)
    (tmp_path / "nb.html").write_text(text, encoding="utf-8")
    opened = open_page(tmp_path / "nb.html", scripts=live)
    figures = opened.page.locator("figure.headspec")
    assert figures.count() == 2
    if live:  # nbconvert's own page asks for RequireJS and MathJax, which are blocked here
        opened.until("Array.from(document.querySelectorAll('figure.headspec')).every(f => f.dataset.state === 'drawn')")
        assert opened.page.locator("figure.headspec svg.marks").count() == 2
    else:
        assert all(figure.locator("img").is_visible() for figure in figures.all())
