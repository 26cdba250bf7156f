"""Thumbnails: small, in true colours, the same bytes each time."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headspec.output.render import draw, to_png
from headspec.site import thumbs


def opened(png: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_a_picture_is_read_as_another_reader_reads_it(make):
    png = to_png(make.entropy_card().chart, scale=1)
    assert (thumbs.decode(png) == opened(png)).all()


@pytest.mark.parametrize("mode", ["RGBA", "RGB"])
def test_a_picture_written_by_others_is_read_or_refused(mode):
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 4), dtype=np.uint8)).convert(mode)
    with io.BytesIO() as out:
        picture.save(out, "PNG")
        png = out.getvalue()
    if mode == "RGB":
        with pytest.raises(ValueError, match="RGBA"):
            thumbs.decode(png)
        return
    pixels = np.asarray(picture).astype(float)
    white = pixels[..., :3] * pixels[..., 3:] / 255 + 255 - pixels[..., 3:]
    assert np.abs(thumbs.decode(png) - white).max() <= 1


images = hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30), st.just(3)))


@settings(max_examples=40, deadline=None)
@given(images)
def test_few_colours_stay_exact(image):
    few = image // 64 * 64
    assert (opened(thumbs.encode(*thumbs.indexed(few))) == few).all()


@settings(max_examples=40, deadline=None)
@given(images, st.integers(1, 40))
def test_shrinking_keeps_the_average_and_the_range(image, side):
    small = thumbs.shrunk(image, side)
    assert max(small.shape[:2]) == min(side, max(image.shape[:2]))
    assert image.min() <= small.min()
    assert small.max() <= image.max()
    if image.shape[0] % small.shape[0] == 0 and image.shape[1] % small.shape[1] == 0:
        assert abs(float(small.mean()) - float(image.mean())) <= 0.5


def test_no_colour_of_many_is_far_from_its_own():
    ramp = np.linspace(0, 1, 128)
    image = np.stack(np.broadcast_arrays(ramp[:, None] * 255, ramp * 255, 40 + 0 * ramp), axis=2).astype(np.uint8)
    image[5, 7] = (209, 73, 91)  # one pixel of a state's hue among thousands of others
    out = opened(thumbs.encode(*thumbs.indexed(image))).astype(int)
    assert np.abs(out - image).max() <= 24
    assert np.abs(out[5, 7] - image[5, 7]).max() <= 8


def test_a_thumbnail_keeps_to_its_budget_and_to_its_bytes(make):
    png = to_png(make.bar_card().chart, scale=2)
    assert thumbs.thumbnail(png) == thumbs.thumbnail(png)
    assert len(thumbs.thumbnail(png)) < thumbs.BUDGET
    noise = np.random.default_rng(1).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    encoded = thumbs.encode(*thumbs.indexed(noise[:200, :200]))
    assert opened(encoded).shape == (200, 200, 3)


def test_a_thumbnail_leaves_out_the_title_and_the_margins(make):
    chart = make.bar_card().chart.properties(title="Beside the picture")
    for drawn in (chart, chart | chart.properties(title="Of a panel"), chart & chart):
        text = draw(drawn.properties(title="The chart's own") if drawn is not chart else drawn).text
        bare = thumbs.without_title(text)
        assert bare.startswith("<svg")
        ElementTree.fromstring(bare)
        gone = "Beside the picture" if drawn is chart else "The chart's own"
        assert gone in text
        assert gone not in bare
        assert ("Beside the picture" in bare) == (drawn is not chart)
    assert thumbs.without_title("<svg><g></g></svg>") == "<svg><g></g></svg>"
    image = np.full((40, 60, 3), 255, np.uint8)
    image[10:20, 30:33] = 0
    assert thumbs.trimmed(image).shape == (10 + 2 * thumbs.MARGIN, 3 + 2 * thumbs.MARGIN, 3)
    assert thumbs.trimmed(image[:5]).shape == (5, 60, 3)
