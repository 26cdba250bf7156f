from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import vl_convert

import headspec
from headspec.errors import DataError
from headspec.reduce.cells import LEVELS
from headspec.reduce.palette import ColourScale
from support import find, mark_counts, marks, panel_offset, pixels, svg_of


def causal(size: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(size, size)) * 3
    logits[np.triu_indices(size, 1)] = -np.inf
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def full(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(columns) * 0.3, rows)


@pytest.mark.parametrize("size", [5, 40])
def test_every_weight_is_drawn_and_recovered(size: int) -> None:
    weights = causal(size)
    chart = headspec.visualize_attention_matrix(weights)
    assert marks(chart, "rect") == size * (size + 1) // 2
    table = headspec.to_table(chart)
    assert np.allclose(table["weight"], weights[table["query"], table["key"]], atol=0.51e-4 if size > 30 else 0)
    assert "later keys get no weight and are left blank" in " ".join(chart.to_dict()["title"]["subtitle"])


def test_the_compiled_chart_holds_the_input_to_the_stated_step() -> None:
    weights = full(50, 60)
    chart = headspec.visualize_attention_matrix(weights)
    labels = re.findall(
        r'aria-label="[^"]*weight: ([\d.e-]+); query: (\d+); key: (\d+)',
        svg_of(headspec.visualize_attention_matrix(weights[:20, :20])),
    )
    assert len(labels) == 400
    for weight, query, key in labels:
        assert abs(float(weight) - weights[int(query), int(key)]) < 6e-5
    assert marks(chart, "rect") == 3000


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (300, 300), (700, 500)])
@pytest.mark.parametrize("space", ["linear", "sqrt"])
def test_every_pixel_has_the_colour_of_its_pooled_weight(rows: int, columns: int, scale: int, space: Any) -> None:
    weights = full(rows, columns)
    chart = headspec.visualize_attention_matrix(weights, scale=space, max_value=None)
    spec = chart.to_dict()
    picture = pixels(chart, scale=scale)
    left, top = panel_offset(chart)
    if isinstance(spec["width"], dict):
        side, block = spec["width"]["step"], 1
    else:
        block = -(-max(rows, columns) // 400)
        side = spec["width"] // -(-columns // block)
    pooled = np.array(
        [[weights[r : r + block, c : c + block].max() for c in range(0, columns, block)] for r in range(0, rows, block)]
    )
    palette = ColourScale("magma", 0.0, float(weights.max()), space)
    expected = palette.colours()[palette.entry(pooled)].astype(int)
    step = side * scale
    drawn = picture[
        top * scale : top * scale + pooled.shape[0] * step, left * scale : left * scale + pooled.shape[1] * step
    ]
    drawn = drawn.reshape(pooled.shape[0], step, pooled.shape[1], step, 3).astype(int)
    assert (np.abs(drawn - expected[:, None, :, None]) <= 8).all()


def test_the_strongest_key_of_every_row_is_visible_after_pooling() -> None:
    weights = np.full((1000, 1000), 1e-4)
    strongest = np.random.default_rng(0).integers(0, 1000, 1000)
    weights[np.arange(1000), strongest] = 0.9
    chart = headspec.visualize_attention_matrix(weights)
    left, top = panel_offset(chart)
    picture = pixels(chart).astype(int)
    bright = picture[top + np.arange(1000) // 3, left + strongest // 3].sum(axis=1)
    assert (bright > 500).all()


def test_an_image_says_how_it_pooled_and_what_a_rect_holds() -> None:
    weights = full(900, 900)
    weights[123, 456] = 2.5
    chart = headspec.visualize_attention_matrix(weights, max_value=None)
    notes = " ".join(chart.to_dict()["title"]["subtitle"])
    assert "each cell is the maximum of 3 × 3 weights" in notes
    assert f"{LEVELS} colour steps from 0 to 2.5" in notes
    assert "each cell is the mean of 3 × 3 weights" in " ".join(
        headspec.visualize_attention_matrix(weights, pool="mean").to_dict()["title"]["subtitle"]
    )
    table = headspec.to_table(chart)
    best = table.loc[table["weight"].idxmax()]
    assert (best["at_query"], best["at_key"]) == (123, 456)
    assert "the largest is from query 123 to key 456" in headspec.summary(chart)
    counts = mark_counts(svg_of(chart))
    assert counts["image"] == 1
    assert counts["rect"] == len(table)


def test_the_size_of_a_spec_stops_growing_with_the_tokens() -> None:
    sizes = [len(headspec.to_json(headspec.visualize_attention_matrix(full(n, n)))) for n in (800, 1600)]
    assert sizes[1] < 1.5 * sizes[0]
    tokens = [f"token{place}" for place in range(1600)]
    with_tokens = headspec.to_json(headspec.visualize_attention_matrix(full(1600, 1600), tokens=tokens))
    assert len(with_tokens) < 150_000


def test_tokens_label_the_axes_and_stay_text() -> None:
    tokens = ["</script><script>", "'+alert(1)+'", " the", "\n", "the", "the"]
    chart = headspec.visualize_attention_matrix(causal(6), tokens=tokens)
    svg = svg_of(chart)
    for shown in ("&lt;/script&gt;&lt;script&gt;", "'+alert(1)+'", "·the", "\\n"):
        assert svg.count(f">{shown}</text>") >= 2
    assert all("alert" not in expression for expression in find(chart.to_dict(), "labelExpr"))


def test_tokens_thin_out_before_they_overlap() -> None:
    for size in (60, 140, 300):
        chart = headspec.visualize_attention_matrix(causal(size), tokens=[f"t{k}" for k in range(size)])
        places = sorted(
            {
                float(y)
                for y in re.findall(
                    r'text-anchor="end" transform="translate\(-?\d+,([\d.]+)\)"[^>]*>t\d', svg_of(chart)
                )
            }
        )
        assert len(places) > 5
        assert min(np.diff(places)) >= 10


def test_two_charts_of_other_tokens_stand_side_by_side() -> None:
    a = headspec.visualize_attention_matrix(causal(4), tokens=list("abcd"))
    b = headspec.visualize_attention_matrix(causal(4), tokens=list("wxyz"))
    svg = svg_of(a | b)
    assert all(f">{letter}</text>" in svg for letter in "abcdwxyz")


def test_a_sink_can_be_kept_from_hiding_the_rest() -> None:
    weights = np.full((8, 8), 0.01)
    weights[:, 0] = 0.93
    for space, low in (("sqrt", 0.0), ("log", 1e-4)):
        chart = headspec.visualize_attention_matrix(weights, scale=space)
        scale = next(scale for scale in find(chart.to_dict(), "scale") if "scheme" in scale)
        assert (scale["type"], scale["domain"]) == (space, [low, 1.0])
    clipped = headspec.visualize_attention_matrix(weights, max_value=0.05)
    assert "weights up to 0.93 drawn in the colour of 0.05" in " ".join(clipped.to_dict()["title"]["subtitle"])


def test_the_whole_tuple_one_layer_and_one_matrix_give_the_same_picture() -> None:
    stack = tuple(np.stack([causal(5, seed), causal(5, seed + 9)])[None] for seed in range(3))
    whole = headspec.visualize_attention_matrix(stack, 2, 1).to_dict()
    assert whole == headspec.visualize_attention_matrix(stack[2], 2, 1).to_dict()
    assert whole == headspec.visualize_attention_matrix(stack[2][0, 1], 2, 1).to_dict()


def test_padding_is_masked_and_nan_shown() -> None:
    weights = full(4, 4)
    weights[1, 1] = np.nan
    chart = headspec.visualize_attention_matrix(weights, attention_mask=[[1, 1, 1, 0]])
    kinds = headspec.to_table(chart)["kind"].value_counts().to_dict()
    assert kinds == {"value": 8, "masked": 7, "nan": 1}
    assert marks(chart, "rect") == 16


def test_cross_attention_is_rectangular_and_long_strips_are_readable() -> None:
    assert marks(headspec.visualize_attention_matrix(full(3, 7)), "rect") == 21
    strip = headspec.visualize_attention_matrix(full(1, 65_536), max_value=None)
    spec = strip.to_dict()
    assert spec["height"] >= 16
    assert spec["width"] <= 400


@pytest.mark.parametrize("size", [6, 200])
def test_awkward_matrices_are_drawn_or_refused_clearly(size: int) -> None:
    assert marks(headspec.visualize_attention_matrix(np.full((size, size), 0.5)), "rect") > 0
    assert marks(headspec.visualize_attention_matrix(np.zeros((size, size))), "rect") > 0
    assert marks(headspec.visualize_attention_matrix(full(size, size) - 0.5), "rect") > 0
    with pytest.raises(DataError, match="no finite weight"):
        headspec.visualize_attention_matrix(np.full((size, size), np.nan))


def test_one_token_is_a_chart() -> None:
    assert marks(headspec.visualize_attention_matrix([[1.0]], tokens=["a"]), "rect") == 1


def test_exact_cells_have_a_bound() -> None:
    chart = headspec.visualize_attention_matrix(causal(200), cells="exact")
    assert len(headspec.to_table(chart)) == 200 * 201 // 2
    with pytest.raises(DataError, match='cells="exact" would draw 1,440,000 marks; at most 1,048,576'):
        headspec.visualize_attention_matrix(np.ones((1200, 1200)), cells="exact")
    with pytest.raises(DataError, match="size=8"):
        headspec.visualize_attention_matrix(np.ones((500, 500)), size=8)


@pytest.mark.parametrize("size", [20, 300])
def test_padding_does_not_hide_that_a_head_is_causal(size: int) -> None:
    chart = headspec.visualize_attention_matrix(causal(size), attention_mask=np.arange(size) < size - 5, causal=True)
    assert "later keys get no weight and are left blank" in " ".join(chart.to_dict()["title"]["subtitle"])


def test_causal_is_checked() -> None:
    with pytest.raises(DataError, match="gives weight to a later key"):
        headspec.visualize_attention_matrix(full(5, 5), causal=True)
    assert marks(headspec.visualize_attention_matrix(causal(5), causal=False), "rect") == 25


def test_an_image_composes_with_a_rule_and_beside_another() -> None:
    chart = headspec.visualize_attention_matrix(full(300, 300))
    assert mark_counts(vl_convert.vegalite_to_svg((chart | chart).to_dict()))["image"] == 2
