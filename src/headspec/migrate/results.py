"""What becomes of the result of a call: which variables hold the figure, and what is done with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.calls import Bound, unwritable
from headspec.migrate.cells import CodeCell, literal, root, walk
from headspec.migrate.definitions import Definition
from headspec.migrate.known import Known, words
from headspec.migrate.namespace import Program

# Methods of a figure that only lay it out anew, which a chart does by itself.
_LAYOUT = words("tight_layout set_size_inches set_dpi set_facecolor set_tight_layout set_constrained_layout")


@dataclass(eq=False)
class Use:
    """One place where a variable with a chart is read."""

    cell: CodeCell
    node: cst.Name
    kind: str
    statement: cst.BaseSmallStatement | None


@dataclass(eq=False)
class ChartCall:
    """One call that gives a chart: of a function of old, or of a function that returns what one of them gave."""

    cell: CodeCell
    node: cst.Call
    name: str
    known: Known | None
    definition: Definition | None = None
    bound: Bound | None = None
    kind: str = ""
    statement: cst.BaseSmallStatement | None = None
    variable: str | None = None
    uses: list[Use] = field(default_factory=list)
    shows: bool = False
    closes: bool = False
    own_figure: bool = True
    draws_only_into_new: bool = True
    # Found by following the figures through the cell:
    shown_at: list[cst.BaseSmallStatement] = field(default_factory=list)
    closed_later: bool = False
    shown_elsewhere: bool = False
    saves: list[cst.BaseSmallStatement] = field(default_factory=list)

    @property
    def function(self) -> cst.FunctionDef | None:
        """The function whose body the call stands in."""
        return self.cell.function(self.node)

    @property
    def where(self) -> str:
        """The place of the call, for the report."""
        return place(self.cell, self.node)


def place(cell: CodeCell, node: cst.CSTNode) -> str:
    """Return where a node stands, as people count."""
    return f"cell {cell.number}, line {cell.line(node)}"


def context(program: Program, call: ChartCall) -> str | None:
    """Find out what is done with the result of a call.

    Returns
    -------
    str or None
        A reason why it cannot be moved over, or None, and then ``kind`` and ``statement`` of the call are set.
    """
    cell, node = call.cell, call.node
    parent = cell.parent(node)
    call.statement = cell.small_statement(node)
    if call.statement is None or node.lpar:
        return "its result is used within an expression"
    if isinstance(parent, cst.Expr):
        call.kind = "statement"
    elif isinstance(parent, cst.Assign) and parent.value is node and len(parent.targets) == 1:
        target = parent.targets[0].target
        if not isinstance(target, cst.Name):
            return f"its result goes to {_short(cell.source(target))}"
        call.kind, call.variable = "assign", target.value
    elif isinstance(parent, cst.Return):
        call.kind = "return"
    elif isinstance(parent, cst.Attribute) and parent.attr.value in ("savefig", "show"):
        outer = cell.parent(parent)
        if not (isinstance(outer, cst.Call) and outer.func is parent and isinstance(cell.parent(outer), cst.Expr)):
            return "its result is used within an expression"
        call.kind = parent.attr.value
        if call.kind == "savefig":
            return savefig_reason(cell, outer)
    elif isinstance(parent, cst.Arg):
        outer = cell.parent(parent)
        if not (isinstance(outer, cst.Call) and len(outer.args) == 1 and isinstance(cell.parent(outer), cst.Expr)):
            return f"its result goes into {_short(cell.source(outer))}" if outer is not None else "its result is used"
        if not is_display(program, outer):
            return f"its result goes into {_short(cell.source(outer.func))}()"
        call.kind = "display"
    else:
        return f"its result is used in {_short(cell.source(parent))}" if parent is not None else "its result is used"
    return None


def is_display(program: Program, call: cst.Call) -> bool:
    """Tell whether a call is IPython's display."""
    if isinstance(call.func, cst.Name) and call.func.value == "display":
        return program.aliases.get("display", "IPython.display.display").endswith("display.display")
    return (program.resolve(call.func) or "").endswith("IPython.display.display")


def savefig_reason(cell: CodeCell, call: cst.Call) -> str | None:
    """Return why a savefig cannot become a save, or None."""
    for arg in call.args:
        if arg.star:
            return f"savefig is called with {arg.star}"
        if arg.keyword is not None and arg.keyword.value == "format":
            return "savefig is told its format by format="
    path = save_target(call)
    if path is None:
        return "savefig is called without a path"
    name = root(path)
    if name is not None and isinstance(path, cst.Name) and ("buf" in name.value.lower() or name.value.lower() == "bio"):
        return "savefig writes into a buffer"
    return unwritable(cell, path)


def save_target(call: cst.Call) -> cst.BaseExpression | None:
    """Return the path that a savefig writes to."""
    for arg in call.args:
        if arg.keyword is None or arg.keyword.value in ("fname", "filename"):
            return arg.value
    return None


