"""Arrays that are not in memory: read in parts, never as a whole, and with the same outcome."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

import headspec
from headspec.arrays import to_numpy
from headspec.errors import DataError
from headspec.stored import SILENT, Meter, StoredView, is_stored, view_of


def attention(layers: int = 3, heads: int = 4, size: int = 160) -> np.ndarray:
    weights = np.tril(np.random.default_rng(0).random((layers, 1, heads, size, size), dtype=np.float32) + 1e-3)
    return weights / weights.sum(-1, keepdims=True)


WEIGHTS = attention()


class Reads:
    """A store like Zarr's that remembers how much of it was read at once."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.most, self.total = values, 0, 0
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        found = self.values[key]
        self.most, self.total = max(self.most, found.size), self.total + found.size
        return found

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise AssertionError("read as a whole")


def kept_by_zarr(values: np.ndarray, tmp_path: Any) -> Any:
    store = zarr.create_array(store=tmp_path / "a.zarr", shape=values.shape, chunks=(1, 1, 1, 64, 64), dtype="float32")
    store[:] = values
    return zarr.open_array(store=tmp_path / "a.zarr", mode="r")


def mapped(values: np.ndarray, tmp_path: Any) -> Any:
    np.save(tmp_path / "a.npy", values)
    return np.load(tmp_path / "a.npy", mmap_mode="r")


def in_chunks(values: np.ndarray, tmp_path: Any) -> Any:
    return dask.array.from_array(values, chunks=(1, 1, 1, 64, 64))


KINDS = [kept_by_zarr, mapped, in_chunks, lambda values, tmp_path: Reads(values)]
NAMES = ["zarr", "memmap", "dask", "a store"]


@pytest.mark.parametrize("keep", KINDS, ids=NAMES)
@pytest.mark.parametrize(
    "make",
    [
        lambda data: headspec.to_json(headspec.visualize_attention_matrix(data, 1, 2, size=64)),
        lambda data: headspec.to_json(headspec.visualize_attention_heads(data, thumb=32)),
        lambda data: headspec.to_json(headspec.visualize_head_explorer(data, budget=50_000)),
        lambda data: headspec.to_json(headspec.visualize_normalized_entropy(attention=data)),
        lambda data: headspec.calculate_entropy(data).tolist(),
    ],
    ids=["matrix", "heads", "explorer", "normalised entropy", "entropy"],
)
def test_what_is_stored_gives_what_is_in_memory(
    keep: Callable[[np.ndarray, Any], Any], make: Callable[[Any], Any], tmp_path: Any
) -> None:
    stored = keep(WEIGHTS, tmp_path)
    assert is_stored(stored)
    assert make(stored) == make(WEIGHTS)


def test_what_a_store_gives_masked_stays_masked() -> None:
    gone = np.zeros(WEIGHTS.shape, dtype=bool)
    gone[..., 100:, :] = True
    masked = np.ma.MaskedArray(np.where(gone, 9.97e36, WEIGHTS), mask=gone)
    assert np.ma.getmaskarray(to_numpy(view_of(Reads(masked))[:, 0].transpose((0, 1, 3, 2))))[0, 0, 0, 100:].all()
    for make in (headspec.visualize_attention_heads, lambda data: headspec.visualize_attention_matrix(data, 1, 2)):
        assert headspec.to_json(make(Reads(masked))) == headspec.to_json(make(masked))


def test_layers_of_a_group_are_read_too(tmp_path: Any) -> None:
    stored = kept_by_zarr(WEIGHTS, tmp_path)
    layers = {3: view_of(stored)[0], 5: view_of(stored)[1]}
    expected = headspec.calculate_entropy({3: WEIGHTS[0], 5: WEIGHTS[1]})
    found = headspec.calculate_entropy(layers)
    assert all(np.array_equal(found[layer], expected[layer]) for layer in (3, 5))


def test_no_chart_of_one_head_reads_another() -> None:
    store = Reads(WEIGHTS)
    headspec.visualize_attention_matrix(store, 1, 2, size=64)
    assert store.total == WEIGHTS[1, 0, 2].size


def test_large_layers_are_read_in_parts() -> None:
    size = 2_200
    store = Reads(np.broadcast_to(np.float32(1 / size), (1, 1, 2, size, size)))
    headspec.calculate_entropy(store)
    assert 0 < store.most <= 2**22 + size
    store.most = 0
    headspec.visualize_attention_heads(store)
    assert 0 < store.most <= 2**23 + size


def test_a_chunk_that_fails_is_named(tmp_path: Any) -> None:
    def broken(block_info: Any = None) -> np.ndarray:
        if block_info[None]["chunk-location"][-2] == 1:
            raise OSError("disk gone")
        return np.full((1, 1, 64, 128), 1 / 128, dtype=np.float32)

    chunked = dask.array.map_blocks(
        broken, chunks=((1,), (1,), (64, 64), (128,)), dtype=np.float32, meta=np.empty((0, 0, 0, 0), np.float32)
    )
    for make in (
        headspec.visualize_attention_matrix,
        headspec.visualize_attention_heads,
        headspec.visualize_head_explorer,
        headspec.calculate_entropy,
    ):
        with pytest.raises(DataError, match=r"could not be read.*OSError: disk gone") as caught:
            make(chunked)
        assert "host" not in str(caught.value)


@given(st.data())
def test_a_view_is_what_numpy_would_make_of_it(data: Any) -> None:
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    view: Any = StoredView(Reads(values))
    for _ in range(data.draw(st.integers(0, 3))):
        if values.ndim > 1 and data.draw(st.booleans()):
            order = data.draw(st.permutations(range(values.ndim)))
            values, view = values.transpose(order), view.transpose(order)
        part = st.integers(0, 1) | st.just(slice(None)) | st.builds(slice, st.integers(-3, 1), st.none())
        key = tuple(
            data.draw(part if size > 1 else st.just(0) | st.just(slice(None)))
            for size in values.shape[: data.draw(st.integers(0, values.ndim))]
        )
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(key)))
            key = (*key[:at], data.draw(st.sampled_from([None, Ellipsis])), *key[at:])
        values, view = values[key], view[key]
        if not values.ndim:
            break
    assert view.shape == values.shape
    assert view.ndim == values.ndim
    assert np.array_equal(np.asarray(view), values)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(stream: io.StringIO, seconds: float, steps: int = 10) -> str:
    now = [0.0]
    with Meter("attentions", 10 * steps, stream=stream, clock=lambda: now[0]) as meter:
        for _ in range(steps):
            now[0] += seconds / steps
            meter.add(10)
    return stream.getvalue()


def test_a_long_reading_says_how_far_it_is_and_leaves_a_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = said(Terminal(), 40)
    assert "attentions: 20 % read, 32 s left" in text
    assert text.endswith("\r")
    assert not text.split("\r")[-2].strip()
    monkeypatch.setenv(SILENT, "0")
    assert said(Terminal(), 40) == ""


def test_nothing_is_said_of_a_short_reading_or_to_a_file() -> None:
    assert said(Terminal(), 1.5) == ""
    assert said(io.StringIO(), 40) == ""
