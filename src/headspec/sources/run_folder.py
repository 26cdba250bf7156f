"""Run folders: what a person's run left behind, each file recognised by its content and its name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from headspec.errors import DataError, HeadspecError
from headspec.sources.arrays import load_arrays, too_large
from headspec.sources.files import load_results_from_file
from headspec.sources.recorded_run import RecordedRun, is_recorded
from headspec.sources.run import Run, Table
from headspec.sources.run_arrays import Attention, Found, recognise, said_of
from headspec.sources.run_checkpoints import join_checkpoints
from headspec.sources.run_config import CONFIG, FileConfig, RunConfig, read_config
from headspec.sources.run_tables import is_table, take_history, take_table
from headspec.text import clean, listing

MOST_FILES = 2_000
DEPTH = 3
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")
_ARRAYS = (".npz", ".npy", ".safetensors", ".pt", ".pth")
_PICKLES = (".pkl", ".pickle", ".joblib", ".ckpt", ".bin")


def read_run(folder: str | os.PathLike[str], *, name: str = "") -> Run:
    """Read a run folder.

    Parameters
    ----------
    folder
        Arrays (``.npz``, ``.npy``, ``.safetensors``, ``.pt``), tables (``.csv``, ``.jsonl``, ``.parquet``, ``.json``: a
        history, results, events, a long table of heads, a ``trainer_state.json``) and tokens (``.json``), three levels deep. A ``headspec.toml``
        in it corrects what is not recognised.
    name
        What to call the run; the folder's name if empty.

    Returns
    -------
    Run
        Its parts; ``used`` says what each file was taken for, ``unused`` why others were not.

    Raises
    ------
    DataError
        No folder, no usable file (the message names each file with its reason), a ``headspec.toml`` with a mistake.
    """
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise DataError(f"{clean(place)} is {'a file' if place.exists() else 'not there'}; give the folder of a run")
    config = read_config(place)
    own = clean(name or place.resolve().name or "run")
    run = Run(place, own, clean(config.title) or own)
    undecided: list[tuple[str, str, Any, FileConfig, Found]] = []
    others: list[str] = []
    for path in _files(place):
        file = path.relative_to(place).as_posix()
        about = config.of(file)
        if about.role == "ignore":
            continue
        try:
            if not _read_file(run, path, file, about, config, undecided):
                others.append(file)
        except HeadspecError as error:
            run.unused.append((clean(file), clean(error).removeprefix(f"{clean(path)} ").removeprefix(f"{path.name} ")))
        except (OSError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
            run.unused.append((clean(file), f"it cannot be read: {clean(error) or type(error).__name__}"))
    _decide(run, undecided)
    join_checkpoints(run)
    _keep_longest(run)
    _name_tokens(run, config)
    if others:
        run.unused.append((listing(others, limit=6), "no data that headspec reads"))
    if run.is_empty:
        reasons = "; ".join(f"{file}: {reason}" for file, reason in run.unused[:8]) or "it is empty"
        raise DataError(
            f"{clean(place)} holds nothing that can be drawn ({reasons}); expected arrays of heads or attention (.npz, .npy, "
            f".safetensors, .pt), a metrics history, a results table, an event list or a table of heads; {CONFIG} says what files are"
        )
    return run


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder in the order of their names; what is hidden or behind a link to a folder is left out."""
    number = 0
    for root, folders, names in os.walk(folder):
        deep = len(Path(root).relative_to(folder).parts) + 1 >= DEPTH
        folders[:] = [] if deep else sorted(item for item in folders if not item.startswith((".", "__")))
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith(".") or name == CONFIG or not path.is_file():
                continue
            number += 1
            if number > MOST_FILES:
                raise DataError(f"{clean(folder)} holds more than {MOST_FILES:,} files; give the folder of one run")
            yield path


