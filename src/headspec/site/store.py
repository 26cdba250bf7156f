"""The output folder: only what was built by headspec is replaced, and all of it at once.

New files are written to a staging folder inside the output folder and moved into place when everything is there; what did not
change is left alone. A manifest says which files are headspec's and what each was made from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from headspec.errors import DataError, RenderError
from headspec.text import clean

MANIFEST = ".headspec-site.json"
STAGING = ".headspec-staging"


def digest(*parts: str | bytes) -> str:
    """Return the hash of some content."""
    value = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else part
        value.update(len(data).to_bytes(8, "big") + data)
    return value.hexdigest()


class Store:
    """The files of a site, as they are and as they will be."""

    def __init__(self, folder: str | os.PathLike[str], *, force: bool = False) -> None:
        self.folder = Path(folder).expanduser()
        self._old = self._claim(force)
        self._new: dict[str, dict[str, str]] = {}
        self._staged: set[str] = set()
        self.staging = self.folder / STAGING
        shutil.rmtree(self.staging, ignore_errors=True)  # of a build that was interrupted

    def _claim(self, force: bool) -> dict[str, dict[str, str]]:
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{clean(self.folder)} is a file; give a folder for the site")
        manifest = self.folder / MANIFEST
        if manifest.is_file():
            with suppress(ValueError, KeyError, TypeError):
                return dict(json.loads(manifest.read_text(encoding="utf-8"))["files"])
        elif self.folder.is_dir() and not force and any(item.name != STAGING for item in self.folder.iterdir()):
            raise DataError(
                f"{clean(self.folder)} is not empty and was not built by headspec; give another folder, or force it: "
                "files of the same names are then replaced, and the others stay"
            )
        return {}

    def put(self, path: str, content: str | bytes, *, key: str | None = None) -> None:
        """Have a file in the site; `key` says what it was made from, its content if not given."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        sha = digest(data)
        self._new[path] = {"key": key or sha, "sha": sha}
        if self._is_there(path, sha):
            return
        place = self.staging / _safe(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        except OSError as error:
            self.discard()
            raise RenderError(
                f"{clean(path)} could not be written ({clean(error)}); the last complete site is still there"
            ) from error
        self._staged.add(path)

    def made(self, path: str, key: str, make: Callable[[], str | bytes]) -> bool:
        """Have a file that costs something to make: it is made anew only if `key` changed. Tell whether it was."""
        old = self._old.get(path)
        if old and old["key"] == key and self._is_there(path, old["sha"]):
            self._new[path] = dict(old)
            return False
        self.put(path, make(), key=key)
        return True

    def _is_there(self, path: str, sha: str) -> bool:
        place = self.folder / _safe(path)
        known = self._old.get(path)
        return known is not None and known["sha"] == sha and place.is_file() and digest(place.read_bytes()) == sha

    def finish(self) -> tuple[int, int]:
        """Move the new files into place and remove those that are gone; return how many of each."""
        manifest = json.dumps({"built_by": "headspec", "files": dict(sorted(self._new.items()))}, indent=1) + "\n"
        self.staging.mkdir(parents=True, exist_ok=True)
        (self.staging / MANIFEST).write_text(manifest, encoding="utf-8")
        for path in sorted(self._staged):
            place = self.folder / _safe(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.staging / _safe(path), place)
        gone = sorted(set(self._old) - set(self._new))
        for path in gone:
            place = self.folder / _safe(path)
            place.unlink(missing_ok=True)
            with suppress(OSError):  # a folder that still holds something stays
                place.parent.rmdir()
        if self._new != self._old:
            os.replace(self.staging / MANIFEST, self.folder / MANIFEST)
        self.discard()
        return len(self._staged), len(gone)

    def discard(self) -> None:
        """Drop what was staged."""
        shutil.rmtree(self.staging, ignore_errors=True)


def _safe(path: str) -> Path:
    """Return a path of a manifest as one below the output folder; a manifest is a file that anyone may have edited."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in path or ":" in path:
        raise DataError(f"{clean(path)} is no path inside the site")
    return Path(*pure.parts)
