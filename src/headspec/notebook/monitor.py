"""Watching a training while it goes on: one cell of a notebook that updates in place, lines of progress elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from headspec.arrays import kind_of
from headspec.errors import DataError, HeadspecError, KindError
from headspec.sources.recorded_run import RecordedRun, load_run
from headspec.sources.recorder import Recorder
from headspec.text import clean, listing

_SHARE = 20  # an update may take a twentieth of the time
_KNOWN = ("training", "heads")


class TrainingMonitor:
    """Watch a training: its chart, the map of its heads and the latest numbers in one cell that updates in place.

    Parameters
    ----------
    source
        The `Recorder` that the training writes to: the monitor then updates by itself as it records, and at its end. Or the
        folder of a recording, of this process or another one: call `update`, or `watch` until it ends.
    every
        Seconds between updates, at least. They also never take more than a twentieth of the time: the slower an update,
        the fewer.
    charts
        What to draw: ``"training"``, ``"heads"`` (the newest map of each measure) and functions that take the run
        (`load_run`) and return an Altair chart, or None where there is nothing to draw yet.
    measures
        The measures of heads to draw; by default the first two that were recorded.
    theme
        As in `to_png`: ``"dark"`` for a dark notebook.
    notebook
        Whether to show in a notebook's cell or to print; by default what this process is.
    file
        Where lines of progress go outside a notebook; by default standard error.

    Raises
    ------
    DataError, KindError
        No recorder and no recording, seconds below 0, an unknown chart.

    Notes
    -----
    In a notebook the view is one display of HTML with inline SVG and no script, replaced as a whole: it does not flicker, and
    the output holds the last state alone. A drawing of more than 250,000 characters goes out as PNG. It stands in the cell
    that runs when the first update comes; another cell begins a display of its own. A recorder has one monitor: a new one
    takes the place of the last.

    What cannot be drawn is said in a line below; a monitor never stops a training.

    Examples
    --------
    >>> import sys, headspec
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, headspec.Recorder(folder, run="small") as recorder:
    ...     monitor = headspec.TrainingMonitor(recorder, every=0, file=sys.stdout)
    ...     recorder.log(10, train_loss=2.5)
    small  step 10  train_loss 2.5
    small  step 10  train_loss 2.5  complete
    """

    def __init__(
        self,
        source: Recorder | str | os.PathLike[str],
        *,
        every: float = 5.0,
        charts: Sequence[str | Callable[[RecordedRun], Any]] = _KNOWN,
        measures: Sequence[str] | None = None,
        theme: Any = None,
        notebook: bool | None = None,
        file: TextIO | None = None,
    ) -> None:
        if isinstance(every, bool) or not isinstance(every, (int, float)) or not every >= 0:
            raise DataError(f"every={clean(repr(every))}: seconds from 0")
        for chart in [charts] if isinstance(charts, str) else charts:
            if not callable(chart) and chart not in _KNOWN:
                raise DataError(
                    f"charts holds {clean(repr(chart))}; expected {listing(_KNOWN, last='or')}, or a function"
                )
        self.every = float(every)
        self._charts = [charts] if isinstance(charts, str) else list(charts)
        self._measures = None if measures is None else list(measures)
        self._theme, self._notebook, self._file = theme, notebook, file
        self._run: RecordedRun | None = None
        self._next = 0.0
        self._draws = 0
        self._line = ""
        self._drawings: dict[str, Any] = {}
        self._display: tuple[str, object] | None = None  # its id, and the cell that it stands in
        self._before: tuple[float, float] | None = None
        self._recorder = source if isinstance(source, Recorder) else None
        if self._recorder is not None:
            self._folder: str | os.PathLike[str] = self._recorder.folder
            for listener in list(self._recorder.listeners):  # a cell that runs again makes a monitor again
                if isinstance(getattr(listener, "__self__", None), TrainingMonitor):
                    self._recorder.listeners.remove(listener)
            self._recorder.listeners.append(self._recorded)
        elif isinstance(source, (str, os.PathLike)):
            self._folder = source
            self._run = load_run(source)
        else:
            raise KindError(f"source is {kind_of(source)}; expected a Recorder, or the folder of a recording")

    def update(self, *, force: bool = True) -> bool:
        """Show what was recorded until now; without `force` only if it is time for it.

        Returns
        -------
        bool
            Whether it was shown.
        """
        if not force and time.monotonic() < self._next:
            return False
        started = time.monotonic()
        try:
            if self._run is None:
                self._run = RecordedRun(self._recorder.folder if self._recorder else self._folder)  # type: ignore[arg-type]
            else:
                self._run.refresh()
            self._show(self._run, again=force)
        except Exception as error:  # the folder is gone, a notebook closed: the training is not
            kind = "" if isinstance(error, HeadspecError) else f"{type(error).__name__}: "
            self._print(f"the monitor of {clean(self._folder)} shows nothing: {kind}{clean(error)}")
        took = time.monotonic() - started
        self._draws += 1
        # the first one also loads the renderer
        self._next = time.monotonic() + max(self.every, _SHARE * took if self._draws > 1 else 0.0)
        return True

    def watch(self, *, poll: float = 1.0, seconds: float | None = None) -> None:
        """Follow a training that goes on elsewhere until it ends, is killed, or this is interrupted.

        Parameters
        ----------
        poll
            Seconds between looks at the folder.
        seconds
            How long to watch at most; None is until the end.
        """
        stop = time.monotonic() + seconds if seconds is not None else float("inf")
        if self._run is None:
            self._run = load_run(self._folder)
        self.update()
        try:
            while self._run.state == "recording" and time.monotonic() < stop:
                time.sleep(min(poll, max(0.0, stop - time.monotonic())))
                self.update(force=False)
        except KeyboardInterrupt:
            pass  # how one stops to watch
        self._next = 0.0
        self.update(force=False)  # whatever the time, but no line twice

    def close(self) -> None:
        """Stop following the recorder."""
        if self._recorder is not None and self._recorded in self._recorder.listeners:
            self._recorder.listeners.remove(self._recorded)

    def _ipython_display_(self) -> None:
        self.update()  # as the last expression of a cell: the same display, not one more

    def _recorded(self, ended: bool) -> None:
        if ended or time.monotonic() >= self._next:
            self.update()

    def _show(self, run: RecordedRun, *, again: bool) -> None:
        speed = self._speed(run)
        shell = _shell()
        if self._notebook is False or (self._notebook is None and not hasattr(shell, "kernel")):
            from headspec.notebook.monitor_view import text_line

            line = text_line(run, speed)
            if again or line != self._line:
                self._print(line)
            self._line = line
            return
        from headspec.notebook import monitor_view as view

        builders: list[Any] = []
        for chart in self._charts:
            if chart == "training":
                builders.append(view.training_chart)
            elif chart == "heads":
                builders.extend(view.map_builders(run, self._measures))
            else:
                builders.append(chart)
        page = view.html(run, speed, builders, self._theme, self._drawings)
        self._put(
            {"text/html": page, "text/plain": view.text_line(run, speed)}, getattr(shell, "execution_count", None)
        )

    def _put(self, bundle: dict[str, str], cell: object) -> None:
        """Show a bundle in the cell's one display."""
        from IPython.display import display

        again = self._display is not None and self._display[1] == cell
        if self._display is None or not again:
            self._display = f"headspec-{uuid.uuid4().hex}", cell
        display(bundle, raw=True, display_id=self._display[0], update=again)  # type: ignore[no-untyped-call]

    def _speed(self, run: RecordedRun) -> float | None:
        """Return the steps per second since the last update."""
        if run.state != "recording" or run.history.empty:
            return None
        now, step = time.monotonic(), float(run.history["step"].max())
        before, self._before = self._before, (now, step)
        if before is None or step <= before[1]:
            return None
        return (step - before[1]) / max(now - before[0], 1e-9)

    def _print(self, line: str) -> None:
        stream = sys.stderr if self._file is None else self._file
        encoding = getattr(stream, "encoding", None) or "utf-8"
        with contextlib.suppress(OSError, ValueError):  # a closed console is no reason to stop
            stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            stream.flush()


def _shell() -> Any:
    """Return the shell of IPython if this process runs in one; IPython is not imported for the question."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
