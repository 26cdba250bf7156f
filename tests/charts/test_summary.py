from __future__ import annotations

import itertools
import json
import math
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

import headspec
from headspec import plot_experiment_summary
from headspec.charts.ranges import Bent, bent, robust, short_names, significant
from headspec.errors import DataError
from support import find, mark_counts, svg_of

STAGES = ("baseline", "pruned", "fine_tuned")
HOSTILE = ["</script><script>", "a.b[0]", "/@=", "\x00\x07\x1b", "'+alert(1)+'", "😀", "x" * 80]


def runs(
    models: Any = ("gpt2", "opt"), strategies: Any = ("entropy", "random"), levels: Any = (0.1, 0.5), seeds: int = 2
) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = []
    for place, model in enumerate(models):
        for strategy, level, seed in itertools.product(strategies, levels, range(seeds)):
            base = 20.0 + 10 * place
            cut = base * (1 + level + rng.random() / 4)
            tuned = base + (cut - base) * rng.uniform(0.1, 0.6)
            for stage, value in zip(STAGES, (base, cut, tuned), strict=True):
                rows.append((model, strategy, level, seed, stage, value))
    return pd.DataFrame(rows, columns=["model", "strategy", "pruning_level", "seed", "stage", "perplexity"])


def drawn(chart: Any) -> str:
    """Return the chart's SVG, drawn once."""
    if id(chart) not in DRAWN:
        DRAWN[id(chart)] = chart, svg_of(chart)
    return DRAWN[id(chart)][1]


DRAWN: dict[int, tuple[Any, str]] = {}


def where(frame: pd.DataFrame, **keys: Any) -> pd.Series:
    mask = pd.Series(True, index=frame.index)
    for key, value in keys.items():
        mask &= frame[key] == value
    return mask


def cells(chart: Any, panel: int, kind: str = "symbol") -> list[int]:
    """Count the marks of a kind in each cell of a panel, row by row."""
    root = ET.fromstring(drawn(chart))
    group = next(item for item in root.iter() if f"concat_{panel}_cell" in item.get("class", "").split())
    found = []
    for cell in group:
        place = tuple(map(float, cell.get("transform", "translate(0,0)")[10:-1].split(",")))
        marks = [item for item in cell.iter() if item.get("class", "").startswith(f"mark-{kind} role-mark")]
        found.append((place[1], place[0], sum(len(list(item)) for item in marks)))
    return [count for _, _, count in sorted(found)]


def panels(chart: Any) -> list[dict[str, Any]]:
    return chart.to_dict()["vconcat"]


