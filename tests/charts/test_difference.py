from __future__ import annotations

import json
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st

import headspec
from headspec.charts.cells import GREYS, grid_of
from headspec.charts.difference import ONE_SIDED, visualize_head_difference
from headspec.charts.difference_table import Marked, Shape, changes, difference_table, end_of
from headspec.charts.parts import STATE_SHAPES
from headspec.errors import DataError, KindError
from headspec.output.summary import summary
from headspec.output.table import to_table
from headspec.reduce.palette import ColourScale
from headspec.tables.heads import heads_table
from support import find, mark_counts, marks, panel_offset, pixels

BEFORE = np.array([[0.2, 1.9, 0.5], [1.1, 0.7, 0.5]])
AFTER = np.array([[0.5, 1.9, 0.25], [0.1, 0.8, 0.5]])


def subtitle(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])


def colour_domain(chart: Any) -> list[float]:
    return next(scale["domain"] for scale in find(chart.to_dict(), "scale") if "scheme" in scale)


def cell_colours(chart: Any, shape: tuple[int, int], cell: tuple[int, int], *, scale: int) -> np.ndarray:
    """Return the colour at every pixel of every cell: [row, column, pixel, rgb]."""
    picture = pixels(chart, scale=scale)
    left, top = panel_offset(chart)
    high, wide = cell[0] * scale, cell[1] * scale
    area = picture[top * scale : top * scale + shape[0] * high, left * scale : left * scale + shape[1] * wide]
    return area.reshape(shape[0], high, shape[1], wide, 3).swapaxes(1, 2).reshape(*shape, high * wide, 3)


def as_rgb(code: str) -> tuple[int, ...]:
    return tuple(int(code[k : k + 2], 16) for k in (1, 3, 5))


# --- values --------------------------------------------------------------------------------------------------------------


def test_every_cell_is_after_minus_before() -> None:
    table = to_table(visualize_head_difference(BEFORE, AFTER))
    assert table["value"].round(12).tolist() == [0.3, 0.0, -0.25, -1.0, 0.1, 0.0]
    assert table["before"].tolist() == BEFORE.ravel().tolist()
    assert table["after"].tolist() == AFTER.ravel().tolist()
    assert table[["layer", "head"]].to_numpy().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_percent_is_of_the_size_before() -> None:
    table = to_table(visualize_head_difference([[2.0, -4.0, 0.0, 0.0]], [[3.0, -3.0, 1.0, 0.0]], percent=True))
    assert table["value"].tolist()[:2] == [50.0, 25.0]
    assert table["kind"].tolist() == ["value", "value", "inf", "nan"]


CELL = st.one_of(
    st.none(), st.sampled_from([np.nan, np.inf, -np.inf, 0.0]), st.floats(-5, 5).map(lambda v: round(v, 2))
)
SIDE = st.dictionaries(st.integers(0, 3), st.lists(CELL, min_size=1, max_size=4), min_size=1, max_size=4)


def expected_cells(a: dict[int, list[Any]], b: dict[int, list[Any]]) -> dict[tuple[int, int], tuple[str, float | None]]:
    """Say what each head of two sides shows, one head at a time."""
    out: dict[tuple[int, int], tuple[str, float | None]] = {}
    for layer in sorted(set(a) | set(b)):
        first, second = a.get(layer, []), b.get(layer, [])
        for head in range(max(len(first), len(second))):
            if head >= len(second):
                out[layer, head] = ("only before", None)
            elif head >= len(first):
                out[layer, head] = ("only after", None)
            elif first[head] is None or second[head] is None:
                out[layer, head] = ("masked", None)
            else:
                change = float(second[head]) - float(first[head])
                kind = (
                    "nan"
                    if change != change
                    else "inf"
                    if change == np.inf
                    else "-inf"
                    if change == -np.inf
                    else "value"
                )
                out[layer, head] = (kind, change if kind == "value" else None)
    return out


def found_cells(table: pd.DataFrame) -> dict[tuple[int, int], tuple[str, float | None]]:
    return {(row.layer, row.head): (row.kind, None if pd.isna(row.value) else row.value) for row in table.itertuples()}


