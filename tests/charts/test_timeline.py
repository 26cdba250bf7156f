from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

import headspec
from headspec.charts.parts import STATE_COLOURS, STATE_SHAPES
from headspec.charts.timeline import visualize_head_timeline
from headspec.charts.timeline_lanes import domain_of, labelled, lanes_for
from headspec.charts.timeline_spans import Timeline, active_at, time_off, timeline_of
from headspec.charts.timeline_values import EDGE, Measured, pool_values
from headspec.errors import DataError, KindError
from headspec.output.summary import summary
from headspec.output.table import to_table
from headspec.reduce.palette import ColourScale
from headspec.tables.events import events_table, state_at
from headspec.tables.heads import heads_table
from support import find, mark_counts, marks, panel_offset, pixels, svg_of

EVENTS = [
    (100, 0, 1, "pruned"),
    (180, 0, 1, "revived"),
    (300, 0, 1, "pruned"),
    (380, 0, 1, "revived"),
    (500, 0, 1, "pruned"),
    (560, 0, 1, "revived"),
    (700, 0, 1, "pruned"),
    (400, 1, 0, "pruned"),
    (600, 1, 1, "pruned"),
]
SHAPE: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "steps": (0, 1000)}
RUN = Path(__file__).parents[2] / "gallery" / "run"


def subtitle(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])


def spans_of(chart: Any) -> dict[tuple[int, int], list[tuple[str, float, float]]]:
    """Return the spans that a chart draws, by head."""
    table = to_table(chart)
    table = table[table["table"] == "spans"] if "table" in table.columns else table
    out: dict[tuple[int, int], list[tuple[str, float, float]]] = {}
    for row in table.sort_values("step").itertuples():
        out.setdefault((row.layer, row.head), []).append((row.state, row.step, row.last_step))
    return out


def cells_of(chart: Any) -> pd.DataFrame:
    table = to_table(chart)
    return table[table["table"] == "cells"] if "table" in table.columns else table


# --- spans ---------------------------------------------------------------------------------------------------------------


def test_a_head_pruned_four_times_and_revived_three_has_eight_spans() -> None:
    spans = spans_of(visualize_head_timeline(EVENTS, **SHAPE))
    assert spans[0, 0] == [("active", 0, 1000)]
    assert spans[0, 1] == [
        ("active", 0, 100),
        ("pruned", 100, 180),
        ("active", 180, 300),
        ("pruned", 300, 380),
        ("active", 380, 500),
        ("pruned", 500, 560),
        ("active", 560, 700),
        ("pruned", 700, 1000),
    ]
    assert spans[1, 0] == [("active", 0, 400), ("pruned", 400, 1000)]


def test_the_marks_are_the_spans_and_the_events() -> None:
    chart = visualize_head_timeline(EVENTS, **SHAPE)
    counts = mark_counts(svg_of(chart))
    assert counts["rect"] == 1 + 4 + 1 + 1  # active spans
    assert counts["rule"] == 4 + 1 + 1  # pruned ones
    assert counts["symbol"] == 2 * len(EVENTS)  # a halo and a mark each
    shapes = {tuple(scale["domain"]): scale["range"] for scale in find(chart.to_dict(), "scale") if "range" in scale}
    assert list(STATE_COLOURS.values())[:2] in shapes.values() or list(STATE_SHAPES.values())[:2] in shapes.values()
    table = to_table(chart)
    drawn = table[table["table"] == "events"][["step", "layer", "head", "event"]]
    assert sorted(drawn.itertuples(index=False, name=None)) == sorted(EVENTS)


LOG = st.lists(
    st.tuples(st.integers(-3, 23), st.integers(0, 1), st.integers(0, 2), st.sampled_from(["pruned", "revived"])),
    max_size=25,
)
HEADS = list(itertools.product(range(2), range(3)))


def slow_states(events: list[tuple[int, int, int, str]], head: tuple[int, int], steps: range) -> list[str]:
    """Say the state of a head at each step: by the latest event up to it, and of one step's the last in the list."""
    out = []
    for step in steps:
        before = [event for event in events if event[0] <= step and event[1:3] == head]
        latest = max((event[0] for event in before), default=None)
        last = [event[3] for event in before if event[0] == latest]
        out.append("pruned" if last and last[-1] == "pruned" else "active")
    return out


