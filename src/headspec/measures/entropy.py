"""Entropy of attention heads: how widely each query spreads its weight over the keys that it may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.arrays import ArrayLike
from headspec.axes import Layer, attention_layers
from headspec.errors import DataError
from headspec.measures._blocks import Floats, layer_sums
from headspec.measures._causal import attends_back
from headspec.measures._rows import Rows, entropy_of, tolerance_of
from headspec.measures._visible import (
    Bools,
    Masks,
    Window,
    implies_causal,
    pick_sequence,
    read_masks,
    visible_keys,
    window_of,
)
from headspec.stored import meter
from headspec.text import listing

Unit: TypeAlias = Literal["nats", "bits"]
Method: TypeAlias = Literal["mean_of_ratios", "ratio_of_sums"]
Windows: TypeAlias = "Window | Mapping[int, Window]"
PerHead: TypeAlias = "npt.NDArray[np.float64] | dict[int, npt.NDArray[np.float64]]"
"""``[layer, head]``, or ``{layer: [head]}`` where the layers differ or came as a dict."""


class _Input(NamedTuple):
    layers: list[Layer]
    masks: Masks
    causal: bool
    proved: bool
    """That it is causal was found from the weights: there is nothing above the diagonal."""
    window: Windows
    as_dict: bool


class _Entropies(NamedTuple):
    """One layer: ``[batch, head, query]``, NaN for rows that are left out."""

    entropy: Floats
    maximum: Floats


def calculate_entropy(
    attentions: ArrayLike,
    *,
    attention_mask: ArrayLike | None = None,
    query_mask: ArrayLike | None = None,
    causal: bool | None = None,
    window: Windows = None,
    rows: Rows = "error",
    tolerance: float | None = None,
    unit: Unit = "nats",
    per_query: bool = False,
    batch_idx: int | None = None,
    axes: str | None = None,
) -> PerHead:
    r"""Return how widely each head spreads its attention: :math:`-\sum_j a_{ij}\ln a_{ij}`, averaged over the queries.

    The average weights tokens, not sequences: it is taken over all real queries of the whole batch. A query that is padding is
    left out, and so is a row without any weight (NaN throughout, as a softmax over no key leaves it, or zero throughout, as a
    head mask does); a head that has no row left is NaN, never 0.

    Parameters
    ----------
    attentions
        What a model returns: a tuple of ``[batch, head, query, key]``, one layer each, in torch or any array library; or any
        other form of the axis rule. It is read a block at a time and never copied whole.
    attention_mask
        ``[batch, key]`` as a tokenizer returns it: 1 for real tokens, 0 for padding. Where there are as many queries as keys
        the padded queries are the same; where a causal model has fewer queries, they are the last keys. Also a boolean (True is
        visible) or additive mask ``[batch, head, query, key]``, whose second axis may be 1.
    query_mask
        ``[batch, query]``, 1 for queries that count. Give it for cross-attention, where `attention_mask` is about the source.
    causal
        Not needed: hidden keys have no weight, and add nothing to an entropy. Where it is given, as where `window` and a mask
        are, weight on a key that the query cannot see is an error.
    window
        The number of keys that a query sees, its own and those before it; a pair (before, after); or a dict ``{layer: window}``
        where layers differ.
    rows
        What to do where a row does not sum to one. ``"error"`` refuses it, ``"renormalise"`` divides it by its sum, and
        ``"sink"`` counts what is missing as one more key, which is what learned attention sinks (gpt-oss) need.
    tolerance
        How far from one a sum may be; None allows what rounding does to the dtype (0.01 for bfloat16, 0.005 for float16, 1e-4
        otherwise). Within it the weights are taken as they are.
    unit
        ``"nats"`` or ``"bits"``.
    per_query
        Return each query's own entropy.
    batch_idx
        Take one sequence of the batch; None takes all.
    axes
        The names of the axes of one array where they are others: ``"layer head query key"``.

    Returns
    -------
    numpy.ndarray or dict
        Float64 ``[layer, head]``, as `visualize_entropy_heatmap` takes it; ``{layer: [head]}`` where the layers have different
        numbers of heads or `attentions` is a dict. With `per_query` ``[layer, batch, head, query]``, or a dict of
        ``[batch, head, query]``, NaN for queries that are left out.

    Raises
    ------
    DataError, KindError
        No weights, ambiguous axes, masks that do not fit, weight on hidden keys, negative or partly NaN rows, rows that do not
        sum to one.

    Notes
    -----
    The measure is that of Ghader and Monz (2017), "What does attention in neural machine translation pay attention to?". Its
    maximum grows with the number of visible keys: compare heads within one input, or use `calculate_normalized_entropy`.

    Examples
    --------
    >>> import numpy as np, headspec
    >>> previous = np.eye(4)[[0, 0, 1, 2]]
    >>> uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    >>> headspec.calculate_entropy([np.stack([previous, uniform])[None]]).round(3)
    array([[0.   , 0.795]])
    """
    task = _read(attentions, attention_mask, query_mask, causal, window, batch_idx, axes)
    scale = _scale(unit)
    found = {}
    for layer, item in _each(task, rows, tolerance):
        values = item.entropy / scale
        found[layer] = values if per_query else _mean(values, ~np.isnan(values))
    return _collect(found, task.as_dict)


def calculate_normalized_entropy(
    attentions: ArrayLike,
    *,
    attention_mask: ArrayLike | None = None,
    query_mask: ArrayLike | None = None,
    causal: bool | None = None,
    window: Windows = None,
    method: Method = "mean_of_ratios",
    rows: Rows = "error",
    tolerance: float | None = None,
    per_query: bool = False,
    batch_idx: int | None = None,
    axes: str | None = None,
) -> PerHead:
    r"""Return how close each head is to attending evenly, from 0 (one key) to 1 (all keys that the query may see).

    Each query's entropy is divided by its own maximum, :math:`\ln n_i` for the :math:`n_i` keys that it may see: under a causal
    mask its own and the earlier ones, without padding, within the window, the real source tokens in cross-attention, and one
    more where ``rows="sink"``. Queries that see a single key have no choice and are left out. A head that is uniform over what
    it sees is 1 under every mask.

    Parameters
    ----------
    attentions, attention_mask, query_mask, rows, tolerance, per_query, batch_idx, axes
        As in `calculate_entropy`.
    causal
        Whether a query sees only its own and earlier keys. None finds out: yes if every weight above the diagonal is exactly
        zero in all layers, heads and real queries (`is_causal` tells). Prefix language models are neither: give them a mask
        ``[batch, 1, query, key]``.
    window
        As in `calculate_entropy`. A window is not found from the weights; without it a head that is uniform in its window stays
        below 1.
    method
        ``"mean_of_ratios"`` averages :math:`H_i/\ln n_i` over the queries; ``"ratio_of_sums"`` is :math:`\sum H_i/\sum\ln n_i`,
        in which queries with many keys weigh more.

    Returns
    -------
    numpy.ndarray or dict
        As `calculate_entropy`; NaN for a head without a query that has a choice. What rounding adds above 1 is cut.

    Raises
    ------
    DataError, KindError
        As `calculate_entropy`, and where padding hides whether the model is causal.

    Notes
    -----
    After the normalised attention entropy of Oh and Schuler (2022), "Entropy- and distance-based predictors from GPT-2 attention
    patterns predict reading times" (arXiv 2212.11185).

    Examples
    --------
    >>> import numpy as np, headspec
    >>> uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    >>> headspec.calculate_normalized_entropy([uniform[None, None]])
    array([[1.]])
    """
    if method not in ("mean_of_ratios", "ratio_of_sums"):
        raise DataError(f"method={method!r} is unknown; expected 'mean_of_ratios' or 'ratio_of_sums'")
    task = _read(attentions, attention_mask, query_mask, causal, window, batch_idx, axes, find_causal=True)
    found = {}
    for layer, (entropy, maximum) in _each(task, rows, tolerance):
        choice = ~np.isnan(entropy) & (maximum > 0)
        if per_query or method == "mean_of_ratios":
            ratio = np.divide(entropy, maximum, out=np.full_like(entropy, np.nan), where=choice)
            value = ratio if per_query else _mean(ratio, choice)
        else:
            with np.errstate(invalid="ignore"):
                value = _mean(entropy, choice) / _mean(maximum, choice)
        found[layer] = np.minimum(value, 1.0)
    return _collect(found, task.as_dict)


def calculate_max_entropy(
    attentions: ArrayLike,
    *,
    attention_mask: ArrayLike | None = None,
    query_mask: ArrayLike | None = None,
    causal: bool | None = None,
    window: Windows = None,
    rows: Rows = "error",
    tolerance: float | None = None,
    unit: Unit = "nats",
    per_query: bool = False,
    batch_idx: int | None = None,
    axes: str | None = None,
) -> PerHead:
    r"""Return the entropy that each head would have if it attended evenly to all keys that each query may see.

    It is the mean of :math:`\ln n_i` over the queries that `calculate_entropy` averages, so that the entropy divided by it is
    `calculate_normalized_entropy` with ``method="ratio_of_sums"``, and what `visualize_normalized_entropy` takes as its
    `max_entropy`.

    Parameters
    ----------
    attentions, attention_mask, query_mask, window, rows, tolerance, per_query, batch_idx, axes
        As in `calculate_entropy`.
    causal
        As in `calculate_normalized_entropy`: None finds out.
    unit
        ``"nats"`` or ``"bits"``.

    Returns
    -------
    numpy.ndarray or dict
        As `calculate_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from headspec.measures.entropy import calculate_max_entropy
    >>> causal = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    >>> calculate_max_entropy([causal[None, None]]).round(3)
    array([[0.795]])
    """
    task = _read(attentions, attention_mask, query_mask, causal, window, batch_idx, axes, find_causal=True)
    scale = _scale(unit)
    found = {}
    for layer, (entropy, maximum) in _each(task, rows, tolerance):
        kept = ~np.isnan(entropy)
        values = np.where(kept, maximum / scale, np.nan)
        found[layer] = values if per_query else _mean(values, kept)
    return _collect(found, task.as_dict)


def is_causal(
    attentions: ArrayLike,
    *,
    attention_mask: ArrayLike | None = None,
    query_mask: ArrayLike | None = None,
    batch_idx: int | None = None,
    axes: str | None = None,
) -> bool:
    """Tell whether attention only looks back: no weight above the diagonal in any layer, head and real query.

    Parameters
    ----------
    attentions, attention_mask, query_mask, batch_idx, axes
        As in `calculate_entropy`. With fewer queries than keys the queries are taken to be the last ones.

    Returns
    -------
    bool
        False also where a single query leaves nothing to tell it by.

    Raises
    ------
    DataError
        Where some rows are uniform over all keys and the others look back: padding that no mask names.
    """
    task = _read(attentions, attention_mask, query_mask, None, None, batch_idx, axes, find_causal=True)
    return task.causal


def describe_maximum(
    attentions: ArrayLike,
    *,
    attention_mask: ArrayLike | None = None,
    query_mask: ArrayLike | None = None,
    causal: bool | None = None,
    window: Windows = None,
    rows: Rows = "error",
    batch_idx: int | None = None,
    axes: str | None = None,
) -> str:
    """Return in words what `calculate_normalized_entropy` takes as 1 for the same arguments, and what it found out itself.

    Parameters
    ----------
    attentions, attention_mask, query_mask, causal, window, rows, batch_idx, axes
        As in `calculate_normalized_entropy`.

    Returns
    -------
    str
        A phrase for a subtitle.

    Examples
    --------
    >>> import numpy as np
    >>> from headspec.measures.entropy import describe_maximum
    >>> describe_maximum([np.eye(3)[None, None]], causal=False)
    'uniform over all keys'
    """
    task = _read(attentions, attention_mask, query_mask, causal, window, batch_idx, axes, find_causal=True)
    whose = "each query's own and earlier keys" if task.causal else "all keys"
    notes = (
        ["causal, as found from the weights"] if task.causal and causal is None and not implies_causal(window) else []
    )
    if window is not None:
        windows = set(window.values()) if isinstance(window, Mapping) else {window}
        notes.append(f"within a window of {listing(sorted(map(str, windows - {None})), last='or')}")
    if task.masks.cells is not None:
        whose, notes = "the keys that the mask shows to each query", notes[:0]
    elif task.masks.keys is not None:
        notes.append("without padding")
    if rows == "sink":
        notes.append("and the sink")
    return f"uniform over {whose}" + (f" ({', '.join(notes)})" if notes else "")


def _read(
    attentions: ArrayLike,
    attention_mask: ArrayLike | None,
    query_mask: ArrayLike | None,
    causal: bool | None,
    window: Windows,
    batch_idx: int | None,
    axes: str | None,
    *,
    find_causal: bool = False,
) -> _Input:
    layers = attention_layers(attentions, axes=axes)
    masks = read_masks(attention_mask, query_mask)
    if batch_idx is not None:
        size = max(int(layer.array.shape[0]) for layer in layers)
        if not -size <= batch_idx < size:
            raise DataError(f"batch_idx={batch_idx} is out of range: attentions has a batch of {size}, numbered from 0")
        layers = [Layer(layer.id, layer.array[batch_idx % int(layer.array.shape[0])][None]) for layer in layers]
        masks = pick_sequence(masks, batch_idx % size)
    if implies_causal(window):
        if causal is False:
            raise DataError("window as one number looks back only; with causal=False give a pair (before, after)")
        causal = True
    found = causal is None and find_causal and attends_back(layers, masks)
    return _Input(layers, masks, found or bool(causal), found, window, isinstance(attentions, Mapping))


def _each(task: _Input, rows: Rows, tolerance: float | None) -> Iterator[tuple[int, _Entropies]]:
    if rows not in ("error", "renormalise", "sink"):
        raise DataError(f"rows={rows!r} is unknown; expected 'error', 'renormalise' or 'sink'")
    counted = False
    reading = meter("attentions", (layer.array for layer in task.layers))
    for layer in task.layers:
        name = f"attentions of layer {layer.id}"
        shape = tuple(int(size) for size in layer.array.shape)
        absent = np.ma.getmaskarray(layer.array) if np.ma.is_masked(layer.array) else None
        window = window_of(task.window, layer.id)
        visible = visible_keys(shape, task.masks, causal=task.causal, window=window, absent=absent, name=name)
        alone = all(mask is None for mask in task.masks) and window is None and absent is None
        with reading:
            sums = layer_sums(layer.array, visible, proved=task.proved and alone, name=name, meter=reading)
        limit = tolerance_of(layer.array, tolerance)
        entropy = entropy_of(layer, sums, visible, rows=rows, tolerance=limit, name="attentions")
        maximum = np.log(np.maximum(visible.number + (rows == "sink"), 1))
        counted = counted or bool(visible.real.any())
        yield layer.id, _Entropies(entropy, np.broadcast_to(maximum, entropy.shape))
    if not counted:
        raise DataError("no query is left: attention_mask or query_mask marks every one as padding (1 is a real token)")


def _scale(unit: Unit) -> float:
    if unit not in ("nats", "bits"):
        raise DataError(f"unit={unit!r} is unknown; expected 'nats' or 'bits'")
    return 1.0 if unit == "nats" else float(np.log(2.0))


def _mean(values: Floats, where: Bools) -> Floats:
    """Return the mean over sequences and queries of each head; NaN for a head without any."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(where, values, 0.0).sum(axis=(0, 2)) / where.sum(axis=(0, 2)))


def _collect(found: dict[int, Floats], as_dict: bool) -> PerHead:
    if as_dict or len({values.shape for values in found.values()}) > 1:
        return found
    return np.stack(list(found.values()))
