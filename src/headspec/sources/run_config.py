"""``headspec.toml``: what a run folder says about its own files, where recognising them is not enough."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from headspec.errors import DataError
from headspec.text import clean, listing

CONFIG = "headspec.toml"
ROLES = ("history", "results", "events", "heads", "steps", "attention", "importance", "tokens", "ignore")


@dataclass(frozen=True)
class FileConfig:
    """What is said about one file.

    Attributes
    ----------
    role
        What it is, one of `ROLES`.
    key
        The one array of it to take.
    axes
        The names of the axes of its attention, ``"layer head query key"`` say.
    title
        The title of its charts.
    measure
        What its values are, ``"entropy"`` say.
    tokens
        The tokens of its attention: a list, or the name of a JSON file with one.
    step, epoch
        The columns of a history that hold them.
    batch
        Which sequence of a batch.
    """

    role: str = ""
    key: str = ""
    axes: str = ""
    title: str = ""
    measure: str = ""
    tokens: Any = None
    step: str = ""
    epoch: str = ""
    batch: int = 0


@dataclass(frozen=True)
class RunConfig:
    """What is said about a run."""

    title: str = ""
    max_file_mb: float = 1000
    files: dict[str, FileConfig] = field(default_factory=dict)

    def of(self, name: str) -> FileConfig:
        """Return what is said about a file, its path in the folder with slashes."""
        return self.files.get(name, FileConfig())


def read_config(folder: Path) -> RunConfig:
    """Return what a run folder's ``headspec.toml`` says; nothing if there is none."""
    path = folder / CONFIG
    if not path.is_file():
        return RunConfig()
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise DataError(f"{CONFIG} cannot be read: {clean(error)}") from error
    _check_keys(value, ["title", "max_file_mb", "files"], CONFIG)
    files = value.get("files", {})
    _check_kind(files, dict, "files", CONFIG)
    title, size = value.get("title", ""), value.get("max_file_mb", RunConfig.max_file_mb)
    _check_kind(title, str, "title", CONFIG)
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 < size < 1e9:
        raise DataError(f"{CONFIG}: max_file_mb is a number of megabytes, not {clean(repr(size))}")
    return RunConfig(title, float(size), {name: _file(folder, name, entry) for name, entry in files.items()})


def _file(folder: Path, name: str, entry: Any) -> FileConfig:
    where = f"{CONFIG}, files.{clean(repr(name))}"
    _check_kind(entry, dict, "entry", where)
    if not (folder / name).is_file():
        near = get_close_matches(name, [path.name for path in folder.iterdir()], n=1)
        raise DataError(f"{where}: there is no such file" + (f"; did you mean {clean(near[0])}?" if near else ""))
    _check_keys(entry, [item.name for item in fields(FileConfig)], where)
    for key, value in entry.items():
        if key == "tokens":
            if not (
                isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
            ):
                raise DataError(f"{where}: tokens is a list of texts, or the name of a JSON file with one")
        else:
            _check_kind(value, int if key == "batch" else str, key, where)
    if entry.get("role", "ignore") not in ROLES:
        raise DataError(f"{where}: role is {listing(ROLES, limit=9, last='or')}, not {clean(repr(entry['role']))}")
    return FileConfig(**entry)


def _check_keys(value: dict[str, Any], known: list[str], where: str) -> None:
    for key in value:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {listing(known, limit=12)}"
            raise DataError(f"{where}: {clean(repr(key))} is not known; {hint}")


def _check_kind(value: Any, kind: type, key: str, where: str) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        names = {dict: "a table", str: "text", int: "a whole number"}
        raise DataError(f"{where}: {key} is {names[kind]}, not {clean(repr(value))[:80]}")