@settings(max_examples=40, deadline=None)
@given(a=SIDE, b=SIDE)
def test_any_two_sides_agree_with_a_head_by_head_account(a: dict[int, list[Any]], b: dict[int, list[Any]]) -> None:
    expected = expected_cells(a, b)
    table = difference_table(a, b, Shape(None, None, None), None, Marked(None, None, None, None), percent=False)
    assert found_cells(table) == expected
    if not any(kind == "value" for kind, _ in expected.values()):
        with pytest.raises(DataError, match="in common"):
            changes(table)


@settings(max_examples=4, deadline=None)
@given(a=SIDE, b=SIDE)
def test_the_chart_draws_what_the_account_says(a: dict[int, list[Any]], b: dict[int, list[Any]]) -> None:
    a, b = a | {4: [1.0]}, b | {4: [1.5]}
    chart = visualize_head_difference(a, b, movers=0, annotate=False)
    expected = expected_cells(a, b)
    assert found_cells(to_table(chart)) == expected
    one_sided = sum(kind in ONE_SIDED for kind, _ in expected.values())
    assert marks(chart, "rect") == len(expected) + one_sided  # these once more, for their legend


def test_a_large_map_is_packed_and_keeps_its_values() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random((40, 30)) * 100, rng.random((40, 30)) * 100
    after[3, 4] = np.nan
    chart = visualize_head_difference(dict(enumerate(before)), dict(enumerate(after[:39])))
    table = to_table(chart)
    assert len(table) == 1200
    assert table["kind"].value_counts().to_dict() == {"value": 1169, "only before": 30, "nan": 1}
    rows = table[table["kind"] == "value"]
    exact = (after - before)[rows["layer"], rows["head"]]
    step = 0.1  # 200 in at most 10,000 steps of a power of ten
    assert np.abs(rows["value"] - exact).max() <= step / 2 * 1.001
    assert np.abs(rows["before"] - before[rows["layer"], rows["head"]]).max() <= 0.005001
    assert np.abs(rows["after"] - after[rows["layer"], rows["head"]]).max() <= 0.005001
    assert "drawn to ±0.05" in subtitle(chart)
    json.loads(json.dumps(chart.to_dict(), allow_nan=False))


def test_a_head_that_did_not_change_is_exactly_zero_in_a_packed_map() -> None:
    before = np.random.default_rng(0).random((40, 30))
    after = before + np.random.default_rng(1).normal(size=(40, 30))
    after[:, 7] = before[:, 7]
    table = to_table(visualize_head_difference(before, after))
    assert (table.loc[table["head"] == 7, "value"] == 0).all()


def test_torch_and_numpy_give_the_same_chart() -> None:
    torch = pytest.importorskip("torch")
    tensors = visualize_head_difference(
        torch.tensor(BEFORE, requires_grad=True), torch.tensor(AFTER, dtype=torch.float64)
    )
    assert tensors.to_json() == visualize_head_difference(BEFORE, AFTER).to_json()


# --- colours -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("shape", [(5, 7), (40, 30), (126, 128)])
def test_every_pixel_of_every_cell_has_the_colour_of_its_difference(shape: tuple[int, int], scale: int) -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random(shape), rng.random(shape)
    chart = visualize_head_difference(before, after, annotate=False, movers=0, limit=1.0)
    grid = grid_of(heads_table(before))
    drawn = cell_colours(chart, shape, (grid.height, grid.width), scale=scale)
    palette = ColourScale("purpleorange", -1.0, 1.0)
    expected = palette.colours()[palette.entry(after - before)][:, :, None, :].astype(int)
    assert (np.abs(drawn.astype(int) - expected) <= 8).all()


