from __future__ import annotations

import numpy as np
import pytest

from headspec.errors import DataError, KindError
from headspec.tables.attention import attention_table, token_lists, visible


def test_one_row_per_layer_head_query_and_key() -> None:
    stack = np.arange(2 * 1 * 3 * 2 * 4, dtype=float).reshape(2, 1, 3, 2, 4)
    table = attention_table(tuple(stack), query_tokens=["a", "b"], key_tokens=list("wxyz"))
    assert len(table) == stack.size
    for row in table.sample(8, random_state=0).itertuples():
        assert row.weight == stack[row.layer, 0, row.head, row.query, row.key]
        assert (row.query_token, row.key_token) == ("ab"[row.query], "wxyz"[row.key])


def test_layers_and_heads_are_selected_and_ragged_layers_read() -> None:
    layers = {3: np.ones((1, 2, 2, 2)), 5: np.ones((1, 1, 2, 2))}
    assert attention_table(layers).groupby(["layer", "head"]).size().to_dict() == {(3, 0): 4, (3, 1): 4, (5, 0): 4}
    assert set(attention_table(layers, layer_idx=3, head_idx=1)["head"]) == {1}
    for options, message in (({"layer_idx": 4}, "not among the layers"), ({"head_idx": 1}, "layer 5 has heads 0 to 0")):
        with pytest.raises(DataError, match=message):
            attention_table(layers, **options)


def test_a_batch_needs_an_index_and_size_has_a_bound() -> None:
    with pytest.raises(DataError, match="batch of 2"):
        attention_table(np.ones((2, 1, 2, 2)))
    assert len(attention_table(np.ones((2, 1, 2, 2)), batch_idx=1)) == 4
    with pytest.raises(DataError, match="more than 20,000,000 rows"):
        attention_table(np.broadcast_to(np.float32(0.5), (1, 100, 1000, 1000)))


def test_missing_weights_keep_their_kind() -> None:
    table = attention_table(np.ma.MaskedArray([[1.0, np.nan], [np.inf, 2.0]], mask=[[0, 0], [0, 1]]))
    assert table["kind"].tolist() == ["value", "nan", "inf", "masked"]
    assert table["weight"].isna().sum() == 3


def test_tokens_are_checked_and_made_readable() -> None:
    assert [visible(token) for token in ("a", " the", "  ", "", "x ", "\n", b"\xc3\xa9")] == [
        "a",
        "·the",
        "··",
        "∅",
        "x·",
        "\\n",
        "é",
    ]
    assert token_lists(["a", "b"], None, None, (2, 2)) == (["a", "b"], ["a", "b"])
    for args, kind, message in (
        ((["a"], None, None, (2, 2)), DataError, "1 token, but the matrix has 2"),
        ((["a"], ["a"], None, (1, 1)), DataError, "tokens= is for both axes"),
        ((["a"], None, None, (1, 2)), DataError, "give query_tokens= and key_tokens="),
        (("ab", None, None, (2, 2)), KindError, "expected a list"),
    ):
        with pytest.raises(kind, match=message):
            token_lists(*args)
