"""Every example of the gallery: it runs, is a card, matches its golden spec, and draws something."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import altair as alt
import jsonschema
import pytest
import vl_convert

import headspec
from headspec.catalog import CATEGORIES, CHARTS
from headspec.site.cards import Card, named, read_example
from headspec.sources.recording import gallery_folder
from support import find, mark_counts

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "gallery" / "examples").glob("*.py"))
each = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


@cache
def card(path: Path) -> Card:
    return read_example(path)


def golden_of(path: Path) -> Path:
    return ROOT / "specs" / f"{card(path).name}.vl.json"


def test_the_gallery_draws_every_public_chart() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    missing = [entry.name for entry in CHARTS if f"headspec.{entry.name}(" not in source]
    assert not missing


def test_the_gallery_is_found() -> None:
    assert gallery_folder() == ROOT / "gallery"


@each
def test_an_example_is_a_card(path: Path) -> None:
    found = card(path)
    assert found.title
    assert found.question.endswith("?")
    assert len(found.text) > 60
    assert found.category in CATEGORIES
    assert found.tags
    assert found.reading, "the function's docstring has no 'Reading it'"
    compile(found.code, path.name, "exec")


@each
def test_an_example_matches_its_golden_spec(path: Path, request: pytest.FixtureRequest) -> None:
    text = headspec.to_json(card(path).chart, theme="none")
    golden = golden_of(path)
    if request.config.getoption("--update-specs"):
        golden.write_text(text, encoding="utf-8")
    assert golden.is_file(), f"{golden.name} is missing: pytest --update-specs writes it"
    if golden.read_text(encoding="utf-8") != text:
        old, new = json.loads(golden.read_text(encoding="utf-8")), json.loads(text)
        pytest.fail(f"{golden.name} is stale at {differences(old, new)[:10]}; if that is meant: pytest --update-specs")


def differences(old: Any, new: Any, place: str = "$") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in (
                differences(old[key], new[key], f"{place}.{key}") if key in old and key in new else [f"{place}.{key}"]
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line
            for number, pair in enumerate(zip(old, new, strict=True))
            for line in differences(*pair, f"{place}[{number}]")
        ]
    return [] if old == new else [place]


def test_no_golden_spec_is_left_over() -> None:
    assert {path.name for path in (ROOT / "specs").glob("*.vl.json")} == {golden_of(path).name for path in SCRIPTS}


def test_every_page_has_a_name_of_its_own() -> None:
    cards = [card(path) for path in SCRIPTS]
    assert [name for name, _ in named(cards)] == [item.name for item in cards]


@each
def test_a_golden_spec_is_valid_and_draws_what_it_holds(path: Path) -> None:
    spec = json.loads(golden_of(path).read_text(encoding="utf-8"))
    schema = alt.load_schema()
    jsonschema.validators.validator_for(schema)(schema).validate(spec)
    assert "/v6" in spec["$schema"]
    assert spec["description"]
    assert all(isinstance(url, dict) or url.startswith("data:") for url in find(spec, "url"))
    counts = mark_counts(vl_convert.vegalite_to_svg(spec))
    assert sum(counts.values()) > 5, counts


@each
def test_an_example_round_trips_through_altair(path: Path) -> None:
    spec = json.loads(golden_of(path).read_text(encoding="utf-8"))
    if sum(len(rows) for rows in spec.get("datasets", {}).values()) > 600:
        pytest.skip("Altair walks inline rows one by one: minutes for thousands")
    with alt.theme.enable("none"):
        assert alt.Chart.from_dict(spec).to_dict() == spec


def test_the_examples_name_no_place_of_one_machine() -> None:
    for path in [*SCRIPTS, *(ROOT / "specs").glob("*.json")]:
        assert not re.search(r"(^|[\s\"'])/(home|root|work|tmp|Users)/", path.read_text(encoding="utf-8")), path.name