@pytest.mark.parametrize("size", [1, 12])
def test_heads_of_one_side_nan_and_holes_are_drawn_apart(size: int) -> None:
    a = {0: [1.0, np.nan, 0.5], 1: [1.0]}
    b = {0: [2.0, 1.0], 1: [None, 4.0], 2: [np.inf]}
    if size > 1:  # packed, in small cells: the same colours
        filler = {layer: np.zeros(120) for layer in range(3, 3 + size)}
        a, b = a | filler, b | filler
    chart = visualize_head_difference(a, b, annotate=False, movers=0)
    cell = (32, 44) if size == 1 else (4, 4)
    shape = (3, 3) if size == 1 else (15, 120)
    drawn = cell_colours(chart, shape, cell, scale=1)[:, :, 0]
    assert tuple(drawn[0, 1]) == as_rgb(GREYS["nan"])
    assert tuple(drawn[1, 0]) == as_rgb(GREYS["masked"])
    assert tuple(drawn[0, 2]) == as_rgb(ONE_SIDED["only before"])
    assert tuple(drawn[1, 1]) == tuple(drawn[2, 0]) == as_rgb(ONE_SIDED["only after"])
    assert tuple(drawn[1, 2]) == tuple(drawn[2, 1]) == (255, 255, 255)
    text = subtitle(chart)
    assert "1 only in before (◄); 2 only in after (►); 1 NaN (–); 1 masked (·)" in text
    assert f"{int(np.prod(shape)) - len(to_table(chart)):,} absent from both" in text


def test_the_scale_is_centred_on_zero_and_its_own_legend_names_the_sides() -> None:
    chart = visualize_head_difference(BEFORE, AFTER, labels=("base", "</script>"))
    assert colour_domain(chart) == [-1.0, 1.0]
    chart = visualize_head_difference(BEFORE, AFTER[:1], labels=("base", "</script>"))
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    assert "only in base" in svg
    assert "only in </script>" not in svg
    assert "<script" not in svg
    turned = visualize_head_difference(AFTER[:1], BEFORE, labels=("base", "'+alert(1)+'"))
    assert "only in &#39;+alert(1)+&#39;" in vl_convert.vegalite_to_svg(turned.to_dict()).replace("'", "&#39;")
    expressions = [text for key in ("labelExpr", "calculate", "filter", "test") for text in find(turned.to_dict(), key)]
    assert expressions
    assert not [text for text in expressions if "alert" in str(text)]


# --- the end of the scale ------------------------------------------------------------------------------------------------


def slow_end(changes: list[float], values: list[float]) -> float:
    """Say where the colours end, by counting."""
    sizes = sorted((abs(change) for change in changes), reverse=True)
    if len(sizes) < 8:
        return sizes[0]
    allowed = max(1, len(sizes) // 50)
    within = max(sizes[allowed], 0.01 * float(np.median([abs(value) for value in values])))
    return within if sizes[0] > 5 * within else sizes[0]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32), st.sampled_from([0, 1, 3]))
def test_colours_end_where_all_but_a_few_heads_stay(layers: int, heads: int, seed: int, outliers: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(layers, heads))
    after = before + rng.normal(size=(layers, heads)) * 0.1
    for place in rng.integers(0, before.size, outliers):
        after.flat[place] += rng.choice([-1, 1]) * 10.0 ** rng.uniform(0, 6)
    found = (after - before).ravel().tolist()
    table = difference_table(
        before, after, Shape(None, None, None), None, Marked(None, None, None, None), percent=False
    )
    end = slow_end(found, [*before.ravel(), *after.ravel()])
    assert end_of(table, "auto", percent=False) == pytest.approx(end)
    assert end_of(table, "max", percent=False) == pytest.approx(max(map(abs, found)))


def test_heads_beyond_the_colours_are_counted() -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(size=(10, 12))
    after = before + rng.uniform(-0.1, 0.1, size=(10, 12))
    after[0, 0], after[5, 5] = 9.0, -9.0
    chart = visualize_head_difference(before, after)
    end = colour_domain(chart)[1]
    beyond = (np.abs(after - before) > end).sum()
    assert beyond == 2
    assert f"2 beyond ±{end:.3g}, in the colour of that end" in subtitle(chart)