@settings(max_examples=60, deadline=None)
@given(LOG)
def test_spans_part_the_range_and_follow_the_latest_event(log: list[tuple[int, int, int, str]]) -> None:
    log = list(dict.fromkeys(log))  # an event that is listed twice counts once
    first, last = 0, 20
    timeline = timeline_of(events_table(log), HEADS, first, last)
    for head, spans in timeline.spans.items():
        assert spans[0].start == first
        assert spans[-1].end == last
        assert all(one.end == other.start and one.state != other.state for one, other in itertools.pairwise(spans))
        assert all(span.start < span.end for span in spans)
        states = slow_states(log, head, range(first, last + 1))
        for span in spans:
            assert set(states[int(span.start) : int(span.end)]) == {span.state}
        assert (head in timeline.off) == (states[-1] == "pruned")
        assert time_off(spans) == states[:-1].count("pruned")
        assert sum(span.end - span.start for span in spans if span.state == "active") == states[:-1].count("active")
        at = np.arange(first, last + 1)
        rows = [row for _, start, end in active_at(spans, at) for row in range(start, end)]
        on = [place for place, state in enumerate(states) if state == "active"]
        if states[-2:] == ["pruned", "active"]:
            on.pop()  # revived at the very last step: no length to draw on
        assert rows == on
    assert timeline.before == sum(event[0] < first for event in log)
    assert timeline.after == sum(event[0] > last for event in log)
    assert len(timeline.events) + timeline.before + timeline.after == len(log)


@settings(max_examples=40, deadline=None)
@given(LOG)
def test_contradictions_are_counted_event_by_event(log: list[tuple[int, int, int, str]]) -> None:
    log = sorted(dict.fromkeys(log), key=lambda event: event[0])
    states: dict[tuple[int, int], str] = {}
    again = idle = 0
    for step, layer, head, event in log:
        if step > 20:
            continue
        state = states.get((layer, head), "revived")
        again += event == state == "pruned"
        idle += event == state == "revived"
        states[layer, head] = event
    timeline = timeline_of(events_table(log), HEADS, 0, 20)
    assert (timeline.again, timeline.idle) == (again, idle)
    assert timeline.off == [head for head in HEADS if states.get(head) == "pruned"]


def test_of_events_at_one_step_the_last_in_the_list_counts() -> None:
    both = [(10, 0, 0, "pruned"), (10, 0, 0, "revived"), (10, 0, 1, "revived"), (10, 0, 1, "pruned")]
    chart = visualize_head_timeline(both, num_layers=1, num_heads=2, steps=(0, 20))
    assert spans_of(chart) == {(0, 0): [("active", 0, 20)], (0, 1): [("active", 0, 10), ("pruned", 10, 20)]}
    assert marks(chart, "symbol") == 2 * 4


def test_contradictory_events_are_marked_and_said_and_have_no_effect() -> None:
    log = [(100, 0, 0, "pruned"), (200, 0, 0, "pruned"), (300, 0, 1, "revived")]
    chart = visualize_head_timeline(log, **SHAPE)
    assert spans_of(chart)[0, 0] == [("active", 0, 100), ("pruned", 100, 1000)]
    assert spans_of(chart)[0, 1] == [("active", 0, 1000)]
    assert marks(chart, "symbol") == 2 * 3
    assert "1 pruning of a head pruned already and 1 revival of an active head: marked, without effect" in subtitle(
        chart
    )


def test_earlier_events_decide_the_first_state_and_later_ones_are_counted() -> None:
    chart = visualize_head_timeline(EVENTS, num_layers=2, num_heads=2, steps=(350, 650))
    spans = spans_of(chart)
    assert spans[0, 1] == [("pruned", 350, 380), ("active", 380, 500), ("pruned", 500, 560), ("active", 560, 650)]
    assert "3 events before step 350 decide the state there, not drawn" in subtitle(chart)
    assert "1 event after step 650 not drawn" in subtitle(chart)
    assert marks(chart, "symbol") == 2 * 5


def test_the_real_run_is_off_where_its_gates_were() -> None:
    gates = np.load(RUN / "heads_over_steps.npz")
    events = events_table(pd.read_csv(RUN / "events.csv"))
    steps, gate = gates["steps"], gates["gate"]
    heads = list(itertools.product(range(gate.shape[1]), range(gate.shape[2])))
    timeline = timeline_of(events, heads, float(steps[0]), float(steps[-1]))
    assert (timeline.again, timeline.idle) == (0, 0)
    for layer, head in heads:
        on = np.zeros(len(steps), dtype=bool)
        for _, start, end in active_at(timeline.spans[layer, head], steps):
            on[start:end] = True
        assert np.array_equal(on, gate[:, layer, head] == 1)
    assert timeline.off == sorted(pair for pair, state in state_at(events).items() if state == "pruned")


