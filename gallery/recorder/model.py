"""A small decoder-only transformer with one multiplicative gate per head, written out so that every head can be reached."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int = 256

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Attention(nn.Module):
    """Causal self-attention; the gate multiplies a head's output before the output projection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.query, self.key, self.value, self.output = (
            nn.Linear(shape.width, shape.width, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, width = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, self.shape.heads, self.shape.head_width).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        future = torch.full((length, length), float("-inf")).triu(1)
        weights = (q * self.shape.head_width**-0.5 @ k.transpose(-1, -2) + future).softmax(-1)
        mixed = (weights @ v) * gate[:, :, None, None]
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width)), weights


class Block(nn.Module):
    """Attention and a feed-forward part, layer norm before each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm_attention, self.norm_feed = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.attention = Attention(shape)
        self.feed = nn.Sequential(
            nn.Linear(shape.width, 4 * shape.width), nn.GELU(), nn.Linear(4 * shape.width, shape.width)
        )

    def forward(self, x: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        mixed, weights = self.attention(self.norm_attention(x), gate)
        x = x + mixed
        return x + self.feed(self.norm_feed(x)), weights


def sinusoids(length: int, width: int) -> Tensor:
    """Sines and cosines ``[position, width]``: a start from which a step back by one position is quickly learned."""
    rates = 3 * torch.exp(-torch.arange(width // 2) / (width // 2) * math.log(300))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class LanguageModel(nn.Module):
    """Bytes in, logits of the next byte out; absolute positions are learned, from sinusoids on."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.bytes = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.unembed = nn.Linear(shape.width, shape.vocabulary, bias=False)
        self.gates: Tensor
        self.register_buffer("gates", torch.ones(shape.layers, shape.heads))
        for name, parameter in self.blocks.named_parameters():
            if parameter.dim() == 2:
                deep = name.endswith(("attention.output.weight", "feed.2.weight"))
                nn.init.normal_(parameter, std=0.06 / (2 * shape.layers) ** 0.5 if deep else 0.06)
        nn.init.normal_(self.bytes.weight, std=0.1)
        nn.init.normal_(self.unembed.weight, std=0.02)
        with torch.no_grad():
            self.positions.weight.copy_(0.3 * sinusoids(shape.context, shape.width))

    def forward(self, x: Tensor, gates: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return logits ``[batch, position, byte]`` and the attention of each layer ``[batch, head, query, key]``.

        `gates` is ``[batch, layer, head]``; without it, the model's own gates hold for every sequence.
        """
        gates = self.gates.expand(x.shape[0], -1, -1) if gates is None else gates
        h = self.bytes(x) + self.positions.weight[: x.shape[1]]
        attention = []
        for layer, block in enumerate(self.blocks):
            h, weights = block(h, gates[:, layer])
            attention.append(weights)
        return self.unembed(self.norm(h)), attention


def sequence_losses(model: LanguageModel, windows: Tensor, gates: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
    """Mean loss of each sequence in nats per byte, ``[batch]``, and the attention; windows are ``[batch, length + 1]``."""
    logits, attention = model(windows[:, :-1], gates)
    losses = F.cross_entropy(logits.transpose(1, 2), windows[:, 1:], reduction="none")
    return losses.mean(1), attention
