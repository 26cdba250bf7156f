from __future__ import annotations

import itertools
import math
import warnings
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec import results_table
from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.tables.result_derive import read_runs
from headspec.tables.result_groups import group_runs

COLUMNS = ["model", "strategy", "pruning_level", "seed", "stage", "metric", "value"]
STAGES = ("baseline", "pruned", "fine_tuned")


def wide(
    models: Any = ("gpt2",), strategies: Any = ("entropy", "random"), levels: Any = (0.1, 0.3), seeds: Any = (0, 1)
) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for model, strategy, level, seed in itertools.product(models, strategies, levels, seeds):
        values = (20.0, round(25 + 30 * level + rng.random(), 3), round(21 + 5 * rng.random(), 3))
        keys = {"model": model, "strategy": strategy, "pruning_level": level, "seed": seed}
        rows += [{**keys, "stage": stage, "perplexity": value} for stage, value in zip(STAGES, values, strict=True)]
    return pd.DataFrame(rows)


def comparison(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["model", "strategy", "pruning_level", "seed"]
    out = frame.pivot(index=keys, columns="stage", values="perplexity").reset_index()
    base, cut, tuned = (out[stage] for stage in STAGES)
    return pd.DataFrame(
        {
            "Model": out["model"],
            "Strategy": out["strategy"],
            "Pruning Level": out["pruning_level"],
            "Seed": out["seed"],
            "Baseline Perplexity": base,
            "Pruned Perplexity": cut,
            "Fine-tuned Perplexity": tuned,
            "Recovery %": (100 * (cut - tuned) / (cut - base)).round(2),
            "Improvement %": (100 * (base - tuned) / base).round(2),
        }
    )


def values(table: pd.DataFrame, metric: str, **keys: Any) -> list[float]:
    chosen = table[table["metric"] == metric]
    for key, value in keys.items():
        chosen = chosen[chosen[key] == value]
    return chosen["value"].tolist()


def rows(*cells: tuple[Any, ...], names: str = "strategy pruning_level stage perplexity") -> list[dict[str, Any]]:
    return [dict(zip(names.split(), row, strict=True)) for row in cells]


# what follows ------------------------------------------------------------------------------------------------------


def test_a_row_per_stage_gives_what_follows_from_the_perplexities() -> None:
    table = results_table(
        rows(("e", 0.3, "baseline", 20.0), ("e", 0.3, "pruned", 40.0), ("e", 0.3, "fine_tuned", 25.0))
    )
    assert table.columns.tolist() == COLUMNS
    found = list(zip(table["stage"], table["metric"], table["value"], strict=True))
    assert found == [
        ("baseline", "perplexity", 20.0),
        ("pruned", "perplexity", 40.0),
        ("pruned", "perplexity_change", 20.0),
        ("fine_tuned", "perplexity", 25.0),
        ("fine_tuned", "perplexity_change_from_pruned", -15.0),
        ("fine_tuned", "perplexity_change_from_baseline", 5.0),
        ("fine_tuned", "recovery_percentage", 75.0),
        ("fine_tuned", "improvement_percentage", -25.0),
    ]


def test_the_three_shapes_give_the_same_table() -> None:
    frame = wide(models=("b", "a"))
    table = results_table(frame)
    other = results_table(comparison(frame))
    keys = ["model", "strategy", "pruning_level", "seed", "stage", "metric"]
    text = dict.fromkeys(("model", "strategy"), str)
    pd.testing.assert_frame_equal(
        table.astype(text).sort_values(keys, ignore_index=True), other.astype(text).sort_values(keys, ignore_index=True)
    )
    pd.testing.assert_frame_equal(results_table(table), table)


def test_dtypes_are_those_of_the_contract() -> None:
    table = results_table(wide())
    for name in ("model", "strategy", "stage", "metric"):
        assert isinstance(table[name].dtype, pd.CategoricalDtype)
        assert table[name].cat.ordered
    assert table["pruning_level"].dtype == "float64"
    assert table["value"].dtype == "float64"
    assert str(table["seed"].dtype) == "Int64"


def test_two_stages_only() -> None:
    table = results_table(rows(("e", 0.1, "baseline", 20.0), ("e", 0.1, "pruned", 21.0)))
    assert set(table["metric"]) == {"perplexity", "perplexity_change"}
    compared = results_table(
        [{"Strategy": "e", "Baseline Perplexity": 20.0, "Pruned Perplexity": 21.0, "Fine-tuned Perplexity": None}]
    )
    assert set(compared["stage"]) == {"baseline", "pruned"}


def test_recovery_where_pruning_did_not_hurt_is_a_row_without_a_value() -> None:
    table = results_table(
        [{"Strategy": "e", "Baseline Perplexity": 20, "Pruned Perplexity": 19, "Fine-tuned Perplexity": 18}]
    )
    assert math.isnan(values(table, "recovery_percentage")[0])
    assert values(table, "improvement_percentage") == [10.0]


def test_nan_and_infinite_perplexities_stay() -> None:
    table = results_table(
        rows(("e", 0.3, "baseline", 20.0), ("e", 0.3, "pruned", math.inf), ("e", 0.3, "fine_tuned", math.nan))
    )
    found = values(table, "perplexity")
    assert found[:2] == [20.0, math.inf]
    assert math.isnan(found[2])
    assert values(table, "perplexity_change") == [math.inf]


def test_missing_perplexities_follow_from_given_changes() -> None:
    table = results_table(
        rows(
            ("e", 0.3, "pruned", 40.0, 20.0, None),
            ("e", 0.3, "fine_tuned", 25.0, None, -15.0),
            names="strategy pruning_level stage perplexity perplexity_change perplexity_change_from_pruned",
        )
    )
    assert values(table, "perplexity", stage="baseline") == [20.0]
    assert values(table, "recovery_percentage") == [75.0]


def test_given_measures_stand_where_nothing_can_be_computed() -> None:
    table = results_table([{"Strategy": "e", "Recovery %": 80.0, "Improvement %": -3.0}])
    assert values(table, "recovery_percentage") == [80.0]
    assert values(table, "improvement_percentage") == [-3.0]
    assert "perplexity" not in set(table["metric"])


# given values are checked ------------------------------------------------------------------------------------------


def test_rounded_values_are_taken_without_a_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results_table(comparison(wide()))
        results_table(comparison(wide()).round(1).assign(**{"Recovery %": lambda t: t["Recovery %"].round(0)}))


def test_a_wrong_value_is_named_and_computed_anew() -> None:
    frame = pd.DataFrame({"Model": "m", "Strategy": ["a", "b"], "Baseline Perplexity": 20.0, "Pruned Perplexity": 40.0})
    frame = frame.assign(
        **{"Fine-tuned Perplexity": [25.0, 30.0], "Recovery %": [75.0, 60.0], "Improvement %": [-25.0, -50.0]}
    )
    with pytest.warns(HeadspecWarning) as caught:
        table = results_table(frame)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "recovery_percentage differs in 1 run" in message
    assert "m · b: given 60, computed 50" in message
    assert "the computed values are used" in message
    assert caught[0].filename == __file__
    assert values(table, "recovery_percentage") == [75.0, 50.0]


def test_a_recovery_given_where_it_is_undefined_is_said() -> None:
    frame = {
        "Strategy": ["a"],
        "Baseline Perplexity": [20.0],
        "Pruned Perplexity": [19.0],
        "Fine-tuned Perplexity": [18.0],
    }
    with pytest.warns(HeadspecWarning, match="undefined where pruning did not hurt"):
        table = results_table(frame | {"Recovery %": [100.0]})
    assert math.isnan(values(table, "recovery_percentage")[0])


def test_single_precision_is_no_mistake() -> None:
    frame = comparison(wide()).astype(
        dict.fromkeys(("Baseline Perplexity", "Pruned Perplexity", "Recovery %"), "float32")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results_table(frame)


# names, levels, seeds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stage", ["fine_tuned", "fine-tuned", "Fine Tuned", "finetuned", "FINE_TUNED", "after fine-tuning", "fine_tuning"]
)
def test_stages_by_any_name(stage: str) -> None:
    table = results_table(rows(("e", 0.3, "Baseline", 20.0), ("e", 0.3, "PRUNED", 40.0), ("e", 0.3, stage, 25.0)))
    assert values(table, "recovery_percentage") == [75.0]


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ((0.1, 0.5, 1.0), [0.1, 0.5, 1.0]),
        ((10, 50, 100), [0.1, 0.5, 1.0]),
        ((1, 5, 10), [0.01, 0.05, 0.1]),
        (("10%", "50 %", "100%"), [0.1, 0.5, 1.0]),
        (("0.1", "0.5", "1"), [0.1, 0.5, 1.0]),
        ((0, 1), [0.0, 1.0]),
    ],
)
def test_levels_as_shares_percent_and_text(given: tuple[Any, ...], shares: list[float]) -> None:
    table = results_table([{"Strategy": "e", "Level": level, "Recovery %": 50.0} for level in given])
    assert table["pruning_level"].tolist() == shares


