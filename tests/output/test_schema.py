"""The quick check of a spec: never a yes where the full check says no, and a yes to every chart of the library."""

from __future__ import annotations

import copy
import functools
import random
from typing import Any

import altair as alt
import jsonschema
import pytest

from headspec.catalog import CHARTS
from headspec.output.schema import Schema, accepts
from headspec.output.spec import export
from samples import CALLS, sample

NAMES = sorted({entry.name for entry in CHARTS} & CALLS.keys())


@functools.cache
def full() -> Any:
    return jsonschema.Draft7Validator(alt.load_schema())


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(inner for key, item in items for inner in places(item, (*path, key)))]


@pytest.mark.parametrize("name", NAMES)
def test_every_chart_gets_a_quick_yes(name: str) -> None:
    chart = sample(name)
    spec = chart.to_dict(validate=False)
    assert accepts(chart, spec)
    assert full().is_valid(spec)


@pytest.mark.parametrize("seed", range(20))
def test_a_yes_to_a_damaged_spec_is_a_yes_of_the_full_check(seed: int) -> None:
    rng = random.Random(seed)
    name = NAMES[seed % len(NAMES)]
    spec = export(sample(name), theme={}).spec
    root = alt.load_schema()
    quick = Schema(root).check({"$ref": root["$ref"]})
    assert quick(spec)
    said = []
    for _ in range(4):
        bad = copy.deepcopy(spec)
        path = rng.choice([path for path in places(bad) if path and path[-1] not in ("name", "description", "text")])
        node = bad
        for key in path[:-1]:
            node = node[key]
        action = rng.choice(["drop", "value", "rename"])
        if action == "drop" or not isinstance(node, dict):
            del node[path[-1]]
        elif action == "value":
            node[path[-1]] = rng.choice([None, True, -3, 2.5, "nonsense", [], [1, "a"], {}, {"nonsense": 1}])
        else:
            node["nonsense"] = node.pop(path[-1])
        said.append(quick(bad))
        if said[-1]:
            assert full().is_valid(bad), (name, path, action)


def test_damage_is_seen_and_worded_by_altair() -> None:
    chart = sample("visualize_entropy_heatmap")
    broken = chart.copy(deep=True)
    broken.layer[0].mark = alt.Undefined
    broken.layer[0]._kwds["mark"] = {"type": "nonsense"}
    assert not accepts(broken, broken.to_dict(validate=False))
    with pytest.raises(alt.utils.schemapi.SchemaValidationError, match="nonsense"):
        export(broken)


def test_words_that_it_does_not_know_get_no_yes() -> None:
    assert not Schema({}).check({"type": "string", "pattern": "a+"})("aaa")
    assert not Schema({}).check({"$ref": "#/definitions/absent"})("aaa")
    assert Schema({}).check({"enum": [1, "a", None]})(1)
    assert not Schema({}).check({"enum": [1, "a", None]})(True)
    assert not Schema({}).check({"const": False})(0)
    assert Schema({}).check({"type": "integer", "minimum": 1})(2.0)
    assert not Schema({}).check({"type": "integer", "minimum": 1})(0)
    assert not accepts(object(), {})
