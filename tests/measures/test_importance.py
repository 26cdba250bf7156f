from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from headspec.errors import DataError, KindError
from headspec.measures.entropy import calculate_normalized_entropy
from headspec.measures.gradients import calculate_gradient_norms
from headspec.measures.importance import calculate_head_importance
from headspec.tables.heads import heads_table

GRADIENTS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=5),
    elements=st.floats(-1e3, 1e3, allow_subnormal=False),
)


@settings(max_examples=60, deadline=None)
@given(gradients=GRADIENTS)
def test_the_absolute_value_is_inside_the_mean(gradients: Any) -> None:
    examples, layers, heads = gradients.shape
    found = calculate_head_importance(gradients)
    squared = calculate_head_importance(gradients, method="gate_gradient_squared")
    for layer in range(layers):
        for head in range(heads):
            column = [float(gradients[x, layer, head]) for x in range(examples)]
            assert found[layer, head] == pytest.approx(sum(map(abs, column)) / examples, abs=1e-300)
            assert squared[layer, head] == pytest.approx(sum(g * g for g in column) / examples, abs=1e-300)
    summed = calculate_head_importance(gradients.mean(axis=0), per_example=False)
    assert (summed <= found * (1 + 1e-12) + 1e-300).all()


def gate_gradients(batch: int) -> tuple[Tensor, Tensor]:
    """Gate gradients of a small attention layer: of each example alone, and of the mean loss of the batch."""
    torch.manual_seed(3)
    q, k, v, o = (torch.randn(6, 6) for _ in range(4))
    x = torch.randn(batch, 5, 6)
    gates = torch.ones(batch, 1, 3, requires_grad=True)
    heads = [(x @ m).view(batch, 5, 3, 2).transpose(1, 2) for m in (q, k, v)]
    mixed = (heads[0] @ heads[1].transpose(-1, -2)).softmax(-1) @ heads[2]
    mixed = mixed * gates[:, 0, :, None, None]
    losses = ((mixed.transpose(1, 2).reshape(batch, 5, 6) @ o) ** 3).mean((1, 2))
    (each,) = torch.autograd.grad(losses.sum(), gates)
    return each, each.mean(0)


def test_gate_gradients_of_a_model_do_not_depend_on_the_batch() -> None:
    each, summed = gate_gradients(8)
    found = calculate_head_importance(each)
    np.testing.assert_allclose(found, each.abs().mean(0).numpy(), rtol=1e-6)
    halves = [calculate_head_importance(each[start : start + 4]) for start in (0, 4)]
    np.testing.assert_allclose(np.mean(halves, axis=0), found, rtol=1e-6)
    cancelled = calculate_head_importance(summed, per_example=False)
    assert (cancelled < found).any()  # what the usual scripts print
    with pytest.raises(
        DataError, match=r"shape \(1, 3\); expected one gradient per example.*per_example=False takes it"
    ):
        calculate_head_importance(summed)


def test_every_form_of_gradients_gives_the_same() -> None:
    gradients = np.random.default_rng(0).normal(size=(4, 2, 3))
    expected = calculate_head_importance(gradients)
    forms: list[tuple[Any, dict[str, Any]]] = [
        (torch.from_numpy(gradients).requires_grad_(), {}),
        (gradients.tolist(), {}),
        ([gradients[:, 0], gradients[:, 1]], {}),
        (tuple(torch.from_numpy(gradients[:, layer]) for layer in range(2)), {}),
        (list(gradients), {"axes": "example layer head"}),
        (gradients.transpose(1, 2, 0), {"axes": "layer head example"}),
    ]
    for form, options in forms:
        np.testing.assert_allclose(calculate_head_importance(form, **options), expected, rtol=1e-12)
    by_dict = calculate_head_importance({3: gradients[:, 0], 7: gradients[:, 1, :2]})
    assert isinstance(by_dict, dict)
    assert {layer: row.shape for layer, row in by_dict.items()} == {3: (3,), 7: (2,)}
    assert len(heads_table(by_dict)) == 5
    ragged = calculate_head_importance([gradients[:, 0], gradients[:, 1, :2]])
    assert isinstance(ragged, dict)
    np.testing.assert_array_equal(
        calculate_head_importance([np.ones(2), np.ones(2)], per_example=False), np.ones((2, 2))
    )


def test_examples_that_were_not_measured_are_left_out_and_nan_is_not() -> None:
    values = np.array([[[1.0, 2.0]], [[3.0, np.nan]]])
    found = calculate_head_importance(values)
    assert found[0, 0] == 2.0
    assert np.isnan(found[0, 1])
    masked = np.ma.MaskedArray(values, mask=np.isnan(values))
    assert calculate_head_importance(masked).tolist() == [[2.0, 2.0]]
    none = np.ma.MaskedArray(np.ones((2, 1, 2)), mask=[[[False, True]], [[False, True]]])
    assert np.isnan(calculate_head_importance(none)[0, 1])


