from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import altair as alt
import numpy as np
import pytest
import vl_convert

import headspec
from headspec.charts.attention_heads import visualize_attention_heads
from headspec.errors import DataError, KindError
from headspec.reduce.cells import LEVELS
from headspec.reduce.palette import ColourScale
from headspec.reduce.sprites import fit
from support import find, mark_counts, marks, panel_offset, pixels, svg_of


def attention(
    layers: int, heads: int, size: int, seed: int = 0, *, causal: bool = True, sharp: float = 3.0
) -> tuple[np.ndarray, ...]:
    logits = np.random.default_rng(seed).normal(size=(layers, 1, heads, size, size)) * sharp
    if causal:
        logits[..., *np.triu_indices(size, 1)] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return tuple((weights / weights.sum(-1, keepdims=True)).astype(np.float32))


def picture_of(chart: Any) -> tuple[np.ndarray, str]:
    """Return the image of a chart as RGBA, and its address."""
    from PIL import Image

    spec = chart.to_dict()
    (uri,) = [value["value"] for value in find(spec, "url")]
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    return np.asarray(image.convert("RGBA")), uri


def notes(chart: Any) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])


def pooled(head: np.ndarray, block: int, how: Any) -> np.ndarray:
    cells = range(0, len(head), block)
    return np.array([[how(head[row : row + block, column : column + block]) for column in cells] for row in cells])


# --- pixels ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize(
    ("layers", "heads", "size", "options"),
    [
        (2, 3, 24, {}),
        (2, 3, 64, {"thumb": 32, "scale": "sqrt"}),
        (1, 2, 50, {"thumb": 16, "pool": "mean"}),
        (2, 2, 31, {"max_value": "head"}),
        (2, 2, 20, {"max_value": 0.5, "scale": "log"}),
        (3, 2, 40, {"thumb": 40, "measure": [[1, 2], [3, 4], [5, 6]]}),
    ],
)
def test_every_pixel_of_every_thumbnail_has_the_colour_of_its_pooled_weight(
    layers: int, heads: int, size: int, options: Any, scale: int
) -> None:
    weights = attention(layers, heads, size)
    chart = visualize_attention_heads(weights, **options)
    spec = chart.to_dict()
    step = spec["width"]["step"]
    gap = 8 if "measure" in options else 2 if step >= 18 else 1
    block, cells, enlarged = fit(size, step - gap)
    side = cells * enlarged
    assert side == step - gap
    how = np.mean if options.get("pool") == "mean" else np.max
    top = max(pooled(head, block, how).max() for layer in weights for head in layer[0])
    limit = options.get("max_value", "shared")
    space = options.get("scale", "linear")
    high = 1.0 if limit == "head" else top if limit == "shared" else limit
    palette = ColourScale("magma", high * 1e-4 if space == "log" else 0.0, high, space)
    picture = pixels(chart, scale=scale).astype(int)
    left, above = panel_offset(chart)
    margin = (step - side) // 2
    for layer in range(layers):
        for head in range(heads):
            values = pooled(weights[layer][0, head].astype(np.float64), block, how)
            if limit == "head":
                values = values / values.max()
            expected = palette.colours()[palette.entry(values)].astype(int)
            expected = expected.repeat(enlarged * scale, 0).repeat(enlarged * scale, 1)
            row, column = (above + layer * step + margin) * scale, (left + head * step + margin) * scale
            drawn = picture[row : row + side * scale, column : column + side * scale]
            cells = len(values)
            seen = np.tril(np.ones((cells, cells), dtype=bool))
            seen = seen.repeat(enlarged * scale, 0).repeat(enlarged * scale, 1)
            assert (np.abs(drawn - expected).max(-1)[seen] <= 8).all(), (layer, head)
            assert (drawn[~seen] >= 221).all()  # later keys are clear: the page shows, or the view's grey frame


