"""The statements that take the place of the old ones: calls, saves, and where a chart is shown."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.calls import may_be_none, path_text, rewritten
from headspec.migrate.cells import CodeCell, literal
from headspec.migrate.groups import Group, ImportSite
from headspec.migrate.namespace import Program
from headspec.migrate.pieces import is_path, semicolon, swap, without_aliases
from headspec.migrate.plan import Plan
from headspec.migrate.results import ChartCall, Use, beside, kept, place, save_target, under
from headspec.migrate.rewrite import Edits, Guard, Piece


@dataclass
class Moves:
    """The changes of every cell, with what is to be said about them."""

    edits: dict[int, Edits] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    saves: bool = False
    updated: list[tuple[str, str]] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of(self, cell: CodeCell) -> Edits:
        """Return the changes of a cell."""
        return self.edits.setdefault(cell.number, Edits())


class _Mover:
    def __init__(self, program: Program, plan: Plan) -> None:
        self.program = program
        self.plan = plan
        self.moves = Moves()
        self.gone: set[cst.BaseSmallStatement] = set(plan.findings.removed())
        self.temporary = self._free_name("chart")

    def _free_name(self, wish: str) -> str:
        taken = {name for cell in self.program.cells for name in cell.names}
        taken |= {word for unread in self.program.unread for word in re.findall(r"\w+", unread.text)}
        taken |= {word for cell in self.program.cells for text in cell.masked.lines.values() for word in text.split()}
        names = itertools.chain([wish], (f"{wish}_{count}" for count in itertools.count(2)))
        return next(name for name in names if name not in taken)

    def run(self) -> Moves:
        for group in self.plan.groups:
            if not group.ready:
                self._bindings(group)
        for call in self.plan.calls:
            for use in call.uses:
                if use.kind in ("close", "layout") and use.statement is not None:
                    self.gone.add(use.statement)
        for statement in self.gone:
            self._cell(statement).small.setdefault(statement, [])
        for call in self.plan.calls:
            self._call(call)
        for call in self.plan.ready:
            self._ready(call)
        return self.moves

    def _cell(self, statement: cst.BaseSmallStatement) -> Edits:
        for cell in self.program.cells:
            if cell.parent(statement) is not None:
                return self.moves.of(cell)
        raise KeyError("the statement is in no cell")

    def _bindings(self, group: Group) -> None:
        for one in group.own:
            if one.node is not None and one.cell is not None:
                self.moves.of(one.cell).removed.add(one.node)
                self.moves.removed.append((group.name, f"definition, {place(one.cell, one.node)}"))
        for site in group.imports:
            self._import(site)
            self.moves.removed.append((group.name, f"import from {site.module}, {place(site.cell, site.statement)}"))

    def _import(self, site: ImportSite) -> None:
        small = self.moves.of(site.cell).small
        gone = {id(site.alias)} | {
            id(other.alias)
            for group in self.plan.groups
            if not group.ready
            for other in group.imports
            if other.statement is site.statement
        }
        small[site.statement] = without_aliases(site.cell, site.statement, gone)

    # -- calls ---------------------------------------------------------------------------------------------------

    def _text(self, call: ChartCall) -> str:
        if call.known is None or call.bound is None:
            return call.cell.source(call.node)
        self.moves.used.add(call.known.name)
        for note in call.bound.notes:
            self.moves.notes.append(f"{note} ({call.where})")
        text = rewritten(call.cell, call.node, call.bound, call.known)
        if text != call.cell.source(call.node):
            self.moves.updated.append((call.known.name, call.where))
        return text

    def _saves(self, call: ChartCall, variable: str) -> list[Piece]:
        if call.bound is None or call.bound.save is None:
            return []
        self.moves.saves = True
        value = call.bound.save.value
        if isinstance(value, cst.IfExp):
            for test, kept, other in ((True, value.body, value.orelse), (False, value.orelse, value.body)):
                if isinstance(other, cst.Name) and other.value == "None":
                    condition = call.cell.source(value.test)
                    text = f"headspec.save({variable}, {path_text(call.cell, kept)})"
                    return [Guard(condition if test else f"not ({condition})", text)]
        path = path_text(call.cell, value)
        text = f"headspec.save({variable}, {path})"
        if may_be_none(call.cell, value, self._certain(call, value)):
            return [Guard(path, text)]
        return [text]

    def _certain(self, call: ChartCall, path: cst.BaseExpression) -> list[str]:
        """Return the name of a path if it is only ever set to what surely is one."""
        if not isinstance(path, cst.Name):
            return []
        owner = call.cell.owner(call.node, path.value)
        values = []
        for cell in self.program.cells:
            for node in cell.names.get(path.value, ()):
                if (owner is not None and cell is not call.cell) or cell.owner(node, path.value) is not owner:
                    continue
                parent = cell.parent(node)
                holder = cell.parent(parent) if isinstance(parent, cst.AssignTarget) else None
                if isinstance(parent, cst.Param) and parent.name is node:
                    values.append(False)
                elif isinstance(holder, cst.Assign):
                    values.append(is_path(holder.value))
                elif isinstance(parent, (cst.For, cst.AsName, cst.NamedExpr, cst.AugAssign, cst.AnnAssign)):
                    values.append(False)
        return [path.value] if values and all(values) else []

    def _show(self, call: ChartCall, text: str, statement: cst.BaseSmallStatement) -> str:
        """Return the statement that shows a chart."""
        if self.program.script:
            return f"{text}.show()"
        return text if self._final(call.cell, statement) else f"display({text})"

    def _hidden(self, call: ChartCall, statement: cst.BaseSmallStatement) -> bool:
        """Tell whether the notebook would show a chart at the end of a cell where it showed nothing before."""
        if not self._final(call.cell, statement):
            return False
        line = call.cell.parent(statement)
        last = call.cell.module.body[-1] is line and isinstance(line, cst.SimpleStatementLine)
        last = last and isinstance(line, cst.SimpleStatementLine) and line.body[-1] is statement
        gave = call.definition.returns != "nothing" if call.definition is not None else self._gives(call)
        return not (last and gave and not semicolon(statement))

    def _gives(self, outer: ChartCall) -> bool:
        """Tell whether a function that returns what a function of old returned gave a figure."""
        return any(
            call.definition is not None and call.definition.returns != "nothing"
            for call in self.plan.calls
            if call.function is not None and call.function.name.value == outer.name
        )

    def _final(self, cell: CodeCell, statement: cst.BaseSmallStatement) -> bool:
        """Tell whether a statement is the last expression of its cell, which the notebook shows."""
        if self.program.script or cell.masked.cell_magic is not None:
            return False
        line = cell.parent(statement)
        if not isinstance(line, cst.SimpleStatementLine) or line not in cell.module.body:
            return False
        after = list(line.body[list(line.body).index(statement) + 1 :])
        for later in cell.module.body[list(cell.module.body).index(line) + 1 :]:
            if not isinstance(later, cst.SimpleStatementLine):
                if later in self.moves.of(cell).removed:
                    continue
                return False
            after += later.body
        return all(part in self.gone and not self._shown_here(part) for part in after)

    def _shown_here(self, statement: cst.BaseSmallStatement) -> bool:
        """Tell whether a pyplot statement becomes one that shows a chart, rather than nothing."""
        return any(
            statement in call.shown_at and self._named(call) and statement in self._placing(call)[0]
            for call in self.plan.calls
        )

    def _named(self, call: ChartCall) -> bool:
        """Tell whether the chart of a call has to have a name, for statements that follow."""
        if call.kind == "assign" or call.saves:
            return True
        return any(not beside(call, statement) for statement in self._placing(call)[0])

    def _placing(self, call: ChartCall) -> tuple[list[cst.BaseSmallStatement], bool]:
        """Return the pyplot statements that become ones that show a chart, and whether the call itself shows it.

        A notebook shows every figure that is open at the end of its cell: a ``plt.show()`` under a condition decides
        only where the figure may be closed instead. In a script nothing else shows it.
        """
        if call.shown_elsewhere:
            return [], True
        uses = {id(use.statement) for use in call.uses}
        shows = [statement for statement in call.shown_at if id(statement) not in uses]
        gone = [statement for statement in shows if statement in self.gone and kept(call, statement, self.plan.calls)]
        if self.program.script or call.closed_later:
            here = [statement for statement in gone if under(call, statement)]
            return here, len(here) < len(shows) or self._shows(call)
        here = [statement for statement in gone if beside(call, statement)]
        own = [
            statement
            for statement in call.shown_at
            if id(statement) in uses and call.cell.parent(statement) is not None and beside(call, statement)
        ]
        return here, not here and not own and (call.shows or not call.closes)

    def _shows(self, call: ChartCall) -> bool:
        """Tell whether a call of old showed its figure by itself, and what takes its place does not."""
        return call.shows and (call.known is not None or not self._shown_inside(call))

    def _displayed(self, call: ChartCall) -> bool:
        """Tell whether the old call had its figure shown."""
        if call.shown_elsewhere:
            return True
        if self.program.script:
            return bool(call.shown_at) or self._shows(call)
        if call.known is None and self._shown_inside(call):
            return False
        return bool(call.shown_at) or call.shows or not (call.closes or call.closed_later)

    def _shown_inside(self, outer: ChartCall) -> bool:
        """Tell whether a function that returns a chart shows it by itself."""
        return any(
            call.function is not None
            and call.function.name.value == outer.name
            and (call.shown_at or (call.kind == "assign" and call.shows))
            for call in self.plan.calls
        )

    def _call(self, call: ChartCall) -> None:
        statement = call.statement
        if statement is None:
            return
        small = self.moves.of(call.cell).small
        text = self._text(call)
        if call.kind == "assign":
            small[statement] = self._assigned(call, statement, text)
        elif call.kind == "return":
            small[statement] = self._returned(call, text)
        else:
            small[statement] = self._plain(call, statement, text)
        if small[statement] == [call.cell.source(statement)] and not semicolon(statement):
            del small[statement]
        self._uses(call)

    def _plain(self, call: ChartCall, statement: cst.BaseSmallStatement, text: str) -> list[Piece]:
        shown = self._displayed(call) or call.kind in ("display", "show")
        outer = call.cell.parent(call.cell.parent(call.node) or call.node)
        save = save_target(outer) if call.kind == "savefig" and isinstance(outer, cst.Call) else None
        saving = call.bound is not None and call.bound.save is not None
        named = self._named(call)
        if not (saving or named or (save is not None and shown)):
            if save is not None:
                self.moves.saves = True
                return [f"headspec.save({text}, {path_text(call.cell, save)})"]
            if call.kind == "display":
                return [swap(call.cell, statement, call.node, text)]
            if shown:
                return [self._show(call, text, statement)]
            return [f"{text};" if self._hidden(call, statement) else text]
        name = self.temporary
        pieces: list[Piece] = [f"{name} = {text}", *self._saves(call, name)]
        if save is not None:
            self.moves.saves = True
            pieces.append(f"headspec.save({name}, {path_text(call.cell, save)})")
        if named:
            self._later(call, name)
        if call.kind == "display":
            pieces.append(f"display({name})")
        elif shown and (not named or self._placing(call)[1] or call.kind == "show"):
            pieces.append(self._show(call, name, statement))
        return pieces

    def _later(self, call: ChartCall, name: str) -> None:
        """Turn the ``plt.savefig`` and ``plt.show`` that follow a call into their counterparts."""
        for statement in call.saves:
            value = statement.value if isinstance(statement, cst.Expr) else None
            target = save_target(value) if isinstance(value, cst.Call) else None
            if target is not None:
                self.moves.saves = True
                self.moves.of(call.cell).small[statement] = [f"headspec.save({name}, {path_text(call.cell, target)})"]
        for statement in self._placing(call)[0]:
            pieces = self.moves.of(call.cell).small.setdefault(statement, [])
            shown = f"{name}.show()" if self.program.script else f"display({name})"
            if self._alone_final(call.cell, statement):
                shown = name
            if shown not in pieces:
                pieces.append(shown)

    def _alone_final(self, cell: CodeCell, statement: cst.BaseSmallStatement) -> bool:
        showing = [call for call in self.plan.calls if statement in call.shown_at]
        return len(showing) == 1 and self._final(cell, statement)

    def _assigned(self, call: ChartCall, statement: cst.BaseSmallStatement, text: str) -> list[Piece]:
        name = call.variable or self.temporary
        pieces: list[Piece] = [swap(call.cell, statement, call.node, text), *self._saves(call, name)]
        self._later(call, name)
        if not self._displayed(call) or not self._placing(call)[1]:
            return pieces
        returned = any(use.kind == "return" for use in call.uses)
        bare = any(
            use.kind == "bare" and use.statement and use.cell is call.cell and self._final(use.cell, use.statement)
            for use in call.uses
        )
        if bare or (returned and not call.shows):
            return pieces
        return [*pieces, self._show(call, name, statement)]

    def _returned(self, call: ChartCall, text: str) -> list[Piece]:
        saves = self._saves(call, self.temporary)
        if not saves:
            return [f"return {text}"]
        return [f"{self.temporary} = {text}", *saves, f"return {self.temporary}"]

    def _uses(self, call: ChartCall) -> None:
        for use in call.uses:
            if use.statement is None:
                continue
            if use.kind == "savefig":
                self._savefig(use)
            elif use.kind == "show" and not self.program.script:
                name = use.node.value
                final = self._final(use.cell, use.statement)
                self.moves.of(use.cell).small[use.statement] = [name if final else f"display({name})"]

    def _savefig(self, use: Use) -> None:
        value = use.statement.value if isinstance(use.statement, cst.Expr) else None
        target = save_target(value) if isinstance(value, cst.Call) else None
        if target is None or use.statement is None or not isinstance(value, cst.Call):
            return
        self.moves.saves = True
        text = f"headspec.save({use.node.value}, {path_text(use.cell, target)})"
        self.moves.of(use.cell).small[use.statement] = [text]
        dropped = [arg for arg in value.args if arg.value is not target]
        odd = [use.cell.source(arg) for arg in dropped if not literal(arg.value)]
        if odd:
            self.moves.notes.append(f"dropped {', '.join(odd)} of savefig ({place(use.cell, use.node)})")

    def _ready(self, call: ChartCall) -> None:
        """Bring a call of headspec's own function up to date that still has arguments of old."""
        statement = call.statement
        if statement is None or call.bound is None:
            return
        text = self._text(call)
        small = self.moves.of(call.cell).small
        if call.bound.save is None:
            small[statement] = [swap(call.cell, statement, call.node, text)]
        elif call.kind == "assign" and call.variable is not None:
            swapped = swap(call.cell, statement, call.node, text)
            small[statement] = [swapped, *self._saves(call, call.variable)]
        elif call.kind == "return":
            small[statement] = self._returned(call, text)
        else:
            name = self.temporary
            shown = swap(call.cell, statement, call.node, name)
            small[statement] = [f"{name} = {text}", *self._saves(call, name), shown]


def make_moves(program: Program, plan: Plan) -> Moves:
    """Turn a plan into the changes of every cell."""
    return _Mover(program, plan).run()