def test_the_unit_of_levels_can_be_said() -> None:
    one = [{"Strategy": "e", "Level": 1, "Recovery %": 50.0}]
    assert results_table(one)["pruning_level"].tolist() == [1.0]
    assert results_table(one, level_unit="percent")["pruning_level"].tolist() == [0.01]
    assert results_table([{"Strategy": "e", "Pruning Percent": 1, "Recovery %": 50.0}])["pruning_level"].tolist() == [
        0.01
    ]
    with pytest.raises(DataError, match='level_unit="percent" reads 1 as one percent'):
        results_table([{"Strategy": "e", "Level": 10, "Recovery %": 50.0}], level_unit="fraction")
    assert "pruning levels read as percent" in read_runs([{"Strategy": "e", "Level": 10, "Recovery %": 5.0}]).notes


def test_names_keep_the_order_given_and_are_cleaned() -> None:
    names = ["zeta", "a.b[0]", "</script>", "/@=", "\x00bell\x07", "😀", "alpha"]
    table = results_table([{"strategy": name, "recovery": 1.0} for name in names])
    assert table["strategy"].cat.categories.tolist()[:4] == names[:4]
    assert not any(char in "".join(table["strategy"]) for char in "\x00\x07")


@pytest.mark.parametrize("kind", ["str", object])
def test_names_that_come_late_in_a_long_table_are_found(kind: Any) -> None:
    names = [*["b", "a"] * 3_000, "late", None, "a", "later", "late"]
    frame = pd.DataFrame({"strategy": names, "seed": range(len(names)), "recovery": 1.0})
    table = results_table(frame.astype({"strategy": kind}))
    assert table["strategy"].cat.categories.tolist() == ["b", "a", "late", "later"]
    given = dict(zip(frame["seed"], names, strict=True))
    for seed, name in zip(table["seed"], table["strategy"], strict=True):
        assert (None if pd.isna(name) else name) == given[seed]


