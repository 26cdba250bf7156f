from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.reduce.pairs import LEVELS, WHY, Layout, pack, text_bytes, unpack_pairs, weight_code, with_lists
from headspec.tables.packing import unpack


@given(low=st.floats(-5, 0), width=st.floats(1e-6, 1e6))
def test_a_step_is_a_round_number_and_at_most_a_thousand_of_them_reach_the_top(low: float, width: float) -> None:
    code = weight_code(low, low + width)
    digits = f"{code.step:.0e}".split("e")[0]
    assert digits in ("1", "2", "5")
    levels = (low + width - code.offset) / code.step
    assert LEVELS * 0.39 <= levels + 1 <= LEVELS + 2
    assert code.offset <= low + 1e-6 * code.step


@given(
    heads=st.integers(1, 3),
    size=st.integers(1, 12),
    causal=st.booleans(),
    kinds=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_weights_come_back_to_half_a_step_and_kinds_apart(
    heads: int, size: int, causal: bool, kinds: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((heads, size, size)) * 0.7
    kind = np.full(values.shape, "value", dtype=object)
    where = rng.random(values.shape) < kinds
    kind[where] = rng.choice(WHY, size=int(where.sum()))
    kind[:, np.tile(rng.random(size) < kinds, (size, 1))] = "masked"  # a mask is that of all heads
    for name, value in (("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("masked", np.nan)):
        values[kind == name] = value
    masked = (kind == "masked").all(axis=0)
    kind[(kind == "masked") & ~masked] = "nan"
    code = weight_code(0.0, 0.7)
    layout = Layout(size, size, (1, 1), causal)
    packed = pack(values, layout, code, masked)
    assert packed.shape == (heads, layout.length)
    assert text_bytes(packed) == sum(len(json.dumps(row, separators=(",", ":"))) + 1 for row in packed.tolist())
    base = pd.DataFrame({"layer": 0, "head": range(heads), "entropy": rng.random(heads)})
    frame = with_lists(base, list(packed), [0] * heads, [layout], [(size, size)], code)
    table = unpack(frame)
    assert len(table) == heads * (size * (size + 1) // 2 if causal else size * size)
    query, key, head = (table[name].to_numpy() for name in ("query", "key", "head"))
    assert (key <= query).all() or not causal
    assert table["kind"].tolist() == kind[head, query, key].tolist()
    given_value = values[head, query, key]
    finite = (table["kind"] == "value").to_numpy()
    assert np.allclose(table["weight"].to_numpy()[finite], given_value[finite], atol=0.5 * code.step * 1.001)
    assert np.isnan(table["weight"].to_numpy()[~finite]).all()
    assert np.array_equal(table["entropy"].to_numpy(), base["entropy"].to_numpy()[head])


def test_a_log_code_is_exact_to_its_share_and_ends_at_its_low_end() -> None:
    values = np.array([[[1.0, 0.5], [1e-3, 0.0]]])
    code = weight_code(1e-4, 1.0, log=True)
    layout = Layout(2, 2, (1, 1), False)
    packed = pack(values, layout, code, None)
    frame = with_lists(pd.DataFrame({"layer": [0], "head": [0]}), list(packed), [0], [layout], [(2, 2)], code)
    weights = unpack_pairs(frame)["weight"].to_numpy()
    assert np.allclose(weights[:3], [1.0, 0.5, 1e-3], rtol=10 ** (code.step / 2) - 1)
    assert weights[3] == pytest.approx(1e-4)


def test_layouts_of_several_shapes_and_blocks_are_unpacked_each_by_its_own() -> None:
    layouts = [Layout(2, 2, (3, 3), True), Layout(1, 2, (3, 3), False)]
    lists: list[Any] = [np.array([5, 6, 7]), np.array([8, -4])]
    frame = with_lists(
        pd.DataFrame({"layer": [0, 1], "head": [0, 0]}),
        lists,
        [0, 1],
        layouts,
        [(5, 5), (2, 4)],
        weight_code(0.0, 1.0),
    )
    table = unpack(frame)
    assert table[["layer", "query", "last_query", "key", "last_key"]].values.tolist() == [
        [0, 0, 2, 0, 2],
        [0, 3, 4, 0, 2],
        [0, 3, 4, 3, 4],
        [1, 0, 1, 0, 2],
        [1, 0, 1, 3, 3],
    ]
    assert table["kind"].tolist() == ["value"] * 4 + ["masked"]
