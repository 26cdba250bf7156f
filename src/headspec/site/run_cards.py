"""Which charts follow from what a run holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import headspec
from headspec.site.cards import slug
from headspec.site.drafts import (
    PICK,
    Arg,
    Draft,
    array_code,
    at_steps_arg,
    attention_arg,
    attention_options,
    map_arg,
    plain,
    steps_arg,
    table_arg,
)
from headspec.sources.run_arrays import Attention, HeadMap, HeadSteps
from headspec.sources.run_folder import Run, Table
from headspec.text import head_name, number

UNITS = {"entropy": "nats"}
_SHARED_SCORES = 8
_LARGE = 1_024
"""Tokens above which the charts of all heads leave out the explorer, which carries every weight."""


def drafts_of(run: Run) -> list[Draft]:
    """Return the charts that a run's files give, the most telling first."""
    drafts = [*_training(run), *_heads(run), *_over_steps(run), *_importance(run), *_attention(run), *_results(run)]
    return [draft for draft in drafts if draft.is_known]


def grid_of(run: Run) -> tuple[int, int] | None:
    """Return layers and heads of the run's own model, as its measures have them."""
    shapes: list[tuple[int, ...]] = [item.values.shape for item in run.maps]
    shapes += [item.values.shape[1:] for item in run.steps]
    shapes += [values.shape for item in run.scores for values in item.values.values()]
    return (int(shapes[0][0]), int(shapes[0][1])) if shapes else None


def _marks(run: Run, shape: tuple[int, ...]) -> dict[str, Arg]:
    """Return the events as an argument, for grids of the run's own model: other models have other heads of the same names."""
    grid = grid_of(run)
    if not run.events or (grid is not None and tuple(shape) != grid):
        return {}
    table = headspec.events_table(run.events[0].value)
    if len(table) and (table["layer"].max() >= shape[0] or table["head"].max() >= shape[1]):
        return {}
    return {"events": table_arg(run.events[0], "events")}


def _unlike(base: str, item: HeadMap | HeadSteps | Attention | Table, among: int) -> str:
    """Return the name of a page: the kind alone where there is one, else with the file and the measure."""
    stem = item.file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    own = item.name if isinstance(item, Attention) else getattr(item, "measure", "")
    return base if among < 2 else slug(f"{base} {stem} {own if own != stem else ''}")


def _titled(item: HeadMap, default: str, among: int) -> str:
    at = f" at step {number(item.step, digits=6)}" if item.step is not None else ""
    named = f"{default}: {item.measure}" if among > 1 else default
    return item.title or f"{named}{at}"


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
            _unlike("training-progress", table, len(run.histories)),
            title,
            "How did the metrics go, and what did pruning do to them?",
            f"From {table.file}.",
            ["loss", "history", run.name],
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
    if series is not None and _marks(run, series.values.shape[1:]):
        options |= {
            "values": steps_arg(series),
            "value_steps": at_steps_arg(series),
            "measure": plain(series.measure),
            "unit_name": plain(UNITS.get(series.kind, "")),
        }
    elif (grid := grid_of(run)) and _marks(run, grid):
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
        title = _titled(item, "Attention entropy", len(entropies))
        yield Draft(
            "visualize_entropy_heatmap",
            [map_arg(item)],
            {"title": plain(title), **_marks(run, item.values.shape), "select": plain(PICK)},
            _unlike("entropy-heatmap", item, len(entropies)),
            title,
            "Which heads attend sharply, and which spread their attention?",
            f"From {item.file}.",
            ["entropy", "heat map", run.name],
            live=True,
        )
    for item in gradients:
        yield from _gradients(run, item, len(gradients))
    for one in entropies:
        other = next((item for item in gradients if item.values.shape == one.values.shape), None)
        if other is None:
            continue
        title = _titled(one, "Entropy against gradient norm", len(entropies))
        yield Draft(
            "visualize_entropy_vs_gradient",
            [map_arg(one, "entropy"), map_arg(other, "gradient")],
            {"title": plain(title), **_marks(run, one.values.shape), "select": plain(PICK)},
            _unlike("entropy-vs-gradient", one, len(entropies)),
            title,
            "Are the heads with diffuse attention the ones that no longer learn?",
            f"From {one.file}." if one.file == other.file else f"From {one.file} and {other.file}.",
            ["entropy", "gradients", "scatter", run.name],
            live=True,
        )


def _gradients(run: Run, item: HeadMap, among: int) -> Iterator[Draft]:
    title = _titled(item, "Gradient norms", among)
    marks = _marks(run, item.values.shape)
    yield Draft(
        "visualize_gradient_norms",
        [map_arg(item)],
        {"title": plain(title), **marks, "select": plain(PICK)},
        _unlike("gradient-norms", item, among),
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
            _unlike("head-gradients", item, among),
            f"{title}, head by head",
            "Which heads still learn, and which are about to be pruned?",
            f"From {item.file}.",
            ["gradients", "bars", "vulnerable", run.name],
            live=True,
        )


