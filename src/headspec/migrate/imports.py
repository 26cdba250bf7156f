"""Where the import of headspec goes: once, into the cell that imports things, before everything that needs it."""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from headspec.migrate.cells import CodeCell
from headspec.migrate.namespace import Program, module_of
from headspec.migrate.rewrite import KEPT_COMMENT

_INSTALLS = re.compile(r"\b(?:pip|pip3|conda|mamba|apt|apt-get|git clone|uv)\b")
_WIDTH = 88


def add_imports(
    program: Program, before: Program, names: Iterable[str], *, module: bool, also: int | None = None
) -> tuple[int, str] | None:
    """Return the cell that imports headspec and its new text, or None if nothing is missing.

    Parameters
    ----------
    program
        The notebook as it is after the other changes.
    before
        The notebook as it was: the cell that imported the functions of old is the one that imports their successors.
    names
        Public names that are used.
    module
        Whether ``headspec`` itself is used, as in ``headspec.save``.
    also
        A cell that is not read and uses the names too.
    """
    lines = [(cell, line) for cell in program.cells for line in _import_lines(cell)]
    have, existing, has_module = _present(lines)
    missing = sorted(set(names) - have)
    wants_module = module and not has_module
    if not missing and not wants_module:
        return None
    first = _first_use(program, [*missing, *(["headspec"] if wants_module else [])], also)
    if existing is not None and existing[0].number <= first and missing:
        cell, statement = existing
        text = _merged(cell, statement, missing, wants_module)
        return cell.number, cell.masked.restore(text)
    number = _home(before, first)
    home = next((cell for cell in program.cells if cell.number == number), None)
    if home is None:
        return None
    new = (["import headspec"] if wants_module else []) + ([_from(missing)] if missing else [])
    return home.number, home.masked.restore(_insert(home, new, _ended(before, home.number)))


def _import_lines(cell: CodeCell) -> list[cst.SimpleStatementLine]:
    return [line for line in cell.module.body if isinstance(line, cst.SimpleStatementLine) and _imports(line)]


def _imports(line: cst.BaseStatement | cst.SimpleStatementLine) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and all(
        isinstance(part, (cst.Import, cst.ImportFrom)) for part in line.body
    )


def _present(
    lines: list[tuple[CodeCell, cst.SimpleStatementLine]],
) -> tuple[set[str], tuple[CodeCell, cst.ImportFrom] | None, bool]:
    have: set[str] = set()
    existing = None
    has_module = False
    for cell, line in lines:
        for part in line.body:
            if isinstance(part, cst.Import):
                has_module |= any(
                    alias.asname is None and cst.Module([]).code_for_node(alias.name).split(".")[0] == "headspec"
                    for alias in part.names
                )
            elif isinstance(part, cst.ImportFrom) and module_of(part) == "headspec":
                if isinstance(part.names, cst.ImportStar):
                    continue
                have |= {
                    alias.name.value for alias in part.names if isinstance(alias.name, cst.Name) and not alias.asname
                }
                existing = existing or (cell, part)
    return have, existing, has_module


def _first_use(program: Program, names: list[str], also: int | None) -> int:
    numbers = [cell.number for cell in program.cells if any(name in cell.names for name in names)]
    if also is not None:
        numbers.append(also)
    return min(numbers, default=10**9)


def _home(program: Program, first: int) -> int | None:
    """Return the number of the cell that the import goes into."""
    plain = [cell for cell in program.cells if cell.masked.cell_magic is None]
    importing = [cell for cell in plain if cell.number <= first and any(map(_real_import, _import_lines(cell)))]
    settled = [cell for cell in importing if not _installs(cell)]
    future = [cell for cell in plain if cell.number <= first and _import_lines(cell)]
    choice = [*(cell for cell in settled if _leads(cell)), *settled, *importing, *future]
    if choice:
        return choice[0].number
    at_use = [cell for cell in plain if cell.number == first]
    before = [cell for cell in plain if cell.number < first]
    ranked = [*at_use, *before[-1:], *plain[:1]]
    return ranked[0].number if ranked else None


