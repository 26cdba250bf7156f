"""Arrays from files: NumPy's own formats and JSON."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from headspec.errors import DataError
from headspec.text import clean, listing


def load_arrays(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the arrays of a file by name; the array of a file with one alone is named after the file.

    Reads ``.npy`` (memory-mapped), ``.npz`` and ``.json`` (nested lists, or an object of them). Nothing that could run code
    is loaded.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(
            f"{clean(file)} is {'a folder' if file.is_dir() else 'not there'}; expected an .npz, .npy or .json file"
        )
    suffix = file.suffix.lower()
    try:
        if suffix == ".npy":
            return {file.stem: np.load(file, mmap_mode="r", allow_pickle=False)}
        if suffix == ".npz":
            with file.open("rb") as content, np.load(content, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if suffix == ".json":
            value = json.loads(file.read_text(encoding="utf-8"))
            return dict(value) if isinstance(value, dict) else {file.stem: value}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = "it holds pickled objects, which could run code" if re.search("pickle|python objects", str(error), re.I) else clean(error)
        raise DataError(f"{clean(file.name)} cannot be read: {reason}") from error
    raise DataError(f"{clean(file.name)} is no file of arrays that headspec reads; known are .npz, .npy and .json")


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
