from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vl_convert

import headspec
from headspec.charts.cells import GREYS, grid_of
from headspec.charts.parts import STATE_SHAPES
from headspec.errors import DataError
from headspec.reduce.palette import ColourScale, luminance
from headspec.tables.heads import heads_table
from support import find, mark_counts, marks, panel_offset, pixels, svg_of


def colour_layer(spec: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in spec["layer"] if layer["mark"]["type"] == "rect")


def cell_colours(chart: Any, shape: tuple[int, int], cell: tuple[int, int], *, scale: int) -> np.ndarray:
    """Return the colour at every pixel of every cell: [row, column, pixel, rgb]."""
    picture = pixels(chart, scale=scale)
    left, top = panel_offset(chart)
    high, wide = cell[0] * scale, cell[1] * scale
    area = picture[top * scale : top * scale + shape[0] * high, left * scale : left * scale + shape[1] * wide]
    return area.reshape(shape[0], high, shape[1], wide, 3).swapaxes(1, 2).reshape(*shape, high * wide, 3)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("shape", [(5, 7), (40, 30), (126, 128)])
def test_every_pixel_of_every_cell_has_the_colour_of_its_value(shape: tuple[int, int], scale: int) -> None:
    values = np.random.default_rng(0).random(shape)
    chart = headspec.visualize_entropy_heatmap(values, annotate=False, max_value=1.0)
    grid = grid_of(heads_table(values))
    drawn = cell_colours(chart, shape, (grid.height, grid.width), scale=scale)
    palette = ColourScale("viridis", 0.0, 1.0)
    expected = palette.colours()[palette.entry(values)][:, :, None, :].astype(int)
    assert (np.abs(drawn.astype(int) - expected) <= 8).all()


def test_what_has_no_finite_value_is_grey_and_what_is_absent_is_a_hole() -> None:
    chart = headspec.visualize_entropy_heatmap([[0.5, np.nan, np.inf], [None, 1.0]], annotate=False)
    drawn = cell_colours(chart, (2, 3), (32, 44), scale=1)[:, :, 0]
    as_hex = {name: tuple(int(code[k : k + 2], 16) for k in (1, 3, 5)) for name, code in GREYS.items()}
    assert tuple(drawn[0, 1]) == as_hex["nan"]
    assert tuple(drawn[0, 2]) == as_hex["inf"]
    assert tuple(drawn[1, 0]) == as_hex["masked"]
    assert tuple(drawn[1, 2]) == (255, 255, 255)
    text = " ".join(chart.to_dict()["title"]["subtitle"])
    assert "1 NaN (–); 1 infinite (∞); 1 masked (·); 1 absent" in text


def test_packed_and_plain_cells_hold_the_same_values() -> None:
    values = np.random.default_rng(0).random((40, 30))
    values[3, 4] = np.nan
    chart = headspec.visualize_entropy_heatmap(values, pruned_heads=[(39, 29)])
    table = headspec.to_table(chart)
    assert len(table) == 1200
    for row in table.sample(100, random_state=0).itertuples():
        assert np.isclose(row.value, values[row.layer, row.head], atol=0.5001e-4, equal_nan=True)
    assert table.loc[table["state"] == "pruned", ["layer", "head"]].to_numpy().tolist() == [[39, 29]]
    assert table["kind"].value_counts().to_dict() == {"value": 1199, "nan": 1}
    assert "drawn to ±5e-05" in " ".join(chart.to_dict()["title"]["subtitle"])
    assert marks(chart, "rect") == 1200


def test_a_packed_map_composes_with_itself() -> None:
    chart = headspec.visualize_entropy_heatmap(np.random.default_rng(0).random((40, 30)))
    assert marks(chart + chart, "rect") == 2400
    assert marks(chart | chart, "rect") == 2400


def test_numbers_are_written_where_they_are_legible_and_nowhere_else() -> None:
    assert marks(headspec.visualize_entropy_heatmap(np.ones((12, 12))), "text") == 144
    assert marks(headspec.visualize_entropy_heatmap(np.ones((12, 12)), annotate=False), "text") == 0
    assert marks(headspec.visualize_entropy_heatmap(np.ones((32, 32))), "text") == 0
    assert marks(headspec.visualize_entropy_heatmap(np.ones((32, 32)), annotate="force"), "text") == 1024
    with pytest.raises(DataError, match="would write 16,128 numbers; at most 4,096"):
        headspec.visualize_entropy_heatmap(np.ones((126, 128)), annotate="force")


