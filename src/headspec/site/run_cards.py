"""Which charts follow from what a run holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import headspec
from headspec.site.cards import slug
from headspec.site.drafts import (
    PICK,
    Arg,
    Draft,
    array_code,
    map_arg,
    plain,
    steps_arg,
    steps_options,
    table_arg,
)
from headspec.site.run_attention import attention_drafts
from headspec.site.run_words import UNITS, files_of, grid_of, marks_of, page_name, step_name, titled
from headspec.sources.run import Run
from headspec.sources.run_arrays import HeadMap

_SHARED_SCORES = 8


def drafts_of(run: Run) -> list[Draft]:
    """Return the charts that a run's files give, the most telling first."""
    drafts = [
        *_training(run),
        *_heads(run),
        *_other_measures(run),
        *_over_steps(run),
        *_importance(run),
        *attention_drafts(run),
        *_results(run),
    ]
    return _told_apart(drafts)


def _told_apart(drafts: Sequence[Draft]) -> list[Draft]:
    """Return the drafts with what they are from in the titles that stand more than once."""
    times = Counter(draft.title for draft in drafts)
    out = []
    for draft in drafts:
        file = re.split(r"[.:] |\.$", draft.text.removeprefix("From "))[0]
        out.append(replace(draft, title=f"{draft.title} ({file})") if times[draft.title] > 1 else draft)
    return out


# --- training ------------------------------------------------------------------------------------------------------------


def _training(run: Run) -> Iterator[Draft]:
    for table in run.histories:
        options = {"events": table_arg(run.events[0], "events")} if run.events else {}
        options |= {
            name: plain(value)
            for name, value in (("step", table.config.step), ("epoch", table.config.epoch))
            if value and value != name
        }
        title = table.config.title or "Training progress"
        yield Draft(
            "visualize_training_progress",
            [table_arg(table, "history")],
            {"title": plain(title), **options},
            page_name("training-progress", table, len(run.histories)),
            title,
            "How did the metrics go, and what did pruning do to them?",
            f"From {table.file}.",
            ["loss", "history", run.name],
            live=table is run.histories[0],
        )
    yield from _timeline(run)


def _timeline(run: Run) -> Iterator[Draft]:
    if not run.events:
        return
    options: dict[str, Arg] = {"title": plain("When each head was active")}
    series = max(
        (item for item in run.steps if item.kind == "entropy"), key=lambda item: len(item.values), default=None
    )
    series = series or next((item for item in run.steps if item.kind != "gate"), None)
    if series is not None and marks_of(run, series.values.shape[1:]):
        options |= {
            "values": steps_arg(series),
            **steps_options(series),
            "measure": plain(series.measure),
            "unit_name": plain(UNITS.get(series.kind, "")),
        }
    elif (grid := grid_of(run)) and marks_of(run, grid):
        options |= {"num_layers": plain(grid[0]), "num_heads": plain(grid[1])}
    yield Draft(
        "visualize_head_timeline",
        [table_arg(run.events[0], "events")],
        {**options, "select": plain(PICK)},
        "head-timeline",
        "When each head was active",
        "When was each head pruned, and when did it come back?",
        f"From {run.events[0].file}.",
        ["events", "pruning", "revival", run.name],
        live=True,
    )


# --- measures of heads -----------------------------------------------------------------------------------------------------


def _heads(run: Run) -> Iterator[Draft]:
    entropies, gradients = run.of_kind("entropy"), run.of_kind("gradient")
    for item in entropies:
        title = titled(item, "Attention entropy", entropies)
        yield Draft(
            "visualize_entropy_heatmap",
            [map_arg(item)],
            {"title": plain(title), **marks_of(run, item.values.shape), "select": plain(PICK)},
            page_name("entropy-heatmap", item, len(entropies)),
            title,
            "Which heads attend sharply, and which spread their attention?",
            f"From {item.file}.",
            ["entropy", "heat map", run.name],
            live=True,
        )
    for item in gradients:
        yield from _gradients(run, item, gradients)
    for one in entropies:
        other = next((item for item in gradients if item.values.shape == one.values.shape), None)
        if other is None:
            continue
        title = titled(one, "Entropy against gradient norm", entropies)
        yield Draft(
            "visualize_entropy_vs_gradient",
            [map_arg(one, "entropy"), map_arg(other, "gradient")],
            {"title": plain(title), **marks_of(run, one.values.shape), "select": plain(PICK)},
            page_name("entropy-vs-gradient", one, len(entropies)),
            title,
            "Are the heads with diffuse attention the ones that no longer learn?",
            f"From {one.file}." if one.file == other.file else f"From {one.file} and {other.file}.",
            ["entropy", "gradients", "scatter", run.name],
            live=True,
        )


def _other_measures(run: Run) -> Iterator[Draft]:
    """Yield a map of each measure that no other chart is for."""
    for item in [*run.of_kind("normalized_entropy"), *run.of_kind("other"), *run.of_kind("gate")]:
        words = item.measure.replace("_", " ")
        title = titled(item, words[:1].upper() + words[1:], [item])
        yield Draft(
            "measure_map",
            [map_arg(item)],
            {
                "title": plain(title),
                "measure": plain(item.measure),
                **marks_of(run, item.values.shape),
                "select": plain(PICK),
            },
            page_name("map", item, 2),
            title,
            "Which heads stand out?",
            f"From {item.file}.",
            [words, "heat map", run.name],
            live=True,
            module="headspec.site.maps",
        )