# --- lanes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (6, 8), (8, 8), (12, 12), (32, 32), (128, 16)])
def test_lanes_take_whole_pixels_layer_by_layer_and_names_do_not_touch(shape: tuple[int, int]) -> None:
    heads = list(itertools.product(range(shape[0]), range(shape[1])))
    lanes = lanes_for(heads, None)
    tops = [lanes.top[head] for head in heads]
    assert all(isinstance(top, int) for top in tops)
    assert all(b - a >= lanes.pitch for a, b in itertools.pairwise(tops))
    assert 1 <= lanes.thick <= lanes.pitch
    assert lanes.height == tops[-1] + lanes.pitch
    assert lanes.height <= (720 if len(heads) <= 320 else 2500)
    named = labelled(lanes)
    assert named
    assert all(b[1] - a[1] >= 11 for a, b in itertools.pairwise(named))
    assert named[0][0] == ("L0 H0" if len(heads) <= 144 else "L0")


def test_ragged_layers_and_only_heads_with_events() -> None:
    chart = visualize_head_timeline(EVENTS[:7], num_heads=[3, 1], steps=(0, 1000))
    assert sorted(spans_of(chart)) == [(0, 0), (0, 1), (0, 2), (1, 0)]
    few = visualize_head_timeline(EVENTS, heads="events", **SHAPE)
    assert sorted(spans_of(few)) == [(0, 1), (1, 0), (1, 1)]
    assert "1 head without events, active throughout, not drawn" in subtitle(few)
    unknown = visualize_head_timeline(EVENTS, steps=(0, 1000))
    assert sorted(spans_of(unknown)) == [(0, 1), (1, 0), (1, 1)]
    assert "only heads with events are known" in subtitle(unknown)


def test_a_thousand_heads_stay_within_a_page_and_are_all_there() -> None:
    rng = np.random.default_rng(0)
    log = [(int(rng.integers(1, 999)), int(rng.integers(32)), int(rng.integers(32)), "pruned") for _ in range(300)]
    chart = visualize_head_timeline(log, num_layers=32, num_heads=32, steps=(0, 1000))
    timeline = timeline_of(events_table(log), list(itertools.product(range(32), range(32))), 0, 1000)
    counts = mark_counts(svg_of(chart))
    spans = [span.state for mine in timeline.spans.values() for span in mine]
    assert counts["rect"] == spans.count("active") == 1024
    assert counts["rule"] == spans.count("pruned")
    assert counts["symbol"] == len(timeline.events)
    assert len(spans_of(chart)) == 1024
    assert chart.to_dict()["height"] <= 1200
    assert len(chart.to_json(indent=None)) < 80_000


def test_more_lanes_than_are_drawn_are_refused_with_advice() -> None:
    with pytest.raises(DataError, match=r"16,128 heads are more than the 2,048 lanes .* heads='events'"):
        visualize_head_timeline(EVENTS, num_layers=126, num_heads=128, steps=(0, 1000))
    few = visualize_head_timeline(EVENTS, num_layers=126, num_heads=128, steps=(0, 1000), heads="events")
    assert "16,125 heads without events" in subtitle(few)


# --- a measure along the spans -------------------------------------------------------------------------------------------


