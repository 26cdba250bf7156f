from __future__ import annotations

import altair as alt
import pandas as pd
import pytest

from headspec.errors import DataError, RenderError
from headspec.output import render
from headspec.output.check import check_marks, check_safe
from headspec.output.page import to_html
from headspec.output.render import to_pdf, to_png, to_svg
from headspec.output.spec import export
from headspec.text import clean

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
EVERY = [to_png, to_svg, to_pdf, to_html]


@pytest.fixture
def no_renderer(monkeypatch):
    """The renderer must not be reached: what is refused is refused before it."""

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("the renderer was reached")

    monkeypatch.setattr(render, "_call", reached)


def image(address: object, **channels: object) -> alt.Chart:
    frame = pd.DataFrame({"a": [1], "u": [address]})
    return alt.Chart(frame).mark_image(width=5, height=5).encode(x="a:Q", **channels)


@pytest.mark.parametrize("make_output", EVERY)
@pytest.mark.parametrize(
    ("chart", "place"),
    [
        (alt.Chart("https://example.org/x.csv").mark_point().encode(x="a:Q"), "address"),
        (alt.Chart("/etc/passwd").mark_point().encode(x="a:Q"), "address"),
        (alt.Chart("x.csv").mark_point() | alt.Chart(pd.DataFrame({"a": [1]})).mark_point(), r"hconcat\[0\].data"),
        (
            alt.Chart(pd.DataFrame({"a": [1]}))
            .mark_point()
            .transform_lookup("a", alt.LookupData("https://h/x", key="a", fields=["b"])),
            r"transform\[0\].from.data",
        ),
        (alt.Chart(pd.DataFrame({"a": [1], "u": "u"})).mark_point().encode(href="u:N"), "href"),
        (alt.Chart(pd.DataFrame({"a": [1]})).mark_point(href="javascript:alert(1)"), "href"),
        (alt.Chart(pd.DataFrame({"a": [1]})).mark_point().configure_point(href="https://h"), "config.point.href"),
        (alt.Chart(pd.DataFrame({"a": [1]})).mark_image(url="http://127.0.0.1/x.png"), "data: address"),
        (alt.Chart(pd.DataFrame({"a": [1]})).mark_image(url="data:text/html,<script>"), "data: address"),
        (image("https://h/x.png", url="u:N"), "column 'u' holds the address"),
        (image(PIXEL, url=alt.value("file:///etc/passwd")), "data: address"),
        (
            image(PIXEL, url=alt.when("datum.a > 0").then(alt.value("https://h/x.png")).otherwise("u:N")),
            "data: address",
        ),
        (
            alt.Chart(pd.DataFrame({"a": [1]}), usermeta={"embedOptions": {"patch": "https://h/p.json"}}).mark_point(),
            "embedOptions",
        ),
    ],
)
def test_addresses_are_refused_before_the_renderer(chart, place, make_output, no_renderer):
    with pytest.raises(DataError, match=place):
        make_output(chart)


def test_the_themes_of_vega_are_asked_for_by_name_and_drawn(make):
    with alt.theme.enable("dark"):
        assert 'fill="#333"' in to_svg(make.bars())
        assert "dark" in to_html(make.bars(), fallback=False)
    quiet = make.bars(usermeta={"embedOptions": {"actions": False, "renderer": "canvas"}})
    assert to_html(quiet, fallback=False)


@pytest.mark.parametrize(
    "options",
    [{"theme": "https://h/x.json"}, {"actions": True}, {"ast": False}, {"config": {}}, {"loader": {}}, "https://h"],
)
def test_other_options_of_an_embedding_page_are_refused(make, options, no_renderer):
    with pytest.raises(DataError, match="embedOptions has"):
        to_html(make.bars(usermeta={"embedOptions": options}))


def test_an_image_in_the_data_is_drawn(make):
    assert 'xlink:href="data:image/png' in to_svg(image(PIXEL, url="u:N"))


def test_an_address_that_is_computed_is_seen_in_the_drawing_before_it_is_fetched(monkeypatch):
    fetching = []
    call = render._call

    def watched(function: str, *inputs: object, **options: object) -> object:
        fetching.append(function)
        return call(function, *inputs, **options)

    monkeypatch.setattr(render, "_call", watched)
    chart = image("x", url="made:N").transform_calculate(made="'http://127.0.0.1:9/' + datum.u")
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/x"):
        to_png(chart)
    assert fetching == ["vegalite_to_svg"]  # which does not fetch images; making pixels would


UNSAFE = ["a\x00b", "bell\x07", "\x1b[31m", "\x0b", "\x0c", "\ufffe", "\uffff", "c:\\new\\x08\x08"]


@pytest.mark.parametrize("make_output", EVERY)
@pytest.mark.parametrize("text", UNSAFE)
def test_text_that_aborts_the_process_is_refused_wherever_it_is_drawn(text, make_output, no_renderer):
    frame = pd.DataFrame({"a": [1], "t": [text]})
    fine = pd.DataFrame({"a": [1]})
    for chart in (
        alt.Chart(frame).mark_text().encode(x="a:Q", text="t:N"),
        alt.Chart(frame).mark_point().encode(x="a:Q", tooltip="t:N"),
        alt.Chart(fine, title=text).mark_point(),
        alt.Chart(fine).mark_point().encode(x=alt.X("a:Q", title=text)),
        alt.Chart(fine).mark_point().add_params(alt.param("names", value=[text])),
    ):
        with pytest.raises(DataError, match=r"headspec\.text\.clean"):
            make_output(chart)


