from __future__ import annotations

import math
import re
import warnings
import xml.etree.ElementTree as ET

import altair as alt
import pandas as pd
import pytest

from headspec.errors import DataError, HeadspecWarning, KindError, RenderError
from headspec.output import fonts
from headspec.output.png import chunks, packed, pixels
from headspec.output.render import COLUMNS, draw, to_pdf, to_png, to_svg, to_vega
from headspec.output.svg import stable

ELEMENTS = ["svg", "g", "path", "rect", "line", "text", "title", "desc", "defs", "linearGradient", "stop", "clipPath"]
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "'+alert(1)+'",
    '"><img src=x onerror=alert(1)>',
    "]]> &amp; & <",
    "x\ty",
]


def header(png: bytes) -> dict[bytes, bytes]:
    return dict(chunks(png))


def size(png: bytes) -> tuple[int, int]:
    head = header(png)[b"IHDR"]
    return int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")


def inches(png: bytes) -> float:
    """The width in print that an image says it has."""
    phys = header(png)[b"pHYs"]
    assert phys[8] == 1  # per metre
    assert phys[:4] == phys[4:8]
    return size(png)[0] / int.from_bytes(phys[:4], "big") / 0.0254


def page(pdf: bytes) -> tuple[float, float]:
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert box is not None
    return float(box[1]), float(box[2])


def test_png_has_twice_the_pixels_and_says_so(make):
    width, height = draw(make.heat_map()).size
    image = to_png(make.heat_map())
    assert size(image) == (2 * width, 2 * height)
    assert inches(image) == pytest.approx(width / 72, rel=1e-4)


@pytest.mark.parametrize(("dpi", "scale"), [(72, 1), (73, 2), (144, 2), (150, 3), (300, 5), (600, 9), (10, 1)])
def test_dpi_is_rounded_up_to_a_whole_scale_of_the_same_size_in_print(make, dpi, scale):
    width, _ = draw(make.heat_map()).size
    image = to_png(make.heat_map(), dpi=dpi)
    assert size(image)[0] == scale * width
    assert inches(image) == pytest.approx(width / 72, rel=1e-3)


@pytest.mark.parametrize("column", ["single", "double", 2.5])
@pytest.mark.parametrize("dpi", [None, 150, 600])
def test_a_column_sets_the_width_in_print(make, column, dpi):
    wanted = COLUMNS.get(column, column)
    chart = make.heat_map()
    width, height = draw(chart).size
    image = to_png(chart, column=column, dpi=dpi)
    assert inches(image) == pytest.approx(wanted, rel=1e-4)
    scale = size(image)[0] / width
    assert scale == int(scale) == math.ceil((dpi or 300) * wanted / width)
    assert size(image)[0] / wanted >= (dpi or 300)
    assert page(to_pdf(chart, column=column)) == pytest.approx((72 * wanted, 72 * wanted * height / width), abs=0.01)
    root = ET.fromstring(to_svg(chart, column=column))
    assert root.get("width") == f"{wanted:g}in"
    assert float(root.get("height").removesuffix("in")) == pytest.approx(wanted * height / width, abs=1e-3)
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"


def test_single_is_85_mm_and_double_178(make):
    assert round(COLUMNS["single"] * 25.4) == 85
    assert round(COLUMNS["double"] * 25.4) == 178


def test_pdf_without_a_column_has_a_point_a_pixel(make):
    width, height = draw(make.heat_map()).size
    assert page(to_pdf(make.heat_map())) == (width, height)