def brute_cells(
    measured: Measured, timeline: Timeline, width: int, wide: int, pool: str
) -> dict[tuple[int, int], list[Any]]:
    """Return for every head the colour of every pixel column, one measurement at a time: None off, or a value or a kind."""
    low, high = domain_of(timeline.first, timeline.last, width)
    scale = (high - low) / width
    inside = [step for step in measured.steps.tolist() if timeline.first <= step <= timeline.last]
    place = {step: (step - low) / scale for step in inside}
    steps = list(place)
    last_column = -(-(width - 2 * EDGE) // wide) - 1
    column = {step: min(int((place[step] - EDGE) / wide + 1e-9), last_column) for step in steps}
    groups = [list(part) for _, part in itertools.groupby(steps, key=column.get)]
    half = [max((place[b] - place[a]) / 2, wide) for a, b in (steps[:2], steps[-2:])] if len(steps) > 1 else [8, 8]
    edges: list[float] = [max(EDGE, round(place[steps[0]] - half[0]))]
    for one, other in itertools.pairwise(groups):
        if column[other[0]] == column[one[0]] + 1:
            edges.append(EDGE + column[other[0]] * wide)
        else:
            edges.append(float(np.rint((place[one[-1]] + place[other[0]]) / 2)))
    edges.append(min(width - EDGE, round(place[steps[-1]] + half[1])))
    out = {}
    for head, spans in timeline.spans.items():
        colours: list[Any] = [None] * width
        for span in spans:
            if span.state == "pruned":
                continue
            during = [s for s in steps if span.start <= s < span.end or (span.open and s == span.end)]
            cells = {}
            for index, group in enumerate(groups):
                mine = [
                    float(measured.values[measured.steps.tolist().index(s), measured.heads.index(head)])
                    for s in group
                    if s in during
                ]
                good = [value for value in mine if np.isfinite(value)]
                if mine:
                    cells[index] = (max(good) if pool == "max" else sum(good) / len(good)) if good else "nan"
            for pixel in range(width):
                middle = low + (pixel + 0.5) * (high - low) / width
                if not span.start < middle < span.end:
                    continue
                there = [i for i in range(len(groups)) if edges[i] <= pixel < edges[i + 1]]
                if not cells or not there:
                    colours[pixel] = "not measured"
                else:
                    colours[pixel] = cells[min(cells, key=lambda i, at=there[0]: (abs(i - at), i))]
        out[head] = colours
    return out


def drawn_pixels(
    measured: Measured, timeline: Timeline, width: int, pool: Any
) -> tuple[dict[tuple[int, int], list[Any]], bool]:
    domain = domain_of(timeline.first, timeline.last, width)
    pooled = pool_values(measured, timeline, width=width, domain=domain, pool=pool)
    out: dict[tuple[int, int], list[Any]] = {head: [None] * width for head in timeline.spans}
    for piece in pooled.pieces:
        for start, end, value, kind in zip(piece.edges[:-1], piece.edges[1:], piece.values, piece.kinds, strict=True):
            for pixel in range(width):
                if start < pixel + 0.5 < end:
                    assert out[piece.head][pixel] is None
                    out[piece.head][pixel] = value if kind == "value" else kind
    return out, pooled.image


@settings(max_examples=40, deadline=None)
@given(
    LOG,
    st.lists(st.integers(0, 20), min_size=1, max_size=21, unique=True).map(sorted),
    st.integers(0, 2**32),
    st.sampled_from(["max", "mean"]),
    st.sampled_from([36, 60, 100]),
)
def test_every_pixel_of_a_span_shows_the_pool_of_its_measurements(
    log: list[tuple[int, int, int, str]], steps: list[int], seed: int, pool: str, width: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 100, (len(steps), len(HEADS))) / 10
    values[rng.random(values.shape) < 0.2] = np.nan
    timeline = timeline_of(events_table(log), HEADS, 0, 20)
    measured = Measured(np.asarray(steps), HEADS, values, None, "entropy")
    active = {
        head: [row for _, start, end in active_at(spans, measured.steps) for row in range(start, end)]
        for head, spans in timeline.spans.items()
    }
    if not any(np.isfinite(values[rows, HEADS.index(head)]).any() for head, rows in active.items()):
        with pytest.raises(DataError, match="no finite value of a head while it was active"):
            drawn_pixels(measured, timeline, width, pool)
        return
    found, image = drawn_pixels(measured, timeline, width, pool)
    assert not image
    expected = brute_cells(measured, timeline, width, 2, pool)
    for head in HEADS:
        for one, other in zip(found[head], expected[head], strict=True):
            assert one == other or one == pytest.approx(other)


def dense(layers: int, heads: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, layers, heads)), np.linspace(0, 1000, count).round().astype(int)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("shape", "count"), [((2, 2), 11), ((4, 4), 101), ((4, 4), 1001), ((16, 16), 300)])
def test_every_pixel_has_the_colour_of_its_cell(shape: tuple[int, int], count: int, scale: int) -> None:
    values, steps = dense(*shape, count)
    log = [(400, 1, 1, "pruned"), (600, 1, 1, "revived")]
    chart = visualize_head_timeline(
        log, values=values, value_steps=steps, steps=(0, 1000), measure="entropy", scale="linear"
    )
    heads = list(itertools.product(range(shape[0]), range(shape[1])))
    timeline = timeline_of(events_table(log), heads, 0, 1000)
    measured = Measured(steps, heads, values.reshape(count, -1), None, "entropy")
    found, image = drawn_pixels(measured, timeline, 560, "max")
    assert image == (shape == (16, 16))
    lanes = lanes_for(heads, None)
    picture = pixels(chart, scale=scale).astype(int)
    left, top = panel_offset(chart)
    high = max(value for head in heads for value in found[head] if isinstance(value, float))
    palette = ColourScale("viridis", 0.0, high)
    for head in heads:
        if head == (1, 1):
            continue
        row = picture[(top + lanes.top[head]) * scale, left * scale : (left + 560) * scale]
        shown = row.reshape(560, scale, 3)[EDGE:-EDGE]
        expected = palette.colours()[palette.entry(np.array(found[head][EDGE:-EDGE], dtype=float))].astype(int)
        # away from the event marks of the lane beside
        keep = np.ones(len(shown), dtype=bool)
        if abs(heads.index(head) - heads.index((1, 1))) <= 3:
            for at in (0.4, 0.6):
                keep[int(544 * at) - 9 : int(544 * at) + 10] = False
        assert (np.abs(shown - expected[:, None])[keep] <= 8).all()


