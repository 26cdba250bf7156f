"""Drafts of cards: a chart of a run that is still to be drawn, and the Python that draws the same from the run's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import headspec
from headspec.catalog import CATALOG
from headspec.site.cards import Card, reading_of
from headspec.sources.run_arrays import Attention, HeadMap, HeadSteps
from headspec.sources.run_folder import Table

PICK = "head_pick"
"""The name of the selection that the charts of one page share."""
WIDE = 88
_KNOWN = {entry.name: entry for entry in CATALOG}


@dataclass(frozen=True)
class Arg:
    """A value, and the Python that makes it; `name` is the variable that it gets, none for what stands in the call."""

    value: Any
    code: str
    name: str = ""


def plain(value: Any) -> Arg:
    """Return an argument that stands in the call as it is."""
    return Arg(value, repr(value))


@dataclass(frozen=True)
class Draft:
    """A card that is to be drawn."""

    function: str
    args: Sequence[Arg]
    options: Mapping[str, Arg]
    name: str
    title: str
    question: str
    text: str
    tags: Sequence[str]
    live: bool = False
    """Whether it belongs to the charts of heads that a run's page shows together."""

    @property
    def is_known(self) -> bool:
        """Tell whether this version of headspec has the chart."""
        return self.function in _KNOWN or hasattr(headspec, self.function)

    def card(self) -> Card:
        """Draw the chart and return its card."""
        function = getattr(headspec, self.function)
        chart = function(*(arg.value for arg in self.args), **{name: arg.value for name, arg in self.options.items()})
        entry = _KNOWN.get(self.function)
        code = self.code()
        return Card(
            chart=chart,
            title=self.title,
            question=self.question,
            text=self.text,
            category=(entry.category if entry else "") or "Heads",
            tags=tuple(self.tags),
            code=code,
            reading=reading_of(code),
            name=self.name,
            kind=entry.kind if entry else "",
        )

    def code(self) -> str:
        """Return the Python that draws the chart, to be run in the run's folder."""
        given = [*self.args, *self.options.values()]
        lines = list(dict.fromkeys(f"{arg.name} = {arg.code}" for arg in given if arg.name))
        parts = [arg.name or arg.code for arg in self.args]
        parts += [f"{name}={arg.name or arg.code}" for name, arg in self.options.items()]
        call = f"chart = headspec.{self.function}({', '.join(parts)})"
        if len(call) > WIDE:
            inner = "".join(f"    {part},\n" for part in parts)
            call = f"chart = headspec.{self.function}(\n{inner})"
        body = "\n".join([*lines, call])
        return f"{_imports(body)}\n{body}\n"


def _imports(body: str) -> str:
    standard = [line for use, line in (("json.", "import json"), ("Path(", "from pathlib import Path")) if use in body]
    groups = [standard, ["import numpy as np"] if "np." in body else [], ["import headspec"]]
    if "load_arrays(" in body:
        groups[-1].append("from headspec.sources.arrays import load_arrays")
    return "\n\n".join("\n".join(group) for group in groups if group) + "\n"


# --- what a run holds, as arguments ------------------------------------------------------------------------------------


def array_code(file: str, key: str) -> str:
    """Return the Python that reads an array from its file."""
    if file.endswith(".npz"):
        return f"np.load({file!r})[{key!r}]"
    if file.endswith(".npy"):
        return f"np.load({file!r})"
    return f"load_arrays({file!r})[{key!r}]"


def map_arg(item: HeadMap, name: str = "values") -> Arg:
    """Return the values of a map of heads."""
    last = "[-1]" if item.step is not None else ""
    return Arg(item.values, array_code(item.file, item.key) + last, name)


def steps_arg(item: HeadSteps, place: int | None = None, name: str = "values") -> Arg:
    """Return a measure over steps, or its values at one place."""
    code = array_code(item.file, item.key)
    return Arg(item.values, code, name) if place is None else Arg(item.values[place], f"{code}[{place}]", name)


def at_steps_arg(item: HeadSteps) -> Arg:
    """Return the steps of a measure."""
    if item.steps_key:
        return Arg(item.steps, array_code(item.file, item.steps_key), "steps")
    return Arg(item.steps, f"np.arange({len(item.steps)})", "steps")


def table_arg(table: Table, name: str) -> Arg:
    """Return a table as its reader gives it."""
    if table.log_history:
        return Arg(table.value, f'json.loads(Path({table.file!r}).read_text(encoding="utf-8"))["log_history"]', name)
    return Arg(table.value, f"headspec.load_results_from_file({table.file!r})", name)


def attention_arg(item: Attention) -> Arg:
    """Return attention as a tuple or dict of layers."""
    code = array_code(item.file, item.keys[0])
    batch = "" if item.arrays[0].ndim == 4 else "[None]"
    forms = {
        "layers": f"tuple({code}[:, None])",
        "stack": f"tuple({code})",
        "batch": f"({code},)",
        "head": f"({code}[None],)",
        "matrix": f"({code}[None, None],)",
    }
    if item.form == "keys":
        layers = zip(item.layer_ids, item.keys, strict=True)
        inner = ", ".join(f"{layer}: {array_code(item.file, key)}{batch}" for layer, key in layers)
        return Arg(item.layers, f"{{{inner}}}", "attention")
    return Arg(item.layers, forms[item.form], "attention")


def attention_options(item: Attention, *, tokens: bool = True) -> dict[str, Arg]:
    """Return what else is known of some attention: its tokens, its mask, its place in the batch."""
    out: dict[str, Arg] = {}
    if tokens and item.tokens:
        out["tokens"] = Arg(list(item.tokens), _tokens_code(item), "tokens")
    if item.sequences > 1:
        out["batch_idx"] = plain(item.batch)
    if item.mask is not None:
        out["attention_mask"] = Arg(item.mask, array_code(item.file, item.mask_key), "mask")
    return out


def _tokens_code(item: Attention) -> str:
    file, _, where = item.tokens_from.partition(":")
    if file.endswith(".toml"):
        return repr(list(item.tokens))
    if not file.endswith(".json"):
        return f"{array_code(file, where)}.tolist()"
    places = "".join(f"[{part}]" if part.isdigit() else f"[{part!r}]" for part in where.split(".") if part)
    return f'json.loads(Path({file!r}).read_text(encoding="utf-8")){places}'
