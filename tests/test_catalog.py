"""One test over the whole catalog: what every public name and every chart promises."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pytest
import vl_convert

import headspec
from headspec.catalog import CATALOG, CATEGORIES, CHARTS
from samples import CALLS, sample
from support import find, mark_counts

CLASSES = (alt.LayerChart, alt.FacetChart, alt.VConcatChart, alt.HConcatChart)
TOP_LEVEL_ONLY = ("config", "background", "padding", "autosize", "usermeta", "datasets")


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_every_public_name_is_there_typed_and_documented(entry: Any) -> None:
    function = getattr(headspec, entry.name)
    assert function.__module__ == entry.module
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    sections = ["Examples"]
    if not inspect.isclass(function):
        sections += ["Returns", *(["Parameters"] if signature.parameters else [])]
    if entry.room == "chart":
        sections += ["Raises", "Notes"]
    for section in sections:
        assert re.search(rf"^{section}\n-+$", text, re.M), f"{entry.name} lacks the section {section}"
    if entry.room == "chart":
        assert "Reading it:" in text
        assert text.split("\n")[0].startswith(("Show ", "Compare "))
    typed = inspect.get_annotations(function.__init__ if inspect.isclass(function) else inspect.unwrap(function))
    assert set(signature.parameters) <= set(typed)
    assert inspect.isclass(function) or "return" in typed
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            name = rf"(?:\*\*)?{name}"
        assert re.search(rf"^(?:[\w, ]*\b|){name}\b[\w, *]*$", text, re.M), f"{entry.name} does not describe {name}"


def test_the_static_names_are_those_of_the_catalog() -> None:
    source = Path(headspec.__file__).read_text(encoding="utf-8")
    static = dict(re.findall(r"from (headspec\.[\w.]+) import (\w+) as \2", source))
    pairs = re.findall(r"from (headspec\.[\w.]+) import (\w+) as (\w+)", source)
    assert static
    assert {(module, name) for module, name, again in pairs if name == again} == {
        (entry.module, entry.name) for entry in CATALOG
    }
    assert set(headspec.__all__) >= {entry.name for entry in CATALOG}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'visualise_entropy'"):
        headspec.visualise_entropy  # noqa: B018


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_the_examples_in_the_docs_run(entry: Any) -> None:
    import doctest

    function = getattr(headspec, entry.name)
    finder = doctest.DocTestFinder(recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    examples = finder.find(inspect.unwrap(function), entry.name, globs={**vars(sys.modules[entry.module]), "np": np})
    assert sum(len(test.examples) for test in examples) > 0
    for test in examples:
        runner.run(test)
    assert runner.failures == 0


def test_every_chart_has_a_place_a_kind_and_a_sample() -> None:
    assert {entry.name for entry in CHARTS} == set(CALLS)
    assert all(entry.category in CATEGORIES and entry.kind for entry in CHARTS)
    assert len({entry.kind for entry in CHARTS}) == len(CHARTS)


@pytest.fixture(scope="module")
def charts() -> dict[str, Any]:
    return {entry.name: sample(entry.name) for entry in CHARTS}


each_chart = pytest.mark.parametrize("name", [entry.name for entry in CHARTS])


@each_chart
def test_a_chart_is_plain_altair_of_the_class_that_its_annotation_names(name: str, charts: dict[str, Any]) -> None:
    returned = typing.get_type_hints(getattr(headspec, name))["return"]
    allowed = typing.get_args(returned) or (returned,)
    assert type(charts[name]) in allowed
    assert all(kind in CLASSES for kind in allowed)


@each_chart
def test_a_chart_carries_nothing_that_only_a_top_level_may(name: str, charts: dict[str, Any]) -> None:
    for key in TOP_LEVEL_ONLY:
        assert getattr(charts[name], key, alt.Undefined) is alt.Undefined, key
    spec = charts[name].to_dict()
    parts = [
        part for key in ("layer", "hconcat", "vconcat", "concat") for part in find(spec, key) if isinstance(part, list)
    ]
    views = [spec, *(view for part in parts for view in part)]
    for view in views:
        # Altair itself names the views that selections belong to
        assert view.get("name", "view_").startswith("view_")


@each_chart
def test_a_chart_is_described_titled_and_draws_something(name: str, charts: dict[str, Any]) -> None:
    chart = charts[name]
    text = headspec.summary(chart)
    assert len(text) > 40
    assert re.search(r"\d", text)
    assert text.endswith((".", "!", "?"))
    spec = chart.to_dict()
    assert spec["title"]["text"]
    counts = mark_counts(vl_convert.vegalite_to_svg(spec))
    assert sum(counts.values()) > 3, counts


@each_chart
def test_a_chart_gives_its_rows(name: str, charts: dict[str, Any]) -> None:
    table = headspec.to_table(charts[name])
    assert len(table) > 0
    assert not [column for column in table.columns if str(column).startswith("_")]
    assert not [column for column in table.columns if table[column].map(lambda cell: isinstance(cell, list)).any()]


@each_chart
def test_a_chart_has_explicit_types_and_safe_fields(name: str, charts: dict[str, Any]) -> None:
    spec = charts[name].to_dict()
    for field in find(spec, "field"):
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field if isinstance(field, str) else "x"), field
    for encoding in find(spec, "encoding"):
        for channel, definition in encoding.items():
            if isinstance(definition, dict) and "field" in definition and not channel.endswith("2"):
                assert "type" in definition, (channel, definition)


@each_chart
def test_the_same_call_gives_the_same_bytes(name: str, charts: dict[str, Any]) -> None:
    assert headspec.to_json(sample(name)) == headspec.to_json(charts[name])


def parts_of(part: Any) -> list[Any]:
    """Return all objects of Altair's that a chart is made of."""
    if isinstance(part, alt.SchemaBase):
        return [part, *parts_of(list(part._kwds.values()))]
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, (list, tuple)) else ()
    return [found for item in inner for found in parts_of(item)]


