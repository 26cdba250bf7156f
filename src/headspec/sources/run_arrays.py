"""What the arrays of a run are: measures of heads, measures over steps, scores of strategies, attention, masks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headspec.text import clean, listing

Origin = Literal["arrays", "table", "recording"]
"""What kind of file values of heads are from."""

MOST_LAYERS, MOST_HEADS = 256, 512
"""Layers and heads of the largest models, with room: a larger matrix holds something else."""
_SCORES = re.compile(r"importance|score|magnitude|effect|taylor|fisher|ablation", re.I)
_ATTENTION = re.compile(r"att", re.I)


@dataclass(frozen=True)
class HeadMap:
    """One value per layer and head."""

    measure: str
    file: str
    key: str
    values: npt.NDArray[Any]
    title: str = ""
    step: float | None = None
    """The last step of a measure over steps, where these are its values."""
    place: int = -1
    """Which of the steps in the file that is."""
    origin: Origin = "arrays"
    rows: Any = None
    """The rows of a heads table, where it is from one: these also know absent and masked heads."""
    of: str = ""
    """The run that it is of, in a table of several."""
    whole_file: bool = False
    """Whether its step has a file of its own."""

    @property
    def kind(self) -> str:
        """Return what family of measures it is of."""
        return kind_of_measure(self.measure)


@dataclass(frozen=True)
class HeadSteps:
    """One value per step, layer and head."""

    measure: str
    file: str
    key: str
    steps_key: str
    steps: npt.NDArray[Any]
    values: npt.NDArray[Any]
    title: str = ""
    files: tuple[str, ...] = ()
    """The files of the steps, where each has one of its own."""
    origin: Origin = "arrays"
    rows: Any = None
    """The rows of a heads table with a column ``step``, where it is from one."""
    of: str = ""
    """The run that it is of, in a table of several."""

    @property
    def kind(self) -> str:
        """Return what family of measures it is of."""
        return kind_of_measure(self.measure)

    @property
    def last(self) -> HeadMap:
        """Return the values at the last step."""
        return self.at(-1)

    def at(self, place: int) -> HeadMap:
        """Return the values at one of the steps."""
        step = self.steps[place].item()
        return HeadMap(
            self.measure,
            self.files[place] if self.files else self.file,
            self.key,
            self.values[place],
            self.title,
            step,
            place,
            self.origin,
            None if self.rows is None else self.rows[self.rows["step"] == step],
            self.of,
            bool(self.files),
        )

    @property
    def said(self) -> str:
        """Return in words what it is."""
        return f"{self.measure} of {self.values.shape[1]} layers × {self.values.shape[2]} heads at {len(self.steps):,} steps"


@dataclass(frozen=True)
class Scores:
    """Scores of several strategies, one value per layer and head each."""

    file: str
    values: dict[str, npt.NDArray[Any]]
    title: str = ""


@dataclass(frozen=True)
class Attention:
    """Attention weights, and how they lie in their file.

    `form` is ``"layers"`` [layer, head, query, key], ``"stack"`` [layer, batch, head, query, key], ``"batch"`` (one layer
    [batch, head, query, key]), ``"head"`` (one layer [head, query, key]), ``"matrix"`` [query, key] or ``"keys"``, an array
    per layer.
    """

    name: str
    file: str
    keys: tuple[str, ...]
    form: str
    arrays: tuple[Any, ...]
    layer_ids: tuple[int, ...] = ()
    batch: int = 0
    mask_key: str = ""
    mask: npt.NDArray[Any] | None = None
    tokens: tuple[str, ...] = ()
    tokens_from: str = ""
    title: str = ""

    @property
    def layers(self) -> Any:
        """Return the attention as the charts take it."""
        first = self.arrays[0]
        if self.form == "keys":
            return {
                layer: array if array.ndim == 4 else array[None]
                for layer, array in zip(self.layer_ids, self.arrays, strict=True)
            }
        if self.form == "layers":
            return tuple(first[:, None])
        if self.form == "stack":
            return tuple(first)
        return (first[(None,) * (4 - first.ndim)],)

    @property
    def sequences(self) -> int:
        """Return how many sequences the batch has."""
        first = self.arrays[0]
        return int({"stack": first.shape[1] if first.ndim == 5 else 1, "batch": first.shape[0]}.get(
            self.form, first.shape[0] if self.form == "keys" and first.ndim == 4 else 1
        ))  # fmt: skip

    @property
    def size(self) -> int:
        """Return how many keys there are."""
        return int(self.arrays[0].shape[-1])


def kind_of_measure(name: str) -> str:
    """Return the family of a measure by its name: entropy, normalized_entropy, gradient, importance, gate or other."""
    low = name.lower()
    if "entropy" in low:
        return "normalized_entropy" if "norm" in low.replace("entropy", "") else "entropy"
    if "grad" in low:
        return "gradient"
    if _SCORES.search(low):
        return "importance"
    return "gate" if re.search(r"gate|mask", low) else "other"


@dataclass
class Found:
    """What a file of arrays holds, and what of it is not understood."""

    maps: list[HeadMap] = field(default_factory=list)
    steps: list[HeadSteps] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    attention: list[Attention] = field(default_factory=list)
    open: list[tuple[str, Any]] = field(default_factory=list)
    """Attention [?, head, query, key] whose first axis is decided by what the rest of the run has."""
    tokens: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    """Reason → the arrays that it is true of."""

    def leave(self, key: str, reason: str) -> None:
        """Note an array that is not used."""
        self.left.setdefault(reason, []).append(key)

    def reasons(self) -> str:
        """Return why arrays are not used, in one sentence."""
        return "; ".join(f"{listing(keys, limit=4)}: {reason}" for reason, keys in self.left.items())


def recognise(file: str, arrays: Mapping[str, Any], *, role: str = "", measure: str = "", title: str = "") -> Found:
    """Say what each array of a file is, by its shape, its values and its name."""
    found = Found()
    usable = {key: value for key, value in arrays.items() if _is_usable(found, key, value)}
    masks = [key for key, value in usable.items() if value.ndim == 2 and "attention_mask" in key.lower()]
    steps_key = next((key for key in usable if usable[key].ndim == 1 and re.search(r"step|iter|epoch", key, re.I)), "")
    stem = file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    per_layer = _per_layer(usable)
    for name, group in per_layer.items():
        keys = tuple(group.values())
        found.attention.append(
            Attention(name or stem, file, keys, "keys", tuple(usable[key] for key in keys), tuple(group), title=title)
        )
    taken = {key for group in per_layer.values() for key in group.values()} | {steps_key, *masks}
    for key, array in usable.items():
        if key in taken:
            continue
        name = measure or (key if len(usable) > 1 or key != stem else stem)
        if role == "attention" or (
            not role and array.ndim >= 2 and is_attention(array, key if len(usable) > 1 else stem)
        ):
            _attention(found, file, key, array, usable, masks, title)
        else:
            _measure(found, file, key, name, array, usable.get(steps_key), steps_key, role, title)
    if role == "importance" or (not role and re.search(r"importance|score", stem, re.I)):
        _as_scores(found, file, title)
    _say(found)
    return found


def _is_usable(found: Found, key: str, value: Any) -> bool:
    if isinstance(value, list):
        return False
    array = np.asanyarray(value)
    if array.dtype.kind in "US" and array.ndim == 1:
        found.tokens[key] = [str(item) for item in array]
        return False
    if array.dtype.kind not in "fiub" or not array.size:
        found.leave(key, "it is empty" if not array.size else f"it holds {array.dtype}, no numbers")
        return False
    if re.search(r"(^|\.)(weight|bias)$|running_(mean|var)$", key):
        found.leave(key, "parameters of the model, no measure of heads")
        return False
    return True


def is_attention(array: Any, name: str) -> bool:
    """Tell whether the last two axes hold attention: shares of one over the keys, by row."""
    if array.ndim < (2 if _ATTENTION.search(name) else 3) or array.dtype.kind != "f":
        return False
    if array.ndim == 2 and array.shape[0] != array.shape[1]:
        return False
    flat = (0,) * (array.ndim - 2)
    sums = np.asarray(array[flat], dtype=np.float64).sum(axis=-1)
    rows = sums[np.isfinite(sums) & (sums != 0)]  # masked rows are NaN or zero
    return bool(rows.size) and bool((np.abs(rows - 1) < 0.02).all()) and float(np.nanmin(array[flat])) >= 0


def _per_layer(arrays: Mapping[str, Any]) -> dict[str, dict[int, str]]:
    """Return the attention that is kept as one array per layer: name → layer → key."""
    groups: dict[str, dict[int, str]] = {}
    for key, array in arrays.items():
        parts = re.fullmatch(r"(.*?)(\d+)(\D*)", key)
        if parts and array.ndim in (3, 4) and is_attention(array, key):
            name = re.sub(r"\W+|_+", " ", parts[1] + parts[3]).strip()
            name = re.sub(r"^(layers?|attentions?|attn)$", "", name, flags=re.I)  # says nothing that the file does not
            groups.setdefault(name, {})[int(parts[2])] = key
    return {name: dict(sorted(group.items())) for name, group in groups.items() if len(group) > 1}


def _attention(
    found: Found, file: str, key: str, array: Any, arrays: Mapping[str, Any], masks: Iterable[str], title: str
) -> None:
    form = {2: "matrix", 3: "head", 5: "stack"}.get(array.ndim, "")
    stem = file.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    name = stem if key in ("attention", "attentions", "attn", stem) else f"{stem} {key}"
    if array.ndim == 4:
        found.open.append((key, array))
    elif not form:
        found.leave(key, f"attention with {array.ndim} axes; a report reads 2 to 5")
    else:
        batch = array.shape[1] if form == "stack" else 1
        mask = next((item for item in masks if arrays[item].shape == (batch, array.shape[-1])), "")
        found.attention.append(
            Attention(name, file, (key,), form, (array,), mask_key=mask, mask=arrays.get(mask), title=title)
        )


def _measure(
    found: Found, file: str, key: str, name: str, array: Any, steps: Any, steps_key: str, role: str, title: str
) -> None:
    grid: tuple[int, ...] = array.shape[-2:]
    if array.ndim < 2:
        found.leave(key, "one value each, without layers and heads")
    elif grid[0] > MOST_LAYERS or grid[1] > MOST_HEADS:
        found.leave(key, f"{' × '.join(map(str, array.shape))} is more than layers and heads")
    elif array.ndim == 2:
        found.maps.append(HeadMap(name, file, key, np.asarray(array), title))
    elif array.ndim == 3 and ((steps is not None and len(steps) == len(array)) or role == "steps"):
        known = steps is not None and len(steps) == len(array)
        at = np.asarray(steps) if known else np.arange(len(array))
        found.steps.append(HeadSteps(name, file, key, steps_key if known else "", at, np.asarray(array), title))
    elif array.ndim == 3:
        found.leave(
            key, 'three axes and no array "steps" beside it; role = "steps" in headspec.toml counts them from 0'
        )
    else:
        found.leave(key, f"{array.ndim} axes, and no attention: its rows do not sum to one")


def _as_scores(found: Found, file: str, title: str) -> None:
    shapes = {item.values.shape for item in found.maps}
    if len(shapes) == 1 and not found.steps:
        found.scores.append(Scores(file, {item.key: item.values for item in found.maps}, title))
        found.maps.clear()


def _say(found: Found) -> None:
    for item in found.maps:
        found.said.append(f"{clean(item.measure)} of {item.values.shape[0]} layers × {item.values.shape[1]} heads")
    if found.steps:
        names = listing([item.measure for item in found.steps])
        first = found.steps[0].values.shape
        found.said.append(f"{names} of {first[1]} layers × {first[2]} heads at {first[0]:,} steps")
    for score in found.scores:
        found.said.append(f"importance by {listing(score.values)}")
    for attention in found.attention:
        found.said.append(said_of(attention))


def said_of(attention: Attention) -> str:
    """Say what some attention is."""
    shape = " × ".join(map(str, attention.arrays[0].shape))
    axes = {
        "layers": "layer, head, query, key",
        "stack": "layer, batch, head, query, key",
        "batch": "one layer: batch, head, query, key",
        "head": "one layer: head, query, key",
        "matrix": "query, key",
        "keys": f"{len(attention.arrays)} layers of",
    }[attention.form]
    return f"attention ({axes} {shape})" if attention.form == "keys" else f"attention ({axes}: {shape})"
