"""What the cards of a run say: their titles, the names of their pages, the heads that they mark."""

from __future__ import annotations

from collections.abc import Sequence

import headspec
from headspec.site.cards import slug
from headspec.site.drafts import Arg, table_arg
from headspec.sources.run import Run, Table
from headspec.sources.run_arrays import Attention, HeadMap, HeadSteps
from headspec.text import listing, number

UNITS = {"entropy": "nats"}


def files_of(series: HeadSteps) -> str:
    """Return the files of a measure over steps, in words."""
    return f"{series.files[0]} and {len(series.files) - 1} more" if series.files else series.file


def grid_of(run: Run) -> tuple[int, int] | None:
    """Return layers and heads of the run's own model, as its measures have them."""
    shapes: list[tuple[int, ...]] = [item.values.shape for item in run.maps]
    shapes += [item.values.shape[1:] for item in run.steps]
    shapes += [values.shape for item in run.scores for values in item.values.values()]
    return (int(shapes[0][0]), int(shapes[0][1])) if shapes else None


def marks_of(run: Run, shape: tuple[int, ...]) -> dict[str, Arg]:
    """Return the events as an argument, for grids of the run's own model: other models have other heads of the same names."""
    grid = grid_of(run)
    if not run.events or (grid is not None and tuple(shape) != grid):
        return {}
    table = headspec.events_table(run.events[0].value)
    if len(table) and (table["layer"].max() >= shape[0] or table["head"].max() >= shape[1]):
        return {}
    return {"events": table_arg(run.events[0], "events")}


def page_name(base: str, item: HeadMap | HeadSteps | Attention | Table, among: int) -> str:
    """Return the name of a page: the kind alone where there is one, else with the file and the measure."""
    stem = item.file.rpartition(".")[0]
    own = item.name if isinstance(item, Attention) else f"{getattr(item, 'measure', '')} {getattr(item, 'of', '')}"
    return base if among < 2 else slug(f"{base} {stem} {own if own.strip() != stem else ''}")


def titled(item: HeadMap, default: str, among: Sequence[HeadMap]) -> str:
    """Return the title of a map: what it is, which one of several, at which step."""
    at = f" at {step_name(item.step)}" if item.step is not None else ""
    more = [item.measure.replace("_", " ")] if len({other.measure for other in among}) > 1 else []
    more += [item.of] if item.of else []
    return item.title or f"{default}{f': {listing(more)}' if more else ''}{at}"


def step_name(step: float) -> str:
    """Return a step as a reader writes it: ``step 20,000``."""
    return f"step {step:,.0f}" if step == int(step) else f"step {number(step, digits=6)}"
