"""The table of heads: one row per layer, head and measure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from headspec.arrays import ArrayLike, parts, to_numpy
from headspec.axes import head_layers, pairs_of
from headspec.errors import DataError, KindError
from headspec.tables.events import events_table, state_at
from headspec.text import clean, head_name, head_names, listing

COLUMNS = ["layer", "head", "measure", "value", "kind", "state", "vulnerable"]
KINDS = ("value", "nan", "inf", "-inf", "masked", "zero")
"""What a cell holds. Only the first is on the colour scale; the last is for a chart whose scale has no zero."""
STATES = ("active", "pruned", "revived")

Pairs = Iterable[Sequence[int]] | Mapping[int, Iterable[int]] | None
"""(layer, head) pairs, or a dict of layer → heads."""


def heads_table(
    values: ArrayLike,
    *,
    measure: str = "value",
    axes: str | None = None,
    num_layers: int | None = None,
    num_heads: int | Sequence[int] | None = None,
    pruned_heads: Pairs = None,
    revived_heads: Pairs = None,
    vulnerable_heads: Pairs = None,
    head_mask: ArrayLike | None = None,
    events: Any = None,
    group: str | None = None,
    step: int | None = None,
    run: str | None = None,
    name: str = "values",
) -> pd.DataFrame:
    """Flatten a measure of heads into a long table: one row per layer and head.

    Parameters
    ----------
    values
        ``[layer, head]`` from any array library; a tuple, list or dict of vectors (layers may have different numbers
        of heads); a flat vector with `num_layers` and `num_heads`; one number; or a heads table, which is checked and
        completed. ``None`` and masked entries are kept as *masked*.
    measure
        What the values are, ``"entropy"`` say.
    axes
        The names of the axes where they are others than ``"layer head"``.
    num_layers, num_heads
        How a flat vector splits into layers; `num_heads` may list one count per layer.
    pruned_heads, revived_heads
        (layer, head) pairs. A head in both lists was pruned and is revived.
    vulnerable_heads
        (layer, head) pairs of heads that are close to being pruned: a flag beside the state.
    head_mask
        ``[layer, head]``, 1 where a head is kept and 0 where it is pruned.
    events
        Prune and revive events (see `events_table`); the latest of each head gives its state.
    group, step, run
        Constant columns, for tables that are put together from several.
    name
        The argument's name in error messages.

    Returns
    -------
    pandas.DataFrame
        Columns ``layer``, ``head`` (the model's own ids, from 0), ``measure``, ``value`` (NaN where it is not finite),
        ``kind`` (``value``, ``nan``, ``inf``, ``-inf`` or ``masked``), ``state`` (``active``, ``pruned`` or
        ``revived``), ``vulnerable``, and those of ``group``, ``step``, ``run`` that are given.

    Raises
    ------
    DataError
        Nothing to read, axes that are ambiguous, a flat vector without counts, pairs out of range.
    KindError
        Values that are not real numbers.

    Examples
    --------
    >>> import headspec
    >>> headspec.heads_table([[0.1, 0.9], [0.4, None]], pruned_heads=[(0, 1)])[["layer", "head", "value", "kind", "state"]]
       layer  head  value    kind   state
    0      0     0    0.1   value  active
    1      0     1    0.9   value  pruned
    2      1     0    0.4   value  active
    3      1     1    NaN  masked  active
    """
    if _is_frame(values):
        table = _read_frame(values, measure, name)
    else:
        rows = head_layers(values, axes=axes, num_layers=num_layers, num_heads=num_heads, name=name)
        table = _from_rows(rows, measure)
    sizes: dict[int, int] = {}  # heads per layer, as far as the ids say
    for layer, head in zip(table["layer"].tolist(), table["head"].tolist(), strict=True):
        sizes[layer] = max(sizes.get(layer, 0), head + 1)
    states = _states(sizes, pruned_heads, revived_heads, head_mask, events)
    if states:
        _assign(table, "state", states)
    vulnerable = pairs_of(vulnerable_heads, name="vulnerable_heads", shape=sizes)
    if vulnerable:
        _assign(table, "vulnerable", dict.fromkeys(vulnerable, True))
    for column, constant in (("group", group), ("step", step), ("run", run)):
        if constant is not None:
            table[column] = clean(constant) if isinstance(constant, str) else constant
    return table


def _from_rows(rows: list[tuple[int, Any]], measure: str) -> pd.DataFrame:
    pieces = [parts(row) for _, row in rows]
    values = np.concatenate([value for value, _ in pieces])
    masked = np.concatenate([mask for _, mask in pieces])
    return pd.DataFrame(
        {
            "layer": np.repeat([layer for layer, _ in rows], [len(value) for value, _ in pieces]).astype(np.int64),
            "head": np.concatenate([np.arange(len(value)) for value, _ in pieces]).astype(np.int64),
            "measure": clean(measure),
            "value": np.where(np.isfinite(values) & ~masked, values, np.nan),
            "kind": kinds(values, masked),
            "state": "active",
            "vulnerable": False,
        }
    )


def kinds(values: np.ndarray[Any, Any], masked: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what each cell holds: one of `KINDS`."""
    out = np.full(values.shape, "value", dtype=object)
    out[np.isnan(values)] = "nan"
    out[values == np.inf] = "inf"
    out[values == -np.inf] = "-inf"
    out[masked] = "masked"
    return out


def _is_frame(values: Any) -> bool:
    return hasattr(type(values), "columns")  # of pandas, Polars, PyArrow, DuckDB, … alike


def _read_frame(frame: Any, measure: str, name: str) -> pd.DataFrame:
    data = nw.from_native(frame)
    if isinstance(data, nw.LazyFrame):
        data = data.collect()
    table = data.to_pandas()
    if not {"layer", "head"} <= set(table.columns):
        if all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes):
            return _from_rows(head_layers(table.to_numpy(), name=name), measure)
        raise DataError(f"{name} has the columns {listing(table.columns)}; a heads table needs layer, head and value")
    if "value" not in table.columns:
        raise DataError(f"{name} lacks the column 'value'; it has {listing(table.columns)}")
    table = table.reset_index(drop=True)
    for column in ("layer", "head"):
        ids = pd.to_numeric(table[column], errors="coerce")
        if ids.isna().any() or (ids % 1 != 0).any() or (ids < 0).any():
            raise DataError(f"{name}[{column!r}] holds values that are not ids (0, 1, 2, …)")
        table[column] = ids.astype(np.int64)
    if table.empty:
        raise DataError(f"{name} is empty: a heads table without rows")
    values, masked = parts(to_numpy(table["value"].to_numpy(), name=f"{name}['value']"))
    given = table["kind"].to_numpy() if "kind" in table.columns else None
    unknown = sorted(set(given) - set(KINDS)) if given is not None else []
    if unknown:
        raise DataError(f"{name}['kind'] holds {listing(unknown)}; known are {listing(KINDS)}")
    found = kinds(values, masked)
    table["kind"] = (
        found
        if given is None
        else np.where(np.isfinite(values) & (given == "value"), "value", np.where(given == "value", found, given))
    )
    table["value"] = np.where(table["kind"] == "value", values, np.nan)
    defaults: dict[str, Any] = {"measure": clean(measure), "state": "active", "vulnerable": False}
    for column, default in defaults.items():
        if column not in table.columns:
            table[column] = default
    wrong = sorted(set(table["state"]) - set(STATES))
    if wrong:
        raise DataError(f"{name}['state'] holds {listing(wrong)}; known are {listing(STATES)}")
    extra = [column for column in ("group", "kv_group", "step", "run") if column in table.columns]
    for column in ("measure", "group", "run"):
        if column in table.columns:
            table[column] = [clean(item) for item in table[column]]
    key = ["layer", "head", "measure", *(column for column in extra if column != "kv_group")]
    twice = table.duplicated(key)
    if twice.any():
        pairs = list(table.loc[twice, ["layer", "head"]].itertuples(index=False, name=None))
        raise DataError(f"{name} gives {head_names(pairs)} more than once; select one measure, group and step")
    return pd.DataFrame(table[COLUMNS + extra])


