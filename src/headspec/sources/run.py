"""A run: what its folder holds, each part with the file that it is from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headspec.sources.run_arrays import Attention, HeadMap, HeadSteps, Scores
from headspec.sources.run_config import FileConfig


@dataclass(frozen=True)
class Table:
    """A table of a run and the file that it is from."""

    file: str
    value: Any
    config: FileConfig = field(default_factory=FileConfig)
    log_history: bool = False
    """Whether it stands under ``log_history`` in a ``trainer_state.json``."""
    recorded: bool = False
    """Whether a `headspec.Recorder` wrote it."""


@dataclass
class Run:
    """What a run folder holds."""

    folder: Path
    name: str
    title: str
    histories: list[Table] = field(default_factory=list)
    results: list[Table] = field(default_factory=list)
    events: list[Table] = field(default_factory=list)
    maps: list[HeadMap] = field(default_factory=list)
    steps: list[HeadSteps] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    attention: list[Attention] = field(default_factory=list)
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Address (file and place in it) → tokens."""
    used: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing of it can be drawn."""
        parts = (self.histories, self.results, self.events, self.maps, self.steps, self.scores, self.attention)
        return not any(parts)

    def of_kind(self, kind: str) -> list[HeadMap]:
        """Return the maps of a family of measures, the last of those over steps among them, each grid of values once."""
        out: list[HeadMap] = []
        for item in [*self.maps, *(steps.last for steps in sorted(self.steps, key=lambda item: len(item.values)))]:
            known = any(item.values.shape == other.values.shape and _equal(item, other) for other in out)
            if item.kind == kind and not known:
                out.append(item)
        return out


def _equal(one: HeadMap, other: HeadMap) -> bool:
    return bool(((one.values == other.values) | ((one.values != one.values) & (other.values != other.values))).all())
