from __future__ import annotations

import json
import math
import re
import warnings
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert

import headspec.charts.training_rows as training_rows
from headspec.charts.training import visualize_training_progress
from headspec.charts.training_axes import value_axis
from headspec.errors import DataError, HeadspecError, HeadspecWarning, KindError
from support import find, mark_counts, pixels, svg_of

NAN, INF = math.nan, math.inf


def history(size: int = 400, *, seed: int = 0) -> dict[str, Any]:
    rng, place = np.random.default_rng(seed), np.arange(size)
    loss = 2 + 4 * np.exp(-3 * place / size) + rng.normal(0, 0.1, size)
    rare = place % 20 == 0
    return {
        "step": 10 * place,
        "epoch": place * 4 // size,
        "train_loss": loss,
        "eval_loss": [float(value) if now else None for value, now in zip(loss + 0.2, rare, strict=True)],
        "pruned_heads": np.where(place % 40 == 7, 2, 0),
        "revived_heads": np.where(place % 80 == 7, 1, 0),
        "sparsity": (place * 12 // size) / 48,
        "perplexity": [float(np.exp(value)) if now else None for value, now in zip(loss + 0.2, rare, strict=True)],
    }


def frames(chart: alt.VConcatChart) -> dict[str, pd.DataFrame]:
    """Return the frames that a chart draws, by the name that each says of itself."""
    found: dict[str, pd.DataFrame] = {}

    def walk(part: Any) -> None:
        if isinstance(part.data, pd.DataFrame) and part.data.attrs:
            found[part.data.attrs["headspec"]["name"]] = part.data
        for inner in [*getattr(part, "vconcat", []), *getattr(part, "layer", [])]:
            walk(inner)

    walk(chart)
    return found


def points(chart: alt.VConcatChart, metric: str) -> list[tuple[float, float]]:
    """Return the (step, value) pairs of a metric's line."""
    rows = frames(chart)["history"]
    rows = rows[rows["metric"] == metric]
    steps, values = (rows[name].explode() for name in ("step", "value"))
    return [(float(step), float("nan" if value is None else value)) for step, value in zip(steps, values, strict=True)]


def subtitle(chart: alt.VConcatChart) -> str:
    title = chart.to_dict()["title"]
    return " ".join(title.get("subtitle", []))


def y_titles(chart: alt.VConcatChart) -> list[str]:
    """Return the title of the value axis of each panel, from the top."""
    found = []
    for panel in chart.to_dict()["vconcat"]:
        axes = [layer["encoding"].get("y", {}).get("axis") for layer in panel["layer"]]
        found += [axis["title"] for axis in axes if axis and axis.get("title")][:1]
    return found


def test_panels_share_one_step_axis_and_their_plots_are_aligned() -> None:
    chart = visualize_training_progress(history())
    assert type(chart) is alt.VConcatChart
    assert y_titles(chart) == ["Loss", "Heads", "Sparsity", "Perplexity (log)"]
    domains = {tuple(x["scale"]["domain"]) for x in find(chart.to_dict(), "x") if isinstance(x, dict) and "scale" in x}
    assert len(domains) == 1
    low, high = domains.pop()
    assert -80 < low < 0
    assert 3990 < high < 4070
    svg = svg_of(chart)
    groups = re.findall(r'class="mark-group role-scope concat_\d_group"[^>]*><g transform="translate\(([-\d.]+),', svg)
    assert len(groups) == 4
    assert len(set(groups)) == 1


def test_calls_that_users_have() -> None:
    full = history()
    assert "Perplexity (log)" not in y_titles(visualize_training_progress(full, 50, False))
    assert "perplexity" not in subtitle(visualize_training_progress(full, 50, False))
    assert "Perplexity (log)" in y_titles(
        visualize_training_progress(metrics_history=full, max_display_points=50, show_perplexity=True)
    )
    for absent, panels in (
        ("epoch", ["Loss", "Heads", "Sparsity", "Perplexity (log)"]),
        ("perplexity", ["Loss", "Heads", "Sparsity"]),
        ("revived_heads", ["Loss", "Heads", "Sparsity", "Perplexity (log)"]),
        ("sparsity", ["Loss", "Heads", "Perplexity (log)"]),
    ):
        part = {name: cells for name, cells in full.items() if name != absent}
        chart = visualize_training_progress(part)
        assert y_titles(chart) == panels
        assert ("perplexity was not measured" in subtitle(chart)) == (absent == "perplexity")


def test_the_same_history_in_any_form_gives_the_same_spec() -> None:
    torch = pytest.importorskip("torch")
    polars = pytest.importorskip("polars")
    full = history()
    expected = json.dumps(visualize_training_progress(full).to_dict(), sort_keys=True)
    lists = {name: np.asarray(cells).tolist() for name, cells in full.items()}
    tensors = {
        name: torch.tensor(np.asarray(cells)) if name in ("step", "train_loss", "sparsity") else cells
        for name, cells in full.items()
    }
    rows = [dict(zip(full, row, strict=True)) for row in zip(*full.values(), strict=True)]
    for form in (lists, tensors, rows, pd.DataFrame(full), polars.DataFrame(lists)):
        assert json.dumps(visualize_training_progress(form).to_dict(), sort_keys=True) == expected


def test_a_line_keeps_its_extremes_and_says_what_it_lost() -> None:
    full = history(20_000)
    full["train_loss"][7_123] = 9.0
    chart = visualize_training_progress(full)
    drawn = points(chart, "train_loss")
    assert len(drawn) <= 100
    assert (71_230.0, 9.0) in drawn
    whole = dict(zip(full["step"].tolist(), full["train_loss"].tolist(), strict=True))
    assert all(math.isclose(whole[step], value, rel_tol=1e-5) for step, value in drawn)
    assert min(value for _, value in drawn) == pytest.approx(min(whole.values()), rel=1e-5)
    assert (drawn[0][0], drawn[-1][0]) == (0, 199_990)
    for text in (subtitle(chart), chart.description):
        assert "up to 100 of 20,000 points (minimum and maximum per span, gaps; zooming adds none)" in text
    assert "highest 9 at step 71,230" in chart.description
    close = visualize_training_progress(full, None)
    assert len(points(close, "train_loss")) <= 4 * 560 + 4
    assert "per half pixel" in subtitle(close)
    assert "points" not in subtitle(visualize_training_progress(history(100), 100))


def test_too_few_points_say_the_least_number() -> None:
    full = history(1_000)
    full["train_loss"][100:900:40] = NAN
    with pytest.raises(
        DataError, match=r"max_display_points=50 is too few for 'train_loss'.*20 gaps.*at least (\d+)"
    ) as caught:
        visualize_training_progress(full, 50)
    least = int(re.search(r"at least (\d+)", str(caught.value))[1])
    visualize_training_progress(full, least)
    with pytest.raises(DataError):
        visualize_training_progress(full, least - 1)


def test_head_events_stand_at_their_steps_and_none_is_lost() -> None:
    full = history(400)
    events = frames(visualize_training_progress(full))["events"]
    pruned = events[events["event"] == "pruned"]
    assert pruned["step"].tolist() == [10 * (40 * k + 7) for k in range(10)]
    assert pruned["count"].tolist() == [2] * 10
    assert events[events["event"] == "revived"]["step"].tolist() == [
        10 * (80 * k + 7) for k in range(5)
    ]  # both in one row
    assert (events["step"] == events["last_step"]).all()
    long = history(20_000)
    chart = visualize_training_progress(long)
    events = frames(chart)["events"]
    assert events["step"].nunique() <= 100
    for event, total in (("pruned", long["pruned_heads"].sum()), ("revived", long["revived_heads"].sum())):
        assert events.loc[events["event"] == event, "count"].sum() == total
    assert set(events["step"]) | set(events["last_step"]) <= set(long["step"][long["pruned_heads"] > 0])
    assert "heads of 500 steps summed in 98 bars" in subtitle(chart)
    assert "1,000 prunings and 250 revivals of heads at 500 steps" in chart.description


def test_events_are_drawn_where_they_are() -> None:
    chart = visualize_training_progress(
        {"step": [0, 40, 100], "loss": [3, 2, 1], "pruned_heads": [0, 2, 0], "revived_heads": [0, 0, 1]}
    )
    svg = svg_of(chart)
    low, high = find(chart.to_dict(), "x")[0]["scale"]["domain"]
    expected = sorted(560 * (step - low) / (high - low) for step in (40, 100))
    panel = svg[svg.index("concat_1_group") :]
    found = re.findall(r'aria-roledescription="point"[^>]*transform="translate\(([\d.]+),([\d.]+)\)"', panel)
    assert sorted(float(x) for x, _ in found) == pytest.approx(expected, abs=0.01)
    (_, y_pruned), (_, y_revived) = sorted(found, key=lambda place: float(place[0]))
    assert float(y_pruned) > float(y_revived)  # pruned below the line, revived above


def test_heads_by_name() -> None:
    full: dict[str, Any] = {"step": [1, 2, 3], "loss": [3, 2, 1], "pruned_heads": [[(0, 1), (2, 3)], None, []]}
    chart = visualize_training_progress(full)
    assert frames(chart)["events"][["step", "count", "heads"]].to_numpy().tolist() == [[1, 2, "L0 H1 and L2 H3"]]
    given = [(1, 0, 1, "pruned"), (2, 0, 1, "revived"), (3, 4, 4, "pruned"), (3, 5, 4, "pruned")]
    with pytest.warns(HeadspecWarning, match="counts 2 pruned_heads, events 3") as caught:
        chart = visualize_training_progress(full, events=given)
    assert caught[0].filename == __file__
    rows = frames(chart)["events"][["step", "event", "heads"]].to_numpy().tolist()
    assert rows == [[1, "pruned", "L0 H1"], [3, "pruned", "L4 H4 and L5 H4"], [2, "revived", "L0 H1"]]
    assert "3 prunings and 1 revival of heads at 3 steps from 1 to 3; 2 heads pruned at the end" in chart.description
    assert "(L4 H4 and L5 H4)" in chart.description
    late = visualize_training_progress({"step": [1, 2], "loss": [1, 2]}, events=[(50, 0, 0, "pruned")])
    assert find(late.to_dict(), "x")[0]["scale"]["domain"][1] > 50


def test_no_event_is_said() -> None:
    chart = visualize_training_progress({"step": [1, 2], "loss": [2, 1], "pruned_heads": [0, 0]})
    assert y_titles(chart) == ["Loss"]
    assert "no head was pruned or revived" in subtitle(chart)


def test_what_is_no_number_is_a_marked_gap() -> None:
    full = history(200)
    full["train_loss"][50:60] = NAN
    full["train_loss"][100] = INF
    full["train_loss"][101] = -INF
    chart = visualize_training_progress(full)
    gaps = frames(chart)["gaps"]
    assert gaps[["metric", "step", "last_step", "kind", "points"]].to_numpy().tolist() == [
        ["train_loss", 500, 590, "NaN", 10],
        ["train_loss", 1000, 1010, "∞ and −∞", 2],
    ]
    drawn = points(chart, "train_loss")
    assert {490.0, 600.0, 990.0, 1020.0} <= {step for step, value in drawn if value == value}
    assert any(500 <= step <= 590 and value != value for step, value in drawn)
    svg = svg_of(chart)
    assert "NaN or ∞" in svg
    line = re.search(
        r'aria-roledescription="line mark"[^>]*d="([^"]*)"|d="([^"]*)"[^>]*aria-roledescription="line mark"', svg
    )
    assert (line[1] or line[2]).count("M") >= 3  # the line breaks at both gaps
    for text in (subtitle(chart), chart.description):
        assert "NaN at 10 steps (500 to 590) and ∞ at 1 step (1,000) and −∞ at 1 step (1,010)" in text
    json.dumps(chart.to_dict(), allow_nan=False)


def test_not_measured_does_not_break_a_line() -> None:
    svg = svg_of(
        visualize_training_progress({"step": range(9), "eval_loss": [1, None, 2, None, None, 3, None, None, 4]})
    )
    line = re.search(r'd="(M[^"]*L[^"]*)"[^>]*stroke="#0072B2"', svg)
    assert line[1].count("M") == 1
    assert line[1].count("L") == 3
    assert "NaN or ∞" not in svg


def test_a_spike_of_sixty_decades_flattens_nothing_and_is_marked() -> None:
    full = history(300)
    full["train_loss"][150] = 1e60
    chart = visualize_training_progress(full)
    y = next(
        layer["encoding"]["y"]
        for layer in chart.to_dict()["vconcat"][0]["layer"]
        if "scale" in layer["encoding"].get("y", {})
    )
    assert y["scale"]["domain"][1] < 12
    beyond = frames(chart)["beyond"]
    assert beyond[["metric", "side", "step", "last_step", "value", "points"]].to_numpy().tolist() == [
        ["train_loss", "above", 1500, 1500, 1e60, 1]
    ]
    assert ">1e+60<" in svg_of(chart)
    assert "1 value above the loss axis, up to 1e+60" in subtitle(chart)
    assert (1500.0, 1e60) in points(chart, "train_loss")  # the row keeps its value, wherever it is drawn
    forced = visualize_training_progress(full, scales={"loss": "linear"})
    assert "beyond" not in frames(forced)
    assert "axis" not in subtitle(forced)


def test_a_diverged_end_flattens_nothing_either() -> None:
    full = history(300)
    full["train_loss"][220:] = 10.0 ** np.linspace(3, 60, 80)
    chart = visualize_training_progress(full)
    beyond = frames(chart)["beyond"]
    assert beyond[["step", "last_step", "points", "value"]].to_numpy().tolist() == [[2200, 2990, 80, 1e60]]


@pytest.mark.parametrize(
    ("values", "panel", "kind", "beyond"),
    [
        ([10, 6, 4, 3, 2.5, 2.2, 2.1, 2], "loss", "linear", 0),  # an ordinary start
        ([6, *[2.0 + k / 1000 for k in range(99)]], "loss", "linear", 0),  # a long plateau
        ([9.5, *np.linspace(6, 2, 99)], "loss", "linear", 0),
        ([1e60, 3, 2.5], "loss", "linear", 1),
        ([1000, *np.linspace(6, 2, 99)], "loss", "linear", 1),
        (list(np.logspace(2, -5, 100)), "loss", "log", 0),
        (list(np.linspace(40, 12, 50)), "perplexity", "linear", 0),
        ([50_000, *np.linspace(400, 12, 50)], "perplexity", "log", 0),
        ([1e60, *np.linspace(400, 12, 50)], "perplexity", "log", 1),
        ([0.0] * 50 + [5.0], "reward", "linear", 0),
        ([0.0] + [0.3] * 90, "sparsity", "linear", 0),
        ([-1e30, *np.linspace(-3, 3, 50)], "reward", "linear", 1),
        ([2.5] * 10, "loss", "linear", 0),
        ([65_504.0] * 20 + list(np.linspace(6, 2, 80)), "loss", "linear", 20),
    ],
)
def test_the_rule_of_the_axes(values: list[float], panel: str, kind: str, beyond: int) -> None:
    axis = value_axis(np.asarray(values), panel, 160)
    assert axis.type == kind
    assert sum(not axis.least <= value <= axis.most for value in values) == beyond
    assert axis.low <= axis.least
    assert axis.most < axis.high
    low, high = axis.reach
    assert -math.inf < low < axis.low
    assert axis.high < high < math.inf


def test_forced_axes() -> None:
    chart = visualize_training_progress(history(), scales={"loss": "log", "perplexity": "linear"})
    assert y_titles(chart)[::3] == ["Loss (log)", "Perplexity"]
    with pytest.raises(DataError, match="needs positive values"):
        visualize_training_progress({"step": [0, 1], "loss": [0, -1]}, scales={"loss": "log"})
    part = visualize_training_progress({"step": [0, 1, 2], "loss": [1, 0, 5]}, scales={"loss": "log"})
    assert frames(part)["beyond"][["side", "step", "value"]].to_numpy().tolist() == [["below", 1, 0.0]]


def visible_points(chart: alt.VConcatChart) -> int:
    """Count the symbols that can be seen: those for the tooltip alone have no opacity."""
    return len(re.findall(r'aria-roledescription="point"(?![^>]*opacity="0")', svg_of(chart)))


def test_what_is_measured_now_and_then_has_points() -> None:
    alone = {"step": [5], "train_loss": [2.0]}
    assert visible_points(visualize_training_progress(alone)) == 1
    rare = {"step": np.arange(500), "eval_loss": ([0, 100, 499], [3.0, 2.0, 1.0]), "train_loss": np.linspace(3, 1, 500)}
    assert visible_points(visualize_training_progress(rare, None)) == 3


def test_many_points_are_packed_and_drawn_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    full = history(400)
    full["train_loss"][77] = NAN
    full["train_loss"][200] = 1e9
    plain = visualize_training_progress(full, None)
    monkeypatch.setattr(training_rows, "PLAIN_ROWS", 10)
    packed = visualize_training_progress(full, None)
    assert len(frames(packed)["history"]) == 4
    assert points(packed, "train_loss")[:5] == points(plain, "train_loss")[:5]
    np.testing.assert_array_equal(pixels(packed), pixels(plain))
    assert len(json.dumps(packed.to_dict())) < 0.6 * len(json.dumps(plain.to_dict()))


def test_bytes_stop_growing_with_the_steps() -> None:
    sizes = {}
    for size in (20_000, 200_000):
        rng = np.random.default_rng(1)
        full = {"step": np.arange(size)} | {f"m{k}_loss": rng.normal(3, 1, size) for k in range(3)}
        sizes[size] = [len(json.dumps(visualize_training_progress(full, most).to_dict())) for most in (100, None)]
    assert sizes[200_000][0] <= 1.15 * sizes[20_000][0]
    assert sizes[200_000][1] <= 1.15 * sizes[20_000][1]


def test_sparsity_is_a_step_function() -> None:
    full = {"step": np.arange(1000), "sparsity": np.repeat([0.0, 0.1, 0.25, 0.2], 250)}
    chart = visualize_training_progress(full)
    assert points(chart, "sparsity") == [(0, 0.0), (250, 0.1), (500, 0.25), (750, 0.2), (999, 0.2)]
    assert "points" not in subtitle(chart)  # nothing is lost
    assert "step-after" in find(chart.to_dict(), "interpolate")


def test_epochs_are_ruled_at_their_first_measured_step() -> None:
    full = {"step": [0, 10, 20, 30, 40], "epoch": [0, 0.9, 1.0, 2.1, None], "loss": [5, 4, 3, 2, 1]}
    chart = visualize_training_progress(full)
    assert frames(chart)["epochs"].to_numpy().tolist() == [[20, 1], [30, 2]]
    svg = svg_of(chart)
    assert ">epoch 1<" in svg
    assert ">epoch 2<" in svg
    many = {"step": np.arange(2000), "epoch": np.arange(2000) / 2, "loss": np.ones(2000)}
    chart = visualize_training_progress(many)
    assert len(frames(chart)["epochs"]) <= 24
    assert "a rule at every 50th epoch" in subtitle(chart)


def test_several_runs() -> None:
    runs = {f"org/model@seed={seed}": history(100, seed=seed) for seed in range(3)}
    chart = visualize_training_progress(runs)
    spec = chart.to_dict()
    colours = [colour for colour in find(spec, "color") if isinstance(colour, dict) and colour.get("field") == "run"]
    assert colours
    assert {tuple(colour["scale"]["domain"]) for colour in colours} == {tuple(runs)}
    svg = vl_convert.vegalite_to_svg(spec)
    for name in runs:
        assert f">{name}<" in svg
    assert mark_counts(svg)["line"] == 3 * 4  # two losses, sparsity, perplexity
    assert "org/model@seed=1: train_loss from" in chart.description
    many = visualize_training_progress({f"run {k}": history(60, seed=k) for k in range(6)})
    assert re.search(r"train_loss ends between [\d.]+ \(run \d\) and [\d.]+ \(run \d\)", many.description)
    assert "4 prunings and 1 revival of heads in each run" in many.description
    with pytest.raises(DataError, match=r"\{run: events\}"):
        visualize_training_progress(runs, events=[(1, 0, 0, "pruned")])
    named = visualize_training_progress(
        {"a": {"step": [0, 9], "loss": [1, 2]}, "b": {"step": [0, 9], "loss": [2, 1]}},
        events={"b": [(4, 1, 2, "pruned")]},
    )
    assert frames(named)["events"][["run", "step", "heads"]].to_numpy().tolist() == [["b", 4, "L1 H2"]]


def test_more_lines_than_colours_stay_apart() -> None:
    full = {"step": [0, 1, 2]} | {f"m{k}_loss": [k, k + 1, k] for k in range(12)}
    svg = svg_of(visualize_training_progress(full))
    looks = []
    for line in re.findall(r'<path[^>]*aria-roledescription="line mark"[^>]*>', svg):
        looks.append(tuple(re.search(rf' {name}="([^"]*)"', line)[1] for name in ("stroke", "stroke-dasharray")))
    assert len(re.findall(r">m\d+_loss<", svg)) == 12  # one legend for both
    assert len(looks) == 12
    assert len(set(looks)) == 12


def test_metrics_can_be_chosen() -> None:
    full = history(60) | {"lr": np.linspace(5e-5, 0, 60), "grad_norm": np.linspace(1, 2, 60)}
    default = visualize_training_progress(full)
    assert "not drawn: lr and grad_norm" in subtitle(default)
    chosen = visualize_training_progress(full, metrics=["grad_norm", "eval_loss", "lr"])
    assert y_titles(chosen) == ["grad_norm", "eval_loss", "lr"]
    assert "perplexity was not measured" not in subtitle(chosen)
    only = visualize_training_progress({"step": [0, 1], "accuracy": [0.1, 0.2]})
    assert y_titles(only) == ["accuracy"]


def test_two_charts_side_by_side_keep_their_colours() -> None:
    one = visualize_training_progress({"step": [0, 1], "a_loss": [1, 2], "b_loss": [2, 1]})
    two = visualize_training_progress({"step": [0, 1], "x_loss": [1, 2], "a_loss": [2, 1]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Altair says that the zoom is shared, as it should be
        both, stacked = (one | two).to_dict(), (one & one).to_dict()
    vega = vl_convert.vegalite_to_vega(both)
    domains = [scale["domain"] for scale in find(vega, "scales") for scale in scale if "color" in scale["name"]]
    assert ["a_loss", "b_loss"] in domains
    assert ["x_loss", "a_loss"] in domains
    for spec, parts in ((both, (one, two)), (stacked, (one, one))):
        together = mark_counts(vl_convert.vegalite_to_svg(spec))
        assert together["line"] == sum(mark_counts(svg_of(part))["line"] for part in parts)


SPIKE = {"step": list(range(40)), "a_loss": [1e6 if step == 20 else 3 - step / 20 for step in range(40)]}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"pruned_heads": [0, 2, 0, 1]}, {"pruned_heads": [0, 0, 5, 1]}),
        (
            {"a_loss": [3, 2, 1, 1], "pruned_heads": [0, 2, 0, 1]},
            {"a_loss": [3, 2, 1, 1], "pruned_heads": [0, 0, 5, 1]},
        ),
        ({}, {"scales": {"loss": "linear"}}),
        ({}, {"height": 400}),
    ],
)
def test_a_chart_draws_its_own_rows_beside_another_of_the_same_lines(one: dict[str, Any], two: dict[str, Any]) -> None:
    first, second = (
        visualize_training_progress({"step": [0, 10, 20, 30], **item})
        if "pruned_heads" in item
        else visualize_training_progress(SPIKE, **item)
        for item in (one, two)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Altair says that the zoom is shared, as it should be
        beside = pixels(first | second)
    alone = pixels(first)[:-8, :-8]
    np.testing.assert_array_equal(beside[: len(alone), : alone.shape[1]], alone)


def test_selections_are_made_in_views_that_are_there() -> None:
    one, two = visualize_training_progress(history()), visualize_training_progress(history(seed=1))
    other = alt.Chart(pd.DataFrame({"x": [1]})).mark_point().encode(x="x:Q")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Altair says that the zoom is shared, as it should be
        specs = [chart.to_dict() for chart in (one, one & other, other & one, one | two, one & two)]
    for spec, panels in zip(specs, (4, 4, 4, 8, 8), strict=True):
        names = find({key: part for key, part in spec.items() if key != "params"}, "name")
        zoomed = next(param["views"] for param in spec["params"] if param["name"] == "step_zoom")
        assert len(set(zoomed)) == panels
        assert set(zoomed) <= set(names)


def test_nothing_that_a_composition_refuses() -> None:
    chart = visualize_training_progress(history())
    spec = chart.to_dict()
    for key in ("config", "background", "padding", "autosize", "usermeta"):
        assert getattr(chart, key, alt.Undefined) is alt.Undefined
        assert not find(spec["vconcat"], key)
    assert "black" not in json.dumps(spec)


def test_the_legend_filter_sits_on_the_layer_that_owns_the_legend() -> None:
    spec = visualize_training_progress(history()).to_dict()
    views = {param["name"]: set(param["views"]) for param in spec["params"]}
    assert set(views) == {"shown_loss", "step_zoom"}
    owner = [layer for layer in spec["vconcat"][0]["layer"] if layer.get("name") in views["shown_loss"]]
    assert [layer["mark"]["type"] for layer in owner] == ["line"]
    assert owner[0]["encoding"]["color"]["legend"] is not None
    zoomed = [
        [layer for layer in panel["layer"] if layer.get("name") in views["step_zoom"]] for panel in spec["vconcat"]
    ]
    assert [len(layers) for layers in zoomed] == [1, 1, 1, 1]
    # a zoom is handed on by the name of the field: by another one the panel would stay behind
    assert {layers[0]["encoding"]["x"]["field"] for layers in zoomed} == {"step"}


def test_text_of_users_stays_text() -> None:
    name = "</script><script>alert(1)</script>\x07_loss'\"[0]"
    chart = visualize_training_progress({"step": [0, 1], name: [1, 2], "b_loss": [2, 1]}, title="t\x00", run="r\x1b")
    spec = chart.to_dict()
    assert all(re.fullmatch(r"\w+", field) for field in find(spec, "field"))
    assert "\x07" not in json.dumps(spec, ensure_ascii=False)
    for expression in [
        *find(spec, "labelExpr"),
        *find(spec, "calculate"),
        *(f for f in find(spec, "filter") if isinstance(f, str)),
    ]:
        assert "script" not in expression
    assert "&lt;/script>" in svg_of(chart) or "&lt;/script&gt;" in svg_of(chart)


def test_description_says_what_the_data_says() -> None:
    full = {
        "step": [0, 100, 200, 300],
        "train_loss": [4.0, 2.0, 3.0, 2.5],
        "eval_loss": [None, 2.25, None, 2.75],
        "pruned_heads": [0, 3, 1, 0],
        "revived_heads": [0, 0, 2, 0],
        "sparsity": [0, 0.25, 0.1667, 0.1667],
    }
    assert visualize_training_progress(full).description == (
        "Training over steps 0 to 300. train_loss from 4 to 2.5, lowest 2 at step 100. eval_loss from 2.25 to 2.75, lowest "
        "2.25 at step 100, highest 2.75 at step 300. sparsity from 0 to 0.167. 4 prunings and 2 revivals of heads at 2 steps "
        "from 100 to 200. Note: perplexity was not measured."
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_display_points": 0}, ["max_display_points=0", "too small"]),
        ({"max_display_points": 2.5}, ["max_display_points", "whole number"]),
        ({"max_display_points": True}, ["max_display_points", "whole number"]),
        ({"width": 10}, ["width=10"]),
        ({"height": None}, ["height", "None"]),
        ({"metrics": ["accuracy"]}, ["accuracy", "train_loss, eval_loss"]),
        ({"metrics": []}, ["nothing"]),
        ({"metrics": "train_loss"}, ["metrics=['train_loss']"]),
        ({"scales": {"los": "log"}}, ["los", "loss, sparsity and perplexity"]),
        ({"scales": {"loss": "sqrt"}}, ["'sqrt'", "'linear' or 'log'"]),
        ({"events": [(1, 2)]}, ["(step, layer, head, event)"]),
        ({"metrics_history": {"step": [0, 1], "pruned_heads": [0, 0]}}, ["nothing else to draw"]),
        ({"metrics_history": {"loss": [1]}}, ["lacks 'step'"]),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(HeadspecError) as caught:
        visualize_training_progress(**({"metrics_history": history(60)} | arguments))
    assert isinstance(caught.value, (DataError, KindError))
    for word in words:
        assert word in str(caught.value), str(caught.value)


RULES = """[0, 1, 2, 3].map(panel => [...document.querySelectorAll(
    `svg .concat_${panel}_layer_0_marks line`)].map(line => Number(/translate\\(([-\\d.]+)/.exec(line.getAttribute('transform'))[1])))"""


@pytest.mark.browser
def test_every_panel_follows_the_zoom(open_page: Any, tmp_path: Any) -> None:
    import headspec

    path = tmp_path / "training.html"
    path.write_text(headspec.to_html(visualize_training_progress(history())), encoding="utf-8")
    opened = open_page(path).wait()
    assert opened.state == "drawn"
    before = opened.js(RULES)
    assert [len(places) for places in before] == [3, 3, 3, 3]  # the rules of epochs 1 to 3
    box = opened.page.locator("svg").first.bounding_box()
    opened.page.mouse.move(box["x"] + 300, box["y"] + 0.9 * box["height"])
    opened.page.mouse.wheel(0, -300)
    opened.until(f"JSON.stringify({RULES}) !== {json.dumps(json.dumps(before, separators=(',', ':')))}")
    after = opened.js(RULES)
    assert all(places == pytest.approx(after[0]) for places in after)
    assert after[0][2] - after[0][0] > 1.05 * (before[0][2] - before[0][0])
    assert opened.messages == []
