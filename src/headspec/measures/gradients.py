"""Gradient norm of attention heads: how strongly the loss pulls at the weights of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.errors import DataError, KindError
from headspec.measures._projections import Family
from headspec.measures._slices import Heads, KeyValue, by_layer, head_norms, read_entries
from headspec.text import listing

PerHead: TypeAlias = "npt.NDArray[np.float64] | dict[int, npt.NDArray[np.float64]]"


def calculate_gradient_norms(
    parameters: Any,
    *,
    num_heads: Heads = None,
    stack: str | None = None,
    kv: KeyValue = "shared",
    biases: bool = False,
    patterns: Family | Sequence[Family] | None = None,
) -> PerHead:
    r"""Return how strongly the loss pulls at each head: the L2 norm of the gradient of the head's own weights.

    A head's own weights are its rows of the query, key and value projections and its columns of the output projection, which
    takes the heads side by side as its input:

    .. math:: \lVert g_h\rVert = \sqrt{\lVert\nabla W_Q^h\rVert^2 + \lVert\nabla W_K^h\rVert^2
              + \lVert\nabla W_V^h\rVert^2 + \lVert\nabla W_O^h\rVert^2}

    Parameters
    ----------
    parameters
        A model after ``loss.backward()``; its ``named_parameters()``; or a dict of name → parameter, gradient array or pair
        (weight, gradient). Known are the names of the models in common use: separate projections (Llama, BERT, T5, OPT, …),
        fused ones (GPT-2, whose matrices are transposed; GPT-NeoX, BLOOM and Falcon, whose rows go head by head; Phi-3, MPT,
        timm) and ``torch.nn.MultiheadAttention``.
    num_heads
        Query heads; a list or a dict ``{layer: heads}`` where layers differ. A model states it itself.
    stack
        Which stack of layers, where a model has several: a part of its name, ``"decoder"`` or ``"EncDecAttention"`` say.
    kv
        With grouped queries the keys and values belong to a group of heads: ``"shared"`` counts the group's gradient in full
        for each of its heads, ``"divided"`` in equal shares of its square, so that all heads together are the whole gradient,
        and ``"exclude"`` leaves keys and values out, in every model.
    biases
        Count the head's entries of the query, key and value biases too.
    patterns
        How the weights are called in another model, by role and after the path of the attention module:
        ``{"q": "wq.weight", "k": "wk.weight", "v": "wv.weight", "o": "wo.weight"}``. Fused ones are ``"qkv"`` (all queries, then
        all keys, then all values), ``"kv"`` and ``"qkv_by_head"``.

    Returns
    -------
    numpy.ndarray or dict
        Float64 ``[layer, head]``, as `visualize_gradient_norms` takes it; ``{layer: [head]}`` where layers have different numbers
        of heads or some have no attention. Layers are numbered as in the names; nested stages are numbered through. NaN where a
        layer lacks the gradient of one of its projections (frozen weights).

    Raises
    ------
    DataError, KindError
        No gradients, no known names, several stacks, heads that do not fit the shapes.

    Notes
    -----
    It is a norm of weight gradients: not the gradient of a gate (`calculate_head_importance`) nor of the head's output. Weights
    that layers share (ALBERT) are one layer. Gradients that a loss scaler multiplied must be unscaled first.

    Examples
    --------
    >>> import numpy as np, headspec
    >>> gradients = {f"layers.0.attn.{name}_proj.weight": np.ones((4, 4)) for name in "qkvo"}
    >>> headspec.calculate_gradient_norms(gradients, num_heads=2).round(3)
    array([[5.657, 5.657]])
    """
    if hasattr(parameters, "_metadata"):
        raise KindError(
            "parameters is a state_dict, which holds weights and no gradients; pass the model or model.named_parameters()"
        )
    entries = read_entries(parameters, _gradient)
    if all(value is None for value in entries.values.values()):
        raise DataError(
            "no parameter has a gradient: call loss.backward() first, and measure before optimizer.zero_grad()"
        )
    norms, lacking = head_norms(entries, num_heads=num_heads, stack=stack, kv=kv, biases=biases, patterns=patterns)
    if lacking and all(np.isnan(row).all() for row in norms.values()):
        raise DataError(
            f"no layer has the gradients of all its projections: {listing(lacking, limit=4)} have none; were they frozen "
            "(requires_grad=False)?"
        )
    return by_layer(norms)


def _gradient(entry: Any, of_model: bool) -> Any:
    """Return the gradient that an entry carries, or the entry where it is a gradient itself."""
    if isinstance(entry, tuple):
        if len(entry) != 2:
            raise KindError(f"parameters holds a tuple of {len(entry)}; expected (weight, gradient)")
        return entry[1]
    parameter = of_model or getattr(entry, "requires_grad", False)
    if parameter or any(kind.__name__ == "Parameter" for kind in type(entry).__mro__):
        return getattr(entry, "grad", None)
    return entry
