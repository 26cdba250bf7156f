from __future__ import annotations

import math
import warnings
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.tables.history import COLUMNS, history_table
from headspec.text import clean

NAN, INF = math.nan, math.inf


def triples(table: pd.DataFrame) -> list[tuple[str, float, Any]]:
    """Return (metric, step, value) with NaN as text, so that lists compare."""
    values = ["nan" if value != value else value for value in table["value"].tolist()]
    return list(zip(table["metric"].astype(str).tolist(), table["step"].tolist(), values, strict=True))


def test_columns_dtypes_and_order() -> None:
    table = history_table({"step": [10, 0, 5], "b": [1, 2, 3], "epoch": [0.5, 0, None], "a": [4.0, 5.0, 6.0]})
    assert list(table.columns) == COLUMNS
    assert table["step"].dtype == np.int64
    assert table["epoch"].dtype == np.float64
    assert table["value"].dtype == np.float64
    assert list(table["metric"].cat.categories) == ["b", "a"]
    assert triples(table) == [("b", 0, 2), ("b", 5, 3), ("b", 10, 1), ("a", 0, 5), ("a", 5, 6), ("a", 10, 4)]
    assert table["epoch"].fillna(-1).tolist() == [0, -1, 0.5] * 2
    assert table["run"].astype(str).unique().tolist() == ["run"]


def test_none_is_not_measured_and_nan_is() -> None:
    table = history_table({"step": [0, 1, 2, 3], "loss": [None, NAN, INF, -INF], "other": [1, 2, 3, None]})
    assert triples(table)[:3] == [("loss", 1, "nan"), ("loss", 2, INF), ("loss", 3, -INF)]
    assert triples(table)[3:] == [("other", 0, 1), ("other", 1, 2), ("other", 2, 3)]