@dataclass(eq=False)
class _Event:
    order: tuple[int, int]
    cell: CodeCell
    node: cst.Name
    blocks: tuple[cst.CSTNode, ...]
    stores: bool
    deferred: bool


def _blocks(cell: CodeCell, node: cst.CSTNode, function: cst.FunctionDef | None) -> tuple[cst.CSTNode, ...]:
    found: list[cst.CSTNode] = []
    for holder in cell.above(node):
        if function is not None and holder is function.body:
            break
        if isinstance(holder, cst.BaseSuite):
            found.append(holder)
    return tuple(reversed(found))


def _events(program: Program, call: ChartCall, name: str) -> list[_Event]:
    function = call.function
    owner = call.cell.owner(call.node, name)
    cells = [call.cell] if owner is not None else program.cells
    events = []
    for cell in cells:
        for node in cell.names.get(name, ()):
            parent = cell.parent(node)
            if isinstance(parent, cst.Attribute) and parent.attr is node:
                continue
            if isinstance(parent, (cst.Arg, cst.Param)) and getattr(parent, "keyword", None) is node:
                continue
            if cell.owner(node, name) is not owner:
                continue
            home = cell.function(node)
            deferred = home is not function
            order = (cell.number, cell.span(node)[0])
            events.append(_Event(order, cell, node, _blocks(cell, node, home), _is_store(cell, node), deferred))
    return sorted(events, key=lambda event: event.order)


def _is_store(cell: CodeCell, node: cst.Name) -> bool:
    below: cst.CSTNode = node
    for holder in cell.above(node):
        if isinstance(holder, (cst.AssignTarget, cst.For, cst.CompFor, cst.NamedExpr, cst.AnnAssign, cst.AugAssign)):
            return holder.target is below
        if isinstance(holder, cst.AsName):
            return True
        if isinstance(holder, (cst.Param, cst.FunctionDef, cst.ClassDef)):
            return getattr(holder, "name", None) is below
        if isinstance(holder, (cst.BaseStatement, cst.Attribute, cst.Subscript, cst.Call)):
            return False
        below = holder
    return False


def follow(program: Program, calls: list[ChartCall]) -> dict[ChartCall, list[str]]:
    """Find where the variables that hold charts are read; what cannot be moved over is a reason.

    Parameters
    ----------
    program
        The notebook.
    calls
        Every call that gives a chart; those that assign one get their ``uses``.
    """
    reasons: dict[ChartCall, list[str]] = {call: [] for call in calls}
    targets = {id(call.statement): call for call in calls if call.kind == "assign"}
    for call in calls:
        if call.kind != "assign" or call.variable is None:
            continue
        events = _events(program, call, call.variable)
        stores = [event for event in events if event.stores]
        mine = next((event for event in stores if _statement(event) is call.statement), None)
        if mine is None or any(event.deferred for event in stores):
            reasons[call].append(f"{call.variable} is set in more than one scope")
            continue
        for event in events:
            if event.stores or not _reaches(mine, event, stores):
                continue
            sources = [store for store in stores if _reaches(store, event, stores)]
            if any(id(_statement(store)) not in targets for store in sources):
                reasons[call].append(f"{call.variable} may hold another figure at {place(event.cell, event.node)}")
                continue
            kind = _use(program, event.cell, event.node)
            if kind is None:
                reasons[call].append(
                    f"its result is used in {_short(_line(event.cell, event.node))} ({place(event.cell, event.node)})"
                )
                continue
            if kind.startswith("!"):
                reasons[call].append(f"{kind[1:]} ({place(event.cell, event.node)})")
                continue
            if call.definition is not None and call.definition.returns == "nothing" and kind not in ("return", "del"):
                reasons[call].append(
                    f"it returns nothing, and {call.variable} is used ({place(event.cell, event.node)})"
                )
                continue
            call.uses.append(Use(event.cell, event.node, kind, event.cell.small_statement(event.node)))
    return reasons


def _statement(event: _Event) -> cst.BaseSmallStatement | None:
    return event.cell.small_statement(event.node)


def _reaches(store: _Event, load: _Event, stores: list[_Event]) -> bool:
    """Tell whether a value that is stored may be the one that is read."""
    if load.deferred:
        return True
    if load.order < store.order:
        loop = _common_loop(store, load)
        if loop is None:
            return False
        # Round the loop: unless the loop sets the name again before it is read.
        return not any(
            other is not store and other.order < load.order and loop in other.blocks and _covers(other, load)
            for other in stores
        )
    # In a statement such as ``fig = f(fig)`` the value that is read is the one from before.
    return not any(store.order < other.order < load.order and _covers(other, load) for other in stores)


def _covers(store: _Event, load: _Event) -> bool:
    return load.blocks[: len(store.blocks)] == store.blocks


