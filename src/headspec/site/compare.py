"""Comparison of runs: the same chart side by side on one scale, and what differs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import altair as alt
import pandas as pd

import headspec
from headspec.arrays import ArrayLike
from headspec.charts import parts
from headspec.charts.cells import grid_of, head_map
from headspec.charts.describe import heads_text, kinds_note, sentence
from headspec.charts.heatmaps import spread, zeros_apart
from headspec.errors import DataError
from headspec.site.cards import Card, slug
from headspec.site.drafts import PICK, Draft, map_arg, plain, table_arg
from headspec.site.run_cards import UNITS
from headspec.site.run_cards import grid_of as grid_of_run
from headspec.sources.run_arrays import HeadMap
from headspec.sources.run_folder import Run
from headspec.tables.heads import heads_table
from headspec.text import clean, count

CATEGORY = "Comparison"
MOST_DELTAS = 7
_COLUMNS = 3
_WORDS = {"entropy": "Attention entropy", "gradient": "Gradient norm"}


def side_by_side(
    maps: Mapping[str, ArrayLike],
    *,
    title: str,
    measure: str = "value",
    unit_name: str = "",
    events: Mapping[str, Any] | None = None,
    select: str | None = None,
) -> alt.ConcatChart:
    """Show the same measure of several runs as maps on one colour scale.

    Parameters
    ----------
    maps
        ``{run: values}``, each in any form that `headspec.heads_table` reads.
    title
        The chart's title.
    measure, unit_name
        What the values are, and their unit.
    events
        ``{run: events}``, to mark pruned and revived heads.
    select
        The name of a selection of a head by click, which all maps share.
    """
    if not maps:
        raise DataError("maps is empty; expected {run: values}")
    marks = events or {}
    tables = {
        clean(name): heads_table(values, measure=measure, events=marks.get(name)) for name, values in maps.items()
    }
    scheme: Any = "magma" if "grad" in measure else "viridis"
    scale = spread(pd.concat(tables.values(), ignore_index=True), "auto", scheme, name="the values of the runs")
    what = measure.replace("_", " ")
    charts, texts = [], []
    for name, table in tables.items():
        drawn = zeros_apart(table, scale)
        legend = f"{what[:1].upper()}{what[1:]}{f' ({unit_name})' if unit_name else ''}"
        chart, notes = head_map(drawn, scale, legend=legend, annotate=True, select=select, panel=300)
        text = heads_text(table, f"{name}: {what}", unit_name)
        width = grid_of(table, panel=300).pixels
        charts.append(
            chart.properties(title=parts.heading(name, [*kinds_note(drawn), *notes], width=width), description=text)
        )
        texts.append(text)
    note = f"{count(len(charts), 'run')} on one {scale.type} colour scale"
    with warnings.catch_warnings():  # one pick for all maps is what is wanted
        warnings.filterwarnings("ignore", message="Automatically deduplicated", category=UserWarning)
        together: alt.ConcatChart = alt.concat(*charts, columns=_COLUMNS)
    return together.properties(
        title=parts.heading(title, [note], width=300 * min(len(charts), _COLUMNS)), description=sentence(*texts, note)
    )


# --- what can be compared ------------------------------------------------------------------------------------------------


def comparisons(runs: Sequence[Run]) -> Iterator[tuple[str, bool, Any]]:
    """Yield title, whether it shows heads, and the maker of each card that compares runs."""
    if len(runs) < 2:
        return
    yield from _histories(runs)
    for kind in ("entropy", "gradient"):
        having = [(run, run.of_kind(kind)[0]) for run in runs if run.of_kind(kind)]
        if len(having) > 1:
            title = f"{_WORDS[kind]} of {count(len(having), 'run')}"
            yield title, True, partial(_maps, having, kind, title)
            (first, before), *others = having
            for run, after in others[:MOST_DELTAS]:
                draft = _delta(first, before, run, after, kind)
                yield draft.title, True, partial(_in_category, draft)
    yield from _results(runs)


def _in_category(draft: Draft) -> Card:
    return replace(draft.card(), category=CATEGORY)


def _beside(run: Run, item: HeadMap) -> HeadMap:
    """Return a map whose file is named from beside the folders of the runs."""
    return replace(item, file=f"{run.folder.resolve().name}/{item.file}")


def _events_of(run: Run, shape: tuple[int, ...]) -> Any:
    if not run.events or grid_of_run(run) != tuple(shape):
        return None
    table = headspec.events_table(run.events[0].value)
    inside = not len(table) or (table["layer"].max() < shape[0] and table["head"].max() < shape[1])
    return run.events[0].value if inside else None


def _maps(having: Sequence[tuple[Run, HeadMap]], kind: str, title: str) -> Card:
    events = {run.name: found for run, item in having if (found := _events_of(run, item.values.shape)) is not None}
    measure = "gradient_norm" if kind == "gradient" else kind
    chart = side_by_side(
        {run.name: item.values for run, item in having},
        title=title,
        measure=measure,
        unit_name=UNITS.get(kind, ""),
        events=events,
        select=PICK,
    )
    lines = [f"    {run.name!r}: {map_arg(_beside(run, item)).code},\n" for run, item in having]
    loads = [
        f"    {run.name!r}: {table_arg(replace(run.events[0], file=f'{run.folder.resolve().name}/{run.events[0].file}'), '').code},\n"
        for run, _ in having
        if run.name in events
    ]
    imports = ["import numpy as np", "", "import headspec", "from headspec.site.compare import side_by_side"]
    if any("load_arrays(" in line for line in lines):
        imports.append("from headspec.sources.arrays import load_arrays")
    code = (
        "\n".join(imports)
        + f"\n\nmaps = {{\n{''.join(lines)}}}\nevents = {{\n{''.join(loads)}}}\n"
        + f"chart = side_by_side(maps, title={title!r}, measure={measure!r}, unit_name={UNITS.get(kind, '')!r}, "
        + f"events=events, select={PICK!r})\n"
    )
    return Card(
        chart=chart,
        title=title,
        question="Do the same heads stand out in every run?",
        text="The same colours mean the same values in all maps.",
        category=CATEGORY,
        tags=[kind, "runs", *(run.name for run, _ in having)],
        code=code,
        name=f"compare-{kind}",
        kind="side-by-side",
    )


def _delta(first: Run, before: HeadMap, run: Run, after: HeadMap, kind: str) -> Draft:
    return Draft(
        "visualize_head_difference",
        [map_arg(_beside(first, before), "before"), map_arg(_beside(run, after), "after")],
        {
            "labels": plain((first.name, run.name)),
            "measure": plain(before.measure if before.measure == after.measure else kind),
            "unit_name": plain(UNITS.get(kind, "")),
            "select": plain(PICK),
        },
        slug(f"difference {kind} {first.name} {run.name}"),
        f"{_WORDS[kind]}: {run.name} − {first.name}",
        "Which heads differ between the runs, and which way?",
        f"{run.name} minus {first.name}, head by head.",
        ["difference", kind, "runs", first.name, run.name],
    )


def _histories(runs: Sequence[Run]) -> Iterator[tuple[str, bool, Any]]:
    having = [(run, run.histories[0]) for run in runs if run.histories]
    if len(having) < 2:
        return
    title = f"Training of {count(len(having), 'run')}"

    def make() -> Card:
        tables, codes = [], []
        for run, table in having:
            step, epoch = table.config.step, table.config.epoch
            tables.append(headspec.history_table(table.value, run=run.name, step=step, epoch=epoch))
            beside = replace(table, file=f"{run.folder.resolve().name}/{table.file}")
            codes.append(
                f"    headspec.history_table({table_arg(beside, '').code}, run={run.name!r}, step={step!r}, epoch={epoch!r}),\n"
            )
        frame = pd.concat([table.astype({"run": "str", "metric": "str"}) for table in tables], ignore_index=True)
        chart = headspec.visualize_training_progress(frame, title=title)
        imports = "import json\nfrom pathlib import Path\n\n" if any("json." in code for code in codes) else ""
        code = (
            f"{imports}import pandas as pd\n\nimport headspec\n\ntables = [\n{''.join(codes)}]\n"
            'history = pd.concat([table.astype({"run": "str", "metric": "str"}) for table in tables], ignore_index=True)\n'
            f"chart = headspec.visualize_training_progress(history, title={title!r})\n"
        )
        return Card(
            chart=chart,
            title=title,
            question="Which run learned faster, and which lost more to pruning?",
            category=CATEGORY,
            tags=["loss", "history", "runs", *(run.name for run, _ in having)],
            code=code,
            name="compare-training",
            kind="training-progress",
        )

    yield title, False, make


def _results(runs: Sequence[Run]) -> Iterator[tuple[str, bool, Any]]:
    having = [(run, run.results[0]) for run in runs if run.results]
    if len(having) < 2:
        return
    title = f"Pruning experiments of {count(len(having), 'run')}"

    def make() -> Card:
        frames = []
        for run, table in having:
            rows: Any = headspec.results_table(table.value)
            frames.append(rows.assign(model=[f"{run.name}: {model}" for model in rows["model"]]))
        chart = headspec.plot_experiment_summary(pd.concat(frames, ignore_index=True), title=title)
        return Card(
            chart=chart,
            title=title,
            question="In which run does pruning cost least?",
            category=CATEGORY,
            tags=["perplexity", "recovery", "runs", *(run.name for run, _ in having)],
            name="compare-experiments",
            kind="experiment-summary",
        )

    yield title, False, make
