"""Run jobs: every side in a process of its own, their calls in turn (ours, theirs, ours, theirs, …), the least kept.

CPU time is what counts, since wall time says more about the neighbours than about the code; calls in turn, because even
CPU time grows when a neighbour fills the caches.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from . import inputs
from .model import Bar, Found, Job, Row, Side

MEMORY = 6e9
"""Bytes that a side may hold before it is stopped."""


class Stopped(Exception):
    """A side that is no more: why."""


class Worker:
    """The process of one side."""

    def __init__(self, target: str, arguments: Sequence[object], *, limit: float) -> None:
        self.limit = limit
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", target, json.dumps(list(arguments))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        self.said = bytearray()
        self._part = b""
        answer = self._answer()
        if "trouble" in answer:
            self.close()
            raise Stopped(str(answer["trouble"]))

    def call(self) -> dict[str, float]:
        """Run the call once."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"call\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Stopped(self._end()) from None
        return self._answer()

    def _answer(self) -> dict[str, float]:
        """Return the next line that the process writes; stop it where it takes too long or too much memory."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        out, errors = self.process.stdout.fileno(), self.process.stderr.fileno()
        deadline = time.monotonic() + self.limit
        open_pipes = [out, errors]
        while True:
            if b"\n" in self._part:
                line, _, self._part = self._part.partition(b"\n")
                return dict(json.loads(line))
            ready, _, _ = select.select(open_pipes, [], [], 0.2)
            for pipe in ready:
                got = os.read(pipe, 65536)
                if not got:
                    open_pipes.remove(pipe)
                elif pipe == out:
                    self._part += got
                else:
                    self.said = (self.said + got)[-20_000:]
            if out not in open_pipes:
                raise Stopped(self._end())
            if time.monotonic() > deadline:
                self.close(grace=0)
                raise Stopped(f"stopped after {self.limit:g} s")
            if resident(self.process.pid) > MEMORY:
                self.close(grace=0)
                raise Stopped(f"stopped at {MEMORY / 1e9:g} GB of memory")

    def _end(self) -> str:
        """Return how the process ended."""
        code = self.process.wait()
        self.close()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        lines = [line for line in self.said.decode("utf-8", "replace").splitlines() if line.strip()]
        return f"failed: {lines[-1].strip()[:160]}" if lines else f"ended with exit code {code}"

    def close(self, *, grace: float = 5.0) -> None:
        """End the process and what it started; one that is idle ends by itself when its orders do."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=grace)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def environment() -> dict[str, str]:
    """Return the surroundings of a side: one thread, and this package on the path wherever it is run from."""
    root = Path(__file__).resolve().parents[__package__.count(".") + 1]
    path = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }


def resident(pid: int) -> float:
    """Return the bytes that a process holds, 0 where the system does not say."""
    try:
        return float(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0.0


@contextmanager
def stored_inputs() -> Iterator[None]:
    """Keep inputs in a folder that goes when the run ends."""
    with TemporaryDirectory(prefix="headspec-bench-") as folder:
        before = os.environ.get(inputs.FOLDER)
        os.environ[inputs.FOLDER] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[inputs.FOLDER]
            else:
                os.environ[inputs.FOLDER] = before


def prepare(names: Sequence[str]) -> None:
    """Make inputs, in a process of its own: the memory that it takes is nobody's."""
    for name in names:
        code = f"from {__package__} import inputs; inputs.keep({name!r})"
        subprocess.run([sys.executable, "-c", code], check=True, env=environment())


def run(job: Job, *, quick: bool = False, say: Callable[[str], None] = lambda text: None) -> dict[str, Found]:
    """Return what was measured of every side of a job, by its name."""
    prepare(job.needs)
    calls, seconds = (2, 5.0) if quick else (job.calls, job.seconds)
    sides = [job.ours, *job.peers]
    if isinstance(job.ours.make, str):
        return _processes(sides, calls)
    found = {side.name: Found() for side in sides}
    if job.cold:
        _cold(sides, found, calls)
        return found
    workers: dict[str, Worker] = {}
    try:
        for side in sides:
            say(f"{job.key}: {side.name}")
            start = time.monotonic()
            try:
                workers[side.name] = Worker(side.target, side.arguments, limit=side.limit)
                first = workers[side.name].call()
            except Stopped as error:
                found[side.name].trouble = str(error)
                workers.pop(side.name, None)
                continue
            _take(found[side.name], first, warm=False)
            if time.monotonic() - start > 3 * seconds:  # slow enough that warming is nothing, and once must do
                _take(found[side.name], first, warm=True)
                workers.pop(side.name).close()
        _in_turn(workers, found, calls, seconds)
    finally:
        for worker in workers.values():
            worker.close()
    return found


def _in_turn(workers: dict[str, Worker], found: dict[str, Found], calls: int, seconds: float) -> None:
    spent = dict.fromkeys(workers, 0.0)
    for _ in range(calls):
        for name in list(workers):
            if spent[name] > seconds:
                continue
            start = time.monotonic()
            try:
                _take(found[name], workers[name].call(), warm=True)
            except Stopped as error:
                if not found[name].calls:
                    found[name].trouble = str(error)
                del workers[name]
            spent[name] += time.monotonic() - start


def _cold(sides: Sequence[Side], found: dict[str, Found], calls: int) -> None:
    """Measure the first call of a process, a process for each, in turn."""
    for _ in range(calls):
        for side in sides:
            if found[side.name].trouble:
                continue
            try:
                worker = Worker(side.target, side.arguments, limit=side.limit)
                _take(found[side.name], worker.call(), warm=True)
                worker.close()
            except Stopped as error:
                found[side.name].trouble = str(error)


def _take(found: Found, values: dict[str, float], *, warm: bool) -> None:
    """Keep the least time and the most memory; of the first call only the memory and the size."""
    for name, value in values.items():
        if name in ("time", "redraw"):
            if warm:
                found.values[name] = min(found.values.get(name, value), value)
        else:
            found.values[name] = max(found.values.get(name, value), value)
    found.calls += warm


def _processes(sides: Sequence[Side], calls: int) -> dict[str, Found]:
    """Measure whole processes: CPU time and peak memory as the system accounts them, in turn."""
    found = {side.name: Found() for side in sides}
    for _ in range(calls + 1):
        for side in sides:
            start = subprocess.Popen(
                [sys.executable, "-c", str(side.make)], env=environment(), stderr=subprocess.DEVNULL
            )
            _, status, used = os.wait4(start.pid, 0)
            start.returncode = os.waitstatus_to_exitcode(status)
            if start.returncode:
                found[side.name].trouble = "not installed"
                continue
            peak = float(used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024)
            _take(found[side.name], {"time": used.ru_utime + used.ru_stime, "peak": peak}, warm=True)
    return found


def rows(job: Job, found: dict[str, Found]) -> list[Row]:
    """Return the bars of a job with what was measured."""
    return [_row(job, bar, found) for bar in job.bars]


def _row(job: Job, bar: Bar, found: dict[str, Found]) -> Row:
    ours = found[job.ours.name]
    theirs = found[bar.peer] if bar.peer else None
    trouble = [ours.trouble and f"headspec: {ours.trouble}"]
    if theirs is not None:
        trouble.append(theirs.trouble and f"{bar.peer}: {theirs.trouble}")
    return Row(
        job,
        bar,
        ours.values.get(bar.metric),
        theirs.values.get(bar.metric) if theirs is not None else None,
        "; ".join(filter(None, trouble)),
    )