def test_one_outlier_neither_flattens_the_others_nor_vanishes() -> None:
    before = np.random.default_rng(0).random((12, 12))
    after = before + np.random.default_rng(1).normal(size=(12, 12)) * 0.2
    after[4, 4] = 11_000
    chart = visualize_head_difference(before, after)
    assert colour_domain(chart)[1] < 1
    assert "in the colour of that end: +10,999 the furthest" in subtitle(chart)
    assert "L4 H4 +10,999" in subtitle(chart)
    assert to_table(chart)["value"].max() == pytest.approx(11_000 - before[4, 4])
    numbers = find(chart.to_dict(), "text")
    assert {"field": "_sign", "type": "nominal"} in numbers  # ▲ where the number has no room
    assert marks(chart, "text") == 144
    assert colour_domain(visualize_head_difference(before, after, limit="max"))[1] == pytest.approx(11_000, rel=1e-3)
    assert colour_domain(visualize_head_difference(before, after, limit=2.5)) == [-2.5, 2.5]


def test_noise_around_a_few_real_changes_stays_pale() -> None:
    before = np.ones((8, 8))
    after = before + np.random.default_rng(0).normal(size=(8, 8)) * 1e-9
    after[2, 3] = 1.8
    assert colour_domain(visualize_head_difference(before, after)) == pytest.approx([-0.01, 0.01])


@pytest.mark.parametrize(
    ("limit", "error"), [(0, DataError), (-1.0, DataError), (float("inf"), DataError), ("min", KindError)]
)
def test_an_end_that_is_none_is_refused(limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="limit"):
        visualize_head_difference(BEFORE, AFTER, limit=limit)


# --- movers --------------------------------------------------------------------------------------------------------------


def test_the_biggest_movers_are_named_outlined_and_said_up_and_down() -> None:
    chart = visualize_head_difference(BEFORE, AFTER, measure="entropy", unit_name="nats", movers=2)
    assert "outlined: the largest changes, L1 H0 −1, L0 H0 +0.3" in subtitle(chart)
    text = summary(chart)
    assert text.startswith("Entropy, after minus before, of 2 layers × 3 heads: −1 to +0.3 nats, mean −0.142; ")
    assert "2 heads up, 2 down, 2 unchanged" in text
    assert "Most up: L0 H0 +0.3 (0.2 to 0.5), L1 H1 +0.1 (0.7 to 0.8)" in text
    assert "; most down: L1 H0 −1 (1.1 to 0.1), L0 H2 −0.25 (0.5 to 0.25)" in text
    assert marks(chart, "rect") - marks(visualize_head_difference(BEFORE, AFTER, movers=0), "rect") == 2 * 2


def test_equal_changes_are_ordered_by_layer_and_head_and_no_change_is_no_mover() -> None:
    before, after = np.zeros((3, 3)), np.zeros((3, 3))
    after[2, 0], after[0, 2], after[1, 1] = 1.0, -1.0, 2.0
    assert "L1 H1 +2, L0 H2 −1, L2 H0 +1; " in subtitle(visualize_head_difference(before, after)) + "; "


def test_where_cells_hold_no_numbers_the_movers_are_named_beside_them_without_overlap() -> None:
    before = np.zeros((32, 32))
    after = before.copy()
    after[3, 3], after[20, 30], after[10, 10], after[10, 12] = 5.0, -4.0, 3.0, 2.5
    chart = visualize_head_difference(before, after)
    svg = vl_convert.vegalite_to_svg(chart.to_dict())
    assert svg.count(">L3 H3<") == 2  # a halo and the name
    assert svg.count(">L20 H30<") == 2
    assert svg.count(">L10 H10<") + svg.count(">L10 H12<") == 4
    crowded = before.copy()
    crowded[:5, :5] = np.arange(1, 26).reshape(5, 5)
    count = vl_convert.vegalite_to_svg(visualize_head_difference(before, crowded, movers=25).to_dict()).count(">L")
    assert 0 < count < 50


def test_an_outline_around_a_small_cell_leaves_its_colour_to_be_seen() -> None:
    before, after = np.zeros((100, 100)), np.zeros((100, 100))
    after[50, 50] = 1.0
    chart = visualize_head_difference(before, after, limit=1.0)
    side = chart.to_dict()["width"]["step"]
    picture = pixels(chart)
    left, top = panel_offset(chart)
    middle = picture[top + 50 * side : top + 51 * side, left + 50 * side : left + 51 * side].reshape(-1, 3)
    assert (np.abs(middle.astype(int) - ColourScale("purpleorange", -1, 1).colours()[255]) <= 8).all()


