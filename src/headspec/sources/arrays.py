"""Arrays from files: NumPy's own formats, safetensors, PyTorch's (weights only) and JSON. Nothing that could run code is loaded."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headspec.errors import DataError, HeadspecError, need
from headspec.text import clean, listing

MAX_BYTES = 1_000_000_000
"""Bytes that a file of arrays may take in memory; ``.npy`` and ``.safetensors`` are mapped, not read, and may be larger."""
SUFFIXES = (".npz", ".npy", ".safetensors", ".pt", ".pth", ".json")

# safetensors' names of dtypes; bfloat16 is widened, as NumPy has none
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_MAX_HEADER = 100_000_000


def load_arrays(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Return the arrays of a file by name; the array of a file with one alone is named after the file.

    Reads ``.npy`` and ``.safetensors`` (memory-mapped), ``.npz``, ``.pt`` and ``.pth`` (weights only; needs torch) and
    ``.json`` (nested lists, or an object of them), and the ``heads.jsonl`` of a recording: ``[step, layer, head]`` per measure.
    Nothing that could run code is loaded.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(
            f"{clean(file)} is {'a folder' if file.is_dir() else 'not there'}; expected a file of arrays: {listing(SUFFIXES, last='or')}"
        )
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise DataError(
            f"{clean(file.name)} is no file of arrays that headspec reads; known are {listing(SUFFIXES)}"
            + (_PICKLE if file.suffix.lower() in (".pkl", ".pickle", ".joblib") else "")
        )
    try:
        return read(file, max_bytes)
    except HeadspecError:
        raise
    except (ValueError, OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile, RecursionError) as error:
        objects = any(word in str(error).lower() for word in ("pickle", "python objects", "object arrays"))
        cut = isinstance(error, (zipfile.BadZipFile, EOFError)) or "mmap length" in str(error)
        reason = _OBJECTS if objects else _CUT.format(file.suffix) if cut else clean(error) or type(error).__name__
        raise DataError(f"{clean(file.name)} cannot be read: {reason}") from error


_PICKLE = "; a pickle could run code when it is opened, so save the arrays with numpy.savez"
_CUT = "it is cut off, or no {} file"
_OBJECTS = "it holds pickled objects, which could run code; nothing of it was loaded"


def too_large(name: str, size: int, limit: int) -> DataError:
    """Return the error for a file that is larger than what is read."""
    return DataError(
        f"{clean(name)} takes {size / 1e6:,.0f} MB, more than the {limit / 1e6:,.0f} MB that are read at once; "
        "save a part of it, or its arrays as .npy files, which are mapped and not read"
    )


def _npy(file: Path, _: int) -> dict[str, Any]:
    return {file.stem: np.load(file, mmap_mode="r", allow_pickle=False)}


def _npz(file: Path, max_bytes: int) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > max_bytes:
        raise too_large(file.name, size, max_bytes)
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _json(file: Path, max_bytes: int) -> dict[str, Any]:
    if file.stat().st_size > max_bytes:
        raise too_large(file.name, file.stat().st_size, max_bytes)
    value = json.loads(file.read_text(encoding="utf-8"))
    return dict(value) if isinstance(value, dict) else {file.stem: value}


def _safetensors(file: Path, _: int) -> dict[str, Any]:
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        if not 2 <= size <= min(_MAX_HEADER, file.stat().st_size - 8):
            raise ValueError("it is cut off, or no safetensors file: its header does not fit into it")
        header = json.loads(opened.read(size))
    data = np.memmap(file, np.uint8, "r", offset=8 + size) if file.stat().st_size > 8 + size else np.zeros(0, np.uint8)
    out: dict[str, Any] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _DTYPES:
            continue
        start, end = entry["data_offsets"]
        if not 0 <= start <= end <= len(data):
            raise ValueError(f"it is cut off: {clean(name)} ends beyond the file")
        array = data[start:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
        out[name] = (array.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else array
    return out


def _torch(file: Path, max_bytes: int) -> dict[str, Any]:
    if file.stat().st_size > max_bytes:
        raise too_large(file.name, file.stat().st_size, max_bytes)
    try:
        import torch
    except ImportError as error:
        raise need("torch", extra="torch", purpose=f"to read {clean(file.name)}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles: what cannot be read is said below
            value = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, and whatever its readers raise
        code = "weights" in str(error).lower() or "unsupported" in str(error).lower()
        reason = _OBJECTS if code else "it is cut off, or no file of PyTorch"
        raise DataError(f"{clean(file.name)} cannot be read: {reason}") from error
    return {
        name or file.stem: (tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()).numpy()
        for name, tensor in _tensors(value, "", torch.Tensor)
    }


def _tensors(value: Any, name: str, kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of nested dicts, lists and tuples by their dotted names."""
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{name}.{key}".lstrip("."), kind)
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _tensors(item, f"{name}.{place}".lstrip("."), kind)


def _recorded(file: Path, _: int) -> dict[str, Any]:
    """Return the values of heads that a `Recorder` wrote."""
    from headspec.sources.recorded_run import RecordedRun

    if file.name != "heads.jsonl":
        raise DataError(
            f"{clean(file.name)} holds no arrays; of JSON Lines, those of a recording's heads.jsonl are read"
        )
    return RecordedRun(file.parent).arrays()


_READERS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".json": _json,
    ".safetensors": _safetensors,
    ".pt": _torch,
    ".pth": _torch,
    ".jsonl": _recorded,
}


def pick_array(arrays: dict[str, Any], key: str | None, *, name: str) -> Any:
    """Return one array of a file: the one named, or the only one."""
    if key is None:
        if len(arrays) == 1:
            return next(iter(arrays.values()))
        raise DataError(
            f"{clean(name)} holds {len(arrays)} arrays; pick one with --key: {listing(sorted(arrays), limit=20)}"
        )
    if key not in arrays:
        raise DataError(f"{clean(name)} has no array {clean(repr(key))}; it has {listing(sorted(arrays), limit=20)}")
    return arrays[key]