def test_categories_keep_their_own_order() -> None:
    frame = wide(strategies=("b", "a"))
    frame["strategy"] = pd.Categorical(frame["strategy"], categories=["unused", "a", "b"])
    assert results_table(frame)["strategy"].cat.categories.tolist() == ["a", "b"]
    other = pl.DataFrame(
        {"strategy": ["b", "a"], "recovery": [1.0, 2.0]}, schema_overrides={"strategy": pl.Enum(["a", "b"])}
    )
    assert results_table(other)["strategy"].tolist() == ["a", "b"]


def test_levels_keep_the_order_of_a_strategy_that_has_them_all() -> None:
    def levels(*given: tuple[str, float]) -> list[float]:
        table = results_table([{"strategy": name, "level": level, "recovery": 1.0} for name, level in given])
        return read_runs(table).labels["pruning_level"]

    assert levels(("a", 0.5), ("a", 0.1), ("a", 0.3)) == [0.5, 0.1, 0.3]
    assert levels(("a", 0.3), ("a", 0.5), ("b", 0.1), ("b", 0.3), ("b", 0.5)) == [0.1, 0.3, 0.5]
    assert levels(("a", 0.5), ("a", 0.3), ("b", 0.1), ("b", 0.3)) == [0.1, 0.3, 0.5]