@pytest.mark.parametrize(("movers", "error"), [(-1, DataError), (51, DataError), (2.5, KindError), (True, KindError)])
def test_a_count_of_movers_that_is_none_is_refused(movers: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="movers"):
        visualize_head_difference(BEFORE, AFTER, movers=movers)


# --- what comes in -------------------------------------------------------------------------------------------------------


def test_states_come_from_the_later_table_unless_they_are_given() -> None:
    a = heads_table(BEFORE, pruned_heads=[(0, 0), (1, 1)])
    b = heads_table(AFTER, pruned_heads=[(0, 1)], revived_heads=[(0, 0)])
    states = to_table(visualize_head_difference(a, b)).set_index(["layer", "head"])["state"]
    assert states[0, 0] == "revived"
    assert states[0, 1] == "pruned"
    assert states[1, 1] == "active"
    gone = to_table(visualize_head_difference(a, b[b["layer"] == 0])).set_index(["layer", "head"])["state"]
    assert gone[1, 1] == "pruned"  # only in a, where it was pruned
    given = visualize_head_difference(
        a, b, pruned_heads=[(1, 2)], events=[(5, 0, 1, "revived")], vulnerable_heads=[(1, 0)]
    )
    states = to_table(given).set_index(["layer", "head"])["state"]
    assert (states[1, 2], states[0, 1]) == ("pruned", "revived")
    assert "vulnerable (L1 H0)" in summary(given)


def test_tables_of_several_measures_need_a_name_and_two_measures_have_no_difference() -> None:
    both = pd.concat([heads_table(BEFORE, measure="entropy"), heads_table(AFTER, measure="gradient_norm")])
    entropy = visualize_head_difference(both, AFTER, measure="entropy")
    assert to_table(entropy)["value"].round(12).tolist() == [0.3, 0.0, -0.25, -1.0, 0.1, 0.0]
    assert entropy.to_dict()["title"]["text"] == "Entropy: after − before"
    with pytest.raises(DataError, match="say which"):
        visualize_head_difference(both, AFTER)
    with pytest.raises(DataError, match="not measure='loss'"):
        visualize_head_difference(both, AFTER, measure="loss")
    with pytest.raises(DataError, match="the difference of two measures has no meaning"):
        visualize_head_difference(heads_table(BEFORE, measure="entropy"), heads_table(AFTER, measure="importance"))
    steps = pd.concat([heads_table(BEFORE, step=0), heads_table(AFTER, step=10)])
    with pytest.raises(DataError, match="L0 H0 more than once, for several steps"):
        visualize_head_difference(steps, AFTER)


