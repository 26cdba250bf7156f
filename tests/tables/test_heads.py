from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headspec.errors import DataError, KindError
from headspec.tables.heads import COLUMNS, by_state, heads_table


def test_the_columns_and_types_are_the_promised_ones() -> None:
    table = heads_table(np.ones((2, 3)), measure="entropy", group="a", step=5, run="r")
    assert list(table.columns) == [*COLUMNS, "group", "step", "run"]
    assert table["layer"].dtype == table["head"].dtype == np.int64
    assert table["value"].dtype == np.float64
    assert set(table["measure"]) == {"entropy"}


def test_absent_nan_infinite_masked_and_zero_are_five_things() -> None:
    table = heads_table([[0.0, np.nan], [np.inf, -np.inf, None]])
    assert len(table) == 5  # the third head of layer 0 is absent: no row
    assert table["kind"].tolist() == ["value", "nan", "inf", "-inf", "masked"]
    assert table["value"].isna().tolist() == [False, True, True, True, True]
    assert table["value"].iloc[0] == 0.0


def test_the_latest_word_on_a_head_gives_its_state() -> None:
    table = heads_table(np.ones((2, 2)), pruned_heads=[(0, 0), (0, 1), (0, 0)], revived_heads=[(0, 1)])
    assert by_state(table)["pruned"] == [(0, 0)]
    assert by_state(table)["revived"] == [(0, 1)]
    events = [(10, 1, 1, "pruned"), (30, 1, 0, "pruned"), (20, 1, 1, "revived")]
    table = heads_table(np.ones((2, 2)), events=events)
    assert by_state(table)["revived"] == [(1, 1)]
    assert by_state(table)["pruned"] == [(1, 0)]


def test_a_zero_is_no_pruned_head_and_a_mask_is() -> None:
    assert by_state(heads_table(np.zeros((1, 2))))["pruned"] == []
    assert by_state(heads_table(np.ones((1, 2)), head_mask=[[1, 0]]))["pruned"] == [(0, 1)]
    with pytest.raises(KindError, match="other values than 0"):
        heads_table(np.ones((1, 2)), head_mask=[[1, 0.5]])
    with pytest.raises(DataError, match="head_mask covers 3 heads"):
        heads_table(np.ones((1, 2)), head_mask=[[1, 0, 1]])


def test_vulnerable_is_a_flag_beside_the_state() -> None:
    table = heads_table(np.ones((1, 2)), pruned_heads=[(0, 1)], vulnerable_heads=[(0, 1), (0, 0)])
    assert table["state"].tolist() == ["active", "pruned"]
    assert table["vulnerable"].tolist() == [True, True]


@pytest.mark.parametrize("name", ["pruned_heads", "revived_heads", "vulnerable_heads"])
def test_a_pair_out_of_range_names_the_range(name: str) -> None:
    with pytest.raises(
        DataError, match=f"{name} names layer 1, head 2, which is out of range: layer 1 has heads 0 to 1"
    ):
        heads_table([[1.0, 2.0, 3.0], [1.0, 2.0]], **{name: [(1, 2)]})


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, lambda data: pl.LazyFrame(data), lambda data: pa.table(data)]
)
def test_a_heads_table_of_any_library_is_read(make: Any) -> None:
    frame = make({"layer": [0, 1], "head": [3, 4], "value": [0.5, 1.5]})
    table = heads_table(frame, measure="entropy")
    assert table[["layer", "head", "value"]].to_numpy().tolist() == [[0, 3, 0.5], [1, 4, 1.5]]


def test_a_wide_frame_of_numbers_is_a_matrix() -> None:
    assert heads_table(pd.DataFrame([[1.0, 2.0]]))["value"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"layer": [0], "head": [0], "score": [1.0]}, "lacks the column 'value'; it has layer, head and score"),
        ({"layer": [0], "value": ["x"]}, "a heads table needs layer, head and value"),
        ({"layer": [0.5], "head": [0], "value": [1.0]}, "not ids"),
        ({"layer": [0, 0], "head": [1, 1], "value": [1.0, 2.0]}, "gives L0 H1 more than once"),
        ({"layer": [0], "head": [0], "value": [1.0], "state": ["dead"]}, "known are active, pruned and revived"),
        ({"layer": [], "head": [], "value": []}, "empty"),
    ],
)
def test_a_frame_that_is_no_heads_table_says_why(frame: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        heads_table(pd.DataFrame(frame))


@given(
    st.lists(st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=1, max_size=5), min_size=1, max_size=5)
)
def test_a_table_read_again_is_the_same_table(values: list[list[float | None]]) -> None:
    table = heads_table(values)
    pd.testing.assert_frame_equal(heads_table(table), table)
    assert len(table) == sum(len(row) for row in values)
