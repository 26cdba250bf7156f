"""A measure of heads over the steps, pooled to the whole pixels that a timeline has for it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.arrays import ArrayLike, NumpyArray, parts, to_numpy
from headspec.axes import arrange
from headspec.charts.timeline_spans import Head, Timeline, active_at
from headspec.errors import DataError
from headspec.tables.heads import KINDS, heads_table
from headspec.tables.history_cells import steps_of
from headspec.text import clean, listing

Pool = Literal["max", "mean"]
Floats = npt.NDArray[np.float64]

CELLS = 20_000
"""Cells of a measure that are drawn one by one; more are drawn as an image."""
EDGE = 8
"""Pixels between the first and the last step and the panel's edges."""
NARROWEST = 2
"""Pixels of a cell that is drawn by itself; one of an image takes one."""
UNMEASURED = "not measured"
ALL_KINDS = (*KINDS, UNMEASURED)


class Measured(NamedTuple):
    """A measure of heads: ``values[step, head]``, the mask of what is not known, and what the axes are."""

    steps: NumpyArray
    heads: list[Head]
    values: NumpyArray
    mask: npt.NDArray[np.bool_] | None
    measure: str


class Extreme(NamedTuple):
    """One measurement."""

    value: float
    head: Head
    step: float


class Piece(NamedTuple):
    """The cells of one active span of one head, side by side."""

    head: Head
    span: float
    """The step that the span begins with."""
    edges: list[float]
    """Pixels from the left: where each cell begins, and where the last one ends."""
    values: list[float]
    kinds: list[str]
    low: Extreme | None
    high: Extreme | None
    """Of its measurements; None where none has a finite value."""
    first: list[float | None]
    """The first and the last step measured in each cell; None where there is none."""
    last: list[float | None]


class Pooled(NamedTuple):
    """A measure as it is drawn, and what was measured while heads were active."""

    pieces: list[Piece]
    image: bool
    """Whether the cells are too many to be drawn one by one."""
    most: int
    """How many measurements one cell pools at most."""
    dropped: int
    """Measured steps outside the range."""
    missing: int
    """Measurements without a finite value."""
    low: Extreme
    high: Extreme


def read_values(values: ArrayLike, value_steps: Any, axes: str | None, measure: str | None) -> Measured:
    """Return a measure over steps from a heads table with ``step``, an array, or ``{layer: [step, head]}``."""
    if hasattr(type(values), "columns"):
        return _from_table(values, measure)
    name = clean(measure) if measure is not None else "value"
    if isinstance(values, Mapping):
        layers = {
            int(layer): to_numpy(part, name=f"values[{clean(repr(layer))}]")
            for layer, part in values.items()
            if isinstance(layer, (int, np.integer)) or (isinstance(layer, str) and layer.isdecimal())
        }
        shapes = {part.shape for part in layers.values()}
        if (
            len(layers) < len(values)
            or not layers
            or any(len(s) != 2 for s in shapes)
            or len({s[0] for s in shapes}) > 1
        ):
            raise DataError(
                f"values is a dict with the keys {listing(values)} and shapes {listing(shapes)}; expected {{layer: [step, head]}} with "
                "the same steps in each"
            )
        heads = [(layer, head) for layer, part in layers.items() for head in range(part.shape[1])]
        array: Any = np.concatenate([np.ma.getdata(part) for part in layers.values()], axis=1)
        mask = np.concatenate([np.ma.getmaskarray(part) for part in layers.values()], axis=1)
        array = np.ma.MaskedArray(array, mask=mask) if mask.any() else array
    else:
        whole: Any = to_numpy(values, name="values")
        if axes is None and whole.ndim != 3:
            raise DataError(
                f"values has shape {whole.shape}; expected [step, layer, head]. For other axes say which they are, "
                'axes="layer head step" say, or give a heads table with a column step'
            )
        whole = arrange(whole, axes or "step layer head", ("step", "layer", "head"), name="values")
        heads = list(itertools.product(range(whole.shape[1]), range(whole.shape[2])))
        array = whole.reshape(whole.shape[0], len(heads))
    if not array.size:
        raise DataError(f"values is empty: {len(array)} steps of {len(heads)} heads")
    if value_steps is None:
        raise DataError(f"values holds {len(array):,} steps; which ones cannot be guessed: give value_steps=[…]")
    steps = steps_of(list(to_numpy(value_steps, name="value_steps").ravel()), "value_steps", of="values")
    if len(steps) != len(array):
        raise DataError(f"value_steps lists {len(steps):,} steps, values holds {len(array):,}")
    return _in_order(Measured(steps, heads, np.ma.getdata(array), _mask(array), name))


def _mask(array: Any) -> npt.NDArray[np.bool_] | None:
    return np.ma.getmaskarray(array) if np.ma.isMaskedArray(array) else None


