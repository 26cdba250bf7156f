from __future__ import annotations

import tracemalloc
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError, KindError
from headspec.measures import _blocks
from headspec.measures.entropy import (
    calculate_entropy,
    calculate_max_entropy,
    calculate_normalized_entropy,
    describe_maximum,
    is_causal,
)
from headspec.tables.heads import heads_table

Floats = npt.NDArray[Any]
EPS = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-6, "float64": 1e-12}


def softmax(shape: tuple[int, ...], shown: Any = True, seed: int = 0, scale: float = 2.0) -> Floats:
    """Weights of random logits over the cells shown; rows that show nothing are NaN, as frameworks leave them."""
    logits = np.random.default_rng(seed).normal(scale=scale, size=shape)
    logits = np.where(np.broadcast_to(shown, shape), logits, -np.inf)
    with np.errstate(invalid="ignore"):
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        return np.asarray(weights / weights.sum(-1, keepdims=True))


def even(shown: Any) -> Floats:
    """Uniform weights over the cells shown."""
    cells = np.asarray(shown, dtype=np.float64)
    return np.asarray(cells / np.maximum(cells.sum(-1, keepdims=True), 1))


def lower(queries: int, keys: int | None = None, window: int | None = None) -> npt.NDArray[np.bool_]:
    """The cells of a causal mask, the queries being the last keys."""
    keys = queries if keys is None else keys
    own = np.arange(queries)[:, None] + keys - queries
    key = np.arange(keys)
    return np.asarray((key <= own) & (key > own - (window or keys + 1)))


