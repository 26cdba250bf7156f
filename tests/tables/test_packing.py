from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headspec.tables.heads import heads_table
from headspec.tables.packing import LEVELS, code_for, pack_blocks, pack_heads, pack_matrix, unpack

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=finite))
def test_a_packed_value_is_exact_to_half_a_step(values: np.ndarray) -> None:
    code = code_for(float(values.min()), float(values.max()))
    packed = code.pack(values)
    assert packed.min() >= 0
    assert packed.max() <= LEVELS * 1.001
    assert np.abs(code.unpack(packed) - values).max() <= code.step / 2 * (1 + 1e-6) + 1e-12


@given(hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(1e-9, 1e6)))
def test_a_packed_value_of_a_log_scale_is_exact_to_a_share(values: np.ndarray) -> None:
    code = code_for(float(values.min()), float(values.max()), log=True)
    share = 10 ** (code.step / 2) - 1
    assert np.abs(code.unpack(code.pack(values)) / values - 1).max() <= share * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize(
    ("low", "high", "step"), [(0.0, 1.0, 1e-4), (1e-7, 1.0, 1e-4), (0.0, 4.85, 1e-3), (0.0, 5e-7, 1e-10)]
)
def test_the_step_is_a_power_of_ten_fit_for_the_range(low: float, high: float, step: float) -> None:
    assert math.isclose(code_for(low, high).step, step)


cells = st.one_of(st.none(), st.floats(0, 10), st.sampled_from([math.nan, math.inf, -math.inf]))


@given(st.lists(st.lists(cells, min_size=1, max_size=6), min_size=1, max_size=6), st.data())
def test_a_packed_heads_table_is_the_table_again(values: list[list[float | None]], data: st.DataObject) -> None:
    pairs = [(layer, head) for layer, row in enumerate(values) for head in range(len(row))]
    table = heads_table(
        values,
        pruned_heads=data.draw(st.lists(st.sampled_from(pairs), max_size=3)),
        vulnerable_heads=data.draw(st.lists(st.sampled_from(pairs), max_size=3)),
    )
    code = code_for(0.0, 10.0)
    frame = pack_heads(table, code)
    json.dumps(frame.to_dict("records"), allow_nan=False)  # no NaN inside a list
    again = unpack(frame)
    for column in ("layer", "head", "kind", "state", "vulnerable"):
        assert again[column].tolist() == table[column].tolist()
    assert np.allclose(again["value"], table["value"], atol=code.step, equal_nan=True)


def test_heads_that_are_not_contiguous_keep_their_ids() -> None:
    import pandas as pd

    table = heads_table(pd.DataFrame({"layer": [0, 0, 2], "head": [1, 5, 0], "value": [1.0, 2.0, 3.0]}))
    assert unpack(pack_heads(table, code_for(1, 3)))[["layer", "head"]].to_numpy().tolist() == [[0, 1], [0, 5], [2, 0]]


def test_groups_keep_their_order() -> None:
    import pandas as pd

    table = pd.concat([heads_table([[1.0, 2.0]], group=name) for name in ("z", "a")], ignore_index=True)
    assert unpack(pack_heads(table, code_for(1, 2)))["group"].tolist() == ["z", "z", "a", "a"]


def test_a_packed_matrix_is_the_matrix_again() -> None:
    weights = np.random.default_rng(0).random((5, 5))
    weights[4, 4] = np.nan
    frame = pack_matrix(weights, code_for(0, 1), masked=None, lengths=[1, 2, 3, 4, 5])
    again = unpack(frame)
    assert len(again) == 15
    assert np.allclose(
        again["weight"], [weights[row.query, row.key] for row in again.itertuples()], atol=1e-4, equal_nan=True
    )
    assert again["kind"].tolist().count("nan") == 1


def test_packed_blocks_are_the_blocks_again() -> None:
    maxima = np.array([[0.5, np.nan], [0.25, 1.0]])
    places = np.arange(8).reshape(2, 2, 2)
    frame = pack_blocks(maxima, places, (10, 20), (15, 33), code_for(0, 1), np.isfinite(maxima))
    again = unpack(frame)
    assert again[["query", "query2", "key", "key2", "at_query", "at_key"]].to_numpy().tolist() == [
        [0, 10, 0, 20, 0, 1],
        [10, 15, 0, 20, 4, 5],
        [10, 15, 20, 33, 6, 7],
    ]
    assert again["weight"].tolist() == [0.5, 0.25, 1.0]