def notes(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"].get("subtitle", []))


# what is drawn -----------------------------------------------------------------------------------------------------


def test_four_panels_with_every_group_in_each() -> None:
    frame = runs(models=("a", "b", "c"), strategies=("x", "y", "z"), levels=(0.1, 0.3))
    chart = plot_experiment_summary(frame)
    assert isinstance(chart, alt.VConcatChart)
    assert [panel["title"]["text"] for panel in panels(chart)] == [
        "Perplexity at each stage",
        "Recovery, %",
        "Effect of pruning against effect of fine-tuning",
        "Final change of perplexity, % of the baseline",
    ]
    assert cells(chart, 0) == [9] * 6  # 3 strategies × 3 stages in each of 3 models × 2 levels
    assert cells(chart, 1) == [6] * 3
    assert cells(chart, 2) == [6] * 3
    assert cells(chart, 3, "rect") == [6] * 3
    assert cells(chart, 3, "text") == [6] * 3


def test_a_level_that_a_model_lacks_leaves_its_cell_empty() -> None:
    frame = runs(strategies=("x", "y", "z"), levels=(0.1, 0.3), seeds=1)
    gone = where(frame, model="opt", pruning_level=0.1) | (
        where(frame, model="gpt2", pruning_level=0.1) & (frame["strategy"] != "x")
    )
    gone |= where(frame, model="gpt2", pruning_level=0.3, strategy="z")
    assert cells(plot_experiment_summary(frame[~gone]), 0) == [3, 0, 6, 9]


def test_the_rows_are_the_means_and_ends_over_seeds() -> None:
    frame = runs(seeds=3)
    table = headspec.to_table(plot_experiment_summary(frame))
    assert len(table) == 8
    one = table[where(table, model="opt", strategy="random", pruning_level=0.5)].iloc[0]
    chosen = frame[where(frame, model="opt", strategy="random", pruning_level=0.5)]
    by_stage = chosen.pivot(index="seed", columns="stage", values="perplexity")
    for stage in STAGES:
        assert one[stage] == pytest.approx(by_stage[stage].mean(), rel=1e-4)
        assert one[f"{stage}_low"] == pytest.approx(by_stage[stage].min(), rel=1e-4)
        assert one[f"{stage}_high"] == pytest.approx(by_stage[stage].max(), rel=1e-4)
    base, cut, tuned = (by_stage[stage] for stage in STAGES)
    assert one["recovery"] == pytest.approx((100 * (cut - tuned) / (cut - base)).mean(), rel=1e-3)
    assert one["pruning_effect"] == pytest.approx((100 * (cut / base - 1)).mean(), rel=1e-3)
    assert one["tuning_effect_high"] == pytest.approx((100 * (tuned / cut - 1)).max(), rel=1e-3)
    assert one["final_change"] == pytest.approx((100 * (tuned / base - 1)).mean(), rel=1e-3)


def test_one_seed_needs_no_spread() -> None:
    chart = plot_experiment_summary(runs(seeds=1))
    assert not [name for name in headspec.to_table(chart).columns if name.endswith(("_low", "_high"))]
    assert "least" not in notes(chart)
    assert "lines reach from the least to the greatest of 2 seeds each" in notes(plot_experiment_summary(runs()))


def test_uneven_seeds_are_said() -> None:
    frame = runs(seeds=3)
    frame = frame[(frame["strategy"] == "random") | (frame["seed"] == 0)]
    chart = plot_experiment_summary(frame)
    assert "1 to 3 seeds" in notes(chart)
    assert sorted(set(headspec.to_table(chart)["runs"])) == [1, 3]


@pytest.mark.parametrize("stages", ["change", "perplexity"])
def test_one_of_everything_works(stages: Any) -> None:
    chart = plot_experiment_summary(runs(("m",), ("s",), (0.3,), 1), stages=stages)
    assert cells(chart, 0) == [3]
    assert cells(chart, 1) == [1]
    assert mark_counts(drawn(chart))["rect"] == 1


def test_stages_as_change_or_as_perplexity() -> None:
    change = panels(plot_experiment_summary(runs()))[0]
    assert change["title"]["subtitle"] == "% above the baseline, one axis for all"
    assert find(change, "type").count("symlog") == 1
    own = panels(plot_experiment_summary(runs(), stages="perplexity"))[0]
    assert own["resolve"]["scale"]["y"] == "independent"
    assert "log" in find(own, "type")
    assert cells(plot_experiment_summary(runs(), stages="perplexity"), 0) == [6] * 4
    bare = runs()
    bare = panels(plot_experiment_summary(bare[bare["stage"] != "baseline"]))[0]
    assert bare["title"]["subtitle"] == "a log axis of its own in each cell"


# far out, NaN, undefined, absent -----------------------------------------------------------------------------------


def hard() -> pd.DataFrame:
    frame = runs(("gpt2", "opt"), ("entropy", "magnitude", "random"), (0.1, 0.3, 0.5), 2)

    def put(value: float, stage: str, **keys: Any) -> None:
        frame.loc[where(frame, stage=stage, **keys), "perplexity"] = value

    put(1e60, "fine_tuned", model="gpt2", strategy="random", pruning_level=0.5, seed=1)
    put(math.nan, "fine_tuned", model="gpt2", strategy="entropy", pruning_level=0.3, seed=0)
    put(math.nan, "fine_tuned", model="opt", strategy="entropy", pruning_level=0.5)
    put(math.inf, "pruned", model="opt", strategy="random", pruning_level=0.5, seed=0)
    put(30.01, "pruned", model="opt", strategy="magnitude", pruning_level=0.1)  # hardly hurt: recovery of 11,000 %
    put(28.91, "fine_tuned", model="opt", strategy="magnitude", pruning_level=0.1)
    put(19.0, "pruned", model="gpt2", strategy="magnitude", pruning_level=0.1)  # did not hurt
    gone = where(frame, model="opt", strategy="random", pruning_level=0.1, stage="fine_tuned")
    return frame[~gone]


@pytest.mark.parametrize("stages", ["change", "perplexity"])
def test_no_diverged_run_flattens_the_others_or_vanishes(stages: Any) -> None:
    chart = plot_experiment_summary(hard(), stages=stages)
    spec = chart.to_dict()
    domains = [domain for domain in find(spec, "domain") if isinstance(domain[0], float) and len(domain) == 2]
    assert max(max(map(abs, domain)) for domain in domains) < 1e4
    svg = drawn(chart)
    texts = [item.text for item in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert "5.0e+59" in texts  # the mean of 1e60 and an ordinary perplexity
    assert any(text.startswith(("11,00", "10,9")) for text in texts if text)
    assert "NaN" in texts
    assert any("†" in text for text in texts if text)
    said = notes(chart)
    for words in (
        "far beyond the rest stands at the edge of its panel, with its number",
        "NaN or infinite perplexity (4 values, not in the means)",
        "recovery is undefined in 2 of 36 runs",
        "† not fine-tuned",
        "colours of the final change end at",
    ):
        assert words in said
        assert words in chart.to_dict()["description"]


def test_partly_lost_seeds_are_counted() -> None:
    table = headspec.to_table(plot_experiment_summary(hard()))
    assert table[where(table, model="gpt2", strategy="entropy", pruning_level=0.3)]["fine_tuned_lost"].tolist() == [
        "NaN in 1 of 2"
    ]
    assert table[where(table, model="opt", strategy="entropy", pruning_level=0.5)]["fine_tuned_lost"].tolist() == [
        "NaN"
    ]
    assert table[where(table, model="opt", strategy="random", pruning_level=0.5)]["pruned_lost"].tolist() == [
        "∞ in 1 of 2"
    ]


def test_equal_effects_stand_side_by_side() -> None:
    frame = runs(("m",), ("a", "b", "c", "d"), (1.0,), 1)
    frame["perplexity"] = frame["stage"].map({"baseline": 20.0, "pruned": 90.0, "fine_tuned": 50.0})
    chart = plot_experiment_summary(frame)
    assert "points of equal effects stand side by side" in notes(chart)
    root = ET.fromstring(drawn(chart))
    group = next(item for item in root.iter() if "concat_2_cell" in item.get("class", ""))
    marks = next(item for item in group.iter() if item.get("class", "").startswith("mark-symbol"))
    places = sorted(float(item.get("transform")[10:-1].split(",")[0]) for item in marks)
    assert len(places) == 4
    assert np.diff(places).min() > 6
    assert headspec.to_table(chart)["pruning_effect"].tolist() == [350.0] * 4


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (
            ("baseline", "pruned"),
            ["Recovery: no fine-tuned perplexity", "Effect of pruning against effect of fine-tuning: no fine-tuned"],
        ),
        (("pruned", "fine_tuned"), ["Recovery: no baseline perplexity", "Final change: no baseline perplexity"]),
        (("baseline",), ["Recovery: no pruned or fine-tuned perplexity", "Final change: no fine-tuned perplexity"]),
    ],
)
def test_a_panel_without_data_says_so(keep: tuple[str, ...], words: list[str]) -> None:
    frame = runs()
    svg = svg_of(plot_experiment_summary(frame[frame["stage"].isin(keep)]))
    for text in words:
        assert text in svg