def test_the_ink_of_each_number_stands_out_from_its_cell() -> None:
    values = np.linspace(0, 1, 48).reshape(6, 8)
    svg = svg_of(headspec.visualize_entropy_heatmap(values, max_value=1.0))
    import re

    inks = re.findall(r'<text [^>]*fill="(black|white)"[^>]*>([\d.]+)</text>', svg)
    assert len(inks) == 48
    scale = ColourScale("viridis", 0.0, 1.0)
    for (ink, _), value in zip(inks, values.ravel(), strict=True):
        back = luminance(scale.colours()[scale.entry(value)])
        ratio = (back + 0.05) / 0.05 if ink == "black" else 1.05 / (back + 0.05)
        assert ratio >= 4.2


def test_states_are_marked_by_shape_and_colour_with_one_legend() -> None:
    chart = headspec.visualize_gradient_norms(
        np.ones((2, 3)), [(0, 0), (0, 1)], [(0, 1)], vulnerable_heads=[(1, 2)], annotate=False
    )
    spec = chart.to_dict()
    counts = mark_counts(vl_convert.vegalite_to_svg(spec))
    assert counts["symbol"] == 2 * 3  # a halo and a mark each: one pruned, one revived, one vulnerable
    domains = {tuple(scale["domain"]) for scale in find(spec, "scale") if "range" in scale}
    assert domains == {("pruned", "revived", "vulnerable")}
    shapes = next(
        scale["range"] for shape in find(spec, "shape") if isinstance(shape, dict) and (scale := shape.get("scale"))
    )
    assert shapes == list(STATE_SHAPES.values())
    assert "1 head pruned (L0 H0); 1 head revived (L0 H1); 1 head vulnerable (L1 H2)" in headspec.summary(chart)


def test_two_measures_side_by_side_keep_scale_scheme_and_legend() -> None:
    entropy = headspec.visualize_entropy_heatmap(np.array([[0.5, 2.0]]))
    gradient = headspec.visualize_gradient_norms(np.array([[100.0, 300.0]]))
    vega = vl_convert.vegalite_to_vega((entropy | gradient).to_dict())
    colours = [scale for scale in vega["scales"] if scale["name"].endswith("color")]
    assert [scale["domain"] for scale in colours] == [[0, 2], [0, 300]]
    assert [scale["range"]["scheme"] for scale in colours] == ["viridis", "magma"]
    assert len(find(vega, "legends")) == 2


def test_the_scale_of_gradients_follows_their_spread_and_zeros_stay_zeros() -> None:
    narrow = headspec.visualize_gradient_norms([[1.0, 2.0, 0.0]])
    wide = headspec.visualize_gradient_norms([[1e-4, 2.0, 0.0]])
    assert colour_layer(narrow.to_dict())["encoding"]["color"]["scale"]["type"] == "linear"
    scale = colour_layer(wide.to_dict())["encoding"]["color"]["scale"]
    assert (scale["type"], scale["domain"]) == ("log", [1e-4, 2.0])
    assert "1 exactly 0 (0)" in " ".join(wide.to_dict()["title"]["subtitle"])
    assert headspec.to_table(wide)["value"].tolist() == [1e-4, 2.0, 0.0]
    with pytest.raises(DataError, match='scale="log" needs positive'):
        headspec.visualize_gradient_norms([[-1.0, 2.0]], scale="log")


def test_values_outside_the_domain_are_counted_on_the_chart() -> None:
    chart = headspec.visualize_entropy_heatmap([[0.1, 0.2, 5.0]], min_value=0.15, max_value=2.0)
    assert "1 below 0.15, in the colour of that end; 1 above 2" in " ".join(chart.to_dict()["title"]["subtitle"])


def test_the_maximum_may_be_one_number_one_per_layer_or_one_per_head() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    for maximum, expected, said in (
        (4.0, [25, 50, 75, 100], "4, one maximum given for all heads"),
        (np.array(4.0), [25, 50, 75, 100], "4, one maximum given for all heads"),
        ([2.0, 4.0], [50, 100, 75, 100], "the maximum given for each layer"),
        (values * 2, [50, 50, 50, 50], "the maximum given for each head"),
    ):
        chart = headspec.visualize_normalized_entropy(values, maximum)
        assert headspec.to_table(chart)["value"].tolist() == pytest.approx(expected)
        assert said in " ".join(chart.to_dict()["title"]["subtitle"])
        assert colour_layer(chart.to_dict())["encoding"]["color"]["scale"]["domain"] == [0, 100]
    for maximum, message in (
        (0.0, "positive and finite"),
        ([1.0, 2.0, 3.0], "3 values for 2 layers"),
        (np.ones((3, 2)), "covers 6 heads"),
    ):
        with pytest.raises(DataError, match=message):
            headspec.visualize_normalized_entropy(values, maximum)
    with pytest.raises(DataError, match="needs attention="):
        headspec.visualize_normalized_entropy(values)


