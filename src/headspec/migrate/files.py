"""Files on disk: found, read, backed up and replaced as a whole, or left exactly as they were."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headspec.errors import DataError

_SKIPPED = frozenset((".ipynb_checkpoints", "__pycache__", "node_modules", "site-packages"))


@dataclass(frozen=True)
class Source:
    """A file as it was read: its bytes, and what tells whether it has changed since."""

    path: Path
    target: Path
    data: bytes
    mark: tuple[int, int, int]

    @property
    def script(self) -> bool:
        """Tell whether it is a Python file rather than a notebook."""
        return self.target.suffix.lower() in (".py", ".pyw") or self.path.suffix.lower() == ".py"


def find(paths: Iterable[str]) -> Iterator[tuple[Path, str | None]]:
    """Yield the files that are meant, each once, with an error for what is none.

    Parameters
    ----------
    paths
        Files, and folders that are searched for notebooks.
    """
    seen: set[Path] = set()
    for text in paths:
        path = Path(text)
        if path.is_dir():
            found = list(_walk(path))
            if not found:
                yield path, "the folder holds no notebook (*.ipynb)"
            for one in found:
                yield from _once(one, seen)
        elif not path.exists():
            yield path, "the link leads nowhere" if path.is_symlink() else "no such file"
        elif path.suffix.lower() not in (".ipynb", ".py", ".pyw"):
            yield path, "neither a notebook (.ipynb) nor a Python file (.py)"
        else:
            yield from _once(path, seen)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(".ipynb") and not name.startswith("."):
                yield Path(root, name)


def _once(path: Path, seen: set[Path]) -> Iterator[tuple[Path, str | None]]:
    real = path.resolve()
    if real not in seen:
        seen.add(real)
        yield path, None


def load(path: Path) -> Source:
    """Read a file and remember its state.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    target = path.resolve()
    try:
        if not stat.S_ISREG(target.stat().st_mode):
            raise DataError("not a regular file")
        before = _mark(target)
        data = target.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None
    return Source(path, target, data, before)


def _mark(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size, state.st_ino


def replace(source: Source, data: bytes, *, backup: bool) -> Path | None:
    """Put new bytes in the place of a file, in one step.

    Parameters
    ----------
    source
        The file as it was read.
    data
        The new bytes.
    backup
        Whether the old bytes are kept beside it, under a name that nothing has yet.

    Returns
    -------
    Path or None
        The backup.

    Raises
    ------
    DataError
        If the file is read-only, has changed since it was read, or cannot be written; it is then as it was.
    """
    target = source.target
    kept: Path | None = None
    temporary: Path | None = None
    try:
        mode = target.stat().st_mode
        if not mode & 0o222 or not os.access(target, os.W_OK):
            raise DataError("read-only: left as it is")
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _same_owner(temporary, target)
        if backup:
            kept = _back_up(source)
        if _mark(target) != source.mark or _hash(target.read_bytes()) != _hash(source.data):
            raise DataError("the file changed while it was being migrated: left as it is now")
        os.replace(temporary, target)
    except BaseException as error:  # an interrupt too leaves nothing behind
        if temporary is None or temporary.exists():  # not in its place
            for path in (temporary, kept):
                if path is not None:
                    with contextlib.suppress(OSError):
                        path.unlink()
        if isinstance(error, OSError):
            raise DataError(f"cannot be written: {error.strerror or error}; left as it is") from None
        raise
    return kept


def _same_owner(path: Path, target: Path) -> None:
    state = target.stat()
    os.chmod(path, stat.S_IMODE(state.st_mode))
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(path, state.st_uid, state.st_gid)


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _back_up(source: Source) -> Path:
    """Write the old bytes to NAME.bak, or to the first NAME.bak.N that does not exist."""
    count = 0
    while True:
        path = source.target.with_name(f"{source.target.name}.bak" + (f".{count}" if count else ""))
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            handle = os.open(path, flags, 0o666)
        except FileExistsError:
            count += 1
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(source.data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):
            _same_owner(path, source.target)
            os.utime(path, ns=(source.mark[0], source.mark[0]))
        return path
