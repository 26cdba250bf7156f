"""One document moved over, in memory: read, planned, rewritten, checked."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import libcst as cst

from headspec.errors import HeadspecError
from headspec.migrate import report as reporting
from headspec.migrate.cells import CodeCell, parses
from headspec.migrate.changelog import bump
from headspec.migrate.groups import Survey, survey
from headspec.migrate.imports import add_imports
from headspec.migrate.known import KNOWN
from headspec.migrate.magics import mask
from headspec.migrate.moves import Moves, make_moves
from headspec.migrate.namespace import Program
from headspec.migrate.notebook_file import Cell, Notebook, read_notebook
from headspec.migrate.orphans import fewer, sweep
from headspec.migrate.plan import Plan, make_plan
from headspec.migrate.report import Report
from headspec.migrate.rewrite import Edits, rewrite
from headspec.migrate.script_file import Script, read_script
from headspec.text import listing


class Unsafe(HeadspecError):
    """The result did not pass a check; the file is left as it is."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A migrated document: its bytes, its changed cells, and the report."""

    data: bytes
    texts: dict[int, str]
    document: Notebook | Script
    report: Report


def read(data: bytes, *, script: bool) -> Notebook | Script:
    """Read the bytes of a notebook or of a Python file."""
    return read_script(data) if script else read_notebook(data)


def migrate_bytes(
    data: bytes,
    *,
    script: bool = False,
    folder: Path | None = None,
    now: dt.datetime | None = None,
    version: bool = True,
) -> Result:
    """Move the plotting code of one notebook or Python file over to headspec.

    Parameters
    ----------
    data
        The bytes of the file.
    script
        Whether they are a Python file.
    folder
        Where the file lies: modules that it imports functions of old from are looked up there.
    now
        The time that a changelog entry with a date gets; the present by default.
    version
        Whether the notebook's version is counted up and its changelog continued.

    Returns
    -------
    Result
        The new bytes, equal to the old ones if there was nothing to do.

    Raises
    ------
    DataError
        If the bytes are no notebook, or no Python file.
    Unsafe
        If the result does not pass its checks.
    """
    document = read(data, script=script)
    report = Report()
    if document.language != "python":
        report.notes.append(f"the notebook is written in {document.language}, not Python")
        return Result(data, {}, document, report)
    cells = list(document.cells)
    program = Program.read(cells, script=script)
    texts, moves = _settle(cells, program, folder, report)
    if texts:
        report.status = "changed"
        report.notes += [
            f"cell {cell.number} installs packages: headspec has to be among them"
            for cell in program.cells
            if any(re.search(r"\b(?:pip|conda)\b.*\binstall\b", line) for line in cell.masked.lines.values())
        ]
        if version and not script:
            texts = _count_up(cells, program, texts, moves, report, now or dt.datetime.now())
    after = Program.read(_with(cells, texts), script=script, known=[program])
    report.plots = reporting.bare_plots(after)
    report.unread = reporting.unread(program, cells)
    report.left += reporting.measures(program)
    new = document.render(texts)
    _check(document, program, after, texts, new)
    if not texts and new != data:
        raise Unsafe("the file does not survive being read and written")
    return Result(new, texts, document, report)


def _with(cells: list[Cell], texts: Mapping[int, str]) -> list[Cell]:
    return [dataclasses.replace(cell, text=texts.get(cell.number, cell.text)) for cell in cells]


def _settle(cells: list[Cell], program: Program, folder: Path | None, report: Report) -> tuple[dict[int, str], Moves]:
    """Move code over until nothing more changes: what a second run would do is done by the first."""
    texts: dict[int, str] = {}
    whole = Moves()
    for _ in range(6):
        current = _with(cells, texts)
        program = Program.read(current, script=program.script, known=[program])
        found = survey(program, folder)
        plan = make_plan(program, found)
        step, moves = _step(program, plan, current, report)
        if not step:
            report.left = [*_left(found), *found.left]
            return texts, whole
        texts.update(step)
        whole.used |= moves.used
        whole.saves |= moves.saves
        whole.removed += moves.removed
        report.removed += moves.removed
        report.updated += moves.updated
        report.notes += moves.notes
    raise Unsafe("the changes did not come to an end")


def _left(found: Survey) -> list[tuple[str, str, str]]:
    left = []
    for group in found.groups:
        if not group.reasons or (group.ready and not group.definitions):
            continue
        places = [
            f"cell {one.cell.number}, line {one.cell.line(one.node)}" for one in group.own if one.cell and one.node
        ]
        places += [f"cell {site.cell.number}, import from {site.module}" for site in group.imports]
        places += [group.calls[0].where] if not places and group.calls else []
        left.append((group.name, "; ".join(places), "; ".join(group.reasons)))
    return left


def _step(program: Program, plan: Plan, cells: list[Cell], report: Report) -> tuple[dict[int, str], Moves]:
    def read(known: Program) -> Program:
        return Program.read(_with(cells, texts), script=program.script, known=[known, program])

    moves = make_moves(program, plan)
    by_number = {cell.number: cell for cell in program.cells}
    texts = _apply(by_number, moves.edits)
    if not texts:
        return {}, moves
    after = read(program)
    _lost(program, after)
    imported_in = _import(program, plan, after, moves, report)
    if imported_in is not None:
        texts[imported_in[0]] = imported_in[1]
        after = read(after)
    modules = {site.module for group in plan.groups for site in group.imports}
    modules |= {group.module for group in plan.groups if group.module is not None}
    names = fewer(program, after)
    for _ in range(20):
        edits, removed = sweep(after, names, modules)
        more = _apply({cell.number: cell for cell in after.cells}, edits)
        if not more:
            break
        texts.update(more)
        moves.removed += removed
        before, after = after, read(after)
        _lost(before, after)
        names |= fewer(before, after)
    old = {cell.number: cell.text for cell in cells}
    return {number: text for number, text in texts.items() if text != old[number]}, moves