def _read_file(
    run: Run,
    path: Path,
    file: str,
    about: FileConfig,
    config: RunConfig,
    undecided: list[tuple[str, str, Any, FileConfig, Found]],
) -> bool:
    """Take what a file holds into the run; return whether it is of a kind that holds data."""
    suffix, limit = path.suffix.lower(), int(config.max_file_mb * 1e6)
    if suffix in _PICKLES:
        run.unused.append(
            (
                clean(file),
                "a pickle could run code when it is opened; save the arrays with numpy.savez or as .safetensors",
            )
        )
        return True
    if suffix not in (*_TABLES, *_ARRAYS, ".json"):
        return False
    if suffix not in (".npy", ".safetensors") and path.stat().st_size > limit:
        raise too_large(path.name, path.stat().st_size, limit)
    if suffix in _ARRAYS:
        _take_arrays(run, file, load_arrays(path, max_bytes=limit), about, undecided)
        return True
    if not about.role and is_recorded(path):
        _take_recorded(run, path, file, about, undecided)
        return True
    if suffix == ".json":
        return _take_json(run, path, file, about)
    take_table(run, file, load_results_from_file(path), about)
    return True


def _take_recorded(
    run: Run, path: Path, file: str, about: FileConfig, undecided: list[tuple[str, str, Any, FileConfig, Found]]
) -> None:
    """Take a file of a recording, which may still be growing or end in a torn line."""
    recorded = RecordedRun(path.parent)
    if path.stem == "heads":
        arrays = recorded.arrays()
        for measure in recorded.measures:  # each by itself: measures have steps of their own
            own = {name: arrays[name] for name in (measure, f"{measure}_steps")}
            known = len(run.steps)
            _take_arrays(run, file, own, about, undecided)
            run.steps[known:] = [
                replace(item, origin="recording", rows=recorded.heads[recorded.heads["measure"] == item.key])
                for item in run.steps[known:]
            ]
    elif path.stem in ("history", "events"):
        frame = recorded.history if path.stem == "history" else recorded.events
        if len(frame):
            take_table(run, file, frame, about, recorded=True)
    for fault in recorded.faults:
        if fault.startswith(f"{path.name}: "):
            run.unused.append((clean(file), fault.removeprefix(f"{path.name}: ")))


def _take_arrays(
    run: Run,
    file: str,
    arrays: dict[str, Any],
    about: FileConfig,
    undecided: list[tuple[str, str, Any, FileConfig, Found]],
) -> None:
    if about.key:
        if about.key not in arrays:
            raise DataError(f"it has no array {clean(repr(about.key))}; it has {listing(sorted(arrays), limit=20)}")
        arrays = {about.key: arrays[about.key]}
    found = recognise(file, arrays, role=about.role, measure=about.measure, title=clean(about.title))
    run.maps += found.maps
    run.steps += found.steps
    run.scores += found.scores
    run.attention += [replace(item, batch=about.batch) for item in found.attention]
    run.tokens.update({f"{file}:{key}": tuple(map(clean, value)) for key, value in found.tokens.items()})
    undecided += [(file, key, array, about, found) for key, array in found.open]
    if found.said:
        run.used.append((clean(file), "; ".join(found.said)))
    if found.left:
        run.unused.append((clean(file), found.reasons()))


