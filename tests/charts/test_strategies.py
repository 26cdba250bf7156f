from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import altair as alt
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import vl_convert

import headspec
from headspec import plot_recovery_comparison, plot_strategy_comparison
from headspec.errors import DataError
from support import find, mark_counts, svg_of

STAGES = ("baseline", "pruned", "fine_tuned")
HOSTILE = ["</script><script>", "a.b[0]", "/@=", "\x00\x07\x1b", "'+alert(1)+'", "😀"]


def compared(**more: Any) -> dict[str, Any]:
    return {
        "Strategy": ["entropy", "random"],
        "Baseline Perplexity": [20.0, 20.0],
        "Pruned Perplexity": [40.0, 60.0],
        "Fine-tuned Perplexity": [25.0, 30.0],
        **more,
    }


def runs(
    models: Any = ("a", "b"), levels: Any = (0.1, 0.3), strategies: Any = ("x", "y"), seeds: int = 2
) -> pd.DataFrame:
    rows = []
    for place, model in enumerate(models):
        for level in levels:
            for number, strategy in enumerate(strategies):
                for seed in range(seeds):
                    values = (20.0 + place, 30 + 40 * level + 3 * number + seed, 22 + 10 * level + number + seed / 2)
                    rows += [(model, strategy, level, seed, *pair) for pair in zip(STAGES, values, strict=True)]
    return pd.DataFrame(rows, columns=["model", "strategy", "pruning_level", "seed", "stage", "perplexity"])


def texts(chart: Any) -> list[str]:
    root = ET.fromstring(svg_of(chart))
    return [item.text or "" for item in root.iter("{http://www.w3.org/2000/svg}text")]


