"""The functions of old in a notebook: where each is defined or imported, and every place that names it."""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import libcst as cst
from libcst.metadata import Scope

from headspec.errors import DataError
from headspec.migrate.cells import CodeCell, dotted, parse
from headspec.migrate.definitions import Definition, judge, legacy
from headspec.migrate.known import KNOWN
from headspec.migrate.magics import Masked
from headspec.migrate.namespace import Program, imported, module_of
from headspec.migrate.results import ChartCall, place
from headspec.migrate.script_file import read_script


@dataclass(eq=False)
class ImportSite:
    """One name that an import statement brings."""

    cell: CodeCell
    statement: cst.Import | cst.ImportFrom
    alias: cst.ImportAlias
    module: str


@dataclass(eq=False)
class Group:
    """All that one name means in one scope: the definitions and imports that bind it, and its calls."""

    name: str
    local: str
    owner: Scope | None = None
    module: str | None = None
    ready: bool = False
    definitions: list[Definition] = field(default_factory=list)
    imports: list[ImportSite] = field(default_factory=list)
    calls: list[ChartCall] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def refuse(self, why: str) -> None:
        """Note a reason, once."""
        if why not in self.reasons:
            self.reasons.append(why)

    @property
    def own(self) -> list[Definition]:
        """The definitions that stand in the notebook itself."""
        return [one for one in self.definitions if one.cell is not None and one.cell.number > 0]


@dataclass
class Survey:
    """What a notebook holds: groups that may be moved over, and what is left with its reason."""

    groups: list[Group] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)


def survey(program: Program, folder: Path | None = None) -> Survey:
    """Find every function of old in a notebook.

    Parameters
    ----------
    program
        The notebook.
    folder
        Where it lies; modules that it imports from are looked for there and in the folders above.
    """
    found = Survey()
    groups: dict[tuple[object, ...], Group] = {}
    for cell in program.cells:
        for node in cell.nodes:
            if isinstance(node, cst.FunctionDef) and node.name.value in KNOWN:
                _definition(program, cell, node, groups, found)
            elif isinstance(node, cst.ImportFrom):
                _from_import(cell, node, groups)
            elif isinstance(node, cst.Attribute) and node.attr.value in KNOWN:
                _attribute(program, cell, node, groups)
    for group in groups.values():
        if group.module is None:
            _names(program, group)
        _outside(program, group, folder)
        _texts(program, group)
    found.groups = list(groups.values())
    _unbound(program, found)
    return found


def _group(groups: dict[tuple[object, ...], Group], name: str, local: str, owner: Scope | None) -> Group:
    return groups.setdefault((owner, local), Group(name, local, owner))


def _definition(
    program: Program,
    cell: CodeCell,
    node: cst.FunctionDef,
    groups: dict[tuple[object, ...], Group],
    found: Survey,
) -> None:
    name = node.name.value
    holder = next((up for up in cell.above(node) if isinstance(up, (cst.ClassDef, cst.FunctionDef))), None)
    if isinstance(holder, cst.ClassDef):
        found.left.append((name, place(cell, node), f"it is a method of {holder.name.value}"))
        return
    group = _group(groups, name, name, cell.owner(node, name))
    group.definitions.append(judge(program, cell, node, KNOWN[name]))


def _from_import(cell: CodeCell, node: cst.ImportFrom, groups: dict[tuple[object, ...], Group]) -> None:
    module = module_of(node)
    for bound, full, alias in imported(node):
        name = full.rsplit(".", 1)[-1]
        if name not in KNOWN:
            continue
        group = _group(groups, name, bound, cell.owner(node, bound))
        if module == "headspec" or module.startswith("headspec."):
            group.ready = True
        else:
            group.imports.append(ImportSite(cell, node, alias, module))


def _attribute(program: Program, cell: CodeCell, node: cst.Attribute, groups: dict[tuple[object, ...], Group]) -> None:
    """Take up ``utils.plots.visualize_…``; the attribute of an object is its own affair."""
    parts = dotted(node.value)
    if parts is None or not any(parts[0] in (bound for bound, _, _ in _imports(one)) for one in program.cells):
        return
    module = program.resolve(node.value)
    if module is None:
        return
    name = node.attr.value
    group = groups.setdefault(("module", module, name), Group(name, name, module=module))
    group.ready = module == "headspec" or module.startswith("headspec.")
    parent = cell.parent(node)
    if isinstance(parent, cst.Call) and parent.func is node:
        group.calls.append(ChartCall(cell, parent, name, KNOWN[name]))
    else:
        group.refuse(f"it is handed on as a value ({place(cell, node)})")


def _imports(cell: CodeCell) -> list[tuple[str, str, cst.ImportAlias]]:
    found = []
    for node in cell.imports:
        found += imported(node)
    return found


