"""Calls of the functions of old: what each argument becomes, and the text of the call that takes its place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.cells import CodeCell, literal, value_of
from headspec.migrate.definitions import Definition, Param, changed_defaults
from headspec.migrate.known import SUFFIXES, Known
from headspec.text import listing

# What an argument by position looks like when it means this; only asked where no definition can be read.
_LOOKS: dict[str, str] = {
    "pruned_heads": r"prun|None$|\[",
    "revived_heads": r"reviv|regr|None$|\[",
    "vulnerable_heads": r"vuln|None$|\[",
    "vulnerable_threshold": r"thr|[\d.]+(e-?\d+)?$",
    "title": r"[rbfu]?['\"]|.*title|None$",
    "layer_idx": r"\d+$|.*lay|[a-z]$",
    "head_idx": r"\d+$|.*head|[a-z]$",
    "min_value": r"[\d.]+$|.*min",
    "annotate": r"True$|False$|.*annot",
    "max_entropy": r".*max|[\d.]+$|.*log",
    "max_display_points": r"\d+$|.*points|None$",
    "show_perplexity": r"True$|False$|.*perpl",
    "strategies": r".*strateg|\[",
    "model_name": r".*model|.*name|['\"]",
    "pruning_level": r".*level|.*prun|.*ratio|[\d.]+$",
    "importance_scores": r".*scor|.*import",
    "num_layers": r"\d+$|.*layer|[a-z]$",
    "num_heads": r"\d+$|.*head|[a-z]$",
}
_SECOND_DATA = {"visualize_entropy_vs_gradient": ("grad_norm_values", r".*grad|.*norm")}
_MEASURED = frozenset(("grad_norm_values", "grad_norms", "entropy_values"))


@dataclass
class Bound:
    """A call with its arguments matched to those of the function of old."""

    args: list[tuple[cst.Arg, Param]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    truth: dict[str, bool | None] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    save: cst.Arg | None = None

    @property
    def changed(self) -> bool:
        """Tell whether the text of the call has to change."""
        return bool(self.extra) or any(param.role != "keep" or param.target != param.name for _, param in self.args)


def bind(cell: CodeCell, call: cst.Call, definition: Definition, known: Known) -> Bound:
    """Match the arguments of a call, and note what stands against moving it over.

    Parameters
    ----------
    cell, call
        The call and its cell.
    definition
        The function of old that it calls.
    known
        The chart that takes over.
    """
    bound = Bound()
    strange: list[str] = []
    positional = [param for param in definition.params if param.positional]
    for position, arg in enumerate(call.args):
        if arg.star:
            bound.reasons.append(f"it is called with {arg.star}")
            continue
        if arg.keyword is None:
            param = positional[position] if position < len(positional) else None
        else:
            param = definition.param(arg.keyword.value)
        if param is None:
            strange.append(arg.keyword.value if arg.keyword else f"argument {position + 1}")
            continue
        bound.args.append((arg, param))
        _take(cell, bound, arg, param)
    if strange:
        bound.reasons.append(f"it is called with {listing(strange)}, which it does not take")
    given = frozenset(param.target for _, param in bound.args if param.target is not None)
    missing = [name for name in known.params[: known.required] if name not in given]
    if missing and not bound.reasons:
        bound.reasons.append(f"it is called without {missing[0]}, which headspec needs")
    bound.extra, unclear = changed_defaults(definition, known, given)
    bound.reasons += unclear
    if definition.first_of_batch:
        bound.extra["batch_idx"] = "0"
    targets = {param.target for param in definition.params}
    if known.name == "plot_head_gradients_with_overlays" and not targets & {"vulnerable_heads", "vulnerable_threshold"}:
        bound.extra["vulnerable_threshold"] = "None"  # the old one marked none
    if definition.body.makes_folders and bound.save is not None:
        bound.reasons.append("it makes the folder that it saves into, which headspec.save does not")
    named = {param.name for _, param in bound.args}
    for param in definition.params:
        if param.name not in named and param.default is not None and literal(param.default):
            bound.truth[param.name] = bool(value_of(param.default))
    if definition.node is None:
        _unseen(cell, bound, known)
    return bound


def _take(cell: CodeCell, bound: Bound, arg: cst.Arg, param: Param) -> None:
    text = cell.source(arg.value)
    known_value = value_of(arg.value) if literal(arg.value) else arg
    bound.truth[param.name] = None if known_value is arg else bool(known_value)
    if param.role == "keep":
        if param.target in _MEASURED and re.search(r"\.(flatten|ravel)\(\)$|\.(view|reshape)\(-1\)$", text):
            bound.reasons.append("it is called with a flat vector, from which headspec cannot tell layers and heads")
    elif param.role == "look":
        if known_value is arg:
            what = "whose call no longer happens" if "(" in text else "which was no plain value"
            bound.notes.append(f"dropped {param.name}={_short(text)}, {what}")
        else:
            bound.notes.append(f"dropped {param.name}={_short(text)}")
    elif param.role == "save":
        _take_path(cell, bound, arg, param, known_value)
    elif param.role == "show":
        if known_value is arg:
            bound.reasons.append(f"{param.name}={_short(text)} decides at run time whether it is shown")
    elif known_value is not None:
        what = "draws into a matplotlib axes" if param.role == "axes" else "has no counterpart"
        bound.reasons.append(f"{param.name}={_short(text)} {what}")


def _take_path(cell: CodeCell, bound: Bound, arg: cst.Arg, param: Param, known_value: object) -> None:
    if known_value is None or known_value == "":
        return
    if known_value is not arg and not isinstance(known_value, str):
        bound.reasons.append(f"{param.name}={_short(cell.source(arg.value))} is no path")
        return
    why = unwritable(cell, arg.value)
    if why:
        bound.reasons.append(why)
    bound.truth[param.name] = True
    bound.save = arg


def _unseen(cell: CodeCell, bound: Bound, known: Known) -> None:
    """Ask of each argument by position whether it looks like what it should be: no definition says so."""
    for arg, param in bound.args:
        if arg.keyword is not None or param.target is None:
            if arg.keyword is None and param.role != "keep":
                bound.reasons.append(
                    "its definition is not here, and its arguments by position are not clear without it"
                )
            continue
        pattern = _LOOKS.get(param.target, "")
        second = _SECOND_DATA.get(known.name)
        if second is not None and second[0] == param.target:
            pattern = second[1]
        if pattern and not re.match(f"(?i)(?:.*?(?:{pattern}))", cell.source(arg.value), re.S):
            bound.reasons.append(
                f"its definition is not here, and {_short(cell.source(arg.value))} does not look like {param.target}"
            )


def unwritable(cell: CodeCell, path: cst.BaseExpression) -> str | None:
    """Return why a path cannot be written to by `headspec.save`, as far as its text tells."""
    last = last_text(path)
    if last is None:
        return None
    match = re.search(r"\.([A-Za-z][A-Za-z0-9]{1,4})$", last)
    if match and f".{match.group(1).lower()}" not in SUFFIXES:
        return f"it is saved as .{match.group(1)}, which headspec does not write"
    del cell
    return None


def last_text(path: cst.BaseExpression) -> str | None:
    """Return the written-out end of a path, or None if it ends in a value."""
    if isinstance(path, (cst.SimpleString, cst.ConcatenatedString)):
        value = path.evaluated_value
        return value if isinstance(value, str) else None
    if isinstance(path, cst.FormattedString):
        part = path.parts[-1] if path.parts else None
        return part.value if isinstance(part, cst.FormattedStringText) else None
    if isinstance(path, cst.BinaryOperation):
        return last_text(path.right)
    if isinstance(path, cst.Call) and path.args:
        return last_text(path.args[-1].value)
    return None


def path_text(cell: CodeCell, path: cst.BaseExpression) -> str:
    """Return the source of a path; one without a suffix gets the .png that matplotlib gave it."""
    text = cell.source(path)
    if isinstance(path, (cst.SimpleString, cst.FormattedString)) and not path.lpar:
        last = last_text(path)
        if last is None and isinstance(path, cst.FormattedString) and path.parts:
            value = cell.source(path.parts[-1])
            last = None if re.search(r"(?i)ext|suffix|fmt|format|file|path|name", value) else "value"
        if last and "/" not in last[-1:] and "." not in last.rsplit("/", 1)[-1]:
            quote = path.quote if isinstance(path, cst.SimpleString) else path.end
            return f"{text[: -len(quote)]}.png{quote}"
    return text


def may_be_none(cell: CodeCell, path: cst.BaseExpression, certain: Iterable[str]) -> bool:
    """Tell whether a path may turn out None or empty, which meant that nothing was saved."""
    if isinstance(path, cst.Name):
        return path.value not in set(certain)
    return isinstance(path, (cst.Attribute, cst.Subscript, cst.BooleanOperation)) or (
        isinstance(path, cst.Call)
        and isinstance(path.func, cst.Attribute)
        and path.func.attr.value in ("get", "getenv", "pop")
    )


def rewritten(cell: CodeCell, call: cst.Call, bound: Bound, known: Known) -> str:
    """Return the text of the call with headspec's name and arguments; what need not change is left as it stands."""
    start, end = cell.span(call)
    edits: list[tuple[int, int, str]] = []
    func = cell.span(call.func)
    if cell.source(call.func) != known.name:
        edits.append((*func, known.name))
    kept = 0
    in_order = True
    remaining = [arg for arg, param in bound.args if param.role == "keep"]
    for arg, param in bound.args:
        if param.role != "keep" or param.target is None:
            continue
        if arg.keyword is None:
            in_order = in_order and kept < len(known.params) and known.params[kept] == param.target
            kept += 1
            if not in_order:
                edits.append((cell.span(arg)[0],) * 2 + (f"{param.target}=",))
        elif arg.keyword.value != param.target:
            edits.append((*cell.span(arg.keyword), param.target))
    edits += _dropped(cell, call, remaining)
    if bound.extra and remaining:
        at = cell.span(remaining[-1])[1]
        edits.append((at, at, "".join(f", {name}={text}" for name, text in bound.extra.items())))
    text = cell.code[start:end]
    for first, last, new in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
        text = text[: first - start] + new + text[last - start :]
    return text


