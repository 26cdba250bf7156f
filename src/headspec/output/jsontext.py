"""JSON as text: compact, and laid out for people who review it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

WIDTH = 100
"""What fits into so many columns stays on one line."""

_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_SPACED = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True)


def compact(value: Any) -> str:
    """Return JSON with sorted keys and no spaces."""
    return _COMPACT.encode(value)


def layout(
    spec: Mapping[str, Any], datasets: Mapping[str, list[str] | str] | None = None, *, pretty: bool = True
) -> str:
    """Return a spec as JSON text that ends with a newline.

    Parameters
    ----------
    spec
        The spec without its rows.
    datasets
        For each dataset the JSON text of each row, or one text for all of it; they go under ``datasets``.
    pretty
        Whether to indent the structure by two; a list of rows is one compact line a row, a list of plain values one line.
    """
    if not pretty:
        parts = [f"{compact(key)}:{compact(spec[key])}" for key in sorted(spec)]
        if datasets:
            sets = (
                f"{compact(name)}:{text if isinstance(text, str) else '[' + ','.join(text) + ']'}"
                for name, text in sorted(datasets.items())
            )
            parts.append('"datasets":{' + ",".join(sets) + "}")
        return safe("{" + ",".join(parts) + "}\n")
    parts = []
    for key in sorted([*spec, *(["datasets"] if datasets else [])]):
        if key == "datasets" and datasets:
            sets = (f"    {compact(name)}: {_rows(text)}" for name, text in sorted(datasets.items()))
            parts.append('  "datasets": {\n' + ",\n".join(sets) + "\n  }")
        else:
            parts.append(f"  {compact(key)}: {_node(spec[key], 2, key)}")
    return safe("{\n" + ",\n".join(parts) + "\n}\n")


def _rows(text: list[str] | str, indent: int = 4) -> str:
    if isinstance(text, str):
        return text
    if not text:
        return "[]"
    pad = " " * (indent + 2)
    return "[\n" + pad + (",\n" + pad).join(text) + "\n" + " " * indent + "]"


def _node(value: Any, indent: int, key: str = "") -> str:
    """Return a value at an indent: on one line where that is short enough, or a list of plain values.

    From the inside out, as long text deep inside would else be encoded again for each level around it.
    """
    if not isinstance(value, (dict, list)) or not value:
        return compact(value)
    if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
        return _SPACED.encode(value)
    if key == "values" and isinstance(value, list) and all(isinstance(item, dict) for item in value):
        parts = [compact(item) for item in value]  # the rows of a Vega spec
        text = _SPACED.encode(value) if sum(map(len, parts)) <= WIDTH else ""
        return text if text and len(text) + indent <= WIDTH else _rows(parts, indent)
    if isinstance(value, dict):
        parts = [f"{compact(name)}: {_node(value[name], indent + 2, str(name))}" for name in sorted(value)]
    else:
        parts = [_node(item, indent + 2) for item in value]
    ends = "{}" if isinstance(value, dict) else "[]"
    if sum(map(len, parts)) + 2 * len(parts) + indent <= WIDTH and not any("\n" in part for part in parts):
        return ends[0] + ", ".join(parts) + ends[1]
    pad = " " * (indent + 2)
    return f"{ends[0]}\n{pad}" + f",\n{pad}".join(parts) + "\n" + " " * indent + ends[1]


def safe(text: str) -> str:
    """Return JSON text with lone surrogates as escapes: text that UTF-8 can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(f"\\u{ord(char):04x}" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text
