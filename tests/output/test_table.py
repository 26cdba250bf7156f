from __future__ import annotations

import math

import altair as alt
import numpy as np
import pandas as pd
import polars as pl
import pytest

from headspec.errors import DataError
from headspec.output.table import to_table
from headspec.tables import packing


def chart(frame: object) -> alt.Chart:
    return alt.Chart(frame).mark_point().encode(x=alt.value(1))


def test_one_table_is_that_frame(make):
    frame = make.heads_frame()
    pd.testing.assert_frame_equal(to_table(make.heat_map(frame)), frame)
    pd.testing.assert_frame_equal(to_table(make.heat_map(frame) | make.heat_map(frame)), frame)
    pd.testing.assert_frame_equal(to_table(make.heat_map(frame) + chart(frame)), frame)


def test_the_frame_is_not_changed(make):
    frame = make.packed_frame()
    frame.attrs["headspec"] = {"rename": {"q": "value"}, "decode": {"value": {"from": "q", "step": 0.1}}}
    before = frame.copy(deep=True)
    table = to_table(make.packed_map(frame))
    table.iloc[0, 0] = 99
    pd.testing.assert_frame_equal(frame, before)
    assert list(frame.columns) == ["layer", "head", "q"]


def test_lists_become_rows_in_order(make):
    table = to_table(make.packed_map())
    assert len(table) == 30
    assert table.columns.tolist() == ["layer", "head", "q"]
    assert table["head"].tolist() == list(range(6)) * 5
    assert table["layer"].tolist() == [layer for layer in range(5) for _ in range(6)]
    assert table["q"].dtype.kind == "i"


def test_ragged_empty_scalar_and_missing_cells():
    frame = pd.DataFrame(
        {
            "layer": [0, 1, 2, 3],
            "head": [[0, 1], [], [7], 5],
            "v": [[0.5, None], [], np.array([1.5]), 2.5],
            "name": list("abcd"),
        }
    )
    table = to_table(chart(frame))
    assert table["layer"].tolist() == [0, 0, 2, 3]
    assert table["head"].tolist() == [0, 1, 7, 5]
    assert table["name"].tolist() == ["a", "a", "c", "d"]
    assert table["v"].tolist()[0] == 0.5
    assert math.isnan(table["v"][1])
    assert table["v"].tolist()[2:] == [1.5, 2.5]


def test_lists_of_unequal_length_are_an_error_that_names_them():
    frame = pd.DataFrame({"a": [[1], [1, 2]], "b": [[1], [1, 2, 3]]})
    with pytest.raises(DataError, match="in row 1 of the chart's data differ in length: a has 2 and b has 3"):
        to_table(chart(frame))


def test_a_scalar_beside_a_list_is_repeated():
    frame = pd.DataFrame({"a": pd.Series([[1, 2], 3], dtype=object), "b": pd.Series([7, [8]], dtype=object)})
    assert to_table(chart(frame)).to_dict("list") == {"a": [1, 2, 3], "b": [7, 7, 8]}


def test_integers_are_decoded_and_null_stays_missing():
    frame = pd.DataFrame({"layer": [0], "head": [[0, 1, 2, 3]], "v": [[3, None, 0, 999]], "_pad": ["x"]})
    frame.attrs["headspec"] = {"name": "heads", "decode": {"value": {"from": "v", "step": 0.001, "offset": 0.0}}}
    table = to_table(chart(frame))
    assert table.columns.tolist() == ["layer", "head", "value"]
    assert table["value"].tolist()[0] == 0.003  # and not 0.003000…1
    assert math.isnan(table["value"][1])
    assert table["value"].tolist()[2:] == [0.0, 0.999]


@pytest.mark.parametrize(("step", "offset"), [(0.5, -2.0), (3.0, 1.0), (0.007, 0.0), (1e-6, 100.0)])
def test_decoding_is_offset_plus_step_times_integer(step, offset):
    frame = pd.DataFrame({"v": range(-5, 6)})
    frame.attrs["headspec"] = {"decode": {"value": {"from": "v", "step": step, "offset": offset}}}
    expected = [offset + step * packed for packed in range(-5, 6)]
    np.testing.assert_allclose(to_table(chart(frame))["value"], expected, rtol=1e-15, atol=1e-18)


def test_columns_are_renamed():
    frame = pd.DataFrame({"t": [1]})
    frame.attrs["headspec"] = {"rename": {"t": "step"}}
    assert to_table(chart(frame)).columns.tolist() == ["step"]


def test_a_decode_of_an_absent_column_is_an_error():
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["headspec"] = {"decode": {"value": {"from": "v"}}}
    with pytest.raises(DataError, match="decodes 'v', which is no column"):
        to_table(chart(frame))


def test_frames_that_are_packed_for_drawing_are_unpacked():
    table = pd.DataFrame({"layer": [0, 0, 1], "head": [0, 1, 0], "value": [0.25, math.nan, 0.75], "measure": "entropy"})
    table = table.assign(kind=["value", "nan", "value"], state=["active", "active", "pruned"], vulnerable=False)
    packed = packing.pack_heads(table, packing.code_for(0.0, 1.0))
    out = to_table(chart(packed))
    pd.testing.assert_frame_equal(out[sorted(table)], table[sorted(table)], check_dtype=False, atol=1e-4)


def test_several_tables_are_named_and_stacked(make):
    table = to_table(make.heat_map() | make.bars() | make.heat_map(make.heads_frame(1, 2)))
    assert table.columns[0] == "table"
    assert table["table"].value_counts(sort=False).to_dict() == {"heads": 12, "results": 2, "heads_2": 2}
    assert table.loc[table["table"] == "results", "perplexity"].tolist() == [12.5, 18.0]
    assert table["perplexity"].isna().sum() == 14


def test_a_column_called_table_is_not_overwritten():
    with pytest.raises(DataError, match="in the way"):
        to_table(chart(pd.DataFrame({"table": [1]})) | chart(pd.DataFrame({"b": [1]})))


def test_rows_of_any_origin(charts):
    assert to_table(chart(pl.DataFrame({"a": [1, 2]})))["a"].tolist() == [1, 2]
    assert to_table(chart(alt.Data(values=[{"a": 1}, {"a": 2, "b": [1]}])))["a"].tolist() == [1, 2]
    given = {"data": {"values": [{"a": [1, 2]}]}, "mark": "point", "encoding": {}}
    assert to_table(alt.Chart.from_dict(given))["a"].tolist() == [1, 2]
    for made in charts.values():
        assert len(to_table(made))


def test_a_chart_without_rows_says_so():
    for empty in (alt.Chart().mark_point(), alt.Chart("x.csv").mark_point()):
        with pytest.raises(DataError, match="holds no rows"):
            to_table(empty)
    assert to_table(chart(pd.DataFrame({"a": []}))).empty