def by_scipy(weights: Floats, shown: npt.NDArray[np.bool_], real: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Entropy and normalised entropy of each head, row by row, by an implementation that is not ours."""
    batch, heads, queries, _ = weights.shape
    plain, ratio = np.full(heads, np.nan), np.full(heads, np.nan)
    for head in range(heads):
        entropies, ratios = [], []
        for b in range(batch):
            for query in range(queries):
                cells = shown[b, query]
                if not real[b, query] or not cells.any():
                    continue
                entropy = scipy.stats.entropy(weights[b, head, query, cells].astype(np.float64))
                entropies.append(entropy)
                if cells.sum() > 1:
                    ratios.append(entropy / np.log(cells.sum()))
        plain[head] = np.mean(entropies) if entropies else np.nan
        ratio[head] = np.mean(ratios) if ratios else np.nan
    return plain, ratio


def test_closed_forms() -> None:
    one = np.zeros((1, 1, 3, 7))
    one[..., 2] = 1.0
    assert calculate_entropy([one]).tolist() == [[0.0]]
    assert np.signbit(calculate_entropy([one])).sum() == 0  # not −0
    p = np.array([0.0, 0.1, 0.25, 0.5])
    two = np.stack([p, 1 - p], axis=-1)[None, None]
    binary = np.array([0.0, 0.325082973391448, 0.562335144618808, np.log(2)])
    np.testing.assert_allclose(calculate_entropy([two], per_query=True)[0, 0, 0], binary, atol=1e-15)
    np.testing.assert_allclose(calculate_entropy([two], unit="bits"), binary.mean() / np.log(2))
    np.testing.assert_allclose(calculate_entropy([even(np.ones((1, 1, 5, 32)))], unit="bits"), 5.0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", [2, 3, 16, 64, 333])
def test_uniform_attention_is_one_under_every_mask(n: int, dtype: str) -> None:
    limit = {"float16": 3e-4, "float32": 3e-7, "float64": 1e-15}[dtype]
    padded = np.ones((2, n), dtype=int)
    padded[1, : n // 2] = 0
    shown = padded[:, None, None, :].astype(bool)
    cases: list[tuple[Floats, dict[str, Any]]] = [
        (even(np.ones((1, 2, n, n))), {}),
        (even(np.broadcast_to(lower(n), (1, 2, n, n))), {}),
        (even(np.broadcast_to(lower(n), (1, 2, n, n))), {"causal": True}),
        (even(np.broadcast_to(lower(n, window=3), (1, 2, n, n))), {"window": 3}),
        (even(np.broadcast_to(lower(n) | lower(n).T, (1, 2, n, n))), {"window": (n, n), "causal": False}),
        (even(np.broadcast_to(shown, (2, 2, n, n))), {"attention_mask": padded}),
        (even(np.broadcast_to(shown & lower(n), (2, 2, n, n))), {"attention_mask": padded}),
        (even(np.broadcast_to(shown & lower(n, window=2), (2, 2, n, n))), {"attention_mask": padded, "window": 2}),
        (even(np.broadcast_to(shown, (2, 2, 5, n))), {"attention_mask": padded}),  # cross-attention
        (even(np.broadcast_to(lower(2, n), (1, 2, 2, n))), {}),  # the last two queries of a cached decoder
        (even(np.broadcast_to(lower(n), (1, 2, n, n))), {"attention_mask": lower(n)[None, None]}),
    ]
    for weights, options in cases:
        for method in ("mean_of_ratios", "ratio_of_sums"):
            value = calculate_normalized_entropy([weights.astype(dtype)], method=method, **options)
            np.testing.assert_allclose(value, 1.0, rtol=0, atol=limit)
            assert (value <= 1).all()


def test_a_causal_head_divided_by_ln_n_would_not_reach_one() -> None:
    weights = [even(lower(128))[None, None]]
    assert calculate_entropy(weights).item() / np.log(128) == pytest.approx(0.80, abs=0.005)
    assert calculate_normalized_entropy(weights).item() == pytest.approx(1.0, abs=1e-14)
    assert calculate_normalized_entropy(weights, causal=False).item() == pytest.approx(0.80, abs=0.005)


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    batch, heads = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    keys = draw(st.integers(1, 9))
    queries = draw(st.sampled_from([keys, keys, max(1, keys - 2), 4]))
    kind = draw(st.sampled_from(["full", "causal", "window", "both sides"]))
    if queries > keys:
        kind = "full"
    shown = np.ones((queries, keys), dtype=bool)
    options: dict[str, Any] = {"causal": False}
    own = np.arange(queries)[:, None] + keys - queries
    if kind == "causal":
        shown, options = lower(queries, keys), {"causal": True}
    elif kind == "window":
        width = draw(st.integers(1, 4))
        shown, options = lower(queries, keys, width), {"window": width}
    elif kind == "both sides":
        back, ahead = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
        gap = np.arange(keys) - own
        shown, options = (gap >= -back) & (gap <= ahead), {"window": (back, ahead), "causal": False}
    cells = np.broadcast_to(shown, (batch, queries, keys))
    real = np.ones((batch, queries), dtype=bool)
    if draw(st.booleans()):
        lengths = draw(st.lists(st.integers(1, keys), min_size=batch, max_size=batch))
        where = draw(st.sampled_from(["left", "right", "holes"]))
        mask = np.arange(keys) < np.array(lengths)[:, None]
        mask = mask[:, ::-1] if where == "left" else mask
        if where == "holes":
            mask = np.array(draw(st.lists(st.booleans(), min_size=batch * keys, max_size=batch * keys)))
            mask = mask.reshape(batch, keys)
            mask[0, -1] = True
        cells = cells & mask[:, None, :]
        tied = queries == keys or (queries < keys and kind in ("causal", "window"))
        real = mask[:, keys - queries :] if tied else real
        options["attention_mask"] = mask.astype(np.int64)
    if draw(st.booleans()):
        real = np.array(draw(st.lists(st.booleans(), min_size=batch * queries, max_size=batch * queries)))
        real = real.reshape(batch, queries)
        real[0, -1] = True
        options["query_mask"] = real
    seed = draw(st.integers(0, 2**16))
    shape = (batch, heads, queries, keys)
    layers = [softmax(shape, cells[:, None], seed + layer) for layer in range(draw(st.integers(1, 2)))]
    return {"layers": layers, "cells": cells, "real": real, "options": options}


@settings(max_examples=150, deadline=None)
@given(
    data=inputs(),
    dtype=st.sampled_from(["float16", "float32", "float64", "bfloat16"]),
    library=st.sampled_from(["numpy", "torch", "strided"]),
    block=st.sampled_from([3, 20, 1 << 18]),
    fetched=st.sampled_from([7, 40]),
)
def test_every_mask_dtype_and_library_agrees_with_scipy(
    data: dict[str, Any], dtype: str, library: str, block: int, fetched: int
) -> None:
    if not (data["cells"].any(axis=2) & data["real"]).any():
        with pytest.raises(DataError, match="no query is left"):
            calculate_entropy(data["layers"], **data["options"])
        return
    tensors = [torch.from_numpy(layer).to(getattr(torch, dtype)) for layer in data["layers"]]
    values = [tensor.to(torch.float64).numpy() for tensor in tensors]  # as stored, rounding included
    layers: list[Any] = tensors
    if dtype != "bfloat16" and library != "torch":
        layers = [tensor.numpy() for tensor in tensors]
        if library == "strided":
            layers = [np.asfortranarray(np.repeat(layer, 2, axis=-1))[..., ::2] for layer in layers]
    options = {**data["options"], "rows": "renormalise"}  # as SciPy does
    with mock.patch.object(_blocks, "BLOCK", block), mock.patch.object(_blocks, "_fetched", return_value=fetched):
        entropy = calculate_entropy(layers, **options)
        ratio = calculate_normalized_entropy(layers, **options)
    expected = [by_scipy(layer, data["cells"], data["real"]) for layer in values]
    np.testing.assert_allclose(entropy, [plain for plain, _ in expected], atol=3e-6, rtol=0)
    np.testing.assert_allclose(ratio, [share for _, share in expected], atol=3e-6, rtol=0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_the_dtype_costs_no_more_than_its_rounding(dtype: str) -> None:
    weights = softmax((2, 3, 40, 40), seed=1)
    exact = np.mean(
        [torch.distributions.Categorical(torch.from_numpy(weights[:, h])).entropy().mean() for h in range(3)]
    )
    tensor = torch.from_numpy(weights).to(getattr(torch, dtype)).requires_grad_()
    assert calculate_entropy((tensor,)).mean() == pytest.approx(exact, abs=EPS[dtype])


def test_half_precision_zeros_are_no_nan() -> None:
    weights = softmax((1, 4, 64, 64), scale=12.0).astype(np.float16)
    assert (weights == 0).mean() > 0.3
    wide = weights.astype(np.float64)
    expected = -np.where(wide > 0, wide * np.log(np.where(wide > 0, wide, 1)), 0).sum(-1).mean((0, 2))
    np.testing.assert_allclose(calculate_entropy([weights])[0], expected, atol=1e-6)


def test_torch_and_numpy_give_the_same_bits() -> None:
    layers = [softmax((2, 3, 20, 20), lower(20), seed).astype(np.float32) for seed in range(3)]
    tensors = tuple(torch.from_numpy(layer).requires_grad_() for layer in layers)
    for calculate in (calculate_entropy, calculate_normalized_entropy, calculate_max_entropy):
        np.testing.assert_array_equal(calculate(layers), calculate(tensors))
        np.testing.assert_array_equal(calculate(layers), calculate(np.stack(layers)))


def test_every_form_of_attention_gives_the_same_heads() -> None:
    layers = [softmax((1, 3, 5, 5), seed=seed) for seed in range(2)]
    expected = calculate_entropy(layers)
    assert expected.shape == (2, 3)
    assert expected.dtype == np.float64
    np.testing.assert_array_equal(calculate_entropy(tuple(layer[0] for layer in layers)), expected)
    swapped = np.stack([layer[0] for layer in layers]).transpose(1, 0, 3, 2)
    np.testing.assert_allclose(calculate_entropy(swapped, axes="head layer key query"), expected, atol=1e-12)
    np.testing.assert_array_equal(calculate_entropy(layers[0]), expected[:1])
    np.testing.assert_array_equal(calculate_entropy(layers[0][0, 1].tolist()), expected[:1, 1:2])


def test_ragged_layers_and_dicts_keep_their_ids() -> None:
    layers = {1: softmax((1, 2, 5, 5)), 4: softmax((1, 3, 5, 5))}
    found = calculate_entropy(layers)
    assert isinstance(found, dict)
    assert {layer: values.shape for layer, values in found.items()} == {1: (2,), 4: (3,)}
    table = heads_table(found)
    assert sorted(set(table["layer"])) == [1, 4]
    ragged = calculate_normalized_entropy(list(layers.values()))
    assert isinstance(ragged, dict)
    assert list(ragged) == [0, 1]
    assert len(heads_table(calculate_entropy([softmax((1, 2, 5, 5))] * 3))) == 6


def test_tokens_weigh_the_same_not_sequences() -> None:
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]])
    weights = even(np.broadcast_to(mask[:, None, None, :].astype(bool), (2, 1, 6, 6)))
    assert calculate_entropy([weights], attention_mask=mask).item() == pytest.approx(6 * np.log(6) / 7)


def test_padded_rows_of_a_decoder_are_left_out_and_never_hide_the_causal_mask() -> None:
    n, pad = 12, 5
    mask = np.ones((2, n), dtype=np.int64)
    mask[1, :pad] = 0
    shown = lower(n)[None] & mask[:, None, :].astype(bool)
    weights = softmax((2, 3, n, n), shown[:, None]).astype(np.float32)
    assert np.isnan(weights[1, :, :pad]).all()
    weights[1, :, :pad] = 1 / n  # what the models give: uniform over all keys, future ones too
    plain, ratio = by_scipy(weights, shown, mask.astype(bool))
    np.testing.assert_allclose(calculate_entropy([weights], attention_mask=mask)[0], plain, atol=1e-6)
    np.testing.assert_allclose(calculate_normalized_entropy([weights], attention_mask=mask)[0], ratio, atol=1e-6)
    assert is_causal([weights], attention_mask=mask)
    for calculate in (calculate_normalized_entropy, is_causal, describe_maximum, calculate_max_entropy):
        with pytest.raises(
            DataError, match=r"15 rows \(L0 H0, query 0 of sequence 1\) that are uniform over all keys.*attention_mask"
        ):
            calculate([weights])
    assert calculate_normalized_entropy([weights], causal=False).shape == (1, 3)


def test_rows_without_weight_are_left_out_and_never_zero() -> None:
    weights = softmax((1, 4, 6, 6), lower(6))
    clean = calculate_entropy([weights], per_query=True)[0]
    weights[0, 1, 2] = np.nan  # a softmax over no key
    weights[0, 2, 4] = 0.0
    weights[0, 3] = 0.0  # a head mask
    found = calculate_entropy([weights], per_query=True)[0]
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 1, 2], [0, 2, 4], *([0, 3, query] for query in range(6))]
    np.testing.assert_array_equal(found[~np.isnan(found)], clean[~np.isnan(found)])
    means = calculate_entropy([weights])
    np.testing.assert_allclose(means[0, 1], np.delete(clean[0, 1], 2).mean())
    np.testing.assert_allclose(means[0, 2], np.delete(clean[0, 2], 4).mean())
    assert np.isnan(means[0, 3])
    assert np.isnan(calculate_normalized_entropy([weights])[0, 3])
    assert np.isnan(calculate_max_entropy([weights])[0, 3])
    assert np.isnan(calculate_entropy([weights], rows="sink")[0, 3])


def test_a_multihead_attention_module_of_torch() -> None:
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.randn(2, 5, 8)
    padding = torch.tensor([[False] * 5, [False, False, True, True, True]])
    nothing = torch.zeros(5, 5, dtype=torch.bool)
    nothing[1] = True  # the second query may see no key
    _, weights = module(x, x, x, key_padding_mask=padding, attn_mask=nothing, average_attn_weights=False)
    assert torch.isnan(weights[:, :, 1]).all()
    shown = (~padding[:, None] & ~nothing).numpy()
    plain, ratio = by_scipy(weights.detach().numpy(), shown, (~padding).numpy())
    np.testing.assert_allclose(calculate_entropy([weights], attention_mask=~padding)[0], plain, atol=1e-6)
    np.testing.assert_allclose(calculate_normalized_entropy([weights], attention_mask=~padding)[0], ratio, atol=1e-6)
    with pytest.raises(DataError, match="key_padding_mask is the opposite"):
        calculate_entropy([weights], attention_mask=padding)


def test_a_head_that_never_has_a_choice_is_nan() -> None:
    assert np.isnan(calculate_normalized_entropy([np.ones((1, 2, 1, 1))])).all()
    assert np.isnan(calculate_normalized_entropy([np.eye(4)[None, None]], window=1, method="ratio_of_sums")).all()
    assert calculate_entropy([np.ones((1, 2, 1, 1))]).tolist() == [[0.0, 0.0]]


def test_the_two_methods_and_the_maximum_fit_together() -> None:
    weights = [softmax((2, 3, 9, 9), lower(9))]
    entropy, maximum = calculate_entropy(weights), calculate_max_entropy(weights)
    np.testing.assert_allclose(maximum, np.log(np.arange(1, 10)).mean())
    np.testing.assert_allclose(calculate_normalized_entropy(weights, method="ratio_of_sums"), entropy / maximum)
    np.testing.assert_allclose(calculate_max_entropy(weights, unit="bits"), maximum / np.log(2))
    rows = calculate_entropy(weights, per_query=True)
    assert rows.shape == (1, 2, 3, 9)
    np.testing.assert_allclose(rows.mean(axis=(1, 3)), entropy)
    ratios = calculate_normalized_entropy(weights, per_query=True)
    assert np.isnan(ratios[..., 0]).all()
    np.testing.assert_allclose(ratios[..., 1:], rows[..., 1:] / np.log(np.arange(2, 10)))
    np.testing.assert_allclose(np.nanmean(ratios, axis=(1, 3)), calculate_normalized_entropy(weights))
    np.testing.assert_allclose(calculate_max_entropy(weights, per_query=True)[0, 0, 0], np.log(np.arange(1, 10)))


def test_one_sequence_of_the_batch() -> None:
    weights = softmax((3, 2, 6, 6))
    mask = np.array([[1] * 6, [1] * 6, [0, 1, 1, 1, 1, 1]])
    weights[2, ..., 0], weights[2] = 0, even(np.ones((2, 6, 6)) * (np.arange(6) > 0))
    for index in (1, 2, -1):
        np.testing.assert_allclose(
            calculate_entropy([weights], attention_mask=mask, batch_idx=index),
            calculate_entropy([weights[index][None]], attention_mask=mask[index][None]),
        )
    with pytest.raises(DataError, match="batch_idx=3 is out of range: attentions has a batch of 3"):
        calculate_entropy([weights], batch_idx=3)


def test_windows_may_differ_by_layer() -> None:
    layers = [even(lower(8, window=3))[None, None], even(lower(8))[None, None]]
    np.testing.assert_allclose(calculate_normalized_entropy(layers, window={0: 3}), 1.0)
    assert calculate_normalized_entropy(layers)[0, 0] < 0.8
    with pytest.raises(DataError, match=r"cannot see: L1 H0, query 7 puts 0.625"):
        calculate_entropy(layers, window={0: 3, 1: 3})
    with pytest.raises(DataError, match="causal=False give a pair"):
        calculate_entropy(layers, window=3, causal=False)
    with pytest.raises(DataError, match="leaves a query no key"):
        calculate_entropy(layers, window=0)
    with pytest.raises(KindError, match="window is of type"):
        calculate_entropy(layers, window=True)


@pytest.mark.parametrize("kind", ["bool", "int", "float", "additive", "lowest", "three axes", "torch"])
def test_masks_over_cells(kind: str) -> None:
    shown = np.broadcast_to(lower(6), (2, 1, 6, 6)).copy()
    shown[1, :, :, 0] = False
    shown[0, 0, :3, :3] = True  # a prefix that looks both ways
    weights = softmax((2, 3, 6, 6), shown).astype(np.float32)
    low = np.where(shown, 0.0, {"lowest": np.finfo(np.float32).min}.get(kind, -10000.0)).astype(np.float32)
    mask = {
        "bool": shown, "int": shown.astype(np.int64), "float": shown.astype(np.float32), "additive": low, "lowest": low,
        "three axes": shown[:, 0], "torch": torch.from_numpy(low),
    }[kind]  # fmt: skip
    plain, ratio = by_scipy(weights, shown[:, 0], shown[:, 0].any(-1))
    np.testing.assert_allclose(calculate_entropy([weights], attention_mask=mask)[0], plain, atol=1e-6)
    np.testing.assert_allclose(calculate_normalized_entropy([weights], attention_mask=mask)[0], ratio, atol=1e-6)
    assert describe_maximum([weights], attention_mask=mask) == "uniform over the keys that the mask shows to each query"


def test_the_extended_form_of_a_padding_mask_is_that_mask() -> None:
    mask = np.array([[1, 1, 1, 1], [0, 0, 1, 1]])
    weights = softmax((2, 2, 4, 4), mask[:, None, None, :].astype(bool) & lower(4))
    extended = np.where(mask, 0.0, -3.4e38)[:, None, None, :]
    for calculate in (calculate_entropy, calculate_normalized_entropy, describe_maximum):
        np.testing.assert_array_equal(
            calculate([weights], attention_mask=mask), calculate([weights], attention_mask=extended)
        )


def test_masked_weights_are_keys_that_the_query_does_not_see() -> None:
    shown = np.broadcast_to(lower(6), (1, 2, 6, 6)).copy()
    shown[0, 1, :, 0] = False
    weights = np.nan_to_num(even(shown))
    masked = np.ma.MaskedArray(np.where(shown, weights, 0.7), mask=~shown)
    np.testing.assert_allclose(calculate_normalized_entropy([masked], causal=False), 1.0)
    np.testing.assert_allclose(calculate_normalized_entropy([masked]), 1.0)
    np.testing.assert_array_equal(calculate_entropy([masked]), calculate_entropy([weights]))


def test_sinks_and_renormalising() -> None:
    weights = softmax((1, 2, 5, 8))
    sink = np.random.default_rng(3).uniform(0.2, 0.5, size=(1, 2, 5, 1))
    short = weights * (1 - sink)
    full = np.concatenate([short, sink], axis=-1)
    np.testing.assert_allclose(calculate_entropy([short], rows="sink"), calculate_entropy([full]))
    np.testing.assert_allclose(
        calculate_normalized_entropy([short], rows="sink"), calculate_normalized_entropy([full], causal=False)
    )
    np.testing.assert_allclose(calculate_max_entropy([short], rows="sink"), np.log(9))
    np.testing.assert_allclose(calculate_entropy([short], rows="renormalise"), calculate_entropy([weights]))
    assert describe_maximum([short], rows="sink") == "uniform over all keys (and the sink)"


def test_rows_that_do_not_sum_to_one_are_an_error_with_the_numbers() -> None:
    weights = [softmax((2, 3, 4, 4)), softmax((2, 3, 4, 4))]
    weights[1][1, 2, 3] *= 0.62
    weights[1][0, 2, 1] *= 0.8
    with pytest.raises(DataError) as caught:
        calculate_entropy(weights)
    text = str(caught.value)
    assert "L1 H2, query 3 of sequence 1 sums to 0.62 (2 rows of 24 in layer 1: 0.62 to 0.8)" in text
    assert "rows='sink'" in text
    assert "rows='renormalise'" in text
    with pytest.raises(DataError, match=r"sums to 1\.1 "):
        calculate_entropy([weights[0] * 1.1], rows="sink")
    with pytest.raises(DataError, match=r"training mode \(call model.eval\(\) first\)"):
        calculate_entropy([weights[0] * 1.1])
    with pytest.raises(DataError, match=r"rounding of bfloat16 or float16: allow it with tolerance=0\.01"):
        calculate_entropy([weights[0] * 1.002])
    assert calculate_entropy([weights[0] * 1.002], tolerance=0.01).shape == (1, 3)
    rounded = torch.from_numpy(even(np.ones((1, 2, 4, 3)))).bfloat16()
    assert abs(rounded.float().sum(-1) - 1).max() > 1e-3
    assert calculate_entropy((rounded,)).shape == (1, 2)


def test_rows_that_are_no_distribution_are_errors() -> None:
    good = softmax((1, 2, 4, 4))
    for value, message in ((-0.2, "negative weights: L0 H1, query 2"), (np.nan, "some NaN or infinite weights: L0 H1, query 2"),
                           (np.inf, "some NaN or infinite weights: L0 H1, query 2")):  # fmt: skip
        bad = good.copy()
        bad[0, 1, 2, 3] = value
        for rows in ("error", "renormalise", "sink"):
            with pytest.raises(DataError, match=message):
                calculate_entropy([bad], rows=rows)
    # beyond the diagonal it must be seen too, where sums cancel
    bad = softmax((1, 1, 600, 600), lower(600))
    bad[0, 0, 3, 598:] = -0.3, 0.3
    with pytest.raises(DataError, match="negative weights: L0 H0, query 3"):
        calculate_entropy([bad])


def test_weight_on_hidden_keys_is_an_error() -> None:
    weights = softmax((1, 2, 6, 6))
    with pytest.raises(DataError, match="weight on keys that the query cannot see: L0 H"):
        calculate_entropy([weights], causal=True)
    with pytest.raises(DataError, match="1 is a real token, 0 padding"):
        calculate_normalized_entropy([weights], attention_mask=[[1, 1, 1, 1, 0, 0]])
    with pytest.raises(DataError, match="6 queries for 4 keys, which cannot be causal"):
        calculate_entropy([softmax((1, 1, 6, 4))], causal=True)


def test_padding_is_checked_also_where_the_causal_mask_was_found() -> None:
    weights = softmax((2, 2, 6, 6), lower(6))
    with pytest.raises(DataError, match="weight on keys that the query cannot see"):
        calculate_normalized_entropy([weights], attention_mask=[[1] * 6, [0, 0, 1, 1, 1, 1]])


def test_rounding_on_hidden_keys_adds_nothing() -> None:
    weights = even(np.broadcast_to(lower(6), (1, 1, 6, 6)))
    dusted = weights + np.where(lower(6), 0.0, 1e-5)
    for options in ({"causal": True}, {"attention_mask": lower(6)[None]}):
        np.testing.assert_allclose(calculate_entropy([dusted], **options), calculate_entropy([weights]), atol=1e-15)


@pytest.mark.parametrize("rows", ["error", "renormalise", "sink"])
def test_rounding_above_one_makes_no_negative_entropy(rows: Any) -> None:
    weights = np.eye(5)[None, None] * 1.00001
    for options in ({}, {"attention_mask": np.ones((1, 5))}, {"query_mask": [[0, 1, 1, 1, 1]]}):
        found = calculate_entropy([weights], rows=rows, per_query=True, **options)
        assert np.nanmin(found) >= 0
        np.testing.assert_allclose(calculate_entropy([weights], rows=rows, **options), 0.0, atol=1e-15)


def test_masks_that_do_not_fit_say_what_would() -> None:
    weights = softmax((2, 2, 4, 5))
    with pytest.raises(
        DataError, match=r"attention_mask has shape \(2, 4\).*2 sequences of 4 queries and 5 keys.*\(2, 5\)"
    ):
        calculate_entropy([weights], attention_mask=np.ones((2, 4)))
    with pytest.raises(DataError, match=r"query_mask has shape \(2, 5\).*expected query_mask of shape \(2, 4\)"):
        calculate_entropy([weights], query_mask=np.ones((2, 5)))
    with pytest.raises(DataError, match="other values than 1"):
        calculate_entropy([weights], attention_mask=np.full((2, 5), -10000.0))
    with pytest.raises(DataError, match="neither boolean nor additive"):
        calculate_entropy([weights], attention_mask=np.full((2, 1, 4, 5), -0.5))
    with pytest.raises(DataError, match="no query is left"):
        calculate_entropy([weights], attention_mask=np.zeros((2, 5)))
    with pytest.raises(DataError, match="shape"):
        calculate_entropy([weights], attention_mask=np.ones((1, 1, 2, 4, 5)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "ignore"}, "rows='ignore' is unknown"),
        ({"unit": "bans"}, "unit='bans' is unknown"),
        ({"tolerance": -1.0}, "tolerance=-1.0"),
    ],
)
def test_unknown_choices_name_the_known_ones(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        calculate_entropy([softmax((1, 1, 3, 3))], **options)
    with pytest.raises(DataError, match="method='median' is unknown"):
        calculate_normalized_entropy([softmax((1, 1, 3, 3))], method="median")  # type: ignore[arg-type]


def test_no_weights_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match="attn_implementation"):
        calculate_entropy(())
    with pytest.raises(DataError, match="empty"):
        calculate_entropy([np.ones((1, 0, 3, 3))])
    with pytest.raises(KindError, match="complex"):
        calculate_entropy([np.ones((1, 1, 3, 3), dtype=complex)])


def test_whether_attention_is_causal_is_found_from_the_weights() -> None:
    assert is_causal([softmax((2, 2, 9, 9), lower(9))])
    assert is_causal([softmax((2, 2, 3, 9), lower(3, 9))])
    assert not is_causal([softmax((2, 2, 9, 9))])
    assert not is_causal([softmax((2, 2, 9, 4))])
    assert not is_causal([softmax((2, 2, 1, 9))])  # one query tells nothing
    assert not is_causal([even(np.ones((1, 2, 4, 4)))])  # uniform heads are not padding
    last = softmax((2, 2, 9, 9), lower(9))
    last[1, 1, 7] = even(np.arange(9) != 4)
    assert not is_causal([softmax((2, 2, 9, 9), lower(9)), last])  # one weight in the last layer is enough
    tiny = softmax((1, 1, 9, 9), lower(9))
    tiny[0, 0, 2, 3] = 1e-30
    assert not is_causal([tiny])
    far = softmax((1, 1, 9, 9), lower(9))
    far[0, 0, 0, 8] = 1e-30
    with mock.patch.object(_blocks, "BLOCK", 20):
        assert is_causal([softmax((2, 2, 9, 9), lower(9))])
        assert not is_causal([tiny])
        assert not is_causal([far])


def test_what_was_assumed_is_said() -> None:
    weights = [even(lower(5))[None, None]]
    assert (
        describe_maximum(weights)
        == "uniform over each query's own and earlier keys (causal, as found from the weights)"
    )
    assert describe_maximum(weights, causal=True) == "uniform over each query's own and earlier keys"
    assert describe_maximum(weights, causal=False) == "uniform over all keys"
    assert (
        describe_maximum(weights, causal=False, attention_mask=np.ones((1, 5)))
        == "uniform over all keys (without padding)"
    )
    assert "within a window of 4" in describe_maximum(weights, window=4)
    assert "within a window of 2 or 4" in describe_maximum(weights, window={0: 4, 1: 2, 2: None})


def test_nothing_the_size_of_the_stack_is_made() -> None:
    head = softmax((1024, 1024), lower(1024), scale=1.0).astype(np.float32)
    dense = softmax((1024, 1024), scale=1.0).astype(np.float32)
    for matrix in (head, dense):
        layers = [np.broadcast_to(matrix, (1, 12, 1024, 1024)) for _ in range(12)]  # 604 MB, if it were not one matrix
        calculate_entropy(layers[:1])
        tracemalloc.start()
        found = calculate_entropy(layers)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.01 * sum(layer.nbytes for layer in layers)
        np.testing.assert_allclose(found, scipy.stats.entropy(matrix.astype(np.float64), axis=1).mean(), atol=2e-6)


def test_tensors_that_numpy_cannot_view_are_converted_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def record(value: Any, *, name: str) -> Floats:
        sizes.append(value.numel())
        return np.asarray(value.float())

    monkeypatch.setattr(_blocks, "to_numpy", record)
    tensor = torch.from_numpy(softmax((1, 4, 700, 700))).bfloat16()
    assert calculate_entropy((tensor,)).shape == (1, 4)
    assert max(sizes) <= _blocks.BLOCK
    assert sum(sizes) == tensor.numel()


def test_a_logarithm_without_simd_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = [softmax((1, 2, 30, 30), lower(30)).astype(np.float32)]
    expected = calculate_entropy(weights)
    monkeypatch.setattr(_blocks, "_LOG", np.log)
    monkeypatch.setattr(_blocks, "_UNIT", 1.0)
    monkeypatch.setattr(_blocks, "_dot", _blocks._einsum_dot)
    np.testing.assert_allclose(calculate_entropy(weights), expected, atol=1e-6)