def test_dividing_by_the_norm_of_the_layer_and_bringing_to_one() -> None:
    values = np.array([[[3.0, 4.0], [0.0, 0.0], [1.0, np.nan]]])
    unit = calculate_head_importance(values, per_layer=True)
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, 0.0], [1.0, np.nan]])
    both = calculate_head_importance(values, per_layer=True, min_max=True)
    np.testing.assert_allclose(both, unit)  # already from 0 to 1
    np.testing.assert_allclose(calculate_head_importance(values[:, :1], min_max=True), [[0.0, 1.0]])
    assert calculate_head_importance(np.ones((2, 2, 2)), min_max=True).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert np.isnan(calculate_head_importance(np.full((1, 1, 2), np.nan), min_max=True)).all()


@settings(max_examples=40, deadline=None)
@given(gradients=GRADIENTS)
def test_scaling_keeps_the_order(gradients: Any) -> None:
    found = calculate_head_importance(gradients).ravel()
    scaled = calculate_head_importance(gradients, min_max=True).ravel()
    assert ((scaled >= 0) & (scaled <= 1)).all()
    order = np.argsort(found, kind="stable")
    assert (np.diff(scaled[order]) >= 0).all()


def test_magnitude_is_the_norm_of_the_weights_in_the_same_slices() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(12, 3)
    found = calculate_head_importance(module, method="magnitude")
    weights = {name: value.detach() for name, value in module.named_parameters()}
    np.testing.assert_allclose(found, calculate_gradient_norms(weights, num_heads=3))
    for form in (module.state_dict(), module.named_parameters(), {n: (v, None) for n, v in weights.items()}):
        np.testing.assert_array_equal(calculate_head_importance(form, method="magnitude", num_heads=3), found)
    rows = slice(4, 8)
    parts = [part[rows] for part in weights["in_proj_weight"].chunk(3)] + [weights["out_proj.weight"][:, rows]]
    assert found[0, 1] == pytest.approx(float(torch.cat([part.ravel() for part in parts]).norm()))


def test_by_entropy_the_head_that_concentrates_comes_first() -> None:
    n = 8
    even = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    previous = np.eye(n)[[0, *range(n - 1)]]
    mixed = (even + previous) / 2
    attentions = [np.stack([even, mixed, previous])[None]]
    found = calculate_head_importance(attentions, method="entropy")
    np.testing.assert_allclose(found, 1 - np.asarray(calculate_normalized_entropy(attentions)))
    assert found[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert 0 < found[0, 1] < found[0, 2] == 1.0
    mask = [[1] * 6 + [0] * 2]
    clipped = [attentions[0].copy()]
    clipped[0][..., 6:] = 0
    clipped[0][0, :, 6:] = np.nan
    ratio = calculate_head_importance(clipped, method="entropy", attention_mask=mask, average="ratio_of_sums")
    np.testing.assert_allclose(
        ratio, 1 - np.asarray(calculate_normalized_entropy(clipped, attention_mask=mask, method="ratio_of_sums"))
    )
    by_dict = calculate_head_importance({2: attentions[0]}, method="entropy")
    assert isinstance(by_dict, dict)
    np.testing.assert_array_equal(by_dict[2], found[0])


def test_unknown_methods_options_and_shapes_say_what_there_is() -> None:
    values = np.ones((2, 3, 4))
    with pytest.raises(
        DataError, match="method='taylor' is unknown; expected 'gate_gradient', 'gate_gradient_squared'"
    ):
        calculate_head_importance(values, method="taylor")  # type: ignore[arg-type]
    with pytest.raises(KindError, match="'gate_gradient' has no option 'num_heads'; it has axes and per_example"):
        calculate_head_importance(values, num_heads=3)
    with pytest.raises(DataError, match=r"shape \(2, 3, 4, 5\); expected \[example, layer, head\]"):
        calculate_head_importance(np.ones((2, 3, 4, 5)))
    with pytest.raises(DataError, match=r"shape \(2, 3, 4\); expected \[layer, head\]"):
        calculate_head_importance(values, per_example=False)
    with pytest.raises(DataError, match=r"values\[0\] has shape \(2, 3, 4\).*where it is examples say"):
        calculate_head_importance([values])
    with pytest.raises(DataError, match="empty"):
        calculate_head_importance(np.ones((0, 3, 4)))
    with pytest.raises(DataError, match=r"expected \{layer: gradients"):
        calculate_head_importance({"a": np.ones((2, 3))})
    with pytest.raises(KindError, match="complex"):
        calculate_head_importance(values.astype(complex))