def test_the_strongest_key_of_every_row_is_visible_where_a_pixel_stands_for_many() -> None:
    weights = np.full((2, 1, 2, 200, 200), 1e-4, dtype=np.float32)
    strongest = np.random.default_rng(0).integers(0, 200, (2, 2, 200))
    for layer in range(2):
        for head in range(2):
            weights[layer, 0, head, np.arange(200), strongest[layer, head]] = 0.9
    chart = visualize_attention_heads(tuple(weights), thumb=25)
    rgba, _ = picture_of(chart)
    step = chart.to_dict()["width"]["step"]
    bright = np.array(ColourScale("magma", 0, 0.9).colours()[-1], dtype=int)
    margin = (step - 25) // 2
    for layer in range(2):
        for head in range(2):
            for query, key in enumerate(strongest[layer, head]):
                pixel = rgba[layer * step + margin + query // 8, head * step + margin + key // 8, :3]
                assert (np.abs(pixel.astype(int) - bright) <= 8).all()


def test_a_border_has_the_colour_of_its_measure_on_whole_pixels() -> None:
    measure = np.array([[0.0, 1.0], [2.0, np.nan]])
    chart = visualize_attention_heads(attention(2, 2, 20), measure=measure, measure_name="Importance", thumb=40)
    step = chart.to_dict()["width"]["step"]
    assert step == 40 + 2 * 3 + 2
    picture = pixels(chart)
    left, above = panel_offset(chart)
    palette = ColourScale("viridis", 0.0, 2.0)
    for row in range(2):
        for column in range(2):
            y, x = above + row * step, left + column * step
            value = measure[row, column]
            colour = palette.colours()[palette.entry(value)].astype(int) if value == value else np.array([255] * 3)
            for place in (1, 2, 3, 44, 45, 46):  # three pixels on either side, one clear of the neighbours'
                assert (np.abs(picture[y + 20, x + place].astype(int) - colour) <= 2).all()
                assert (np.abs(picture[y + place, x + 44].astype(int) - colour) <= 2).all()
            assert (picture[y + 20, [x, x + 47]] >= 221).all()  # the page, or the view's grey frame
    assert "1 head without a finite measure, no border" in notes(chart)
    titles = [legend.get("title") for legend in find(chart.to_dict(), "legend") if isinstance(legend, dict)]
    assert "Border: Importance" in titles


def test_the_legends_say_what_the_image_was_coloured_by() -> None:
    weights = attention(2, 2, 12)
    for options, domain, title in (
        ({}, [0, max(float(layer.max()) for layer in weights)], "Weight"),
        ({"max_value": 0.5}, [0, 0.5], "Weight"),
        ({"max_value": "head"}, [0, 1], "Weight ÷ head's largest"),
    ):
        chart = visualize_attention_heads(weights, **options)
        (channel,) = [channel for channel in find(chart.to_dict(), "fill") if isinstance(channel, dict)]
        assert channel["scale"]["domain"] == pytest.approx(domain)
        assert channel["legend"]["title"] == title
    assert "colours shared by all heads" in notes(visualize_attention_heads(weights))
    assert "brightness does not compare" in notes(visualize_attention_heads(weights, max_value="head"))
    assert "in the colour of 0.5" in notes(visualize_attention_heads(weights, max_value=0.5))


# --- marks and values ------------------------------------------------------------------------------------------------------


def test_one_image_and_one_rect_per_head() -> None:
    chart = visualize_attention_heads(attention(3, 4, 10))
    assert mark_counts(svg_of(chart)) == {"image": 1, "rect": 12}


@pytest.mark.parametrize(("layers", "heads", "size"), [(3, 4, 10), (33, 32, 9)])
def test_each_head_tells_its_exact_strongest_pair_and_entropy(layers: int, heads: int, size: int) -> None:
    weights = attention(layers, heads, size)
    chart = visualize_attention_heads(weights, pruned_heads=[(1, 2)])
    table = headspec.to_table(chart)
    assert len(table) == layers * heads
    entropy = headspec.calculate_entropy(weights)
    for row in table.sample(30, random_state=0, replace=True).itertuples():
        head = weights[row.layer][0, row.head]
        assert row.weight == pytest.approx(float(head.max()), rel=1e-6)
        assert head[row.query, row.key] == head.max()
        assert row.entropy == pytest.approx(entropy[row.layer, row.head], abs=1e-4)
    assert table.loc[table["state"] == "pruned", ["layer", "head"]].values.tolist() == [[1, 2]]
    assert marks(chart, "rect") == layers * heads
    json.dumps(chart.to_dict(), allow_nan=False)


def test_tooltips_name_the_tokens_of_the_strongest_pair() -> None:
    tokens = [" a", "</script><script>alert(1)</script>", "\x00\u202e", "'+alert(1)+'"]
    weights = np.zeros((1, 1, 2, 4, 4), dtype=np.float32)
    weights[0, 0, 0, 2, 1] = weights[0, 0, 1, 3, 3] = 0.5
    chart = visualize_attention_heads(tuple(weights), tokens=tokens)
    labels = re.findall(r'aria-label="(Head: [^"]*largest weight[^"]*)"', svg_of(chart))
    assert len(labels) == 2
    assert "from query: 2 (\\x00\\u202e)" in labels[0]
    assert "to key: 1 (&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;)" in labels[0]
    assert "to key: 3 ('+alert(1)+')" in labels[1].replace("&apos;", "'").replace("&#39;", "'")


def test_pruned_heads_are_crossed_out_by_shape() -> None:
    weights = attention(2, 3, 12)
    chart = visualize_attention_heads(
        weights, pruned_heads=[(0, 1), (1, 2)], revived_heads=[(1, 2)], vulnerable_heads=[(0, 0)]
    )
    assert mark_counts(svg_of(chart))["symbol"] == 6  # each with its halo
    domains = [scale["domain"] for scale in find(chart.to_dict(), "scale") if scale.get("domain", [0])[0] == "pruned"]
    assert ["pruned", "revived", "vulnerable"] in domains
    assert "1 head pruned (L0 H1); 1 head revived (L1 H2); 1 head vulnerable (L0 H0)" in headspec.summary(chart)


def test_ragged_layers_leave_holes_and_sizes_may_differ() -> None:
    small, large = attention(1, 2, 8)[0], attention(1, 5, 24)[0]
    chart = visualize_attention_heads({0: small, 3: large}, thumb=48)
    assert marks(chart, "rect") == 7
    rgba, _ = picture_of(chart)
    step = chart.to_dict()["width"]["step"]
    assert rgba.shape[:2] == (4 * step, 5 * step)
    assert (rgba[:step, 2 * step :, 3] == 0).all()  # heads that layer 0 does not have
    assert (rgba[step : 3 * step, :, 3] == 0).all()  # layers that are not there
    assert (rgba[1, 1, 3], rgba[1 + 47, 1 + 47, 3]) == (255, 255)  # 8 tokens at 6 px fill what 24 at 2 px do
    assert "13 heads absent" in notes(chart)
    assert "each weight drawn" in notes(chart)


def test_queries_and_keys_of_other_numbers_fill_the_thumbnail() -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(40), size=(2, 1, 3, 6)).astype(np.float32)
    chart = visualize_attention_heads(tuple(weights), thumb=24)
    rgba, _ = picture_of(chart)
    assert (rgba[1:25, 3:23, 3] == 255).all()  # 6 queries at 4 px, 20 pairs of keys at 1 px in the middle
    assert "1 × 2 weights" in notes(chart)


