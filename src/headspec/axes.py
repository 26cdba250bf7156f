"""What the axes of arrays mean: one rule for every function.

A tuple, list or dict of arrays is layers. One array is read by its rank: 5-D is stacked layers
``[layer, batch, head, query, key]``, 4-D one layer ``[batch, head, query, key]``, 3-D one layer without batch, and
2-D is ``[layer, head]`` for a measure and ``[query, key]`` for an attention matrix. Anything else says so by
``axes="layer head query key"``; what is ambiguous is an error that shows the choices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from headspec.arrays import ArrayLike, NumpyArray, is_array, is_torch, kind_of, shape_of, to_numpy
from headspec.errors import DataError, KindError
from headspec.stored import view_of
from headspec.text import clean, listing

_NO_WEIGHTS = (
    "the model ran with 'sdpa' or flash attention, which returns no weights; load it with "
    'attn_implementation="eager" and call it with output_attentions=True'
)


class Layer(NamedTuple):
    """One layer of a stack: its own id and its array, still of the library that it came from."""

    id: int
    array: Any


def arrange(
    array: Any, axes: str, want: Sequence[str], *, name: str, index: Mapping[str, int | None] | None = None
) -> Any:
    """Bring named axes into the wanted order; axes that are not wanted are picked by `index` or must have length 1.

    Parameters
    ----------
    array
        An array of any library that knows ``ndim``, ``shape`` and indexing.
    axes
        The names of its axes in order, ``"head layer"`` say.
    want
        The names to return, in order; a wanted axis that is absent is an error.
    name
        The argument's name, for error messages.
    index
        Which entry to take along axes that are not wanted.
    """
    names = axes.replace(",", " ").split()
    known = ("step", "layer", "batch", "head", "query", "key")
    unknown = [item for item in names if item not in known]
    if unknown or len(set(names)) != len(names):
        raise DataError(f"axes={axes!r} names {listing(unknown) or 'an axis twice'}; known axes are {listing(known)}")
    if len(names) != len(array.shape):
        raise DataError(
            f"axes={axes!r} names {len(names)} axes, but {name} has {len(array.shape)}: shape {tuple(array.shape)}"
        )
    absent = [item for item in want if item not in names]
    if absent:
        raise DataError(f"axes={axes!r} lacks {listing(absent)}; {name} needs {listing(want)}")
    picker: list[Any] = [slice(None)] * len(names)
    for place, item in enumerate(names):
        if item in want:
            continue
        chosen = (index or {}).get(item)
        size = int(array.shape[place])
        if chosen is None and size != 1:
            raise DataError(f"{name} has {size} entries along {item!r}; pick one with {item}_idx=")
        picker[place] = _in_range(chosen or 0, size, f"{item}_idx", name)
    array = array[tuple(picker)]
    kept = [item for item in names if item in want]
    order = [kept.index(item) for item in want]
    if order == list(range(len(order))):
        return array
    return array.permute(*order) if is_torch(array) else array.transpose(order)


def _in_range(index: int, size: int, argument: str, name: str) -> int:
    if not -size <= index < size:
        raise DataError(f"{argument}={index} is out of range: {name} has {size}, numbered 0 to {size - 1}")
    return index % size


def _layer_items(value: Any, name: str) -> list[Layer] | None:
    """Return the layers of a tuple, list or dict of arrays, or None where the value is one array (or numbers)."""
    if isinstance(value, Mapping):
        if not value:
            raise DataError(f"{name} is an empty dict; expected {{layer: array}}")
        return [Layer(_layer_id(key, name), item) for key, item in value.items()]
    if isinstance(value, (list, tuple)) and any(is_array(item) and len(item.shape) for item in value):
        return [Layer(index, item) for index, item in enumerate(value)]
    return None


def _layer_id(key: object, name: str) -> int:
    if isinstance(key, str) and key.isdecimal():
        key = int(key)
    if isinstance(key, bool) or not isinstance(key, (int, np.integer)) or key < 0:
        raise DataError(
            f"{name} has the key {clean(repr(key))}; the keys of a dict are layer numbers: {{0: array, 1: array, …}}"
        )
    return int(key)


def _refuse_none(layers: Sequence[Layer], name: str, hint: str) -> None:
    empty = [layer.id for layer in layers if layer.array is None]
    if empty:
        raise DataError(f"{name} is None for layer {listing(empty)}; {hint}")


def head_layers(
    values: ArrayLike,
    *,
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    name: str = "values",
) -> list[tuple[int, NumpyArray]]:
    """Return one vector ``[head]`` per layer from a measure in any of its forms.

    Parameters
    ----------
    values
        ``[layer, head]``; a tuple, list or dict of vectors (ragged too); a flat vector with `num_layers` and `num_heads`;
        one number (a single head).
    axes
        The names of the axes where they are others: ``"head layer"``.
    num_layers, num_heads
        How a flat vector splits; `num_heads` may be one count per layer.
    name
        The argument's name, for error messages.

    Returns
    -------
    list of (int, numpy.ndarray)
        Layer id and its vector; masked where something was masked or None.
    """
    layers = _layer_items(values, name)
    if layers is None and isinstance(values, (list, tuple)) and any(isinstance(item, (list, tuple)) for item in values):
        layers = [Layer(index, item) for index, item in enumerate(values)]  # nested lists may be ragged
        if axes is not None or any(_rank(layer.array) > 1 for layer in layers):
            layers = None
    if layers is not None:
        _refuse_none(layers, name, f"leave the layer out and give a dict: {name}={{0: …, 2: …}}")
        rows = [(layer.id, np.atleast_1d(to_numpy(layer.array, name=f"{name}[{layer.id}]"))) for layer in layers]
        for layer_id, row in rows:
            if row.ndim != 1:
                raise DataError(
                    f"{name}[{layer_id}] has shape {row.shape}; expected one value per head. Average the other axes first "
                    "(headspec.calculate_entropy does it for attention), or pass one stacked array with axes="
                )
        if len({layer_id for layer_id, _ in rows}) != len(rows):
            raise DataError(f"{name} gives a layer twice")
    else:
        rows = _rows_of(to_numpy(values, name=name), axes, num_layers, num_heads, name)
    if not any(row.size for _, row in rows):
        raise DataError(
            f"{name} is empty: no {'heads' if rows else 'layers'}; expected values of shape (layers, heads)"
        )
    return rows


def _rank(value: Any) -> int:
    return len(shape_of(value))


def _rows_of(
    array: NumpyArray, axes: str | None, num_layers: int | None, num_heads: int | Sequence[int] | None, name: str
) -> list[tuple[int, NumpyArray]]:
    if axes is not None:
        names = axes.replace(",", " ").split()
        want = [item for item in ("layer", "head") if item in names]
        array = arrange(array, axes, want, name=name)
        array = array[:, None] if want == ["layer"] else array[None, :] if want == ["head"] else array
    elif array.ndim == 0:
        array = array.reshape(1, 1)
    elif array.ndim == 1:
        return _split(array, num_layers, num_heads, name)
    elif array.ndim != 2:
        raise DataError(
            f"{name} has shape {array.shape}; expected (layers, heads). For other axes say which they are, "
            'axes="batch layer head" say, or reduce them first (headspec.calculate_entropy for attention)'
        )
    return list(enumerate(array))


def _split(
    array: NumpyArray, num_layers: int | None, num_heads: int | Sequence[int] | None, name: str
) -> list[tuple[int, NumpyArray]]:
    if array.size == 0:
        raise DataError(f"{name} is empty: no heads; expected values of shape (layers, heads)")
    if num_layers is None and num_heads is None:
        raise DataError(
            f"{name} is a flat vector of {array.size}; how it splits into layers cannot be guessed. Give num_layers= and "
            f'num_heads= (a list of counts where layers differ), or axes="head" for one layer, axes="layer" for one value a layer'
        )
    if isinstance(num_heads, Sequence):
        counts = [int(item) for item in num_heads]
        if num_layers is not None and len(counts) != num_layers:
            raise DataError(f"num_heads lists {len(counts)} layers, but num_layers={num_layers}")
    else:
        layers = num_layers if num_layers is not None else -(-array.size // max(int(num_heads or 1), 1))
        if layers < 1 or (num_heads is not None and num_heads < 1):
            raise DataError(f"num_layers={num_layers} and num_heads={num_heads} must be 1 or more")
        counts = [int(num_heads) if num_heads is not None else array.size // layers] * layers
    if sum(counts) != array.size:
        raise DataError(
            f"{name} is a flat vector of {array.size}, but num_layers={num_layers} and num_heads={num_heads} make "
            f"{sum(counts)} heads"
        )
    ends = np.cumsum(counts)
    return [(layer, array[end - size : end]) for layer, (end, size) in enumerate(zip(ends, counts, strict=True))]


def attention_layers(
    attentions: ArrayLike, *, axes: str | None = None, layer_idx: int = 0, name: str = "attentions"
) -> list[Layer]:
    """Return the layers of attention, each still as it came and with axes ``[batch, head, query, key]``.

    Nothing is copied or moved: the arrays are views, and a reader converts one layer at a time with `to_numpy`.

    Parameters
    ----------
    attentions
        What a model returns (a tuple of ``[batch, head, query, key]``), or any form of the axis rule.
    axes
        The names of the axes of one array where they are others.
    layer_idx
        The id of the layer where the array is one layer only.
    name
        The argument's name, for error messages.
    """
    if attentions is None or (isinstance(attentions, (tuple, list)) and not attentions):
        raise DataError(f"{name} is {'None' if attentions is None else 'empty'}: {_NO_WEIGHTS}")
    if hasattr(attentions, "attentions") or hasattr(attentions, "decoder_attentions"):
        raise KindError(f"{name} is a model output; pass its attentions: {name}=outputs.attentions")
    if isinstance(attentions, (tuple, list)) and all(item is None for item in attentions):
        raise DataError(f"{name} holds only None: {_NO_WEIGHTS}")
    layers = _layer_items(attentions, name)
    if layers is None and isinstance(attentions, (tuple, list)):
        if any(
            isinstance(item, (tuple, list)) and any(is_array(part) and len(part.shape) > 1 for part in item)
            for item in attentions
        ):
            raise DataError(
                f"{name} is a tuple of tuples, as generate() returns it (steps, then layers); pick a step: {name}={name}[0]"
            )
        attentions = to_numpy(attentions, name=name)
    if layers is not None:
        _refuse_none(
            layers, name, "that layer has no weights (a hybrid model?); give the others as a dict {layer: array}"
        )
        return [Layer(layer.id, _as_4d(layer.array, None, f"{name}[{layer.id}]")) for layer in layers]
    attentions = view_of(attentions) if is_array(attentions) else to_numpy(attentions, name=name)
    if axes is not None and "layer" in axes.replace(",", " ").split():
        names = axes.replace(",", " ").split()
        place = names.index("layer")
        if len(names) != len(attentions.shape):
            raise DataError(
                f"axes={axes!r} names {len(names)} axes, but {name} has {len(attentions.shape)}: shape {tuple(attentions.shape)}"
            )
        rest = " ".join(item for item in names if item != "layer")
        picks = [(slice(None),) * place + (index,) for index in range(int(attentions.shape[place]))]
        return [
            Layer(index, _as_4d(attentions[pick], rest, f"{name} layer {index}")) for index, pick in enumerate(picks)
        ]
    if axes is None and len(attentions.shape) == 5:
        return [Layer(index, _as_4d(attentions[index], None, name)) for index in range(int(attentions.shape[0]))]
    return [Layer(layer_idx, _as_4d(attentions, axes, name))]


def _as_4d(array: Any, axes: str | None, name: str) -> Any:
    array = view_of(array) if is_array(array) else to_numpy(array, name=name)
    shape = tuple(int(size) for size in array.shape)
    if axes is None:
        if not 2 <= len(shape) <= 4:
            raise DataError(
                f"{name} has shape {shape}; expected [batch, head, query, key], [head, query, key] or [query, key]. "
                'For other axes say which they are: axes="layer head query key" say'
            )
        axes = " ".join(("batch", "head", "query", "key")[-len(shape) :])
    names = axes.replace(",", " ").split()
    want = [item for item in ("batch", "head", "query", "key") if item in names]
    if "query" not in want or "key" not in want:
        raise DataError(f"axes={axes!r} lacks query or key; {name} needs both")
    array = arrange(array, axes, want, name=name)
    for place, item in enumerate(("batch", "head")):
        if item not in want:
            array = array[(slice(None),) * place + (None,)]
    if 0 in tuple(array.shape):
        raise DataError(f"{name} is empty: shape {shape}; expected at least one head, one query and one key")
    return array


def one_head(
    attentions: ArrayLike, layer_idx: int, head_idx: int, *, batch_idx: int | None, axes: str | None, name: str
) -> Any:
    """Return the ``[query, key]`` matrix of one head, a view where the library allows it."""
    layers = {
        layer.id: layer.array for layer in attention_layers(attentions, axes=axes, layer_idx=layer_idx, name=name)
    }
    if layer_idx < 0:
        layer_idx = _in_range(layer_idx, len(layers), "layer_idx", f"{name} (layers)")
    if layer_idx not in layers:
        raise DataError(f"layer_idx={layer_idx} is out of range: {name} has layers {listing(sorted(layers))}")
    array = layers[layer_idx]
    batch, heads = int(array.shape[0]), int(array.shape[1])
    if batch > 1 and batch_idx is None:
        raise DataError(f"{name} holds a batch of {batch}; pick one with batch_idx=0 … {batch - 1}")
    array = array[_in_range(batch_idx or 0, batch, "batch_idx", f"{name} (batch)")]
    if heads == 1 and _matrix_only(attentions, axes):
        return array[0]  # a plain matrix: head_idx only names it
    return array[_in_range(head_idx, heads, "head_idx", f"{name} (heads of layer {layer_idx})")]


def _matrix_only(attentions: Any, axes: str | None) -> bool:
    if axes is not None:
        return "head" not in axes.replace(",", " ").split()
    return (is_array(attentions) and len(attentions.shape) == 2) or _rank(attentions) == 2


def pairs_of(pairs: Any, *, name: str, shape: Mapping[int, int] | None = None) -> list[tuple[int, int]]:
    """Return (layer, head) pairs, each once and in the order given.

    Parameters
    ----------
    pairs
        None, an iterable of pairs, or a dict ``{layer: heads}``.
    name
        The argument's name, for error messages.
    shape
        Heads per layer; a pair outside is an error.
    """
    if pairs is None:
        return []
    if isinstance(pairs, Mapping):
        items: Iterator[Any] = ((layer, head) for layer, heads in pairs.items() for head in heads)
    elif isinstance(pairs, (str, bytes)) or not hasattr(pairs, "__iter__"):
        raise KindError(f"{name} is {kind_of(pairs)}; expected (layer, head) pairs: {name}=[(0, 1), (1, 3)]")
    else:
        items = iter(to_numpy(pairs, name=name).tolist() if is_array(pairs) else pairs)
    found: dict[tuple[int, int], None] = {}
    for item in items:
        values = (
            [entry.item() if hasattr(entry, "item") else entry for entry in item]
            if hasattr(item, "__iter__")
            else [item]
        )
        whole = len(values) == 2 and all(isinstance(v, int) and not isinstance(v, bool) for v in values)
        if not whole:
            raise DataError(
                f"{name} holds {clean(repr(item))[:60]}; expected (layer, head) pairs of whole numbers: {name}=[(0, 1), (1, 3)]"
            )
        layer, head = int(values[0]), int(values[1])
        if shape is not None and not (layer in shape and 0 <= head < shape[layer]):
            if layer not in shape:
                has = f"layers are {listing(sorted(shape))}"
            else:
                has = f"layer {layer} has heads 0 to {shape[layer] - 1}"
            raise DataError(f"{name} names layer {layer}, head {head}, which is out of range: {has} (counted from 0)")
        found[layer, head] = None
    return list(found)
