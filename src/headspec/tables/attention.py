"""The table of attention: one row per layer, head, query and key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike, parts, to_numpy
from headspec.axes import attention_layers
from headspec.errors import DataError, KindError
from headspec.tables.heads import kinds
from headspec.text import clean, count

MOST_ROWS = 20_000_000


def attention_table(
    attentions: ArrayLike,
    *,
    tokens: Sequence[Any] | None = None,
    query_tokens: Sequence[Any] | None = None,
    key_tokens: Sequence[Any] | None = None,
    layer_idx: int | None = None,
    head_idx: int | None = None,
    batch_idx: int | None = None,
    axes: str | None = None,
) -> pd.DataFrame:
    """Flatten attention into a long table: one row per layer, head, query and key.

    Parameters
    ----------
    attentions
        What a model returns (a tuple of ``[batch, head, query, key]``), one layer, one ``[query, key]`` matrix, or stacked
        layers.
    tokens, query_tokens, key_tokens
        The tokens of both axes, or of each; kept as text beside the positions, since tokens repeat.
    layer_idx, head_idx
        Take only this layer or head.
    batch_idx
        Which sequence of the batch; needed where there are several.
    axes
        The names of the axes of one array where they are others.

    Returns
    -------
    pandas.DataFrame
        Columns ``layer``, ``head``, ``query``, ``key``, ``weight`` (NaN where it is not finite), ``kind``, and with tokens
        ``query_token``, ``key_token``.

    Raises
    ------
    DataError, KindError
        Empty or ambiguous arrays, a batch without `batch_idx`, token lists of another length, more than 20 million rows.

    Examples
    --------
    >>> import headspec
    >>> headspec.attention_table([[1.0, 0.0], [0.3, 0.7]], tokens=["a", "b"])
       layer  head  query  key  weight   kind query_token key_token
    0      0     0      0    0     1.0  value           a         a
    1      0     0      0    1     0.0  value           a         b
    2      0     0      1    0     0.3  value           b         a
    3      0     0      1    1     0.7  value           b         b
    """
    wanted: list[tuple[int, int, Any]] = []
    for layer in attention_layers(attentions, axes=axes):
        if layer_idx is not None and layer.id != layer_idx:
            continue
        batch, size = int(layer.array.shape[0]), int(layer.array.shape[1])
        if batch > 1 and batch_idx is None:
            raise DataError(f"attentions hold a batch of {batch}; pick one with batch_idx=0 … {batch - 1}")
        if head_idx is not None and not 0 <= head_idx < size:
            raise DataError(f"head_idx={head_idx} is out of range: layer {layer.id} has heads 0 to {size - 1}")
        chosen = layer.array[batch_idx or 0]
        wanted += [(layer.id, head, chosen) for head in (range(size) if head_idx is None else [head_idx])]
    if not wanted:
        raise DataError(f"layer_idx={layer_idx} is not among the layers of attentions")
    if sum(int(chosen.shape[1]) * int(chosen.shape[2]) for _, _, chosen in wanted) > MOST_ROWS:
        raise DataError(
            f"attention of this size makes more than {MOST_ROWS:,} rows; take one layer or head (layer_idx=, head_idx=), "
            "or draw it: the charts reduce it first"
        )
    pieces = [_rows(to_numpy(chosen[head], name="attentions"), layer, head) for layer, head, chosen in wanted]
    table = pd.concat(pieces, ignore_index=True)
    shape = (int(table["query"].max()) + 1, int(table["key"].max()) + 1)
    names = token_lists(tokens, query_tokens, key_tokens, shape)
    for column, place, labels in (("query_token", "query", names[0]), ("key_token", "key", names[1])):
        if labels is not None:
            table[column] = np.asarray(labels, dtype=object)[table[place].to_numpy()]
    return table


def _rows(matrix: Any, layer: int, head: int) -> pd.DataFrame:
    values, masked = parts(matrix)
    queries, keys = values.shape
    flat = values.ravel()
    kind = kinds(flat, masked.ravel())
    return pd.DataFrame(
        {
            "layer": layer,
            "head": head,
            "query": np.repeat(np.arange(queries), keys),
            "key": np.tile(np.arange(keys), queries),
            "weight": np.where(kind == "value", flat, np.nan),
            "kind": kind,
        }
    )


def token_lists(
    tokens: Sequence[Any] | None,
    query_tokens: Sequence[Any] | None,
    key_tokens: Sequence[Any] | None,
    shape: tuple[int, int],
) -> tuple[list[str] | None, list[str] | None]:
    """Return the cleaned tokens of the queries and of the keys, each checked against the matrix."""
    if tokens is not None and (query_tokens is not None or key_tokens is not None):
        raise DataError("tokens= is for both axes; give it, or query_tokens= and key_tokens=")
    if tokens is not None and shape[0] != shape[1]:
        raise DataError(
            f"tokens= is for both axes, but the matrix has {count(shape[0], 'query', 'queries')} and {count(shape[1], 'key')}; "
            "give query_tokens= and key_tokens="
        )
    out: list[list[str] | None] = []
    for name, given, size in (
        ("query_tokens", query_tokens if tokens is None else tokens, shape[0]),
        ("key_tokens", key_tokens if tokens is None else tokens, shape[1]),
    ):
        if given is None:
            out.append(None)
            continue
        name = name if tokens is None else "tokens"
        if isinstance(given, (str, bytes)) or not hasattr(given, "__len__"):
            raise KindError(
                f"{name} is {type(given).__name__}; expected a list with one token per position: list({name})"
            )
        if len(given) != size:
            raise DataError(f"{name} has {count(len(given), 'token')}, but the matrix has {size} positions there")
        out.append([visible(token) for token in given])
    return out[0], out[1]


def visible(token: object) -> str:
    """Return a token as it can be read on an axis: cleaned, with leading and trailing spaces as middle dots."""
    text = clean(token)
    body = text.strip(" ")
    if not body:
        return "·" * len(text) or "∅"
    front = len(text) - len(text.lstrip(" "))
    back = len(text) - len(text.rstrip(" "))
    return "·" * front + body + "·" * back
