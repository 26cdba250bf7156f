"""Start-up, and layer × head maps, small with numbers in the cells and large without.

Each peer is what its manual shows: a frame of rows and two marks for Altair, ``imshow`` with a text per cell for
matplotlib, ``imshow`` of plotly express. Pictures have about the same number of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .inputs import load
from .model import Bar, Job, Side

Call = Callable[[], Any]


def ours_json(name: str) -> Call:
    """Build the map and write it as JSON."""
    import headspec

    values = load(name)
    return lambda: headspec.to_json(headspec.visualize_entropy_heatmap(values), theme="light")


def ours_png(name: str) -> Call:
    """Build the map and draw it."""
    import headspec

    values = load(name)
    return lambda: headspec.to_png(headspec.visualize_entropy_heatmap(values), theme="light", scale=2)


def _naive(name: str, *, labels: bool) -> Call:
    import altair as alt
    import numpy as np
    import pandas as pd

    alt.data_transformers.disable_max_rows()
    values = load(name)

    def chart() -> Any:
        layer, head = np.indices(values.shape)
        frame = pd.DataFrame({"layer": layer.ravel(), "head": head.ravel(), "entropy": values.ravel()})
        base = alt.Chart(frame, title="Entropy").encode(x="head:O", y="layer:O")
        cells = base.mark_rect().encode(color="entropy:Q", tooltip=["layer", "head", "entropy"])
        return cells + base.mark_text().encode(text=alt.Text("entropy:Q", format=".2f")) if labels else cells

    return chart


def altair_json(name: str, labels: bool) -> Call:
    """Naive Altair: a row per cell, rects, and texts if asked for."""
    chart = _naive(name, labels=labels)
    return lambda: chart().to_json()


def altair_png(name: str, labels: bool) -> Call:
    """The same as a picture, by the renderer that headspec uses."""
    import io

    chart = _naive(name, labels=labels)

    def call() -> bytes:
        out = io.BytesIO()
        chart().save(out, format="png", scale_factor=2)
        return out.getvalue()

    return call


def matplotlib_png(name: str) -> Call:
    """An image with a colour bar, axis labels and a number in each cell, 1000 × 860 pixels."""
    import io

    import matplotlib.pyplot as plt

    values = load(name)
    middle = float(values.max()) / 2

    def call() -> bytes:
        figure, axes = plt.subplots(figsize=(5, 4.3), dpi=200)
        image = axes.imshow(values, cmap="viridis")
        for (layer, head), value in _cells(values):
            ink = "black" if value > middle else "white"
            axes.text(head, layer, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=5)
        axes.set(title="Entropy", xlabel="Head", ylabel="Layer")
        figure.colorbar(image)
        out = io.BytesIO()
        figure.savefig(out, format="png")
        plt.close(figure)
        return out.getvalue()

    return call


def seaborn_png(name: str) -> Call:
    """``seaborn.heatmap`` with its annotations, of the same size."""
    import io

    import matplotlib.pyplot as plt
    import seaborn

    values = load(name)

    def call() -> bytes:
        figure, axes = plt.subplots(figsize=(5, 4.3), dpi=200)
        seaborn.heatmap(values, cmap="viridis", annot=True, fmt=".2f", annot_kws={"size": 5}, ax=axes)
        axes.set(title="Entropy", xlabel="Head", ylabel="Layer")
        out = io.BytesIO()
        figure.savefig(out, format="png")
        plt.close(figure)
        return out.getvalue()

    return call


def plotly_json(name: str) -> Call:
    """``plotly.express.imshow``, plotly's way to show an array; it packs the array as base64."""
    import plotly.express as px

    values = load(name)
    words = {"x": "Head", "y": "Layer"}
    return lambda: px.imshow(values, title="Entropy", labels=words, color_continuous_scale="viridis").to_json()


def trace_json(name: str) -> Call:
    """A bare heat map trace of plotly's lower level: no more than the array as base64. It has no bar."""
    import plotly.graph_objects as go

    values = load(name)
    return lambda: go.Figure(go.Heatmap(z=values, colorscale="Viridis")).to_json()


def _cells(values: Any) -> Any:
    import numpy as np

    return np.ndenumerate(values)


SMALL, LARGE = "measure 12 12", "measure 126 128"

JOBS = (
    Job(
        "import",
        "`import headspec`, whole process",
        Side("headspec", "import headspec"),
        (Side("altair + pandas", "import altair, pandas"),),
        (Bar("time", 0.20, "altair + pandas"),),
        calls=9,
    ),
    Job(
        "small-map-json",
        "12 × 12 labelled map, JSON",
        Side("headspec", ours_json, (SMALL,)),
        (Side("naive Altair", altair_json, (SMALL, True)),),
        (Bar("time", 3, "naive Altair"),),
        needs=(SMALL,),
        calls=25,
    ),
    Job(
        "small-map-png",
        "12 × 12 labelled map, PNG",
        Side("headspec", ours_png, (SMALL,)),
        (
            Side("naive Altair", altair_png, (SMALL, True)),
            Side("matplotlib", matplotlib_png, (SMALL,)),
            Side("seaborn", seaborn_png, (SMALL,)),
        ),
        (Bar("time", 1.3, "naive Altair"), Bar("time", 2.5, "matplotlib"), Bar("time", 2.5, "seaborn")),
        needs=(SMALL,),
        calls=15,
    ),
    Job(
        "map-json",
        "126 × 128 map, JSON",
        Side("headspec", ours_json, (LARGE,)),
        (
            Side("naive Altair", altair_json, (LARGE, False)),
            Side("plotly", plotly_json, (LARGE,)),
            Side("plotly's bare trace", trace_json, (LARGE,)),
        ),
        (
            Bar("time", 0.5, "naive Altair"),
            Bar("time", 1.5, "plotly"),
            Bar("time", None, "plotly's bare trace"),
            Bar("bytes", 0.12, "naive Altair"),
            Bar("bytes", 1.0, "plotly"),
        ),
        needs=(LARGE,),
        calls=15,
    ),
    Job(
        "map-png",
        "126 × 128 map, PNG",
        Side("headspec", ours_png, (LARGE,)),
        bars=(Bar("time", 1.0),),
        needs=(LARGE,),
    ),
)
