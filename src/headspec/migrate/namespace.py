"""A notebook as one program: its cells in order, what its names stand for, and the text that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import libcst as cst

from headspec.migrate.cells import CodeCell, dotted, literal, root, walk
from headspec.migrate.known import AMBIGUOUS, DRAWING, KNOWN
from headspec.migrate.magics import Masked, mask
from headspec.migrate.notebook_file import Cell

# What these names mean where no import says so: the cell with the import may not parse, or %pylab stands for it.
_CUSTOM = {
    "plt": "matplotlib.pyplot",
    "sns": "seaborn",
    "mpl": "matplotlib",
    "matplotlib": "matplotlib",
    "np": "numpy",
    "torch": "torch",
    "pd": "pandas",
    "os": "os",
    "math": "math",
}

_PYPLOT = ("matplotlib.pyplot.", "pylab.", "matplotlib.pylab.")


@dataclass(frozen=True)
class Unread:
    """A code cell that is not read as Python."""

    number: int
    text: str
    why: str
    foreign: bool = False


@dataclass
class Program:
    """The code cells of a notebook or script."""

    cells: list[CodeCell]
    unread: list[Unread] = field(default_factory=list)
    script: bool = False

    @classmethod
    def read(cls, cells: Iterable[Cell], *, script: bool = False, known: Iterable[Program] = ()) -> Program:
        """Parse the code cells, and keep those that do not parse aside.

        Parameters
        ----------
        cells
            All cells.
        script
            Whether the one cell is a Python file, in which nothing is IPython's.
        known
            Programs whose cells need not be parsed again where the text is the same.
        """
        program = cls([], script=script)
        parsed = {(cell.number, cell.text): cell for other in known for cell in other.cells}
        for cell in cells:
            if cell.kind != "code":
                continue
            read = parsed.get((cell.number, cell.text))
            if read is None:
                masked = Masked(cell.text) if script else mask(cell.text)
                if masked.opaque:
                    program.unread.append(Unread(cell.number, cell.text, f"%%{masked.cell_magic}", masked.foreign))
                    continue
                read = CodeCell.read(cell.number, cell.text, masked)
            if read is None:
                program.unread.append(Unread(cell.number, cell.text, "does not parse"))
            else:
                program.cells.append(read)
        return program

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What an imported name stands for: ``plt`` for ``matplotlib.pyplot``."""
        found = dict(_CUSTOM)
        for cell in self.cells:
            for node in cell.imports:
                found.update({bound: full for bound, full, _ in imported(node)})
        return found

    @cached_property
    def functions(self) -> dict[str, list[tuple[CodeCell, cst.FunctionDef]]]:
        """The functions that stand in no other function and in no class, by name."""
        found: dict[str, list[tuple[CodeCell, cst.FunctionDef]]] = {}
        for cell in self.cells:
            for node in cell.outer:
                if isinstance(node, cst.FunctionDef):
                    found.setdefault(node.name.value, []).append((cell, node))
        return found

    def resolve(self, node: cst.CSTNode) -> str | None:
        """Return the full name of ``plt.imshow`` and the like, or None if it does not start from an import."""
        parts = dotted(node)
        if parts is None or parts[0] not in self.aliases:
            return None
        return ".".join([self.aliases[parts[0]], *parts[1:]])

    def pyplot(self, node: cst.CSTNode) -> str | None:
        """Return ``show`` for ``plt.show``, or None for anything that is not pyplot's."""
        full = self.resolve(node)
        if full is None:
            return None
        return next((full[len(start) :] for start in _PYPLOT if full.startswith(start)), None)

    def draws(self, call: cst.Call) -> bool:
        """Tell whether a call of a method draws, as far as its name and its object tell."""
        if not isinstance(call.func, cst.Attribute) or call.func.attr.value not in DRAWING:
            return False
        start = root(call.func)
        named = start is not None and re.match(r"(?:ax|axs|axes|fig|subfig|g)\d*(?:_|$)", start.value) is not None
        return call.func.attr.value not in AMBIGUOUS or named

    @cached_property
    def plotters(self) -> frozenset[str]:
        """The names of functions of the notebook that draw, by themselves or through one another."""
        found: set[str] = set()
        while True:
            more = {
                name
                for name, places in self.functions.items()
                if name not in found and any(self._draws(node, found) for _, node in places)
            }
            if not more:
                return frozenset(found)
            found |= more

    @cached_property
    def overlays(self) -> frozenset[str]:
        """The plotters that open no figure of their own and so draw into the current one."""
        own: set[str] = set()
        while True:
            more = {
                name
                for name, places in self.functions.items()
                if name not in own and all(self._opens(node, own) for _, node in places)
            }
            if not more:
                return self.plotters - own
            own |= more

    @cached_property
    def showers(self) -> frozenset[str]:
        """The functions that show or close every figure that is open, by themselves or through one another."""
        found: set[str] = set()
        while True:
            more = {
                name
                for name, places in self.functions.items()
                if name not in found and name not in KNOWN and any(self._shows(node, found) for _, node in places)
            }
            if not more:
                return frozenset(found)
            found |= more

    def _shows(self, function: cst.FunctionDef, known: set[str]) -> bool:
        for node in walk(function.body):
            if isinstance(node, cst.Call):
                name = self.pyplot(node.func)
                if name == "show" or (
                    name == "close" and any(isinstance(a.value, cst.SimpleString) for a in node.args)
                ):
                    return True
                if isinstance(node.func, cst.Name) and node.func.value in known:
                    return True
        return False

    def _opens(self, function: cst.FunctionDef, known: set[str]) -> bool:
        return any(
            isinstance(node, cst.Call)
            and (
                self.pyplot(node.func) in ("figure", "subplots", "subplot_mosaic")
                or (isinstance(node.func, cst.Name) and node.func.value in known)
            )
            for node in walk(function.body)
        )

    def _draws(self, function: cst.FunctionDef, known: set[str]) -> bool:
        for node in walk(function.body):
            if isinstance(node, cst.Call):
                full = self.resolve(node.func) or ""
                if full.startswith((*_PYPLOT, "seaborn.", "matplotlib.")):
                    return True
                if isinstance(node.func, cst.Name) and node.func.value in known:
                    return True
        return False

    @cached_property
    def bound(self) -> dict[str, list[cst.BaseExpression | None]]:
        """The names that statements outside functions assign to, with the values (None: not a plain assignment)."""
        found: dict[str, list[cst.BaseExpression | None]] = {}
        for cell in self.cells:
            for node in cell.outer:
                for name, value in _assigned(node):
                    found.setdefault(name, []).append(value)
        return found

    @cached_property
    def globals(self) -> frozenset[str]:
        """All names that the notebook sets outside functions."""
        names = set(self.bound)
        for cell in self.cells:
            for node in cell.outer:
                if isinstance(node, (cst.Import, cst.ImportFrom)):
                    names |= {name for name, _, _ in imported(node)}
        return frozenset(names)

    def constant(self, name: str) -> bool:
        """Tell whether a name is only ever a written-out value."""
        values = self.bound.get(name)
        return bool(values) and all(value is not None and literal(value) for value in values or ())

    def mentions(self, name: str) -> Iterator[Unread]:
        """Yield the cells that are not read and hold a word."""
        word = re.compile(rf"\b{re.escape(name)}\b")
        return (cell for cell in self.unread if word.search(cell.text))

    def magic_mentions(self, name: str) -> Iterator[tuple[CodeCell, str]]:
        """Yield the magics and shell lines that hold a word."""
        word = re.compile(rf"\b{re.escape(name)}\b")
        for cell in self.cells:
            for text in cell.masked.lines.values():
                if word.search(text):
                    yield cell, text.strip().splitlines()[0]


