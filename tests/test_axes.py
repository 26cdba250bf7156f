from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headspec.axes import attention_layers, head_layers, one_head, pairs_of
from headspec.errors import DataError, KindError

VALUES = np.arange(6.0).reshape(2, 3)


def rows(values: Any, **options: Any) -> list[tuple[int, list[float]]]:
    return [(layer, row.tolist()) for layer, row in head_layers(values, **options)]


EXPECTED = [(0, [0.0, 1.0, 2.0]), (1, [3.0, 4.0, 5.0])]


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (VALUES, {}),
        (VALUES.tolist(), {}),
        (tuple(VALUES), {}),
        (list(VALUES), {}),
        ({0: VALUES[0], 1: VALUES[1].tolist()}, {}),
        ({"0": VALUES[0], "1": VALUES[1]}, {}),
        (VALUES.ravel(), {"num_layers": 2, "num_heads": 3}),
        (VALUES.ravel(), {"num_layers": 2}),
        (VALUES.ravel().tolist(), {"num_heads": 3}),
        (VALUES.ravel(), {"num_heads": [3, 3]}),
        (VALUES.T, {"axes": "head layer"}),
        (VALUES[None], {"axes": "batch layer head"}),
    ],
)
def test_every_form_of_a_measure_reads_alike(values: Any, options: dict[str, Any]) -> None:
    assert rows(values, **options) == EXPECTED


def test_layers_may_be_ragged_and_missing() -> None:
    assert rows([[1.0], [2.0, 3.0]]) == [(0, [1.0]), (1, [2.0, 3.0])]
    assert rows({0: [1.0], 7: [2.0, 3.0]}) == [(0, [1.0]), (7, [2.0, 3.0])]
    assert rows([1.0, 2.0, 3.0], num_heads=[1, 2]) == [(0, [1.0]), (1, [2.0, 3.0])]


def test_one_number_is_one_head() -> None:
    assert rows(0.5) == [(0, [0.5])]
    assert rows(np.float32(0.5)) == [(0, [0.5])]
    assert rows([1.0, 2.0], axes="head") == [(0, [1.0, 2.0])]
    assert rows([1.0, 2.0], axes="layer") == [(0, [1.0]), (1, [2.0])]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, 2.0], {}, "cannot be guessed. Give num_layers= and num_heads="),
        (np.ones(7), {"num_layers": 2, "num_heads": 3}, "flat vector of 7, but num_layers=2 and num_heads=3 make 6"),
        (np.ones(7), {"num_layers": 2}, "make 6 heads"),
        (np.ones((2, 3, 4)), {}, r"shape \(2, 3, 4\); expected \(layers, heads\)"),
        (np.ones((0, 3)), {}, "empty: no layers"),
        (np.ones((3, 0)), {}, "empty: no heads"),
        ([], {}, "empty"),
        ({}, {}, "empty dict"),
        ((np.ones(2), None), {}, "None for layer 1"),
        ({"a": [1.0]}, {}, "keys of a dict are layer numbers"),
        ({-1: [1.0]}, {}, "keys of a dict are layer numbers"),
        ((np.ones((2, 2)), np.ones((2, 2))), {}, "expected one value per head"),
        (VALUES, {"axes": "layer token"}, "known axes are"),
        (VALUES, {"axes": "layer head query"}, "names 3 axes"),
        (np.ones((2, 3, 4)), {"axes": "batch layer head"}, "pick one with batch_idx="),
    ],
)
def test_what_is_ambiguous_or_empty_is_an_error_that_shows_the_choices(values: Any, options: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        head_layers(values, **options)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.data())
def test_a_head_is_the_same_from_every_form(
    layers: int, batch: int, heads: int, queries: int, keys: int, data: Any
) -> None:
    stack = np.arange(float(layers * batch * heads * queries * keys)).reshape(layers, batch, heads, queries, keys)
    layer, b, head = (data.draw(st.integers(0, size - 1)) for size in (layers, batch, heads))
    expected = stack[layer, b, head]
    for form, options in (
        (tuple(stack), {}),
        (list(stack), {}),
        (dict(enumerate(stack)), {}),
        (stack, {}),
        (stack[layer], {}),
        (np.moveaxis(stack, (0, 1), (1, 0)), {"axes": "batch layer head query key"}),
        (stack[:, b].transpose(1, 0, 2, 3), {"axes": "head layer query key"}),
    ):
        index = None if options.get("axes", "").startswith("head") else b
        found = one_head(form, layer, head, batch_idx=index, axes=options.get("axes"), name="attentions")
        assert np.array_equal(np.asarray(found), expected)
    assert np.array_equal(
        one_head(stack[layer, b], 9, head, batch_idx=None, axes=None, name="a"), stack[layer, b, head]
    )
    assert np.array_equal(one_head(expected, 9, 9, batch_idx=None, axes=None, name="a"), expected)


@pytest.mark.parametrize(
    ("attentions", "message"),
    [
        ((), 'attn_implementation="eager"'),
        (None, 'attn_implementation="eager"'),
        ((None, None), 'attn_implementation="eager"'),
        ((np.ones((1, 2, 3, 3)), None), "None for layer 1"),
        (((np.ones((1, 2, 3, 3)),), (np.ones((1, 2, 1, 4)),)), "tuple of tuples, as generate"),
        (np.ones(4), "expected .batch, head, query, key"),
        (np.ones((1, 2, 0, 3)), "empty"),
        (np.ones((1,) * 6), "shape"),
    ],
)
def test_what_a_model_gives_wrongly_is_explained(attentions: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        attention_layers(attentions)


def test_a_model_output_is_refused_with_the_fix() -> None:
    class Output:
        attentions = ()

    with pytest.raises(KindError, match=r"attentions=outputs\.attentions"):
        attention_layers(Output())


def test_indices_out_of_range_say_the_range() -> None:
    stack = (np.ones((1, 2, 3, 3)),)
    for options, message in (((3, 0), "layer_idx=3"), ((0, 2), "head_idx=2.*numbered 0 to 1")):
        with pytest.raises(DataError, match=message):
            one_head(stack, *options, batch_idx=None, axes=None, name="attentions")
    with pytest.raises(DataError, match="batch of 2; pick one with batch_idx=0"):
        one_head(np.ones((2, 2, 3, 3)), 0, 0, batch_idx=None, axes=None, name="attentions")


def test_pairs_come_from_any_form_and_each_once() -> None:
    expected = [(0, 1), (1, 2)]
    for form in (
        [(0, 1), (1, 2), (0, 1)],
        ((0, 1), [1, 2]),
        np.array([[0, 1], [1, 2]]),
        {0: [1], 1: [2]},
        iter(expected),
    ):
        assert pairs_of(form, name="pruned_heads") == expected
    assert pairs_of(None, name="pruned_heads") == []


@pytest.mark.parametrize("pairs", [[(0, 1, 2)], [(0, 1.5)], [("a", 1)], [3], [(True, 1)]])
def test_pairs_that_are_none_are_refused(pairs: Any) -> None:
    with pytest.raises(DataError, match=r"\(layer, head\) pairs of whole numbers"):
        pairs_of(pairs, name="pruned_heads")


@pytest.mark.parametrize("pairs", ["01", 3])
def test_pairs_of_the_wrong_kind_are_refused(pairs: Any) -> None:
    with pytest.raises(KindError, match="pairs"):
        pairs_of(pairs, name="pruned_heads")


@pytest.mark.parametrize("pair", [(0, 3), (2, 0), (-1, 0), (0, -1)])
def test_pairs_out_of_range_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="out of range"):
        pairs_of([pair], name="pruned_heads", shape={0: 3, 1: 3})
