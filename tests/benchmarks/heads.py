"""All heads of a model at once, the pooling beneath it, and entropies.

BertViz and CircuitsVis are called as their manuals show, and asked for the text that a notebook would get: all weights as
JSON with a loader for scripts, which are not counted (CircuitsVis' offline form carries 1.3 MB more).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .inputs import load
from .model import Bar, Job, Side

Call = Callable[[], Any]


def _layers(name: str) -> tuple[Any, ...]:
    return tuple(load(name))


def ours_json(name: str) -> Call:
    """Build the chart of all heads and write it as JSON."""
    import headspec
    from headspec.charts.attention_heads import visualize_attention_heads

    layers = _layers(name)
    tokens = [f"token{place}" for place in range(layers[0].shape[-1])]
    return lambda: headspec.to_json(visualize_attention_heads(layers, tokens=tokens), theme="light")


def ours_png(name: str) -> Call:
    """Build the chart of all heads and draw it at scale 1."""
    import headspec
    from headspec.charts.attention_heads import visualize_attention_heads

    layers = _layers(name)
    return lambda: headspec.to_png(visualize_attention_heads(layers), theme="light", scale=1)


def bertviz_text(name: str) -> Call:
    """``model_view`` of tensors, as text."""
    import torch
    from bertviz import model_view

    layers = tuple(torch.from_numpy(layer) for layer in _layers(name))
    tokens = [f"token{place}" for place in range(layers[0].shape[-1])]
    return lambda: model_view(layers, tokens, html_action="return").data


def circuitsvis_text(name: str) -> Call:
    """``attention_heads`` of all heads, named, as text."""
    import torch
    from circuitsvis.attention import attention_heads

    layers = load(name)
    heads = torch.from_numpy(layers.reshape(-1, *layers.shape[-2:]))
    names = [f"L{layer} H{head}" for layer in range(layers.shape[0]) for head in range(layers.shape[2])]
    tokens = [f"token{place}" for place in range(layers.shape[-1])]
    return lambda: str(attention_heads(attention=heads, tokens=tokens, attention_head_names=names))


def pool_heads(name: str) -> Call:
    """Pool every head to a thumbnail, as the chart of all heads does it."""
    from headspec.axes import attention_layers
    from headspec.reduce import sprites

    layers = _layers(name)

    def call() -> None:
        for layer in attention_layers(layers, name="attentions"):
            sprites.pool_heads(layer.array[0], side=24)

    return call


def pool_matrix(name: str) -> Call:
    """Pool one matrix to a panel of 400 pixels, as its chart does it: places of the maxima and counts included."""
    from headspec.reduce.cells import pool_matrix

    weights = load(name)

    def call() -> None:
        pool_matrix(weights, 400)

    return call


def numpy_max(name: str) -> Call:
    """One maximum over all: what reading the bytes costs."""
    values = load(name)
    return lambda: {"most": float(values.max())}


def ours_entropy(name: str) -> Call:
    """Entropy per head of a tuple of layers, checked and averaged."""
    import headspec

    layers = _layers(name)

    def call() -> None:
        headspec.calculate_entropy(layers)

    return call


def numpy_sum(name: str) -> Call:
    """A plain sum: what reading the bytes costs."""
    values = load(name)
    return lambda: {"sum": float(values.sum())}


def torch_sum(name: str) -> Call:
    """The same in torch, which reads faster."""
    import torch

    torch.set_num_threads(1)
    values = torch.from_numpy(load(name))
    return lambda: {"sum": float(values.sum())}


def numpy_entropy(name: str) -> Call:
    """The line that people write, over all layers at once."""
    import numpy as np

    values = load(name)
    return lambda: {"heads": float((-(values * np.log(values + 1e-12)).sum(-1)).mean(-1).size)}


def torch_entropy(name: str) -> Call:
    """The same line in torch."""
    import torch

    torch.set_num_threads(1)
    values = torch.from_numpy(load(name))
    return lambda: {"heads": float((-(values * torch.log(values + 1e-12)).sum(-1)).mean(-1).numel())}


SMALL, LARGE, LONG = "attention 12 12 64", "attention 32 32 256", "attention 12 12 1024"
LARGE_BYTES, LONG_BYTES = 32 * 32 * 256 * 256 * 4, 12 * 12 * 1024 * 1024 * 4

JOBS = (
    Job(
        "heads-text",
        "12 × 12 heads × 64², all heads, text",
        Side("headspec", ours_json, (SMALL,)),
        (Side("BertViz", bertviz_text, (SMALL,)), Side("CircuitsVis", circuitsvis_text, (SMALL,))),
        (
            Bar("time", 0.1, "BertViz"),
            Bar("time", 0.1, "CircuitsVis"),
            Bar("bytes", 0.02, "BertViz"),
            Bar("bytes", 0.03, "CircuitsVis"),
        ),
        needs=(SMALL,),
        calls=9,
    ),
    Job(
        "heads-large-json",
        "32 × 32 heads × 256², all heads, JSON",
        Side("headspec", ours_json, (LARGE,)),
        (Side("BertViz", bertviz_text, (LARGE,)), Side("CircuitsVis", circuitsvis_text, (LARGE,))),
        (
            Bar("time", 0.4),
            Bar("bytes", 0.5e6),
            Bar("peak", LARGE_BYTES + 200e6, note="input + 200 MB"),
            Bar("time", 0.1, "BertViz"),
            Bar("time", 0.1, "CircuitsVis"),
        ),
        needs=(LARGE,),
    ),
    Job(
        "heads-large-png",
        "32 × 32 heads × 256², all heads, PNG",
        Side("headspec", ours_png, (LARGE,)),
        bars=(Bar("time", 0.5), Bar("peak", LARGE_BYTES + 200e6, note="input + 200 MB")),
        needs=(LARGE,),
    ),
    Job(
        "pool-heads",
        "max-pooling 268 MB, 32 × 32 heads",
        Side("headspec", pool_heads, (LARGE,)),
        (Side("plain max", numpy_max, (LARGE,)),),
        (Bar("time", 6, "plain max"),),
        needs=(LARGE,),
        calls=15,
    ),
    Job(
        "pool-matrix",
        "max-pooling 268 MB, one 8,192² matrix",
        Side("headspec", pool_matrix, ("matrix 8192",)),
        (Side("plain max", numpy_max, ("matrix 8192",)),),
        (Bar("time", 6, "plain max"),),
        needs=("matrix 8192",),
        calls=15,
    ),
    Job(
        "entropy",
        "entropy of 12 × 12 × 1,024², float32",
        Side("headspec", ours_entropy, (LONG,)),
        (
            Side("NumPy sum", numpy_sum, (LONG,)),
            Side("torch sum", torch_sum, (LONG,)),
            Side("naive NumPy", numpy_entropy, (LONG,)),
            Side("naive torch", torch_entropy, (LONG,)),
        ),
        (
            Bar("time", 4.5, "NumPy sum"),
            Bar("time", 4.5, "torch sum"),
            Bar("time", 0.5, "naive NumPy"),
            Bar("time", 0.1, "naive torch"),
            Bar("extra", 0.01 * LONG_BYTES, note="1 % of the input"),
        ),
        needs=(LONG,),
        calls=9,
    ),
)