def _assigned(node: cst.CSTNode) -> Iterator[tuple[str, cst.BaseExpression | None]]:
    if isinstance(node, cst.Assign):
        for target in node.targets:
            if isinstance(target.target, cst.Name):
                yield target.target.value, node.value
            else:
                yield from ((name, None) for name in stored(target.target))
    elif isinstance(node, cst.AnnAssign) and isinstance(node.target, cst.Name):
        yield node.target.value, node.value
    elif isinstance(node, (cst.AugAssign, cst.For, cst.NamedExpr)):
        yield from ((name, None) for name in stored(node.target))
    elif isinstance(node, cst.WithItem) and node.asname is not None:
        yield from ((name, None) for name in stored(node.asname.name))
    elif isinstance(node, (cst.FunctionDef, cst.ClassDef)):
        yield node.name.value, None


def stored(target: cst.CSTNode) -> list[str]:
    """Return the names that an assignment to a target sets."""
    return [part.value for part in walk(target, skip=(cst.Attribute, cst.Subscript)) if isinstance(part, cst.Name)]


def imported(node: cst.Import | cst.ImportFrom) -> list[tuple[str, str, cst.ImportAlias]]:
    """Return what an import binds: name, full name and the part of the statement; a star binds nothing known."""
    found = []
    if isinstance(node, cst.Import):
        for alias in node.names:
            parts = dotted(alias.name) or [""]
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                found.append((alias.asname.name.value, ".".join(parts), alias))
            else:
                found.append((parts[0], parts[0], alias))
    elif not isinstance(node.names, cst.ImportStar):
        for alias in node.names:
            name = alias.name.value if isinstance(alias.name, cst.Name) else ""
            bound = alias.asname.name if alias.asname is not None else alias.name
            if isinstance(bound, cst.Name):
                found.append((bound.value, f"{module_of(node)}.{name}", alias))
    return found


def module_of(node: cst.ImportFrom) -> str:
    """Return the module of a from-import, with its leading dots."""
    parts = dotted(node.module) if node.module is not None else []
    return "." * len(node.relative) + ".".join(parts or [])
