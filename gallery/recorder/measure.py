"""Measures of every head, each ``[layer, head]``, written for this model alone so that they can check the library's."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .model import LanguageModel, sequence_losses

Measure = NDArray[np.float32]


def _head_norms(model: LanguageModel, tensors: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> Measure:
    """L2 norm of each head's part: its rows of query, key and value, its input columns of the output projection."""
    heads, width = model.shape.heads, model.shape.head_width
    norms = []
    for query, key, value, output in tensors:
        rows = sum(t.double().square().view(heads, width, -1).sum((1, 2)) for t in (query, key, value))
        columns = output.double().square().view(-1, heads, width).sum((0, 2))
        norms.append((rows + columns).sqrt())
    return torch.stack(norms).float().numpy()


def _projections(model: LanguageModel) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    parts = [block.attention for block in model.blocks]
    return [(a.query.weight, a.key.weight, a.value.weight, a.output.weight) for a in parts]


def measure_magnitude(model: LanguageModel) -> Measure:
    """L2 norm of each head's own weights."""
    with torch.no_grad():
        return _head_norms(model, _projections(model))


def measure_heads(model: LanguageModel, windows: Tensor) -> dict[str, Measure]:
    """Entropy, gradient norm, importance and previous-token score on a batch of windows.

    The gates enter once per sequence, so that one backward pass gives the gate gradient of each sequence alone
    and the absolute value can be taken before the mean, as Michel et al. (2019) define it.
    """
    gates = model.gates.repeat(windows.shape[0], 1, 1).requires_grad_()
    losses, attention = sequence_losses(model, windows, gates)
    weights = _projections(model)
    flat = [w for layer in weights for w in layer]
    gate_gradient, *gradients = torch.autograd.grad(losses.mean(), [gates, *flat])
    by_layer = [tuple(gradients[i : i + 4]) for i in range(0, len(gradients), 4)]
    with torch.no_grad():
        per_sequence = gate_gradient * windows.shape[0]
        return {
            "entropy": torch.stack([torch.special.entr(a).sum(-1).mean((0, 2)) for a in attention]).numpy(),
            "gradient_norm": _head_norms(model, by_layer),
            "importance": per_sequence.abs().mean(0).numpy(),
            "previous_token": torch.stack([a.diagonal(-1, -2, -1).mean((0, 2)) for a in attention]).numpy(),
        }


@torch.no_grad()
def measure_ablation(model: LanguageModel, windows: Tensor) -> Measure:
    """Mean loss with the head's gate at 0 minus with it at 1, the other gates as they are; positive: the head helps."""
    effects = torch.zeros(model.gates.shape, dtype=torch.float64)
    for layer, head in np.ndindex(*effects.shape):
        loss = []
        for gate in (0.0, 1.0):
            gates = model.gates.clone()
            gates[layer, head] = gate
            loss.append(sequence_losses(model, windows, gates.expand(len(windows), -1, -1))[0].double().mean())
        effects[layer, head] = loss[0] - loss[1]
    return effects.float().numpy()


@torch.no_grad()
def measure_loss(model: LanguageModel, windows: Tensor, batch: int = 32) -> float:
    """Mean loss in nats per byte."""
    losses = [sequence_losses(model, part)[0].double() for part in windows.split(batch)]
    return float(torch.cat(losses).mean())
