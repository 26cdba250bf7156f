from __future__ import annotations

import copy
import datetime
import decimal
import json
import math

import altair as alt
import jsonschema
import numpy as np
import pandas as pd
import polars as pl
import pytest

from headspec.errors import DataError, KindError
from headspec.output.datasets import dataset_name
from headspec.output.spec import export, to_json, to_rows, to_spec
from headspec.output.themes import theme_dict


def point(frame: object, **channels: object) -> alt.Chart:
    return alt.Chart(frame).mark_point().encode(**(channels or {"x": "a:Q"}))


def test_every_class_of_chart_gives_valid_vega_lite_with_a_description(charts):
    schema = jsonschema.Draft7Validator(alt.load_schema())
    for name, chart in charts.items():
        spec = to_spec(chart)
        schema.validate(spec)
        assert spec["description"].strip(), name
        assert spec == json.loads(to_json(chart)), name
        assert json.loads(json.dumps(spec, allow_nan=False)) == spec


def test_the_chart_is_not_changed_and_shares_nothing(make):
    frame = make.packed_frame()
    chart = make.packed_map(frame)
    before, rows = chart.to_dict(), copy.deepcopy(frame.to_dict("list"))
    spec = to_spec(chart)
    spec["datasets"]["heads"][0]["q"].append(99)
    spec["layer"].clear()
    assert chart.to_dict() == before
    assert frame.to_dict("list") == rows


def test_nothing_global_is_left_changed(make):
    before = (
        alt.theme.active,
        alt.data_transformers.active,
        dict(alt.data_transformers.options),
        alt.data_transformers.names(),
    )
    to_spec(make.heat_map(), theme="dark")
    with pytest.raises(DataError):
        to_spec(make.heat_map(), theme="no such theme")
    with pytest.raises(Exception, match="mark"):
        to_spec(alt.Chart(make.heads_frame()))  # no mark: Altair's own error
    after = (
        alt.theme.active,
        alt.data_transformers.active,
        dict(alt.data_transformers.options),
        alt.data_transformers.names(),
    )
    assert after == before


@pytest.mark.parametrize("transformer", ["default", "json", "csv"])
def test_rows_are_inline_whatever_transformer_is_enabled(transformer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        alt.data_transformers.enable(transformer),
        alt.data_transformers.enable(transformer, consolidate_datasets=False),
    ):
        spec = to_spec(point(pd.DataFrame({"a": range(6000)})))
    assert len(spec["datasets"]["rows"]) == 6000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["layer", "head", "value"], "heads"),
        (["layer", "head", "step", "value"], "heads"),
        (["query", "key", "weight"], "attention"),
        (["layer", "head", "query", "key", "weight"], "attention"),
        (["run", "step", "metric", "value"], "history"),
        (["step", "layer", "head", "event"], "events"),
        (["strategy", "value"], "results"),
        (["stage", "value"], "results"),
        (["pruning_level"], "results"),
        (["layer", "head", "strategy"], "heads"),
        (["x"], "rows"),
        ([], "rows"),
    ],
)
def test_datasets_are_named_after_what_they_hold(columns, name):
    assert dataset_name(columns) == name
    assert to_spec(point(pd.DataFrame({column: [1] for column in columns or ["z"]}), x=alt.value(1)))["data"] == {
        "name": name
    }


def test_list_columns_without_a_better_name_are_cells():
    assert set(to_rows(point(pd.DataFrame({"row": [1], "v": [[1, 2]]}), x="row:Q"))) == {"cells"}


def test_several_datasets_of_a_kind_are_numbered_in_the_order_of_the_chart(make):
    a, b, c = (make.heads_frame(layers, 2) for layers in (1, 2, 3))
    spec = to_spec(make.heat_map(a) | make.heat_map(b) | make.bars() | make.heat_map(c))
    assert [part["data"]["name"] for part in spec["hconcat"]] == ["heads", "heads_2", "results", "heads_3"]
    assert [len(spec["datasets"][name]) for name in ("heads", "heads_2", "heads_3")] == [2, 4, 6]


def test_equal_frames_are_one_dataset(make):
    spec = to_spec(make.heat_map(make.heads_frame()) | make.heat_map(make.heads_frame()))
    assert set(spec["datasets"]) == {"heads"}


def test_a_frame_can_name_itself_and_the_author_can_name_data():
    frame = pd.DataFrame({"layer": [0], "head": [0]})
    frame.attrs["headspec"] = {"name": "state"}
    own = alt.Data(name="heads", values=[{"layer": 1, "head": 1}])
    other = pd.DataFrame({"layer": [2], "head": [2]})
    spec = to_spec(point(frame, x="layer:Q") | point(own, x="layer:Q") | point(other, x="layer:Q"))
    assert [part["data"]["name"] for part in spec["hconcat"]] == ["state", "heads", "heads_2"]
    assert spec["datasets"]["heads"] == [{"layer": 1, "head": 1}]