def _gradients(run: Run, item: HeadMap, among: Sequence[HeadMap]) -> Iterator[Draft]:
    title = titled(item, "Gradient norms", among)
    marks = marks_of(run, item.values.shape)
    yield Draft(
        "visualize_gradient_norms",
        [map_arg(item)],
        {"title": plain(title), **marks, "select": plain(PICK)},
        page_name("gradient-norms", item, len(among)),
        title,
        "Where does the learning signal go?",
        f"From {item.file}.",
        ["gradients", "heat map", run.name],
        live=True,
    )
    if np.isfinite(item.values).any() and not (item.values < 0).any():
        yield Draft(
            "plot_head_gradients_with_overlays",
            [map_arg(item)],
            {"title": plain(title), **marks, "select": plain(PICK)},
            page_name("head-gradients", item, len(among)),
            f"{title}, head by head",
            "Which heads still learn, and which are about to be pruned?",
            f"From {item.file}.",
            ["gradients", "bars", "vulnerable", run.name],
            live=True,
        )


def _over_steps(run: Run) -> Iterator[Draft]:
    kinds = dict.fromkeys(
        item.kind if item.kind in UNITS or item.kind == "gradient" else item.measure for item in run.steps
    )
    for kind in kinds:
        mine = [item for item in run.steps if len(item.values) > 1 and kind in (item.kind, item.measure)]
        series = max(mine, key=lambda item: len(item.values), default=None)
        if series is None or series.kind == "gate":
            continue
        yield Draft(
            "visualize_head_difference",
            [map_arg(series.at(0), "before"), map_arg(series.last, "after")],
            {
                "labels": plain(tuple(step_name(float(step)) for step in (series.steps[0], series.steps[-1]))),
                "measure": plain(series.measure),
                "unit_name": plain(UNITS.get(kind, "")),
                **marks_of(run, series.values.shape[1:]),
                "select": plain(PICK),
            },
            slug(f"difference {kind}"),
            f"What training changed: {series.measure.replace('_', ' ')}",
            "Which heads changed, and which way?",
            f"From {files_of(series)}: the first of {len(series.steps):,} steps against the last.",
            ["difference", kind, run.name],
            live=True,
        )


def _importance(run: Run) -> Iterator[Draft]:
    model = run.title
    for item in run.scores:
        values = {name: item.values[name] for name in list(item.values)[:_SHARED_SCORES]}
        shape = next(iter(values.values())).shape
        code = "{" + ", ".join(f"{name!r}: {array_code(item.file, name)}" for name in values) + "}"
        title = item.title or "Importance of the heads"
        yield Draft(
            "visualize_head_importance",
            [plain(model), Arg(values, code, "scores")],
            {"title": plain(title), **marks_of(run, shape)},
            "head-importance" if len(run.scores) < 2 else slug(f"head-importance {item.file}"),
            title,
            "Do the strategies agree on which heads matter?",
            f"From {item.file}.",
            ["importance", "ranks", run.name],
        )
    files = dict.fromkeys(item.file for item in run.of_kind("importance"))
    for file in files:
        maps = [item for item in run.of_kind("importance") if item.file == file][:_SHARED_SCORES]
        code = "{" + ", ".join(f"{item.key!r}: {map_arg(item).code}" for item in maps) + "}"
        title = maps[0].title or f"Importance of the heads, {file}"
        yield Draft(
            "visualize_head_importance",
            [plain(model), Arg({item.key: map_arg(item).value for item in maps}, code, "scores")],
            {"title": plain(title), **marks_of(run, maps[0].values.shape)},
            slug(f"head-importance {file.rsplit('.', 1)[0]}"),
            title,
            "Do the measures agree on which heads matter?",
            f"From {file}.",
            ["importance", "ranks", run.name],
        )


# --- results -----------------------------------------------------------------------------------------------------------------


def _results(run: Run) -> Iterator[Draft]:
    for table in run.results:
        among = len(run.results)
        yield Draft(
            "plot_experiment_summary",
            [table_arg(table, "results")],
            {"title": plain(table.config.title)} if table.config.title else {},
            page_name("experiment-summary", table, among),
            table.config.title or "Pruning experiments at a glance",
            "Which strategy loses least, and how much does fine-tuning win back?",
            f"From {table.file}.",
            ["perplexity", "recovery", "strategies", run.name],
        )
        rows: Any = headspec.results_table(table.value)
        models = list(rows["model"].cat.categories)
        for model in models[:4]:
            mine = rows[rows["model"] == model]
            level = mine["pruning_level"].max()
            options: list[Arg] = [plain([str(name) for name in mine["strategy"].unique()]), plain(str(model))]
            options += [plain(f"{level * 100:.6g}%")] if level == level else []
            pairs = (
                ("plot_strategy_comparison", "Strategies compared", "Which strategy should choose the heads to prune?"),
                (
                    "plot_recovery_comparison",
                    "Recovery and improvement",
                    "How much of the damage did fine-tuning repair?",
                ),
            )
            for function, title, question in pairs:
                yield Draft(
                    function,
                    [table_arg(table, "results"), *options],
                    {},
                    slug(f"{page_name(function.split('_', 1)[1], table, among)} {model if len(models) > 1 else ''}"),
                    f"{title}: {model}" if len(models) > 1 else title,
                    question,
                    f"From {table.file}, at the highest pruning level.",
                    ["strategies", "perplexity", run.name],
                )