@pytest.mark.parametrize(
    ("a", "b", "more", "message"),
    [
        ({0: [1.0]}, {1: [1.0]}, {}, "no head in common: a has L0 H0; b has L1 H0"),
        ([[np.nan, 1.0]], [[1.0, np.inf]], {}, "no head has a finite value in both a and b: 2 heads in common"),
        ([], BEFORE, {}, "a is empty"),
        (BEFORE, np.zeros((2, 3, 4)), {}, r"b has shape \(2, 3, 4\)"),
        (np.arange(6.0), np.arange(6.0), {}, "a is a flat vector of 6"),
        (BEFORE, AFTER, {"pruned_heads": [(2, 0)]}, "pruned_heads names layer 2"),
        (BEFORE, AFTER, {"labels": "ab"}, "expected two names"),
        (BEFORE, AFTER, {"labels": ("a", "b", "c")}, "expected two names"),
        (np.zeros((200, 200)), np.zeros((200, 200)), {}, "40,000 cells, more than the 20,000"),
    ],
)
def test_bad_input_is_refused_with_advice(a: Any, b: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        visualize_head_difference(a, b, **more)


def test_infinity_on_one_side_is_not_a_warning_but_a_kind() -> None:
    table = to_table(visualize_head_difference([[np.inf, np.inf, 0.0, 0.0]], [[np.inf, 0.0, -np.inf, 1.0]]))
    assert table["kind"].tolist() == ["nan", "-inf", "-inf", "value"]


def test_one_head_equal_sides_and_extreme_values() -> None:
    one = visualize_head_difference(0.5, 0.7)
    assert marks(one, "rect") == 1 + 2
    same = visualize_head_difference(BEFORE, BEFORE)
    assert colour_domain(same) == [-1.0, 1.0]
    assert "all 0; 6 unchanged" in summary(same)
    assert marks(same, "rect") == 6
    tiny = visualize_head_difference(BEFORE, BEFORE + np.spacing(BEFORE))
    assert mark_counts(vl_convert.vegalite_to_svg(tiny.to_dict()))["rect"] >= 6
    huge = visualize_head_difference(np.full((4, 4), 1e300), np.random.default_rng(0).random((4, 4)) * 1e-300)
    assert marks(huge, "rect") >= 16


# --- the chart beside others ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 4), (40, 30)])
def test_it_composes_and_keeps_its_scales(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(shape), rng.random((shape[0] - 1, shape[1]))
    chart = visualize_head_difference(a, b, pruned_heads=[(0, 0)], select="pick" if shape[0] == 3 else None)
    alone = marks(chart, "rect")
    rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule().encode(x=alt.value(3))
    assert marks(chart + rule, "rect") == alone
    other = headspec.visualize_entropy_heatmap(np.arange(4.0).reshape(2, 2) * 100, revived_heads=[(0, 0)])
    for pair in (chart | other, other & chart, (chart & other) | other):
        assert marks(pair, "rect") in (alone + 4, alone + 8)
        vega = vl_convert.vegalite_to_vega(pair.to_dict())
        domains = [scale["domain"] for scale in vega["scales"] if scale["name"].endswith("color")]
        assert [0, 300] in domains or [0.0, 300.0] in domains
        assert colour_domain(chart) in domains
        shapes = {tuple(scale["domain"]): scale["range"] for scale in vega["scales"] if scale["name"].endswith("shape")}
        assert shapes[("pruned",)] == [STATE_SHAPES["pruned"]]
        assert shapes[("revived",)] == [STATE_SHAPES["revived"]]
    if shape[0] == 40:
        assert marks(chart + chart, "rect") == 2 * alone
        assert marks(chart | chart, "rect") == 2 * alone


def test_two_differences_with_other_labels_keep_their_legends() -> None:
    left = visualize_head_difference(BEFORE, AFTER[:1], labels=("a", "b"))
    right = visualize_head_difference(BEFORE[:1], AFTER, labels=("c", "d"))
    svg = vl_convert.vegalite_to_svg((left | right).to_dict())
    assert ">only in a<" in svg
    assert ">only in d<" in svg


def test_it_can_be_faceted() -> None:
    chart = visualize_head_difference(BEFORE, AFTER, pruned_heads=[(0, 0)], annotate=False, movers=0)
    faceted = chart.facet(column=alt.Column("state:N"))
    assert marks(faceted, "rect") == 6


def test_a_picked_head_is_ringed_and_clicks_need_a_head() -> None:
    chart = visualize_head_difference(BEFORE, AFTER, select="pick")
    names = [param["name"] for params in find(chart.to_dict(), "params") for param in params if "select" in param]
    assert names == ["pick"]
    assert {"param": "pick", "empty": False} in find(chart.to_dict(), "filter")


@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_it_is_drawn_under_every_theme_and_holds_no_configuration(theme: str) -> None:
    chart = visualize_head_difference(BEFORE, AFTER[:1], pruned_heads=[(0, 0)])
    assert headspec.to_png(chart, theme=theme).startswith(b"\x89PNG")
    assert not {"config", "background", "padding", "autosize", "usermeta"} & set(chart.to_dict()) - {"config"}
    assert chart.config is alt.Undefined


def test_numbers_carry_their_sign_and_stop_where_there_is_no_room() -> None:
    assert ">+0.30<" in vl_convert.vegalite_to_svg(visualize_head_difference(BEFORE, AFTER).to_dict())
    grid = np.random.default_rng(0).random((12, 12))
    assert marks(visualize_head_difference(grid, grid + 0.1, movers=0), "text") == 144
    large = np.random.default_rng(0).random((32, 32))
    assert marks(visualize_head_difference(large, large + 0.1, movers=0), "text") == 0
    assert marks(visualize_head_difference(large, large + 0.1, movers=0, annotate="force"), "text") == 1024