def _apply(cells: Mapping[int, CodeCell], edits: Mapping[int, Edits]) -> dict[int, str]:
    texts = {}
    for number, change in edits.items():
        if change:
            text = rewrite(cells[number], change)
            if text != cells[number].text:
                texts[number] = text
    return texts


def _import(before: Program, plan: Plan, after: Program, moves: Moves, report: Report) -> tuple[int, str] | None:
    """Import what the code now uses; also what cells that are not read will call once they do."""
    going = {group.name for group in plan.groups if not group.ready and group.owner is None}
    also = [unread.number for name in going for unread in before.mentions(name) if not unread.foreign]
    names = {
        name
        for name in going | moves.used
        if any(_reads(cell, name) for cell in after.cells) or any(True for _ in before.mentions(name))
    }
    if before.script:
        # Other files may import the function from this one.
        names |= {group.name for group in plan.groups if group.own and group.owner is None}
    added = add_imports(after, before, names, module=moves.saves, also=min(also, default=None))
    if added is not None:
        wanted = [*(["headspec"] if moves.saves else []), *sorted(names)]
        report.imported = f"{listing(wanted)} (cell {added[0]})"
    return added


def _reads(cell: CodeCell, name: str) -> bool:
    return any(
        not isinstance(cell.parent(node), (cst.Attribute, cst.Param))
        and not (isinstance(cell.parent(node), cst.Arg) and getattr(cell.parent(node), "keyword", None) is node)
        for node in cell.names.get(name, ())
    )


def _count_up(
    cells: list[Cell], known: Program, texts: dict[int, str], moves: Moves, report: Report, now: dt.datetime
) -> dict[int, str]:
    current = _with(cells, texts)
    program = Program.read(current, known=[known])
    result = bump(current, {cell.number: cell for cell in program.cells}, _entry_lines(moves), now)
    report.notes += result.notes
    report.entry = result.entry
    if result.old is not None and result.new is not None:
        report.version = (result.old, result.new)
    return {**texts, **result.texts}


def _entry_lines(moves: Moves) -> list[str]:
    names = [name for name in KNOWN if name in moves.used or any(name == one for one, _ in moves.removed)]
    lines = [f"Plots are drawn with headspec: {listing((f'`{name}`' for name in names), limit=12)}"]
    gone = [name for name in names if any(one == name and "definition" in what for one, what in moves.removed)]
    if gone:
        noun = "definition" if len(gone) == 1 else "definitions"
        lines.append(f"Removed the inline matplotlib {noun} of {listing((f'`{name}`' for name in gone), limit=12)}")
    return lines


# -- checks --------------------------------------------------------------------------------------------------------


def _check(document: Notebook | Script, before: Program, after: Program, texts: Mapping[int, str], new: bytes) -> None:
    """Refuse a result in which anything but the changed sources differs, or that parses less than before."""
    script = isinstance(document, Script)
    again = read(new, script=script)
    old_cells = {cell.number: cell for cell in document.cells}
    if len(again.cells) != len(document.cells):
        raise Unsafe("the number of cells would change")
    for cell in again.cells:
        expected = texts.get(cell.number, old_cells[cell.number].text)
        if cell.text != expected or cell.kind != old_cells[cell.number].kind:
            raise Unsafe(f"cell {cell.number} would not read as it was written")
    if isinstance(document, Notebook) and isinstance(again, Notebook):
        if document.outside() != again.outside():
            raise Unsafe("text outside the sources would change")
        if _without_sources(document, texts) != _without_sources(again, texts):
            raise Unsafe("the notebook's JSON would differ outside the changed sources")
    readable = {cell.number for cell in after.cells}
    for code in before.cells:
        if code.number not in readable or not parses(_code(again.cells[code.number - 1], script)):
            raise Unsafe(f"cell {code.number} would no longer parse")
    _lost(before, after)


def _code(cell: Cell, script: bool) -> str:
    return cell.text if script else mask(cell.text).code


def _without_sources(notebook: Notebook, texts: Mapping[int, str]) -> Any:
    content = json.loads(notebook.text)
    if isinstance(content.get("cells"), list):
        lists = [content["cells"]]
    else:
        sheets = [sheet for sheet in content.get("worksheets", ()) if isinstance(sheet, dict)]
        lists = [sheet["cells"] for sheet in sheets if isinstance(sheet.get("cells"), list)]
    number = 0
    for cells in lists:
        for cell in cells:
            number += 1
            if number in texts and isinstance(cell, dict):
                cell.pop("input" if cell.get("cell_type") == "code" and "source" not in cell else "source", None)
    return json.dumps(content)


def _lost(before: Program, after: Program) -> None:
    """Refuse a result that reads a name which nothing sets any more."""
    for name in sorted(before.globals - after.globals - set(KNOWN)):
        for cell in after.cells:
            if any(_global_read(cell, node) for node in cell.names.get(name, ())):
                raise Unsafe(f"cell {cell.number} would use {name}, which nothing would define any more")


def _global_read(cell: CodeCell, node: Any) -> bool:
    parent = cell.parent(node)
    if isinstance(parent, cst.Attribute) and parent.attr is node:
        return False
    if isinstance(parent, cst.Arg) and parent.keyword is node:
        return False
    return cell.owner(node, node.value) is None and not isinstance(parent, (cst.Param, cst.AssignTarget))