def _dropped(cell: CodeCell, call: cst.Call, remaining: list[cst.Arg]) -> list[tuple[int, int, str]]:
    """Return the stretches of text that go with the arguments that go."""
    edits: list[tuple[int, int, str]] = []
    args = list(call.args)
    code = cell.code
    for position, arg in enumerate(args):
        if arg in remaining:
            continue
        if any(later in remaining for later in args[position + 1 :]):
            edits.append((cell.span(arg)[0], cell.span(args[position + 1])[0], ""))
            continue
        # The last ones: from the end of what stays before them, whose own comment stays with it.
        first = next(index for index in range(position + 1) if all(a not in remaining for a in args[index:]))
        begin = cell.span(args[first - 1])[1] if first else cell.span(args[0])[0]
        comments = list(re.finditer(r"#[^\r\n]*", code[begin : cell.span(args[first])[0]]))
        if comments:
            begin += comments[-1].end()
        finish = cell.span(args[-1])[1]
        # Where a comment stays, so does the comma before it: the one at the end would stand behind the comment.
        end = r"(?:\s*,)?(?:[ \t]*#[^\r\n]*)?" if comments else r"(?:\s*,)?[ \t]*#[^\r\n]*"
        tail = re.match(end, code[finish : cell.span(call)[1]])
        edits.append((begin, finish + (tail.end() if tail else 0), ""))
        break
    return edits


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:39] + "…"
