"""Reading the folder of a recorded run, whole or as it grows."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import kind_of
from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.sources.recorded_values import Vector, decode_heads
from headspec.sources.recording_about import ABOUT, EVENTS, LOCK, LOGS, read_about
from headspec.sources.recording_log import LineTail, host_name, is_running, owner_of
from headspec.text import clean, count, listing

State: TypeAlias = Literal["recording", "complete", "failed", "stopped"]


class RecordedRun:
    """A run in a folder that a `Recorder` writes or wrote: its metrics, head events and values of heads as tables.

    It holds what had been recorded when it was loaded; `refresh` reads on from there. `load_run` makes one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tails = {name: LineTail(folder / f"{name}.jsonl") for name in LOGS}
        self._about = read_about(folder)
        self._clear()
        self.refresh()

    def _clear(self) -> None:
        self._metrics: dict[str, int] = {}
        self._codes, self._steps, self._values = array("l"), array("d"), array("d")
        self._epochs: dict[float, float] = {}
        self._events: list[tuple[float, int, int, str]] = []
        self._heads: dict[str, dict[float, dict[int, Vector]]] = {}
        self._unread: list[str] = []
        self._frames: dict[str, pd.DataFrame] = {}
        self.records = dict.fromkeys(LOGS, 0)
        """Lines read so far, by file."""
        for tail in self._tails.values():
            tail.restart()

    # --- reading ----------------------------------------------------------------------------------------------------

    def refresh(self) -> int:
        """Read what was recorded since the last time.

        Returns
        -------
        int
            Records that are new. A record that is being written just now is left for the next time. Where the recording
            went back to an earlier step, all is read again and counted.
        """
        known = self._about.get("rewinds")
        self._about = read_about(self.folder)
        if self._about.get("rewinds") != known or any(tail.replaced() for tail in self._tails.values()):
            self._clear()
        new = 0
        for name, tail in self._tails.items():
            records = tail.read()
            take = getattr(self, f"_take_{name}")
            for record in records:
                try:
                    take(record)
                except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                    self._unread.append(name)
            if records:
                self._frames.pop(name, None)
            self.records[name] += len(records)
            new += len(records)
        return new

    def _take_history(self, record: dict[str, Any]) -> None:
        step = float(record["step"])
        for metric, value in record.items():
            if metric == "step" or value is None:
                continue
            number = float(value)
            if metric == "epoch":
                self._epochs[step] = number
                continue
            self._codes.append(self._metrics.setdefault(metric, len(self._metrics)))
            self._steps.append(step)
            self._values.append(number)

    def _take_events(self, record: dict[str, Any]) -> None:
        if record["event"] not in EVENTS:
            raise ValueError(record["event"])
        self._events.append((float(record["step"]), int(record["layer"]), int(record["head"]), record["event"]))

    def _take_heads(self, record: dict[str, Any]) -> None:
        step = float(record["step"])
        for measure, rows in record["heads"].items():
            steps = self._heads.setdefault(measure, {})
            steps.pop(step, None)  # a step that comes again goes to the end
            steps[step] = decode_heads(rows)

    # --- what was read ----------------------------------------------------------------------------------------------

    @property
    def run(self) -> str:
        """The name of the run."""
        return str(self._about["run"])

    @property
    def meta(self) -> dict[str, Any]:
        """What the recorder was told of the run as a whole."""
        meta = self._about["meta"]
        return dict(meta) if isinstance(meta, dict) else {}

    @property
    def state(self) -> State:
        """``"recording"``, ``"complete"``, ``"failed"`` (the training raised), or ``"stopped"``: the process ended before.

        A process of another machine cannot be asked and counts as recording until it ends in order.
        """
        state = self._about.get("state")
        if state in ("complete", "failed"):
            return "complete" if state == "complete" else "failed"
        owner = owner_of(self.folder / LOCK)
        if owner is None:  # a process that ended in order, but did not close the recording
            return "stopped"
        here = self._about.get("host") == host_name()
        return "stopped" if here and not is_running(owner) else "recording"

    @property
    def faults(self) -> list[str]:
        """What could not be read, in words: damaged lines, and the torn end that a kill left."""
        found = []
        for name, tail in self._tails.items():
            if tail.damaged:
                where = listing([f"{line:,}" for line in tail.damaged], limit=4)
                found.append(f"{name}.jsonl: {count(len(tail.damaged), 'line')} damaged ({where})")
            if tail.torn and self.state != "recording":
                found.append(f"{name}.jsonl: the last record is unfinished ({count(tail.torn, 'byte')})")
        found += [
            f"{name}.jsonl: {count(self._unread.count(name), 'record')} of no known form" for name in set(self._unread)
        ]
        return sorted(found)

    @property
    def history(self) -> pd.DataFrame:
        """The metrics: ``run``, ``step``, ``epoch``, ``metric`` and ``value``, as `history_table` takes them.

        A row per value that was measured, NaN and infinities included; the last one of a step and metric.
        """
        if "history" not in self._frames:
            self._frames["history"] = self._history()
        return self._frames["history"]

    def _history(self) -> pd.DataFrame:
        steps, values = np.array(self._steps), np.array(self._values)
        codes = np.array(self._codes, dtype=np.int64)
        if len(steps):  # the last of each (metric, step), in the order recorded
            order = np.lexsort((np.arange(len(steps)), steps, codes))
            last = np.append((np.diff(codes[order]) != 0) | (np.diff(steps[order]) != 0), True)
            kept = np.sort(order[last])
            steps, values, codes = steps[kept], values[kept], codes[kept]
        epochs = [self._epochs.get(step, np.nan) for step in steps.tolist()] if self._epochs else np.nan
        frame = pd.DataFrame({"step": _whole(steps), "epoch": epochs, "value": values})
        frame.insert(0, "run", self.run)
        names = [clean(name) for name in self._metrics]
        frame.insert(3, "metric", np.array(names, dtype=object)[codes] if names else np.zeros(0, dtype=object))
        return frame.astype({"run": "str", "epoch": "float64", "metric": "str"})

    @property
    def events(self) -> pd.DataFrame:
        """The head events: ``step``, ``layer``, ``head`` and ``event``, as `events_table` takes them."""
        if "events" not in self._frames:
            columns = list(zip(*self._events, strict=True)) or [(), (), (), ()]
            frame = pd.DataFrame(
                {
                    "step": _whole(np.array(columns[0], dtype=np.float64)),
                    "layer": np.array(columns[1], dtype=np.int64),
                    "head": np.array(columns[2], dtype=np.int64),
                    "event": np.array(columns[3], dtype=object),
                }
            ).astype({"event": "str"})
            frame = frame.drop_duplicates().sort_values("step", kind="stable").reset_index(drop=True)
            self._frames["events"] = frame
        return self._frames["events"]

    @property
    def heads(self) -> pd.DataFrame:
        """The values of heads: ``step``, ``layer``, ``head``, ``measure``, ``value`` and ``kind``, by measure.

        `heads_table` takes the rows of one step and measure; `heads_at` returns these.
        """
        if "heads" not in self._frames:
            parts = [
                _frame(step, measure, layers)
                for measure, steps in self._heads.items()
                for step, layers in sorted(steps.items())
            ]
            self._frames["heads"] = pd.concat(parts, ignore_index=True) if parts else _frame(0, "", {})
        return self._frames["heads"]

    @property
    def measures(self) -> list[str]:
        """The measures of heads that were recorded, in the order that they came in."""
        return [clean(name) for name in self._heads]

    def heads_at(self, measure: str, step: float | None = None) -> pd.DataFrame:
        """Return the heads of one measure at one step, or as recorded last.

        Raises
        ------
        DataError
            A measure or a step that was not recorded.
        """
        steps = next((steps for name, steps in self._heads.items() if clean(name) == clean(measure)), None)
        if steps is None:
            raise DataError(
                f"{clean(measure)!r} was not recorded; there is {listing(self.measures) or 'no measure of heads'}"
            )
        at = max(steps) if step is None else float(step)
        if at not in steps:
            near = min(steps, key=lambda known: abs(known - at))
            raise DataError(f"{clean(measure)!r} was not recorded at step {step}; the nearest is {near:g}")
        return _frame(at, clean(measure), steps[at])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return each measure of heads as ``[step, layer, head]``, and its steps under ``"<measure>_steps"``.

        NaN where a value is masked or a layer has no such head.
        """
        out: dict[str, npt.NDArray[Any]] = {}
        for measure, recorded in self._heads.items():
            steps = sorted(recorded)
            layers = 1 + max((layer for step in steps for layer in recorded[step]), default=0)
            heads = max((len(values) for step in steps for values, _ in recorded[step].values()), default=0)
            grid = np.full((len(steps), layers, heads), np.nan)
            for place, step in enumerate(steps):
                for layer, (values, masked) in recorded[step].items():
                    grid[place, layer, : len(values)] = np.where(masked, np.nan, values)
            out[clean(measure)] = grid
            out[f"{clean(measure)}_steps"] = _whole(np.array(steps, dtype=np.float64))
        return out


def load_run(folder: str | os.PathLike[str]) -> RecordedRun:
    """Load a run that a `Recorder` wrote or is writing, in this process or in another one.

    Parameters
    ----------
    folder
        The folder of the recording.

    Returns
    -------
    RecordedRun
        ``history``, ``events``, ``heads`` (DataFrames for the functions that draw), ``heads_at(measure, step)``,
        ``run``, ``meta``, ``state``; ``refresh()`` reads what was recorded since.

    Raises
    ------
    DataError
        No such folder, or none that a recorder made.

    Notes
    -----
    Lines that are damaged, and the unfinished last one of a training that was killed, are left out with a warning that
    counts them.

    Examples
    --------
    >>> import headspec
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     recorder = headspec.Recorder(folder, run="small")
    ...     recorder.log(10, train_loss=2.5)
    ...     run = headspec.load_run(folder)
    ...     recorder.log(20, train_loss=2.25)
    ...     recorder.close()
    ...     _ = run.refresh()
    ...     run.history
         run  step  epoch      metric  value
    0  small    10    NaN  train_loss   2.50
    1  small    20    NaN  train_loss   2.25
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise KindError(f"folder is {kind_of(folder)}; expected the path of a recording's folder")
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise DataError(
            f"{clean(place)} is {'a file' if place.exists() else 'not there'}; expected a recording's folder"
        )
    run = RecordedRun(place)
    if run.faults:
        warnings.warn(f"{clean(place)}: left out {listing(run.faults)}", HeadspecWarning, stacklevel=2)
    return run


