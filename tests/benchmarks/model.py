"""What a job is: its sides, each run in a process of its own, and the bars that hold between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Metric = Literal["time", "bytes", "peak", "extra", "redraw"]
"""CPU seconds (or wall seconds, where the job says so) of the warm call; bytes of its result; the most memory that the
process ever held; memory that the call took above what was there before; wall seconds of drawing a page once more."""


@dataclass(frozen=True)
class Side:
    """One way to do a job.

    `make` imports what it needs, reads its input and returns the call to be timed, whose result's length is its bytes;
    it is run in a process of its own. Where the job is a whole process, `make` is the code that the process runs.
    """

    name: str
    make: Callable[..., Callable[[], Any]] | str
    arguments: tuple[Any, ...] = ()
    limit: float = 90.0
    """Seconds of wall time after which a call is stopped."""

    @property
    def target(self) -> str:
        """The place of `make`, for the process that runs it."""
        assert not isinstance(self.make, str)
        return f"{self.make.__module__}:{self.make.__qualname__}"


@dataclass(frozen=True)
class Bar:
    """What must hold: ours ÷ theirs where `peer` is given, else ours alone, is at most `limit`; None only tells."""

    metric: Metric
    limit: float | None
    peer: str = ""
    note: str = ""


@dataclass(frozen=True)
class Job:
    """One row of the table: ours, the peers, the bars."""

    key: str
    title: str
    ours: Side
    peers: tuple[Side, ...] = ()
    bars: tuple[Bar, ...] = ()
    needs: tuple[str, ...] = ()
    """Inputs that are made once, before, and kept on disk."""
    calls: int = 7
    """Timed calls of each side, at most."""
    seconds: float = 20.0
    """Wall seconds after which a side gets no further call."""
    wall: bool = False
    cold: bool = False
    """The first call of a process is what counts, so that each call has a process of its own."""


@dataclass
class Found:
    """What was measured of one side."""

    values: dict[str, float] = field(default_factory=dict)
    calls: int = 0
    trouble: str = ""
    """Why nothing was measured: not installed, stopped after 90 s, killed by a signal, …"""


@dataclass(frozen=True)
class Row:
    """One bar, measured."""

    job: Job
    bar: Bar
    ours: float | None
    theirs: float | None
    trouble: str = ""

    @property
    def value(self) -> float | None:
        """The ratio, or our own value where the bar is absolute."""
        if self.ours is None:
            return None
        if not self.bar.peer:
            return self.ours
        return self.ours / self.theirs if self.theirs else None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met, None where there is none or it could not be measured."""
        return None if self.value is None or self.bar.limit is None else self.value <= self.bar.limit