@pytest.mark.parametrize("bad", ["", "a b", "<script>", "9", 7, "x" * 80])
def test_a_name_that_cannot_be_one_is_passed_over_in_attrs_and_refused_in_names(bad):
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["headspec"] = {"name": bad}
    assert set(to_rows(point(frame))) == {"rows"}
    with pytest.raises((DataError, KindError), match="dataset"):
        to_spec(point(frame), names={"rows": bad})


def test_names_renames_and_says_what_there_is(make):
    chart = make.heat_map(make.heads_frame(1, 1)) | make.heat_map(make.heads_frame(2, 2))
    spec = to_spec(chart, names={"heads": "before", "heads_2": "after"})
    assert list(spec["datasets"]) == ["after", "before"]
    assert spec["hconcat"][1]["data"] == {"name": "after"}
    with pytest.raises(DataError, match="no dataset cells; it has heads and heads_2"):
        to_spec(chart, names={"cells": "x"})
    with pytest.raises(DataError, match="one name"):
        to_spec(chart, names={"heads": "heads_2"})


def test_a_name_from_a_lookup_is_found():
    extra = pd.DataFrame({"layer": [0], "head": [0], "name": ["x"]})
    chart = point(pd.DataFrame({"a": [0], "strategy": ["s"]})).transform_lookup(
        lookup="a", from_=alt.LookupData(data=extra, key="layer", fields=["name"])
    )
    spec = to_spec(chart)
    assert spec["transform"][0]["from"]["data"] == {"name": "heads"}
    assert set(spec["datasets"]) == {"heads", "results"}


def test_data_by_name_and_by_url(make):
    chart = make.heat_map() | make.bars()
    named = to_spec(chart, data="name")
    assert "datasets" not in named
    assert [part["data"] for part in named["hconcat"]] == [{"name": "heads"}, {"name": "results"}]
    linked = to_spec(chart, data="url", url="data/{name}.json")
    assert linked["hconcat"][1]["data"] == {"url": "data/results.json", "format": {"type": "json"}}
    assert set(to_rows(chart)) == {"heads", "results"}
    assert to_rows(chart)["results"] == to_spec(chart)["datasets"]["results"]
    with pytest.raises(DataError, match="one address for 2 datasets"):
        to_spec(chart, data="url", url="rows.json")
    with pytest.raises(DataError, match="'inline', 'name' or 'url'"):
        to_spec(chart, data="file")


def test_rows_left_inside_a_spec_from_a_dict_are_found():
    given = {"mark": "bar", "encoding": {}, "data": {"values": [{"strategy": "a", "v": 1}]}}
    assert to_spec(alt.Chart.from_dict({"hconcat": [given, given]}), data="name")["hconcat"][0]["data"] == {
        "name": "results"
    }
    whole = {**given, "data": {"name": "mine"}, "datasets": {"mine": [{"a": 1}], "unused": [{"b": 1}]}}
    assert set(to_spec(alt.Chart.from_dict(whole))["datasets"]) == {"mine", "unused"}


def test_data_by_url_stays_as_it_is():
    spec = to_spec(point(alt.UrlData("https://example.org/x.csv")))
    assert spec["data"] == {"url": "https://example.org/x.csv"}


@pytest.mark.parametrize("constructor", [pd.DataFrame, pl.DataFrame])
def test_missing_and_infinite_values_in_rows_are_null(constructor):
    frame = constructor({"a": [1.0, math.nan, math.inf, -math.inf]})
    assert [row["a"] for row in to_rows(point(frame))["rows"]] == [1.0, None, None, None]
    assert "NaN" not in to_json(point(frame))


def test_nan_inside_a_list_is_null():
    frame = pd.DataFrame({"row": [0], "v": [[1.0, math.nan, np.float32(0.5), math.inf]]})
    assert to_rows(point(frame, x="row:Q"))["cells"][0]["v"] == [1.0, None, 0.5, None]


def test_cells_of_other_kinds_become_plain():
    frame = pd.DataFrame({"a": [1]}).assign(
        day=[datetime.date(2024, 2, 3)],
        size=[decimal.Decimal("1.5")],
        grid=[np.arange(3)],
        gone=[pd.NA],
        t=[(1, np.int8(2))],
    )
    row = to_rows(point(frame))["cells"][0]
    assert row == {"a": 1, "day": "2024-02-03", "size": 1.5, "grid": [0, 1, 2], "gone": None, "t": [1, 2]}


@pytest.mark.parametrize("value", [{1, 2}, 1 + 2j, b"x", object()])
def test_a_cell_that_json_cannot_hold_is_named(value):
    with pytest.raises(KindError, match=type(value).__name__):
        to_json(point(pd.DataFrame({"a": [1], "b": pd.Series([value], dtype=object)})))