def test_what_was_measured_while_a_head_was_off_is_not_drawn() -> None:
    values = np.array([[[1.0]], [[2.0]], [[999.0]], [[3.0]]])
    log = [(150, 0, 0, "pruned"), (250, 0, 0, "revived")]
    chart = visualize_head_timeline(log, values=values, value_steps=[0, 100, 200, 300], measure="entropy")
    cells = cells_of(chart)
    assert cells["value"].tolist() == [1.0, 2.0, 3.0]
    assert cells["step"].tolist() == [0, 100, 300]  # the measured steps themselves
    assert "Entropy of active heads from 1 (L0 H0 at step 0) to 3 (L0 H0 at step 300)" in summary(chart)


def test_a_measurement_at_the_step_of_a_pruning_is_of_a_pruned_head() -> None:
    values = np.array([[[1.0]], [[5.0]], [[7.0]]])
    chart = visualize_head_timeline([(50, 0, 0, "pruned")], values=values, value_steps=[0, 50, 100])
    cells = cells_of(chart)
    assert cells["value"].tolist() == [1.0]


def test_what_is_not_measured_not_finite_or_masked_is_apart() -> None:
    values = np.ma.MaskedArray(np.arange(8.0).reshape(4, 1, 2), mask=False)
    values[1, 0, 0], values[2, 0, 0], values[1, 0, 1] = np.nan, np.inf, np.ma.masked
    chart = visualize_head_timeline([], values=values, value_steps=[0, 100, 200, 300], steps=(0, 1000))
    cells = cells_of(chart)
    kinds = {head: rows["kind"].tolist() for head, rows in cells.groupby("head")}
    assert kinds == {
        0: ["value", "nan", "inf", "value", "not measured"],
        1: ["value", "masked", "value", "value", "not measured"],
    }
    assert "grey where not measured" in subtitle(chart)
    assert "3 measurements of active heads without a finite value" in subtitle(chart)
    json.dumps(chart.to_dict(), allow_nan=False)


def test_measures_come_as_arrays_tables_and_ragged_layers() -> None:
    values, steps = dense(2, 2, 5)
    array = visualize_head_timeline(EVENTS[:1], values=values, value_steps=steps, measure="entropy")
    turned = visualize_head_timeline(
        EVENTS[:1], values=values.transpose(1, 2, 0), value_steps=steps, measure="entropy", axes="layer head step"
    )
    table = pd.concat(
        [heads_table(part, measure="entropy", step=int(step)) for part, step in zip(values, steps, strict=True)]
    )
    long = visualize_head_timeline(EVENTS[:1], values=table)
    layers = visualize_head_timeline(
        EVENTS[:1], values={0: values[:, 0], 1: values[:, 1]}, value_steps=steps[::-1][::-1], measure="entropy"
    )
    assert array.to_dict() == turned.to_dict() == long.to_dict() == layers.to_dict()
    torch = pytest.importorskip("torch")
    tensor = visualize_head_timeline(
        EVENTS[:1], values=torch.tensor(values), value_steps=torch.tensor(steps), measure="entropy"
    )
    assert tensor.to_dict() == array.to_dict()
    ragged = visualize_head_timeline([], values={0: values[:, 0], 3: values[:, 1, :1]}, value_steps=steps)
    cells = cells_of(ragged)
    assert sorted(set(zip(cells["layer"], cells["head"], strict=True))) == [(0, 0), (0, 1), (3, 0)]