def test_a_model_without_a_stage_says_so_in_its_column() -> None:
    frame = runs()
    frame = frame[~where(frame, model="opt", stage="fine_tuned")]
    chart = plot_experiment_summary(frame)
    assert cells(chart, 1) == [4, 0]
    assert drawn(chart).count("no fine-tuned perplexity") >= 2


def test_recovery_and_improvement_alone() -> None:
    frame = pd.DataFrame({"Strategy": ["a", "b"], "Recovery %": [80.0, 11_000.0], "Improvement %": [-3.0, 2.0]})
    chart = plot_experiment_summary(frame)
    svg = drawn(chart)
    assert "Perplexity at each stage: no baseline, pruned or fine-tuned perplexity" in svg
    assert "11,000" in svg
    assert headspec.to_table(chart)["final_change"].tolist() == [3.0, -2.0]
    assert "no level" in svg


# names, order, looks -----------------------------------------------------------------------------------------------


def test_order_and_looks_are_those_given() -> None:
    frame = runs(strategies=("zeta", "alpha", "mu"), levels=(0.5, 0.1))
    spec = plot_experiment_summary(frame).to_dict()
    scales = [
        scale
        for scale in find(spec, "scale")
        if isinstance(scale, dict) and scale.get("domain") == ["zeta", "alpha", "mu"]
    ]
    assert ["#0072B2", "#E69F00", "#009E73"] in [scale.get("range") for scale in scales]
    some = plot_experiment_summary(frame, strategies=["mu", "zeta"])
    assert cells(some, 1) == [4, 4]
    assert ["#0072B2", "#E69F00", "#009E73"] in [
        scale.get("range") for scale in find(some.to_dict(), "scale") if isinstance(scale, dict)
    ]
    assert [0.5, 0.1] in find(spec, "domain")
    assert find(panels(plot_experiment_summary(frame))[0]["facet"], "sort")[0][0].startswith("gpt2")


