"""Training histories, tables of results, and the script bundle of a page.

Histories are twelve metrics. Altair and plotly get every point, which is what their manuals show for lines, and a panel with
all lines; matplotlib a line per metric. Of results, the peers group by model, strategy, level and stage and draw means with
their spread, a column per model: once recovery is that of the means (one ``groupby``), once that of each run, which is what
headspec shows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .inputs import FOLDER, METRICS, load, results_frame
from .model import Bar, Job, Side

Call = Callable[[], Any]


def _history(name: str) -> dict[str, Any]:
    import numpy as np

    values = load(name)
    return {"step": np.arange(values.shape[1]), **dict(zip(METRICS, values, strict=True))}


def ours_json(name: str) -> Call:
    """The training chart of all twelve metrics, as JSON."""
    import headspec

    history = _history(name)
    return lambda: headspec.to_json(headspec.visualize_training_progress(history, 1200, metrics=METRICS), theme="light")


def ours_png(name: str) -> Call:
    """The same as a picture, at scale 1."""
    import headspec

    history = _history(name)
    return lambda: headspec.to_png(
        headspec.visualize_training_progress(history, 1200, metrics=METRICS), theme="light", scale=1
    )


def altair_json(name: str) -> Call:
    """Naive Altair: a long frame and one line mark, a colour per metric."""
    import altair as alt
    import pandas as pd

    alt.data_transformers.disable_max_rows()
    history = _history(name)

    def call() -> str:
        frame = pd.DataFrame(history).melt("step", var_name="metric")
        chart = alt.Chart(frame, title="Training").mark_line()
        return str(chart.encode(x="step:Q", y="value:Q", color="metric:N").to_json())

    return call


def plotly_json(name: str) -> Call:
    """A line trace per metric."""
    import plotly.graph_objects as go

    history = _history(name)

    def call() -> str:
        figure = go.Figure([go.Scattergl(x=history["step"], y=history[metric], name=metric) for metric in METRICS])
        figure.update_layout(title="Training", xaxis_title="step")
        return str(figure.to_json())

    return call


def matplotlib_png(name: str) -> Call:
    """A panel per metric. Ours puts the five losses into one, in half the pixels.

    For that, matplotlib takes 0.8 of the time with the legend in a given corner, and 1.5 where it looks for the best one.
    """
    import io

    import matplotlib.pyplot as plt

    history = _history(name)

    def call() -> bytes:
        figure, panels = plt.subplots(len(METRICS), 1, sharex=True, figsize=(7, 22), dpi=100)
        for axes, metric in zip(panels, METRICS, strict=True):
            axes.plot(history["step"], history[metric])
            axes.set_ylabel(metric)
        panels[-1].set_xlabel("step")
        out = io.BytesIO()
        figure.savefig(out, format="png")
        plt.close(figure)
        return out.getvalue()

    return call


def ours_results(name: str) -> Call:
    """The summary of an experiment, as JSON."""
    import headspec

    frame = results_frame(name)
    return lambda: headspec.to_json(headspec.plot_experiment_summary(frame), theme="light")


def _summary(stages: Any, recovery: Any) -> str:
    import altair as alt

    bars = (
        alt.Chart(stages)
        .mark_bar()
        .encode(
            x="strategy:N", y="mean:Q", color="strategy:N", xOffset="stage:N", column="model:N", row="pruning_level:O"
        )
    )
    lines = (
        alt.Chart(recovery)
        .mark_line(point=True)
        .encode(x="pruning_level:Q", y="recovery:Q", color="strategy:N", column="model:N")
    )
    return str((bars & lines).to_json())


def grouped_results(name: str) -> Call:
    """One ``groupby`` with mean and spread; recovery of the means."""
    import altair  # noqa: F401

    frame = results_frame(name)

    def call() -> str:
        groups = frame.groupby(["model", "strategy", "pruning_level", "stage"])["perplexity"]
        stages = groups.agg(["mean", "std"])
        wide = stages["mean"].unstack("stage")
        lost = wide["pruned"] - wide["baseline"]
        recovery = (100 * (wide["pruned"] - wide["fine_tuned"]) / lost).rename("recovery")
        return _summary(stages.reset_index(), recovery.reset_index())

    return call


def paired_results(name: str) -> Call:
    """The same with the recovery of each run, averaged."""
    import altair  # noqa: F401

    frame = results_frame(name)

    def call() -> str:
        keys = ["model", "strategy", "pruning_level"]
        stages = frame.groupby([*keys, "stage"])["perplexity"].agg(["mean", "std"])
        wide = frame.pivot(index=[*keys, "seed"], columns="stage", values="perplexity")
        lost = wide["pruned"] - wide["baseline"]
        recovery = (100 * (wide["pruned"] - wide["fine_tuned"]) / lost).rename("recovery")
        return _summary(stages.reset_index(), recovery.groupby(keys).mean().reset_index())

    return call


def ours_bundle() -> Call:
    """The bundle that an earlier process kept, read and checked by its hash."""
    import os

    os.environ["HEADSPEC_CACHE"] = str(Path(os.environ[FOLDER]) / "bundle")
    from headspec.output import bundle

    if not list((Path(os.environ[FOLDER]) / "bundle").glob("*.js")):
        bundle.javascript_bundle()
        bundle.javascript_bundle.cache_clear()
    return bundle.javascript_bundle


def new_bundle() -> Call:
    """The renderer's bundle, made anew."""
    import vl_convert

    return lambda: str(vl_convert.javascript_bundle())


SHORT, LONG, RESULTS = "history 100000", "history 1000000", "results 1000000"
OURS_SHORT = Side("ours at 100,000", ours_json, (SHORT,))

JOBS = (
    Job(
        "history-json",
        "100,000 × 12 history, JSON",
        Side("headspec", ours_json, (SHORT,)),
        (Side("naive Altair", altair_json, (SHORT,)), Side("plotly", plotly_json, (SHORT,))),
        (Bar("time", 0.02, "naive Altair"), Bar("time", 0.6, "plotly"), Bar("bytes", 0.02, "plotly")),
        needs=(SHORT,),
    ),
    Job(
        "history-png",
        "100,000 × 12 history, PNG",
        Side("headspec", ours_png, (SHORT,)),
        (Side("matplotlib", matplotlib_png, (SHORT,)),),
        (Bar("time", 0.6, "matplotlib"),),
        needs=(SHORT,),
    ),
    Job(
        "history-long",
        "1,000,000 × 12 history, JSON",
        Side("headspec", ours_json, (LONG,)),
        (Side("plotly", plotly_json, (LONG,)), OURS_SHORT),
        (Bar("time", 0.06, "plotly"), Bar("time", 4, OURS_SHORT.name), Bar("bytes", 1.15, OURS_SHORT.name)),
        needs=(LONG, SHORT),
    ),
    Job(
        "results",
        "1,000,000 results rows, summary",
        Side("headspec", ours_results, (RESULTS,)),
        (
            Side("pandas groupby + Altair", grouped_results, (RESULTS,)),
            Side("pandas per run + Altair", paired_results, (RESULTS,)),
        ),
        (
            Bar("time", 1.0, "pandas groupby + Altair"),
            Bar("time", 1.0, "pandas per run + Altair"),
            Bar("bytes", 20e3),
        ),
        needs=(RESULTS,),
    ),
    Job(
        "bundle",
        "a page's script bundle",
        Side("headspec", ours_bundle),
        (Side("bundling anew", new_bundle),),
        (Bar("time", 0.05, "bundling anew"),),
        calls=3,
        cold=True,
    ),
)
