"""What holds for any text, any rows and any shape."""

from __future__ import annotations

import json
import math
import re
import threading
import xml.etree.ElementTree as ET

import altair as alt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError
from headspec.output.datasets import row_text
from headspec.output.page import to_html
from headspec.output.png import chunks, with_metadata
from headspec.output.render import to_svg
from headspec.output.spec import to_json, to_rows
from headspec.output.table import exploded

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
HOSTILE = st.lists(
    st.sampled_from(["<", "</script>", "<!--", "&amp;", "'", '"', "`", "\\", "]]>", "{{title}}", "\t", "x", "\u2028"])
).map("".join)
NUMBER = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**9), 10**9) | st.none()


def chart(text: str, rows: list[dict[str, object]] | None = None) -> alt.Chart:
    data = alt.Data(values=rows or [{"a": 1, "t": text}])
    return alt.Chart(data, title=text, description=text or "x").mark_text().encode(x="a:Q", text="t:N")


@given(TEXT)
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_from_json(text):
    spec = json.loads(to_json(chart(text)).encode())
    assert spec["title"] == spec["datasets"]["rows"][0]["t"] == text


@given(HOSTILE)
@settings(max_examples=25, deadline=None)
def test_any_markup_is_data_in_pages_and_drawings(text):
    page = to_html(chart(text), fallback=False)
    payload = re.search(r'<script type="application/json" id="spec">([^<>&]*)</script>', page)
    assert payload is not None
    assert json.loads(payload[1])["spec"]["title"] == text
    assert page.count("<script") == page.count("</script>") == 3 + page.split("<script>")[1].count("<script")
    assert ET.fromstring(to_svg(chart(text))).tag.endswith("svg")


@given(st.dictionaries(st.text(max_size=5), NUMBER | TEXT | st.lists(NUMBER, max_size=5) | st.booleans(), max_size=6))
def test_a_row_is_json_without_nan_and_otherwise_the_same(row):
    def clean(value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return [clean(item) for item in value] if isinstance(value, list) else value

    assert json.loads(row_text(row), parse_constant=lambda _: 1 / 0) == {
        key: clean(value) for key, value in row.items()
    }


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4), min_size=1, max_size=6))
def test_lists_are_exploded_as_pandas_would(lists):
    frame = pd.DataFrame({"layer": range(len(lists)), "head": [list(range(len(cells))) for cells in lists], "v": lists})
    expected = frame.explode(["head", "v"], ignore_index=True).infer_objects()
    pd.testing.assert_frame_equal(exploded(frame), expected)


@given(st.floats(1, 5000), TEXT)
def test_png_metadata_is_put_in_once(ppi, text):
    plain = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0IHDR\0\0\0\0" + b"\0\0\0\0IEND\0\0\0\0"
    once = with_metadata(plain, ppi=ppi, texts={"Description": text})
    kinds = [kind for kind, _ in chunks(with_metadata(once, ppi=ppi, texts={}))]
    assert kinds == [b"IHDR", b"pHYs", *([b"iTXt"] if text else []), b"IEND"]


def test_threads_do_not_get_in_each_others_way(make):
    charts = {count: make.heat_map(make.heads_frame(2, count)) for count in range(1, 9)}
    alone = {count: to_json(item, theme="dark" if count % 2 else "light") for count, item in charts.items()}
    together: dict[int, set[str]] = {count: set() for count in charts}

    def work(count: int) -> None:
        for _ in range(5):
            together[count].add(to_json(charts[count], theme="dark" if count % 2 else "light"))

    threads = [threading.Thread(target=work, args=(count,)) for count in charts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == {count: {text} for count, text in alone.items()}
    assert alt.theme.active == "default"


@given(st.lists(st.integers(0, 5), min_size=2, max_size=2, unique=True))
def test_uneven_lists_are_never_exploded(sizes):
    frame = pd.DataFrame({"a": [list(range(sizes[0]))], "b": [list(range(sizes[1]))]})
    with pytest.raises(DataError, match=f"a has {sizes[0]} and b has {sizes[1]}"):
        exploded(frame)


def test_rows_of_many_kinds_survive_together(make):
    frame = make.packed_frame().assign(text="é\u2028", flag=True, gone=None)
    assert to_rows(make.packed_map(frame))["heads"] == frame.astype(object).to_dict("records")
