"""Comparison of the attention that several runs give to the same text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt

import headspec
from headspec.arrays import ArrayLike
from headspec.axes import attention_layers
from headspec.charts import parts
from headspec.charts.attention_heads_parts import one_sequence
from headspec.charts.cells import narrow
from headspec.charts.describe import sentence
from headspec.errors import DataError
from headspec.site.beside import THERE, Beside, events_of
from headspec.site.cards import Card, reading_of_doc, slug
from headspec.site.drafts import PICK, Arg, attention_arg, attention_options, imports, table_arg
from headspec.site.maps import measure_map
from headspec.site.run_attention import heads_of
from headspec.sources.run import Run
from headspec.sources.run_arrays import Attention
from headspec.tables.attention import visible
from headspec.text import clean, count, head_name, number

MOST_RUNS = 4
MOST_TOKENS = 1_024
_COLUMNS, _WIDTH = 2, 460
_MOVED = "share of attention moved"
Having = Sequence[tuple[Run, Attention]]


def attention_side_by_side(
    attentions: Mapping[str, ArrayLike],
    *,
    title: str,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    select: str | None = None,
) -> alt.ConcatChart:
    """Show what all heads of several runs look at, on one colour scale.

    Parameters
    ----------
    attentions
        ``{run: attention}``, each in any form that `headspec.visualize_attention_heads` takes.
    title
        The chart's title.
    options
        ``{run: {argument: value}}`` for `headspec.visualize_attention_heads`: tokens, events, a place in the batch.
    select
        The name of a selection of a head by click, which all share.

    Notes
    -----
    Reading it: one block of thumbnails to a run; a row is a layer. In each thumbnail a row is a query and a column a key, and the
    same colour is the same weight in all blocks. Compare the same place in two blocks: did the head keep its pattern?
    """
    own = options or {}
    stacks = {
        name: one_sequence(attention_layers(values), own.get(name, {}).get("batch_idx"))
        for name, values in attentions.items()
    }
    if not stacks:
        raise DataError("attentions is empty; expected {run: attention}")
    top = max(float(np.nanmax(layer.array)) for layers in stacks.values() for layer in layers)
    heads = max(int(layer.array.shape[0]) for layers in stacks.values() for layer in layers)
    charts, texts = [], []
    for name, values in attentions.items():
        chart = headspec.visualize_attention_heads(
            values, title=clean(name), max_value=top, thumb=max(8, _WIDTH // heads), select=select, **own.get(name, {})
        )
        charts.append(chart)
        texts.append(f"{clean(name)}: {headspec.summary(chart)}")
    note = f"{count(len(charts), 'run')} on one colour scale, up to {top:.3g}"
    with warnings.catch_warnings():  # one pick for all is what is wanted
        warnings.filterwarnings("ignore", message="Automatically deduplicated", category=UserWarning)
        together: alt.ConcatChart = alt.concat(*charts, columns=_COLUMNS)
    return together.properties(
        title=parts.heading(title, [note], width=_WIDTH * min(len(charts), _COLUMNS)),
        description=sentence(note, *texts),
    )


def attention_moved(before: ArrayLike, after: ArrayLike, *, batch: tuple[int, int] = (0, 0)) -> npt.NDArray[np.float64]:
    """Return ``[layer, head]``: the share of its attention that each head moved to other keys, on average over the queries.

    That is the total variation distance, half the sum of absolute differences of a query's weights: 0 where both are the same, 1
    where no key has weight in both. Queries without finite weights on either side are left out.
    """
    pairs = [
        one_sequence(attention_layers(values), place) for values, place in zip((before, after), batch, strict=True)
    ]
    rows = []
    for one, other in zip(*pairs, strict=True):
        first, second = (np.asarray(layer.array, dtype=np.float64) for layer in (one, other))
        if first.shape != second.shape:
            raise DataError(
                f"layer {one.id} has the shapes {first.shape} and {second.shape}; expected the same text and heads"
            )
        moved = np.abs(second - first).sum(axis=-1) / 2
        moved = np.where(np.isfinite(moved), moved, np.nan)
        rows.append([float(np.nanmean(head)) if np.isfinite(head).any() else np.nan for head in moved])
    return np.array(rows)


def changed_weights(
    before: ArrayLike,
    after: ArrayLike,
    layer: int,
    head: int,
    *,
    title: str,
    labels: tuple[str, str] = ("before", "after"),
    tokens: Sequence[str] | None = None,
    batch: tuple[int, int] = (0, 0),
) -> alt.LayerChart:
    """Show how the weights of one head differ: `after` minus `before`.

    Parameters
    ----------
    before, after
        Attention in any form that `headspec.visualize_attention_matrix` takes, of the same text.
    layer, head
        Which head.
    title
        The chart's title.
    labels
        What both sides are.
    tokens
        The tokens of both axes.
    batch
        Which sequence of the batch, of each side.

    Notes
    -----
    Reading it: a row is a query. Orange keys get more of its attention than before, purple ones less, white ones as much.
    """
    one, other = (
        np.asarray(_head(values, layer, head, place), dtype=np.float64)
        for values, place in zip((before, after), batch, strict=True)
    )
    change = other - one
    chart = headspec.visualize_attention_matrix(change, layer, head, title, max_value=None, tokens=tokens)
    sides = f"{clean(labels[1])} minus {clean(labels[0])}"
    ends = [_pair(change, int(place), tokens) for place in (np.nanargmin(change), np.nanargmax(change))]
    queries, keys = change.shape
    text = sentence(
        f"Attention of {head_name(layer, head)}, {sides}, of {count(queries, 'query', 'queries')} × {count(keys, 'key')}",
        f"From {ends[0]} to {ends[1]}",
    )
    return narrow(chart.properties(description=text))


def _head(values: ArrayLike, layer: int, head: int, batch: int) -> Any:
    found = {item.id: item.array for item in one_sequence(attention_layers(values), batch)}
    return found[layer][head]


def _pair(change: npt.NDArray[np.float64], place: int, tokens: Sequence[str] | None) -> str:
    query, key = divmod(place, change.shape[1])
    words = [f" ({visible(tokens[item])})" if tokens is not None else "" for item in (query, key)]
    value = float(change[query, key])
    return f"{'+' if value > 0 else ''}{number(value)} (query {query}{words[0]}, key {key}{words[1]})"


# --- which there are ---------------------------------------------------------------------------------------------------------


def attention_comparisons(runs: Sequence[Run], beside: Beside) -> Iterator[tuple[str, bool, Callable[[], Card]]]:
    """Yield title, whether it is shown with the others, and the maker of each card."""
    for having in _same_text(runs):
        name = having[0][1].title or having[0][1].name.replace("_", " ")
        title = f"All heads of {count(len(having), 'run')}: {name}"
        yield title, True, partial(_beside_card, having, title, beside)
        first, before = having[0]
        for run, after in having[1:]:
            if _same_layers(before, after):
                pair = [(first, before), (run, after)]
                yield (
                    f"Attention that moved: {run.name} − {first.name}, {name}",
                    True,
                    partial(_moved_card, pair, name, beside),
                )
                yield (
                    f"Weights that changed: {run.name} − {first.name}, {name}",
                    False,
                    partial(_changed_card, pair, name, beside),
                )


def _same_layers(one: Attention, other: Attention) -> bool:
    ids = [tuple(item.layer_ids) or tuple(range(heads_of(item)[0])) for item in (one, other)]
    return heads_of(one) == heads_of(other) and ids[0] == ids[1]


def _same_text(runs: Sequence[Run]) -> list[list[tuple[Run, Attention]]]:
    """Return the attention of each text that several runs have, one of each run."""
    groups: list[list[tuple[Run, Attention]]] = []
    for run in runs:
        for item in run.attention:
            if item.size > MOST_TOKENS or heads_of(item) == (1, 1):
                continue
            fitting = (group for group in groups if group[-1][0] is not run and _is_same(group[0][1], item))
            group = next(fitting, None)
            if group is None:
                groups.append([(run, item)])
            else:
                group.append((run, item))
    return [group[:MOST_RUNS] for group in groups if len(group) > 1]


def _is_same(one: Attention, other: Attention) -> bool:
    if one.tokens and other.tokens:
        return one.tokens == other.tokens
    return one.size == other.size and one.name.lower() == other.name.lower()


# --- the cards -----------------------------------------------------------------------------------------------------------------


def _options(run: Run, item: Attention, beside: Beside) -> dict[str, Arg]:
    found = attention_options(item)
    if events_of(run, heads_of(item)):
        found["events"] = table_arg(beside.of(run, run.events[0]), "")
    return found


def _beside_card(having: Having, title: str, beside: Beside) -> Card:
    items = [(run, beside.of(run, item)) for run, item in having]
    given = {run.name: attention_arg(item) for run, item in items}
    options = {run.name: _options(run, item, beside) for run, item in items}
    chart = attention_side_by_side(
        {name: arg.value for name, arg in given.items()},
        title=title,
        options={name: {key: arg.value for key, arg in own.items()} for name, own in options.items()},
        select=PICK,
    )
    codes = "".join(f"    {name!r}: {arg.code},\n" for name, arg in given.items())
    more = "".join(
        f"    {name!r}: {{\n{''.join(f'        {key!r}: {arg.code},{chr(10)}' for key, arg in own.items())}    }},\n"
        for name, own in options.items()
    )
    body = (
        f"attentions = {{\n{codes}}}\noptions = {{\n{more}}}\n"
        f"chart = attention_side_by_side(attentions, title={title!r}, options=options, select={PICK!r})\n"
    )
    return Card(
        chart=chart,
        title=title,
        question="Do the heads look at the same tokens in every run?",
        text="The same colours mean the same weights in all blocks.",
        tags=["attention", "heads", "runs", *(run.name for run, _ in having)],
        code=_code(body, "attention_side_by_side"),
        reading=reading_of_doc(attention_side_by_side),
        name=f"compare-attention-{having[0][1].name}",
        kind="side-by-side",
    )


def _code(body: str, *names: str) -> str:
    own = [f"from headspec.site.compare_attention import {name}" for name in names if f"{name}(" in body]
    own += ["from headspec.site.maps import measure_map"] if "measure_map(" in body else []
    return f"{THERE}{imports(body, own)}\n{body}"


def _pair_code(pair: Having, beside: Beside) -> str:
    names = ("before", "after")
    return "".join(
        f"{name} = {attention_arg(beside.of(run, item)).code}\n" for name, (run, item) in zip(names, pair, strict=True)
    )


def _moved(pair: Having) -> npt.NDArray[np.float64]:
    (_, before), (_, after) = pair
    return attention_moved(before.layers, after.layers, batch=(before.batch, after.batch))


def _batches(pair: Having) -> str:
    places = (pair[0][1].batch, pair[1][1].batch)
    return f", batch={places!r}" if any(places) else ""


def _moved_card(pair: Having, name: str, beside: Beside) -> Card:
    (first, _), (run, _) = pair
    title = f"Attention that moved: {run.name} − {first.name}, {name}"
    chart = measure_map(_moved(pair), title=title, measure=_MOVED, select=PICK)
    body = (
        f"{_pair_code(pair, beside)}moved = attention_moved(before, after{_batches(pair)})\n"
        f"chart = measure_map(moved, title={title!r}, measure={_MOVED!r}, select={PICK!r})\n"
    )
    return Card(
        chart=chart,
        title=title,
        question="Which heads look elsewhere than they did?",
        text="0 is a head that gives every query's attention to the same keys in both runs, 1 one that gives all of it to others: "
        "half the sum of absolute differences, on average over the queries.",
        tags=["attention", "difference", "heads", "runs", first.name, run.name],
        code=_code(body, "attention_moved"),
        reading=reading_of_doc(measure_map),
        name=slug(f"attention-moved {name} {first.name} {run.name}"),
        kind="measure-map",
    )


def _changed_card(pair: Having, name: str, beside: Beside) -> Card:
    (first, before), (run, after) = pair
    moved = np.nan_to_num(_moved(pair), nan=-1.0)
    place, head = (int(item) for item in np.unravel_index(int(moved.argmax()), moved.shape))
    layer = attention_layers(before.layers)[place].id
    title = f"{head_name(layer, head)}, {name}: {run.name} − {first.name}"
    tokens = attention_options(beside.of(first, before)).get("tokens")
    chart = changed_weights(
        before.layers,
        after.layers,
        layer,
        head,
        title=title,
        labels=(first.name, run.name),
        tokens=tokens.value if tokens else None,
        batch=(before.batch, after.batch),
    )
    body = (
        f"{_pair_code(pair, beside)}chart = changed_weights(\n    before,\n    after,\n    {layer},\n    {head},\n"
        f"    title={title!r},\n    labels={(first.name, run.name)!r},\n"
        f"{f'    tokens={tokens.code},{chr(10)}' if tokens else ''}"
        f"{f'    batch={(before.batch, after.batch)!r},{chr(10)}' if before.batch or after.batch else ''})\n"
    )
    return Card(
        chart=chart,
        title=f"Weights that changed: {run.name} − {first.name}, {name}",
        question="Where does the head look now that changed most?",
        text=f"{head_name(layer, head)} moved the largest share of its attention between the runs: {run.name} minus {first.name}.",
        tags=["attention", "difference", "tokens", "runs", first.name, run.name],
        code=_code(body, "changed_weights"),
        reading=reading_of_doc(changed_weights),
        name=slug(f"attention-changed {name} {first.name} {run.name}"),
        kind="attention-matrix",
    )
