from __future__ import annotations

import io
import itertools
import math

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headspec.errors import DataError
from headspec.reduce.lines import gap_marks, significant, sum_counts, thin_columns, thin_levels, thin_line

NAN, INF = math.nan, math.inf
cells = st.one_of(st.floats(-100, 100, width=32), st.sampled_from([NAN, INF, -INF, 0.0, 1.0]))


@st.composite
def series(draw: st.DrawFn, values: st.SearchStrategy[float] = cells, most: int = 60) -> tuple[np.ndarray, np.ndarray]:
    value = draw(st.lists(values, min_size=1, max_size=most))
    gaps = draw(st.lists(st.integers(1, 30), min_size=len(value), max_size=len(value)))
    return np.cumsum(gaps), np.asarray(value, dtype=np.float64)


def runs_of_gaps(value: np.ndarray) -> list[tuple[int, int]]:
    """Return the first and last row of each gap, one row after the other."""
    found: list[tuple[int, int]] = []
    for row, cell in enumerate(value):
        if not math.isfinite(cell):
            if found and found[-1][1] == row - 1:
                found[-1] = (found[-1][0], row)
            else:
                found.append((row, row))
    return found


def needed(value: np.ndarray) -> set[int]:
    """Return the rows that a thinned line must keep, written down independently."""
    keep: set[int] = set()
    finite = [row for row in range(len(value)) if math.isfinite(value[row])]
    if finite:
        keep |= {finite[0], finite[-1]}
        keep |= {min(finite, key=lambda row: value[row]), max(finite, key=lambda row: value[row])}
    for first, last in runs_of_gaps(value):
        keep |= {row for row in (first - 1, first, last + 1) if 0 <= row < len(value)}
    return keep


def broken(value: np.ndarray, rows: list[int], left: int, right: int) -> bool:
    """Tell whether the drawn line breaks between two rows."""
    return any(left < row < right and not math.isfinite(value[row]) for row in rows)


@given(series(), st.integers(1, 70))
@settings(max_examples=120, deadline=None)
def test_thin_line_keeps_what_it_promises(pair: tuple[np.ndarray, np.ndarray], most: int) -> None:
    step, value = pair
    must = needed(value)
    if len(step) > most and len(must) > most:
        with pytest.raises(DataError, match=rf"at least {len(must)}, or None"):
            thin_line(step, value, most)
        assert len(thin_line(step, value, len(must))) == len(must)
        return
    rows = thin_line(step, value, most).tolist()
    assert rows == sorted(set(rows))
    assert len(rows) <= most or len(rows) == len(step) <= most
    if len(step) <= most:
        assert rows == list(range(len(step)))
        return
    assert must <= set(rows)
    for first, last in runs_of_gaps(value):  # a gap breaks the line, whatever lies around it
        around = [row for row in rows if math.isfinite(value[row])]
        left, right = (
            max([r for r in around if r < first], default=-1),
            min([r for r in around if r > last], default=len(value)),
        )
        assert left == first - 1 or left == -1
        assert right == last + 1 or right == len(value)
        assert broken(value, rows, left, right)


@given(series(st.floats(-100, 100, width=32)), st.integers(6, 40))
@settings(max_examples=100, deadline=None)
def test_each_span_keeps_its_extremes(pair: tuple[np.ndarray, np.ndarray], most: int) -> None:
    step, value = pair
    if len(step) <= most:
        return
    rows = set(thin_line(step, value, most).tolist())
    spans = (most - len(needed(value))) // 2
    low, high = int(step[0]), int(step[-1])
    for span in range(spans):
        inside = [
            row
            for row in range(len(step))
            if low + (high - low) * span / spans <= step[row]
            and (step[row] < low + (high - low) * (span + 1) / spans or span == spans - 1)
        ]
        if inside:
            kept = [value[row] for row in inside if row in rows]
            assert min(kept) == min(value[inside])
            assert max(kept) == max(value[inside])


