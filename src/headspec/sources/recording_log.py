"""Files that grow by whole lines: appended so that a kill loses at most the last one, and read on while they grow."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headspec.errors import DataError
from headspec.text import clean

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BINARY = getattr(os, "O_BINARY", 0)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class LineLog:
    """A file of JSON lines that one process appends to.

    Each append is one write to the operating system and no buffer of Python stands between, so a killed process loses
    nothing that it had appended; a power cut may lose what `sync` had not yet put on the disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut = mend(path)
        self._open()

    def _open(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
        self._end = os.fstat(self._file).st_size

    def append(self, *records: dict[str, Any]) -> None:
        """Append records as lines, all of them or, on an OSError, none."""
        data = "".join([_encode(record) + "\n" for record in records]).encode("ascii")
        done = 0
        try:
            while done < len(data):  # a full disk may take a part
                done += os.write(self._file, data[done:])
        except OSError:
            if done:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._end)
            raise
        self._end += done

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> int:
        """Keep only some records, by a new file in place of the old one; return how many went."""
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if (record := parse(line)) is not None and wanted(record)]
        if len(kept) < len(lines):
            os.close(self._file)
            replace_file(self.path, b"".join(kept))
            self._open()
        return len(lines) - len(kept)

    def sync(self) -> None:
        """Put what was appended on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Put all on the disk and close the file."""
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)


def parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None where it is not a whole one."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def mend(path: Path) -> int:
    """Cut a torn last line off a file; return how many bytes went."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    with open(path, "r+b") as file:
        end = size
        while end:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            file.truncate(end)
            os.fsync(file.fileno())
    return size - end


class LineTail:
    """Reads the lines that were appended to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.restart()

    def restart(self) -> None:
        """Read from the beginning again, the next time."""
        self.torn = 0
        self.damaged: list[int] = []
        self._offset = self._lines = 0
        self._identity: int | None = None

    def replaced(self) -> bool:
        """Tell whether another file has taken the place of the one that was read, or part of it is gone."""
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return self._identity is not None
        return self._identity is not None and (now.st_ino != self._identity or now.st_size < self._offset)

    def read(self) -> list[dict[str, Any]]:
        """Return the records of the lines that are new and whole; what is being written is left for the next time."""
        try:
            with open(self.path, "rb") as file:
                self._identity = os.fstat(file.fileno()).st_ino
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b"\n") + 1
        self.torn = len(data) - whole
        self._offset += whole
        records = []
        for line in data[:whole].splitlines(keepends=True):
            self._lines += 1
            record = parse(line)
            if record is None:
                self.damaged.append(self._lines)
            else:
                records.append(record)
        return records


def replace_file(path: Path, content: bytes) -> None:
    """Put a whole new file in the place of an old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


# --- one writer to a folder ---------------------------------------------------------------------------------------------

_held: set[Path] = set()  # locks of a process do not keep it from itself


class FolderLock:
    """Keeps a second recorder out of a folder, in this process and in others.

    The operating system holds the lock and drops it when the process ends, however it ends: a lock file that a killed
    process left behind keeps nobody out. The file names the process for the message.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.enforced = True
        if self.path in _held:
            raise _taken(self.path.parent, os.getpid())
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666)
        try:
            _lock(self._file)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                self.enforced = False  # a file system without locks
            else:
                owner = owner_of(self.path)
                os.close(self._file)
                raise _taken(self.path.parent, owner) from None
        _held.add(self.path)
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode("ascii"))

    def release(self) -> None:
        """Let the next one in; an empty lock file says that the last one left in order."""
        if self.path in _held:
            _held.discard(self.path)
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)


def _lock(file: int) -> None:
    if fcntl is not None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # lockf: a forked worker does not inherit it
        return
    import msvcrt

    os.lseek(file, 1 << 30, os.SEEK_SET)  # past the text, which others must be able to read
    msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    os.lseek(file, 0, os.SEEK_SET)


def owner_of(path: Path) -> int | None:
    """Return the process that a lock file names."""
    try:
        text = path.read_bytes()[:20]
        return int(text) if text.strip() else None
    except (OSError, ValueError):
        return None


def is_running(process: int) -> bool:
    """Tell whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    try:  # one that has ended stays in the table until its parent asks for it, which some never do
        return Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return True  # no Linux


def host_name() -> str:
    """Return the name of this machine, on which process ids mean something."""
    return platform.node()


def _taken(folder: Path, owner: int | None) -> DataError:
    who = f"process {owner}" if owner else "another process"
    here = owner == os.getpid()
    fix = "close() the recorder that holds it" if here else "stop that process, or record into another folder"
    return DataError(f"{clean(folder)} is being recorded into by {'this very process' if here else who}: {fix}")
