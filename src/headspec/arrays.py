"""Arrays of any library, as NumPy arrays of real numbers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.errors import DataError, KindError
from headspec.text import clean

ArrayLike: TypeAlias = Any
"""A torch tensor, NumPy array, DLPack or ``__array__`` object, nested list, or a tuple, list or dict of those."""

NumpyArray: TypeAlias = npt.NDArray[Any]

SAFE_INT = 2**53
"""Above it a JavaScript number no longer tells two integers apart."""

_DENSE_LIMIT = 2**28


def is_torch(value: object) -> bool:
    """Tell whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_array(value: object) -> bool:
    """Tell whether a value is an array object (of any library) rather than a list, a number or text."""
    return isinstance(value, np.ndarray) or (
        not isinstance(value, (np.generic, str, bytes))
        and hasattr(value, "shape")
        and (hasattr(value, "__array__") or hasattr(value, "__dlpack__") or hasattr(value, "dtype"))
    )


def to_numpy(value: ArrayLike, *, name: str = "values") -> NumpyArray:
    """Return a real NumPy array of what any library or nested list holds, without a copy where that is possible.

    Parameters
    ----------
    value
        Torch tensors of any device, dtype and layout (with or without ``requires_grad``), NumPy and masked arrays, arrays
        of JAX and others through ``__array__`` or DLPack, numbers, and nested lists of all these. ``None`` inside a
        list means not measured and comes out masked.
    name
        The argument's name, for error messages.

    Returns
    -------
    numpy.ndarray
        Of a boolean, integer or floating dtype; a ``numpy.ma.MaskedArray`` where something is masked.

    Raises
    ------
    KindError
        For text, complex numbers, dates, objects and other kinds that are not real numbers.
    DataError
        For tensors without values, ragged lists, and integers that a chart could not tell apart.
    """
    if is_torch(value):
        return _from_torch(value, name)
    if isinstance(value, np.ndarray):
        return _checked(value, name)
    if is_array(value) or hasattr(value, "__dlpack__"):
        return _checked(_from_protocol(value, name), name)
    if isinstance(value, (list, tuple)):
        return _from_sequence(value, name)
    if isinstance(value, (bool, int, float, np.generic)):
        return _checked(np.asarray(value), name)
    raise KindError(
        f"{name} is {kind_of(value)}; expected a torch tensor, a NumPy array, anything with __array__ or DLPack, "
        "or a nested list of numbers"
    )


def kind_of(value: object) -> str:
    """Return what a value is, for an error message."""
    return "None" if value is None else f"of type {type(value).__module__}.{type(value).__qualname__}"


def _from_torch(tensor: Any, name: str) -> NumpyArray:
    torch = sys.modules["torch"]
    if tensor.is_meta:
        raise DataError(
            f"{name} is a tensor on the meta device, which has a shape but no values; load the weights first"
        )
    if tensor.is_nested:
        raise KindError(f"{name} is a nested tensor; pass its layers as a tuple: tuple({name}.unbind())")
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        if tensor.numel() > _DENSE_LIMIT:
            raise DataError(
                f"{name} is sparse with {tensor.numel():,} cells, too many to make dense; select a part first"
            )
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.is_complex():
        raise KindError(f"{name} is complex; pass its real part or its absolute value")
    if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.float()  # bfloat16 and the 8-bit floats have no NumPy counterpart
    return _checked(tensor.resolve_conj().resolve_neg().cpu().numpy(), name)


def _from_protocol(value: Any, name: str) -> NumpyArray:
    try:
        if hasattr(value, "__array__"):
            return np.asanyarray(value)  # what is masked stays masked
        return np.from_dlpack(value)
    except Exception as error:
        # each library refuses in its own way: a device array, an unknown dtype, a failed chunk
        stored = isinstance(error, (OSError, MemoryError, KeyError))
        hint = "" if stored else "; copy it to the host first (numpy.asarray, .get(), .cpu())"
        raise DataError(
            f"{name} ({kind_of(value)}) could not be read as a NumPy array: {type(error).__name__}: {clean(error)}{hint}"
        ) from error


def _from_sequence(value: Sequence[Any], name: str) -> NumpyArray:
    mask: list[bool] = []
    shape, ragged = shape_of(value), False
    flat: list[Any] = []

    def walk(item: Any, depth: int) -> None:
        nonlocal ragged
        if isinstance(item, (list, tuple)):
            if depth >= len(shape) or len(item) != shape[depth]:
                ragged = True
                return
            for child in item:
                walk(child, depth + 1)
        elif item is None:
            mask.extend([True] * int(np.prod(shape[depth:], dtype=int)))
            flat.extend([0.0] * int(np.prod(shape[depth:], dtype=int)))
        else:
            array = to_numpy(item, name=name)
            if array.shape != shape[depth:]:
                ragged = True
                return
            flat.extend(array.ravel().tolist() if array.ndim else [array[()]])
            mask.extend(np.ma.getmaskarray(array).ravel().tolist())

    walk(value, 0)
    if ragged:
        raise DataError(
            f"{name} is ragged: its rows have different lengths; a tuple or dict of layers may be ragged, a matrix not"
        )
    array = _checked(np.asarray(flat).reshape(shape), name)
    return np.ma.MaskedArray(array, mask=np.asarray(mask).reshape(shape)) if any(mask) else array


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an array or of nested lists (by their deepest branch)."""
    if isinstance(value, (list, tuple)):
        inner = max((shape_of(item) for item in value), key=len, default=())
        return (len(value), *inner)
    return tuple(int(size) for size in value.shape) if is_array(value) else ()


def _checked(array: NumpyArray, name: str) -> NumpyArray:
    kind = array.dtype.kind
    if kind == "O":
        array = _from_objects(array, name)
    elif kind not in "biuf":
        what = {"c": "complex numbers", "U": "text", "S": "bytes", "M": "dates", "m": "time differences"}.get(
            kind, str(array.dtype)
        )
        if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):  # ml_dtypes, as JAX uses them
            return array.astype(np.float32)
        raise KindError(f"{name} holds {what}; expected real numbers")
    if array.dtype.kind in "iu" and array.size and (int(array.max()) > SAFE_INT or int(array.min()) < -SAFE_INT):
        raise DataError(
            f"{name} holds integers beyond 2**53, which a browser rounds; convert them to float or to text first"
        )
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _from_objects(array: NumpyArray, name: str) -> NumpyArray:
    missing = np.zeros(array.shape, dtype=bool)
    out = np.zeros(array.shape, dtype=np.float64)
    for place, item in np.ndenumerate(array):
        if item is None:
            missing[place] = True
        elif isinstance(item, (bool, int, float, np.number)) and not isinstance(item, np.complexfloating):
            out[place] = item
        else:
            where = ", ".join(str(index) for index in place)
            raise KindError(f"{name}[{where}] is {kind_of(item)} ({clean(repr(item))[:40]}); expected real numbers")
    missing |= np.ma.getmaskarray(array)
    return np.ma.MaskedArray(out, mask=missing) if missing.any() else out


def parts(array: NumpyArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the values as float64 and the mask of a small array, masked or not.

    A float32 becomes the double that prints alike (0.1, not 0.10000000149011612): it is what the user sees in the
    tensor, and what a chart should carry.
    """
    data = np.ma.getdata(array)
    if data.dtype.kind == "f" and data.dtype.itemsize < 8:
        data = data.astype(str)
    return np.asarray(data, dtype=np.float64), np.ma.getmaskarray(array)