def test_a_wide_chart_in_a_narrow_column_warns_of_its_small_text(make):
    wide = make.bars(width=900)
    with pytest.warns(HeadspecWarning, match=r"smallest text is .* pt; make the chart narrower"):
        to_pdf(wide, column="single")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_pdf(make.bars(width=180), column="single")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"scale": 1.5}, DataError, "whole number from 1 to 32"),
        ({"scale": 0}, DataError, "whole number"),
        ({"scale": -1}, DataError, "whole number"),
        ({"scale": math.nan}, DataError, "whole number"),
        ({"scale": "2"}, KindError, "whole number"),
        ({"scale": True}, KindError, "whole number"),
        ({"scale": 2, "dpi": 300}, DataError, "either scale="),
        ({"scale": 2, "column": "single"}, DataError, "either scale="),
        ({"dpi": 0}, DataError, "dpi"),
        ({"dpi": math.inf}, DataError, "dpi"),
        ({"dpi": "300"}, DataError, "dpi"),
        ({"column": "triple"}, DataError, "'single'"),
        ({"column": 0}, DataError, "'single'"),
        ({"column": math.nan}, DataError, "'single'"),
        ({"column": True}, DataError, "'single'"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(make, arguments, error, words):
    with pytest.raises(error, match=words):
        to_png(make.bars(), **arguments)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_every_pixel_of_a_cell_has_the_colour_of_its_value(make, scale):
    scale_of_greys = alt.Scale(domain=[0, 1], range=["#000000", "#ffffff"], interpolate="rgb")
    chart = alt.Chart(make.heads_frame()).mark_rect().properties(width={"step": 20}, height={"step": 20})
    chart = chart.encode(
        alt.X("head:O", axis=None), alt.Y("layer:O", axis=None), alt.Color("value:Q", scale=scale_of_greys)
    )
    drawing = draw(chart)
    left, top = map(
        float,
        re.search(r'translate\(([\d.]+),([\d.]+)\)"><g class="mark-group role-frame root"', drawing.text).groups(),
    )
    width, _, data = pixels(drawing.to_png(scale=scale))
    for row in make.heads_frame().itertuples():
        want = round(255 * row.value)
        for y in range(20 * scale):
            for x in range(20 * scale):
                place = 4 * (round(scale * (top + 20 * row.layer)) + y) * width + 4 * (
                    round(scale * (left + 20 * row.head)) + x
                )
                assert abs(data[place] - want) <= 1


def test_png_carries_the_description_and_its_chunks_are_whole(make):
    import zlib

    image = to_png(make.heat_map(description="Große Köpfe – 3."))
    texts = [body for kind, body in chunks(image) if kind == b"iTXt"]
    assert b"Description\0\0\0\0\0" + "Große Köpfe – 3.".encode() in texts
    assert [kind for kind, _ in chunks(image)].count(b"pHYs") == 1
    place = 8
    for kind, body in chunks(image):
        check = image[place + 8 + len(body) : place + 12 + len(body)]
        assert check == zlib.crc32(kind + body).to_bytes(4, "big")
        place += 12 + len(body)
    assert place == len(image)


def test_svg_is_well_formed_and_says_what_it_shows(charts):
    for name, chart in charts.items():
        root = ET.fromstring(to_svg(chart))
        labels = root.get("aria-labelledby").split()
        told = [root.find(f"*[@id='{label}']").text for label in labels]
        assert root.get("role") == "img"
        assert told[-1], name


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_svg_and_draws(text, make):
    frame = pd.DataFrame({"strategy": [text, "b"], "perplexity": [1.0, 2.0]})
    chart = make.bars(frame, title=text, description=text).encode(
        x=alt.X("strategy:N", title=text), color="perplexity:Q"
    )
    chart = chart.encode(tooltip="strategy:N")
    root = ET.fromstring(to_svg(chart))
    assert {element.tag for element in root.iter()} <= {SVG + tag for tag in ELEMENTS}
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]
    assert root.find(SVG + "desc").text == " ".join(text.split())
    assert len(to_png(chart, scale=1)) > 1000
    assert to_pdf(chart).startswith(b"%PDF")