@each_chart
def test_what_is_written_into_a_chart_reaches_no_other(name: str, charts: dict[str, Any]) -> None:
    of_this = parts_of(charts[name])
    assert len(of_this) > 20
    assert not {id(part) for part in of_this} & {id(part) for part in parts_of(sample(name))}


@each_chart
def test_a_chart_goes_beside_another_and_keeps_its_own_scale(name: str, charts: dict[str, Any]) -> None:
    other = headspec.visualize_entropy_heatmap(np.arange(4.0).reshape(2, 2) * 100)
    for pair in (charts[name] | other, other & charts[name]):
        spec = pair.to_dict()
        svg = vl_convert.vegalite_to_svg(spec)
        alone = mark_counts(vl_convert.vegalite_to_svg(charts[name].to_dict()))
        beside = mark_counts(vl_convert.vegalite_to_svg(other.to_dict()))
        both = mark_counts(svg)
        assert sum(both.values()) == sum(alone.values()) + sum(beside.values())
    vega = vl_convert.vegalite_to_vega((charts[name] | other).to_dict())
    assert [0, 300] in find(vega, "domain")


@each_chart
def test_properties_and_single_panels_compose(name: str, charts: dict[str, Any]) -> None:
    chart = charts[name]
    assert chart.properties(title="other").to_dict()["title"] == "other"
    if isinstance(chart, alt.LayerChart):
        rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule().encode(x=alt.value(3))
        counts = mark_counts(vl_convert.vegalite_to_svg((chart + rule).to_dict()))
        alone = mark_counts(vl_convert.vegalite_to_svg(chart.to_dict()))
        assert sum(counts.values()) == sum(alone.values()) + 1


@each_chart
def test_nothing_global_is_changed_by_a_call(name: str) -> None:
    before = (alt.theme.active, alt.data_transformers.active, alt.renderers.active, np.geterr())
    sample(name)
    assert (alt.theme.active, alt.data_transformers.active, alt.renderers.active, np.geterr()) == before


@each_chart
def test_a_chart_is_valid_vega_lite_and_holds_no_literal_nan(name: str, charts: dict[str, Any]) -> None:
    import jsonschema

    spec = json.loads(headspec.to_json(charts[name]))
    schema = alt.load_schema()
    jsonschema.validators.validator_for(schema)(schema).validate(spec)
    json.dumps(spec, allow_nan=False)


@each_chart
@pytest.mark.parametrize("theme", ["light", "dark", "paper"])
def test_a_chart_is_drawn_under_every_theme(name: str, theme: str, charts: dict[str, Any]) -> None:
    png = headspec.to_png(charts[name], theme=theme)
    assert png.startswith(b"\x89PNG")


def test_importing_headspec_loads_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import headspec; "
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['headspec']"


HEAVY = ("torch", "transformers", "polars", "pyarrow", "matplotlib", "libcst")


@pytest.mark.parametrize("name", [entry.name for entry in CHARTS])
def test_a_chart_needs_no_optional_package(name: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"for name in {HEAVY}: sys.modules[name] = None\n"
        f"import samples; samples.sample({name!r}).to_dict()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_that_test_can_fail() -> None:
    code = "import sys; sys.modules['torch'] = None; import torch"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 1