def test_a_column_that_altair_refuses_is_our_error():
    with pytest.raises(DataError, match="cannot be written as JSON"):
        to_json(point(pd.DataFrame({"a": pd.to_timedelta([1])})))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_non_finite_number_in_the_chart_itself_is_refused_with_its_place(value):
    chart = point(pd.DataFrame({"a": [1]}), x=alt.X("a:Q", scale=alt.Scale(domain=[0, value])))
    with pytest.raises(DataError, match=r"encoding\.x\.scale\.domain\[1\] is"):
        to_spec(chart)


def test_numpy_numbers_in_the_chart_itself_become_plain():
    chart = point(pd.DataFrame({"a": [1]}), x=alt.X("a:Q", scale=alt.Scale(domain=[0, np.float64(1.5)])))
    assert to_spec(chart)["encoding"]["x"]["scale"]["domain"] == [0, 1.5]


@pytest.mark.parametrize("thing", [{"mark": "bar"}, None, "chart", 3])
def test_what_is_no_chart_is_refused(thing):
    with pytest.raises(KindError, match="Altair chart"):
        to_spec(thing)


def test_themes_by_name_by_dict_and_by_what_is_enabled(make):
    chart = make.bars()
    assert to_spec(chart)["config"] == to_spec(chart, theme="light")["config"] == theme_dict("light")["config"]
    assert to_spec(chart, theme="dark")["config"]["background"] != to_spec(chart, theme="light")["config"]["background"]
    assert "config" not in to_spec(chart, theme="none")
    assert to_spec(chart, theme={"font": "serif"})["config"] == {"font": "serif"}
    assert to_spec(chart, theme={"config": {"font": "serif"}, "padding": 3})["padding"] == 3
    with alt.theme.enable("dark"):
        assert to_spec(chart)["usermeta"]["embedOptions"] == {"theme": "dark"}
    with pytest.raises(DataError, match="there is no theme 'nope'; there are light, dark, paper"):
        to_spec(chart, theme="nope")
    with pytest.raises(KindError, match="theme"):
        to_spec(chart, theme=3)


def test_what_the_chart_sets_itself_wins_over_the_theme(make):
    spec = to_spec(make.bars().configure_axis(labelFontSize=33), theme="light")
    assert spec["config"]["axis"]["labelFontSize"] == 33
    assert spec["config"]["axis"]["titleFontSize"] == theme_dict("light")["config"]["axis"]["titleFontSize"]


def test_changing_a_spec_changes_no_theme(make):
    to_spec(make.bars(), theme="light")["config"]["font"] = "Comic"
    export(make.bars(), theme="light").spec["config"]["font"] = "Comic"
    assert to_spec(make.bars(), theme="light")["config"]["font"] == "sans-serif"


def test_json_has_sorted_keys_and_a_line_for_each_row(make):
    text = to_json(make.packed_map())
    lines = text.splitlines()
    assert text.endswith("}\n")
    assert sum('"q":' in line and line.startswith("      {") for line in lines) == 5
    assert '      {"head":[0,1,2,3,4,5],"layer":0,"q":[0,7,14,21,28,35]},' in lines

    def in_order(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        assert keys == sorted(keys)
        return dict(pairs)

    json.loads(text, object_pairs_hook=in_order)
    top = [line.split('"')[1] for line in lines if line.startswith('  "')]
    assert top == sorted(top)


def test_a_long_list_of_plain_values_is_one_line():
    chart = point(pd.DataFrame({"a": [1]})).add_params(
        alt.param(name="tokens", value=[f"token {i}" for i in range(500)])
    )
    assert max(map(len, to_json(chart).splitlines())) > 5000
    assert len(to_json(chart, theme="none").splitlines()) < 40


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)</script>", "<!--<script>", "a\u2028b", "'+alert(1)+'", "\x00\x07\x1b", "日本"]
)
def test_hostile_text_survives_json_unchanged(text):
    chart = (
        alt.Chart(pd.DataFrame({"a": [1], "t": [text]}), title=text, description=text)
        .mark_point()
        .encode(x=alt.X("a:Q").title(text))
    )
    out = to_json(chart)
    spec = json.loads(out.encode("utf-8").decode("utf-8"))
    assert (
        spec["title"]
        == spec["description"]
        == spec["encoding"]["x"]["title"]
        == spec["datasets"]["rows"][0]["t"]
        == text
    )


def test_a_lone_surrogate_in_text_is_written_as_an_escape():
    chart = alt.Chart(alt.Data(values=[{"a": 1}]), title="x\ud800y").mark_point().encode(x="a:Q")
    assert "x\\ud800y" in to_json(chart).encode().decode()
    assert json.loads(to_json(chart))["title"] == "x\ud800y"


def test_geojson_is_kept_whole():
    shape = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"n": 1}, "geometry": None}]}
    spec = to_spec(alt.Chart(alt.Data(values=shape)).mark_geoshape())
    assert spec["datasets"][spec["data"]["name"]] == shape
    assert json.loads(to_json(alt.Chart(alt.Data(values=shape)).mark_geoshape())) == spec