def _real_import(line: cst.SimpleStatementLine) -> bool:
    return not any(isinstance(part, cst.ImportFrom) and module_of(part) == "__future__" for part in line.body)


def _leads(cell: CodeCell) -> bool:
    """Tell whether a cell begins with its imports."""
    for line in cell.module.body:
        if _docstring(line) or _is_masked(cell, line):
            continue
        return _imports(line)
    return False


def _installs(cell: CodeCell) -> bool:
    return any(_INSTALLS.search(text) for text in cell.masked.lines.values())


def _docstring(line: cst.CSTNode) -> bool:
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return False
    part = line.body[0]
    return isinstance(part, cst.Expr) and isinstance(part.value, (cst.SimpleString, cst.ConcatenatedString))


def _is_masked(cell: CodeCell, line: cst.CSTNode) -> bool:
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or not isinstance(line.body[0], cst.Expr):
        return False
    value = line.body[0].value
    return isinstance(value, cst.Name) and value.value in cell.masked.lines


def _from(names: list[str]) -> str:
    line = f"from headspec import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    return "from headspec import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def _insert(cell: CodeCell, lines: list[str], ended: bool) -> str:
    newline = cell.module.default_newline
    block = "\n".join(lines).replace("\n", newline)
    anchor = _anchor(cell)
    code = cell.code
    if anchor is not None:
        end = cell.span(anchor.body[-1])[1]
        match = re.search(r"\r\n?|\n", code[end:])
        if match is None:
            return code + newline + block
        at = end + match.end()
        return code[:at] + block + newline + code[at:]
    at, gap = _top(cell)
    tail = newline if code[at:].strip() or (not code and ended) else ""
    head = newline if at and not code[:at].endswith(("\n", "\r")) else ""
    return code[:at] + head + block + tail + (newline if gap and tail else "") + code[at:]


def _ended(program: Program, number: int) -> bool:
    return any(cell.number == number and cell.code.endswith("\n") for cell in program.cells)


def _anchor(cell: CodeCell) -> cst.SimpleStatementLine | None:
    """Return the last import of the first run of imports; a future import only if there is no other."""
    future: cst.SimpleStatementLine | None = None
    anchor: cst.SimpleStatementLine | None = None
    for line in cell.module.body:
        if isinstance(line, cst.SimpleStatementLine) and _imports(line):
            if _real_import(line):
                anchor = line
            elif anchor is None:
                future = line
        elif anchor is not None:
            break
    return anchor or future


def _top(cell: CodeCell) -> tuple[int, bool]:
    """Return the first place where an import may stand in a cell without imports."""
    code = cell.code
    at = 0
    for line in cell.module.body:
        if _docstring(line) or _is_masked(cell, line):
            end = cell.span(line)[1]
            match = re.search(r"\r\n?|\n", code[end:])
            at = end + match.end() if match else len(code)
            continue
        break
    if at:
        return at, False
    for match in re.finditer(r"([^\r\n]*)(\r\n?|\n)", code):
        text = match.group(1)
        if text.strip() and not (text.startswith("#") and KEPT_COMMENT.match(text)):
            break
        if text.strip():
            at = match.end()
    return at, bool(code.strip())


def _merged(cell: CodeCell, statement: cst.ImportFrom, names: list[str], module: bool) -> str:
    """Add names to an import that is there."""
    code = cell.code
    start = cell.span(statement)[0]
    if isinstance(statement.names, cst.ImportStar):
        return code
    aliases = list(statement.names)
    last = cell.span(aliases[-1])[1]
    between = code[cell.span(aliases[-2])[1] : cell.span(aliases[-1])[0]] if len(aliases) > 1 else ", "
    between = between if re.fullmatch(r",[ \t]*(?:\r?\n)[ \t]*", between) else ", "
    text = code[:last] + "".join(between + name for name in names) + code[last:]
    if module:
        indent = re.search(r"[ \t]*$", code[:start])
        lead = "import headspec" + cell.module.default_newline + (indent.group() if indent else "")
        text = text[:start] + lead + text[start:]
    return text
