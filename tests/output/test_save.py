from __future__ import annotations

import json

import altair as alt
import pandas as pd
import pytest

from headspec.errors import DataError, KindError, RenderError
from headspec.output import files
from headspec.output.page import to_html
from headspec.output.render import to_pdf, to_png, to_svg
from headspec.output.save import save
from headspec.output.spec import to_json


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.json", to_json),
        ("a.vl.json", to_json),
        ("a.b.VL.JSON", to_json),
        ("a.png", to_png),
        ("a.PNG", to_png),
        ("a.svg", to_svg),
        ("a.pdf", to_pdf),
        ("a.html", to_html),
    ],
)
def test_the_suffix_says_what_is_written(make, tmp_path, name, expected):
    chart = make.heat_map()
    path = save(chart, tmp_path / name)
    content = expected(chart)
    assert path == tmp_path / name
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_vega_json_is_vega(make, tmp_path):
    out = json.loads(save(make.packed_map(), str(tmp_path / "a.vg.json")).read_text(encoding="utf-8"))
    assert out["$schema"].startswith("https://vega.github.io/schema/vega/")
    assert out["data"][0]["name"] == "heads"


def test_arguments_reach_the_function(make, tmp_path):
    chart = make.heat_map()
    assert save(chart, tmp_path / "a.png", dpi=150, theme="dark").read_bytes() == to_png(chart, dpi=150, theme="dark")
    assert save(chart, tmp_path / "a.pdf", column=2.5).read_bytes() == to_pdf(chart, column=2.5)
    page = save(chart, tmp_path / "a.html", title="T", lang="de", fallback=False, theme="paper").read_text(
        encoding="utf-8"
    )
    assert page == to_html(chart, title="T", lang="de", fallback=False, theme="paper")


@pytest.mark.parametrize("form", ["name", "url"])
def test_rows_go_beside_the_spec(make, tmp_path, form):
    chart = make.heat_map() | make.bars()
    save(chart, tmp_path / "fig.vl.json", data=form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fig.heads.json", "fig.results.json", "fig.vl.json"]
    spec = json.loads((tmp_path / "fig.vl.json").read_text())
    rows = json.loads((tmp_path / "fig.heads.json").read_text())
    assert rows == make.heads_frame().to_dict("records")
    assert (tmp_path / "fig.heads.json").read_text().count("\n") == len(rows) + 2
    assert "datasets" not in spec
    data = spec["hconcat"][0]["data"]
    assert data == ({"name": "heads"} if form == "name" else {"url": "fig.heads.json", "format": {"type": "json"}})


def test_csv_text_goes_beside_the_spec_as_csv(tmp_path):
    data = alt.InlineData(values="a,b\n1,2", format={"type": "csv"})
    save(alt.Chart(data).mark_point().encode(x="a:Q"), tmp_path / "fig.json", data="url")
    assert (tmp_path / "fig.rows.json").read_text() == "a,b\n1,2"
    assert json.loads((tmp_path / "fig.json").read_text())["data"]["format"] == {"type": "csv"}


def test_the_spec_comes_last(make, tmp_path, monkeypatch):
    real, order = files.write_atomic, []
    monkeypatch.setattr(files, "write_atomic", lambda path, content: (order.append(path.name), real(path, content))[1])
    save(make.heat_map() | make.bars(), tmp_path / "fig.json", data="url")
    assert order[-1] == "fig.json"


@pytest.mark.parametrize("name", ["chart", "chart.jpg", "chart.jpeg", ".png", "chart.json.gz", "chart.", "vl.json.bak"])
def test_an_unknown_suffix_is_told_the_known_ones(make, tmp_path, name):
    with pytest.raises(DataError, match=r"saved as \.vl\.json, \.vg\.json, \.json, \.html, \.png, \.svg or \.pdf"):
        save(make.bars(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("a.json", {"scale": 2}, r"scale= has no meaning for \.json; it takes data="),
        ("a.vg.json", {"data": "name"}, r"data= has no meaning for \.vg\.json$"),
        ("a.svg", {"dpi": 300}, r"dpi= has no meaning for \.svg"),
        ("a.png", {"title": "x", "lang": "en"}, "title= and lang= has no meaning|title= and lang= have no meaning"),
        ("a.json", {"data": "file"}, "'inline', 'name' or 'url'"),
    ],
)
def test_an_argument_without_meaning_is_refused(make, tmp_path, name, arguments, words):
    with pytest.raises(DataError, match=words):
        save(make.bars(), tmp_path / name, **arguments)
    assert not list(tmp_path.iterdir())


def test_places_and_charts_are_looked_at_before_anything_is_drawn(make, tmp_path, monkeypatch):
    from headspec.output import render

    monkeypatch.setattr(render, "_call", lambda *_, **__: pytest.fail("drawn"))
    with pytest.raises(DataError, match="does not exist: make it first"):
        save(make.bars(), tmp_path / "no" / "a.png")
    with pytest.raises(DataError, match="is a folder"):
        save(make.bars(), tmp_path)
    with pytest.raises(KindError, match="Altair chart, not dict"):
        save({"mark": "bar"}, tmp_path / "a.png")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "a.html", "a.json", "a.vg.json"])
def test_what_fails_leaves_the_old_file_whole(make, tmp_path, name):
    (tmp_path / name).write_text("old")
    broken = make.bars().encode(x=alt.X("strategy:N", scale=alt.Scale(domain=[float("nan")])))
    with pytest.raises((DataError, RenderError)):
        save(broken, tmp_path / name)
    assert (tmp_path / name).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_any_class_of_chart_is_saved(charts, tmp_path):
    for name, chart in charts.items():
        for suffix in ("json", "svg", "png", "pdf"):
            assert save(chart, tmp_path / f"{name}.{suffix}").stat().st_size > 500


def test_any_dataframe_of_a_stranger_is_saved(tmp_path):
    import polars as pl
    import pyarrow as pa

    for frame in (pl.DataFrame({"a": [1, 2]}), pa.table({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]})):
        text = save(alt.Chart(frame).mark_point().encode(x="a:Q"), tmp_path / "a.svg").read_text()
        assert text.count('aria-roledescription="point"') == 2
