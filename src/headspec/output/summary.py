"""What a chart says in words: its own description, or its parts', or at least what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headspec.text import clean, listing

if TYPE_CHECKING:
    from altair.typing import ChartType

PARTS = ("layer", "hconcat", "vconcat", "concat")


def summary(chart: ChartType) -> str:
    """Say in words what a chart shows: its description.

    Parameters
    ----------
    chart
        Any Altair chart.

    Returns
    -------
    str
        The chart's own ``description``; of a composition without one, those of its parts, joined; where there is none at
        all, a sentence on what is drawn from which columns. The same text is the alternative text of every output.

    Examples
    --------
    >>> import altair as alt, pandas as pd
    >>> summary(alt.Chart(pd.DataFrame({"a": [1]}), description="One point.").mark_point())
    'One point.'
    """
    from headspec.output.spec import check_chart, export

    own = getattr(check_chart(chart), "description", None)
    if isinstance(own, str) and own.strip():
        return own
    return str(export(chart, theme={}).spec["description"])


def described(spec: Mapping[str, Any]) -> str:
    """Return the description of a Vega-Lite spec, made of its parts' if it has none of its own."""
    texts = dict.fromkeys(_texts(spec))
    return " ".join(texts) if texts else _drawn(spec)


def _texts(spec: Mapping[str, Any]) -> Iterator[str]:
    own = spec.get("description")
    if isinstance(own, str) and own.strip():
        yield own
        return
    for part in _parts(spec):
        yield from _texts(part)


def _parts(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in PARTS:
        yield from (part for part in spec.get(key) or () if isinstance(part, Mapping))
    if isinstance(spec.get("spec"), Mapping):
        yield spec["spec"]


def plain_line(text: object) -> str:
    """Return text as one line that is safe in every output."""
    return clean(" ".join(str(text).split()))


def title_of(spec: Mapping[str, Any]) -> str:
    """Return the text of a spec's title, or of the first of its parts that has one; empty if there is none."""
    title = spec.get("title")
    text = title.get("text") if isinstance(title, Mapping) else title
    if isinstance(text, list):
        text = " ".join(str(line) for line in text)
    if isinstance(text, str) and text.strip():
        return plain_line(text)
    return next((found for part in _parts(spec) if (found := title_of(part))), "")


def _drawn(spec: Mapping[str, Any]) -> str:
    """Return a sentence for a chart that nobody described: its title, marks and columns."""
    marks: dict[str, None] = {}
    fields: dict[str, None] = {}
    _collect(spec, marks, fields)
    title = title_of(spec)
    lead = f"{title.rstrip('.')}. " if title else ""
    shown = f" of {listing(fields)}" if fields else ""
    return f"{lead}A chart ({listing(marks) or 'no marks'}){shown}."


def _collect(spec: Mapping[str, Any], marks: dict[str, None], fields: dict[str, None]) -> None:
    mark = spec.get("mark")
    if mark is not None:
        marks[str(mark.get("type") if isinstance(mark, Mapping) else mark)] = None
    for channel in (spec.get("encoding") or {}).values():
        name = channel.get("field") if isinstance(channel, Mapping) else None
        if isinstance(name, str):
            fields[name] = None
    for part in _parts(spec):
        _collect(part, marks, fields)
