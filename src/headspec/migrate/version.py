"""The version of a notebook: where it stands in its title, its text and its code, and the next one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import libcst as cst

from headspec.migrate.cells import CodeCell
from headspec.migrate.notebook_file import Cell

NUMBER = r"\d+(?:\.\d+)*"
# "v0.0.56", "V 1.2", "Version: 3", "ver. 2", "**Version** 1.0"; a bare number is a version only where a heading of a
# changelog says so.
MARKED = re.compile(
    rf"(?<![\w.])(?P<word>version|ver\.?|v)[*_]*\s*[:=]?[*_]*\s*(?P<number>{NUMBER})(?![\w]*\d)(?!\w)", re.I
)
HEADING = re.compile(r"(?P<marks>#{1,6})[ \t]+(?P<text>.*)")
_OWN_LINES = (
    re.compile(
        rf"(?i)[\W_]*(?:(?:current|notebook|latest)[ \t]+)?version[*_`]*[ \t]*[:=][*_` \t]*v?(?P<number>{NUMBER})(?!\w)"
    ),
    re.compile(
        rf"(?i)[\W_]*(?:(?:current|notebook|latest)[ \t]+)?version[*_` \t]+v?(?P<number>{NUMBER})[*_`]*[ \t]*"
        r"(?:$|[(\[|–—]|\d{4})"
    ),
)
_NAME = re.compile(r"(?i)_*(?:(?:notebook|nb|demo|script|current)_)?version(?:_str(?:ing)?|_number)?_*$")
# What is written with a version of its own: the number after it is not the notebook's.
_PRODUCTS = re.compile(
    r"(?i)(?:llama|gpt|bert|mistral|mixtral|qwen|gemma|phi|falcon|yolo|\w*net|squad|glue|whisper|diffusion|sdxl|claude|"
    r"bloom|opt|t5|vicuna|zephyr|pythia|tensorflow|tf|torch|pytorch|python|cuda|numpy|keras|jax|transformers|colab|api|"
    r"dataset|coco|hub|instruct|chat|base|large|small|\d+b)[\w.]*[\s_-]*$"
)


def next_number(number: str) -> str:
    """Count up the last component of a version.

    Examples
    --------
    >>> next_number("0.0.56"), next_number("1.09"), next_number("3")
    ('0.0.57', '1.10', '4')
    """
    *head, last = number.split(".")
    return ".".join([*head, str(int(last) + 1).zfill(len(last))])


def key(number: str) -> tuple[int, ...]:
    """Return what versions are compared by: 1.2.0 is 1.2."""
    parts = [int(part) for part in number.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def own_line(line: str) -> re.Match[str] | None:
    """Return the match of a line that says which version the notebook is, "Version: 1.2" say."""
    if HEADING.match(line):
        return None
    return next((match for pattern in _OWN_LINES if (match := pattern.match(line))), None)


def title_cell(cells: Sequence[Cell]) -> Cell | None:
    """Return the cell with the notebook's title: the first one of text, if it has a heading."""
    for cell in cells:
        if cell.kind == "heading":
            return cell
        if cell.kind != "markdown" or not cell.text.strip():
            continue
        return cell if title_row(cell) is not None else None
    return None


def title_row(cell: Cell) -> int | None:
    """Return the line of the first heading of a cell."""
    if cell.kind == "heading":
        return 0
    fenced = False
    rows = cell.text.splitlines()
    for row, line in enumerate(rows):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if fenced:
            continue
        setext = row + 1 < len(rows) and line.strip() and re.fullmatch(r"[ \t]*(=+|-{3,})[ \t]*", rows[row + 1])
        if re.match(r" {0,3}#{1,6}[ \t]", line) or re.match(r"(?i)\s*<h[1-6]\b", line) or setext:
            return row
    return None


def _in_title(line: str, known: Collection[str]) -> re.Match[str] | None:
    """Return the version in a heading: set apart from its words, or of a form that only versions have.

    A number that other places of the notebook know as its version is taken as well; "Llama v2" alone is a name.
    """
    sure, likely = None, None
    for match in MARKED.finditer(line):
        before = line[: match.start()].rstrip()
        number = match.group("number")
        apart = before.endswith(("(", "[", "-", "–", "—", "|", ":", ",", "·")) or len(match.group("word")) > 1
        if apart or number in known:
            sure = match
        elif number.count(".") > 0 and not _PRODUCTS.search(before):
            likely = match
    return sure or likely