def notes(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"].get("subtitle", []))


# perplexity --------------------------------------------------------------------------------------------------------


def test_the_old_positional_call() -> None:
    chart = plot_strategy_comparison(pd.DataFrame(compared()), ["random", "entropy"], "gpt2", 0.3)
    assert isinstance(chart, alt.LayerChart)
    spec = chart.to_dict()
    assert "".join(spec["title"]["text"]) == "Perplexity by strategy: gpt2, 30 % pruned"
    assert ["random", "entropy"] in find(spec, "domain")
    assert mark_counts(vl_convert.vegalite_to_svg(spec))["rect"] == 6
    words = texts(chart)
    for figure in ("20", "40", "60", "25", "30"):
        assert figure in words


def test_bars_start_at_zero_and_hold_the_means() -> None:
    chart = plot_strategy_comparison(runs(("a",), (0.3,), seeds=3))
    assert chart.to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"][0] == 0
    table = headspec.to_table(chart)
    assert table.columns.tolist() == [
        "model",
        "strategy",
        "pruning_level",
        "runs",
        "stage",
        "mean",
        "least",
        "greatest",
    ]
    one = table[(table["strategy"] == "y") & (table["stage"] == "pruned")].iloc[0]
    assert (one["mean"], one["least"], one["greatest"], one["runs"]) == (46.0, 45.0, 47.0, 3)
    assert "lines reach from the least to the greatest of 3 seeds each" in notes(chart)
    assert mark_counts(svg_of(chart))["rule"] == 4  # the baselines do not differ


@pytest.mark.parametrize(("factor", "kind"), [(2, "rect"), (29, "rect"), (31, "symbol"), (3000, "symbol")])
def test_a_huge_range_is_dots_on_a_log_axis(factor: float, kind: str) -> None:
    frame = compared(**{"Pruned Perplexity": [20.0 * factor, 21.0]})
    chart = plot_strategy_comparison(frame)
    assert mark_counts(svg_of(chart)).get(kind) == 6
    assert ("log axis" in notes(chart)) == (kind == "symbol")


def test_the_axis_can_be_chosen() -> None:
    assert "rect" in mark_counts(svg_of(plot_strategy_comparison(compared(), scale="linear")))
    assert "log" in find(plot_strategy_comparison(compared(), scale="log").to_dict(), "type")
    with pytest.raises(DataError, match='choose "auto", "linear" or "log"'):
        plot_strategy_comparison(compared(), scale="sqrt")  # type: ignore[arg-type]


def test_diverged_runs_stay_in_sight_and_flatten_nothing() -> None:
    frame = compared(
        Strategy=["entropy", "random", "third"],
        **{
            "Baseline Perplexity": [20.0] * 3,
            "Pruned Perplexity": [40.0, math.inf, 1e60],
            "Fine-tuned Perplexity": [25.0, math.nan, 30.0],
        },
    )
    chart = plot_strategy_comparison(frame)
    assert chart.to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"][1] < 60
    words = texts(chart)
    assert {"NaN", "∞", "→ 1.0e+60"} <= set(words)
    assert "→ is far beyond the others" in notes(chart)
    assert "2 values NaN or infinite" in headspec.summary(chart)


def test_models_and_levels_filter_where_the_table_has_them() -> None:
    frame = runs()
    for level in (0.3, 30, "30 %", "30%"):
        chart = plot_strategy_comparison(frame, None, "b", level)
        assert isinstance(chart, alt.LayerChart)
        table = headspec.to_table(chart)
        assert set(table["model"]) == {"b"}
        assert set(table["pruning_level"]) == {0.3}
    percent = frame.assign(pruning_level=frame["pruning_level"] * 100)
    assert set(headspec.to_table(plot_strategy_comparison(percent, pruning_level=10))["pruning_level"]) == {0.1}
    low = runs(levels=(0.01, 0.02))
    assert set(headspec.to_table(plot_strategy_comparison(low, pruning_level=1))["pruning_level"]) == {0.01}


def test_a_panel_for_each_model_and_level_in_its_place() -> None:
    frame = runs()
    frame = frame[(frame["model"] == "a") | (frame["pruning_level"] == 0.3)]  # b has no 10 %: its place stays empty
    chart = plot_strategy_comparison(frame)
    assert isinstance(chart, alt.VConcatChart)
    svg = svg_of(chart)
    assert mark_counts(svg)["rect"] == 3 * 6
    words = texts(chart)
    order = [word for word in words if "pruned" in word and "·" in word]
    assert order == ["a · 10 % pruned", "a · 30 % pruned", "b · 10 % pruned", "b · 30 % pruned"]
    labels = [
        item for item in ET.fromstring(svg).iter() if item.get("class", "").startswith("mark-text role-legend-label")
    ]
    assert sum(len(list(item)) for item in labels) == 3


def test_too_many_panels_say_how_to_choose() -> None:
    frame = runs([f"m{n}" for n in range(20)], (0.1, 0.3, 0.5), seeds=1)
    with pytest.raises(
        DataError, match=r"20 models at 3 levels; one comparison holds at most 36 panels: choose with model_name"
    ):
        plot_strategy_comparison(frame)
    assert plot_strategy_comparison(frame, model_name="m3")


@pytest.mark.parametrize("draw", [plot_strategy_comparison, plot_recovery_comparison])
def test_what_is_not_there_is_named_with_what_is(draw: Any) -> None:
    with pytest.raises(DataError, match="strategies has z, which the results do not have; there: x and y"):
        draw(runs(), ["x", "z"])
    with pytest.raises(DataError, match="model_name has c, which the results do not have; there: a and b"):
        draw(runs(), None, "c")
    with pytest.raises(DataError, match="pruning_level has 50 %, which the results do not have; there: 10 % and 30 %"):
        draw(runs(), None, None, 0.5)
    with pytest.raises(DataError, match="pruning_level is 'half'; expected a share from 0 to 1, or percent"):
        draw(runs(), None, None, "half")
    with pytest.raises(DataError, match="strategies is empty"):
        draw(runs(), [])


def test_one_strategy_one_stage() -> None:
    chart = plot_strategy_comparison([{"strategy": "s", "stage": "pruned", "perplexity": 30.0}], "s")
    assert mark_counts(svg_of(chart))["rect"] == 1
    assert headspec.summary(chart).startswith("Perplexity by strategy. 1 strategy (s). Pruned 30.")
    with pytest.raises(DataError, match="has no perplexity, only what follows from it; plot_recovery_comparison"):
        plot_strategy_comparison({"Strategy": ["a"], "Recovery %": [50.0]})


@pytest.mark.parametrize("draw", [plot_strategy_comparison, plot_recovery_comparison])
def test_hostile_names_are_text(draw: Any) -> None:
    frame = runs(models=("m",), levels=(0.3,), strategies=HOSTILE)
    spec = draw(frame, HOSTILE, HOSTILE[0] if draw is None else "m", 0.3, title=HOSTILE[3]).to_dict()
    for key in ("field", "expr", "calculate", "filter", "test", "labelExpr"):
        for value in find(spec, key):
            assert not [name for name in HOSTILE if name in str(value)]
    svg = vl_convert.vegalite_to_svg(spec)
    ET.fromstring(svg)
    assert mark_counts(svg)["rect"] == len(HOSTILE) * (3 if draw is plot_strategy_comparison else 2)


@pytest.mark.parametrize("draw", [plot_strategy_comparison, plot_recovery_comparison])
@pytest.mark.parametrize("make", [pl.DataFrame, pa.table])
def test_any_dataframe_gives_the_same_spec(draw: Any, make: Any) -> None:
    frame = runs(("a",))
    assert draw(make(frame.to_dict("list"))).to_dict() == draw(frame).to_dict()


@pytest.mark.parametrize("draw", [plot_strategy_comparison, plot_recovery_comparison])
def test_composition_keeps_scales_apart(draw: Any) -> None:
    one, other = (
        draw(compared()),
        alt.Chart(pd.DataFrame({"x": [1], "c": ["z"]})).mark_point().encode(x="x:Q", color="c:N"),
    )
    for chart in (one | other, other & one):
        compiled = vl_convert.vegalite_to_vega(chart.to_dict())
        scales = [scale for found in find(compiled, "scales") for scale in found if scale["name"].endswith("color")]
        assert len(scales) >= 2
        assert all("z" not in str(scale["domain"]) or "entropy" not in str(scale["domain"]) for scale in scales)
        assert mark_counts(svg_of(chart))["rect"] == (6 if draw is plot_strategy_comparison else 4)


# recovery ----------------------------------------------------------------------------------------------------------


def test_recovery_and_improvement_have_axes_of_their_own() -> None:
    chart = plot_recovery_comparison(pd.DataFrame(compared()), ["entropy", "random"], "gpt2", 0.3)
    assert isinstance(chart, alt.HConcatChart)
    spec = chart.to_dict()
    assert [panel["title"]["text"] for panel in spec["hconcat"]] == ["Recovery, %", "Improvement, %"]
    assert [panel["title"]["subtitle"] for panel in spec["hconcat"]] == [
        "100 · (pruned − fine-tuned) / (pruned − baseline)",
        "100 · (baseline − fine-tuned) / baseline",
    ]
    domains = [panel["layer"][0]["encoding"]["x"]["scale"]["domain"] for panel in spec["hconcat"]]
    assert domains[0] != domains[1]
    assert domains[0][1] > 100
    assert domains[1][0] < -50
    table = headspec.to_table(chart)
    assert table.groupby("metric")["mean"].apply(list).to_dict() == {
        "recovery": [75.0, 75.0],
        "improvement": [-25.0, -50.0],
    }
    assert {"75", "−25", "−50"} <= set(texts(chart))


def test_recovery_that_is_undefined_or_not_measured_says_so() -> None:
    frame = compared(
        Strategy=["entropy", "unhurt", "two"],
        **{
            "Baseline Perplexity": [20.0] * 3,
            "Pruned Perplexity": [40.0, 19.0, 30.0],
            "Fine-tuned Perplexity": [25.0, 18.0, None],
        },
    )
    chart = plot_recovery_comparison(frame)
    words = texts(chart)
    assert "undefined: pruning did not hurt" in words
    assert words.count("not measured") == 2
    assert "10" in words  # improvement is defined all the same
    assert "Recovery is undefined in 1 run, where pruning did not hurt." in headspec.summary(chart)


def test_recovery_far_out_ends_at_the_edge_with_its_number() -> None:
    frame = {"Strategy": ["a", "b", "c"], "Recovery %": [80.0, 11_000.0, -1e58], "Improvement %": [-3.0, 2.0, -1e60]}
    chart = plot_recovery_comparison(frame)
    for panel in chart.to_dict()["hconcat"]:
        low, high = panel["layer"][0]["encoding"]["x"]["scale"]["domain"]
        assert -200 < low < high < 300
    assert {"→ 11,000", "← −1.0e+58", "← −1.0e+60", "80"} <= set(texts(chart))
    assert "→ and ← are far beyond the others" in notes(chart)


def test_ordinary_recovery_beyond_100_is_in_view() -> None:
    frame = {"Strategy": ["a", "b"], "Recovery %": [72.0, 354.0]}
    chart = plot_recovery_comparison(frame)
    assert chart.to_dict()["hconcat"][0]["layer"][0]["encoding"]["x"]["scale"]["domain"][1] > 354
    assert "Improvement, %: not in the results" in texts(chart)


def test_neither_is_an_error() -> None:
    with pytest.raises(DataError, match="neither recovery nor improvement, nor the perplexities that give them"):
        plot_recovery_comparison([{"strategy": "s", "stage": "pruned", "perplexity": 30.0}])


def test_strategies_keep_their_colours_when_others_are_left_out() -> None:
    frame = runs(("a",), (0.3,), strategies=("one", "two", "three"))
    spec = plot_recovery_comparison(frame, ["three", "one"]).to_dict()
    scale = spec["hconcat"][0]["layer"][0]["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True))["three"] == "#009E73"


def test_a_row_of_panels_for_each_model_and_level() -> None:
    chart = plot_recovery_comparison(runs())
    assert mark_counts(svg_of(chart))["rect"] == 2 * 4 * 2
    assert texts(chart).count("a · 10 % pruned") == 2
