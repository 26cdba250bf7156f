"""Comparison of the attention that several runs give to the same text."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import altair as alt
import numpy as np

import headspec
from headspec.arrays import ArrayLike, to_numpy
from headspec.axes import attention_layers
from headspec.charts import parts
from headspec.charts.attention import _token_mask
from headspec.charts.attention_heads_parts import one_sequence
from headspec.charts.attention_parts import Floats
from headspec.charts.cells import narrow
from headspec.charts.describe import sentence
from headspec.errors import DataError
from headspec.site.beside import THERE, Beside
from headspec.site.cards import Card, reading_of_doc, slug
from headspec.site.drafts import PICK, Arg, attention_arg, attention_options, imports, plain, table_arg
from headspec.site.maps import measure_map
from headspec.site.run_attention import heads_of
from headspec.site.run_words import marks_of
from headspec.sources.run import Run
from headspec.sources.run_arrays import Attention
from headspec.tables.attention import visible
from headspec.text import clean, count, head_name, listing, number

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
    if not attentions:
        raise DataError("attentions is empty; expected {run: attention}")
    top, heads = -np.inf, 1
    for name, values in attentions.items():
        batch, mask = (own.get(name, {}).get(option) for option in ("batch_idx", "attention_mask"))
        for layer in one_sequence(attention_layers(values), batch):
            weights = _weights(layer.array, mask, batch)
            top = max(top, float(weights.max(initial=-np.inf, where=np.isfinite(weights))))
            heads = max(heads, len(weights))
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


def attention_moved(
    before: ArrayLike, after: ArrayLike, *, batch: tuple[int, int] = (0, 0), attention_mask: ArrayLike | None = None
) -> dict[int, Floats]:
    """Return for each layer the share of its attention that each head moved to other keys, on average over the queries.

    That is the total variation distance, half the sum of absolute differences of a query's weights: 0 where both are the same, 1
    where no key has weight in both. Queries without finite weights on either side are left out, and so is padding.

    Parameters
    ----------
    before, after
        Attention in any form that `headspec.visualize_attention_heads` takes, of the same text and model.
    batch
        Which sequence of the batch, of each side.
    attention_mask
        ``[key]``: which tokens are real, on both sides.
    """
    one, other = (
        {layer.id: layer for layer in one_sequence(attention_layers(side), place)}
        for side, place in zip((before, after), batch, strict=True)
    )
    if one.keys() != other.keys():
        raise DataError(f"before has the layers {listing(one)} and after {listing(other)}; expected the same")
    out = {}
    for layer in one:
        first, second = (_weights(side[layer].array, attention_mask) for side in (one, other))
        if first.shape != second.shape:
            raise DataError(
                f"layer {layer} has the shapes {first.shape} and {second.shape}; expected the same text and heads"
            )
        with np.errstate(invalid="ignore"):  # infinities on both sides
            moved = np.abs(second - first).sum(axis=-1) / 2
        known = np.isfinite(moved)
        total = moved.sum(axis=-1, where=known)
        out[layer] = np.divide(total, known.sum(axis=-1), out=np.full(len(moved), np.nan), where=known.any(axis=-1))
    return out


def _weights(array: Any, mask: ArrayLike | None, batch: int | None = None) -> Floats:
    """Return the weights ``[…, query, key]`` of some heads: NaN for queries that are padding, 0 for keys that are."""
    weights: Floats = np.ma.filled(np.ma.asarray(to_numpy(array)).astype(np.float64), np.nan)
    queries, keys = _token_mask(mask, (weights.shape[-2], weights.shape[-1]), batch)
    if keys is not None:
        weights[..., ~keys] = 0
    if queries is not None:
        weights[..., ~queries, :] = np.nan
    return weights


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
    attention_mask: ArrayLike | None = None,
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
    attention_mask
        ``[key]``: which tokens are real, on both sides.

    Notes
    -----
    Reading it: a row is a query. Orange keys get more of its attention than before, purple ones less, white ones as much.
    """
    one, other = (
        _weights(_head(side, layer, head, place), attention_mask)
        for side, place in zip((before, after), batch, strict=True)
    )
    change = other - one
    chart = headspec.visualize_attention_matrix(
        change, layer, head, title, max_value=None, tokens=tokens, attention_mask=attention_mask
    )
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


def _pair(change: Floats, place: int, tokens: Sequence[str] | None) -> str:
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
    if marks_of(run, heads_of(item)):
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


def _moved(pair: Having) -> dict[int, Floats]:
    (_, before), (_, after) = pair
    own = {name: arg.value for name, arg in _places(pair).items()}
    return attention_moved(before.layers, after.layers, **own)


def _places(pair: Having, beside: Beside | None = None) -> dict[str, Arg]:
    """Return which sequences of their batches a pair is, and which of its tokens are real."""
    items = [item if beside is None else beside.of(run, item) for run, item in pair]
    batch = (items[0].batch, items[1].batch)
    out = {"batch": plain(batch)} if any(batch) else {}
    for item in items:  # the same text is padded alike
        mask = attention_options(item, tokens=False).get("attention_mask")
        if mask is not None:
            return {**out, "attention_mask": Arg(mask.value[item.batch], f"{mask.code}[{item.batch}]")}
    return out


def _moved_card(pair: Having, name: str, beside: Beside) -> Card:
    (first, _), (run, _) = pair
    title = f"Attention that moved: {run.name} − {first.name}, {name}"
    chart = measure_map(_moved(pair), title=title, measure=_MOVED, select=PICK)
    more = "".join(f", {key}={arg.code}" for key, arg in _places(pair, beside).items())
    body = (
        f"{_pair_code(pair, beside)}moved = attention_moved(before, after{more})\n"
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
    moved = {layer: np.nan_to_num(heads, nan=-1.0) for layer, heads in _moved(pair).items()}
    layer = max(moved, key=lambda layer: float(moved[layer].max()))
    head = int(moved[layer].argmax())
    title = f"{head_name(layer, head)}, {name}: {run.name} − {first.name}"
    tokens, places = attention_options(beside.of(first, before)).get("tokens"), _places(pair, beside)
    chart = changed_weights(
        before.layers,
        after.layers,
        layer,
        head,
        title=title,
        labels=(first.name, run.name),
        tokens=tokens.value if tokens else None,
        **{key: arg.value for key, arg in places.items()},
    )
    body = (
        f"{_pair_code(pair, beside)}chart = changed_weights(\n    before,\n    after,\n    {layer},\n    {head},\n"
        f"    title={title!r},\n    labels={(first.name, run.name)!r},\n"
        f"{f'    tokens={tokens.code},{chr(10)}' if tokens else ''}"
        f"{''.join(f'    {key}={arg.code},{chr(10)}' for key, arg in places.items())})\n"
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
