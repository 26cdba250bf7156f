from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError
from headspec.reduce.cells import RECTS, pool_matrix


def slowly(matrix: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    reduce = np.nanmax if how == "max" else np.nanmean
    rows = range(0, matrix.shape[0], size[0])
    columns = range(0, matrix.shape[1], size[1])
    out = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            block = matrix[row : row + size[0], column : column + size[1]]
            if np.isfinite(block).any():
                out[i, j] = reduce(np.where(np.isfinite(block), block, np.nan))
    return out


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.integers(4, 60),
    st.sampled_from(["max", "mean", "both"]),
    st.integers(0, 9),
)
def test_pooling_agrees_with_the_slow_way(rows: int, columns: int, panel: int, how: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.random((rows, columns))
    if seed % 3 == 0:
        matrix[rng.random(matrix.shape) < 0.2] = np.nan
        matrix[0, 0] = 0.5
    blocks = pool_matrix(matrix, panel, how=how)
    assert max(blocks.values.shape) <= panel
    assert np.allclose(blocks.values, slowly(matrix, blocks.size, "mean" if how == "mean" else "max"), equal_nan=True)
    if how == "both":
        assert blocks.means is not None
        assert np.allclose(blocks.means, slowly(matrix, blocks.size, "mean"), equal_nan=True)
    assert blocks.high == np.nanmax(matrix)
    assert blocks.low == np.nanmin(matrix)
    assert blocks.counts["nan"] == np.isnan(matrix).sum()
    assert np.allclose(blocks.maxima, slowly(matrix, blocks.coarse, "max"), equal_nan=True)
    assert max(blocks.maxima.shape) <= RECTS
    for maximum, (query, key) in zip(blocks.maxima.ravel(), blocks.places.reshape(-1, 2), strict=True):
        assert np.isnan(maximum) or matrix[query, key] == maximum


def test_the_strongest_key_of_every_row_survives() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.random((512, 512)) * 0.1
    strongest = rng.integers(0, 512, 512)
    matrix[np.arange(512), strongest] = 1.0
    blocks = pool_matrix(matrix, 100)
    assert (blocks.values[np.arange(512) // blocks.size[0], strongest // blocks.size[1]] == 1.0).all()


@pytest.mark.parametrize(("offset", "causal"), [(0, True), (1, False)])
def test_later_keys_are_found(offset: int, causal: bool) -> None:
    assert pool_matrix(np.tril(np.ones((333, 333)), offset), 100).causal is causal
    assert pool_matrix(np.tril(np.ones((333, 300)), -40), 100).causal is False


def test_nan_and_padding_are_no_weight_to_a_later_key() -> None:
    real = np.arange(333) < 320
    assert pool_matrix(np.tril(np.ones((333, 333))), 100, mask=(real, real)).causal
    gone = np.tril(np.ones((333, 333)))
    gone[2, 7] = gone[2, 300] = np.nan
    assert pool_matrix(gone, 100).causal
    gone[2, 8] = 0.1
    assert not pool_matrix(gone, 100).causal


class Chunked:
    """An array that is only ever read in slices of rows, as memory-mapped and chunked ones are."""

    def __init__(self, array: np.ndarray, fail: bool = False) -> None:
        self.array, self.fail, self.most = array, fail, 0
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        if self.fail:
            raise OSError("chunk 7 cannot be read")
        self.most = max(self.most, self.array[rows].size)
        return self.array[rows]


def test_an_array_that_does_not_fit_is_read_in_slabs(tmp_path: Any) -> None:
    path = tmp_path / "attention.npy"
    source = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(3000, 3000))
    source[:] = np.random.default_rng(0).random((3000, 3000), dtype=np.float32)
    mapped = np.load(path, mmap_mode="r")
    blocks = pool_matrix(mapped, 400)
    assert np.array_equal(blocks.values, pool_matrix(np.asarray(source), 400).values)
    chunked = Chunked(np.asarray(source))
    pool_matrix(chunked, 400)
    assert chunked.most <= 2**22


def test_a_chunk_that_fails_is_named() -> None:
    with pytest.raises(DataError, match=r"attention\[0:\d+\] could not be read: OSError: chunk 7"):
        pool_matrix(Chunked(np.ones((500, 500)), fail=True), 100)


def test_masked_tokens_are_counted_and_left_out() -> None:
    matrix = np.ones((200, 200))
    real = np.arange(200) < 150
    blocks = pool_matrix(matrix, 100, mask=(real, real))
    assert blocks.counts["masked"] == 200 * 200 - 150 * 150
    assert blocks.counts["nan"] == 0
    assert np.isnan(blocks.values[-1]).all()
    assert blocks.values[0, 0] == 1


def test_half_precision_and_torch_are_read() -> None:
    torch = pytest.importorskip("torch")
    matrix = np.random.default_rng(0).random((300, 300)).astype(np.float16)
    expected = pool_matrix(matrix.astype(np.float32), 100).values
    assert np.array_equal(pool_matrix(matrix, 100).values, expected)
    assert np.array_equal(pool_matrix(torch.from_numpy(matrix).requires_grad_(), 100).values, expected)


@pytest.mark.parametrize("weight", [0.5, -0.5, np.inf])
@pytest.mark.parametrize("place", [(0, 1), (0, 499), (241, 242), (100, 103), (498, 499), (37, 260)])
def test_one_weight_on_a_later_key_is_seen_wherever_it_stands(place: tuple[int, int], weight: float) -> None:
    matrix = np.tril(np.random.default_rng(0).random((500, 500)))
    assert pool_matrix(matrix, 64).causal
    matrix[place] = weight
    assert not pool_matrix(matrix, 64).causal
    matrix[place] = 0.0
    matrix[400, 3] = weight
    assert pool_matrix(matrix, 64).causal
