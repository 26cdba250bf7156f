"""Maxima and means of blocks in one chart, with a switch between them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import headspec
from headspec.charts.parts import POOL_SWITCH
from headspec.reduce.palette import ColourScale
from support import marks, pixels

RNG = np.random.default_rng(3)
WEIGHTS = (RNG.random((600, 600)) ** 6).astype(np.float32)
HEADS = (RNG.random((2, 1, 3, 128, 128)) ** 6).astype(np.float32)


def matrix(pool: Any) -> Any:
    return headspec.visualize_attention_matrix(WEIGHTS, pool=pool)


def heads(pool: Any) -> Any:
    return headspec.visualize_attention_heads(tuple(HEADS), pool=pool, thumb=32, max_value=1.0)


@pytest.mark.parametrize("make", [matrix, heads])
def test_a_picture_shows_the_maxima_and_holds_one_image(make: Any) -> None:
    both = make("both")
    assert marks(both, "image") == 1
    assert "the maximum or, at the switch, the mean of" in headspec.summary(both)
    assert np.array_equal(panel(both), panel(make("max")))
    assert not np.array_equal(panel(both), panel(make("mean")))


def panel(chart: Any) -> Any:
    """Return the lower part of a picture, below the words of its title, which differ."""
    return pixels(chart.properties(title="One"))[60:]


@pytest.mark.parametrize(
    "chart",
    [
        headspec.visualize_attention_matrix(WEIGHTS[:100, :100], pool="both"),
        headspec.visualize_attention_heads(tuple(HEADS[..., :20, :20]), pool="both", thumb=32),
    ],
)
def test_there_is_no_switch_where_nothing_is_pooled(chart: Any) -> None:
    assert POOL_SWITCH not in headspec.to_json(chart)
    assert "switch" not in headspec.summary(chart)


def test_charts_side_by_side_share_the_switch() -> None:
    spec = headspec.to_spec(matrix("both") | heads("both"))
    assert [param["name"] for param in spec["params"]].count(POOL_SWITCH) == 1
    assert marks(matrix("both") | heads("both"), "image") == 2


@pytest.mark.browser
def test_the_switch_changes_the_image(open_page: Any, tmp_path: Any) -> None:
    from PIL import Image

    path = tmp_path / "both.html"
    path.write_text(headspec.to_html(matrix("both"), theme="light", fallback=False), encoding="utf-8")
    opened = open_page(path).wait()
    palette = ColourScale("magma", 0.0, 1.0)
    for choice, pool in (("mean", np.mean), ("maximum", np.max)):
        opened.page.locator(f"input[type=radio][value={choice}]").check()
        opened.until(f"headspec.view.signal('{POOL_SWITCH}') === '{choice}'")
        opened.page.wait_for_timeout(100)
        image = opened.page.locator("svg image")
        assert image.count() == 1
        box = image.bounding_box()
        shot = np.asarray(Image.open(io.BytesIO(opened.page.screenshot(full_page=True))).convert("RGB")).astype(int)
        left, top = round(box["x"]), round(box["y"])
        drawn = shot[top : top + 300, left : left + 300]
        expected = palette.colours()[palette.entry(pool(WEIGHTS.reshape(300, 2, 300, 2), axis=(1, 3)))].astype(int)
        assert (np.abs(drawn - expected).max(-1) <= 8).all(), choice
    assert opened.messages == []
