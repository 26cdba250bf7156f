"""Importance of attention heads: how much would be lost without each, by estimates that are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from headspec.arrays import ArrayLike, NumpyArray, is_array, parts, shape_of, to_numpy
from headspec.axes import arrange
from headspec.errors import DataError, KindError
from headspec.measures._slices import by_layer, head_norms, read_entries
from headspec.measures.entropy import Method as Average
from headspec.measures.entropy import calculate_normalized_entropy
from headspec.text import listing

Method: TypeAlias = Literal["gate_gradient", "gate_gradient_squared", "magnitude", "entropy"]
Floats: TypeAlias = npt.NDArray[np.float64]
PerHead: TypeAlias = "Floats | dict[int, Floats]"

_OPTIONS = {
    "gate_gradient": ("axes", "per_example"),
    "gate_gradient_squared": ("axes", "per_example"),
    "magnitude": ("num_heads", "stack", "kv", "biases", "patterns"),
    "entropy": (
        *("attention_mask", "query_mask", "causal", "window", "rows", "tolerance", "batch_idx", "axes"),
        "average",
    ),
}
"""What each method can be told."""


def calculate_head_importance(
    values: Any,
    *,
    method: Method = "gate_gradient",
    per_layer: bool = False,
    min_max: bool = False,
    **options: Any,
) -> PerHead:
    r"""Return how important each head is, by one of four estimates; larger is more important in all of them.

    They measure different things on different scales: compare the ranks of heads, not the values, between methods.

    Parameters
    ----------
    values
        What the method reads; see there.
    method
        ``"gate_gradient"``: :math:`\mathbb{E}_x\,|\partial L(x)/\partial\xi_h|` for a gate :math:`\xi_h = 1` that multiplies the
        head's output. `values` are the gradients ``[example, layer, head]``, one per example; or layers ``[example, head]`` as a
        tuple, list or dict. The absolute value belongs inside the mean: gradients that were summed over a batch first cancel,
        and the result then depends on the batch size. Where only those exist, ``per_example=False`` takes ``[layer, head]`` (or
        layers ``[head]``) as they are.

        ``"gate_gradient_squared"``: :math:`\mathbb{E}_x(\partial L(x)/\partial\xi_h)^2` of the same gradients, the diagonal of
        the empirical Fisher information.

        ``"magnitude"``: the L2 norm of the head's own weights, with the slices of `calculate_gradient_norms`. `values` are a
        model, its ``named_parameters()`` or a state_dict; options are ``num_heads``, ``stack``, ``kv``, ``biases`` and
        ``patterns``. It looks at no data, and ranks heads badly.

        ``"entropy"``: one minus the normalised entropy: the more a head concentrates, the more important it is taken to be.
        `values` are attentions, options those of `calculate_normalized_entropy` (its ``method`` is called ``average`` here).
        A heuristic: heads that attend to nothing but the first token concentrate too.
    per_layer
        Divide each layer by its L2 norm over heads.
    min_max
        Then bring all heads to 0 (least) … 1 (most). Where all are equal, all are 0.
    **options
        What the method needs; see there. For gradients also ``axes``, ``"layer head example"`` say: a list of arrays is layers, as
        everywhere, and where it is examples ``axes="example layer head"`` says so.

    Returns
    -------
    numpy.ndarray or dict
        Float64 ``[layer, head]``, as `visualize_head_importance` takes it; ``{layer: [head]}`` where layers differ or came as a
        dict. NaN where an example's gradient is NaN, and where a head has no weights or no entropy.

    Raises
    ------
    DataError, KindError
        A method or option that is unknown, gradients without an axis of examples, and what the measures themselves refuse.

    Notes
    -----
    The gate gradient is that of Michel, Levy and Neubig (2019), "Are sixteen heads really better than one?", who also divide by
    the norm of each layer, after Molchanov et al. (2017); its square follows Molchanov et al. (2019), "Importance estimation for
    neural network pruning". That heads which concentrate are the ones to keep is an observation of Voita et al. (2019),
    "Analyzing multi-head self-attention".

    Examples
    --------
    >>> import numpy as np, headspec
    >>> gradients = np.array([[[1.0, -2.0]], [[-1.0, -2.0]]])  # two examples, one layer, two heads
    >>> headspec.calculate_head_importance(gradients)
    array([[1., 2.]])
    >>> headspec.calculate_head_importance(gradients.mean(axis=0), per_example=False)  # the first head has cancelled
    array([[0., 2.]])
    """
    if method not in _OPTIONS:
        raise DataError(f"method={method!r} is unknown; expected {listing(map(repr, _OPTIONS), last='or')}")
    unknown = [name for name in options if name not in _OPTIONS[method]]
    if unknown:
        raise KindError(
            f"method={method!r} has no option {listing(map(repr, unknown))}; it has {listing(_OPTIONS[method], limit=10)}"
        )
    if method == "magnitude":
        found = _magnitude(values, **options)
    elif method == "entropy":
        found = _concentration(values, **options)
    else:
        found = _from_gates(values, 1 if method == "gate_gradient" else 2, **options)
    scores = dict(enumerate(found)) if isinstance(found, np.ndarray) else found
    if per_layer:
        scores = {layer: _unit(row) for layer, row in scores.items()}
    if min_max:
        scores = _from_zero_to_one(scores)
    return np.stack(list(scores.values())) if isinstance(found, np.ndarray) else scores


def _from_gates(values: ArrayLike, power: int, *, axes: str | None = None, per_example: bool = True) -> PerHead:
    """Return the mean over examples of |gradient| to a power."""
    want = ["example", "layer", "head"] if per_example else ["layer", "head"]
    layers = _layers(values) if axes is None else None
    if layers is None:
        array = to_numpy(values, name="values")
        if axes is not None:
            array = _arranged(array, axes, want)
        elif array.ndim != len(want):
            raise DataError(_shape_advice(array.shape, per_example))
        return _mean_size(array, power, per_example)
    found = {}
    for layer, item in layers.items():
        array = to_numpy(item, name=f"values[{layer}]")
        if array.ndim != len(want) - 1:
            raise DataError(
                f"values[{layer}] has shape {array.shape}; expected {'[example, head]' if per_example else '[head]'} for each layer. "
                "A list of arrays is layers; where it is examples say axes='example layer head'"
            )
        found[layer] = _mean_size(array, power, per_example)
    return found if isinstance(values, Mapping) else by_layer(found)


def _mean_size(array: NumpyArray, power: int, per_example: bool) -> Floats:
    if array.size == 0:
        raise DataError(f"values is empty: shape {array.shape}; expected at least one example and one head")
    gradients, absent = parts(array)
    size = np.where(absent, 0.0, np.abs(gradients) ** power)
    if not per_example:
        return np.where(absent, np.nan, size)
    measured = (~absent).sum(axis=0)
    mean: Floats = np.divide(size.sum(axis=0), measured, out=np.full(measured.shape, np.nan), where=measured > 0)
    return mean


def _layers(values: Any) -> dict[int, Any] | None:
    if isinstance(values, Mapping):
        if not values or not all(str(key).isdecimal() for key in values):
            raise DataError("values is a dict; expected {layer: gradients [example, head]}")
        return {int(key): item for key, item in values.items()}
    if isinstance(values, (list, tuple)) and any(is_array(item) and len(shape_of(item)) for item in values):
        return dict(enumerate(values))
    return None


def _arranged(array: NumpyArray, axes: str, want: list[str]) -> NumpyArray:
    # the axis rule knows no examples: they are its batch
    names = axes.replace(",", " ").replace("example", "batch")
    wanted = [name.replace("example", "batch") for name in want]
    return np.ma.asarray(arrange(array, names, wanted, name="values"))


def _shape_advice(shape: tuple[int, ...], per_example: bool) -> str:
    if per_example and len(shape) == 2:
        return (
            f"values has shape {shape}; expected one gradient per example: [example, layer, head]. The absolute value belongs inside "
            "the mean over examples, so a gradient of a whole batch is another measure; per_example=False takes it as it is"
        )
    want = "[example, layer, head]" if per_example else "[layer, head]"
    return f"values has shape {shape}; expected {want}, or say which the axes are: axes='layer head example'"


def _magnitude(values: Any, **options: Any) -> PerHead:
    settings = {"num_heads": None, "stack": None, "kv": "shared", "biases": False, "patterns": None, **options}
    norms, _ = head_norms(read_entries(values, _weight, "values"), **settings)
    return by_layer(norms)


def _weight(entry: Any, _of_model: bool) -> Any:
    return entry[0] if isinstance(entry, tuple) else entry


def _concentration(values: ArrayLike, *, average: Average = "mean_of_ratios", **options: Any) -> PerHead:
    found = calculate_normalized_entropy(values, method=average, **options)
    return {layer: 1.0 - row for layer, row in found.items()} if isinstance(found, dict) else 1.0 - found


def _unit(row: Floats) -> Floats:
    """Return a layer divided by its norm; a layer of zeros stays so."""
    norm = float(np.sqrt(np.nansum(row**2)))
    return row / norm if norm > 0 else row


def _from_zero_to_one(scores: dict[int, Floats]) -> dict[int, Floats]:
    every = np.concatenate(list(scores.values()))
    finite = every[np.isfinite(every)]
    if not finite.size:
        return scores
    low, high = float(finite.min()), float(finite.max())
    span = high - low if high > low else 1.0
    return {layer: (row - low) / span for layer, row in scores.items()}