def test_two_drawings_on_one_page_share_no_id(make):
    one, two = (to_svg(make.heat_map(title=title)) for title in ("one", "two"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, two)]
    assert all(ids)
    assert not ids[0] & ids[1]
    for text, own in zip((one, two), ids, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", text)) <= own
        assert set(re.search(r'aria-labelledby="([^"]+)"', text)[1].split()) <= own


def test_the_second_drawing_in_a_process_is_the_first_one(make):
    assert to_svg(make.heat_map()) == to_svg(make.heat_map())
    several = make.heat_map() | make.bars(title="bold") | make.packed_map()  # fonts and gradients to put in order
    assert len({to_pdf(several) for _ in range(6)}) == 1
    assert to_png(make.heat_map()) == to_png(make.heat_map())


def test_ids_are_replaced_only_where_they_are_ids():
    text = '<svg width="1" height="1"><g fill="url(#gradient_7)"/><text>url(#gradient_7) id gradient_7</text><linearGradient id="gradient_7"/></svg>'
    out = stable(text)
    assert "<text>url(#gradient_7) id gradient_7</text>" in out
    assert out.count("gradient_7") == 2
    assert re.search(r'url\(#(\w+-0)\).*id="\1"', out)


def test_pdf_is_whole_after_its_objects_are_put_in_order(make):
    document = to_pdf(make.heat_map() | make.bars(), theme="dark")
    start = int(re.search(rb"startxref\n(\d+)\n", document)[1])
    assert document[start : start + 4] == b"xref"
    count = int(re.search(rb"xref\n0 (\d+)", document[start:])[1])
    entries = re.findall(rb"(\d{10}) (\d{5}) ([fn])\r\n", document[start:])
    assert len(entries) == count
    for number, (place, _, kind) in enumerate(entries):
        if kind == b"n":
            assert document[int(place) :].startswith(b"%d 0 obj\n" % number)
    used = {
        int(found)
        for found in re.findall(rb"\b(\d+) 0 R\b", re.sub(rb"stream\n.*?\nendstream", b"", document, flags=re.S))
    }
    assert used <= set(range(1, count))


def test_pdf_of_an_unknown_form_is_left_alone():
    from headspec.output.pdf import stable as stable_pdf

    for odd in (
        b"",
        b"%PDF-2.0 nothing",
        b"1 0 obj\nendobj",
        b"1 0 obj\n<< /Length 9 >>\nstream\nxx\nendobj trailer /Root 1 0 R",
    ):
        assert stable_pdf(odd, title="t") in (odd, stable_pdf(odd, title="t"))
    assert stable_pdf(b"%PDF-2.0 nothing") == b"%PDF-2.0 nothing"


def test_background_replaces_the_themes(make):
    assert 'fill="#abcdef"' in to_svg(make.bars(), background="#abcdef")
    _, _, data = pixels(to_png(make.bars(), background="transparent", scale=1))
    assert data[3] == 0


def test_vega_is_what_the_chart_compiles_to(make):
    vega = to_vega(make.heat_map())
    assert vega["$schema"].startswith("https://vega.github.io/schema/vega/")
    assert next(item["name"] for item in vega["data"]) == "heads"


def test_what_the_renderer_says_is_our_error(make):
    chart = make.bars().transform_calculate(x="datum.a +* 2")
    with pytest.raises(RenderError, match="could not draw the chart"):
        to_svg(chart)


def test_a_chart_that_draws_nothing_says_which_field_is_wrong(make):
    chart = (
        alt.Chart(make.heads_frame()).mark_rect().encode(x="head:O", y="layer:O").transform_filter("datum.weigth > 2")
    )
    with pytest.warns(HeadspecWarning, match="draws no mark"):
        to_svg(chart)
    lost = (
        alt.Chart(make.heads_frame())
        .mark_line()
        .encode(x="stepp:Q", y="valu:Q")
        .transform_filter("isValid(datum.valu)")
    )
    with pytest.warns(
        HeadspecWarning, match="no row has 'stepp' and 'valu'; the columns are 'head', 'layer' and 'value'"
    ):
        to_svg(lost)


def test_an_empty_chart_is_drawn_without_a_word(recwarn):
    to_svg(alt.Chart(pd.DataFrame({"a": []})).mark_point().encode(x="a:Q"))
    assert not recwarn.list


# U+2FE0 is assigned to nothing, so that no font of any machine has it: the test needs no font to be absent
NO_FONT = "\u2fe0"


def test_a_character_without_a_font_is_a_warning_that_names_it(make):
    chart = make.bars(pd.DataFrame({"strategy": [f"a{NO_FONT}"], "perplexity": [1.0]}), title=f"{NO_FONT} é")
    for output in (to_png, to_pdf):
        with pytest.warns(
            HeadspecWarning, match=r"no installed font has '\\u2fe0' \(U\+2FE0\): they are drawn"
        ) as caught:
            output(chart)
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_svg(chart)  # the reader's own fonts draw it


def test_characters_that_are_there_are_not_named(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_png(make.bars(pd.DataFrame({"strategy": ["é – ≥ Ġ"], "perplexity": [1.0]}), title="∞ ×"))


def test_a_missing_family_is_a_warning_and_its_text_is_still_drawn(make):
    chart = make.bars(title="Title")
    with pytest.warns(HeadspecWarning, match="'No Such Family' is not installed"):
        image = to_png(chart, theme={"font": "No Such Family"})
    plain = to_png(chart, theme={"font": "sans-serif"})
    assert header(image)[b"IDAT"] == header(plain)[b"IDAT"]


def test_the_drawn_text_is_what_is_asked_about():
    from headspec.output.svg import drawn_text

    assert drawn_text('<svg aria-label="é"><text x="1">日<tspan>Ω</tspan></text><title>ß</title></svg>') == {"日", "Ω"}
    assert fonts.missing_characters({"\u0301", " ", "a"}, lambda _: b"never asked") == []


def test_marks_that_only_carry_tooltips_are_left_out_of_a_picture_and_change_no_pixel() -> None:
    import numpy as np
    import vl_convert

    from headspec.charts.attention import visualize_attention_matrix
    from headspec.output import svg
    from headspec.output.render import draw

    weights = np.tril(np.random.default_rng(0).random((180, 180)))
    text = draw(visualize_attention_matrix(weights / weights.sum(1, keepdims=True)), theme="light").text
    bare = svg.without_invisible(text)
    assert text.count('opacity="0"') > 400
    assert bare.count('opacity="0"') == 0
    assert bare.count("<path") == text.count("<path") - text.count('opacity="0"')
    assert vl_convert.svg_to_png(bare, scale=1) == vl_convert.svg_to_png(text, scale=1)
    kept = '<path d="M0,0" fill-opacity="0"/><path opacity="0.5"/><text>&lt;path opacity="0"/&gt;</text>'
    assert svg.without_invisible(kept) == kept


def test_a_packed_png_is_the_same_picture_in_fewer_bytes() -> None:
    frame = pd.DataFrame({"x": range(40), "y": [value % 7 for value in range(40)]})
    png = to_png(alt.Chart(frame, title="Seven").mark_bar().encode(x="x:O", y="y:Q"), dpi=144)
    small = packed(png)
    assert len(small) < len(png) / 2
    assert pixels(small) == pixels(png)
    assert [kind for kind, _ in chunks(small)] == [kind for kind, _ in chunks(png)]
    assert packed(small) == small