def test_seeds_are_numbers_or_text() -> None:
    frame = wide(seeds=(0, 1)).astype({"seed": float})
    assert results_table(frame)["seed"].unique().tolist() == [0, 1]
    frame["seed"] = frame["seed"].map({0.0: "first", 1.0: "2"})
    assert results_table(frame)["seed"].unique().tolist() == ["first", "2"]
    assert results_table(frame.drop(columns="seed").iloc[:3])["seed"].isna().all()


def test_columns_can_be_named() -> None:
    frame = wide().rename(columns={"strategy": "pruner", "perplexity": "score"})
    table = results_table(frame, columns={"strategy": "pruner", "perplexity": "score"})
    pd.testing.assert_frame_equal(table, results_table(wide()))


# baselines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [None, "", "none", "Baseline", math.nan])
@pytest.mark.parametrize("level", [None, 0, math.nan])
def test_a_baseline_that_stands_once_is_that_of_all(strategy: Any, level: Any) -> None:
    frame = wide(models=("a", "b"))
    once = [
        {"model": model, "strategy": strategy, "pruning_level": level, "stage": "baseline", "perplexity": 20.0}
        for model in "ab"
    ]
    table = results_table(pd.concat([pd.DataFrame(once), frame[frame["stage"] != "baseline"]], ignore_index=True))
    pd.testing.assert_frame_equal(table, results_table(frame), check_categorical=False)


def test_the_most_particular_baseline_is_used() -> None:
    names = "model strategy pruning_level seed stage perplexity"
    runs = [("m", s, 0.3, k, "pruned", 40.0) for s in "ab" for k in (0, 1)]
    baselines = [
        ("m", None, None, None, "baseline", 20.0),
        ("m", None, None, 1, "baseline", 21.0),
        ("m", "b", None, None, "baseline", 22.0),
    ]
    table = results_table(rows(*baselines, *runs, names=names))
    found = table[(table["stage"] == "baseline")].set_index(["strategy", "seed"])["value"].to_dict()
    assert found == {("a", 0): 20.0, ("a", 1): 21.0, ("b", 0): 22.0, ("b", 1): 22.0}


def test_one_baseline_of_the_model_serves_a_strategy_without() -> None:
    table = results_table(rows(("a", 0.3, "baseline", 20.0), ("a", 0.3, "pruned", 40.0), ("b", 0.3, "pruned", 60.0)))
    assert values(table, "perplexity_change") == [20.0, 40.0]
    none = rows(
        ("a", 0.3, "baseline", 20.0),
        ("a", 0.5, "baseline", 21.0),
        ("a", 0.3, "pruned", 40.0),
        ("b", 0.3, "pruned", 60.0),
    )
    assert values(results_table(none), "perplexity_change") == [20.0]
    assert "1 run without a baseline" in read_runs(none).notes


def test_a_baseline_alone_is_kept() -> None:
    table = results_table(rows((None, None, "baseline", 20.0)))
    assert table["value"].tolist() == [20.0]


def test_two_baselines_for_the_same_runs_are_an_error() -> None:
    frame = rows((None, None, "baseline", 20.0), ("none", 0, "baseline", 21.0), ("a", 0.3, "pruned", 40.0))
    with pytest.raises(DataError, match=r"two baselines for the same runs: .*20.*21.*"):
        results_table(frame)