def test_control_characters_that_nobody_draws_do_no_harm():
    frame = pd.DataFrame({"a": [1], "raw": ["\x00\x07"], "tokens": [["\x1b"]]})
    drawn = to_svg(alt.Chart(frame, description="\x07 said").mark_point().encode(x="a:Q"))
    assert clean("\x07 said") in drawn
    assert "\x07" not in drawn


def test_backslashes_tabs_and_line_ends_are_not_taken_for_controls():
    for text in ["C:\\u0007", "\\b", "a\tb", "one\ntwo", "\\\\f"]:
        assert "<svg" in to_svg(
            alt.Chart(pd.DataFrame({"a": [1], "t": [text]})).mark_text().encode(x="a:Q", text="t:N")
        )


@pytest.mark.parametrize("name", ["a.b", "a[0]", "a'b", "[", "a]"])
def test_a_column_whose_name_is_read_as_a_path_is_refused(name, no_renderer):
    chart = alt.Chart(pd.DataFrame({name: [1]})).mark_point().encode(x=alt.X(field=name, type="quantitative"))
    with pytest.raises(DataError, match="rename the column"):
        to_svg(chart)


@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__", 'a"b'])
def test_a_name_that_breaks_vega_is_refused(name, no_renderer):
    chart = alt.Chart(pd.DataFrame({name: [1]})).mark_point().encode(x=alt.X(field=name, type="quantitative"))
    with pytest.raises(DataError, match="rename the column"):
        to_svg(chart)


def test_an_escaped_name_and_a_true_path_are_drawn(recwarn):
    frame = pd.DataFrame({"a.b": [1]})
    assert 'aria-label="a.b: 1"' in to_svg(
        alt.Chart(frame).mark_point().encode(x=alt.X(field="a\\.b", type="quantitative"))
    )
    deep = alt.Data(values=[{"a": {"b": 1}}])
    to_svg(alt.Chart(deep).mark_point().encode(x=alt.X(field="a.b", type="quantitative")))
    assert not recwarn.list


@pytest.mark.parametrize("end", ["\n", "\r", "\u2028", "\u2029"])
def test_a_line_end_in_an_axis_title_is_refused_with_the_form_that_works(end, no_renderer):
    chart = alt.Chart(pd.DataFrame({"a": [1]})).mark_point()
    for channel in (
        alt.X("a:Q", title=f"one{end}two"),
        alt.X("a:Q", axis=alt.Axis(title=f"one{end}two")),
        alt.Color("a:Q", legend=alt.Legend(title=f"one{end}two")),
        alt.Y("count()", title=f"one{end}two"),
    ):
        with pytest.raises(DataError, match=r"title=\[…, …\]"):
            to_svg(chart.encode(channel))


@pytest.mark.parametrize("end", ["\n", "\u2028"])
def test_a_line_end_elsewhere_is_drawn(end):
    frame = pd.DataFrame({"a": [1], "t": [f"one{end}two"]})
    chart = alt.Chart(frame, title=f"one{end}two").mark_text().encode(x="a:Q", text="t:N", tooltip="t:N")
    assert to_svg(chart)


def test_a_title_as_a_list_is_drawn():
    chart = alt.Chart(pd.DataFrame({"a": [1]})).mark_point()
    assert "two" in to_svg(chart.encode(x=alt.X("a:Q", title=["one", "two"])))


def big(cells: int = 600) -> alt.Chart:
    frame = pd.DataFrame({"row": range(cells), "v": [list(range(cells))] * cells})
    return alt.Chart(frame).mark_rect().encode(x="v:O", y="row:O").transform_flatten(["v"])


@pytest.mark.parametrize("make_output", EVERY)
def test_too_many_marks_are_refused_before_the_renderer(make_output, no_renderer):
    with pytest.raises(RenderError, match=r"up to 360,000 marks, and 200,000 is the most .*max_marks="):
        make_output(big())


def test_too_many_labels_are_refused_sooner(no_renderer):
    frame = pd.DataFrame({"a": range(21_000)})
    with pytest.raises(RenderError, match="21,000 text labels, and 20,000 is the most"):
        to_svg(alt.Chart(frame).mark_text().encode(x="a:Q", text="a:N"))


def test_a_caller_can_allow_more_or_less(make, no_renderer):
    taken = export(big())
    assert check_marks(taken, max_marks=400_000).marks == 360_000
    with pytest.raises(RenderError, match="12 marks, and 11 is the most"):
        to_svg(make.heat_map(), max_marks=11)


def test_what_a_filter_drops_is_not_counted_against_the_limit():
    taken = export(big(60).transform_filter("datum.v < 10"))
    check_safe(taken)
    assert check_marks(taken, max_marks=1_000).marks == 600
    with pytest.raises(RenderError, match="3,600 marks"):
        check_marks(export(big(60).transform_filter("datum.v < someday(1)")), max_marks=1_000)


@pytest.mark.parametrize("make_output", [to_png])
def test_too_many_pixels_are_refused(make_output):
    chart = alt.Chart(pd.DataFrame({"a": [1]})).mark_point().properties(width=9000, height=9000)
    with pytest.raises(RenderError, match=r"the most: the chart is 9,\d\d\d × 9,\d\d\d px, so lower scale="):
        make_output(chart, scale=2)
