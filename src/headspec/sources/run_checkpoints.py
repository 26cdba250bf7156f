"""Checkpoints: the same measure in files of several steps is one measure over the steps."""

from __future__ import annotations

import re

import numpy as np

from headspec.sources.run import Run
from headspec.sources.run_arrays import HeadMap, HeadSteps
from headspec.text import clean

_STEP = re.compile(r"((?:checkpoint|ckpt|global_?step|step|iter(?:ation)?|epoch)s?[-_= ]?)(\d+)", re.I)


def join_checkpoints(run: Run) -> None:
    """Put together the maps of files that differ in their step alone: ``checkpoint-500/heads.npz`` and the others."""
    groups: dict[tuple[str, str, tuple[int, ...]], dict[int, HeadMap]] = {}
    for item in run.maps:
        found = _STEP.findall(item.file)
        if len(found) == 1 and item.origin == "arrays":
            name = _STEP.sub(r"\1*", item.file)
            groups.setdefault((name, item.key, item.values.shape), {}).setdefault(int(found[0][1]), item)
    said: dict[str, list[str]] = {}
    joined: set[str] = set()
    for (name, key, _), items in groups.items():
        if len(items) < 2:
            continue
        steps = sorted(items)
        last = items[steps[-1]]
        values = np.stack([items[step].values for step in steps])
        files = tuple(items[step].file for step in steps)
        series = HeadSteps(last.measure, last.file, key, "", np.array(steps), values, last.title, files)
        run.steps.append(series)
        taken = {id(item) for item in items.values()}
        run.maps = [item for item in run.maps if id(item) not in taken]
        joined |= set(files)
        said.setdefault(clean(name), []).append(series.said)
    left = {item.file for item in run.maps} | {item.file for item in run.attention} | {item.file for item in run.scores}
    left |= {item.file for item in run.steps if not item.files}
    known = {clean(file) for file in joined - left}
    run.used = [item for item in run.used if item[0] not in known]
    run.used += [(name, f"checkpoints of {'; '.join(found)}") for name, found in said.items()]
