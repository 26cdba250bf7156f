from __future__ import annotations

import json

import pytest
import vl_convert

from headspec.output.expression import MISSING, Fields, Unknown, evaluate

ROW = {"v": 0.5, "z": 0, "s": "pruned", "n": None, "l": [1, 2, 3], "t": True, "neg": -2, "e": ""}

EXPRESSIONS = [
    "datum.v > 0.4 && datum.v <= 0.5",
    "datum['v'] * 4 + 1 == 3",
    "!isValid(datum.n)",
    "isValid(datum.absent)",
    "isValid(datum.v) ? 'yes' : 'no'",
    "datum.s === 'pruned' || datum.s === 'revived'",
    "datum.s != 'active'",
    "datum.n == null",
    "datum.absent == null",
    "datum.absent === null",
    "datum.z === false",
    "datum.t === true",
    "isArray(datum.l) ? length(datum.l) : 1",
    "datum.l.length",
    "datum.l[1]",
    "[datum.v, 2][1]",
    "indexof(['a', 'pruned'], datum.s)",
    "indexof(datum.s, 'un')",
    "inrange(datum.v, [0, 1])",
    "abs(datum.neg) + max(1, 2, 3) - min(4, 5)",
    "-datum.neg % 3",
    "1 + 2 * 3 - 4 / 2",
    "(1 + 2) * 3",
    "datum.v < 1 ? datum.z < 1 ? 'a' : 'b' : 'c'",
    "isNumber(datum.s) || isString(datum.s)",
    "datum.absent < 1",
    "datum.n < 1",
    "!(datum.absent >= 1)",
    '"it\'s" == "it\'s"',
    "'say \"x\"' === 'say \\\"x\\\"'",
    "datum.e || 'empty'",
    "datum.z && 'never'",
    "true && !false",
    "floor(2.7) + ceil(2.1) + round(2.5)",
    "1e2 + .5",
    "length(sequence(2, 11, 3))",
    "threshold > 1 && datum.v < threshold",
]


def vega_says(expressions: list[str]) -> list[object]:
    """Each expression as Vega evaluates it, read back from the text that it draws."""
    spec = {
        "$schema": "https://vega.github.io/schema/vega/v6.json",
        "signals": [{"name": "threshold", "value": 2}],
        "data": [
            {
                "name": "rows",
                "values": [ROW],
                "transform": [
                    {
                        "type": "formula",
                        "as": f"out{place}",
                        "expr": f"toString([{expression}]) + '|' + isString({expression}) + '|' + isBoolean({expression})",
                    }
                    for place, expression in enumerate(expressions)
                ],
            }
        ],
        "marks": [
            {"type": "text", "from": {"data": "rows"}, "encode": {"enter": {"text": {"field": f"out{place}"}}}}
            for place in range(len(expressions))
        ],
    }
    graph = vl_convert.vega_to_scenegraph(json.dumps(spec))
    marks = graph["scenegraph"]["items"][0]["items"]
    return [mark["items"][0].get("text", "") for mark in marks]


def as_vega_writes(value: object) -> str:
    kinds = f"|{str(isinstance(value, str)).lower()}|{str(isinstance(value, bool)).lower()}"
    if value is None or value is MISSING:
        return "" + kinds
    if isinstance(value, bool):
        return str(value).lower() + kinds
    if isinstance(value, (int, float)):
        return (str(int(value)) if value == int(value) else repr(float(value))) + kinds
    return str(value) + kinds


def test_expressions_give_what_vega_gives():
    scope = {"datum": Fields(ROW), "threshold": 2}
    ours = [as_vega_writes(evaluate(expression, scope)) for expression in EXPRESSIONS]
    assert ours == vega_says(EXPRESSIONS)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "datum.",
        "1 +",
        "nosuch(1)",
        "datum.v @ 2",
        "datum.l == 3",
        "unknown_param",
        "(1",
        "__import__('os')",
        "datum.s < 1",
        "datum.v = 3",
        "1 2",
    ],
)
def test_what_is_not_understood_is_unknown(expression):
    with pytest.raises(Unknown):
        evaluate(expression, {"datum": Fields(ROW)})


def test_a_field_that_cannot_be_told_is_unknown_unless_it_does_not_matter():
    scope = {"datum": Fields(ROW, frozenset({"v"}))}
    with pytest.raises(Unknown):
        evaluate("datum.v > 1", scope)
    assert evaluate("datum.v > 1 && datum.z > 1", scope) is False
    assert evaluate("datum.v > 1 || datum.t", scope) is True


def test_an_endless_sequence_is_not_made():
    with pytest.raises(Unknown):
        evaluate("sequence(1e9)", {})
