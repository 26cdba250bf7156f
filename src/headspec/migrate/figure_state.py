"""What pyplot may have as its current figure at one place of the code, and what is decided about its statements."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.results import ChartCall

OTHER = "other"
PENDING = "pending"
NOTHING = "nothing"


@dataclass
class State:
    """What may be current: charts, a figure of other code, a new figure that nothing drew into yet."""

    current: set[object] = field(default_factory=set)
    open: list[ChartCall] = field(default_factory=list)
    shown: list[ChartCall] = field(default_factory=list)
    foreign: bool = False
    pending: cst.BaseSmallStatement | None = None
    maybe_closed: set[ChartCall] = field(default_factory=set)

    def copy(self) -> State:
        """Return the state for one of several branches."""
        return State(
            set(self.current),
            list(self.open),
            list(self.shown),
            self.foreign,
            self.pending,
            set(self.maybe_closed),
        )

    def merge(self, other: State) -> State:
        """Return the state where two branches meet."""
        pending = self.pending if self.pending is other.pending else None
        current = self.current | other.current
        if bool(self.current) != bool(other.current):
            current = current | {NOTHING}
        if pending is None and PENDING in current:
            current = (current - {PENDING}) | {OTHER}
        return State(
            current,
            [*self.open, *(call for call in other.open if call not in self.open)],
            [*self.shown, *(call for call in other.shown if call not in self.shown)],
            self.foreign or other.foreign,
            pending,
            self.maybe_closed | other.maybe_closed,
        )

    @property
    def below(self) -> set[object]:
        """What becomes current when the newest figure is closed."""
        return {OTHER} if self.foreign else set()

    @property
    def charts(self) -> list[ChartCall]:
        """The charts that may be current."""
        return [item for item in self.current if isinstance(item, ChartCall)]


@dataclass
class Findings:
    """What the walk decides: reasons per chart, and for each pyplot statement what it becomes."""

    reasons: dict[ChartCall, list[str]] = field(default_factory=dict)
    votes: dict[cst.BaseSmallStatement, list[object]] = field(default_factory=dict)

    def refuse(self, call: ChartCall, why: str) -> None:
        """Note a reason, once."""
        known = self.reasons.setdefault(call, [])
        if why not in known:
            known.append(why)

    def removed(self) -> list[cst.BaseSmallStatement]:
        """Return the statements that only belonged to charts."""
        return [statement for statement, votes in self.votes.items() if all(vote == "remove" for vote in votes)]

    def vote(self, statement: cst.BaseSmallStatement, what: object) -> None:
        """Note what one walk over a statement makes of it."""
        self.votes.setdefault(statement, []).append(what)