@given(series(most=80), st.integers(1, 6), st.integers(0, 40))
@settings(max_examples=120, deadline=None)
def test_pixel_columns_against_a_plain_reading(pair: tuple[np.ndarray, np.ndarray], columns: int, room: int) -> None:
    step, value = pair
    domain = (float(step[0] - room), float(step[-1] + room + 1))
    rows = thin_columns(step, value, columns, domain).tolist()
    if len(step) <= 4 * columns:
        assert rows == list(range(len(step)))
        return
    gaps = runs_of_gaps(value)
    split = len(gaps) <= columns
    kept = set(rows)
    for half in range(2 * columns):
        left, right = (domain[0] + (domain[1] - domain[0]) * edge / (2 * columns) for edge in (half, half + 1))
        # the finite rows of half a pixel column, cut at its gaps where gaps are few
        pieces: list[list[int]] = []
        for row in range(len(step)):
            if left <= step[row] < right and math.isfinite(value[row]):
                if pieces and (not split or pieces[-1][-1] == row - 1):
                    pieces[-1].append(row)
                else:
                    pieces.append([row])
        for piece in pieces:
            drawn = [value[row] for row in piece if row in kept]
            assert min(drawn) == min(value[piece])
            assert max(drawn) == max(value[piece])
    finite = [row for row in rows if math.isfinite(value[row])]
    assert len(rows) <= 4 * columns + (2 + 5 * len(gaps) if split else 10 * columns)
    if split:
        assert needed(value) <= kept
        for one, two in itertools.pairwise(finite):
            assert broken(value, rows, one, two) == any(one < first < two for first, _ in gaps)
    assert not any(
        not math.isfinite(value[one]) and not math.isfinite(value[two]) for one, two in itertools.pairwise(rows)
    )


@given(series(st.sampled_from([0.0, 0.1, 0.1, 0.1, 0.3, NAN]), most=60), st.integers(12, 70))
@settings(max_examples=120, deadline=None)
def test_levels_are_exact_where_they_fit(pair: tuple[np.ndarray, np.ndarray], most: int) -> None:
    step, value = pair
    changes = [0] + [
        row
        for row in range(1, len(value))
        if not (value[row] == value[row - 1] or (math.isnan(value[row]) and math.isnan(value[row - 1])))
    ]
    all_rows = sorted({*changes, len(value) - 1})
    domain = (float(step[0]), float(step[-1]) + 1)
    try:
        rows = thin_levels(step, value, most, 10, domain).tolist()
    except DataError:
        assert len(all_rows) > most
        return
    assert len(rows) <= most
    assert set(rows) <= set(all_rows)
    assert rows[0] == 0 or not math.isfinite(value[0])
    assert rows[-1] == len(value) - 1
    if len(all_rows) <= most:
        assert rows == all_rows
    finite = value[np.isfinite(value)]
    if len(finite):
        drawn = value[rows][np.isfinite(value[rows])]
        assert (drawn.min(), drawn.max()) == (finite.min(), finite.max())


def test_levels_at_pixel_columns() -> None:
    step, value = np.arange(1000), np.repeat(np.arange(500) % 7, 2).astype(float)
    rows = thin_levels(step, value, None, 20, (0, 1000))
    assert len(rows) <= 80
    assert {value[rows].min(), value[rows].max()} == {0, 6}
    assert rows[-1] == 998 or rows[-1] == 999


@given(
    series(st.sampled_from([0.0, 0.0, 1.0, 3.0, NAN])),
    st.lists(st.sampled_from([0.0, 0.0, 2.0]), min_size=60, max_size=60),
    st.integers(1, 20),
)
@settings(max_examples=120, deadline=None)
def test_counts_are_summed_and_none_is_lost(
    pair: tuple[np.ndarray, np.ndarray], more: list[float], buckets: int
) -> None:
    step, pruned = pair
    revived = np.asarray(more[: len(step)])
    domain = (float(step[0]) - 3, float(step[-1]) + 3)
    found = sum_counts(step, {"pruned": pruned, "revived": revived}, buckets, domain)
    busy = [row for row in range(len(step)) if (pruned[row] > 0) or revived[row] > 0]
    assert found.sums["pruned"].sum() == np.nansum(pruned)
    assert found.sums["revived"].sum() == revived.sum()
    assert found.rows.sum() == len(busy)
    assert len(found.first) <= max(buckets, 0) or len(found.first) == len(busy) <= buckets
    assert set(found.first.tolist()) | set(found.last.tolist()) <= {step[row] for row in busy}  # real steps
    if len(busy) <= buckets:
        assert found.first.tolist() == found.last.tolist() == [step[row] for row in busy]
    for place in range(len(found.first)):
        inside = [row for row in busy if found.first[place] <= step[row] <= found.last[place]]
        assert len(inside) == found.rows[place]
        assert found.sums["pruned"][place] == np.nansum(pruned[inside])
        width = (domain[1] - domain[0]) / buckets
        if len(busy) > buckets:
            assert found.last[place] - found.first[place] < width + 1e-9


