"""Numbers and heads as a recording writes them, and back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.arrays import ArrayLike, is_array, is_torch, kind_of, parts, to_numpy
from headspec.axes import head_layers
from headspec.errors import KindError
from headspec.text import clean

Rows: TypeAlias = "list[list[float | None]] | dict[str, list[float | None]]"
Vector: TypeAlias = "tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]"


def fetch(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with tensors of accelerators in main memory, by one transfer per device and dtype.

    Each transfer waits for the device, so one per metric would hold a training up several times a step.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return dict(values)
    away: dict[tuple[str, str], list[Any]] = {}
    for value in values.values():
        for tensor in _tensors(value, torch):
            if is_away(tensor):
                away.setdefault((str(tensor.device), str(tensor.dtype)), []).append(tensor)
    if not away:
        return dict(values)
    here: dict[int, Any] = {}
    for group in away.values():
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in group]).cpu()
        for tensor, part in zip(group, flat.split([tensor.numel() for tensor in group]), strict=True):
            here[id(tensor)] = part.reshape(tensor.shape)
    return {name: _replaced(value, here) for name, value in values.items()}


def is_away(tensor: Any) -> bool:
    """Tell whether the values of a tensor are on an accelerator."""
    return tensor.device.type not in ("cpu", "meta") and tensor.layout == sys.modules["torch"].strided


def _tensors(value: Any, torch: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return [item for item in inner if isinstance(item, torch.Tensor)]


def _replaced(value: Any, here: dict[int, Any]) -> Any:
    if id(value) in here:
        return here[id(value)]
    if isinstance(value, Mapping):
        return {key: here.get(id(item), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [here.get(id(item), item) for item in value]
    return value


def plain_number(value: Any, name: str) -> float | int | None:
    """Return the number that a scalar of any library holds; a masked one is None, not measured.

    A float32 becomes the double that prints alike, as everywhere in headspec.
    """
    if isinstance(value, (bool, int, float)) and not isinstance(value, np.generic):
        return int(value) if isinstance(value, (bool, int)) else float(value)
    if is_torch(value) and value.numel() == 1 and value.dtype.is_floating_point:
        single = value.detach().item()  # to_numpy takes ten times as long
        return float(single) if value.dtype.itemsize == 8 else float(str(np.float32(single)))
    if not is_array(value) and not isinstance(value, np.generic):
        raise KindError(
            f"{clean(name)} is {kind_of(value)}; expected a number, or None for not measured"
            + ("; heads go through heads(), prune() and revive()" if isinstance(value, (list, tuple, dict)) else "")
        )
    array = np.asarray(value) if isinstance(value, np.generic) else to_numpy(value, name=name)
    if array.size != 1 or array.dtype.kind not in "biuf":
        what = f"has shape {array.shape}" if array.size != 1 else f"holds {array.dtype}"
        raise KindError(f"{clean(name)} {what}; expected one number, or None for not measured")
    if array.dtype.kind != "f":
        return None if np.ma.getmaskarray(array).any() else int(np.ma.getdata(array).reshape(-1)[0])
    number, masked = parts(array.reshape(-1))
    return None if masked[0] else float(number[0])


def encode_heads(values: ArrayLike, name: str) -> Rows:
    """Return values of heads for JSON: lists of layers from 0, or an object of them by id; null is masked."""
    layers = head_layers(values, name=name)
    vectors = [vector for _, vector in layers]
    if len({vector.dtype for vector in vectors}) == 1:  # at once: twelve small ones take longer
        vectors = [np.ma.concatenate(vectors)]  # type: ignore[no-untyped-call]
    read = [parts(vector) for vector in vectors]
    cells: list[float | None] = [cell for row, _ in read for cell in row.tolist()]
    masked = np.concatenate([hidden for _, hidden in read])
    for place in np.flatnonzero(masked).tolist():
        cells[place] = None
    found: dict[int, list[float | None]] = {}
    start = 0
    for layer, vector in layers:
        found[layer] = cells[start : start + len(vector)]
        start += len(vector)
    if list(found) == list(range(len(found))):
        return list(found.values())
    return {str(layer): row for layer, row in found.items()}


def decode_heads(rows: Any) -> dict[int, Vector]:
    """Return what `encode_heads` wrote, by layer: the values, and which are masked.

    Raises
    ------
    ValueError, TypeError, AttributeError
        If it is something else.
    """
    items = rows.items() if isinstance(rows, dict) else enumerate(rows)
    out: dict[int, Vector] = {}
    for layer, row in items:
        masked = np.array([cell is None for cell in row], dtype=bool)
        out[int(layer)] = np.array([np.nan if cell is None else cell for cell in row], dtype=np.float64), masked
    return out
