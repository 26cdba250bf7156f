"""The weights that belong to one head: its rows of the query, key and value projections, its columns of the output's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.arrays import NumpyArray, is_array, kind_of, shape_of, to_numpy
from headspec.errors import DataError, KindError
from headspec.measures._projections import Attention, Family, find_attention
from headspec.text import clean

KeyValue: TypeAlias = Literal["shared", "divided", "exclude"]
Heads: TypeAlias = "int | Sequence[int] | Mapping[int, int] | None"
Floats: TypeAlias = npt.NDArray[np.float64]
Reader: TypeAlias = Callable[[Any, bool], Any]
"""From a named entry, and whether it is known to be a parameter of a model, to the array to measure, or None."""

_HEAD_COUNTS = ("num_heads", "num_attention_heads", "n_heads", "n_head")
_HEAD_SIZES = ("head_dim", "attention_head_size", "key_value_proj_dim", "head_size")


class Entries(NamedTuple):
    """The named arrays to measure, and the model that they came from."""

    values: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    model: Any


def read_entries(parameters: Any, read: Reader, name: str = "parameters") -> Entries:
    """Read a model, a dict or an iterable of named parameters.

    Raises
    ------
    KindError
        Neither a model nor something with names.
    """
    model = None
    if hasattr(parameters, "named_parameters"):
        model, items = parameters, list(parameters.named_parameters())
    elif isinstance(parameters, Mapping):
        items = list(parameters.items())
    elif isinstance(parameters, Iterable) and not is_array(parameters) and not isinstance(parameters, (str, bytes)):
        items = list(parameters)
        if not all(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in items):
            raise KindError(
                f"{name} holds no names; expected a model or model.named_parameters(), not model.parameters()"
            )
    else:
        raise KindError(
            f"{name} is {kind_of(parameters)}; expected a model, model.named_parameters() or a dict of name → array"
        )
    if not items:
        raise DataError(f"{name} is empty: no parameters")
    shapes = {str(key): shape_of(_shown(entry)) for key, entry in items}
    return Entries({str(key): read(entry, model is not None) for key, entry in items}, shapes, model)


def _shown(entry: Any) -> Any:
    """Return the array of an entry, which may be a pair (weight, gradient) of which one is None."""
    return next((part for part in entry if part is not None), None) if isinstance(entry, tuple) else entry


def head_norms(
    entries: Entries,
    *,
    num_heads: Heads,
    stack: str | None,
    kv: KeyValue,
    biases: bool,
    patterns: Family | Sequence[Family] | None,
) -> tuple[dict[int, Floats], list[str]]:
    """Return the L2 norm of each head's slices by layer, and the names of the weights without values.

    A layer that lacks one of its arrays is NaN: a norm of the rest would be another measure.
    """
    if kv not in ("shared", "divided", "exclude"):
        raise DataError(f"kv={kv!r} is unknown; expected 'shared', 'divided' or 'exclude'")
    modules = find_attention(entries.values, patterns, stack)
    if getattr(getattr(entries.model, "config", None), "multi_query", None) is False:
        # GPT-BigCode: its fused matrix goes head by head where each head has its own key, and no name or shape tells
        modules = [
            item._replace(names={"qkv_by_head" if role == "qkv" else role: name for role, name in item.names.items()})
            for item in modules
        ]
    norms: dict[int, Floats] = {}
    lacking: list[str] = []
    for place, module in enumerate(modules):
        heads = _heads_of(entries, module, num_heads, place, len(modules))
        wanted = _wanted(entries, module, kv, biases)
        absent = [name for name in wanted if entries.values[name] is None]
        lacking += absent
        norms[module.layer] = (
            np.full(heads, np.nan) if absent else np.sqrt(_squares(entries, module, heads, kv, wanted))
        )
    return norms, lacking


def _wanted(entries: Entries, module: Attention, kv: KeyValue, biases: bool) -> dict[str, str]:
    """Return name → role of the arrays that count."""
    wanted = {}
    for role, name in module.names.items():
        if kv == "exclude" and role in ("k", "v", "kv"):
            continue
        wanted[name] = role
        if biases and role != "o" and _bias(name) in entries.values:  # the output's bias belongs to no head
            wanted[_bias(name)] = role
    return wanted


def by_layer(norms: dict[int, Floats]) -> Floats | dict[int, Floats]:
    """Return ``[layer, head]`` where the layers count from 0 and have the same number of heads, else the dict."""
    if list(norms) == list(range(len(norms))) and len({len(row) for row in norms.values()}) == 1:
        return np.stack(list(norms.values()))
    return norms


def _bias(weight: str) -> str:
    path, dot, last = weight.rpartition(".")
    return f"{path}{dot}b_{last[2:]}" if last.startswith("W_") else weight.removesuffix("weight") + "bias"


def _heads_of(entries: Entries, module: Attention, num_heads: Heads, place: int, layers: int) -> int:
    if isinstance(num_heads, Mapping):
        found = num_heads.get(module.layer)
    elif num_heads is None or isinstance(num_heads, (int, np.integer)):
        found = num_heads
    else:
        if len(num_heads) != layers:
            raise DataError(f"num_heads lists {len(num_heads)} layers, but {layers} have attention")
        found = num_heads[place]
    if found is None:
        found = _from_model(entries, module)
    if found is None:
        raise DataError(
            f"how many heads layer {module.layer} has cannot be read from {clean(module.path or 'the parameters')}; give num_heads= "
            "(a list or a dict {layer: heads} where layers differ)"
        )
    if found < 1:
        raise DataError(f"num_heads={found} must be 1 or more")
    return int(found)


def _from_model(entries: Entries, module: Attention) -> int | None:
    """Return the number of heads that the module itself states, by count or by size, or else the model's configuration."""
    first = next(module.names[role] for role in ("q", "qkv", "qkv_by_head") if role in module.names)
    shape = entries.shapes[first]
    if len(shape) == 3:
        return shape[0]
    if not hasattr(entries.model, "get_submodule"):
        return None
    paths = [module.path, first.rpartition(".")[0].rpartition(".")[0]]
    places = [entries.model.get_submodule(path) for path in dict.fromkeys(paths)]
    size_of_all = entries.shapes[module.names["o"]]
    for place in places:
        for attribute in _HEAD_COUNTS:
            if isinstance(count := getattr(place, attribute, None), int):
                return count
        for attribute in _HEAD_SIZES:
            if isinstance(size := getattr(place, attribute, None), int) and "q" in module.names:
                return shape[0] // size
            if isinstance(size, int):  # fused: the output projection takes all heads side by side
                return (size_of_all[0] if _is_transposed(shape, size_of_all) else size_of_all[1]) // size
    config = getattr(entries.model, "config", None)
    return next((c for a in _HEAD_COUNTS if isinstance(c := getattr(config, a, None), int)), None)