def test_nan_is_grey_padding_is_pale_and_both_are_named() -> None:
    weights = np.array(attention(2, 2, 16))
    weights[0, 0, 1] = np.nan
    chart = visualize_attention_heads(tuple(weights), attention_mask=[[0] * 4 + [1] * 12], thumb=16)
    rgba, _ = picture_of(chart)
    step = chart.to_dict()["width"]["step"]
    assert rgba[1 + 10, 1 + 1].tolist() == [214, 214, 214, 255]
    assert rgba[1 + 10, step + 1 + 6].tolist() == [176, 176, 176, 255]
    assert "144 nan, grey" in notes(chart)
    assert "padding grey" in notes(chart)
    table = headspec.to_table(chart)
    assert np.isnan(table["weight"][1])
    assert (table["key"].drop(index=1) >= 4).all()


def test_whole_layers_of_equal_weights_and_a_single_token_are_drawn() -> None:
    for weights in (np.full((1, 1, 2, 4, 4), 0.25), np.ones((1, 1, 1, 1, 1)), np.zeros((1, 1, 1, 3, 3))):
        chart = visualize_attention_heads(weights)
        rgba, _ = picture_of(chart)
        inside = rgba[rgba[..., 3] == 255]
        assert len(np.unique(inside, axis=0)) == 1
        assert marks(chart, "rect") == weights.shape[2]


