"""Files that are whole or not there: written beside their place, flushed, and renamed into it."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from headspec.errors import DataError, KindError, RenderError
from headspec.text import clean


def target(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to be written, or say why nothing can be written there.

    Raises
    ------
    KindError
        If it is no path.
    DataError
        If its folder does not exist, or it is itself a folder.
    """
    try:
        place = Path(path).expanduser()
    except TypeError as err:
        raise KindError(f"path is a str or Path, not {type(path).__name__}") from err
    if "\0" in str(place):
        raise DataError(f"path {clean(place)!r} holds a NUL character")
    if place.is_dir():
        raise DataError(f"path {clean(place)!r} is a folder: add the name of a file, such as chart.png")
    if not place.parent.is_dir():
        raise DataError(f"the folder {clean(place.parent)!r} does not exist: make it first, or save elsewhere")
    return place


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file so that it is either the whole new one or the old one.

    Parameters
    ----------
    path
        Where to; a symbolic link is followed. The folder must exist.
    content
        Bytes, or text that is written as UTF-8 with the line ends that it has.

    Returns
    -------
    Path
        The path as given.

    Raises
    ------
    RenderError
        If the file cannot be written (no space, no permission); the old file is untouched and nothing is left beside it.
    """
    place = target(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    real = Path(os.path.realpath(place))
    try:
        if real.exists() and not os.access(real, os.W_OK):
            raise PermissionError(f"{clean(real.name)} is read-only")
        _replace(real, data)
    except OSError as err:
        reason = err.strerror or str(err)
        kept = ": the old file is as it was" if real.exists() else ""
        raise RenderError(f"{clean(place)!r} could not be written ({reason}){kept}") from err
    return place


def _replace(real: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{real.name[:40]}.", suffix=".tmp", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _mode(real))
        os.replace(name, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(real.parent)


def _mode(real: Path) -> int:
    """Return the permissions that the file has, or that a new one would get."""
    with suppress(OSError):
        return stat.S_IMODE(real.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself lasting, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
