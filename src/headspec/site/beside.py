"""Runs beside each other: their files as they are named from the folder that holds all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from headspec.sources.run import Run, Table
from headspec.sources.run_arrays import Attention, HeadMap
from headspec.sources.run_config import CONFIG

THERE = "# in the folder that holds the runs\n"
Part = TypeVar("Part", HeadMap, Table, Attention)


class Beside:
    """The paths of some runs from the folder that holds all of them."""

    def __init__(self, runs: Sequence[Run]) -> None:
        folders = [run.folder.resolve() for run in runs]
        shared = os.path.commonpath([folder.parent for folder in folders])
        self._paths = {
            id(run): folder.relative_to(shared).as_posix() for run, folder in zip(runs, folders, strict=True)
        }

    def of(self, run: Run, part: Part) -> Part:
        """Return a part of a run with its files named from there."""
        path = self._paths[id(run)]
        own: dict[str, Any] = {"file": f"{path}/{part.file}"}
        if isinstance(part, Attention) and part.tokens_from not in ("", CONFIG):
            own["tokens_from"] = f"{path}/{part.tokens_from}"
        return replace(part, **own)