# input of any library ----------------------------------------------------------------------------------------------

MAKERS: dict[str, Any] = {
    "pandas": lambda frame: frame,
    "pandas nullable": lambda frame: frame.convert_dtypes(),
    "pandas arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "pandas object": lambda frame: frame.astype(object),
    "pandas text": lambda frame: frame.astype(str),
    "polars": lambda frame: pl.DataFrame(frame.to_dict("list")),
    "polars lazy": lambda frame: pl.DataFrame(frame.to_dict("list")).lazy(),
    "pyarrow": lambda frame: pa.table(frame.to_dict("list")),
    "rows": lambda frame: frame.to_dict("records"),
    "tuple of rows": lambda frame: tuple(frame.to_dict("records")),
    "columns": lambda frame: frame.to_dict("list"),
    "columns of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "narwhals": lambda frame: nw.from_native(frame),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_of_frame_gives_the_same_table(kind: str) -> None:
    frame = wide(models=("b", "a"), seeds=(3, 1))
    pd.testing.assert_frame_equal(results_table(MAKERS[kind](frame)), results_table(frame))


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "rows", "columns"])
def test_null_and_nan_are_kept_apart(kind: str) -> None:
    given = {
        "Strategy": ["a", "b"],
        "Baseline Perplexity": [20.0, 20.0],
        "Pruned Perplexity": [40.0, 40.0],
        "Fine-tuned Perplexity": [None, math.nan],
    }
    makers = {
        "polars": lambda: pl.DataFrame(given, strict=False),
        "pyarrow": lambda: pa.table(given),
        "rows": lambda: [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)],
        "columns": lambda: given,
    }
    table = results_table(makers[kind]())
    tuned = table[table["stage"] == "fine_tuned"]
    assert tuned["strategy"].unique().tolist() == ["b"]
    assert tuned.loc[tuned["metric"] == "perplexity", "value"].isna().all()


def test_a_path_is_read(tmp_path: Path) -> None:
    wide().to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(results_table(tmp_path / "a.csv"), results_table(wide()))
    pd.testing.assert_frame_equal(results_table(str(tmp_path / "a.csv")), results_table(wide()))


# errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"stage": "pruned", "perplexity": 1.0}], "no column for the strategy; its columns are: stage and perplexity"),
        (
            [{"strategy": "a", "stage": "pruned", "loss": 1.0}],
            r"no column for the perplexity.*columns are: strategy, stage and loss",
        ),
        ([{"strategy": "a", "score": 1.0}], "no column for the stage, and none that compares stages"),
        ([{"strategy": "a", "metric": "perplexity", "value": 1.0}], "no column for the stage beside metric and value"),
        ([{"strategy": "a", "stage": "pruned", "metric": "bleu", "value": 1}], "metric has bleu; expected perplexity"),
        (rows(("a", 0.3, "quantized", 1.0)), "stage has quantized; stages are baseline, pruned and fine_tuned"),
        (rows(("a", 0.3, None, 1.0), ("a", 0.3, "pruned", 1.0)), "stage is blank in row 0"),
        (rows(("a", 0.3, "pruned", "1,234.5")), r"perplexity holds '1,234.5' in row 0 \(from 0\); expected a number"),
        (rows(("a", 0.3, "pruned", 2.0), ("a", 0.3, "baseline", "n. a.")), "perplexity holds 'n. a.' in row 1"),
        (rows(("a", 0.3, "pruned", 0.0)), r"the pruned perplexity in row 0 \(from 0\) is 0; a perplexity is above 0"),
        (rows(("a", 0.3, "pruned", -3.0)), "a perplexity is above 0"),
        (rows(("a", 0.3, "pruned", True)), "expected numbers|expected a number"),
        (rows(("a", 0.3, "pruned", 1 + 2j)), "expected a number"),
        (rows(("a", -0.3, "pruned", 2.0)), "pruning_level has -0.3; expected shares of the heads from 0 to 1"),
        (rows(("a", 200, "pruned", 2.0)), "pruning_level has 200"),
        (rows(("a", "many", "pruned", 2.0)), "pruning_level holds 'many' in row 0"),
        ([{"Strategy": "a", "strategy": "b", "stage": "pruned", "perplexity": 1.0, "method": "c"}], None),
        ([{"Strategy": "a", "Method": "b", "recovery": 1.0}], "both 'Strategy' and 'Method' for strategy"),
        ([], "has no rows"),
        (
            pd.DataFrame({"strategy": [], "stage": [], "perplexity": []}),
            "has no rows; its columns are: strategy, stage and perplexity",
        ),
        ({"strategy": ["a"], "recovery": [1.0, 2.0]}, "columns of unequal lengths: strategy 1 and recovery 2"),
    ],
)
def test_errors_name_what_is_wrong(given: Any, message: str | None) -> None:
    if message is None:
        assert results_table(given)["strategy"].tolist() == ["b"]
        return
    with pytest.raises(DataError, match=message):
        results_table(given)


