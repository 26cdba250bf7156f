"""When each head was active: a lane per head, with prunings, revivals, a measure and the loss on one step axis."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike, kind_of
from headspec.charts import parts
from headspec.charts.heatmaps import ScaleChoice, outside, spread
from headspec.charts.timeline_image import LEVELS
from headspec.charts.timeline_lanes import Coloured, View, domain_of, lanes_for
from headspec.charts.timeline_loss import loss_panels, series_of, within
from headspec.charts.timeline_panels import THIN, lanes_panel
from headspec.charts.timeline_spans import Counts, Head, Timeline, lanes_of, read_events, step_range, timeline_of
from headspec.charts.timeline_values import Measured, Pool, drawn_values, pool_values, read_values
from headspec.charts.timeline_words import describe, notes_of
from headspec.errors import DataError, KindError
from headspec.tables.packing import code_for
from headspec.text import clean, listing, number

NARROW = 100


def visualize_head_timeline(
    events: Any,
    title: str | None = None,
    *,
    num_layers: int | None = None,
    num_heads: Counts = None,
    steps: Sequence[float] | None = None,
    heads: Literal["all", "events"] = "all",
    values: ArrayLike | None = None,
    value_steps: ArrayLike | None = None,
    axes: str | None = None,
    measure: str | None = None,
    unit_name: str = "",
    pool: Pool = "max",
    scale: ScaleChoice = "auto",
    history: Any = None,
    metrics: Sequence[str] | None = None,
    width: int = 560,
    lane: int | None = None,
    zoom: str = "step_zoom",
    select: str | None = None,
) -> alt.LayerChart | alt.VConcatChart:
    """Show when each head was active: a lane per head, prunings and revivals marked, with a measure and the loss if given.

    Parameters
    ----------
    events
        Prune and revive events, or a history whose ``pruned_heads`` and ``revived_heads`` list (layer, head) pairs (see
        `events_table`). None or an empty list where nothing happened.
    title
        The chart's title.
    num_layers, num_heads
        How many layers and heads there are; `num_heads` may be one count per layer. Heads without events are active
        throughout. Left out, the heads are those of `values`, or those that the events name.
    steps
        The first and the last step. Left out, the range is that of the events, `values` and `history` together. Earlier
        events decide the state at the first step.
    heads
        ``"all"``, or ``"events"`` for those only that have events; the subtitle counts the others.
    values
        A measure over the steps, drawn as colour along the bars: an array ``[step, layer, head]`` with `value_steps`,
        ``{layer: [step, head]}`` where layers differ, or a heads table with a column ``step``.
    value_steps
        The steps that an array was measured at.
    axes
        The names of the axes of an array where they are others than ``"step layer head"``.
    measure, unit_name
        What the values are, ``"entropy"`` say (which one to take, where a heads table holds several), and their unit.
    pool
        What a cell shows that several measurements share: their ``"max"`` or their ``"mean"``.
    scale
        The space of the colour scale, as in `visualize_gradient_norms`.
    history
        A training history (see `history_table`), drawn above the lanes on the same steps.
    metrics
        Its metrics to draw; by default the losses.
    width
        Pixels of the step axis.
    lane
        Pixels from one lane to the next; by default as many as fit, 20 at most, and one from 320 heads on.
    zoom
        The name of the zoom along the steps. Charts with the same name zoom together.
    select
        The name of a selection of a head by click, to link charts.

    Returns
    -------
    altair.LayerChart or altair.VConcatChart
        One panel, or with `history` several with aligned step axes.

    Raises
    ------
    DataError, KindError
        Nothing that says which heads or steps there are, heads out of range, arrays that do not fit their steps, no finite
        value, more than 2,048 lanes.

    Notes
    -----
    Reading it: a lane is a head, layer by layer from the top. Its bar ends where the head is pruned (✕) and begins again where it is
    revived (triangle); a thin line between says that it is off. A pruning at a step takes effect at that step. Several
    lines that end together are a pruning round; a block of lines without a bar at the right edge is a layer that died.

    What contradicts (a pruned head pruned again, an active one revived) is marked like any other event and
    counted in the subtitle; bars follow the latest event. Of events at one step, the order given counts.

    The colours of a measure stand in cells of whole pixels, 20,000 at most. Measurements that fall into one cell while
    the head is active are pooled. A cell reaches half-way to its neighbour's measurement, and before the first and
    after the last one half as far as to the next; the rest is grey. What was measured while a head was off is not drawn.

    Examples
    --------
    >>> import headspec
    >>> events = [(20, 0, 1, "pruned"), (60, 0, 1, "revived"), (80, 1, 0, "pruned")]
    >>> chart = headspec.visualize_head_timeline(events, num_layers=2, num_heads=2, steps=(0, 100))
    >>> headspec.summary(chart)
    'Timeline of 4 heads in 2 layers over steps 0 to 100: 2 prunings and 1 revival of 2 heads. Longest off: L0 H1, 40 steps (40% of the time). At the end 1 head pruned (L1 H0).'
    """
    _check(width, lane, heads, pool)
    measured = read_values(values, value_steps, axes, measure) if values is not None else None
    table, lanes, left_out, known = _lanes(events, lanes_of(num_layers, num_heads), measured, heads)
    series = series_of(history, metrics)
    clocks = [table["step"].to_numpy(), *([measured.steps] if measured else []), *[line.step for line in series]]
    found = [end.item() for clock in clocks if len(clock) for end in (clock.min(), clock.max())]
    first, last = step_range(steps, found)
    timeline = timeline_of(table, lanes, first, last)
    view = View(lanes_for(lanes, lane), width, domain_of(first, last, width), zoom, select)
    coloured = _coloured(measured, timeline, view, pool, scale, unit_name) if measured is not None else None
    said = _notes(timeline, view, left_out, coloured, pool, known=known)
    series = within(series, first, last)
    panels = loss_panels(series, timeline, view)
    said += panels.notes
    what = _name(measured) if measured else ""
    words = parts.heading("Head timeline" if title is None else title, said, width=width)
    text = describe(timeline, left_out, coloured.pooled if coloured else None, what, series)
    text = " ".join([text, *[f"{note[:1].upper()}{note[1:]}." for note in said[1:] if note]])
    chart: Any = lanes_panel(view, timeline, coloured)
    if panels.charts:
        chart = _stacked([*panels.charts, chart])
    described: alt.LayerChart | alt.VConcatChart = chart.properties(title=words, description=text)
    return described


def _check(width: int, lane: int | None, heads: str, pool: str) -> None:
    for name, value, least in (("width", width, NARROW), ("lane", lane, 1)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise KindError(f"{name} is {kind_of(value)}; expected a whole number of pixels")
        if value < least:
            raise DataError(f"{name}={value} is too small; give {least} or more")
    if heads not in ("all", "events"):
        raise DataError(f"heads={clean(repr(heads))}; expected 'all' or 'events'")
    if pool not in ("max", "mean"):
        raise DataError(f"pool={clean(repr(pool))}; expected 'max' or 'mean'")


def _lanes(
    events: Any, shape: list[Head] | None, measured: Measured | None, heads: str
) -> tuple[pd.DataFrame, list[Head], int, bool]:
    """Return the events, the heads that get a lane, how many others there are, and whether all heads are known."""
    known = shape if shape is not None else sorted(measured.heads) if measured is not None else None
    if shape is not None and measured is not None:
        beyond = sorted(set(measured.heads) - set(shape))
        if beyond:
            raise DataError(
                f"values holds {listing(f'L{layer} H{head}' for layer, head in beyond)}, which num_layers= and num_heads= leave out"
            )
    table = read_events(events, known)
    named = set(zip(table["layer"].tolist(), table["head"].tolist(), strict=True))
    if known is None and not named:
        raise DataError("events is empty, and nothing else says which heads there are: give num_layers= and num_heads=")
    every = known if known is not None else sorted(named)
    if heads == "all":
        return table, every, 0, known is not None
    chosen = [head for head in every if head in named]
    if not chosen:
        raise DataError("heads='events' leaves nothing to draw: no head has an event; heads='all' draws them all")
    return table, chosen, len(every) - len(chosen), True


def _name(measured: Measured) -> str:
    return "value" if measured.measure == "value" else measured.measure.replace("_", " ")


def _coloured(
    measured: Measured, timeline: Timeline, view: View, pool: Pool, scale: ScaleChoice, unit_name: str
) -> Coloured:
    """Return the measure pooled to the panel, with its colour scale."""
    pooled = pool_values(measured, timeline, width=view.width, domain=view.domain, pool=pool)
    cells = drawn_values(pooled)
    colours = spread(cells, scale, "viridis", name="values, while heads are active,")
    used = cells["value"].dropna()
    positive = used[used > 0] if colours.type == "log" else used
    code = code_for(float(positive.min()), float(positive.max()), log=colours.type == "log")
    name = _name(measured)
    legend = f"{name[:1].upper()}{name[1:]}" + (f" ({clean(unit_name)})" if unit_name else "")
    return Coloured(pooled, colours, code, legend)


def _notes(
    timeline: Timeline, view: View, left_out: int, coloured: Coloured | None, pool: Pool, *, known: bool
) -> list[str]:
    """Return what the reader must know, for the subtitle."""
    lines = view.lanes.thick >= THIN
    if coloured is None:
        return notes_of(timeline, left_out, None, known=known, lines=lines, pool=pool, measure="", exact="")
    colours, pooled = coloured.scale, coloured.pooled
    measure = coloured.legend[:1].lower() + coloured.legend[1:]
    measure += f" on a {colours.type} scale" if colours.type != "linear" else ""
    exact = "values to four significant digits" if coloured.code.log else coloured.code.said()
    if pooled.image:
        exact = f"{LEVELS} colour steps from {number(colours.low)} to {number(colours.high)}"
    said = notes_of(timeline, left_out, pooled, known=known, lines=lines, pool=pool, measure=measure, exact=exact)
    return [*said, *outside(drawn_values(pooled), colours)]


def _stacked(charts: list[alt.LayerChart]) -> alt.VConcatChart:
    """Return the panels, one below the other, sharing the zoom and no other scale."""
    with warnings.catch_warnings():  # one zoom for all panels is what is wanted
        warnings.filterwarnings("ignore", message="Automatically deduplicated", category=UserWarning)
        stack = alt.vconcat(*charts, spacing=8)
    own: alt.VConcatChart = stack.resolve_scale(
        color="independent", stroke="independent", fill="independent", shape="independent", size="independent"
    )
    return own