def _take_json(run: Run, path: Path, file: str, about: FileConfig) -> bool:
    """Take a JSON file as a trainer's state, a table, or tokens; return whether it is any of these."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"it is cut off, or no JSON: {clean(error)}") from error
    if isinstance(value, dict) and isinstance(value.get("log_history"), list):
        rows = value["log_history"]
        names = {str(key) for row in rows if isinstance(row, dict) for key in row}
        take_history(run, Table(file, rows, about, log_history=True), names)
        return True
    tokens = {f"{file}:{where}": tuple(map(clean, texts)) for where, texts in _texts(value, "")}
    if tokens and about.role in ("", "tokens"):
        run.tokens.update(tokens)
        return True
    if about.role or is_table(value):
        take_table(run, file, load_results_from_file(path), about)
        return True
    return False


def _texts(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Yield the lists of texts in a JSON value by their place in it, ``minilm.tokens.0``."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        if len(value) > 1:
            yield where, value
    elif depth < 4 and isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value) if len(value) <= 256 else ()
        for key, item in items:
            if isinstance(item, (list, dict)):
                yield from _texts(item, f"{where}.{key}".lstrip("."), depth + 1)


def _decide(run: Run, undecided: list[tuple[str, str, Any, FileConfig, Found]]) -> None:
    """Decide what the first axis of [?, head, query, key] is: layers where the run has as many, else what the file says."""
    grids = {item.values.shape for item in run.maps} | {item.values.shape[1:] for item in run.steps}
    grids |= {values.shape for item in run.scores for values in item.values.values()}
    for file, key, array, about, _ in undecided:
        form = {"layer head query key": "layers", "batch head query key": "batch"}.get(" ".join(about.axes.split()), "")
        if not form and not about.axes:
            form = "batch" if array.shape[0] == 1 else "layers" if array.shape[:2] in grids else ""
        stem = file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        if not form:
            run.unused.append((
                clean(file),
                f"{key} {' × '.join(map(str, array.shape))} could be layers or a batch of one layer: say axes = "
                f'"layer head query key" or "batch head query key" in {CONFIG}',
            ))  # fmt: skip
            continue
        name = stem if key in ("attention", "attentions", "attn", stem) else f"{stem} {key}"
        found = Attention(name, file, (key,), form, (array,), batch=about.batch, title=clean(about.title))
        run.attention.append(found)
        run.used.append((clean(file), said_of(found)))
    for item in run.attention:
        if item.sequences <= item.batch:
            raise DataError(f"{CONFIG}: batch = {item.batch} of {clean(item.file)}, which has {item.sequences}")


def _keep_longest(run: Run) -> None:
    """Keep one of several states of one trainer: checkpoints repeat the history so far."""
    states = [table for table in run.histories if table.log_history]
    longest = max(states, key=lambda table: len(table.value), default=None)
    for table in states:
        if table is not longest:
            run.histories.remove(table)
            run.used = [item for item in run.used if item[0] != clean(table.file)]
            run.unused.append(
                (clean(table.file), f"an earlier state of the history in {clean(longest.file if longest else '')}")
            )


def _name_tokens(run: Run, config: RunConfig) -> None:
    """Give each attention its tokens: those that its file or the configuration names, or that fit its name and its size."""
    run.attention = [_with_tokens(item, run, config.of(item.file)) for item in run.attention]
    files = dict.fromkeys(where.split(":")[0] for where in run.tokens)
    for file in files:
        named = [item.name for item in run.attention if item.tokens_from.split(":")[0] == file]
        if named:
            run.used.append((clean(file), f"tokens of {listing(named)}"))
        elif file.endswith(".json"):
            run.unused.append((clean(file), "lists of texts, which fit no attention as tokens"))


def _with_tokens(item: Attention, run: Run, about: FileConfig) -> Attention:
    if isinstance(about.tokens, list):
        return replace(item, tokens=tuple(map(clean, about.tokens)), tokens_from=CONFIG)
    fitting = {where: texts for where, texts in run.tokens.items() if len(texts) == item.size}
    if about.tokens:
        fitting = {where: texts for where, texts in fitting.items() if where.split(":")[0] == about.tokens}
        if not fitting:
            raise DataError(
                f"{CONFIG}: {clean(about.tokens)} has no list of the {item.size} tokens of {clean(item.file)}"
            )
    own = {where: texts for where, texts in fitting.items() if where.split(":")[0] == item.file}
    stem = set(item.name.lower().replace("-", "_").replace(" ", "_").split("_"))
    named = {where: texts for where, texts in fitting.items() if stem & set(where.split(":")[1].lower().split("."))}
    for group in (own, named, fitting if len(fitting) == 1 or about.tokens else {}):
        at_batch = [where for where in group if where.split(".")[-1] == str(item.batch)]
        where = next(iter(at_batch or group), "")
        if where:
            return replace(item, tokens=group[where], tokens_from=where)
    return item