def _states(
    sizes: Mapping[int, int], pruned: Pairs, revived: Pairs, head_mask: ArrayLike | None, events: Any
) -> dict[tuple[int, int], str]:
    states: dict[tuple[int, int], str] = {}
    if events is not None:
        states.update(state_at(events_table(events, shape=sizes)))
    if head_mask is not None:
        states.update(_masked_heads(head_mask, sizes, states))
    states.update(dict.fromkeys(pairs_of(pruned, name="pruned_heads", shape=sizes), "pruned"))
    states.update(dict.fromkeys(pairs_of(revived, name="revived_heads", shape=sizes), "revived"))
    return states


def _masked_heads(
    head_mask: ArrayLike, sizes: Mapping[int, int], known: Mapping[tuple[int, int], str]
) -> dict[tuple[int, int], str]:
    rows = head_layers(head_mask, name="head_mask")
    if {layer: len(row) for layer, row in rows} != dict(sizes):
        raise DataError(
            f"head_mask covers {sum(len(row) for _, row in rows)} heads in {len(rows)} layers, the values "
            f"{sum(sizes.values())} in {len(sizes)}; expected the same layers and heads"
        )
    out: dict[tuple[int, int], str] = {}
    for layer, row in rows:
        kept, _ = parts(row)
        if not np.isin(kept, (0.0, 1.0)).all():
            raise KindError("head_mask holds other values than 0 (pruned) and 1 (kept)")
        for head, keep in enumerate(kept):
            if not keep:
                out[layer, head] = "pruned"
            elif known.get((layer, head)) == "pruned":
                out[layer, head] = "revived"  # pruned by an event, kept by the mask
    return out