FORMS = {
    "dict of lists": lambda: {"step": [0, 1, 2], "loss": [3.0, None, 1.0], "eval": [None, 2.0, None]},
    "own steps": lambda: {"loss": ([0, 2], [3.0, 1.0]), "eval": {1: 2.0}},
    "own steps beside": lambda: {"step": [0, 1, 2], "loss": [3.0, None, 1.0], "eval": (np.array([1]), [2.0])},
    "list of dicts": lambda: [
        {"step": 0, "loss": 3.0},
        {"step": 1, "eval": 2.0},
        {"step": 2, "loss": 1.0, "eval": None},
    ],
    "tuple of dicts": lambda: ({"step": 0, "loss": 3.0}, {"step": 1, "eval": 2.0}, {"step": 2, "loss": 1.0}),
    "pandas wide": lambda: pd.DataFrame({"step": [0, 1, 2], "loss": [3.0, None, 1.0], "eval": [NAN, 2.0, NAN]}),
    "pandas objects": lambda: pd.DataFrame(
        {"step": [0, 1, 2], "loss": [3, None, 1], "eval": [None, 2, None]}, dtype=object
    ),
    "pandas nullable": lambda: pd.DataFrame({"step": [0, 1, 2], "loss": [3, None, 1], "eval": [None, 2, None]}).astype(
        "Int64"
    ),
    "step as index": lambda: pd.DataFrame({"step": [0, 1, 2], "loss": [3, None, 1], "eval": [None, 2, None]}).set_index(
        "step"
    ),
    "polars": lambda: pl.DataFrame({"step": [0, 1, 2], "loss": [3.0, None, 1.0], "eval": [None, 2.0, None]}),
    "polars lazy": lambda: pl.LazyFrame({"step": [0, 1, 2], "loss": [3.0, None, 1.0], "eval": [None, 2.0, None]}),
    "arrow": lambda: pa.table({"step": [0, 1, 2], "loss": [3.0, None, 1.0], "eval": [None, 2.0, None]}),
    "long": lambda: pd.DataFrame({"step": [2, 1, 0], "metric": ["loss", "eval", "loss"], "value": [1.0, 2.0, 3.0]}),
    "long with nulls": lambda: pl.DataFrame(
        {"step": [0, 1, 1, 2], "metric": ["loss", "loss", "eval", "loss"], "value": [3.0, None, 2.0, 1.0]}
    ),
    "arrays": lambda: {
        "step": np.arange(3),
        "loss": np.ma.masked_invalid([3.0, NAN, 1.0]),
        "eval": [None, np.float32(2), None],
    },
    "series": lambda: {
        "step": pl.Series([0, 1, 2]),
        "loss": pl.Series([3.0, None, 1.0]),
        "eval": pd.Series([NAN, 2.0, NAN]),
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_table(form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = triples(history_table(FORMS[form]()))
    assert sorted(found) == [("eval", 1, 2.0), ("loss", 0, 3.0), ("loss", 2, 1.0)]


def test_nan_and_null_in_frames() -> None:
    polars = history_table(pl.DataFrame({"step": [0, 1, 2], "loss": [1.0, None, NAN]}))
    assert triples(polars) == [("loss", 0, 1.0), ("loss", 2, "nan")]
    arrow = pd.array(pa.array([1.0, None, NAN]), dtype=pd.ArrowDtype(pa.float64()))
    assert triples(history_table(pd.DataFrame({"step": [0, 1, 2], "loss": arrow}))) == triples(polars)
    # a NumPy column cannot tell them apart: not measured in a wide frame, measured in a long one
    assert triples(history_table(pd.DataFrame({"step": [0, 1, 2], "loss": [1.0, NAN, INF]}))) == [
        ("loss", 0, 1.0),
        ("loss", 2, INF),
    ]
    long = pd.DataFrame({"step": [0, 1], "metric": ["loss", "loss"], "value": [1.0, NAN]})
    assert triples(history_table(long)) == [("loss", 0, 1.0), ("loss", 1, "nan")]


def test_torch_and_numpy_scalars_are_read() -> None:
    torch = pytest.importorskip("torch")
    loss = [
        torch.tensor(2.0, requires_grad=True),
        np.float32(1.5),
        torch.tensor(1, dtype=torch.bfloat16),
        Decimal("0.5"),
        True,
    ]
    table = history_table({"step": torch.arange(5), "loss": loss, "lr": torch.linspace(0, 1, 5)})
    assert table["value"].tolist() == [2.0, 1.5, 1.0, 0.5, 1.0, 0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_resumed_run_keeps_the_last_value_of_each_metric() -> None:
    history = {
        "step": [0, 1, 2, 1, 2, 3],
        "loss": [5.0, 4.0, 3.0, 4.5, None, 2.0],  # None at the repeated step 2 was not measured: the 3.0 stays
        "lr": [1.0, 1.0, 1.0, 0.5, NAN, 0.5],
        "epoch": [0, 0, 1, 0.5, 0.75, 1],
    }
    table = history_table(history)
    loss = [("loss", 0, 5), ("loss", 1, 4.5), ("loss", 2, 3), ("loss", 3, 2)]
    assert triples(table) == [*loss, ("lr", 0, 1), ("lr", 1, 0.5), ("lr", 2, "nan"), ("lr", 3, 0.5)]
    assert table["epoch"].tolist() == [0, 0.5, 0.75, 1] * 2
    rows = [dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)]
    pd.testing.assert_frame_equal(history_table(rows), table)


def test_the_epoch_of_a_metric_with_own_steps_is_never_made_up() -> None:
    table = history_table({"step": [0, 10], "epoch": [0, 1], "loss": [2, 1], "eval": ([10, 15], [3, 4])})
    assert table["epoch"].fillna(-1).tolist() == [0, 1, 1, -1]


def test_several_runs() -> None:
    one, two = {"step": [0, 1], "loss": [2.0, 1.0]}, pd.DataFrame({"step": [5], "loss": [7.0]})
    nested = history_table({"b/1": one, "a\n": two, "c": [{"step": 3, "loss": 4}]})
    assert nested["run"].astype(str).tolist() == ["b/1", "b/1", clean("a\n"), "c"]
    assert list(nested["run"].cat.categories) == ["b/1", clean("a\n"), "c"]
    frame = pd.DataFrame({"step": [0, 0, 1], "run": ["x", "y", "x"], "loss": [1, 2, 3]})
    for form in (frame, pl.DataFrame(frame.to_dict("list")), frame.to_dict("list"), frame.to_dict("records")):
        table = history_table(form)
        assert list(zip(table["run"].astype(str), table["step"], table["value"], strict=True)) == [
            ("x", 0, 1),
            ("x", 1, 3),
            ("y", 0, 2),
        ]
    assert history_table(one, run="mine")["run"].unique().tolist() == ["mine"]
    # tables of single runs are put together by their new names
    assert history_table({"p": history_table(one), "q": history_table(two)})["run"].unique().tolist() == ["p", "q"]


def test_head_counts_may_be_lists_of_pairs() -> None:
    history = {
        "step": [1, 2, 3, 4],
        "pruned_heads": [[(0, 1), (0, 1), (2, 0)], [], None, {1: [0, 1, 2]}],
        "revived_heads": [0, 0, 2, 0],
    }
    table = history_table(history)
    assert triples(table) == [("pruned_heads", 1, 2), ("pruned_heads", 2, 0), ("pruned_heads", 4, 3)] + [
        ("revived_heads", step, value) for step, value in ((1, 0), (2, 0), (3, 2), (4, 0))
    ]
    as_text = history_table({"step": [1, 2], "pruned_heads": ["[(0, 1), [2, 0]]", ""]})
    assert triples(as_text) == [("pruned_heads", 1, 2)]
    equal_sizes = history_table({"step": [1, 2], "pruned_heads": [[(0, 1)], [(1, 1)]]})
    assert equal_sizes["value"].tolist() == [1, 1]


def test_what_is_no_number_is_left_out_with_a_warning() -> None:
    history = {"step": [0, 1], "note": ["a\x00", "b"], "entropy": [[1, 2], [3, 4]], "loss": [1, 2]}
    with pytest.warns(
        HeadspecWarning, match=r"left out note \(text\) and entropy \(several values in a row\)"
    ) as caught:
        assert triples(history_table(history)) == [("loss", 0, 1), ("loss", 1, 2)]
    assert caught[0].filename == __file__
    when = pd.to_datetime(["2020-01-01", "2020-01-02"])
    with pytest.warns(HeadspecWarning, match="when"):
        history_table(pd.DataFrame({"step": [0, 1], "when": when, "loss": [1, 2]}))
    with pytest.warns(HeadspecWarning, match="not read: split") as caught:
        history_table(pd.DataFrame({"step": [0], "metric": ["loss"], "value": [1.0], "split": ["train"]}))
    assert caught[0].filename == __file__


def test_numbers_that_json_spells_as_text_are_read() -> None:
    assert triples(history_table({"step": [0, 1, 2], "loss": [1.0, "NaN", "-Infinity"]})) == [
        ("loss", 0, 1.0),
        ("loss", 1, "nan"),
        ("loss", 2, -INF),
    ]


def test_names_are_cleaned() -> None:
    table = history_table({"step": [0], "train\x07loss": [1.0]}, run="a\x1b")
    assert table.loc[0, "metric"] == clean("train\x07loss")
    assert table.loc[0, "run"] == clean("a\x1b")


def test_steps() -> None:
    assert history_table({"step": [0.0, 2.0], "a": [1, 2]})["step"].dtype == np.int64
    assert history_table({"step": [0.5, 2.0], "a": [1, 2]})["step"].tolist() == [0.5, 2.0]
    assert history_table({"global_step": [1], "a": [1]}, step="global_step")["step"].tolist() == [1]
    assert history_table({"step": [2**53 - 1], "a": [1]})["step"].tolist() == [2**53 - 1]


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({}, ["empty", "dict of lists"]),
        ([], ["empty", "list of dicts"]),
        (pd.DataFrame({"step": [], "a": []}), ["without rows", "step and a"]),
        ({"loss": [1, 2]}, ["lacks 'step'", "loss", "step="]),
        ([{"loss": 1}, {"eval": 2}], ["lacks 'step'", "loss and eval"]),
        ([{"step": 1, "loss": 1}, {"eval": 2}], ["metrics_history[1]", "lacks 'step'", "eval"]),
        (pd.DataFrame({"iteration": [1], "loss": [1]}), ["lacks 'step'", "iteration and loss"]),
        ({"step": [1, 2, 3], "loss": [1, 2, 3], "eval": [1]}, ["step 3, loss 3, eval 1", "'eval': (steps, values)"]),
        ({"eval": ([1, 2], [1.0])}, ["2 steps but 1 value", "'eval'"]),
        ({"step": [1, None], "a": [1, 2]}, ["'step'", "row 1"]),
        ({"step": [1, NAN], "a": [1, 2]}, ["'step'", "row 1"]),
        (pd.DataFrame({"step": [1, None], "a": [1, 2]}), ["'step'", "row 1"]),
        ({"step": [2**53 + 1, 0], "a": [1, 2]}, ["2**53", "subtract"]),
        ({"step": [0, 1], "a": [1, "x\x00"]}, ["['a'][1]", "x", "among numbers"]),
        ({"step": [0, 1], "a": [None, None]}, ["no metric"]),
        ({"step": [0, 1], "pruned_heads": [1, -2]}, ["'pruned_heads'", "negative at step 1"]),
        ({"step": [0], "pruned_heads": [[(0, "a")]]}, ["pruned_heads", "(layer, head)"]),
        ({"step": [0, 1], "run": ["a", None], "loss": [1, 2]}, ["'run'", "row 1"]),
        ({"step": [0, 1], "run": [1, "1"], "loss": [1, 2]}, ["read alike"]),
        ({"step": [0, 1], "a\x07": [1, 2], clean("a\x07"): [1, 2]}, ["read alike"]),
        ({"step": [0, 1], "run": ["a", "b"], "loss": [1, 2], "eval": ([0], [1])}, ["eval", "{run: history}"]),
        (pl.DataFrame({"step": [0], "metric": ["a"], "value": ["x"]}), ["'value'", "numbers"]),
        (pl.DataFrame({"step": [0], "metric": [None], "value": [1.0]}), ["'metric'", "row 0"]),
    ],
)
def test_bad_input_is_named(history: Any, words: list[str]) -> None:
    with pytest.raises((DataError, KindError)) as caught:
        history_table(history)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (5, ["builtins.int", "dict of lists"]),
        (None, ["None"]),
        ("history.csv", ["builtins.str"]),
        ({"step": [0], "loss": 3}, ["'loss'", "list with one value per step"]),
        ({"step": ["a"], "loss": [3]}, ["'step'", "text"]),
    ],
)
def test_wrong_kinds_are_type_errors(history: Any, words: list[str]) -> None:
    with pytest.raises(TypeError) as caught:
        history_table(history)
    assert isinstance(caught.value, KindError)
    for word in words:
        assert word in str(caught.value)