def _common_loop(store: _Event, load: _Event) -> cst.CSTNode | None:
    for block in reversed(store.blocks):
        if block in load.blocks and isinstance(store.cell.parent(block), (cst.For, cst.While)):
            return block
    return None


def _use(program: Program, cell: CodeCell, node: cst.Name) -> str | None:
    """Return the kind of use, None if it is none that charts have, or a reason that starts with '!'."""
    parent = cell.parent(node)
    if isinstance(parent, cst.Expr):
        return "bare"
    if isinstance(parent, cst.Return):
        return "return"
    if isinstance(parent, cst.Del):
        return "del"
    if isinstance(parent, (cst.If, cst.While)) and parent.test is node:
        return "test"
    if isinstance(parent, cst.Comparison) and parent.left is node:
        other = parent.comparisons[0].comparator
        return "test" if isinstance(other, cst.Name) and other.value == "None" else None
    if isinstance(parent, cst.Attribute) and parent.value is node:
        return _attribute(program, cell, parent)
    if isinstance(parent, cst.Arg) and parent.keyword is None:
        call = cell.parent(parent)
        if isinstance(call, cst.Call) and len(call.args) == 1 and isinstance(cell.parent(call), cst.Expr):
            if is_display(program, call):
                return "display"
            if program.pyplot(call.func) == "close":
                return "close"
    return None


def _attribute(program: Program, cell: CodeCell, node: cst.Attribute) -> str | None:
    name = node.attr.value
    outer = cell.parent(node)
    if name == "number" and isinstance(outer, cst.Arg):
        call = cell.parent(outer)
        if (
            isinstance(call, cst.Call)
            and program.pyplot(call.func) == "figure"
            and isinstance(cell.parent(call), cst.Expr)
        ):
            return "layout"
    if not (isinstance(outer, cst.Call) and outer.func is node and isinstance(cell.parent(outer), cst.Expr)):
        return None
    if name == "savefig":
        why = savefig_reason(cell, outer)
        return f"!{why}" if why else "savefig"
    if name == "show":
        return "show"
    if name in _LAYOUT and all(literal(arg.value) for arg in outer.args):
        return "layout"
    return None


def reassigned(call: ChartCall, name: str, statement: cst.CSTNode) -> bool:
    """Tell whether a name is set between a call and a later statement of the same cell."""
    cell = call.cell
    if call.statement is None:
        return False
    start, stop = cell.span(call.statement)[1], cell.span(statement)[0]
    owner = cell.owner(call.node, name)
    return any(
        start <= cell.span(node)[0] < stop and _is_store(cell, node) and cell.owner(node, name) is owner
        for node in cell.names.get(name, ())
    )


def _path(cell: CodeCell, statement: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    return tuple(reversed([up for up in cell.above(statement) if isinstance(up, cst.BaseSuite)]))


def beside(call: ChartCall, statement: cst.CSTNode) -> bool:
    """Tell whether a statement stands in the same block as a call."""
    return call.statement is not None and _path(call.cell, call.statement) == _path(call.cell, statement)


def under(call: ChartCall, statement: cst.CSTNode) -> bool:
    """Tell whether a statement happens only where the call has happened."""
    own = _path(call.cell, call.statement) if call.statement is not None else ()
    return _path(call.cell, statement)[: len(own)] == own


def after(call: ChartCall, statement: cst.CSTNode) -> bool:
    """Tell whether a statement happens whenever the call has happened."""
    own = _path(call.cell, call.statement) if call.statement is not None else ()
    other = _path(call.cell, statement)
    return own[: len(other)] == other


def kept(call: ChartCall, statement: cst.CSTNode, calls: Iterable[ChartCall]) -> bool:
    """Tell whether the name of a chart, its own or a temporary one, still means it at a later statement."""
    if call.variable is not None:
        return not reassigned(call, call.variable, statement)
    start, stop = call.cell.span(call.node)[1], call.cell.span(statement)[0]
    return not any(
        start < other.cell.span(other.node)[0] < stop
        for other in calls
        if other is not call and other.cell is call.cell and other.kind != "assign"
    )


def other_returns(cell: CodeCell, function: cst.FunctionDef, charts: set[int]) -> list[cst.Return]:
    """Return the return statements of a function that give something else than a chart."""
    return [
        node
        for node in walk(function.body, skip=(cst.FunctionDef, cst.Lambda, cst.ClassDef))
        if isinstance(node, cst.Return) and id(node) not in charts
    ]


def _line(cell: CodeCell, node: cst.CSTNode) -> str:
    statement = cell.small_statement(node)
    if statement is not None:
        return cell.source(statement)
    start = cell.span(node)[0]
    first = cell.code.rfind("\n", 0, start) + 1
    last = cell.code.find("\n", start)
    return cell.code[first : last if last >= 0 else None]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"