def test_legend_once_and_click_filter() -> None:
    spec = plot_experiment_summary(runs()).to_dict()
    assert [param["name"] for param in spec["params"]] == ["strategy_filter"]
    assert spec["params"][0]["bind"] == "legend"
    root = ET.fromstring(vl_convert.vegalite_to_svg(spec))
    labels = [item for item in root.iter() if item.get("class", "").startswith("mark-text role-legend-label")]
    texts = [text.text for item in labels for text in item]
    assert texts.count("entropy") == 1
    assert plot_experiment_summary(runs(), select="other").to_dict()["params"][0]["name"] == "other"


def test_hostile_names_are_text() -> None:
    spec = plot_experiment_summary(runs(models=HOSTILE[:2], strategies=HOSTILE), title=HOSTILE[0]).to_dict()
    for key in ("field", "expr", "calculate", "filter", "test", "labelExpr"):
        for value in find(spec, key):
            assert not [name for name in HOSTILE if name in str(value)]
    svg = vl_convert.vegalite_to_svg(spec)
    ET.fromstring(svg)
    assert mark_counts(svg)["rect"] == 2 * len(HOSTILE) * 2


def test_long_names_are_shortened_and_kept_in_full() -> None:
    names = [f"EleutherAI/pythia-160m-deduped@step={step}" for step in (1000, 2000, 3000, 4000)]
    chart = plot_experiment_summary(runs(models=names))
    assert "names of models without “EleutherAI/pythia-160m-deduped@step=”" in notes(chart)
    assert set(headspec.to_table(chart)["model"]) == set(names)
    assert "1000 · baseline 20" in drawn(chart)


def test_many_models_and_strategies_go_into_blocks() -> None:
    frame = runs([f"m{n}" for n in range(9)], [f"s{n}" for n in range(10)], (0.1, 0.5), 1)
    chart = plot_experiment_summary(frame)
    svg = drawn(chart)
    assert mark_counts(svg)["rect"] == 180
    blocks = chart.to_dict()["vconcat"]
    assert len(blocks) == 3
    assert len(find(chart.to_dict(), "params")) == 1
    with pytest.raises(
        DataError, match=r"results has 30 models; a summary holds at most 24: choose some with models=\[…\]"
    ):
        plot_experiment_summary(runs([f"m{n}" for n in range(30)], ("s",), (0.1,), 1))
    assert plot_experiment_summary(runs([f"m{n}" for n in range(30)], ("s",), (0.1,), 1), models=["m3"])


def test_more_levels_than_rows() -> None:
    chart = plot_experiment_summary(runs(("m",), ("a", "b"), np.arange(0.05, 1, 0.05).round(2), 1))
    assert "stages of 6 of 19 levels" in notes(chart)
    assert len(cells(chart, 0)) == 6
    assert cells(chart, 1) == [38]


# safe side by side -------------------------------------------------------------------------------------------------