@pytest.mark.parametrize("given", [3, None, object(), [1, 2], {"strategy": "a"}, pd.Series([1.0]), np.zeros((2, 2))])
def test_what_is_no_table_is_a_kind_error(given: Any) -> None:
    with pytest.raises(KindError):
        results_table(given)


def test_several_columns_of_one_name() -> None:
    frame = wide()
    frame.columns = ["model", "strategy", "strategy", "seed", "stage", "perplexity"]
    with pytest.raises(ValueError, match="strategy"):
        results_table(frame)


def test_wrong_names_of_columns() -> None:
    with pytest.raises(DataError, match="columns has a key 'strat'; its keys are: model, strategy"):
        results_table(wide(), columns={"strat": "strategy"})
    with pytest.raises(DataError, match="results has no column 'pruner'"):
        results_table(wide(), columns={"strategy": "pruner"})


def test_repeated_rows() -> None:
    frame = wide()
    with pytest.warns(HeadspecWarning, match="repeats 3 values word for word"):
        table = results_table(pd.concat([frame, frame.iloc[:3]], ignore_index=True))
    pd.testing.assert_frame_equal(table, results_table(frame))
    other = frame.iloc[[1]].assign(perplexity=99.0)
    with pytest.raises(
        DataError, match=r"several pruned rows with different perplexity for gpt2 · entropy · 10 % · seed 0.*99.*seed"
    ):
        results_table(pd.concat([frame, other], ignore_index=True))
    with pytest.raises(DataError, match="repeats need a seed column"):
        results_table(frame.drop(columns="seed"))


# hypothesis --------------------------------------------------------------------------------------------------------

VALUE = st.one_of(st.floats(1.0, 1e6), st.sampled_from([math.nan, math.inf, 1e60]))


