"""A whole offline page in headless Chromium: wall seconds from opening the file to the drawn chart.

BertViz's page asks a CDN for three scripts; they are served from a local folder (``--scripts``), which is kinder to it than a
network. CircuitsVis and plotly carry theirs in the page. Each page is opened in a fresh context of a warm browser. The clock
stops two frames after every head (or the heat map) stands in the document. CircuitsVis' stops as soon as its canvases stand
there, before it has drawn on them: it draws by WebGL, which takes a minute where there is no graphics card.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .inputs import load
from .model import Bar, Job, Side

Call = Callable[[], Any]

_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
_REDRAW = """async () => {
    const view = window.headspec.view;
    const times = [];
    for (let round = 0; round < 7; round++) {
        const start = performance.now();
        await view.signal("height", view.signal("height") + (round % 2 ? -1 : 1)).runAsync();
        times.push(performance.now() - start);
    }
    return Math.min(...times) / 1000;
}"""
SCRIPTS = {
    "require.min.js": "requirejs/require.js",
    "d3.min": "d3/dist/d3.min.js",
    "jquery.min": "jquery/dist/jquery.min.js",
}


_STAMP = """
const watch = new MutationObserver(() => {
    if (window.stoodAt === undefined && (%s)) { window.stoodAt = performance.now() / 1000; watch.disconnect(); }
});
watch.observe(document, {subtree: true, childList: true});
"""


def _opened(html: str, ready: str, *, redraw: str = "", painted: bool = True) -> Call:
    """Return the call that opens a page and waits until an expression is true in it, and painted."""
    from playwright.sync_api import sync_playwright

    browser_path = os.environ.get("HEADSPEC_CHROMIUM") or shutil.which("chromium")
    scripts = os.environ.get("HEADSPEC_BENCH_SCRIPTS")
    folder = tempfile.TemporaryDirectory()
    page_path = Path(folder.name) / "page.html"
    page_path.write_text(html, encoding="utf-8")
    browser = (
        sync_playwright().start().chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
    )

    def serve(route: Any) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:")):
            return route.continue_()
        known = next((path for name, path in SCRIPTS.items() if name in url), None)
        if known is None or scripts is None:
            return route.abort()
        return route.fulfill(path=Path(scripts) / known, content_type="text/javascript")

    def call() -> dict[str, float]:
        assert folder
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        context.route("**/*", serve)
        page = context.new_page()
        page.set_default_timeout(140_000)
        if not painted:
            page.add_init_script(_STAMP % ready)
        start = time.perf_counter()
        page.goto(page_path.as_uri(), wait_until="commit")
        deadline = start + 140
        while not page.evaluate(ready):
            if time.perf_counter() > deadline:
                raise TimeoutError("the page was not drawn within 140 s")
            page.wait_for_timeout(2)
        page.evaluate(_FRAMES)
        found = {"time": time.perf_counter() - start, "bytes": float(len(html.encode()))}
        if not painted:
            found["time"] = page.evaluate("window.stoodAt")
        if redraw:
            found["redraw"] = page.evaluate(redraw)
        context.close()
        return found

    return call


def ours_heads(name: str) -> Call:
    """All heads, as `headspec.save` writes the page."""
    import headspec
    from headspec.charts.attention_heads import visualize_attention_heads

    chart = visualize_attention_heads(tuple(load(name)))
    html = headspec.to_html(chart, theme="light", fallback=False)
    return _opened(html, "document.documentElement.dataset.state === 'drawn'", redraw=_REDRAW)


def ours_matrix(name: str) -> Call:
    """One matrix, as `headspec.save` writes the page."""
    import headspec

    chart = headspec.visualize_attention_matrix(load(name), max_value=None)
    html = headspec.to_html(chart, theme="light", fallback=False)
    return _opened(html, "document.documentElement.dataset.state === 'drawn'", redraw=_REDRAW)


def bertviz_heads(name: str) -> Call:
    """``model_view`` of all heads."""
    import torch
    from bertviz import model_view

    if not os.environ.get("HEADSPEC_BENCH_SCRIPTS"):
        raise ImportError("its page needs a network or --scripts")
    layers = tuple(torch.from_numpy(layer) for layer in load(name))
    tokens = [f"token{place}" for place in range(layers[0].shape[-1])]
    heads = len(layers) * layers[0].shape[1]
    html = f'<!doctype html><meta charset="utf-8"><body>{model_view(layers, tokens, html_action="return").data}'
    return _opened(html, f"document.querySelectorAll('[id^=attn_background_]').length >= {heads}")


def circuitsvis_heads(name: str) -> Call:
    """``attention_heads`` of all heads, in its offline form."""
    import torch
    from circuitsvis.attention import attention_heads

    layers = load(name)
    heads = torch.from_numpy(layers.reshape(-1, *layers.shape[-2:]))
    names = [f"L{layer} H{head}" for layer in range(layers.shape[0]) for head in range(layers.shape[2])]
    tokens = [f"token{place}" for place in range(layers.shape[-1])]
    drawn = attention_heads(attention=heads, tokens=tokens, attention_head_names=names).local_src
    html = f'<!doctype html><meta charset="utf-8"><body>{drawn}'
    return _opened(html, f"document.querySelectorAll('canvas').length >= {len(names)}", painted=False)


def plotly_matrix(name: str) -> Call:
    """One heat map trace, with plotly's script in the page."""
    import plotly.graph_objects as go

    figure = go.Figure(go.Heatmap(z=load(name), colorscale="Viridis"))
    figure.update_yaxes(autorange="reversed")
    html = figure.to_html(include_plotlyjs=True)
    return _opened(html, "document.querySelectorAll('.plotly-graph-div .heatmaplayer image').length > 0")


HEADS, MATRIX = "attention 12 12 64", "matrix 1024"
FRAME = 1 / 60

JOBS = (
    Job(
        "page-heads",
        "12 × 12 heads × 64², page in Chromium",
        Side("headspec", ours_heads, (HEADS,)),
        (Side("BertViz", bertviz_heads, (HEADS,), 150), Side("CircuitsVis", circuitsvis_heads, (HEADS,), 150)),
        (Bar("time", 0.15, "BertViz"), Bar("time", 0.8, "CircuitsVis"), Bar("redraw", FRAME, note="a frame, 16.7 ms")),
        needs=(HEADS,),
        wall=True,
    ),
    Job(
        "page-matrix",
        "1,024² matrix, page in Chromium",
        Side("headspec", ours_matrix, (MATRIX,)),
        (Side("plotly", plotly_matrix, (MATRIX,)),),
        (Bar("time", 0.65, "plotly"), Bar("redraw", FRAME, note="a frame, 16.7 ms")),
        needs=(MATRIX,),
        wall=True,
    ),
)