def test_weights_that_are_no_distribution_have_no_entropy() -> None:
    table = headspec.to_table(visualize_attention_heads(np.random.default_rng(0).normal(size=(1, 2, 5, 5))))
    assert "entropy" not in table.columns


def test_negative_weights_get_a_diverging_scale_centred_on_zero() -> None:
    chart = visualize_attention_heads(np.random.default_rng(0).normal(size=(1, 2, 5, 5)))
    (channel,) = [channel for channel in find(chart.to_dict(), "fill") if isinstance(channel, dict)]
    low, high = channel["scale"]["domain"]
    assert low == -high


# --- errors ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        (lambda: tuple(np.full((1, 1, 2, 4, 4), np.nan)), {}, "no finite weight in any of 2 heads"),
        (lambda: np.ones((2, 3, 4, 4)), {}, "batch of 2; pick one with batch_idx"),
        (lambda: np.ones((1, 25_000, 1, 1), dtype=np.float32), {}, "25,000 thumbnails, more than the 20,000"),
        (lambda: np.ones((1, 2_000, 2, 2), dtype=np.float32), {}, "px, more than the 8,192"),
        (lambda: attention(1, 2, 4), {"thumb": 0}, "thumb=0 is no side"),
        (lambda: attention(1, 2, 4), {"max_value": "layer"}, "neither"),
        (lambda: attention(1, 2, 4), {"max_value": -1.0}, "must be positive"),
        (lambda: attention(1, 2, 4, causal=False), {"causal": True}, "gives weight to a later key"),
        (lambda: attention(1, 2, 4), {"pruned_heads": [(0, 2)]}, "layer 0 has heads 0 to 1"),
        (lambda: attention(1, 2, 4), {"measure": {7: [1.0, 2.0]}}, "covers none of the heads"),
        (lambda: attention(1, 2, 4), {"tokens": ["a"]}, "1 token, but the matrix has 4"),
        (
            lambda: {0: attention(1, 2, 4)[0], 1: attention(1, 2, 5)[0]},
            {"tokens": list("abcd")},
            "2 different shapes",
        ),
    ],
)
def test_what_cannot_be_drawn_says_so(weights: Any, options: Any, message: str) -> None:
    with pytest.raises((DataError, KindError), match=message):
        visualize_attention_heads(weights(), **options)


def test_a_part_of_many_heads_is_drawn_as_the_message_advises() -> None:
    with pytest.raises(DataError, match=r"\{layer: array\}"):
        visualize_attention_heads(np.ones((200, 1, 101, 2, 2), dtype=np.float32))
    assert marks(visualize_attention_heads({5: np.ones((1, 101, 2, 2), dtype=np.float32)}), "rect") == 101


# --- composition and size --------------------------------------------------------------------------------------------------


def test_it_stands_beside_other_charts_with_scales_of_its_own() -> None:
    chart = visualize_attention_heads(attention(2, 2, 8), measure=[[1, 2], [3, 4]], pruned_heads=[(0, 0)])
    other = headspec.visualize_entropy_heatmap([[0.0, 9.0]], revived_heads=[(0, 1)])
    alone = mark_counts(svg_of(chart))
    for pair in (chart | other, other & chart):
        both = mark_counts(svg_of(pair))
        assert both["rect"] == alone["rect"] + 2
    vega = vl_convert.vegalite_to_vega((chart | other).to_dict())
    domains = [scale.get("domain") for scale in vega["scales"]]
    assert [0, 9] in domains
    assert [0, 4] in domains
    rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule().encode(x=alt.value(3))
    assert sum(mark_counts(svg_of(chart + rule)).values()) == sum(alone.values()) + 1