def test_a_trainer_is_pointed_at_its_log() -> None:
    trainer = SimpleNamespace(state=SimpleNamespace(log_history=[{"step": 1, "loss": 2.0}]))
    with pytest.raises(KindError, match=r"pass its state\.log_history"):
        history_table(trainer)


def test_a_name_cannot_stand_for_several_runs() -> None:
    frame = pd.DataFrame({"step": [0, 0], "run": ["x", "y"], "loss": [1, 2]})
    with pytest.raises(DataError, match="x and y"):
        history_table(frame, run="z")


numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32), st.integers(-1000, 1000))


@st.composite
def histories(draw: st.DrawFn) -> dict[str, list[Any]]:
    size = draw(st.integers(1, 12))
    steps = draw(st.lists(st.integers(0, 8), min_size=size, max_size=size))
    names = draw(
        st.lists(st.sampled_from(["loss", "eval_loss", "lr", "a b", "x.y[0]"]), min_size=1, max_size=3, unique=True)
    )
    return {"step": steps} | {name: draw(st.lists(numbers, min_size=size, max_size=size)) for name in names}


@given(histories())
@settings(max_examples=150, deadline=None)
def test_long_table_against_a_plain_reading(history: dict[str, list[Any]]) -> None:
    expected: dict[str, dict[int, float]] = {}
    for name, cells in history.items():
        for step, cell in zip(history["step"], cells, strict=True):
            if name != "step" and cell is not None:
                expected.setdefault(name, {})[step] = float(cell)
    if not expected:
        with pytest.raises(DataError):
            history_table(history)
        return
    table = history_table(history)
    found: dict[str, dict[int, float]] = {}
    for metric, step, value in zip(table["metric"], table["step"], table["value"], strict=True):
        assert step not in found.setdefault(metric, {})
        assert not found[metric] or step > max(found[metric])
        found[metric][step] = value
    assert list(found) == [name for name in history if name in expected]
    for name, cells in expected.items():
        assert found[name].keys() == cells.keys()
        for step, value in cells.items():
            np.testing.assert_equal(found[name][step], value)
    # the table is a history too, and so are its rows in any order and as a dict of own steps
    pd.testing.assert_frame_equal(history_table(table), table)
    again = {name: (list(cells), list(cells.values())) for name, cells in found.items()}
    pd.testing.assert_frame_equal(history_table(again), table)
    records = [{"step": step, name: value} for name, cells in found.items() for step, value in reversed(cells.items())]
    pd.testing.assert_frame_equal(history_table(records), table)
