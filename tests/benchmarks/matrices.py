"""One head's attention matrix: every cell of it, and pooled to the panel by the rule above 20,000 cells.

Altair gets a row per cell, as its manual shows; plotly express ``imshow`` of the float32 array, which it packs as base64;
matplotlib ``imshow`` with a colour bar, at about the pixels of ours. The head is causal and diffuse: all of its weights differ,
which is the least that packing can gain.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .inputs import load
from .model import Bar, Job, Side

Call = Callable[[], Any]


def ours_json(name: str, cells: str, tokens: bool = False) -> Call:
    """Build the matrix's chart and write it as JSON."""
    import headspec

    weights = load(name)
    labels = [f"token{place}" for place in range(len(weights))] if tokens else None
    draw = functools.partial(headspec.visualize_attention_matrix, weights, cells=cells, tokens=labels, max_value=None)
    return lambda: headspec.to_json(draw(), theme="light")


def ours_png(name: str) -> Call:
    """Build the matrix's chart and draw it at scale 2."""
    import headspec

    weights = load(name)
    return lambda: headspec.to_png(headspec.visualize_attention_matrix(weights, max_value=None), theme="light", scale=2)


def altair_json(name: str) -> Call:
    """Naive Altair: a row and a rect per cell."""
    import altair as alt
    import numpy as np
    import pandas as pd

    alt.data_transformers.disable_max_rows()
    weights = load(name)

    def call() -> str:
        query, key = np.indices(weights.shape)
        frame = pd.DataFrame({"query": query.ravel(), "key": key.ravel(), "weight": weights.ravel()})
        chart = alt.Chart(frame, title="Attention").mark_rect()
        return str(chart.encode(x="key:O", y="query:O", color="weight:Q", tooltip=["query", "key", "weight"]).to_json())

    return call


def plotly_json(name: str) -> Call:
    """``plotly.express.imshow``, plotly's way to show an array; it packs the array as base64."""
    import plotly.express as px

    weights = load(name)
    words = {"x": "Key", "y": "Query"}
    return lambda: px.imshow(weights, title="Attention", labels=words, color_continuous_scale="viridis").to_json()


def trace_json(name: str) -> Call:
    """A bare heat map trace of plotly's lower level: no more than the array as base64. It has no bar."""
    import plotly.graph_objects as go

    weights = load(name)
    return lambda: go.Figure(go.Heatmap(z=weights, colorscale="Viridis")).to_json()


def matplotlib_png(name: str) -> Call:
    """``imshow`` with a colour bar, 1000 × 900 pixels."""
    import io

    import matplotlib.pyplot as plt

    weights = load(name)

    def call() -> bytes:
        figure, axes = plt.subplots(figsize=(5, 4.5), dpi=200)
        figure.colorbar(axes.imshow(weights, cmap="viridis"))
        axes.set(title="Attention", xlabel="Key", ylabel="Query")
        out = io.BytesIO()
        figure.savefig(out, format="png")
        plt.close(figure)
        return out.getvalue()

    return call


def _exact(tokens: int, naive: float) -> Job:
    name = f"matrix {tokens}"
    return Job(
        f"matrix-{tokens}-exact",
        f"{tokens:,}² matrix, every cell, JSON",
        Side("headspec", ours_json, (name, "exact")),
        (
            Side("naive Altair", altair_json, (name,)),
            Side("plotly", plotly_json, (name,)),
            Side("plotly's bare trace", trace_json, (name,)),
        ),
        (
            Bar("time", naive, "naive Altair"),
            Bar("time", 1.5, "plotly"),
            Bar("time", None, "plotly's bare trace"),
            Bar("bytes", 0.05, "naive Altair"),
            Bar("bytes", 0.4, "plotly"),
        ),
        needs=(name,),
    )


def _pooled(tokens: int, naive: float | None, plotly: float) -> Job:
    name = f"matrix {tokens}"
    bare = "plotly's bare trace"
    peers = [Side("plotly", plotly_json, (name,)), Side(bare, trace_json, (name,))]
    bars = [Bar("time", plotly, "plotly"), Bar("time", None, bare), Bar("bytes", 60e3)]
    if naive is not None:
        peers.insert(0, Side("naive Altair", altair_json, (name,)))
        bars.insert(0, Bar("time", naive, "naive Altair"))
    title = f"{tokens:,}² matrix, pooled, JSON"
    return Job(
        f"matrix-{tokens}-json", title, Side("headspec", ours_json, (name, "auto")), tuple(peers), tuple(bars), (name,)
    )


def _labelled(tokens: int) -> Job:
    name = f"matrix {tokens}"
    return Job(
        f"matrix-{tokens}-tokens",
        f"{tokens:,}² matrix, pooled, JSON with tokens",
        Side("headspec", ours_json, (name, "auto", True)),
        bars=(Bar("bytes", 150e3),),
        needs=(name,),
        calls=1,
    )


def _picture(tokens: int, time: float, *memory: Bar) -> Job:
    name = f"matrix {tokens}"
    return Job(
        f"matrix-{tokens}-png",
        f"{tokens:,}² matrix, PNG",
        Side("headspec", ours_png, (name,)),
        (Side("matplotlib", matplotlib_png, (name,)),),
        (Bar("time", time, "matplotlib"), *memory),
        needs=(name,),
    )


JOBS = (
    _exact(256, 0.15),
    _exact(1024, 0.05),
    _pooled(1024, 0.02, 0.6),
    _pooled(4096, None, 0.12),
    _labelled(1024),
    _labelled(4096),
    _picture(256, 2.0),
    _picture(1024, 2.0),
    _picture(4096, 0.5, Bar("peak", 0.3, "matplotlib")),
)
