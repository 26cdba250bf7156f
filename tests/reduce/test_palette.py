from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headspec.reduce.palette import ColourScale, dark_ink_range, luminance, png_uri, rgb
from headspec.reduce.schemes import SCHEMES


def drawn_by_vega(scheme: str) -> np.ndarray:
    spec = {
        "data": {"sequence": {"start": 0, "stop": 256, "as": "i"}},
        "mark": "rect",
        "encoding": {
            "x": {"field": "i", "type": "ordinal", "axis": None},
            "color": {
                "field": "i",
                "type": "quantitative",
                "legend": None,
                "scale": {"scheme": scheme, "domain": [0, 255]},
            },
        },
    }
    found = re.findall(r'aria-label="i: (\d+)"[^>]*fill="([^"]+)"', vl_convert.vegalite_to_svg(spec))
    colours = {}
    for place, text in found:
        digits = re.findall(r"\d+", text) if text.startswith("rgb") else [int(text[k : k + 2], 16) for k in (1, 3, 5)]
        colours[int(place)] = [int(digit) for digit in digits]
    return np.array([colours[place] for place in range(256)])


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_our_colours_are_those_that_the_renderer_draws(scheme: str) -> None:
    assert np.abs(rgb(scheme).astype(int) - drawn_by_vega(scheme)).max() == 0


ends = st.floats(1e-6, 1e6)


@given(ends, ends, st.sampled_from(["linear", "sqrt", "log"]), st.floats(0, 1))
def test_value_undoes_position(a: float, b: float, kind: str, position: float) -> None:
    low, high = min(a, b), max(a, b) * 1.5
    scale = ColourScale("viridis", low, high, kind)
    assert np.isclose(scale.position(scale.value(position)), position, atol=1e-6)
    assert np.allclose(scale.position([low, high]), [0, 1])


@pytest.mark.parametrize("scheme", list(SCHEMES))
@pytest.mark.parametrize("ends", [(0.0, 1.0), (-2.0, 2.0), (48.0, 1.0)])
def test_the_ink_is_the_more_legible_one_on_every_colour(scheme: str, ends: tuple[float, float]) -> None:
    scale = ColourScale(scheme, *ends)
    low, high = dark_ink_range(scale)
    light = luminance(scale.colours())
    for entry in range(256):
        value = scale.value(entry / 255)
        black, white = (light[entry] + 0.05) / 0.05, 1.05 / (light[entry] + 0.05)
        assert (low <= value <= high) == (black > white) or abs(black - white) < 0.15


def test_a_palette_image_is_read_back_exactly() -> None:
    entries = np.random.default_rng(0).integers(0, 256, (7, 13), dtype=np.uint8)
    uri = png_uri(entries, rgb("viridis"), clear=255)
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    image.verify()
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGBA")
    pixels = np.asarray(image)
    assert np.array_equal(pixels[..., :3], rgb("viridis")[entries])
    assert np.array_equal(pixels[..., 3] == 0, entries == 255)
