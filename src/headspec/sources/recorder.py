"""Recording a training run while it goes on: metrics, values of heads and head events, appended to a folder."""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeAlias

import numpy as np

from headspec.arrays import SAFE_INT, ArrayLike, kind_of
from headspec.axes import pairs_of
from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.sources.recorded_values import encode_heads, fetch, plain_number
from headspec.sources.recording_about import ABOUT, EVENTS, LOCK, LOGS, now, open_about
from headspec.sources.recording_log import FolderLock, LineLog, replace_file
from headspec.text import clean, count, listing

Event: TypeAlias = Literal["pruned", "revived"]
Pairs: TypeAlias = Iterable[Sequence[int]] | Mapping[int, Iterable[int]]

_RESERVED = ("run", "step", "metric", "value")


class Recorder:
    """Record a training run into a folder that survives a kill at any moment.

    Parameters
    ----------
    folder
        Where to; it is made if it is not there.
    run
        The name of the run; by default that of the folder.
    resume
        Go on with the recording that the folder holds. Without it such a folder is refused, so that two runs are never
        mixed by accident; a folder without a recording begins one either way.
    sync
        Seconds after which what was recorded is put on the disk (fsync), against power cuts: 0 is at every record, None
        only at the end. A killed process needs none of it.

    Raises
    ------
    DataError
        The folder holds a recording and `resume` is not set, is being recorded into by another recorder, or holds files
        of these names that are no recording.

    Notes
    -----
    Each call is one write to the operating system, with no buffer before it, so a kill loses at most the record that is
    being written. Reading leaves a torn record out; going on with the run cuts it off and says so.

    The folder holds ``run.json`` (name, state, what `meta` was told), ``history.jsonl`` (a line per `log`: the step and
    its metrics), ``events.jsonl`` (a line per head event) and ``heads.jsonl`` (a line per `heads`). NaN and infinities
    are written as Python's json does. `load_run` reads it, also while it grows.

    Recording never stops a training: when a write fails (a full disk), the record is dropped as a whole, a warning says so,
    and later records are tried again. A wrong argument is an error.

    Examples
    --------
    >>> import headspec
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with headspec.Recorder(folder, run="small") as recorder:
    ...         recorder.log(10, train_loss=2.5, eval_loss=None)
    ...         recorder.heads(10, entropy=[[0.5, 1.25], [1.0, 0.75]])
    ...         recorder.prune(10, [(0, 1)])
    ...     headspec.load_run(folder).events
       step  layer  head   event
    0    10      0     1  pruned
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        run: str | None = None,
        resume: bool = False,
        sync: float | None = 60.0,
    ) -> None:
        if sync is not None and not (isinstance(sync, (int, float)) and sync >= 0):
            raise DataError(f"sync={sync!r}: seconds from 0, or None for only at the end")
        self.folder = _folder(folder)
        self.listeners: list[Callable[[bool], None]] = []
        """Called after each record, with whether it was the end."""
        self.lost = 0
        """Records that could not be written."""
        self._interval = math.inf if sync is None else float(sync)
        self._process = os.getpid()
        self._guard = threading.RLock()
        self._lock = FolderLock(self.folder / LOCK)
        try:
            self._about = open_about(self.folder, run, resume)
            self._logs = {name: LineLog(self.folder / f"{name}.jsonl") for name in LOGS}
            self._write_about()
        except BaseException:
            self._lock.release()
            raise
        self._say_what_was_found()
        self._synced = time.monotonic()
        self._open = True
        self._finalizer = weakref.finalize(self, _let_go, self._process, self._lock, list(self._logs.values()))

    @property
    def run(self) -> str:
        """The name of the run."""
        return str(self._about["run"])

    @property
    def closed(self) -> bool:
        """Whether the recording has ended."""
        return not self._open

    def log(self, step: float, **metrics: Any) -> None:
        """Record metrics of a step.

        Parameters
        ----------
        step
            The update they belong to. A step may come more than once: the last value of a metric counts.
        **metrics
            Numbers, or arrays and tensors of one element. None means *not measured* and leaves the metric out; NaN and
            infinities are values. ``epoch`` tells the epoch. Metrics on an accelerator are fetched in one transfer.

        Raises
        ------
        DataError, KindError
            A step that is no finite number, a metric that is no number, one called ``run``, ``metric`` or ``value``.
        """
        row: dict[str, Any] = {"step": _step(step)}
        others: dict[str, Any] | None = None
        for name, value in metrics.items():
            kind = type(value)
            if kind is float or kind is int:
                row[name] = value
            elif value is not None:
                row[name] = None  # keeps the order
                others = others or {}
                others[name] = value
        if others:
            for name, value in fetch(others).items():
                row[name] = plain_number(value, name)
        for name in _RESERVED:
            if name in metrics:
                raise DataError(
                    f"a metric cannot be called {name!r}; the step comes first, the run's name goes to Recorder"
                )
        self._write("history", row)

    def heads(self, step: float, **measures: ArrayLike) -> None:
        """Record values of heads at a step.

        Parameters
        ----------
        step
            The update they belong to; the last record of a step and measure counts.
        **measures
            Name of the measure → ``[layer, head]``, a list of one vector per layer, or a dict ``{layer: vector}``, of any
            array library. None and masked entries stay masked.

        Raises
        ------
        DataError, KindError
            No measure, axes that are ambiguous, values that are not real numbers.
        """
        if not measures:
            raise DataError("heads() was given no measure; name it: heads(step, entropy=values)")
        found = {name: encode_heads(values, name) for name, values in fetch(measures).items()}
        self._write("heads", {"step": _step(step), "heads": found})

    def event(self, step: float, layer: int, head: int, event: Event) -> None:
        """Record that one head was ``"pruned"`` or ``"revived"`` at a step."""
        if event not in EVENTS:
            raise DataError(f"event is {clean(repr(event))}; expected 'pruned' or 'revived'")
        self._events(step, [(layer, head)], event)

    def prune(self, step: float, pairs: Pairs) -> None:
        """Record that heads were pruned: (layer, head) pairs, or ``{layer: [head, …]}``."""
        self._events(step, pairs, "pruned")

    def revive(self, step: float, pairs: Pairs) -> None:
        """Record that heads were revived: (layer, head) pairs, or ``{layer: [head, …]}``."""
        self._events(step, pairs, "revived")

    def meta(self, **about: Any) -> None:
        """Record what is known of the run as a whole: the model, the seed, …; a later value replaces an earlier one.

        Parameters
        ----------
        **about
            What JSON can hold: text, numbers, lists, dicts.
        """
        told = {name: _json_value(value, name) for name, value in about.items()}
        with self._guard:
            self._check_open()
            self._about["meta"].update(told)
            self._try(self._write_about)

    def rewind(self, step: float) -> None:
        """Forget what was recorded after a step: the training goes on from a checkpoint of it.

        Without this a head that was pruned after the checkpoint would stay pruned, and metrics of steps that are not
        reached again would stay too.
        """
        last = _step(step)
        with self._guard:
            self._check_open()
            gone = {name: log.keep(lambda record: _before(record, last)) for name, log in self._logs.items()}
            if any(gone.values()):
                self._about["rewinds"] += 1
                self._write_about()
        if any(gone.values()):
            kinds = listing(count(number, "record") + f" of {name}" for name, number in gone.items() if number)
            warnings.warn(f"went back to step {last:,}: {kinds} after it are forgotten", HeadspecWarning, stacklevel=2)

    def sync(self) -> None:
        """Put all that was recorded on the disk now, against power cuts."""
        with self._guard:
            self._check_open()
            for log in self._logs.values():
                self._try(log.sync)
            self._synced = time.monotonic()

    def close(self, *, failed: bool = False) -> None:
        """End the recording; `failed` says that the training ended with an error."""
        with self._guard:
            if not self._open:
                return
            self._check_process()
            self._open = False
            self._about.update(state="failed" if failed else "complete", ended=now())
            self._try(self._write_about)
            self._finalizer()
        if self.lost:
            warnings.warn(
                f"{count(self.lost, 'record')} of {clean(self.run)} could not be written and are missing",
                HeadspecWarning,
                stacklevel=2,
            )
        for listener in list(self.listeners):
            listener(True)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(failed=kind is not None)

    # --- writing ----------------------------------------------------------------------------------------------------

    def _events(self, step: float, pairs: Pairs, event: str) -> None:
        at = _step(step)
        found = pairs_of(pairs, name=f"{event}_heads")
        for layer, head in found:
            if layer < 0 or head < 0:
                raise DataError(f"{event}_heads names layer {layer}, head {head}; ids count from 0")
        rows = [{"step": at, "layer": layer, "head": head, "event": event} for layer, head in found]
        if rows:
            self._write("events", *rows)

    def _write(self, name: str, *records: dict[str, Any]) -> None:
        with self._guard:
            self._check_open()
            try:
                self._logs[name].append(*records)
                if time.monotonic() - self._synced >= self._interval:
                    self.sync()
            except OSError as error:
                self._failed(error, len(records))
        if self.listeners:
            for listener in list(self.listeners):
                listener(False)

    def _check_open(self) -> None:
        if not self._open:
            raise DataError(f"the recording of {clean(self.run)} is closed; go on with Recorder(folder, resume=True)")
        self._check_process()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise DataError(
                f"this recorder belongs to process {self._process}, and process {os.getpid()} was forked from it: record "
                "in one process, or into a folder for each"
            )

    def _failed(self, error: OSError, records: int) -> None:
        first = not self.lost
        self.lost += records
        if first:
            warnings.warn(
                f"{clean(self.folder)}: a record could not be written ({error.strerror or error}) and is dropped; the "
                "training goes on and later records are tried",
                HeadspecWarning,
                stacklevel=4,
            )

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            self._failed(error, 0)

    def _write_about(self) -> None:
        text = json.dumps(self._about, indent=1, ensure_ascii=False) + "\n"
        replace_file(self.folder / ABOUT, text.encode("utf-8", "backslashreplace"))

    def _say_what_was_found(self) -> None:
        if not self._lock.enforced:
            warnings.warn(
                f"{clean(self.folder)} is on a file system without locks: make sure that nothing else records into it",
                HeadspecWarning,
                stacklevel=3,
            )
        torn = [f"{name}.jsonl ({count(log.cut, 'byte')})" for name, log in self._logs.items() if log.cut]
        if torn:
            warnings.warn(
                f"the recording in {clean(self.folder)} was interrupted while it wrote: an unfinished last record was cut "
                f"off {listing(torn)}",
                HeadspecWarning,
                stacklevel=3,
            )


def _let_go(process: int, lock: FolderLock, logs: list[LineLog]) -> None:
    if os.getpid() != process:  # a forked worker that ends is not the end of the recording
        return
    for log in logs:
        with contextlib.suppress(OSError):
            log.close()
    lock.release()


def _folder(folder: str | os.PathLike[str]) -> Path:
    if not isinstance(folder, (str, os.PathLike)):
        raise KindError(f"folder is {kind_of(folder)}; expected the path of a folder")
    place = Path(folder).expanduser()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise DataError(f"{clean(place)} is a file; expected a folder to record into") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{clean(place)} cannot be made: {clean(error)}") from error
    return place.resolve()


def _step(step: Any) -> int | float:
    if type(step) is not int:
        number = plain_number(fetch({"step": step})["step"], "step")
        number = math.nan if number is None else number
        step = int(number) if number == number and abs(number) != math.inf and number == int(number) else number
    if not -SAFE_INT < step < SAFE_INT:  # NaN fails this too
        raise DataError(f"step is {step!r}; expected a finite number below 2**53 that counts the updates")
    return step  # type: ignore[no-any-return]


def _before(record: dict[str, Any], last: float) -> bool:
    step = record.get("step")
    return isinstance(step, (int, float)) and step <= last


def _json_value(value: Any, name: str) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise KindError(
            f"meta: {clean(name)} is {kind_of(value)}; expected what JSON can hold, such as str(…) of it"
        ) from None
    return value
