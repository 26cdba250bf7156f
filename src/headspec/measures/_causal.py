"""Whether attention only looks back: read from the weights themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headspec.arrays import NumpyArray
from headspec.axes import Layer
from headspec.errors import DataError
from headspec.measures._blocks import blocks_of
from headspec.measures._visible import Bools, Masks, check_masks, real_queries
from headspec.text import count, head_name


def attends_back(layers: Sequence[Layer], masks: Masks, name: str = "attentions") -> bool:
    """Tell whether no real query of any layer and head has weight on a key after its own.

    One weight above the diagonal that is not exactly zero is enough for no. Rows that are uniform over all keys while
    others only look back are what the padding of a decoder leaves, and an error: they would hide the causal mask.
    """
    back, uniform = False, 0
    where = ""
    for layer in layers:
        shape = tuple(int(size) for size in layer.array.shape)
        batch, _, queries, keys = shape
        check_masks(shape, masks, f"{name} of layer {layer.id}")
        if queries > keys:
            return False
        real = real_queries(shape, masks, causal=True)
        for b in range(batch):
            for h, q, block in blocks_of(layer.array, b, name):
                ahead = _looks_ahead(block, q, keys - queries) & real[b, q]
                if not back:  # the last query has no later key, and tells nothing
                    tells = real[b, q] & (np.arange(q.start, q.stop) < queries - 1)
                    back = bool(((block > 0).any(axis=-1) & tells & ~ahead).any())
                if not ahead.any():
                    continue
                rows = block[ahead]
                if (rows.max(axis=-1) != rows.min(axis=-1)).any():
                    return False
                head, query = (int(place[0]) for place in np.nonzero(ahead))
                where = where or f"{head_name(layer.id, h.start + head)}, query {q.start + query} of sequence {b}"
                uniform += len(rows)
    if uniform and back:
        raise DataError(
            f"{name} has {count(uniform, 'row')} ({where}) that are uniform over all keys, future ones too, while the others only look "
            "back: a decoder leaves such rows where it was padded. Give attention_mask= as the tokenizer returned it, or causal=False "
            "if no token is padding"
        )
    return back and not uniform


def _looks_ahead(block: NumpyArray, q: slice, offset: int) -> Bools:
    """Return which rows ``[head, query]`` have weight after their own key."""
    start, stop = q.start + offset + 1, q.stop + offset
    corner = block[..., start:stop] > 0  # NaN is not
    corner &= np.arange(start, start + corner.shape[-1]) > (np.arange(q.start, q.stop) + offset)[:, None]
    return np.asarray(corner.any(axis=-1) | (block[..., stop:] > 0).any(axis=-1))