def test_a_pick_rings_a_head_and_ignores_empty_places() -> None:
    chart = visualize_attention_heads(attention(2, 2, 8), select="thumb_pick")
    (param,) = chart.to_dict()["params"]
    assert param["name"] == "thumb_pick"
    assert "isNumber(event.item.datum.head)" in param["select"]["on"]


def test_the_spec_follows_the_pixels_and_not_the_tokens() -> None:
    sizes = [
        len(headspec.to_json(visualize_attention_heads(attention(4, 4, size), thumb=32))) for size in (32, 64, 256)
    ]
    assert max(sizes) < 1.5 * min(sizes)
    assert sizes[0] < 40_000


def test_bars_of_bytes_at_real_sizes() -> None:
    chart = visualize_attention_heads(attention(12, 12, 64))
    assert len(headspec.to_json(chart)) < 230_000  # of weights that are noise, the worst there is
    assert f"{LEVELS} colour steps" in notes(chart)
    step = chart.to_dict()["width"]["step"]
    assert step == 66
    many = visualize_attention_heads(attention(32, 32, 48, sharp=2.0))
    assert len(headspec.to_json(many)) < 500_000


def test_a_spec_is_valid_and_the_same_every_time() -> None:
    import jsonschema

    text = headspec.to_json(visualize_attention_heads(attention(2, 3, 9), measure=np.ones((2, 3)), select="pick"))
    assert text == headspec.to_json(
        visualize_attention_heads(attention(2, 3, 9), measure=np.ones((2, 3)), select="pick")
    )
    schema = alt.load_schema()
    jsonschema.validators.validator_for(schema)(schema).validate(json.loads(text))


def test_the_documented_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import doctest

    monkeypatch.setattr(headspec, "visualize_attention_heads", visualize_attention_heads, raising=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=False).find(visualize_attention_heads, "example", globs={}):
        runner.run(test)
    assert runner.tries > 3
    assert runner.failures == 0


@pytest.mark.browser
def test_chromium_draws_the_same_pixels_and_picks_heads(open_page: Any, tmp_path: Any) -> None:
    from PIL import Image

    weights = attention(2, 3, 24)
    chart = visualize_attention_heads(weights, thumb=48, select="thumb_pick")
    path = tmp_path / "heads.html"
    path.write_text(headspec.to_html(chart, theme="light", fallback=False), encoding="utf-8")
    opened = open_page(path).wait()
    image = opened.page.locator("svg image").bounding_box()
    picture = np.asarray(Image.open(io.BytesIO(opened.page.screenshot())).convert("RGB")).astype(int)
    left, above = round(image["x"]), round(image["y"])
    top = max(float(layer.max()) for layer in weights)
    palette = ColourScale("magma", 0.0, top)
    seen = np.tril(np.ones((24, 24), dtype=bool)).repeat(2, 0).repeat(2, 1)
    for layer in range(2):
        for head in range(3):
            expected = palette.colours()[palette.entry(weights[layer][0, head])].astype(int).repeat(2, 0).repeat(2, 1)
            row, column = above + layer * 50 + 1, left + head * 50 + 1
            drawn = picture[row : row + 48, column : column + 48]
            assert (np.abs(drawn - expected).max(-1)[seen] <= 8).all(), (layer, head)
            assert (drawn[~seen] == 255).all()
    opened.page.mouse.click(image["x"] + 2 * 50 + 25, image["y"] + 50 + 25)
    opened.until("(headspec.view.signal('thumb_pick').head || [])[0] === 2")
    picked = opened.js("headspec.view.signal('thumb_pick')")
    assert (picked["layer"], picked["head"]) == ([1], [2])
    opened.page.mouse.click(image["x"] + 75, image["y"] - 12)
    opened.page.wait_for_timeout(100)
    assert opened.js("headspec.view.signal('thumb_pick')")["head"] == [2]
    assert opened.messages == []
    assert opened.requests == []
