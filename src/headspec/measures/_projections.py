"""Where a model keeps the query, key, value and output projections of its attention: names, read as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from headspec.arrays import kind_of
from headspec.errors import DataError, KindError
from headspec.text import clean, listing

Family: TypeAlias = Mapping[str, "str | Sequence[str]"]
"""Role → name of the weight after the path of the attention module, or several names of which a model has one."""

ROLES = {
    "q": "the queries",
    "k": "the keys",
    "v": "the values",
    "o": "the output projection",
    "qkv": "all queries, then all keys, then all values",
    "kv": "all keys, then all values",
    "qkv_by_head": "head by head (or group by group): its queries, its key, its value",
}

FAMILIES: tuple[Family, ...] = (
    # Llama, Mistral, Gemma, Qwen, GPT-J, GPT-Neo, OPT, BART, Whisper, CLIP, ViT, Phi
    {
        "q": "q_proj.weight",
        "k": "k_proj.weight",
        "v": "v_proj.weight",
        "o": ("o_proj.weight", "out_proj.weight", "dense.weight"),
    },
    # BERT, RoBERTa, ELECTRA, ESM
    {"q": "self.query.weight", "k": "self.key.weight", "v": "self.value.weight", "o": "output.dense.weight"},
    # DeBERTa
    {
        "q": "self.query_proj.weight",
        "k": "self.key_proj.weight",
        "v": "self.value_proj.weight",
        "o": "output.dense.weight",
    },
    {"qkv_by_head": "self.in_proj.weight", "o": "output.dense.weight"},
    # ViT before transformers 5
    {
        "q": "attention.query.weight",
        "k": "attention.key.weight",
        "v": "attention.value.weight",
        "o": "output.dense.weight",
    },
    # ALBERT; minGPT
    {"q": "query.weight", "k": "key.weight", "v": "value.weight", "o": ("dense.weight", "proj.weight")},
    # DistilBERT, XLM
    {"q": "q_lin.weight", "k": "k_lin.weight", "v": "v_lin.weight", "o": "out_lin.weight"},
    # T5
    {"q": "q.weight", "k": "k.weight", "v": "v.weight", "o": "o.weight"},
    # GPT-2, GPT-BigCode, nanoGPT; the cross-attention of GPT-2
    {"q": "q_attn.weight", "kv": "c_attn.weight", "o": "c_proj.weight"},
    {"qkv": "c_attn.weight", "o": "c_proj.weight"},
    # GPT-NeoX, BLOOM, Falcon
    {"qkv_by_head": "query_key_value.weight", "o": "dense.weight"},
    # Phi-3; MPT, ModernBERT; timm
    {"qkv": "qkv_proj.weight", "o": "o_proj.weight"},
    {"qkv": "Wqkv.weight", "o": ("out_proj.weight", "Wo.weight")},
    {"qkv": "qkv.weight", "o": "proj.weight"},
    # torch.nn.MultiheadAttention, also with keys and values of another width
    {"qkv": "in_proj_weight", "o": "out_proj.weight"},
    {"q": "q_proj_weight", "k": "k_proj_weight", "v": "v_proj_weight", "o": "out_proj.weight"},
    # Llama's own code, InternLM2; CTRL
    {"q": "wq.weight", "k": "wk.weight", "v": "wv.weight", "o": "wo.weight"},
    {"qkv_by_head": "wqkv.weight", "o": "wo.weight"},
    {"q": "Wq.weight", "k": "Wk.weight", "v": "Wv.weight", "o": "dense.weight"},
    # TransformerLens, one matrix per head
    {"q": "W_Q", "k": "W_K", "v": "W_V", "o": "W_O"},
)
"""What the models in common use call their projections; a row more teaches another one."""


class Attention(NamedTuple):
    """One attention module: its layer and the names of its weights by role."""

    layer: int
    path: str
    names: dict[str, str]


def find_attention(
    names: Iterable[str], patterns: Family | Sequence[Family] | None = None, stack: str | None = None
) -> list[Attention]:
    """Return the attention modules of one stack of layers, in order.

    Parameters
    ----------
    names
        The names of all parameters.
    patterns
        Further families, tried first.
    stack
        Which stack, where there are several: its name or a part that only its name has.

    Raises
    ------
    DataError
        No known names, several stacks and no choice, a choice that fits none.
    """
    names = list(names)
    paths = _complete(names, [*_families(patterns), *FAMILIES])
    if not paths:
        seen = dict.fromkeys(_signature(clean(name)) for name in names)
        raise DataError(
            f"no attention was found among {len(names)} parameters ({listing(seen, limit=6)}); say how its weights are called after "
            "the module's path: patterns={'q': 'wq.weight', 'k': 'wk.weight', 'v': 'wv.weight', 'o': 'wo.weight'}, or 'qkv' "
            "where they are one matrix"
        )
    stacks: dict[str, list[str]] = {}
    for path in paths:
        stacks.setdefault(_signature(path), []).append(path)
    chosen = stacks[_chosen(stacks, stack)]
    return [Attention(layer, path, paths[path]) for layer, path in _numbered(chosen)]


def _families(patterns: Family | Sequence[Family] | None) -> list[Family]:
    given = [patterns] if isinstance(patterns, Mapping) else list(patterns or [])
    for family in given:
        if not isinstance(family, Mapping):
            raise KindError(f"patterns holds {kind_of(family)}; expected a dict of role → name of the weight")
        roles = set(family)
        complete = ({"q", "k", "v", "o"}, {"q", "kv", "o"}, {"qkv", "o"}, {"qkv_by_head", "o"})
        if roles not in complete:
            known = ", ".join(f"{role!r} ({what})" for role, what in ROLES.items())
            raise DataError(
                f"patterns names the roles {listing(sorted(map(repr, roles)))}; expected 'o' and 'q', 'k', 'v', or 'o' and one of the "
                f"fused ones: {known}"
            )
    return given


def _complete(names: Sequence[str], families: Sequence[Family]) -> dict[str, dict[str, str]]:
    """Return path → role → name for every module that has all weights of a family."""
    found: dict[str, dict[str, str]] = {}
    taken: set[str] = set()
    for family in families:
        modules: dict[str, dict[str, str]] = {}
        for role, endings in family.items():
            for ending in (endings,) if isinstance(endings, str) else endings:
                for name in names:
                    if name == ending or name.endswith("." + ending):
                        modules.setdefault(name[: -len(ending)].rstrip("."), {})[role] = name
        for path, roles in modules.items():
            if len(roles) == len(family) and path not in found and not taken.intersection(roles.values()):
                found[path] = roles
                taken.update(roles.values())
    return found


def _signature(path: str) -> str:
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1*", path)


def _chosen(stacks: Mapping[str, Sequence[str]], stack: str | None) -> str:
    shown = listing([f"{name or 'the model itself'} ({len(paths)})" for name, paths in stacks.items()])
    if stack is None:
        if len(stacks) > 1:
            raise DataError(
                f"the parameters hold {len(stacks)} stacks of attention: {shown}; pick one by a part of its name, stack={_part(stacks)!r} say"
            )
        return next(iter(stacks))
    fits = [name for name in stacks if name == stack] or [name for name in stacks if stack in name]
    if len(fits) != 1:
        raise DataError(f"stack={clean(stack)!r} fits {listing(fits) or 'none'} of the stacks of attention: {shown}")
    return fits[0]


def _part(stacks: Mapping[str, Sequence[str]]) -> str:
    """Return the shortest dotted end or beginning of a stack's name that no other stack has."""
    name = next(iter(stacks))
    words = name.split(".")
    parts = [".".join(words[:end]) for end in range(1, len(words) + 1)] + [
        ".".join(words[start:]) for start in range(len(words))
    ]
    return min((part for part in parts if part and sum(part in other for other in stacks) == 1), key=len, default=name)


def _numbered(paths: Sequence[str]) -> list[tuple[int, str]]:
    """Return the layer of each path: the number in it that changes, or its place where several change."""
    numbers = np.array([[int(word) for word in path.split(".") if word.isdigit()] for path in paths]).reshape(
        len(paths), -1
    )
    order = sorted(range(len(paths)), key=lambda index: numbers[index].tolist())
    varying = np.nonzero((numbers != numbers[0]).any(axis=0))[0]
    if len(varying) > 1:
        return [(place, paths[index]) for place, index in enumerate(order)]
    column = int(varying[0]) if len(varying) else 0
    ids: list[Any] = numbers[:, column].tolist() if numbers.shape[1] else [0]
    return [(int(ids[index]), paths[index]) for index in order]
