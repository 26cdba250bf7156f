"""The table of prune and revive events, and what follows from it: the state of each head, the counts per step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from headspec.arrays import is_array, kind_of
from headspec.axes import pairs_of
from headspec.errors import DataError, KindError
from headspec.tables.history import read_history
from headspec.tables.history_cells import HEAD_COUNTS, is_frame, steps_of
from headspec.text import clean, listing

COLUMNS = ["step", "layer", "head", "event"]
EVENTS = ("pruned", "revived")
_FORMS = (
    "(step, layer, head, event) tuples, dicts or a dataframe with these four, or a history whose pruned_heads and "
    "revived_heads list (layer, head) pairs"
)

_Columns = tuple[Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Any]]
State = dict[tuple[int, int], str]


def events_table(events: Any, *, step: str = "step", shape: Mapping[int, int] | None = None) -> pd.DataFrame:
    """Read prune and revive events into a long table: one row per step, head and event.

    Parameters
    ----------
    events
        Tuples ``(step, layer, head, event)``; dicts or a dataframe (of any library that Narwhals knows) with these
        four; or the history of one run (see `history_table`) whose ``pruned_heads`` and ``revived_heads`` list
        (layer, head) pairs. The events are ``"pruned"`` and ``"revived"``.
    step
        The name of the column that holds the step.
    shape
        Heads per layer, ``{0: 12, 1: 12}``; an event of another head is an error.

    Returns
    -------
    pandas.DataFrame
        ``step``, ``layer``, ``head`` (the model's own ids, from 0) and ``event``, by step; events of one step stay in
        the order given, and an event listed twice counts once. In a history, a head that one row lists as pruned and as
        revived was pruned first.

    Raises
    ------
    DataError
        A column that is missing, an unknown event, ids that are not whole numbers from 0, heads out of range, a
        history that only counts heads.
    KindError
        Events of another kind.

    Examples
    --------
    >>> import headspec
    >>> headspec.events_table([(20, 1, 3, "revived"), (10, 0, 2, "pruned"), (10, 1, 3, "pruned")])
       step  layer  head    event
    0    10      0     2   pruned
    1    10      1     3   pruned
    2    20      1     3  revived
    """
    columns = _read(events, step)
    steps = steps_of(list(columns[0]), step, of="events") if len(columns[0]) else np.zeros(0, dtype=np.int64)
    layers, heads = (_ids(cells, name) for cells, name in zip(columns[1:3], ("layer", "head"), strict=True))
    names = [_event(name, place) for place, name in enumerate(columns[3])]
    if shape is not None:
        pairs_of(zip(layers.tolist(), heads.tolist(), strict=True), name="events", shape=shape)
    table = pd.DataFrame({"step": steps, "layer": layers, "head": heads, "event": np.asarray(names, dtype=object)})
    table["event"] = table["event"].astype("str")
    return table.drop_duplicates().sort_values("step", kind="stable").reset_index(drop=True)


def state_at(events: pd.DataFrame, step: float | None = None) -> State:
    """Return the state of each head that has had an event: its latest one, up to and including a step.

    Parameters
    ----------
    events
        What `events_table` returns.
    step
        None is the end.

    Returns
    -------
    dict
        ``{(layer, head): "pruned" or "revived"}``; a head that is not in it is active and never was pruned.

    Examples
    --------
    >>> events = events_table([(10, 0, 2, "pruned"), (10, 1, 3, "pruned"), (20, 1, 3, "revived")])
    >>> state_at(events), state_at(events, step=10)[1, 3]
    ({(0, 2): 'pruned', (1, 3): 'revived'}, 'pruned')
    """
    rows = events if step is None else events[events["step"] <= step]
    pairs = zip(rows["layer"].tolist(), rows["head"].tolist(), strict=True)
    return dict(zip(pairs, rows["event"].tolist(), strict=True))  # by step: the last one stays


def events_per_step(events: pd.DataFrame) -> pd.DataFrame:
    """Return how many heads were pruned and how many revived at each step that has events.

    Parameters
    ----------
    events
        What `events_table` returns.

    Returns
    -------
    pandas.DataFrame
        ``step``, ``pruned_heads``, ``revived_heads``: a history of counts, zeros included.

    Examples
    --------
    >>> events_per_step(events_table([(10, 0, 2, "pruned"), (20, 0, 2, "revived")]))
       step  pruned_heads  revived_heads
    0    10             1              0
    1    20             0              1
    """
    steps, place = np.unique(events["step"].to_numpy(), return_inverse=True)
    counts = {
        name: np.bincount(place[(events["event"] == event).to_numpy()], minlength=len(steps)).astype(np.int64)
        for name, event in zip(HEAD_COUNTS, EVENTS, strict=True)
    }
    return pd.DataFrame({"step": steps, **counts})


def _read(events: Any, step: str) -> _Columns:
    """Return the four columns as they came."""
    if isinstance(events, Mapping):
        return _columns({clean(key): value for key, value in events.items()}, step, events)
    if is_frame(events):
        data: Any = nw.from_native(events)
        data = data.collect() if isinstance(data, nw.LazyFrame) else data
        return _columns({clean(name): data[name].to_list() for name in data.columns}, step, events)
    if is_array(events) or isinstance(events, (str, bytes)) or not hasattr(events, "__iter__"):
        raise KindError(f"events is {kind_of(events)}; expected {_FORMS}")
    rows = list(events)
    if rows and all(isinstance(row, Mapping) for row in rows):
        return _from_dicts(rows, step)
    for place, row in enumerate(rows):
        if isinstance(row, (str, bytes)) or not hasattr(row, "__len__") or len(row) != 4:
            raise DataError(f"events[{place}] is {clean(repr(row))[:60]}; expected (step, layer, head, event)")
    steps, layers, heads, names = ([row[place] for row in rows] for place in range(4))
    return steps, layers, heads, names


def _from_dicts(rows: list[Mapping[str, Any]], step: str) -> _Columns:
    keys = list(dict.fromkeys(clean(key) for row in rows for key in row))
    if "event" not in keys and set(keys) & set(HEAD_COUNTS):
        return _from_history(rows, step)
    wanted = [step, *COLUMNS[1:]]
    for place, row in enumerate(rows):
        absent = [name for name in wanted if row.get(name) is None]
        if absent:
            raise DataError(f"events[{place}] lacks {listing(absent)}; it has {listing(row)}; expected {_FORMS}")
    steps, layers, heads, names = ([row[name] for row in rows] for name in wanted)
    return steps, layers, heads, names


def _columns(columns: Mapping[str, Any], step: str, events: Any) -> _Columns:
    wanted = [step, *COLUMNS[1:]]
    absent = [name for name in wanted if name not in columns]
    if not absent:
        steps, layers, heads, names = found = [list(columns[name]) for name in wanted]
        if len({len(cells) for cells in found}) > 1:
            sizes = ", ".join(f"{name} {len(cells):,}" for name, cells in zip(wanted, found, strict=True))
            raise DataError(f"events has columns of unequal length: {sizes}")
        return steps, layers, heads, names
    if "event" not in columns and ({"metric", "value"} <= set(columns) or set(columns) & set(HEAD_COUNTS)):
        return _from_history(events, step)
    nested = isinstance(events, Mapping) and bool(events) and all(_holds_columns(value) for value in events.values())
    if nested and step not in columns:
        return _from_history(events, step)
    raise DataError(f"events lacks {listing(absent)}; it has {listing(columns) or 'nothing'}; expected {_FORMS}")


def _holds_columns(value: Any) -> bool:
    return isinstance(value, (Mapping, list)) or is_frame(value)


def _from_history(history: Any, step: str) -> _Columns:
    runs = read_history(history, step=step).pairs
    if not runs:
        raise DataError(
            "events is a history that counts heads and does not name them; expected lists of (layer, head) pairs in its "
            f"{listing(HEAD_COUNTS)}, or {_FORMS.split(', or')[0]}"
        )
    if len(runs) > 1:
        raise DataError(f"events holds the runs {listing(runs)}; give the history of one of them")
    rows = list(_listed(next(iter(runs.values()))))
    steps, layers, heads, names = ([row[place] for row in rows] for place in range(4))
    return steps, layers, heads, names


def _listed(found: Iterable[tuple[float, str, list[tuple[int, int]]]]) -> Iterator[tuple[float, int, int, str]]:
    event = dict(zip(HEAD_COUNTS, EVENTS, strict=True))
    # pruned before revived within a step, so that a head in both lists ends as revived
    for step, metric, pairs in sorted(found, key=lambda row: (row[0], HEAD_COUNTS.index(row[1]))):
        for layer, head in pairs:
            yield step, layer, head, event[metric]


def _ids(cells: Sequence[Any], name: str) -> Any:
    if not len(cells):
        return np.zeros(0, dtype=np.int64)
    ids = steps_of(list(cells), name, of="events")
    if ids.dtype.kind != "i" or ids.min() < 0:
        place = int(np.flatnonzero((ids % 1 != 0) | (ids < 0))[0])
        raise DataError(f"events: {name} is {ids[place]} in row {place}; ids are whole numbers, counted from 0")
    return ids


def _event(name: Any, place: int) -> str:
    text = clean(name)
    if text not in EVENTS:
        raise DataError(f"events: event is {text[:40]!r} in row {place}; known are {listing(map(repr, EVENTS))}")
    return text