def test_a_measure_over_decades_is_on_a_log_scale_with_zeros_apart() -> None:
    values = np.array([[[1e-4]], [[0.0]], [[1.0]]])
    chart = visualize_head_timeline([], values=values, value_steps=[0, 50, 100], measure="gradient_norm")
    assert "gradient norm on a log scale" in subtitle(chart)
    assert "values to four significant digits" in subtitle(chart)
    cells = cells_of(chart)
    assert cells["kind"].tolist() == ["value", "zero", "value"]


def test_pooling_is_said_and_the_mean_is_the_mean() -> None:
    values, steps = dense(1, 1, 1001)
    most = visualize_head_timeline([], values=values, value_steps=steps, width=116)
    assert "each cell the maximum of up to 21 measurements" in subtitle(most) or "up to 20 measurements" in subtitle(
        most
    )
    mean = visualize_head_timeline([], values=values, value_steps=steps, width=116, pool="mean")
    assert "each cell the mean of up to" in subtitle(mean)
    cells = cells_of(mean)
    for row in cells.itertuples():
        inside = values[(steps >= row.step) & (steps <= row.last_step), 0, 0]
        assert row.value == pytest.approx(inside.mean(), abs=1e-3)
    assert int(cells["step"].iloc[0]) == 0
    assert int(cells["last_step"].iloc[-1]) == 1000


def test_above_the_budget_an_image_holds_every_cell_and_zooms_with_the_steps() -> None:
    values, steps = dense(32, 32, 100)
    values[7, 3, 4] = 9.0
    chart = visualize_head_timeline(
        EVENTS, values=values.astype(np.float32), value_steps=steps, measure="entropy", scale="linear"
    )
    spec = chart.to_dict()
    image = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "image")
    assert image["mark"]["smooth"] is False
    assert image["encoding"]["x"]["type"] == image["encoding"]["y"]["type"] == "quantitative"
    assert mark_counts(vl_convert.vegalite_to_svg(spec))["image"] == 1
    assert "249 colour steps from 0 to 9" in subtitle(chart)
    table = to_table(chart)
    row = table[(table["layer"] == 3) & (table["head"] == 4) & (table["state"] == "active")].iloc[0]
    assert (row["value"], row["at_step"]) == (9.0, steps[7])
    assert len(chart.to_json(indent=None)) < 400_000


# --- the loss ------------------------------------------------------------------------------------------------------------


def loss(step: int = 10) -> dict[str, Any]:
    steps = list(range(0, 1001, step))
    return {
        "step": steps,
        "train_loss": [5 - s / 250 for s in steps],
        "eval_loss": dict.fromkeys(steps[::10], 5.0),
        "sparsity": [0.1] * len(steps),
    }


def test_the_loss_stands_above_on_the_same_steps_and_shares_the_zoom() -> None:
    chart = visualize_head_timeline(EVENTS, num_layers=2, num_heads=2, history=loss())
    assert isinstance(chart, alt.VConcatChart)
    spec = chart.to_dict()
    domains = {
        tuple(channel["scale"]["domain"])
        for channel in find(spec, "x")
        if isinstance(channel, dict) and "scale" in channel
    }
    assert domains == {domain_of(0, 1000, 560)}
    assert {panel["width"] for panel in spec["vconcat"]} == {560}
    assert [param["name"] for param in spec["params"] if param.get("bind") == "scales"] == ["step_zoom"]
    counts = mark_counts(vl_convert.vegalite_to_svg(spec))
    assert counts["line"] == 2
    assert counts["rect"] == 7
    assert "train_loss from 5 to 1" in summary(chart)
    sparse = visualize_head_timeline(
        EVENTS, num_layers=2, num_heads=2, history=loss(), metrics=["sparsity", "train_loss"]
    )
    assert len(sparse.to_dict()["vconcat"]) == 3


def test_the_range_is_that_of_all_there_is_or_the_one_given() -> None:
    chart = visualize_head_timeline(EVENTS, num_layers=2, num_heads=2, history=loss(), steps=(200, 500))
    table = to_table(chart)
    steps = table[table["table"] == "history"]["step"]
    assert (steps.min(), steps.max()) == (200, 500)
    values, at = dense(2, 2, 5)
    wide = visualize_head_timeline(
        [(-50, 0, 0, "pruned")], values=values, value_steps=at, history={"step": [2000], "loss": [1.0]}
    )
    assert spans_of(wide)[0, 0] == [("pruned", -50, 2000)]


