"""The output folder: only what was built by headspec is replaced, and all of it at once.

New files are written to a staging folder inside the output folder and moved into place when everything is there; what did not
change is left alone. A manifest says which files are headspec's and what each was made from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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
        if self.staging.is_symlink():
            raise DataError(f"{clean(self.staging)} is a link to another place; remove it, or give another folder")
        shutil.rmtree(self.staging, ignore_errors=True)  # of a build that was interrupted

    def _claim(self, force: bool) -> dict[str, dict[str, str]]:
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{clean(self.folder)} is a file; give a folder for the site")
        manifest = self.folder / MANIFEST
        if manifest.is_file():
            return _known(manifest)
        if self.folder.is_dir() and not force and any(item.name != STAGING for item in self.folder.iterdir()):
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

    def keep(self, path: str) -> None:
        """Have a file as the last build made it."""
        self._new[path] = dict(self._old[path])

    def is_made(self, path: str, key: str) -> bool:
        """Tell whether the last build made a file of the same key, and it is still as it was."""
        old = self._old.get(path)
        return old is not None and old["key"] == key and self._is_there(path, old["sha"])

    def _is_there(self, path: str, sha: str) -> bool:
        place = self.folder / _safe(path)
        known = self._old.get(path)
        return known is not None and known["sha"] == sha and place.is_file() and digest(place.read_bytes()) == sha

    def finish(self) -> tuple[int, int]:
        """Move the new files into place and remove those that are gone; return how many of each."""
        gone = sorted(set(self._old) - set(self._new))
        try:
            for path in (*self._staged, *gone):
                self._check_inside(path)
            # first a manifest of the old files and the new ones: whatever stops the rest, the next build knows them all
            self._write_manifest({**self._new, **self._old})
            for path in sorted(self._staged, key=_order):
                place = self.folder / _safe(path)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.staging / _safe(path), place)
            for path in gone:
                self._remove(self.folder / _safe(path))
            self._write_manifest(self._new)
        except OSError as error:
            self.discard()
            raise RenderError(f"the site could not be put in place ({clean(error)}); build it once more") from error
        self.discard()
        return len(self._staged), len(gone)

    def _write_manifest(self, files: dict[str, dict[str, str]]) -> None:
        text = json.dumps({"built_by": "headspec", "files": dict(sorted(files.items()))}, indent=1) + "\n"
        place = self.folder / MANIFEST
        if place.is_file() and place.read_bytes() == text.encode():
            return
        self.staging.mkdir(parents=True, exist_ok=True)
        (self.staging / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
        os.replace(self.staging / MANIFEST, place)

    def _check_inside(self, path: str) -> None:
        """Refuse a path that leads out of the folder by a link that someone put there."""
        place = self.folder
        for part in _safe(path).parts[:-1]:
            place = place / part
            if place.is_symlink():
                raise DataError(f"{clean(place)} is a link to another place; remove it, or give another folder")

    def _remove(self, place: Path) -> None:
        place.unlink(missing_ok=True)
        with suppress(OSError):  # a folder that still holds something stays
            if place.parent != self.folder:
                place.parent.rmdir()

    def discard(self) -> None:
        """Drop what was staged."""
        shutil.rmtree(self.staging, ignore_errors=True)


def _order(path: str) -> tuple[bool, bool, str]:
    """Put assets first, what refers to them next, and the index, which refers to all, last."""
    return path == "index.html", path.endswith(".html"), path


def _known(manifest: Path) -> dict[str, dict[str, str]]:
    """Return the files that a manifest names; it is a file that anyone may have edited, so what is odd in it is left out."""
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        items = list(files.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {
        path: {"key": entry["key"], "sha": entry["sha"]}
        for path, entry in items
        if is_inside(path)
        and isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.get("sha"), str)
    }


def is_inside(path: str) -> bool:
    """Tell whether a path is one below the folder, spelled as headspec does."""
    pure = PurePosixPath(path)
    odd = {"..", MANIFEST, STAGING} & set(pure.parts)
    return bool(pure.parts) and not (pure.is_absolute() or odd or set(path) & set("\\:\0")) and str(pure) == path


def _safe(path: str) -> Path:
    if not is_inside(path):
        raise DataError(f"{clean(path)} is no path inside the site")
    return Path(*PurePosixPath(path).parts)