def is_recording(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is one that a recorder wrote."""
    place = Path(folder)
    try:
        return (place / ABOUT).is_file() and bool(read_about(place))
    except DataError:
        return False


def is_recorded(file: Path) -> bool:
    """Tell whether a file is one that a recorder wrote."""
    return file.name in (ABOUT, *(f"{name}.jsonl" for name in LOGS)) and is_recording(file.parent)


def _whole(steps: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    whole = steps.astype(np.int64)
    return whole if (whole == steps).all() else steps


def _frame(step: float, measure: str, layers: Mapping[int, Vector]) -> pd.DataFrame:
    sizes = [len(values) for values, _ in layers.values()]
    values = np.concatenate([np.zeros(0), *(values for values, _ in layers.values())])
    masked = np.concatenate([np.zeros(0, dtype=bool), *(masked for _, masked in layers.values())])
    kinds = np.select(
        [masked, np.isnan(values), values == np.inf, values == -np.inf], ["masked", "nan", "inf", "-inf"], "value"
    )
    return pd.DataFrame(
        {
            "step": int(step) if step == int(step) else step,
            "layer": np.repeat(np.array(list(layers), dtype=np.int64), sizes),
            "head": np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(size) for size in sizes)]),
            "measure": measure,
            "value": np.where(kinds == "value", values, np.nan),
            "kind": kinds,
        },
        index=range(len(values)),
    ).astype({"measure": "str", "kind": "str"})