def test_a_history_that_lists_heads_is_a_log_of_events() -> None:
    history = {
        "step": [0, 10, 20],
        "loss": [3.0, 2.0, 1.0],
        "pruned_heads": [[], [(0, 1)], []],
        "revived_heads": [[], [], [(0, 1)]],
    }
    chart = visualize_head_timeline(history, num_layers=1, num_heads=2, history=history)
    assert spans_of(chart)[0, 1] == [("active", 0, 10), ("pruned", 10, 20)]


# --- words ---------------------------------------------------------------------------------------------------------------


def test_the_description_says_who_was_pruned_most_and_off_longest_and_at_the_end() -> None:
    text = summary(visualize_head_timeline(EVENTS, **SHAPE))
    assert text == (
        "Timeline of 4 heads in 2 layers over steps 0 to 1,000: 6 prunings and 3 revivals of 3 heads. Pruned most often: L0 H1 (4 times); "
        "longest off: L1 H0, 600 steps (60% of the time). At the end 3 heads pruned (L0 H1, L1 H0 and L1 H1), all of layer 1."
    )
    calm = summary(visualize_head_timeline([], **SHAPE))
    assert calm == "Timeline of 4 heads in 2 layers over steps 0 to 1,000: no head was pruned or revived."
    back = summary(visualize_head_timeline(EVENTS[:2], **SHAPE))
    assert back.endswith("At the end none is pruned.")


# --- bad input -----------------------------------------------------------------------------------------------------------