def _is_transposed(fused: tuple[int, ...], output: tuple[int, ...]) -> bool:
    """Tell whether a fused projection is stored as (in, out), as GPT-2's Conv1D does, from the width that both sides share."""
    return fused[1] != output[0] and fused[0] == output[1]


def _squares(entries: Entries, module: Attention, heads: int, kv: KeyValue, wanted: Mapping[str, str]) -> Floats:
    """Return the sum of squares of each head's slices."""
    names = module.names
    fused = next((names[role] for role in ("qkv", "kv") if role in names), None)
    output = entries.shapes[names["o"]]
    transposed = fused is not None and _is_transposed(entries.shapes[fused], output)
    width = 0 if len(output) == 3 else output[0] if transposed else output[1]
    if width % heads:
        raise DataError(
            f"{clean(names['o'])} takes {width} columns, which {heads} heads cannot share; check num_heads="
        )
    total = np.zeros(heads)
    for name, role in wanted.items():
        array = to_numpy(entries.values[name], name=clean(name))
        if array.ndim == 1:
            array = array[:, None]
        elif array.ndim == 2 and transposed != (role == "o"):
            array = array.T  # what belongs to a head is now rows
        total += _role_squares(role, array, heads, width // heads, kv, name)
    return total


def _role_squares(role: str, array: NumpyArray, heads: int, size: int, kv: KeyValue, name: str) -> Floats:
    if size == 0:  # one matrix per head
        return _shared(_sums(array, len(array)), heads, "shared" if role in "qo" else kv, name)
    rows = len(array)
    if rows % size:
        raise DataError(f"{clean(name)} has {rows} rows, which heads of size {size} cannot share; check num_heads=")
    if role in ("q", "o"):
        if rows != heads * size:
            raise DataError(f"{clean(name)} has {rows} rows; expected {heads} heads × {size}")
        return _sums(array, heads)
    if role in ("k", "v"):
        return _shared(_sums(array, rows // size), heads, kv, name)
    groups, odd = divmod(rows // size - (0 if role == "kv" else heads), 2)
    if odd or groups < 1:
        raise DataError(
            f"{clean(name)} has {rows} rows, which {heads} heads of size {size} with their keys and values do not fill"
        )
    if role == "qkv_by_head":
        each = _sums(array, rows // size).reshape(groups, -1)
        return each[:, :-2].reshape(-1) + _shared(each[:, -2] + each[:, -1], heads, kv, name)
    each = _sums(array, rows // size)
    queries, keys, values = np.split(each, [len(each) - 2 * groups, len(each) - groups])
    return (queries if len(queries) else np.zeros(heads)) + _shared(keys + values, heads, kv, name)


def _shared(groups: Floats, heads: int, kv: KeyValue, name: str) -> Floats:
    """Return for each query head what its group of keys or values has."""
    if heads % len(groups):
        raise DataError(f"{clean(name)} has {len(groups)} groups, which {heads} heads cannot share; check num_heads=")
    share = heads // len(groups)
    scale = {"shared": 1.0, "divided": 1.0 / share, "exclude": 0.0}[kv]
    return np.repeat(groups, share) * scale if scale else np.zeros(heads)


def _sums(array: NumpyArray, parts: int) -> Floats:
    """Return the sum of squares of each of so many equal parts, in float64: the squares of small gradients vanish in float32."""
    flat = array.reshape(parts, -1)
    return np.array([float(np.dot(wide := row.astype(np.float64).ravel(), wide)) for row in flat])