@st.composite
def tables(draw: Any, least: int = 1) -> pd.DataFrame:
    levels = draw(st.lists(st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 1.0]), min_size=1, max_size=4, unique=True))
    names = draw(st.lists(st.text(min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=3, unique=True))
    found = []
    for name, level, seed in itertools.product(names, levels, range(draw(st.integers(1, 3)))):
        for stage in STAGES[: draw(st.integers(least, 3))]:
            found.append(("m", name, level, seed, stage, draw(VALUE)))
    return pd.DataFrame(found, columns=["model", "strategy", "pruning_level", "seed", "stage", "perplexity"])


@settings(max_examples=60, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_any_order_of_rows_gives_the_same_numbers(frame: pd.DataFrame, random: Any) -> None:
    try:
        table = results_table(frame)
    except DataError:  # names that become one when cleaned
        return
    order = list(range(len(frame)))
    random.shuffle(order)
    other = results_table(frame.iloc[order].reset_index(drop=True))
    keys = COLUMNS[:-1]
    plain = {"model": str, "strategy": str, "stage": str, "metric": str}
    pd.testing.assert_frame_equal(
        table.astype(plain).sort_values(keys, ignore_index=True),
        other.astype(plain).sort_values(keys, ignore_index=True),
    )
    perplexities = table[table["metric"] == "perplexity"]
    assert sorted(perplexities["value"].fillna(-1)) == sorted(frame["perplexity"].fillna(-1))


@settings(max_examples=40, deadline=None)
@given(tables(least=2))  # a baseline alone is in no group
def test_groups_agree_with_pandas(frame: pd.DataFrame) -> None:
    try:
        runs = read_runs(frame)
    except DataError:
        return
    groups = group_runs(runs)
    long = results_table(frame)
    finite = long[(long["metric"] == "perplexity") & np.isfinite(long["value"])]
    for place in range(len(groups)):
        name, level = groups.strategies[groups.strategy[place]], groups.levels[groups.level[place]]
        of_group = finite[(finite["strategy"] == name) & (finite["pruning_level"] == level)]
        for stage in STAGES:
            chosen = of_group.loc[of_group["stage"] == stage, "value"]
            spread = groups.spreads[stage]
            assert spread.finite[place] == len(chosen)
            if len(chosen):
                assert spread.mean[place] == pytest.approx(chosen.mean(), rel=1e-12)
                assert (spread.low[place], spread.high[place]) == (chosen.min(), chosen.max())
            else:
                assert math.isnan(spread.mean[place])


# groups ------------------------------------------------------------------------------------------------------------


def test_effects_are_relative_and_recovery_is_that_of_each_seed() -> None:
    frame = [
        {"Strategy": "e", "Seed": 0, "Baseline Perplexity": 20, "Pruned Perplexity": 40, "Fine-tuned Perplexity": 30},
        {"Strategy": "e", "Seed": 1, "Baseline Perplexity": 20, "Pruned Perplexity": 30, "Fine-tuned Perplexity": 15},
    ]
    spreads = group_runs(read_runs(frame)).spreads
    assert spreads["recovery"].mean.tolist() == [(50 + 150) / 2]
    assert spreads["pruning_effect"].mean.tolist() == [75.0]
    assert spreads["tuning_effect"].mean.tolist() == [-37.5]
    assert spreads["final_change"].mean.tolist() == [12.5]
    assert (spreads["final_change"].low[0], spreads["final_change"].high[0]) == (-25.0, 50.0)
    assert spreads["improvement"].mean.tolist() == [-12.5]


def test_what_is_not_finite_is_counted_and_left_out_of_means() -> None:
    frame = [
        {
            "Strategy": "e",
            "Seed": seed,
            "Baseline Perplexity": 20.0,
            "Pruned Perplexity": 40.0,
            "Fine-tuned Perplexity": tuned,
        }
        for seed, tuned in enumerate([30.0, math.nan, math.inf])
    ]
    spread = group_runs(read_runs(frame)).spreads["fine_tuned"]
    assert (spread.mean[0], spread.finite[0], spread.nan[0], spread.infinite[0]) == (30.0, 1, 1, 1)


def test_many_levels_are_put_together_and_said() -> None:
    frame = pd.DataFrame({"strategy": "a", "level": np.linspace(0.01, 0.99, 80), "recovery": 50.0})
    groups = group_runs(read_runs(frame))
    assert len(groups.levels) <= 21
    assert groups.runs.sum() == 80
    assert any("80 pruning levels put together by the nearest 5 %" in note for note in groups.notes)


def test_large_values_do_not_overflow_their_mean() -> None:
    frame = [{"strategy": "a", "seed": seed, "stage": "pruned", "perplexity": 1.5e308} for seed in range(3)]
    assert group_runs(read_runs(frame)).spreads["pruned"].mean.tolist() == [1.5e308]