def title_version(cell: Cell, known: Collection[str] = ()) -> str | None:
    """Return the version in the heading of the title cell, or in a line of it that names the version.

    Parameters
    ----------
    cell
        The title cell.
    known
        Numbers that other places give as the notebook's version.
    """
    rows = cell.text.splitlines()
    row = title_row(cell)
    if row is None or not rows:
        return None
    match = _in_title(rows[row], known)
    if match is None:
        match = next((found for line in rows if (found := own_line(line))), None)
    return match.group("number") if match is not None else None


def retitle(cell: Cell, old: str, new: str, logged: Collection[int]) -> str:
    """Replace the version in the title cell, but for its changelog.

    Parameters
    ----------
    cell
        The title cell.
    old, new
        The version before and after.
    logged
        The lines that are entries of a changelog.
    """
    rows = cell.text.splitlines(keepends=True)
    title = title_row(cell)
    for row, line in enumerate(rows):
        match = _in_title(line, [old]) if row == title else own_line(line) if row not in logged else None
        if match is not None and match.group("number") == old:
            rows[row] = put(line, match, new)
    return "".join(rows)


def put(line: str, match: re.Match[str], new: str) -> str:
    """Replace the number of a match."""
    start, end = match.span("number")
    return line[:start] + new + line[end:]


def elsewhere(
    cells: Iterable[Cell],
    code: Mapping[int, CodeCell],
    title: Cell | None,
    logged: Collection[tuple[int, int]],
    old: Collection[str],
    new: str,
) -> dict[int, str]:
    """Replace the version where else it stands as the notebook's own.

    Parameters
    ----------
    cells, code
        All cells, and the code cells that parse by number.
    title
        The title cell, which is not looked at again.
    logged
        Cell and line of what belongs to the changelog, which stays as it is.
    old, new
        The versions that count as the current one, and the new one.

    Returns
    -------
    dict
        The new texts by cell.
    """
    texts: dict[int, str] = {}
    for cell in cells:
        if cell.number in code:
            texts[cell.number] = _in_code(code[cell.number], old, new)
        elif cell.kind == "markdown" and (title is None or cell.number != title.number):
            rows = cell.text.splitlines(keepends=True)
            for row, line in enumerate(rows):
                match = own_line(line) if (cell.number, row) not in logged else None
                if match is not None and match.group("number") in old:
                    rows[row] = put(line, match, new)
            texts[cell.number] = "".join(rows)
    return texts


def in_code(code: Iterable[CodeCell]) -> set[str]:
    """Return the versions that code cells set: the text of ``VERSION = "…"``."""
    return {number for cell in code for number, _ in _set_in(cell)}


def _set_in(cell: CodeCell) -> Iterable[tuple[str, tuple[int, int]]]:
    for line in cell.module.body:
        for part in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if not (isinstance(part, cst.Assign) and isinstance(part.value, cst.SimpleString)):
                continue
            target = part.targets[0].target
            if isinstance(target, cst.Name) and _NAME.match(target.value):
                value = re.fullmatch(rf"[rRuU]?(['\"]+)[vV]?(?P<number>{NUMBER})\1", part.value.value)
                if value:
                    at = cell.span(part.value)[0]
                    yield value.group("number"), (at + value.start("number"), at + value.end("number"))


def _in_code(cell: CodeCell, old: Collection[str], new: str) -> str:
    """Replace the version in ``VERSION = "…"`` and in what a print says."""
    cuts = [place for number, place in _set_in(cell) if number in old]
    for line in cell.module.body:
        for part in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            call = part.value if isinstance(part, cst.Expr) else None
            if isinstance(call, cst.Call) and isinstance(call.func, cst.Name) and call.func.value == "print":
                cuts += [
                    match.span("number")
                    for match in MARKED.finditer(cell.code, *cell.span(call))
                    if match.group("number") in old and "." in match.group("number")
                ]
    text = cell.code
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + new + text[end:]
    return cell.masked.restore(text)
