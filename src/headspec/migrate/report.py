"""What was done to each file, what was left and why, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.cells import walk
from headspec.migrate.known import DRAWING, KNOWN, MEASURES, MENTION
from headspec.migrate.namespace import Program
from headspec.migrate.notebook_file import Cell
from headspec.text import clean, count


@dataclass
class Report:
    """One file: what happened, and what a person should know."""

    path: str = ""
    status: str = "unchanged"
    removed: list[tuple[str, str]] = field(default_factory=list)
    updated: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)
    plots: list[tuple[str, str]] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    imported: str | None = None
    version: tuple[str, str] | None = None
    entry: str | None = None
    backup: str | None = None
    error: str | None = None

    def text(self, *, would: bool = False) -> str:
        """Return the report as lines.

        Parameters
        ----------
        would
            Whether nothing was written: the report then says what would happen.
        """
        if self.error is not None:
            return f"{clean(self.path)}: {clean(self.error)}"
        status = {"changed": "would be migrated" if would else "migrated"}.get(self.status, self.status)
        lines = [f"{clean(self.path)}: {status}"]
        lines += [f"  removed  {name} ({where})" for name, where in self.removed]
        lines += [f"  updated  {name} ({where})" for name, where in dict.fromkeys(self.updated)]
        if self.imported:
            lines.append(f"  imported {self.imported}")
        if self.version:
            lines.append(f"  version  {self.version[0]} → {self.version[1]}")
        if self.entry:
            lines.append(f"  changelog {self.entry.strip()}")
        lines += [f"  left     {name} ({where}): {why}" for name, where, why in self.left]
        if self.plots:
            lines.append(
                f"  matplotlib plots that are no functions ({count(len(self.plots), 'place')}), left as they are:"
            )
            lines += [f"           {where}: {what}" for where, what in self.plots]
        lines += [f"  not read {where}: {why}" for where, why in self.unread]
        lines += [f"  note     {note}" for note in dict.fromkeys(self.notes)]
        if self.backup:
            lines.append(f"  backup   {self.backup}")
        return "\n".join(clean(line) for line in lines)


def bare_plots(program: Program) -> list[tuple[str, str]]:
    """Return the matplotlib plots that stand in no function of headspec's names: cell, line and calls."""
    found: list[tuple[str, str]] = []
    for cell in program.cells:
        starts: list[tuple[int, str]] = []
        for node in walk(cell.module, skip=(cst.ClassDef,)):
            if not isinstance(node, cst.Call):
                continue
            what = _drawn(program, node)
            inside = what and any(isinstance(up, cst.FunctionDef) and up.name.value in KNOWN for up in cell.above(node))
            if what is not None and not inside:
                starts.append((cell.line(node), what))
        figures: list[tuple[int, list[str]]] = []
        for line, what in sorted(starts, key=lambda start: start[0]):
            opens = what in ("plt.figure", "plt.subplots", "plt.subplot_mosaic")
            if (
                opens
                or not figures
                or (figures[-1][1][-1] not in ("plt.figure", "plt.subplots") and line > figures[-1][0] + 40)
            ):
                figures.append((line, [what]))
            elif what not in figures[-1][1]:
                figures[-1][1].append(what)
        for line, calls in figures:
            if any(call.rsplit(".", 1)[-1] in DRAWING for call in calls):
                found.append((f"cell {cell.number}, line {line}", ", ".join(calls)))
    return found


def _drawn(program: Program, node: cst.Call) -> str | None:
    name = program.pyplot(node.func)
    if name in DRAWING or name in ("figure", "subplots", "subplot_mosaic"):
        return f"plt.{name}"
    full = program.resolve(node.func) or ""
    last = full.rsplit(".", 1)[-1]
    if full.startswith("seaborn.") and last in DRAWING:
        return f"sns.{last}"
    if isinstance(node.func, cst.Attribute) and not full and program.draws(node):
        return f".{node.func.attr.value}"
    return None


def unread(program: Program, cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """Return the cells that are not read, with the reason, and cells whose text is not what it seems."""
    found: list[tuple[str, str]] = []
    for cell in program.unread:
        if cell.why == "does not parse":
            names = sorted(set(MENTION.findall(cell.text)))
            more = f"; it mentions {', '.join(names)}" if names else ""
            found.append((f"cell {cell.number}", f"does not parse{more}"))
    for one in cells:
        if one.kind == "code" and one.ragged:
            names = sorted({name for name in MENTION.findall(one.text) if f"def {name}" in one.text})
            swallowed = one.text.lstrip().startswith("#") and "\n" not in one.text.strip()
            if swallowed and names:
                why = f"its lines lack their ends, so that a comment has swallowed the definition of {', '.join(names)}"
            else:
                why = "some of its lines lack their ends"
            found.append((f"cell {one.number}", why))
    return found


def measures(program: Program) -> list[tuple[str, str, str]]:
    """Return the helpers that bear the name of a measure of headspec and are left alone."""
    found = []
    for name, gives in MEASURES.items():
        for cell, node in program.functions.get(name, ()):
            returns = [
                part
                for part in walk(node.body, skip=(cst.FunctionDef, cst.Lambda))
                if isinstance(part, cst.Return) and part.value is not None
            ]
            own = " ".join(cell.source(returns[-1].value).split())[:50] if returns and returns[-1].value else "nothing"
            why = f"headspec's {name} returns {gives}; this one returns {own}, and its callers rely on it"
            found.append((name, f"cell {cell.number}, line {cell.line(node)}", why))
    return found