def test_composition_keeps_scales_apart() -> None:
    one = plot_experiment_summary(runs(strategies=("a", "b")))
    two = plot_experiment_summary(runs(strategies=("c", "d"), models=("m",)), select="other")
    other = alt.Chart(pd.DataFrame({"x": [1], "c": ["z"]})).mark_point().encode(x="x:Q", color="c:N")
    for chart, count in ((one | two, 8 + 4), (one & other, 8), (other | one, 8)):
        assert mark_counts(drawn(chart))["rect"] == count
    for compiled in (vl_convert.vegalite_to_vega((one | two).to_dict()),):
        domains = [
            scale["domain"]
            for scales in find(compiled, "scales")
            for scale in scales
            if scale["name"].endswith("color")
        ]
        assert {tuple(domain) for domain in domains} == {("a", "b"), ("c", "d")}
    same = plot_experiment_summary(runs(strategies=("c", "d"), models=("m",)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Altair: equal selections were made one
        assert mark_counts(svg_of(one | same))["rect"] == 8 + 4
        results = runs(strategies=("a", "b"))
        results.loc[7, "perplexity"] = np.nan
        assert mark_counts(svg_of(one | plot_experiment_summary(results)))["rect"] == 8 + 8  # the axes are the same


@pytest.mark.parametrize("options", [{"title": "Again"}, {"select": "other_filter"}, {"width": 500}])
@pytest.mark.filterwarnings("ignore:Automatically deduplicated selection parameter")
def test_two_summaries_of_one_table_stand_side_by_side(options: Any) -> None:
    results = runs(strategies=("a", "b"))
    one, other = plot_experiment_summary(results), plot_experiment_summary(results, **options)
    counts = [mark_counts(svg_of(chart)) for chart in (one | other, one, other)]
    assert counts[0] == {kind: counts[1][kind] + counts[2][kind] for kind in counts[1]}


def test_nothing_that_only_a_page_may_carry() -> None:
    spec = plot_experiment_summary(runs()).to_dict()
    own = {key: value for key, value in spec.items() if key not in ("config", "datasets", "$schema")}
    for key in ("config", "background", "padding", "autosize", "usermeta", "datasets"):
        assert not find(own, key)


def test_the_spec_does_not_grow_with_the_rows() -> None:
    def size(seeds: int) -> int:
        frame = runs(("a", "b"), ("x", "y", "z", "w"), (0.1, 0.2, 0.3, 0.4, 0.5), seeds)
        spec = plot_experiment_summary(frame).to_dict()
        spec.pop("config", None)
        return len(json.dumps(spec, separators=(",", ":"), ensure_ascii=False))

    assert size(50) < 20_000
    assert size(50) < 1.1 * size(5)


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, lambda columns: pl.DataFrame(columns).lazy()])
def test_any_dataframe_gives_the_same_spec(make: Any) -> None:
    frame = runs()
    assert plot_experiment_summary(make(frame.to_dict("list"))).to_dict() == plot_experiment_summary(frame).to_dict()


def test_the_description_says_what_the_data_shows() -> None:
    frame = pd.DataFrame(
        {
            "Strategy": ["a", "b"],
            "Baseline Perplexity": [20.0, 20.0],
            "Pruned Perplexity": [40.0, 30.0],
            "Fine-tuned Perplexity": [25.0, 33.0],
        }
    )
    text = headspec.summary(plot_experiment_summary(frame, title="Ours"))
    assert text.startswith(
        "Ours. 2 strategies (a and b); one run each. Perplexity: baseline 20, pruned 30 to 40, fine-tuned 25 to 33."
    )
    assert "Recovery: −30 to 75 %; highest a, lowest b." in text
    assert "Pruning hurt and fine-tuning repaired in 1 and both hurt in 1 of 2." in text
    assert "Final change of perplexity: 25 to 65 %; worst b, best a." in text


def test_unknown_names_are_errors() -> None:
    with pytest.raises(
        DataError, match="strategies has gradients, which the results do not have; there: entropy and random"
    ):
        plot_experiment_summary(runs(), strategies=["gradients"])
    with pytest.raises(DataError, match="models is empty; name one at least of gpt2 and opt"):
        plot_experiment_summary(runs(), models=[])
    with pytest.raises(DataError, match=r'stages is .*; choose "change" or "perplexity"'):
        plot_experiment_summary(runs(), stages="loss")  # type: ignore[arg-type]


