"""Whether a function only draws: everything else that its callers could rely on is a reason to keep it."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.cells import CodeCell, root, walk
from headspec.migrate.known import DRAWING
from headspec.migrate.namespace import Program, stored
from headspec.migrate.vocabulary import (
    ALLOWED,
    AXES_NAMES,
    BUILTINS,
    LOGGING,
    METHODS,
    MODULES,
    MPL,
    MUTATORS,
    REFUSED,
    SPECIAL,
)


@dataclass
class Body:
    """What the body of a function does, as far as the text tells."""

    reasons: list[str] = field(default_factory=list)
    drawn: set[str] = field(default_factory=set)
    panels: bool = False
    own_figure: bool = False
    plots: bool = False
    saves: bool = False
    makes_folders: bool = False
    helpers: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    def refuse(self, why: str) -> None:
        """Note a reason, once."""
        if why not in self.reasons:
            self.reasons.append(why)

    def absorb(self, other: Body) -> None:
        """Add what a helper does."""
        for why in other.reasons:
            self.refuse(why)
        self.drawn |= other.drawn
        self.helpers |= other.helpers
        self.texts |= other.texts
        self.panels |= other.panels
        self.own_figure |= other.own_figure
        self.plots |= other.plots
        self.saves |= other.saves
        self.makes_folders |= other.makes_folders


class Reader:
    """Reads one function and the helpers that it calls."""

    def __init__(self, program: Program, cell: CodeCell, node: cst.FunctionDef, save: frozenset[str]) -> None:
        self.program = program
        self.cell = cell
        self.node = node
        self.save = save
        self.params = {param.name.value for param in walk(node.params) if isinstance(param, cst.Param)}
        self.inner = {part.name.value for part in walk(node.body) if isinstance(part, cst.FunctionDef)}
        self.locals = self._locals()
        self.canvas = self._canvas()
        self.body = Body()

    def _locals(self) -> set[str]:
        found: set[str] = set()
        for node in walk(self.node.body):
            if isinstance(node, (cst.AssignTarget, cst.AnnAssign, cst.NamedExpr, cst.For, cst.CompFor)):
                found |= set(stored(node.target))
            elif isinstance(node, cst.AsName):
                found |= set(stored(node.name))
        return found

    def _canvas(self) -> set[str]:
        """Names of the function that hold figures, axes and what is on them."""
        found = {name for name in self.params if name in AXES_NAMES}
        while True:
            before = len(found)
            for node in walk(self.node.body):
                pairs: list[tuple[cst.CSTNode, cst.CSTNode]] = []
                if isinstance(node, cst.Assign):
                    pairs = [(target.target, node.value) for target in node.targets]
                elif isinstance(node, (cst.For, cst.CompFor)):
                    pairs = [(node.target, node.iter)]
                elif isinstance(node, cst.WithItem) and node.asname is not None:
                    pairs = [(node.asname.name, node.item)]
                for target, value in pairs:
                    if self._from_canvas(value, found):
                        found |= set(stored(target))
            if len(found) == before:
                return found

    def _from_canvas(self, value: cst.CSTNode, known: set[str]) -> bool:
        if isinstance(value, cst.IfExp):
            return self._from_canvas(value.body, known) or self._from_canvas(value.orelse, known)
        if isinstance(value, cst.BooleanOperation):
            return self._from_canvas(value.left, known) or self._from_canvas(value.right, known)
        if isinstance(value, (cst.Tuple, cst.List)):
            return any(self._from_canvas(item.value, known) for item in value.elements)
        if isinstance(value, cst.Call):
            full = self.program.resolve(value.func) or ""
            if full.startswith(MPL):
                return True
            if isinstance(value.func, cst.Name) and value.func.value in ("zip", "enumerate", "list", "reversed"):
                return any(self._from_canvas(arg.value, known) for arg in value.args)
        start = root(value)
        return start is not None and start.value in known

    def read(self, seen: frozenset[str] = frozenset()) -> Body:
        """Return what the body does; functions in ``seen`` are being read already."""
        self.seen = seen | {self.node.name.value}
        for node in walk(self.node.body):
            self._node(node)
        self._outside()
        return self.body

    def _outside(self) -> None:
        """Refuse what is read from outside and is neither code nor a written-out constant."""
        own = self.locals | self.params | self.inner
        inside = {param.name.value for param in walk(self.node.body) if isinstance(param, cst.Param)}
        for node in walk(self.node.body, skip=(cst.Annotation,)):
            if not isinstance(node, cst.Name) or node.value in own | inside or not self._is_read(node):
                continue
            name = node.value
            known = name in self.program.aliases or name in self.program.functions or name in BUILTINS
            if not known and name not in SPECIAL and not self.program.constant(name):
                self.body.refuse(f"it reads {name}, which lives outside it")

    def _is_read(self, node: cst.Name) -> bool:
        parent = self.cell.parent(node)
        if isinstance(parent, cst.Attribute):
            return parent.value is node
        if isinstance(parent, cst.Arg):
            return parent.keyword is not node
        if isinstance(parent, cst.Call) and parent.func is node:
            return False
        return not isinstance(parent, (cst.ImportAlias, cst.ImportFrom, cst.AsName, cst.Param, cst.FunctionDef))

    def _node(self, node: cst.CSTNode) -> None:
        body = self.body
        if isinstance(node, (cst.Global, cst.Nonlocal)):
            body.refuse("it sets names outside itself")
        elif isinstance(node, (cst.Yield, cst.Await)):
            body.refuse("it is a generator or coroutine")
        elif isinstance(node, cst.ClassDef):
            body.refuse("it defines a class")
        elif isinstance(node, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign, cst.Del)):
            self._target(node.target)
        elif isinstance(node, (cst.Try, cst.TryStar)):
            self._try(node)
        elif isinstance(node, cst.Name) and node.value in self.cell.masked.lines:
            body.refuse("it holds a magic or a shell line")
        elif isinstance(node, cst.Call):
            self._call(node)
        elif isinstance(node, cst.SimpleString) and isinstance(node.evaluated_value, str):
            body.texts.add(node.evaluated_value)

    def _target(self, target: cst.CSTNode) -> None:
        for part in walk(target, skip=(cst.Subscript, cst.Attribute)):
            if not isinstance(part, (cst.Subscript, cst.Attribute)):
                continue
            start = root(part)
            if start is None:
                self.body.refuse("it changes something outside itself")
            elif (self.program.resolve(start) or "").startswith("matplotlib"):
                continue
            elif start.value in self.params - self.canvas:
                self.body.refuse(f"it changes its argument {start.value}")
            elif start.value not in self.locals | self.canvas:
                self.body.refuse(f"it changes {start.value}, which lives outside it")

    def _try(self, node: cst.Try | cst.TryStar) -> None:
        draws = any(
            isinstance(part, cst.Call)
            and (
                self.program.pyplot(part.func)
                or (isinstance(part.func, cst.Attribute) and part.func.attr.value in DRAWING)
            )
            for part in walk(node.body)
        )
        quiet = any(not any(isinstance(part, cst.Raise) for part in walk(handler)) for handler in node.handlers)
        if draws and quiet:
            self.body.refuse("it swallows errors, which headspec raises")

    def _call(self, node: cst.Call) -> None:
        full = self.program.resolve(node.func)
        if isinstance(node.func, cst.Name) and full is None:
            self._named(node, node.func.value)
        elif full is not None and not (isinstance(node.func, cst.Attribute) and self._is_local(node.func)):
            self._module(node, full)
        elif isinstance(node.func, cst.Attribute):
            self._method(node, node.func)
        else:
            self.body.refuse("it calls what an expression yields")

    def _is_local(self, func: cst.Attribute) -> bool:
        start = root(func)
        return start is not None and start.value in self.locals | self.params and start.value not in self.inner

    def _named(self, node: cst.Call, name: str) -> None:
        if name == "print":
            self._print(node)
        elif name == "display":
            if not all(self._on_canvas(arg.value) for arg in node.args):
                self.body.refuse("it displays something beside the figure")
        elif name in self.inner:
            return
        elif name in self.params:
            self.body.refuse(f"it calls its argument {name}")
        elif name in self.locals:
            self.body.refuse(f"it calls {name}, which is made at run time")
        elif name in self.program.functions:
            self._helper(name, node)
        elif name not in BUILTINS:
            self.body.refuse(f"it calls {name}, whose code is not in the notebook")

    def _helper(self, name: str, call: cst.Call) -> None:
        self.body.helpers.add(name)
        if name in self.seen:
            return
        for cell, node in self.program.functions[name]:
            if node.asynchronous is not None:
                self.body.refuse(f"it calls {name}, a coroutine")
                continue
            # A helper that is handed the path may write to it.
            handed = any(isinstance(arg.value, cst.Name) and arg.value.value in self.save for arg in call.args)
            params = frozenset(param.name.value for param in walk(node.params) if isinstance(param, cst.Param))
            save = params if handed else frozenset()
            inner = Reader(self.program, cell, node, save).read(self.seen)
            self.body.absorb(inner)

    def _module(self, node: cst.Call, full: str) -> None:
        body = self.body
        last = full.rsplit(".", 1)[-1]
        if full.startswith(("matplotlib", *MPL)):
            self._plot(node, full, last)
        elif full.endswith("IPython.display.display"):
            if not all(self._on_canvas(arg.value) for arg in node.args):
                body.refuse("it displays something beside the figure")
        elif full in ALLOWED or full.startswith("os.path."):
            body.makes_folders |= full == "os.makedirs"
        elif full.startswith("logging."):
            return
        elif (
            last in REFUSED
            or last.startswith("set_")
            or full.split(".")[0] not in {module.split(".")[0] for module in MODULES}
            or full.startswith("os.")
        ):
            body.refuse(f"it calls {full}")

    def _plot(self, node: cst.Call, full: str, last: str) -> None:
        body = self.body
        body.plots = True
        if last in ("figure", "subplots", "subplot_mosaic", "clustermap", "Figure"):
            body.own_figure = True
        if last in ("subplot", "subplot2grid", "GridSpec", "subplot_mosaic") or (last == "subplots" and _several(node)):
            body.panels = True
        if last == "savefig":
            self._savefig(node)
        elif last in REFUSED:
            body.refuse(f"it calls {full}")
        if last in DRAWING:
            body.drawn.add(last)

    def _method(self, node: cst.Call, func: cst.Attribute) -> None:
        name = func.attr.value
        body = self.body
        start = root(func)
        if name == "savefig":
            self._savefig(node)
        elif self._on_canvas(func.value):
            body.plots = True
            if name in DRAWING:
                body.drawn.add(name)
            if name == "add_subplot":
                body.panels |= _several_subplot(node)
            elif name in ("add_gridspec", "subplots"):
                body.panels |= name == "add_gridspec" or _several(node)
            elif name in REFUSED or name in MUTATORS - {"clear", "remove", "update", "add"}:
                body.refuse(f"it calls .{name}()")
        elif name in MUTATORS:
            own = start is not None and start.value in self.locals and start.value not in self.params
            if not own:
                body.refuse(f"it changes {start.value if start else 'something'} with .{name}()")
        elif name in LOGGING and start is not None and "log" in start.value.lower():
            return
        elif name in ("plot", "hist", "boxplot") or self._pandas_plot(func):
            body.drawn.add(_pandas_kind(node, name))
            body.plots = True
        elif name not in METHODS:
            body.refuse(f"it calls .{name}(), which may do more than draw")
        elif name == "mkdir":
            body.makes_folders = True

    def _pandas_plot(self, func: cst.Attribute) -> bool:
        return isinstance(func.value, cst.Attribute) and func.value.attr.value == "plot"

    def _on_canvas(self, node: cst.CSTNode) -> bool:
        start = root(node)
        if start is None:
            return False
        if start.value in self.canvas:
            return True
        full = self.program.resolve(start) or ""
        return full.startswith(("matplotlib", "seaborn", "pylab", "mpl_toolkits")) and start.value not in self.locals

    def _savefig(self, node: cst.Call) -> None:
        self.body.saves = True
        target = next(
            (arg.value for arg in node.args if arg.keyword is None or arg.keyword.value in ("fname", "filename")), None
        )
        if not (isinstance(target, cst.Name) and target.value in self.save):
            where = self.cell.source(target) if target is not None else "a file"
            self.body.refuse(f"it writes a file of its own choice: {where}")

    def _print(self, node: cst.Call) -> None:
        for arg in node.args:
            if arg.keyword is not None:
                continue
            for part in walk(arg.value):
                if isinstance(part, cst.Name) and part.value not in self.save | {"title"}:
                    self.body.refuse("it prints values, which a chart does not")
                    return


def _several(node: cst.Call) -> bool:
    """Tell whether ``subplots(…)`` asks for more than one panel."""
    sizes = []
    for position, arg in enumerate(node.args):
        name = arg.keyword.value if arg.keyword else ("nrows", "ncols", "", "", "", "")[min(position, 5)]
        if name in ("nrows", "ncols"):
            sizes.append(arg.value)
    return any(not (isinstance(size, cst.Integer) and size.evaluated_value == 1) for size in sizes)


def _several_subplot(node: cst.Call) -> bool:
    values = [arg.value for arg in node.args if arg.keyword is None]
    if not values:
        return False
    if len(values) == 1:
        return not (isinstance(values[0], cst.Integer) and values[0].evaluated_value == 111)
    return any(not (isinstance(value, cst.Integer) and value.evaluated_value == 1) for value in values[:2])


def _pandas_kind(node: cst.Call, name: str) -> str:
    for arg in node.args:
        if arg.keyword is not None and arg.keyword.value == "kind" and isinstance(arg.value, cst.SimpleString):
            return str(arg.value.evaluated_value)
    return name


def first_draw(cell: CodeCell, program: Program, node: cst.FunctionDef) -> int:
    """Return where the first call that draws stands in a function, or its end."""
    places = [
        cell.span(part)[0]
        for part in walk(node.body)
        if isinstance(part, cst.Call)
        and (
            (isinstance(part.func, cst.Attribute) and part.func.attr.value in DRAWING)
            or (isinstance(part.func, cst.Name) and part.func.value in program.plotters)
        )
    ]
    return min(places, default=cell.span(node)[1])
