"""Drafts of cards: a chart of a run that is still to be drawn, and the Python that draws the same from the run's files."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headspec.catalog import CATALOG
from headspec.site.cards import Card, reading_of_doc
from headspec.sources.run import Table
from headspec.sources.run_arrays import Attention, HeadMap, HeadSteps

PICK = "head_pick"
"""The name of the selection that the charts of one page share."""
WIDE = 88
HERE = "# in the folder of the run\n"
_KNOWN = {entry.name: entry for entry in CATALOG}


@dataclass(frozen=True)
class Arg:
    """A value, and the Python that makes it.

    `name` is the variable that it gets, none for what stands in the call; `run` is what the code begins with where that is a
    recording, which several arguments share.
    """

    value: Any
    code: str
    name: str = ""
    run: str = ""


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
    """Whether it belongs to the charts that a run's page shows together."""
    module: str = "headspec"
    """Where the function is."""

    def card(self) -> Card:
        """Draw the chart and return its card."""
        function = getattr(importlib.import_module(self.module), self.function)
        chart = function(*(arg.value for arg in self.args), **{name: arg.value for name, arg in self.options.items()})
        entry = _KNOWN.get(self.function)
        return Card(
            chart=chart,
            title=self.title,
            question=self.question,
            text=self.text,
            category=(entry.category if entry else "") or "Heads",
            tags=tuple(self.tags),
            code=self.code(),
            reading=reading_of_doc(function),
            name=self.name,
            kind=entry.kind if entry else self.function.replace("_", "-"),
        )

    def code(self) -> str:
        """Return the Python that draws the chart, to be run in the run's folder."""
        given = [*self.args, *self.options.values()]
        runs = list(dict.fromkeys(arg.run for arg in given if arg.run))
        lines = [f"{_run_name(runs, run)} = {run}" for run in runs]
        codes = {id(arg): _run_name(runs, arg.run) + arg.code.removeprefix(arg.run) for arg in given}
        lines += dict.fromkeys(f"{arg.name} = {codes[id(arg)]}" for arg in given if arg.name)
        parts = [arg.name or codes[id(arg)] for arg in self.args]
        parts += [f"{name}={arg.name or codes[id(arg)]}" for name, arg in self.options.items()]
        called = self.function if self.module != "headspec" else f"headspec.{self.function}"
        call = f"chart = {called}({', '.join(parts)})"
        if len(call) > WIDE:
            inner = "".join(f"    {part},\n" for part in parts)
            call = f"chart = {called}(\n{inner})"
        own = [f"from {self.module} import {self.function}"] if self.module != "headspec" else []
        body = "\n".join([*lines, call])
        return f"{HERE}{imports(body, own)}\n{body}\n"


def _run_name(runs: Sequence[str], run: str) -> str:
    if not run:
        return ""
    return "run" if len(runs) == 1 else f"run_{runs.index(run) + 1}"


def imports(body: str, own: Sequence[str] = ()) -> str:
    """Return the imports that some code needs, those of `own` among them."""
    standard = [line for use, line in (("json.", "import json"), ("Path(", "from pathlib import Path")) if use in body]
    others = [line for use, line in (("np.", "import numpy as np"), ("pd.", "import pandas as pd")) if use in body]
    ours = ["import headspec"] if "headspec." in body else []
    ours += sorted([*own, *(["from headspec.sources.arrays import load_arrays"] if "load_arrays(" in body else [])])
    return "\n\n".join("\n".join(group) for group in (standard, others, ours) if group) + "\n"


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
    if item.origin == "recording":
        run = run_code(item.file)
        at = "" if item.place == -1 else f", step={item.step!r}"
        return Arg(item.rows, f"{run}.heads_at({item.key!r}{at})", name if name != "values" else "", run)
    if item.rows is not None:
        return Arg(item.rows, _rows_code(item.file, item.rows, ("run", "measure", "step")), name)
    at = f"[{item.place}]" if item.step is not None and not item.whole_file else ""
    return Arg(item.values, array_code(item.file, item.key) + at, name)


def steps_arg(item: HeadSteps) -> Arg:
    """Return a measure over steps, all of them."""
    if item.origin == "recording":
        run = run_code(item.file)
        return Arg(item.rows, f"{run}.heads", "", run)
    if item.rows is not None:
        return Arg(item.rows, _rows_code(item.file, item.rows, ("run", "measure")), "values")
    if item.files:
        return Arg(item.values, _stack_code(item), "values")
    return Arg(item.values, array_code(item.file, item.key), "values")


def steps_options(item: HeadSteps) -> dict[str, Arg]:
    """Return the steps of a measure as an option; a heads table says them itself."""
    if item.rows is not None:
        return {}
    if item.files:
        return {"value_steps": Arg(item.steps, repr(item.steps.tolist()), "steps")}
    code = array_code(item.file, item.steps_key) if item.steps_key else f"np.arange({len(item.steps)})"
    return {"value_steps": Arg(item.steps, code, "steps")}


def _stack_code(item: HeadSteps) -> str:
    inner = ", ".join(array_code(file, item.key) for file in item.files)
    return f"np.stack([{inner}])"


def _rows_code(file: str, rows: Any, columns: Sequence[str]) -> str:
    """Return the Python that reads rows of a heads table, all that agree in some columns."""
    firsts = {column: rows[column].iloc[0] for column in columns if column in rows.columns}
    wanted = [
        f"{column} == {getattr(value, 'item', lambda value=value: value)()!r}" for column, value in firsts.items()
    ]
    code = f"headspec.load_results_from_file({file!r})"
    return f"{code}.query({' and '.join(wanted)!r})" if wanted else code


def run_code(file: str) -> str:
    """Return the Python that loads the recording that a file is of."""
    return f"headspec.load_run({file.rpartition('/')[0] or '.'!r})"


def table_arg(table: Table, name: str) -> Arg:
    """Return a table as its reader gives it."""
    if table.recorded:
        run = run_code(table.file)
        return Arg(table.value, f"{run}.{table.file.rpartition('/')[2].removesuffix('.jsonl')}", "", run)
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
        if pattern := _pattern(item):
            ids = f"range({len(item.keys)})" if item.layer_ids[0] == 0 else repr(list(item.layer_ids))
            array = array_code(item.file, "").replace("['']", f"[f{pattern!r}]")
            return Arg(item.layers, f"{{layer: {array}{batch} for layer in {ids}}}", "attention")
        layers = zip(item.layer_ids, item.keys, strict=True)
        inner = ", ".join(f"{layer}: {array_code(item.file, key)}{batch}" for layer, key in layers)
        return Arg(item.layers, f"{{{inner}}}", "attention")
    return Arg(item.layers, forms[item.form], "attention")


def _pattern(item: Attention) -> str:
    """Return the keys of the layers as one pattern with ``{layer}`` in it; empty where they follow none."""
    ids = [str(layer) for layer in item.layer_ids]
    first = item.keys[0].rpartition(ids[0])
    pattern = f"{first[0]}{{layer}}{first[2]}"
    follow = [pattern.replace("{layer}", layer) for layer in ids] == list(item.keys)
    whole = list(item.layer_ids) == list(range(len(ids))) or item.layer_ids[0] != 0
    return pattern if follow and whole and not set("{}") & set(first[0] + first[2]) else ""


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
