from __future__ import annotations

import io
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest

from headspec.output.render import draw_export
from headspec.output.spec import export
from headspec.output.still import still
from samples import CALLS, sample
from support import find

ROWS = pd.DataFrame({"x": [0, 1, 2, 3], "y": [3.0, 1.0, 2.0, 5.0], "kind": list("abab")})


def pixels_of(chart: Any, *, silent: bool) -> np.ndarray:
    from PIL import Image

    png = draw_export(export(chart, theme="light"), silent=silent).to_png(scale=1)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def picked(**condition: Any) -> alt.Chart:
    """Return points whose opacity asks a selection."""
    pick = alt.selection_point(name="pick", fields=["kind"], bind="legend")
    seen = alt.OpacityValue(0.2, condition=[{"param": "pick", "value": 1, **condition}])
    points = alt.Chart(ROWS).mark_point(filled=True, size=200)
    return points.encode(x="x:Q", y="y:Q", color="kind:N", opacity=seen, tooltip="kind:N").add_params(pick)


def everything(spec: Any) -> set[str]:
    return {str(name) for key in ("param", "name", "tooltip") for name in find(spec, key)}


@pytest.mark.parametrize("condition", [{}, {"empty": False}, {"value": 0.1}])
def test_a_picture_is_that_of_nothing_picked(condition: dict[str, Any]) -> None:
    chart = picked(**condition)
    np.testing.assert_array_equal(pixels_of(chart, silent=True), pixels_of(chart, silent=False))


def test_tooltips_labels_and_picks_are_left_out() -> None:
    spec = export(picked(), theme="light").spec
    out = still(spec)
    assert "pick" in everything(spec)
    assert not find(out, "tooltip")
    assert "pick" not in everything(out)
    assert out["config"]["aria"] is False
    assert out["encoding"]["opacity"] == {"value": 1}
    assert still({**spec, "title": {"text": {"expr": "pick.kind"}}})["params"] == spec["params"]  # asked elsewhere


def test_what_begins_with_something_picked_or_moves_a_scale_stays() -> None:
    pick = alt.selection_point(name="pick", fields=["kind"], value=[{"kind": "a"}])
    chart = alt.Chart(ROWS).mark_point(size=200).encode(x="x:Q", y="y:Q").transform_filter(pick).add_params(pick)
    assert still(export(chart).spec)["params"][0]["name"] == "pick"
    np.testing.assert_array_equal(pixels_of(chart, silent=True), pixels_of(chart, silent=False))
    beyond = alt.Chart(ROWS).mark_point(size=200).encode(x=alt.X("x:Q", scale=alt.Scale(domain=[1, 2])), y="y:Q")
    zoomed = beyond.interactive()  # clips the points beyond its axis
    np.testing.assert_array_equal(pixels_of(zoomed, silent=True), pixels_of(zoomed, silent=False))


@pytest.mark.parametrize("empty", [True, False])
def test_a_field_that_only_what_is_picked_shows_keeps_its_legend_and_its_lines(empty: bool) -> None:
    pick = alt.selection_point(name="pick", fields=["kind"], empty=empty)
    colour = alt.when(pick).then("kind:N").otherwise(alt.value("grey"))
    chart = alt.Chart(ROWS).mark_line().encode(x="x:Q", y="y:Q", color=colour).add_params(pick)
    np.testing.assert_array_equal(pixels_of(chart, silent=True), pixels_of(chart, silent=False))


def test_a_tooltip_that_groups_rows_stays() -> None:
    chart = alt.Chart(ROWS).mark_bar().encode(x="mean(y):Q", tooltip="kind:N")
    assert find(still(export(chart).spec), "tooltip")
    np.testing.assert_array_equal(pixels_of(chart, silent=True), pixels_of(chart, silent=False))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_chart_looks_the_same(name: str) -> None:
    chart = sample(name)
    np.testing.assert_array_equal(pixels_of(chart, silent=True), pixels_of(chart, silent=False))
