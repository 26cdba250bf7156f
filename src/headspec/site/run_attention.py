"""Which charts follow from the attention of a run."""

from __future__ import annotations

from collections.abc import Iterator

from headspec.axes import attention_layers
from headspec.charts.attention import _token_mask
from headspec.charts.attention_heads_parts import one_sequence, shape_of
from headspec.charts.explorer_data import first_pick, looks_of
from headspec.site.drafts import PICK, Arg, Draft, attention_arg, attention_options, plain
from headspec.site.run_words import marks_of, page_name
from headspec.sources.run import Run
from headspec.sources.run_arrays import Attention
from headspec.text import head_name

_LARGE = 1_024
"""Tokens above which the charts of all heads leave out the explorer, which carries every weight."""


def attention_drafts(run: Run) -> Iterator[Draft]:
    """Yield the charts of the attention of a run."""
    several = len(run.attention)
    own = [item for item in run.attention if marks_of(run, heads_of(item))] or run.attention[:1]
    for item in run.attention:
        name = item.title or item.name.replace("_", " ")
        shape = heads_of(item)
        many = shape[0] * shape[1] > 1
        marks = marks_of(run, shape)
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
            page_name("attention-matrix", item, several),
            f"{name}: {head_name(layer, head)}",
            "What does the head look at that looks most sharply?",
            f"From {item.file}. Of all heads this one puts the most weight on one key besides the first and the query itself.",
            ["attention", "tokens", run.name],
        )


def heads_of(item: Attention) -> tuple[int, int]:
    """Return the layers of some attention, and the heads of its largest one."""
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
        page_name(page, item, several if page != "head-explorer" else 1),
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
        page_name("normalized-entropy", item, several),
        f"Normalised entropy: {name}",
        "How close does each head come to attending uniformly?",
        f"From {item.file}.",
        ["entropy", "normalised", run.name],
    )


def sharpest(item: Attention) -> tuple[int, int]:
    """Return the head that looks most sharply at keys other than the first and the query itself: the explorer opens on it."""
    layers = one_sequence(attention_layers(item.layers), item.batch)
    masks = {layer.id: _token_mask(item.mask, shape_of(layer), item.batch) for layer in layers}
    layer, head, _ = first_pick(None, looks_of(layers, masks))
    return layer, head