def _assign(table: pd.DataFrame, column: str, values: Mapping[tuple[int, int], Any]) -> None:
    found = [values.get(pair) for pair in zip(table["layer"].tolist(), table["head"].tolist(), strict=True)]
    old = table[column].tolist()
    table[column] = [before if new is None else new for new, before in zip(found, old, strict=True)]


def those_of(column: pd.Series[Any], names: Sequence[str]) -> list[str]:
    """Return the names that occur in a column of text; comparing it with each of them would take several times as long."""
    found = set(column.tolist())
    return [name for name in names if name in found]


def by_state(table: pd.DataFrame) -> dict[str, list[tuple[int, int]]]:
    """Return the (layer, head) pairs that are pruned, that are revived, and that have the flag ``"vulnerable"``."""
    found: dict[str, dict[tuple[int, int], None]] = {"pruned": {}, "revived": {}, "vulnerable": {}}
    columns = (table[name].tolist() for name in ("layer", "head", "state", "vulnerable"))
    for layer, head, state, vulnerable in zip(*columns, strict=True):
        if state != "active":
            found[state][layer, head] = None
        if vulnerable:
            found["vulnerable"][layer, head] = None
    return {state: list(pairs) for state, pairs in found.items()}


def one_each(table: pd.DataFrame, name: str = "the table", *, groups: bool = False) -> None:
    """Refuse a table with several values of a head where a chart has one place for it, or one in each of the `groups`."""
    by = ["layer", "head", *(["group"] if groups and "group" in table.columns else [])]
    times = Counter(zip(*(table[column].tolist() for column in by), strict=True))
    if len(times) == len(table):
        return
    (layer, head, *_), _ = times.most_common(1)[0]
    several = [
        f"{column}s"
        for column in ("measure", "step", "run", "group")
        if column in table.columns and column not in by and table[column].nunique() > 1
    ]
    raise DataError(
        f"{name} gives {head_name(layer, head)} more than once, for several {listing(several, last='or')}; select one"
    )