@pytest.mark.parametrize("theme", ["headspec_dark", "headspec_paper"])
def test_every_theme_draws_it(theme: str) -> None:
    with alt.theme.enable(theme):
        assert mark_counts(svg_of(plot_experiment_summary(runs(models=("m",)))))["rect"] == 4


# ranges ------------------------------------------------------------------------------------------------------------


def test_robust_ranges_leave_out_what_would_squeeze_the_rest() -> None:
    assert robust([80, 90, 100], keep=400) == (80, 100, 0)
    assert robust([72, 354, 90, 120], keep=400, anchors=(0, 100)) == (0, 354, 0)
    assert robust([80, 11_000], keep=400, anchors=(0, 100)) == (0, 100, 1)
    assert robust([-1e58, 80, 90], keep=400, anchors=(0, 100)) == (0, 100, 1)
    assert robust([80, 150, 11_000, 9_000], keep=400, anchors=(0, 100)) == (0, 150, 2)
    assert robust([80, 11_000, -1e58], keep=400, anchors=(0, 100)) == (0, 100, 2)
    assert robust([5_000, 5_500, 6_000], keep=400, anchors=(0, 100)) == (0, 6_000, 0)
    assert robust([math.nan, math.inf], keep=1) == (0, 0, 0)
    assert robust([5, math.nan], keep=1) == (5, 5, 0)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.floats(1e-3, 1e6))
def test_robust_ranges_hold_most_values(values: list[float], keep: float) -> None:
    found = robust(values, keep=keep)
    inside = sum(found.low <= value <= found.high for value in values)
    assert inside == len(values) - found.outside
    assert inside >= len(values) / 2
    assert found.low <= found.high


@given(st.lists(st.floats(-99, 1e8), min_size=1, max_size=20))
def test_bent_axes_are_inverted_exactly_and_keep_order(values: list[float]) -> None:
    axis = bent(values)
    np.testing.assert_allclose(axis.straighten(axis.bend(values)), values, rtol=1e-9, atol=1e-9)
    order = np.sort(values)
    assert (np.diff(axis.bend(order)) >= 0).all()
    assert axis.low < axis.high
    shares = axis.share(values)
    assert ((shares >= 0) & (shares <= 1)).all()


@given(st.floats(-1e6, -0.01), st.floats(0.01, 1e9), st.sampled_from([0.0, 0.1, 2.0, 20.0]), st.floats(60, 600))
def test_ticks_are_round_apart_and_within(low: float, high: float, constant: float, pixels: float) -> None:
    axis = Bent(low, high, 0, constant)
    ticks = axis.ticks(pixels, room=15)
    assert 0 in ticks
    assert ticks == sorted(ticks)
    assert all(low <= tick <= high for tick in ticks)
    assert (np.diff(axis.share(ticks)) * pixels >= 15 - 1e-6).all()


def test_the_bend_of_a_known_value() -> None:
    axis = Bent(-10.0, 100.0, 0, 2.0)
    assert axis.bend([0, 2, -2]).tolist() == pytest.approx([0, math.log(2), -math.log(2)])
    wide = axis.widened(least=0.3)
    assert float(wide.share(0.0)) >= 0.3 - 1e-9
    assert float(wide.share(0.0)) <= 0.7 + 1e-9


@given(st.lists(st.text(max_size=30), min_size=1, max_size=12, unique=True), st.integers(6, 20))
def test_short_names_stay_apart_and_fit(names: list[str], letters: int) -> None:
    found, prefix = short_names(names, letters=letters)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(names)
    assert all(len(short) <= max(letters, 4) for short in found.values())
    assert all(name.startswith(prefix) for name in names)
    if max(map(len, names)) <= letters:
        assert all(name == short for name, short in found.items())


def test_short_names_drop_what_is_shared() -> None:
    found, prefix = short_names(["org/model-a@step=1", "org/model-a@step=20"], letters=10)
    assert prefix == "org/model-a@step="
    assert list(found.values()) == ["1", "20"]


def test_numbers_are_kept_to_significant_digits() -> None:
    assert significant(1234.5678) == 1234.6
    assert significant(math.nan) is None
    assert significant(math.inf) is None