@given(series(), st.integers(1, 10))
@settings(max_examples=120, deadline=None)
def test_gap_marks_count_every_value_that_is_no_number(pair: tuple[np.ndarray, np.ndarray], most: int) -> None:
    step, value = pair
    gaps = runs_of_gaps(value)
    marks = gap_marks(step, value, most, (float(step[0]), float(step[-1]) + 1))
    assert marks.gaps.sum() == len(gaps)
    assert marks.nan.sum() == np.isnan(value).sum()
    assert marks.above.sum() == (value == INF).sum()
    assert marks.below.sum() == (value == -INF).sum()
    assert len(marks.first) <= most
    if len(gaps) <= most:
        assert marks.first.tolist() == [step[first] for first, _ in gaps]
        assert marks.last.tolist() == [step[last] for _, last in gaps]


def test_a_spike_of_one_step_in_ten_thousand_stays() -> None:
    value = np.random.default_rng(0).normal(2, 0.1, 10_000)
    value[7_123] = 9.0
    rows = thin_line(np.arange(10_000), value, 100)
    assert 7_123 in rows
    assert len(rows) <= 100


def test_the_error_counts_the_gaps() -> None:
    value = np.ones(200)
    value[::4] = NAN
    with pytest.raises(
        DataError, match=r"max_display_points=100 is too few for 'loss'.* 50 gaps take 150; give at least 150"
    ):
        thin_line(np.arange(200), value, 100, name="'loss'")
    assert len(thin_line(np.arange(200), value, 150)) == 150


def test_gaps_in_crowded_columns_are_bounded() -> None:
    value = np.random.default_rng(1).normal(size=100_000)
    value[::3] = NAN
    rows = thin_columns(np.arange(100_000), value, 100, (0, 100_000))
    assert len(rows) <= 802
    assert {1, 99_998} <= set(rows.tolist())
    assert value[rows][np.isfinite(value[rows])].max() == np.nanmax(value)


def test_significant_digits() -> None:
    values = np.asarray([0.1, np.float32(0.1), 1 / 3, 12345.678, -2e-9, 1e60, 0.0, NAN, INF, -INF, 1e-300])
    assert [str(value) for value in significant(values, 4)[:4]] == ["0.1", "0.1", "0.3333", "12350.0"]
    np.testing.assert_array_equal(significant(values)[4:], values[4:])
    many = np.random.default_rng(2).lognormal(0, 8, 2000)
    np.testing.assert_array_equal(significant(many, 7), [float(f"{value:.7g}") for value in many])


def ink(step: np.ndarray, value: np.ndarray, width: int) -> np.ndarray:
    frame = pd.DataFrame({"step": step, "value": value})
    scale = alt.Scale(domain=[0, 20_000], nice=False)
    chart = alt.Chart(frame, width=width, height=120).mark_line(
        strokeJoin="round", strokeCap="round", strokeWidth=2, clip=True
    )
    chart = chart.encode(
        alt.X("step:Q", scale=scale, axis=None), alt.Y("value:Q", scale=alt.Scale(domain=[-4, 4]), axis=None)
    )
    with alt.data_transformers.enable("default", max_rows=None):
        png = vl_convert.vegalite_to_png(chart.to_dict() | {"padding": 0, "config": {"view": {"stroke": None}}})
    return np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(int)


def shape_of_line(kind: str) -> np.ndarray:
    rng, step = np.random.default_rng(3), np.arange(20_000)
    value = rng.normal(size=20_000) * 0.4 + np.sin(step / 2_000)
    if kind == "walk":
        value = rng.normal(size=20_000).cumsum() / 100
    if kind == "decay":
        value = 3 * np.exp(-3 * step / 20_000) - 1 + rng.normal(size=20_000) * 0.05
    if kind == "gappy":
        value[6_000:7_000] = NAN
        value[12_345] = INF
    return value


@pytest.mark.parametrize("kind", ["noise", "walk", "decay", "gappy"])
def test_four_points_per_column_look_like_all(kind: str) -> None:
    step, value = np.arange(20_000), shape_of_line(kind)
    rows = thin_columns(step, value, 300, (0, 20_000))
    value[~np.isfinite(value)] = NAN
    raw, thinned = ink(step, value, 300), ink(step[rows], value[rows], 300)
    inked = (raw < 224) | (thinned < 224)
    unlike = np.abs(raw - thinned) > 32
    assert len(rows) <= 1_220
    assert inked.sum() > 1_000
    assert (unlike & inked).sum() <= 0.03 * inked.sum()


def test_a_hundred_points_do_not() -> None:
    # the comparison above can fail
    step, value = np.arange(20_000), shape_of_line("noise")
    rows = thin_line(step, value, 100)
    raw, thinned = ink(step, value, 300), ink(step[rows], value[rows], 300)
    assert (np.abs(raw - thinned) > 32).sum() > 0.2 * (raw < 224).sum()
