"""What ``run.json`` of a recording says: its format, name and state, and what is known of the run as a whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headspec.errors import DataError
from headspec.sources.recording_log import host_name
from headspec.text import clean, listing

FORMAT = "headspec run"
VERSION = 1
ABOUT, LOCK = "run.json", ".recording.lock"
LOGS = ("history", "heads", "events")
EVENTS = ("pruned", "revived")


def open_about(folder: Path, run: str | None, resume: bool) -> dict[str, Any]:
    """Return what ``run.json`` is to hold, of a new recording or of one that goes on."""
    path = folder / ABOUT
    name = clean(run) if run is not None else None
    if not path.exists():
        there = [f"{log}.jsonl" for log in LOGS if (folder / f"{log}.jsonl").exists()]
        if there:
            raise DataError(
                f"{clean(folder)} holds {listing(there)}, but no {ABOUT}: no recording; choose another folder"
            )
        return {
            "format": FORMAT,
            "version": VERSION,
            "run": name or clean(folder.name) or "run",
            "state": "recording",
            "host": host_name(),
            "started": now(),
            "sessions": 1,
            "rewinds": 0,
            "meta": {},
        }
    about = read_about(folder)
    if not resume:
        raise DataError(
            f"{clean(folder)} holds a recording of {about['run']!r} already: go on with it by resume=True, or choose another "
            "folder"
        )
    if name is not None and name != about["run"]:
        raise DataError(f"{clean(folder)} holds a recording of {about['run']!r}, not of {name!r}; leave run= out")
    about.update(state="recording", host=host_name(), sessions=int(about.get("sessions", 0)) + 1)
    about.pop("ended", None)
    return about


def read_about(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` of a recording holds."""
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{clean(folder)} holds no recording: there is no {ABOUT} in it") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{clean(path)} cannot be read: {clean(error)}") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DataError(f"{clean(path)} is not of a recording by headspec; choose another folder")
    if not isinstance(about.get("version"), int) or about["version"] > VERSION:
        raise DataError(
            f"{clean(path)} is of version {clean(about.get('version'))}; this headspec reads {VERSION}: update headspec"
        )
    return {"run": clean(folder.name), "state": "recording", "rewinds": 0, "meta": {}, **about}


def now() -> str:
    """Return the time, for a person."""
    return datetime.now(UTC).isoformat(timespec="seconds")
