"""The same numbers from any library give the same spec."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headspec
import samples

torch = pytest.importorskip("torch")

ENTROPY, NORMS = samples.entropy().astype(np.float32), samples.gradients().astype(np.float32)
ATTENTION = tuple(layer.astype(np.float32) for layer in samples.attention())
TIMES = {name: scores.astype(np.float32) for name, scores in samples.importance().items()}

CALLS: dict[str, Any] = {
    "visualize_entropy_heatmap": lambda make: headspec.visualize_entropy_heatmap(make(ENTROPY), **samples.STATES),
    "visualize_gradient_norms": lambda make: headspec.visualize_gradient_norms(make(NORMS), **samples.STATES),
    "visualize_normalized_entropy": lambda make: headspec.visualize_normalized_entropy(
        attention=tuple(make(layer) for layer in ATTENTION)
    ),
    "visualize_normalized_entropy of values": lambda make: headspec.visualize_normalized_entropy(
        make(ENTROPY), make(np.float32(2.5))
    ),
    "visualize_attention_matrix": lambda make: headspec.visualize_attention_matrix(
        tuple(make(layer) for layer in ATTENTION), 1, 2
    ),
    "visualize_entropy_vs_gradient": lambda make: headspec.visualize_entropy_vs_gradient(make(ENTROPY), make(NORMS)),
    "visualize_head_importance": lambda make: headspec.visualize_head_importance(
        "tiny", {name: make(scores) for name, scores in TIMES.items()}, 3, 4
    ),
    "plot_head_gradients_with_overlays": lambda make: headspec.plot_head_gradients_with_overlays(
        make(NORMS), **samples.STATES
    ),
}


def tensor(array: np.ndarray) -> Any:
    return torch.from_numpy(np.array(array)).requires_grad_()


def transposed(array: np.ndarray) -> Any:
    return torch.from_numpy(np.array(array).T.copy()).T if array.ndim == 2 else tensor(array)


class ByDlpack:
    """An array that can only hand over its memory."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.array(array)
        self.shape, self.dtype, self.ndim = self.array.shape, self.array.dtype, self.array.ndim

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __getitem__(self, index: Any) -> Any:
        part = self.array[index]
        return ByDlpack(part) if isinstance(part, np.ndarray) else part


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize(
    "make", [tensor, transposed, np.asfortranarray, ByDlpack], ids=["torch", "torch, strided", "fortran", "dlpack"]
)
def test_the_spec_is_the_same(name: str, make: Any) -> None:
    assert headspec.to_json(CALLS[name](make)) == headspec.to_json(CALLS[name](np.asarray))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "name", ["visualize_entropy_heatmap", "visualize_attention_matrix", "visualize_entropy_vs_gradient"]
)
def test_low_precision_gives_its_own_values(name: str, dtype: str) -> None:
    low = getattr(torch, dtype)
    from_torch = CALLS[name](lambda array: torch.from_numpy(np.array(array)).to(low))
    from_numpy = CALLS[name](lambda array: torch.from_numpy(np.array(array)).to(low).float().numpy())
    values = [column for column in ("value", "weight", "entropy") if column in headspec.to_table(from_torch)]
    for column in values:
        a, b = (headspec.to_table(chart)[column].to_numpy(float) for chart in (from_torch, from_numpy))
        assert np.allclose(a, b, rtol=1e-3, equal_nan=True)
    assert values
