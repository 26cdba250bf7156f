from __future__ import annotations

import re

import altair as alt
import pandas as pd
import pytest

from headspec.output.marks import VIEW, count_marks
from headspec.output.render import draw
from headspec.output.spec import export


def counted(chart, *, exact: bool):
    taken = export(chart)
    return count_marks(taken.spec, taken.datasets, exact=exact)


def drawn(chart) -> tuple[int, int]:
    """Marks and texts that the renderer really draws, lines and areas aside."""
    text = draw(chart).text
    marks = texts = 0
    for kind, body in re.findall(r'<g class="mark-(\w+) role-mark[^>]*>(.*?)</g>', text):
        found = len(re.findall(r"<(?:path|text|image|line|rect|g)\b", body))
        marks += found
        texts += found if kind == "text" else 0
    return marks, texts


def test_flat_rows_layers_lists_and_concatenations_are_counted_as_drawn(make):
    text = alt.Chart(make.heads_frame()).mark_text().encode(x="head:O", y="layer:O", text="value:Q")
    for chart, marks, texts in [
        (make.bars(), 2, 0),
        (make.heat_map(), 12, 0),
        (make.packed_map(), 30, 0),
        (make.heat_map() + text, 24, 12),
        (make.packed_map() | make.bars(), 32, 0),
        (make.packed_map() & (make.bars() | make.heat_map()), 44, 0),
    ]:
        count = counted(chart, exact=False)
        assert (count.marks, count.texts) == (marks, texts) == drawn(chart)
        assert counted(chart, exact=True) == count


def test_facets_and_repeats_are_counted_with_their_frames(charts):
    assert counted(charts["facet"], exact=False).marks == 12 + VIEW
    assert counted(charts["repeat"], exact=False).marks == 24
    assert counted(charts["repeat"], exact=True).marks >= drawn(charts["repeat"])[0] == 3 + 4
    encoded = alt.Chart(pd.DataFrame({"a": [1, 2, 3]})).mark_point().encode(x="a:Q", column="a:N")
    assert counted(encoded, exact=False).marks == 3 + 3 * VIEW


def test_filters_are_followed_only_where_the_count_is_to_be_exact(make):
    frame = make.heads_frame()
    chart = alt.layer(
        alt.Chart(frame).mark_rect().encode(x="head:O", y="layer:O"),
        alt.Chart(frame)
        .mark_text()
        .encode(x="head:O", y="layer:O")
        .transform_filter("!isValid(datum.value) || datum.value > 0.9"),
        alt.Chart(frame)
        .mark_point()
        .encode(x="head:O", y="layer:O")
        .transform_filter(alt.FieldOneOfPredicate("head", [0, 1])),
        alt.Chart(frame)
        .mark_point()
        .encode(x="head:O", y="layer:O")
        .transform_filter(
            {
                "and": [
                    {"field": "head", "gte": 2},
                    {"not": {"field": "layer", "equal": 0}},
                    {"field": "value", "range": [0, 0.7]},
                ]
            }
        ),
    )
    assert counted(chart, exact=False).marks == 48
    assert (counted(chart, exact=True).marks, counted(chart, exact=True).texts) == drawn(chart)


def explorer(empty: bool = False) -> alt.Chart:
    """A picked head's matrix: the filter comes before the lists are flattened."""
    frame = pd.DataFrame({"layer": [0, 0, 1, 1], "head": [0, 1, 0, 1], "w": [[1] * 9, [2] * 9, [3] * 9, [4] * 9]})
    pick = alt.selection_point(name="head_pick", fields=["layer", "head"], value=[{"layer": 1, "head": 0}], empty=empty)
    return (
        alt.Chart(frame)
        .mark_rect()
        .encode(x="key:O", y="w:O")
        .add_params(pick)
        .transform_filter(pick)
        .transform_flatten(["w"])
        .transform_window(i="row_number()")
        .transform_calculate(key="datum.i % 3")
    )


def test_a_picked_head_counts_as_one_head():
    assert counted(explorer(), exact=False).marks == 36
    assert counted(explorer(), exact=True).marks == drawn(explorer())[0] == 9


def test_lists_are_multiplied_by_lists_and_computed_lists_are_counted():
    frame = pd.DataFrame({"q": [[1, 2, 3], [4, 5]], "k": [[1, 2], [3, 4, 5, 6]]})
    cross = alt.Chart(frame).mark_point().encode(x="q:Q", y="k:Q").transform_flatten(["q"]).transform_flatten(["k"])
    nested = alt.Chart(pd.DataFrame({"m": [[[1, 2], [3]], [[4, 5, 6]]]})).mark_point().encode(x="m:Q")
    nested = nested.transform_flatten(["m"]).transform_flatten(["m"])
    made = alt.Chart(pd.DataFrame({"n": [3, 4]})).mark_point().encode(x="i:Q")
    made = made.transform_calculate(i="sequence(datum.n)").transform_flatten(["i"])
    twice = alt.Chart(frame).mark_point().encode(x="q:Q").transform_flatten(["q"])
    twice = twice.transform_calculate(q="isArray(datum.q) ? datum.q : [datum.q]").transform_flatten(["q"])
    for chart, marks in [(cross, 6 + 8), (nested, 6), (made, 7), (twice, 5)]:
        assert drawn(chart)[0] == marks
        assert counted(chart, exact=True).marks == marks
        assert counted(chart, exact=False).marks >= marks


def test_fold_sequence_sample_and_aggregate():
    frame = pd.DataFrame({"a": range(30), "b": range(30), "g": [i % 3 for i in range(30)]})
    fold = alt.Chart(frame).mark_point().encode(x="g:Q", y="value:Q").transform_fold(["a", "b"])
    steps = alt.Chart(alt.sequence(0, 10, 2, as_="x")).mark_point().encode(x="x:Q")
    few = alt.Chart(frame).mark_point().encode(x="a:Q").transform_sample(7)
    mean = alt.Chart(frame).mark_bar().encode(x="g:O", y="mean(a):Q")
    grouped = alt.Chart(frame).mark_bar().encode(x="g:O", y="m:Q").transform_aggregate(m="mean(a)", groupby=["g"])
    for chart, marks in [(fold, 60), (steps, 5), (few, 7), (mean, 3), (grouped, 3)]:
        count = counted(chart, exact=True).marks
        assert drawn(chart)[0] == marks
        assert marks <= count <= marks + 1


def test_a_million_rows_that_are_aggregated_are_few_marks():
    frame = pd.DataFrame({"g": [i % 5 for i in range(20_000)], "v": range(20_000)})
    assert counted(alt.Chart(frame).mark_bar().encode(x="g:O", y="mean(v):Q"), exact=True).marks == 5


@pytest.mark.parametrize("overlay", [True, {"size": 20}])
def test_points_on_lines_count_too(overlay):
    frame = pd.DataFrame({"a": range(30), "b": range(30)})
    assert counted(alt.Chart(frame).mark_line(point=overlay).encode(x="a:Q", y="b:Q"), exact=False).marks == 60
