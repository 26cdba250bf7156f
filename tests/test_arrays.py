from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headspec.arrays import parts, to_numpy
from headspec.errors import DataError, HeadspecError, KindError

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16", "int8", "int64", "bool"])
def test_tensors_of_every_dtype_give_their_values(dtype: str) -> None:
    tensor = torch.tensor([[0, 1], [1, 0]], dtype=getattr(torch, dtype))
    assert to_numpy(tensor).tolist() == [[0, 1], [1, 0]]


BASE = torch.arange(6.0).reshape(2, 3)
LAYOUTS = {
    "grad": lambda: BASE.clone().requires_grad_(),
    "parameter": lambda: torch.nn.Parameter(BASE.clone()),
    "transposed": lambda: BASE.t().contiguous().t(),
    "strided": lambda: torch.arange(12.0).reshape(2, 6)[:, ::2],
    "sparse": BASE.to_sparse,
    "csr": BASE.to_sparse_csr,
    "negative view": lambda: torch.conj(torch.complex(BASE, -BASE)).imag,
    "quantised": lambda: torch.quantize_per_tensor(BASE, 1.0, 0, torch.quint8),
    "expanded": lambda: torch.ones(1, 3).expand(2, 3),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning", "ignore:.*quantize.*")
def test_tensors_of_every_layout_give_their_values(layout: str) -> None:
    tensor = LAYOUTS[layout]()
    plain = tensor.detach()
    plain = plain.to_dense() if plain.layout != torch.strided else plain
    plain = plain.dequantize() if plain.is_quantized else plain
    assert np.array_equal(to_numpy(tensor), np.array(plain.tolist()))


@pytest.mark.parametrize(
    "view", [lambda a: a.T, lambda a: a[::2, ::-1], lambda a: np.asfortranarray(a), lambda a: a.astype(">f4")]
)
def test_numpy_arrays_of_every_layout_give_their_values(view: Any) -> None:
    array = view(np.arange(12.0).reshape(4, 3))
    assert np.array_equal(to_numpy(array), array)
    assert to_numpy(array).dtype.isnative


def test_a_contiguous_tensor_is_not_copied() -> None:
    tensor = torch.rand(4, 4)
    assert np.shares_memory(to_numpy(tensor), tensor.numpy())


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32]),
        hnp.array_shapes(min_dims=0, max_dims=4, max_side=4),
        elements=st.integers(-5, 5),
    )
)
def test_nested_lists_read_like_the_array(array: np.ndarray) -> None:
    assert np.array_equal(to_numpy(array.tolist()), array)


def test_lists_of_tensors_and_numbers_are_put_together() -> None:
    assert to_numpy([torch.tensor([1.0, 2.0], dtype=torch.bfloat16), [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert to_numpy([torch.tensor(1.0), 2]).tolist() == [1, 2]


def test_none_is_masked_and_masks_are_kept() -> None:
    assert to_numpy([[1.0, None], [3.0, 4.0]]).mask.tolist() == [[False, True], [False, False]]
    assert to_numpy(np.array([1.0, None], dtype=object)).mask.tolist() == [False, True]
    masked = np.ma.MaskedArray([1.0, 2.0], mask=[True, False])
    assert parts(to_numpy(masked))[1].tolist() == [True, False]


def test_protocols_are_used() -> None:
    class ByProtocol:
        shape = (2,)

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.array([1.0, 2.0])

    class ByDlpack:
        def __init__(self) -> None:
            self.array = np.array([1.0, 2.0])

        def __dlpack__(self, **keywords: Any) -> Any:
            return self.array.__dlpack__(**keywords)

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

    assert to_numpy(ByProtocol()).tolist() == [1, 2]
    assert to_numpy(ByDlpack()).tolist() == [1, 2]


def test_a_float32_reads_as_it_prints() -> None:
    assert parts(to_numpy(np.float32([0.1, 0.7])))[0].tolist() == [0.1, 0.7]
    assert parts(to_numpy(torch.tensor([0.1, 0.7])))[0].tolist() == [0.1, 0.7]


class Broken:
    shape = (2,)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("chunk 3 is gone")


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (torch.empty(2, 2, device="meta"), DataError, "meta device"),
        (torch.ones(2, dtype=torch.complex64), KindError, "complex"),
        (np.ones(2, complex), KindError, "complex numbers"),
        (np.array(["a", "b"]), KindError, "text"),
        (np.array([b"a"]), KindError, "bytes"),
        (np.array(["2020-01-01"], "datetime64[D]"), KindError, "dates"),
        (np.array([1.0, "x"], dtype=object), KindError, r"values\[1\] is of type builtins.str"),
        ([[1.0, 2.0], [3.0]], DataError, "ragged"),
        ([[1.0, "x"]], KindError, "builtins.str"),
        ("abc", KindError, "builtins.str"),
        (None, KindError, "None"),
        ({1, 2}, KindError, "set"),
        (np.array([2**53 + 1]), DataError, r"2\*\*53"),
        (Broken(), DataError, "chunk 3 is gone"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*nested tensors.*:UserWarning")
def test_what_cannot_be_read_is_a_clear_error(value: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        to_numpy(value)
    assert isinstance(caught.value, HeadspecError)
    assert isinstance(caught.value, (ValueError, TypeError))


@pytest.mark.filterwarnings("ignore")
def test_a_nested_tensor_is_refused_with_the_fix() -> None:
    tensor = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    with pytest.raises(KindError, match="unbind"):
        to_numpy(tensor)
