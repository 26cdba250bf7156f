"""What only the removed code needed: helpers, constants and imports that nothing names any more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import libcst as cst

from headspec.migrate.cells import CodeCell, literal
from headspec.migrate.known import words
from headspec.migrate.namespace import Program, imported, module_of
from headspec.migrate.pieces import without_aliases
from headspec.migrate.results import place
from headspec.migrate.rewrite import Edits

# Modules whose import does nothing that a notebook could count on.
_QUIET = words(
    "matplotlib mpl_toolkits seaborn numpy pandas torch math typing typing_extensions itertools functools collections "
    "io base64 textwrap string colorsys warnings os pathlib operator statistics copy scipy time datetime"
)


def fewer(old: Program, new: Program) -> set[str]:
    """Return the names that stand less often in the new code than in the old."""
    after = _count(new)
    return {name for name, count in _count(old).items() if count > after[name]}


def _count(program: Program) -> Counter[str]:
    total: Counter[str] = Counter()
    for cell in program.cells:
        total.update({name: len(places) for name, places in cell.names.items()})
    return total


def sweep(
    program: Program, names: Iterable[str], replaced: Iterable[str]
) -> tuple[dict[int, Edits], list[tuple[str, str]]]:
    """Find what goes because only removed code used it.

    Parameters
    ----------
    program
        The notebook after the removal.
    names
        Names that stood in the removed code.
    replaced
        Modules of old whose functions were replaced: their import goes too.

    Returns
    -------
    tuple of dict and list
        The changes by cell, and what they are with its place.
    """
    edits: dict[int, Edits] = {}
    removed: list[tuple[str, str]] = []
    modules = tuple(replaced)
    aliases: dict[cst.CSTNode, set[int]] = {}
    for name in sorted(set(names)):
        if name.startswith("__") or _used(program, name):
            continue
        places = _bindings(program, name, modules)
        for cell, node, alias in places or ():
            cell_edits = edits.setdefault(cell.number, Edits())
            if isinstance(node, cst.FunctionDef):
                cell_edits.removed.add(node)
            elif isinstance(node, (cst.Import, cst.ImportFrom)):
                gone = aliases.setdefault(node, set())
                gone.add(id(alias))
                cell_edits.small[node] = without_aliases(cell, node, gone)
            elif isinstance(node, cst.BaseSmallStatement):
                cell_edits.small[node] = []
            what = "helper" if isinstance(node, cst.FunctionDef) else "import" if alias is not None else "constant"
            removed.append((name, f"{what}, {place(cell, node)}"))
    return edits, removed


def _used(program: Program, name: str) -> bool:
    """Tell whether anything still names a global: code, texts, magics, and cells that are not read."""
    for cell in program.cells:
        for node in cell.names.get(name, ()):
            if _is_use(cell, node, name):
                return True
        if any(re.search(rf"\b{re.escape(name)}\b", text) for text in cell.masked.lines.values()):
            return True
    if any(not unread.foreign for unread in program.mentions(name)):
        return True
    return any(_in_text(cell, name) for cell in program.cells)


def _is_use(cell: CodeCell, node: cst.Name, name: str) -> bool:
    parent = cell.parent(node)
    if isinstance(parent, cst.Attribute) and parent.attr is node:
        return False
    if isinstance(parent, cst.Arg) and parent.keyword is node:
        return False
    if any(isinstance(up, (cst.Import, cst.ImportFrom)) for up in cell.above(node)):
        return False
    if cell.owner(node, name) is not None:
        return False
    if isinstance(parent, cst.FunctionDef) and parent.name is node:
        return False
    return not isinstance(parent, (cst.AssignTarget, cst.Param))


def _in_text(cell: CodeCell, name: str) -> bool:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(word.search(node.value) and not isinstance(cell.parent(node), cst.Expr) for node in cell.texts)


_Place = tuple[CodeCell, cst.CSTNode, cst.ImportAlias | None]


def _bindings(program: Program, name: str, modules: tuple[str, ...]) -> list[_Place] | None:
    """Return what binds a name, if all of it can go; None if any of it has to stay."""
    found: list[_Place] = []
    for cell in program.cells:
        top = {id(part) for line in cell.module.body if isinstance(line, cst.SimpleStatementLine) for part in line.body}
        for node in cell.names.get(name, ()):
            parent = cell.parent(node)
            if cell.owner(node, name) is not None or (isinstance(parent, cst.Attribute) and parent.attr is node):
                continue
            holder = next((up for up in cell.above(node) if isinstance(up, (cst.Import, cst.ImportFrom))), None)
            if holder is not None:
                alias = _alias(holder, name)
                if alias is None:
                    continue
                if id(holder) not in top or not _quiet(holder, alias, modules):
                    return None
                found.append((cell, holder, alias))
            elif isinstance(parent, cst.FunctionDef) and parent.name is node:
                private = not program.script or name.startswith("_")
                if parent.decorators or not private or isinstance(_class(cell, parent), cst.ClassDef):
                    return None
                found.append((cell, parent, None))
            elif isinstance(parent, cst.AssignTarget):
                holder_ = cell.parent(parent)
                plain = isinstance(holder_, cst.Assign) and len(holder_.targets) == 1 and literal(holder_.value)
                if not plain or id(holder_) not in top or (program.script and not name.startswith("_")):
                    return None
                if isinstance(holder_, cst.Assign):
                    found.append((cell, holder_, None))
    return found


def _class(cell: CodeCell, node: cst.FunctionDef) -> cst.CSTNode | None:
    return next((up for up in cell.above(node) if isinstance(up, (cst.ClassDef, cst.FunctionDef))), None)


def _alias(node: cst.Import | cst.ImportFrom, name: str) -> cst.ImportAlias | None:
    return next((alias for bound, _, alias in imported(node) if bound == name), None)


def _quiet(node: cst.Import | cst.ImportFrom, alias: cst.ImportAlias, modules: tuple[str, ...]) -> bool:
    full = module_of(node) if isinstance(node, cst.ImportFrom) else ""
    if any(one is alias and text in modules for _, text, one in imported(node)):
        return True
    if isinstance(node, cst.Import):
        full = next((text for _, text, one in imported(node) if one is alias), "")
        written = cst.Module([]).code_for_node(alias.name)
        if written in modules or any(module == full or module.startswith(full + ".") for module in modules):
            return True
    return full.split(".")[0] in _QUIET or full in modules