THREE = np.zeros((3, 2, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"events": []}, DataError, "nothing else says which heads"),
        ({"events": [], "num_layers": 2, "num_heads": 2}, DataError, r"give steps=\(first, last\)"),
        ({"events": [(5, 0, 0, "pruned")]}, DataError, "all there is happened at step 5"),
        ({"events": [(5, 2, 0, "pruned")], **SHAPE}, DataError, "L2 H0, which is out of range: layers go to 1"),
        ({"events": [(5, 0, 7, "pruned")], **SHAPE}, DataError, "layer 0 has heads 0 to 1"),
        ({"events": EVENTS, "num_heads": 2, "steps": (0, 9)}, DataError, "leave the other open"),
        ({"events": EVENTS, "num_layers": 0, "num_heads": 2}, DataError, "must be 1 or more"),
        ({"events": EVENTS, **SHAPE, "steps": (9, 9)}, DataError, "the first before the last"),
        ({"events": EVENTS, **SHAPE, "steps": "all"}, KindError, "steps is"),
        ({"events": EVENTS, **SHAPE, "heads": "some"}, DataError, "expected 'all' or 'events'"),
        ({"events": [], **SHAPE, "heads": "events"}, DataError, "no head has an event"),
        ({"events": EVENTS, **SHAPE, "width": 20}, DataError, "width=20 is too small"),
        ({"events": EVENTS, **SHAPE, "lane": 1.5}, KindError, "lane is of type"),
        ({"events": EVENTS, **SHAPE, "pool": "sum"}, DataError, "expected 'max' or 'mean'"),
        ({"events": EVENTS, **SHAPE, "metrics": ["loss"]}, DataError, "give history="),
        (
            {"events": EVENTS, **SHAPE, "history": {"step": [1], "acc": [0.5]}},
            DataError,
            "history has no loss; it has acc",
        ),
        ({"events": EVENTS, **SHAPE, "history": loss(), "metrics": ["nope"]}, DataError, "metrics names nope"),
        ({"events": EVENTS, **SHAPE, "history": {"step": [5000], "loss": [1.0]}}, DataError, "no step from 0 to 1000"),
        ({"events": EVENTS, "values": THREE}, DataError, "give value_steps"),
        ({"events": EVENTS, "values": THREE, "value_steps": [1, 2]}, DataError, "lists 2 steps, values holds 3"),
        ({"events": EVENTS, "values": THREE[0], "value_steps": [1, 2]}, DataError, "expected .step, layer, head."),
        ({"events": EVENTS, "values": THREE[:0], "value_steps": []}, DataError, "values is empty"),
        ({"events": EVENTS, "values": THREE * np.nan, "value_steps": [1, 2, 3]}, DataError, "no finite value"),
        (
            {"events": EVENTS, "values": THREE, "value_steps": [1, 2, 3], "num_layers": 1, "num_heads": 2},
            DataError,
            "leave out",
        ),
        (
            {"events": EVENTS, "values": THREE, "value_steps": [1, 2, 3], **SHAPE, "steps": (10, 20)},
            DataError,
            "outside",
        ),
        ({"events": EVENTS, "values": heads_table(THREE[0])}, DataError, "without a column step"),
    ],
)
def test_bad_input_is_refused_with_advice(call: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        visualize_head_timeline(**call)


def test_one_head_and_steps_far_from_zero() -> None:
    one = visualize_head_timeline([(10, 0, 0, "pruned")], num_layers=1, num_heads=1, steps=(0, 20))
    assert mark_counts(svg_of(one)) == {"rect": 1, "rule": 1, "symbol": 2}
    far = visualize_head_timeline([(2**40 + 5, 0, 0, "pruned")], num_layers=1, num_heads=1, steps=(2**40, 2**40 + 10))
    assert marks(far, "rect") == 1
    half = visualize_head_timeline([(0.25, 0, 0, "pruned")], num_layers=1, num_heads=1, steps=(0.0, 0.5))
    assert spans_of(half)[0, 0] == [("active", 0.0, 0.25), ("pruned", 0.25, 0.5)]
    gone = visualize_head_timeline([(0, 0, 0, "pruned")], num_layers=1, num_heads=1, steps=(0, 10))
    assert mark_counts(svg_of(gone)) == {"rect": 0, "rule": 1, "symbol": 2}


# --- the chart beside others ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["bars", "cells", "image"])
def test_it_composes_and_keeps_its_scales(form: str) -> None:
    values, steps = dense(16, 16, 300) if form == "image" else dense(2, 2, 5)
    more: dict[str, Any] = {} if form == "bars" else {"values": values, "value_steps": steps}
    chart = visualize_head_timeline(EVENTS, steps=(0, 1000), **more)
    assert isinstance(chart, alt.LayerChart)
    alone = mark_counts(svg_of(chart))
    rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule().encode(x=alt.value(3))
    assert marks(chart + rule, "rule") == alone["rule"] + 1
    other = headspec.visualize_entropy_heatmap(np.arange(4.0).reshape(2, 2) * 100, vulnerable_heads=[(0, 0)])
    beside = mark_counts(svg_of(other))
    for pair in (chart | other, other & chart):
        both = mark_counts(svg_of(pair))
        assert both["rect"] == alone["rect"] + beside["rect"]
        vega = vl_convert.vegalite_to_vega(pair.to_dict())
        domains = [scale["domain"] for scale in vega["scales"] if scale["name"].endswith("color")]
        assert [0, 300] in domains or [0.0, 300.0] in domains
        shapes = {tuple(scale["domain"]): scale["range"] for scale in vega["scales"] if scale["name"].endswith("shape")}
        assert shapes[("vulnerable",)] == [STATE_SHAPES["vulnerable"]]
        assert shapes[("pruned", "revived")] == [STATE_SHAPES["pruned"], STATE_SHAPES["revived"]]


def test_two_timelines_share_a_zoom_by_name() -> None:
    with pytest.warns(UserWarning, match="deduplicated"):
        pair = visualize_head_timeline(EVENTS, **SHAPE) & visualize_head_timeline(EVENTS[:3], **SHAPE)
    assert [param["name"] for param in pair.to_dict()["params"]] == ["step_zoom"]
    apart = visualize_head_timeline(EVENTS, **SHAPE) & visualize_head_timeline(EVENTS[:3], zoom="other", **SHAPE)
    assert sorted(param["name"] for param in apart.to_dict()["params"]) == ["other", "step_zoom"]


def test_a_picked_head_is_ringed() -> None:
    chart = visualize_head_timeline(EVENTS, select="pick", **SHAPE)
    assert "pick" in [param["name"] for param in chart.to_dict()["params"]]
    assert {"param": "pick", "empty": False} in find(chart.to_dict(), "filter")
    assert marks(chart, "rect") == 7


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_it_is_drawn_under_every_theme_and_holds_no_configuration(theme: str) -> None:
    values, steps = dense(2, 2, 5)
    chart = visualize_head_timeline(EVENTS, values=values, value_steps=steps, history=loss(100))
    assert headspec.to_png(chart, theme=theme).startswith(b"\x89PNG")
    assert chart.config is alt.Undefined