def test_a_uniform_causal_head_is_at_100_percent() -> None:
    uniform = np.tril(np.ones((16, 16))) / np.arange(1, 17)[:, None]
    chart = headspec.visualize_normalized_entropy(attention=(uniform[None, None],))
    assert headspec.to_table(chart)["value"].tolist() == pytest.approx([100.0])


def test_old_calls_by_position_and_keyword_still_work() -> None:
    values = np.ones((2, 2))
    headspec.visualize_gradient_norms(values, [(0, 1)], [(0, 1)], "Norms")
    headspec.visualize_gradient_norms(grad_norm_values=values, pruned_heads=[(0, 1)], title="Norms")
    headspec.visualize_entropy_heatmap(values, "Entropy", 0.0, False)
    headspec.visualize_normalized_entropy(values, 2.0, "Percent")
    headspec.visualize_head_importance("m", {"a": [(0, 0, 1.0), (1, 1, 0.5)]}, 2, 2)


@pytest.mark.parametrize("argument", ["figsize", "cmap", "save_path"])
@pytest.mark.parametrize(
    "name", ["visualize_gradient_norms", "visualize_entropy_heatmap", "visualize_attention_matrix"]
)
def test_arguments_that_are_gone_say_what_to_use(name: str, argument: str) -> None:
    with pytest.raises(TypeError, match=f"{argument} is gone"):
        getattr(headspec, name)(np.ones((2, 2)), **{argument: "x"})


@pytest.mark.parametrize(
    "values", [np.array([[0.5]]), np.array([[0.5, 0.7]]), np.array([[0.0], [0.0]]), np.full((3, 3), 7.0)]
)
def test_one_head_one_layer_and_equal_values_are_drawn(values: np.ndarray) -> None:
    for draw in (headspec.visualize_entropy_heatmap, headspec.visualize_gradient_norms):
        assert marks(draw(values), "rect") == values.size


def test_nothing_finite_is_an_error() -> None:
    with pytest.raises(DataError, match="no finite value"):
        headspec.visualize_entropy_heatmap(np.full((2, 2), np.nan))


def test_titles_are_text() -> None:
    spec = headspec.visualize_entropy_heatmap(np.ones((1, 1)), "</script>\x00\n").to_dict()
    assert spec["title"]["text"] == "</script>\\x00\\n"


@pytest.mark.parametrize("column", ["measure", "step", "run"])
@pytest.mark.parametrize(
    "draw",
    [
        headspec.visualize_entropy_heatmap,
        lambda table: headspec.visualize_normalized_entropy(table, 1.0),
        headspec.visualize_gradient_norms,
        headspec.plot_head_gradients_with_overlays,
        lambda table: headspec.visualize_entropy_vs_gradient(table, [[0.1, 0.2]]),
        lambda table: headspec.visualize_entropy_vs_gradient([[0.1, 0.2]], table),
        lambda table: headspec.visualize_head_explorer((np.full((1, 2, 3, 3), 1 / 3),), gradient=table),
        lambda table: headspec.visualize_attention_heads((np.full((1, 2, 3, 3), 1 / 3),), measure=table),
    ],
)
def test_a_table_with_several_values_of_a_head_is_never_drawn_over_itself(draw: Any, column: str) -> None:
    table = pd.DataFrame({"layer": 0, "head": [0, 1, 0, 1], "value": [0.1, 0.2, 0.3, 0.4], column: [5, 5, 9, 9]})
    with pytest.raises(DataError, match=f"gives L0 H0 more than once, for several {column}s; select one"):
        draw(table)
    draw(table[table[column] == 9])


def test_groups_are_there_to_be_faceted() -> None:
    table = pd.DataFrame({"layer": 0, "head": [0, 1, 0, 1], "value": [0.1, 0.2, 0.3, 0.4], "group": list("aabb")})
    chart = headspec.visualize_entropy_heatmap(table).facet("group:N")
    assert marks(chart, "rect") == 4


@pytest.mark.parametrize("rows", [1, 3, 6, 12])
@pytest.mark.parametrize("high", [0.0167, 0.37, 1.05, 2.5, 3.422763, 7.3, 9.64, 95.0, 820.0])
def test_each_label_of_a_legend_stands_at_its_colour(rows: int, high: float) -> None:
    svg = svg_of(headspec.visualize_entropy_heatmap(np.linspace(0, high, 8 * rows).reshape(rows, 8)))
    part = svg[svg.index("role-legend-label") : svg.index("role-legend-title")]
    length = max(60, min(200, 32 * rows))
    labels = re.findall(r"translate\([\d.]+,([\d.]+)\)[^>]*>([^<]+)<", part)
    assert len(labels) >= 3
    for place, text in labels:
        # those at the ends are moved into the legend by half their height
        assert abs(length - (float(place) - 3) - float(text) / high * length) <= 5.6 + 0.012 * length, (text, high)
