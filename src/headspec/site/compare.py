"""Comparison of runs: the same chart side by side on one scale, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import pandas as pd

import headspec
from headspec.site.beside import THERE, Beside
from headspec.site.cards import Card, reading_of_doc, slug
from headspec.site.compare_attention import attention_comparisons
from headspec.site.drafts import PICK, Arg, Draft, imports, map_arg, plain, table_arg
from headspec.site.maps import side_by_side
from headspec.site.run_words import UNITS, marks_of
from headspec.sources.run import Run, Table
from headspec.sources.run_arrays import HeadMap
from headspec.text import count

CATEGORY = "Comparison"
MOST_DELTAS = 7
_WORDS = {"entropy": "Attention entropy", "gradient": "Gradient norm"}


class Compared(NamedTuple):
    """A comparison that is to be drawn: its title, whether it is shown with the others, and what makes its card."""

    title: str
    is_live: bool
    make: Callable[[], Card]


def comparisons(runs: Sequence[Run]) -> Iterator[Compared]:
    """Yield each comparison that the runs allow."""
    if len(runs) < 2:
        return
    beside = Beside(runs)
    yield from _histories(runs, beside)
    for kind in ("entropy", "gradient"):
        having = [(run, run.of_kind(kind)[0]) for run in runs if run.of_kind(kind)]
        if len(having) < 2:
            continue
        title = f"{_WORDS[kind]} of {count(len(having), 'run')}"
        yield Compared(title, True, partial(_maps, having, kind, title, beside))
        for first, before, run, after in _pairs(having)[:MOST_DELTAS]:
            draft = _delta(first, beside.of(first, before), run, beside.of(run, after), kind)
            yield Compared(draft.title, True, partial(_in_category, draft))
    for title, is_live, make in attention_comparisons(runs, beside):
        yield Compared(title, is_live, partial(_in_category_of, make))
    yield from _results(runs, beside)


def _in_category(draft: Draft) -> Card:
    card = draft.card()
    return replace(card, category=CATEGORY, code=THERE + card.code.partition("\n")[2])


def _in_category_of(make: Callable[[], Card]) -> Card:
    return replace(make(), category=CATEGORY)


def _pairs(having: Sequence[tuple[Run, HeadMap]]) -> list[tuple[Run, HeadMap, Run, HeadMap]]:
    """Return each run beside the first one that has as many layers and heads: others are other models, whose heads have no match."""
    firsts: dict[tuple[int, ...], tuple[Run, HeadMap]] = {}
    out = []
    for run, item in having:
        first, before = firsts.setdefault(item.values.shape, (run, item))
        if first is not run:
            out.append((first, before, run, item))
    return out


def _maps(having: Sequence[tuple[Run, HeadMap]], kind: str, title: str, beside: Beside) -> Card:
    given = {run.name: map_arg(beside.of(run, item)) for run, item in having}
    events = {
        run.name: table_arg(beside.of(run, run.events[0]), "")
        for run, item in having
        if marks_of(run, item.values.shape)
    }
    measure = "gradient_norm" if kind == "gradient" else kind
    options = {"title": title, "measure": measure, "unit_name": UNITS.get(kind, "")}
    chart = side_by_side(
        {name: arg.value for name, arg in given.items()},
        **options,
        events={name: arg.value for name, arg in events.items()},
        select=PICK,
    )
    words = "".join(f"    {name}={value!r},\n" for name, value in options.items())
    body = (
        f"maps = {{\n{_lines(given)}}}\nevents = {{\n{_lines(events)}}}\n"
        f"chart = side_by_side(\n    maps,\n{words}    events=events,\n    select={PICK!r},\n)\n"
    )
    grids = {item.values.shape for _, item in having}
    return Card(
        chart=chart,
        title=title,
        question="Do the same heads stand out in every run?"
        if len(grids) == 1
        else "Which heads stand out in each of the models?",
        text="The same colours mean the same values in all maps.",
        category=CATEGORY,
        tags=[kind, "runs", *(run.name for run, _ in having)],
        code=f"{THERE}{imports(body, ['from headspec.site.maps import side_by_side'])}\n{body}",
        reading=reading_of_doc(side_by_side),
        name=f"compare-{kind}",
        kind="side-by-side",
    )


def _lines(args: dict[str, Arg]) -> str:
    return "".join(f"    {name!r}: {arg.code},\n" for name, arg in args.items())


def _delta(first: Run, before: HeadMap, run: Run, after: HeadMap, kind: str) -> Draft:
    measure = before.measure if before.measure == after.measure else kind
    return Draft(
        "visualize_head_difference",
        [replace(_as_measure(item, measure), name=name) for item, name in ((before, "before"), (after, "after"))],
        {
            "labels": plain((first.name, run.name)),
            "measure": plain(measure),
            "unit_name": plain(UNITS.get(kind, "")),
            "select": plain(PICK),
        },
        slug(f"difference {kind} {first.name} {run.name}"),
        f"{_WORDS[kind]}: {run.name} − {first.name}",
        "Which heads differ between the runs, and which way?",
        f"{run.name} minus {first.name}, head by head.",
        ["difference", kind, "runs", first.name, run.name],
    )


def _as_measure(item: HeadMap, measure: str) -> Arg:
    """Return a map; rows that name their measure otherwise are given the name that both sides share."""
    arg = map_arg(item)
    if item.rows is None or item.measure == measure:
        return arg
    return replace(arg, value=arg.value.assign(measure=measure), code=f"{arg.code}.assign(measure={measure!r})")


def _histories(runs: Sequence[Run], beside: Beside) -> Iterator[Compared]:
    having = [(run, run.histories[0]) for run in runs if run.histories]
    if len(having) > 1:
        title = f"Training of {count(len(having), 'run')}"
        yield Compared(title, True, partial(_training, having, title, beside))


def _training(having: Sequence[tuple[Run, Table]], title: str, beside: Beside) -> Card:
    tables, codes = [], []
    for run, table in having:
        step, epoch = table.config.step, table.config.epoch
        found = headspec.history_table(table.value, run=run.name, step=step, epoch=epoch)
        tables.append(found.assign(run=run.name) if table.recorded else found)
        read = f"headspec.history_table({table_arg(beside.of(run, table), '').code}, run={run.name!r}, step={step!r}, epoch={epoch!r})"
        codes.append(f"    {read}{f'.assign(run={run.name!r})' if table.recorded else ''},\n")
    frame = pd.concat([table.astype({"run": "str", "metric": "str"}) for table in tables], ignore_index=True)
    body = (
        f"tables = [\n{''.join(codes)}]\n"
        'history = pd.concat([table.astype({"run": "str", "metric": "str"}) for table in tables], ignore_index=True)\n'
        f"chart = headspec.visualize_training_progress(history, title={title!r})\n"
    )
    return Card(
        chart=headspec.visualize_training_progress(frame, title=title),
        title=title,
        question="Which run learned faster, and which lost more to pruning?",
        category=CATEGORY,
        tags=["loss", "history", "runs", *(run.name for run, _ in having)],
        code=f"{THERE}{imports(body)}\n{body}",
        reading=reading_of_doc(headspec.visualize_training_progress),
        name="compare-training",
        kind="training-progress",
    )


def _results(runs: Sequence[Run], beside: Beside) -> Iterator[Compared]:
    having = [(run, run.results[0]) for run in runs if run.results]
    if len(having) > 1:
        title = f"Pruning experiments of {count(len(having), 'run')}"
        yield Compared(title, False, partial(_experiments, having, title, beside))


def _experiments(having: Sequence[tuple[Run, Table]], title: str, beside: Beside) -> Card:
    args = {run.name: table_arg(beside.of(run, table), "") for run, table in having}
    frames = []
    for name, arg in args.items():
        rows = headspec.results_table(arg.value)
        frames.append(rows.assign(model=[f"{name}: {model}" for model in rows["model"]]))
    body = (
        f"tables = {{\n{_lines(args)}}}\nparts = []\nfor name, table in tables.items():\n"
        "    rows = headspec.results_table(table)\n"
        '    parts.append(rows.assign(model=[f"{name}: {model}" for model in rows["model"]]))\n'
        f"results = pd.concat(parts, ignore_index=True)\nchart = headspec.plot_experiment_summary(results, title={title!r})\n"
    )
    return Card(
        chart=headspec.plot_experiment_summary(pd.concat(frames, ignore_index=True), title=title),
        title=title,
        question="In which run does pruning cost least?",
        category=CATEGORY,
        tags=["perplexity", "recovery", "runs", *(run.name for run, _ in having)],
        code=f"{THERE}{imports(body)}\n{body}",
        reading=reading_of_doc(headspec.plot_experiment_summary),
        name="compare-experiments",
        kind="experiment-summary",
    )