def _in_order(found: Measured) -> Measured:
    """Return the measure by step; of a step that is there twice, as in a resumed run, the last."""
    steps = found.steps
    if (steps[1:] > steps[:-1]).all():
        return found
    order = np.argsort(steps, kind="stable")
    order = order[np.append(steps[order][1:] != steps[order][:-1], True)]
    mask = None if found.mask is None else found.mask[order]
    return found._replace(steps=steps[order], values=found.values[order], mask=mask)


def _from_table(values: Any, measure: str | None) -> Measured:
    table = heads_table(values, measure=measure or "value", name="values")
    if "step" not in table.columns:
        raise DataError(f"values is a heads table without a column step; it has {listing(table.columns)}")
    there = list(dict.fromkeys(table["measure"]))
    wanted = clean(measure) if measure is not None else there[0]
    if wanted not in there or (measure is None and len(there) > 1):
        raise DataError(f"values holds the measures {listing(there)}; say which: measure={there[0]!r}")
    table = table[table["measure"] == wanted]
    if table.duplicated(["step", "layer", "head"]).any():
        raise DataError("values gives a head more than once at a step; select one run and group")
    steps, rows = np.unique(steps_of(table["step"].tolist(), "step", of="values"), return_inverse=True)
    heads = sorted(set(zip(table["layer"].tolist(), table["head"].tolist(), strict=True)))
    place = {head: column for column, head in enumerate(heads)}
    columns = [place[pair] for pair in zip(table["layer"].tolist(), table["head"].tolist(), strict=True)]
    kind = table["kind"].to_numpy()
    cells = np.where(kind == "inf", np.inf, np.where(kind == "-inf", -np.inf, table["value"].to_numpy(np.float64)))
    array, mask = np.full((len(steps), len(heads)), np.nan), np.ones((len(steps), len(heads)), dtype=bool)
    array[rows, columns] = np.where(kind == "zero", 0.0, cells)
    mask[rows, columns] = kind == "masked"
    return Measured(steps, heads, array, mask if mask.any() else None, wanted)


class _Grid(NamedTuple):
    """The cells that all lanes share: their edges in pixels, and the cell that each measured step falls into."""

    edges: Floats
    cell: npt.NDArray[np.intp]


def pool_values(
    measured: Measured, timeline: Timeline, *, width: int, domain: tuple[float, float], pool: Pool
) -> Pooled:
    """Return the cells of all active spans.

    The measured steps are sorted into columns of two pixels, of one where the cells are too many to be drawn by
    themselves; a cell reaches half-way to the next one where columns in between are empty, and beyond the first and the last
    measurement half as far as to the next. Within a cell, the measurements of a head while a span of it lasts are pooled,
    and no others.
    """
    inside = (measured.steps >= timeline.first) & (measured.steps <= timeline.last)
    at = measured.steps[inside]
    if not len(at):
        raise DataError(
            f"values was measured from step {measured.steps[0]} to {measured.steps[-1]}, which is outside of the timeline, "
            f"{timeline.first} to {timeline.last}"
        )
    values = measured.values[inside]
    values = values if values.dtype.kind == "f" else values.astype(np.float64)
    mask = None if measured.mask is None else measured.mask[inside]
    rows = _Rows(at, values, np.isfinite(values) if mask is None else np.isfinite(values) & ~mask, mask)
    scale = (domain[1] - domain[0]) / width  # steps per pixel
    pixels = (at.astype(np.float64) - domain[0]) / scale
    grid = _grid(pixels, width, NARROWEST)
    image = (len(grid.edges) - 1) * len(timeline.spans) > CELLS
    grid = _grid(pixels, width, 1) if image else grid
    column = {head: place for place, head in enumerate(measured.heads)}
    pieces, most, missing = [], 0, 0
    for head, spans in timeline.spans.items():
        place = column.get(head)
        for span, start, end in active_at(spans, at):
            ends = ((span.start - domain[0]) / scale, (span.end - domain[0]) / scale)
            if place is None or start == end:
                pieces.append(_unmeasured(head, span.start, *ends))
                continue
            drawn, size = _pieces(
                head, span.start, rows.of(slice(start, end), place), grid, grid.cell[start:end], ends, pool
            )
            pieces += drawn
            most, missing = max(most, size), missing + int((~rows.finite[start:end, place]).sum())
    lows = [piece.low for piece in pieces if piece.low is not None]
    highs = [piece.high for piece in pieces if piece.high is not None]
    if not lows:
        raise DataError("values holds no finite value of a head while it was active; there is nothing to draw")
    low, high = min(lows, key=lambda end: end.value), max(highs, key=lambda end: end.value)
    return Pooled(pieces, image, most, int((~inside).sum()), missing, low, high)


