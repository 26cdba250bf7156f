from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError
from headspec.reduce import sprites


def attention(heads: int, size: int, seed: int = 0, *, causal: bool = True) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(heads, size, size)) * 3
    if causal:
        logits[:, *np.triu_indices(size, 1)] = -np.inf
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def slowly(head: np.ndarray, size: tuple[int, int], how: str) -> np.ndarray:
    """Pool a matrix block by block, the plain way."""
    rows, columns = (-(-count // block) for count, block in zip(head.shape, size, strict=True))
    out = np.full((rows, columns), np.nan)
    for row in range(rows):
        for column in range(columns):
            block = head[row * size[0] : (row + 1) * size[0], column * size[1] : (column + 1) * size[1]].ravel()
            numbers = [float(value) for value in block if not math.isnan(value)]
            if how == "mean":
                numbers = [value for value in numbers if math.isfinite(value)]
            if numbers:
                out[row, column] = max(numbers) if how == "max" else sum(numbers) / len(numbers)
    return np.where(out == -np.inf, np.nan, out)


# --- pooling ---------------------------------------------------------------------------------------------------------------


@given(
    heads=st.integers(1, 3),
    queries=st.integers(1, 23),
    keys=st.integers(1, 23),
    side=st.integers(1, 25),
    how=st.sampled_from(["max", "mean", "both"]),
    holes=st.sampled_from([0.0, 0.2, 1.0]),
    read=st.sampled_from([7, 60, 2**23]),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_pooling_is_that_of_a_slow_loop_however_it_is_read(
    heads: int, queries: int, keys: int, side: int, how: Any, holes: float, read: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(heads, queries, keys)).astype(np.float32)
    where = rng.random(data.shape) < holes
    data[where] = rng.choice([np.nan, np.inf, -np.inf], size=int(where.sum()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sprites, "READ", read)
        found = sprites.pool_heads(data, side=side, how=how)
    assert max(found.values.shape[1:]) <= side
    assert found.size == (-(-queries // side), -(-keys // side))
    for head in range(heads):
        sheets = [(found.values, "mean" if how == "mean" else "max")] + [(found.means, "mean")] * (how == "both")
        for sheet, what in sheets:
            assert sheet is not None
            assert np.allclose(sheet[head], slowly(data[head], found.size, what), rtol=1e-5, atol=1e-6, equal_nan=True)
        finite = np.where(np.isfinite(data[head]), data[head], -np.inf)
        if np.isfinite(data[head]).any():
            assert found.best[head] == finite.max()
            assert finite[tuple(found.places[head])] == finite.max()
        else:
            assert np.isnan(found.best[head])
    finite_low = data[np.isfinite(data)].min(initial=np.inf)
    assert found.low == finite_low
    for kind, what in (("nan", np.isnan(data)), ("inf", data == np.inf), ("-inf", data == -np.inf)):
        assert found.counts[kind] == what.sum()


def test_the_strongest_key_of_every_row_is_visible() -> None:
    weights = np.full((2, 250, 250), 1e-4, dtype=np.float32)
    strongest = np.random.default_rng(0).integers(0, 250, (2, 250))
    for head in range(2):
        weights[head, np.arange(250), strongest[head]] = 0.9
    found = sprites.pool_heads(weights, side=24)
    high, wide = found.size
    for head in range(2):
        for row in range(250):
            assert found.values[head, row // high, strongest[head, row] // wide] == np.float32(0.9)


@given(
    size=st.integers(2, 40),
    side=st.integers(1, 40),
    read=st.sampled_from([30, 2**23]),
    seed=st.integers(0, 50),
    spoil=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_one_weight_on_a_later_key_is_enough_not_to_be_causal(
    size: int, side: int, read: int, seed: int, spoil: bool
) -> None:
    rng = np.random.default_rng(seed)
    weights = attention(3, size, seed)
    if spoil:
        query = int(rng.integers(0, size - 1))
        weights[rng.integers(0, 3), query, rng.integers(query + 1, size)] = rng.choice([1e-30, -0.5])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sprites, "READ", read)
        assert sprites.pool_heads(weights, side=side).causal is not spoil


@pytest.mark.parametrize("side", [3, 12])
def test_rows_of_nan_do_not_hide_that_heads_are_causal(side: int) -> None:
    weights = attention(2, 12)
    weights[0, 5] = np.nan
    assert sprites.pool_heads(weights, side=side).causal
    weights[1, 3, 4] = 0.25
    assert not sprites.pool_heads(weights, side=side).causal


def test_one_position_and_unequal_sides_are_not_called_causal() -> None:
    assert not sprites.pool_heads(np.ones((1, 1, 1)), side=5).causal
    assert not sprites.pool_heads(np.tril(np.ones((1, 4, 6))), side=5).causal


def test_masked_weights_are_left_out_and_counted_once() -> None:
    weights = attention(2, 8, causal=False)
    real = np.array([False] * 3 + [True] * 5)
    found = sprites.pool_heads(weights, side=8, mask=(real, real))
    assert np.isnan(found.values[:, :3]).all()
    assert np.isnan(found.values[:, :, :3]).all()
    assert found.counts == {"nan": 0, "inf": 0, "-inf": 0, "masked": 2 * (64 - 25)}
    inner = np.where(real[:, None] & real, weights, -np.inf)
    assert np.array_equal(found.best, inner.max((1, 2)).astype(np.float64))
    masked = np.ma.MaskedArray(weights, mask=np.broadcast_to(~(real[:, None] & real), weights.shape))
    assert sprites.pool_heads(masked, side=8).counts == found.counts
    hidden = sprites.masked_blocks((8, 8), (2, 2), (real, real))
    assert hidden is not None
    assert hidden.tolist() == [[row < 1 or column < 1 for column in range(4)] for row in range(4)]
    assert sprites.masked_blocks((8, 8), (2, 2), (None, None)) is None


def test_arrays_of_other_libraries_and_files_are_read(tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    weights = attention(3, 20)
    expected = sprites.pool_heads(weights, side=7)
    np.save(tmp_path / "a.npy", weights)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    for given_as in (torch.from_numpy(weights), mapped, weights.astype(np.float64), weights.tolist()):
        if isinstance(given_as, list):
            given_as = np.array(given_as)
        found = sprites.pool_heads(given_as, side=7)
        assert np.allclose(found.values, expected.values)
        assert found.places.tolist() == expected.places.tolist()
    half = sprites.pool_heads(torch.from_numpy(weights).bfloat16(), side=7)
    assert np.allclose(half.values, expected.values, atol=4e-3)


def test_a_chunk_that_fails_says_where() -> None:
    class Broken:
        shape = (2, 4, 4)
        dtype = np.dtype(np.float32)

        def __getitem__(self, key: Any) -> Any:
            raise OSError("chunk 3 is gone")

        def __array__(self, *_: Any, **__: Any) -> Any:
            raise OSError("chunk 3 is gone")

    with pytest.raises(DataError, match=r"attentions\[5\]\[0:2, 0:4\] could not be read.*chunk 3 is gone"):
        sprites.pool_heads(Broken(), side=4, name="attentions[5]")


# --- sizes and places ------------------------------------------------------------------------------------------------------


@given(positions=st.integers(1, 5000), side=st.integers(1, 600))
def test_positions_fit_a_side_in_whole_pixels(positions: int, side: int) -> None:
    found = sprites.fit(positions, side)
    assert found.side <= side
    assert found.block == 1 or found.pixels == 1
    assert (found.cells - 1) * found.block < positions <= found.cells * found.block
    assert found.pixels <= sprites.ENLARGED


@given(positions=st.integers(1, 5000), room=st.floats(1, 300))
def test_the_best_side_is_no_larger_than_a_quarter_more_than_the_room(positions: int, room: float) -> None:
    side = sprites.best_side(positions, room)
    assert 1 <= side <= max(1.25 * room, 1)
    assert sprites.fit(positions, side).side == side


def test_thumbnails_stand_on_their_places_with_clear_gaps() -> None:
    tiles = [(0, 0, np.arange(4, dtype=np.uint8).reshape(2, 2)), (1, 2, np.array([[7], [8], [9]], dtype=np.uint8))]
    sprite = sprites.assemble(tiles, (2, 3), side=6, step=8, around=255)
    assert sprite.shape == (16, 24)
    assert np.array_equal(sprite[1:7, 1:7], np.kron(np.arange(4).reshape(2, 2), np.ones((3, 3))))
    assert np.array_equal(sprite[9:15, 17:23], np.repeat([[7], [7], [8], [8], [9], [9]], 6, axis=1))
    assert (sprite == 255).sum() == 16 * 24 - 2 * 36


def test_blocks_above_the_diagonal_are_those_with_later_keys_only() -> None:
    for size, block in ((10, 1), (10, 3), (7, 7)):
        cells = -(-size // block)
        found = sprites.later_blocks((cells, cells), (block, block))
        for row in range(cells):
            for column in range(cells):
                pairs = [
                    (query, key)
                    for query in range(row * block, (row + 1) * block)
                    for key in range(column * block, (column + 1) * block)
                ]
                assert found[row, column] == all(key > query for query, key in pairs)