def _over_steps(run: Run) -> Iterator[Draft]:
    chosen = [item for item in run.steps if item.kind in ("entropy", "gradient") and len(item.values) > 1]
    for kind in ("entropy", "gradient"):
        series = max((item for item in chosen if item.kind == kind), key=lambda item: len(item.values), default=None)
        if series is None:
            continue
        ends = [number(float(step), digits=6) for step in (series.steps[0], series.steps[-1])]
        yield Draft(
            "visualize_head_difference",
            [steps_arg(series, 0, "before"), steps_arg(series, -1, "after")],
            {
                "labels": plain((f"step {ends[0]}", f"step {ends[1]}")),
                "measure": plain(series.measure),
                "unit_name": plain(UNITS.get(kind, "")),
                **_marks(run, series.values.shape[1:]),
                "select": plain(PICK),
            },
            f"difference-{kind}",
            f"What training changed: {series.measure.replace('_', ' ')}",
            "Which heads changed, and which way?",
            f"From {series.file}: the first of its {len(series.steps):,} steps against the last.",
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
            {"title": plain(title), **_marks(run, shape)},
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
            [plain(model), Arg({item.key: item.values for item in maps}, code, "scores")],
            {"title": plain(title), **_marks(run, maps[0].values.shape)},
            slug(f"head-importance {file.rsplit('.', 1)[0]}"),
            title,
            "Do the measures agree on which heads matter?",
            f"From {file}.",
            ["importance", "ranks", run.name],
        )


# --- attention ---------------------------------------------------------------------------------------------------------------


def _attention(run: Run) -> Iterator[Draft]:
    several = len(run.attention)
    own = [item for item in run.attention if _marks(run, _heads_of(item))] or run.attention[:1]
    for item in run.attention:
        name = item.title or item.name.replace("_", " ")
        shape = _heads_of(item)
        many = shape[0] * shape[1] > 1
        marks = _marks(run, shape)
        first = item is own[0]
        if many and first and item.size <= _LARGE:
            yield _all_heads(item, "visualize_head_explorer", name, marks, several, run)
        if many:
            yield _all_heads(item, "visualize_attention_heads", name, marks, several, run, live=first)
            yield _normalised(item, name, marks, several, run)
        layer, head = sharpest(item)
        yield Draft(
            "visualize_attention_matrix",
            [attention_arg(item), plain(layer), plain(head)],
            {"title": plain(f"{name}: {head_name(layer, head)}"), **attention_options(item)},
            _unlike("attention-matrix", item, several),
            f"{name}: {head_name(layer, head)}",
            "What does the head look at that looks most sharply?",
            f"From {item.file}. Of all heads this one puts the most weight on one key besides the first and the query itself.",
            ["attention", "tokens", run.name],
        )


def _heads_of(item: Attention) -> tuple[int, int]:
    layers = item.layers
    arrays = list(layers.values()) if isinstance(layers, dict) else list(layers)
    return len(arrays), max(int(array.shape[1]) for array in arrays)


def _all_heads(
    item: Attention, function: str, name: str, marks: dict[str, Arg], several: int, run: Run, *, live: bool = True
) -> Draft:
    words = {
        "visualize_head_explorer": (
            "Explorer",
            "What does each head measure, and what does it look at?",
            "head-explorer",
        ),
        "visualize_attention_heads": ("All heads", "What do all heads look at?", "attention-heads"),
    }
    lead, question, page = words[function]
    return Draft(
        function,
        [attention_arg(item)],
        {
            "title": plain(f"{lead}: {name}"),
            **attention_options(item),
            **marks,
            **({} if function == "visualize_head_explorer" else {"select": plain(PICK)}),
        },
        _unlike(page, item, several if page != "head-explorer" else 1),
        f"{lead}: {name}",
        question,
        f"From {item.file}.",
        ["attention", "heads", run.name],
        live=live,
    )


def _normalised(item: Attention, name: str, marks: dict[str, Arg], several: int, run: Run) -> Draft:
    options = {key: arg for key, arg in attention_options(item, tokens=False).items() if key != "batch_idx"}
    return Draft(
        "visualize_normalized_entropy",
        [],
        {"attention": attention_arg(item), "title": plain(f"Normalised entropy: {name}"), **options, **marks},
        _unlike("normalized-entropy", item, several),
        f"Normalised entropy: {name}",
        "How close does each head come to attending uniformly?",
        f"From {item.file}.",
        ["entropy", "normalised", run.name],
    )


def sharpest(item: Attention) -> tuple[int, int]:
    """Return the head that puts most weight on one key besides the first and the query itself, on average over queries."""
    layers = item.layers
    pairs = layers.items() if isinstance(layers, dict) else enumerate(layers)
    best, found = -1.0, (0, 0)
    for layer, array in pairs:
        for head in range(array.shape[1]):
            weights = np.array(array[item.batch][head], dtype=np.float64)
            weights[:, 0] = 0
            np.fill_diagonal(weights, 0)
            score = float(np.nan_to_num(weights).max(axis=1).mean())
            if score > best:
                best, found = score, (int(layer), head)
    return found


# --- results -----------------------------------------------------------------------------------------------------------------


def _results(run: Run) -> Iterator[Draft]:
    for table in run.results:
        among = len(run.results)
        yield Draft(
            "plot_experiment_summary",
            [table_arg(table, "results")],
            {"title": plain(table.config.title)} if table.config.title else {},
            _unlike("experiment-summary", table, among),
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
                    slug(f"{_unlike(function.split('_', 1)[1], table, among)} {model if len(models) > 1 else ''}"),
                    f"{title}: {model}" if len(models) > 1 else title,
                    question,
                    f"From {table.file}, at the highest pruning level.",
                    ["strategies", "perplexity", run.name],
                )
