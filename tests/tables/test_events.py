from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError, KindError
from headspec.tables.events import COLUMNS, events_per_step, events_table, state_at

ROWS = [(20, 1, 3, "revived"), (10, 0, 2, "pruned"), (10, 1, 3, "pruned"), (30, 1, 3, "pruned")]
SORTED = [(10, 0, 2, "pruned"), (10, 1, 3, "pruned"), (20, 1, 3, "revived"), (30, 1, 3, "pruned")]
DICTS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


def rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(table.itertuples(index=False, name=None))


@pytest.mark.parametrize(
    "events",
    [
        ROWS,
        iter(ROWS),
        [list(row) for row in ROWS],
        DICTS,
        pd.DataFrame(DICTS),
        pl.DataFrame(DICTS).with_columns(score=pl.lit(0.5)),
        pl.DataFrame(DICTS).lazy(),
        {name: [row[place] for row in ROWS] for place, name in enumerate(COLUMNS)},
        [*ROWS, ROWS[0]],  # the same event twice counts once
        [(np.int64(s), np.int32(layer), np.uint8(head), np.str_(event)) for s, layer, head, event in ROWS],
        events_table(ROWS),
    ],
)
def test_every_form_gives_the_same_table(events: Any) -> None:
    table = events_table(events)
    assert list(table.columns) == COLUMNS
    assert rows(table) == SORTED
    assert table.dtypes[["step", "layer", "head"]].tolist() == [np.dtype(np.int64)] * 3


def test_a_history_with_pairs() -> None:
    history = {
        "step": [30, 10, 20],
        "loss": [1.0, 2.0, 3.0],
        "revived_heads": [[(0, 1)], None, []],
        "pruned_heads": [[(0, 1), (2, 3)], [(0, 1), (0, 1)], 0],
    }
    expected = [(10, 0, 1, "pruned"), (30, 0, 1, "pruned"), (30, 2, 3, "pruned"), (30, 0, 1, "revived")]
    assert rows(events_table(history)) == expected
    assert state_at(events_table(history)) == {
        (0, 1): "revived",
        (2, 3): "pruned",
    }  # in both lists: pruned, and revived
    records = [
        {"step": 10, "pruned_heads": [(0, 1)]},
        {"step": 30, "pruned_heads": [(0, 1), (2, 3)], "revived_heads": [[0, 1]]},
    ]
    assert rows(events_table(records)) == expected
    assert rows(events_table({"one": history})) == expected
    polars = pl.DataFrame(
        {"step": [10, 30], "pruned_heads": [[[0, 1]], [[0, 1], [2, 3]]], "revived_heads": [None, [[0, 1]]]}
    )
    assert rows(events_table(polars)) == expected


def test_no_events_is_an_empty_table() -> None:
    table = events_table([])
    assert list(table.columns) == COLUMNS
    assert table.empty
    assert state_at(table) == {}
    assert events_per_step(table).empty


def test_state_is_the_latest_event_of_each_head() -> None:
    table = events_table(ROWS)
    assert state_at(table) == {(0, 2): "pruned", (1, 3): "pruned"}
    assert state_at(table, 29) == {(0, 2): "pruned", (1, 3): "revived"}
    assert state_at(table, 20)[1, 3] == "revived"
    assert state_at(table, 9.5) == {}


def test_counts_per_step() -> None:
    counts = events_per_step(events_table([*ROWS, (20, 0, 0, "pruned")]))
    assert counts.to_dict("list") == {"step": [10, 20, 30], "pruned_heads": [2, 1, 1], "revived_heads": [0, 1, 0]}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([(1, 0, 1, "killed")], ["'killed'", "row 0", "'pruned' and 'revived'"]),
        ([(1, 0, "pruned")], ["events[0]", "(step, layer, head, event)"]),
        ([(1, 0, 1, "pruned"), (1, 0, -1, "pruned")], ["head is -1", "row 1", "from 0"]),
        ([(1, 0.5, 1, "pruned")], ["layer is 0.5", "row 0"]),
        ([(None, 0, 1, "pruned")], ["events['step']", "row 0"]),
        ([{"step": 1, "layer": 0}], ["lacks head and event", "step and layer"]),
        ([{"step": 1, "layer": 0, "head": None, "event": "pruned"}], ["lacks head"]),
        (pd.DataFrame({"step": [1], "layer": [0]}), ["lacks head and event", "step and layer"]),
        ({"step": [1], "pruned_heads": [3]}, ["counts heads", "(layer, head) pairs"]),
        ({"step": [1, 2], "layer": [0], "head": [0], "event": ["pruned"]}, ["step 2, layer 1"]),
        ({"a": {"step": [1], "pruned_heads": [[(0, 0)]]}, "b": {"step": [1], "pruned_heads": [[(0, 0)]]}}, ["a and b"]),
    ],
)
def test_bad_input_is_named(events: Any, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        events_table(events)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("events", [None, 3, "pruned", np.zeros((2, 4))])
def test_wrong_kinds_are_type_errors(events: Any) -> None:
    with pytest.raises(KindError, match="expected"):
        events_table(events)


def test_heads_out_of_range() -> None:
    assert len(events_table(ROWS, shape={0: 3, 1: 4})) == 4
    with pytest.raises(DataError, match="layer 1, head 3"):
        events_table(ROWS, shape={0: 3, 1: 3})
    with pytest.raises(DataError, match="layers are 0"):
        events_table(ROWS, shape={0: 3})


some_events = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 2), st.sampled_from(["pruned", "revived"])),
    max_size=30,
)


@given(some_events, st.integers(-1, 6))
@settings(max_examples=150, deadline=None)
def test_against_a_plain_replay(events: list[tuple[int, int, int, str]], until: int) -> None:
    seen = list(dict.fromkeys(events))  # an event listed twice counts once, where it stands first
    ordered = sorted(seen, key=lambda row: row[0])
    table = events_table(events)
    assert rows(table) == ordered
    state = {}
    for step, layer, head, event in ordered:
        if step <= until:
            state[layer, head] = event
    assert state_at(table, until) == state
    counts = events_per_step(table)
    assert counts["pruned_heads"].sum() == sum(row[3] == "pruned" for row in seen)
    assert counts["revived_heads"].sum() == sum(row[3] == "revived" for row in seen)
    assert counts["step"].tolist() == sorted({row[0] for row in seen})