class _Rows(NamedTuple):
    """Measurements, a row per step: of all heads, or of one."""

    steps: NumpyArray
    values: NumpyArray
    finite: npt.NDArray[np.bool_]
    mask: npt.NDArray[np.bool_] | None

    def of(self, rows: slice, column: int) -> _Rows:
        """Return some steps of one head."""
        mask = None if self.mask is None else self.mask[rows, column]
        return _Rows(self.steps[rows], self.values[rows, column], self.finite[rows, column], mask)


def _pieces(
    head: Head, span: float, rows: _Rows, grid: _Grid, cell: npt.NDArray[np.intp], ends: tuple[float, float], pool: Pool
) -> tuple[list[Piece], int]:
    """Return the cells of one span, unmeasured ends apart, and how many measurements the fullest one holds."""
    starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1]))
    tails = np.append(starts[1:], len(cell))
    found, kinds = _pool_span(rows, starts, tails, pool)
    low = high = None
    if rows.finite.any():
        least = int(np.where(rows.finite, rows.values, np.inf).argmin())
        greatest = int(np.where(rows.finite, rows.values, -np.inf).argmax())
        low, high = (
            Extreme(float(parts(rows.values[place : place + 1])[0][0]), head, rows.steps[place].item())
            for place in (least, greatest)
        )
    edges = grid.edges[cell[0] : cell[-1] + 2].clip(*ends)
    # the first and the last cell of a span reach to its ends, unless nothing was measured for long
    edges[0] = ends[0] if cell[0] or edges[0] - ends[0] < 0.01 else edges[0]
    edges[-1] = ends[1] if cell[-1] < len(grid.edges) - 2 or ends[1] - edges[-1] < 0.01 else edges[-1]
    at = (rows.steps[starts].tolist(), rows.steps[tails - 1].tolist())
    pieces = [Piece(head, span, edges.tolist(), found.tolist(), kinds, low, high, *at)]
    if ends[0] < edges[0]:
        pieces.insert(0, _unmeasured(head, span, ends[0], float(edges[0])))
    if edges[-1] < ends[1]:
        pieces.append(_unmeasured(head, span, float(edges[-1]), ends[1]))
    return pieces, int((tails - starts).max())


def _unmeasured(head: Head, span: float, start: float, end: float) -> Piece:
    return Piece(head, span, [start, end], [math.nan], [UNMEASURED], None, None, [None], [None])


def _grid(at: Floats, width: int, wide: int) -> _Grid:
    """Return the cells, of so many pixels at least, for steps that were measured at some pixels."""
    room = width - 2 * EDGE
    bucket = np.clip(((at - EDGE) / wide + 1e-9).astype(np.intp), 0, -(-room // wide) - 1)
    new = np.append(True, bucket[1:] != bucket[:-1])
    starts = np.flatnonzero(new)
    ends = starts[1:] - 1
    between = np.where(
        bucket[starts[1:]] == bucket[ends] + 1,
        EDGE + bucket[starts[1:]] * wide,
        np.rint((at[ends] + at[starts[1:]]) / 2),
    )
    gaps = np.diff(at) if len(at) > 1 else np.array([2.0 * EDGE])
    low = max(EDGE, round(at[0] - max(float(gaps[0]) / 2, wide)))
    high = min(width - EDGE, round(at[-1] + max(float(gaps[-1]) / 2, wide)))
    return _Grid(np.concatenate([[low], between, [high]]).astype(np.float64), np.cumsum(new) - 1)


def _pool_span(
    rows: _Rows, starts: npt.NDArray[np.intp], tails: npt.NDArray[np.intp], pool: Pool
) -> tuple[Floats, list[str]]:
    """Return the pool of the measurements between each start and tail, and what it is."""
    counts = np.add.reduceat(rows.finite.astype(np.intp), starts)
    if pool == "max":
        found, _ = parts(np.maximum.reduceat(np.where(rows.finite, rows.values, -np.inf), starts))
    else:
        total = np.add.reduceat(np.where(rows.finite, rows.values, 0.0).astype(np.float64), starts)
        found = total / np.maximum(counts, 1)
    kinds = ["value"] * len(found)
    for place in np.flatnonzero(counts == 0).tolist():
        cells = slice(int(starts[place]), int(tails[place]))
        known = rows.values[cells] if rows.mask is None else rows.values[cells][~rows.mask[cells]]
        nan, above = np.isnan(known).any(), (known == np.inf).any()
        kinds[place] = "masked" if not len(known) else "nan" if nan else "inf" if above else "-inf"
    return np.where(counts > 0, found, np.nan), kinds


def drawn_values(pooled: Pooled) -> pd.DataFrame:
    """Return the values of all cells, for a colour scale."""
    pieces = pooled.pieces
    return pd.DataFrame(
        {
            "value": [value for piece in pieces for value in piece.values],
            "kind": [kind for piece in pieces for kind in piece.kinds],
        }
    )