def _names(program: Program, group: Group) -> None:
    """Account for every place where the name of a group stands."""
    for cell in program.cells:
        for node in cell.names.get(group.local, ()):
            parent = cell.parent(node)
            if isinstance(parent, cst.Attribute) and parent.attr is node:
                continue
            if isinstance(parent, cst.Arg) and parent.keyword is node:
                continue
            if isinstance(parent, cst.FunctionDef) and parent.name is node:
                continue
            if isinstance(parent, (cst.ImportAlias, cst.AsName)) and _is_import(cell, node):
                continue
            if cell.owner(node, group.local) is not group.owner:
                continue
            if isinstance(parent, cst.Call) and parent.func is node:
                group.calls.append(ChartCall(cell, parent, group.name, KNOWN[group.name]))
            else:
                group.refuse(f"its name is used as a value or set anew ({place(cell, node)})")


def _is_import(cell: CodeCell, node: cst.CSTNode) -> bool:
    return any(isinstance(up, cst.ImportAlias) for up in cell.above(node))


def _texts(program: Program, group: Group) -> None:
    """Refuse what cannot be seen: names in texts, in magics, and cells that run Python their own way."""
    if group.owner is not None:
        return
    for cell in program.cells:
        for node in cell.texts:
            if (
                group.local in node.value
                and _is_code(node.evaluated_value, group.local)
                and not isinstance(cell.parent(node), (cst.Comparison, cst.Expr))
            ):
                group.refuse(f"its name stands in a text ({place(cell, node)})")
    for cell, line in program.magic_mentions(group.local):
        group.refuse(f"a magic uses it (cell {cell.number}: {line})")
    for unread in program.mentions(group.local):
        if unread.why.startswith("%%") and not unread.foreign:
            group.refuse(f"cell {unread.number} uses it under {unread.why}")


def _is_code(text: str | bytes, name: str) -> bool:
    """Tell whether a text is Python that uses a name: for eval, exec, timeit or globals()[…]."""
    try:
        tree = ast.parse(textwrap.dedent(text) if isinstance(text, str) else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def _outside(program: Program, group: Group, folder: Path | None) -> None:
    """Find the definitions behind imports, or assume the function of old where there are none at hand."""
    known = KNOWN[group.name]
    modules = {site.module for site in group.imports} | ({group.module} if group.module else set())
    if group.ready:
        if group.definitions or group.imports:
            group.refuse("it is imported from headspec and bound to something else as well")
        group.definitions = [legacy(known)]
        return
    for module in sorted(modules):
        outside = _look_up(module, group.name, folder)
        group.definitions.append(outside or legacy(known))
    if not group.definitions:
        return
    if modules and not group.calls and not group.own:
        group.refuse("it is imported and never called, so nothing shows what it is")
    for definition in group.definitions:
        for why in definition.reasons:
            group.refuse(why)
    if program.script and group.own and group.owner is None and not group.calls:
        group.refuse("nothing in this file calls it, and other files may import it")


def _look_up(module: str, name: str, folder: Path | None) -> Definition | None:
    """Return the definition in the file of a module, if the file lies near the notebook."""
    if folder is None:
        return None
    dots = len(module) - len(module.lstrip("."))
    relative = Path(*module.lstrip(".").split(".")) if module.strip(".") else None
    if relative is None:
        return None
    places = [folder, *folder.parents][: dots if dots else 5]
    for base in places[dots - 1 :] if dots else places:
        for path in (base / relative.with_suffix(".py"), base / relative / "__init__.py"):
            definition = _in_file(path, name)
            if definition is not None:
                return definition
    return None


def _in_file(path: Path, name: str) -> Definition | None:
    try:
        if not path.is_file() or path.stat().st_size > 2_000_000:
            return None
        text = read_script(path.read_bytes()).cells[0].text
    except (OSError, DataError):
        return None
    module = parse(text) if name in text else None
    if module is None:
        return None
    # Cell 0 is no cell of the notebook: what is in it is read and never changed.
    program = Program([CodeCell(0, text, Masked(text), module)], script=True)
    places = program.functions.get(name, ())
    return judge(program, *places[-1], KNOWN[name]) if places else None


def _unbound(program: Program, found: Survey) -> None:
    """Report calls of functions that no readable cell defines."""
    bound = {group.local for group in found.groups if group.definitions}
    for name in KNOWN:
        if name in bound:
            continue
        for cell in program.cells:
            for node in cell.names.get(name, ()):
                parent = cell.parent(node)
                if isinstance(parent, cst.Call) and parent.func is node:
                    why = "it is called here, and nothing that can be read defines it"
                    if name in program.bound:
                        why = "it is set to something that is no definition of a function"
                    if any(True for _ in program.mentions(name)):
                        numbers = ", ".join(str(unread.number) for unread in program.mentions(name))
                        why += f" (cell {numbers} does, and does not parse)"
                    found.left.append((name, place(cell, node), why))
                    break
