"""pyplot's hidden state, followed through the code: which figure a ``plt.show()`` or ``plt.title()`` is about.

pyplot calls name no figure; they are about the current one. Statements are walked in the order of the text, with the
figures that may be current at each; a loop is walked twice, so that what one turn leaves is seen by the next.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import libcst as cst

from headspec.migrate.cells import CodeCell, literal, walk
from headspec.migrate.figure_state import NOTHING, OTHER, PENDING, Findings, State
from headspec.migrate.known import words
from headspec.migrate.namespace import Program
from headspec.migrate.results import ChartCall, after, place, savefig_reason

_NEUTRAL = words(
    "style rc rcParams ion ioff switch_backend get_cmap cm rcdefaults get_backend rc_context isinteractive "
    "get_fignums fignum_exists rcsetup matplotlib get_figlabels set_loglevel imread imsave interactive figaspect "
    "register_cmap cycler getp setp np rcParamsDefault colormaps"
)
_LAYOUT = frozenset(("tight_layout", "draw", "pause", "subplots_adjust"))
_NEW = frozenset(("figure", "subplots", "subplot_mosaic"))
_SEABORN_SETTINGS = words(
    "set set_theme set_style set_context set_palette color_palette reset_defaults axes_style plotting_context "
    "load_dataset cubehelix_palette light_palette dark_palette diverging_palette husl_palette mpl_palette"
)
# Functions whose code is not at hand, and whose names say that they draw.
_PLOTS = re.compile(r"(?i)plot|visuali[sz]e|draw|heat_?map|imshow|hist(?:ogram)?$|show_")


class _Walk:
    def __init__(
        self,
        program: Program,
        cell: CodeCell,
        calls: dict[int, ChartCall],
        findings: Findings,
        leaks: dict[str, list[ChartCall]],
    ) -> None:
        self.program = program
        self.leaks = leaks
        self.leaked = {chart for charts in leaks.values() for chart in charts}
        self.cell = cell
        self.calls = calls
        self.findings = findings
        self.named = {
            id(use.statement): (call, use.kind)
            for call in calls.values()
            for use in call.uses
            if use.statement is not None and use.kind in ("close", "show", "display", "savefig", "layout")
        }

    def block(self, statements: Sequence[cst.CSTNode], state: State) -> State:
        for statement in statements:
            if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
                continue
            if isinstance(statement, (cst.SimpleStatementLine, cst.SimpleStatementSuite)):
                for part in statement.body:
                    self.simple(part, state)
            else:
                state = self.compound(statement, state)
        return state

    def compound(self, node: cst.CSTNode, state: State) -> State:
        if isinstance(node, cst.If):
            self.expression(node.test, state)
            taken = self.suite(node.body, state.copy())
            if isinstance(node.orelse, cst.If):
                return taken.merge(self.compound(node.orelse, state.copy()))
            other = self.suite(node.orelse.body, state.copy()) if node.orelse is not None else state
            return taken.merge(other)
        if isinstance(node, (cst.For, cst.While)):
            self.expression(node.iter if isinstance(node, cst.For) else node.test, state)
            once = self.suite(node.body, state.copy())
            twice = self.suite(node.body, once.copy())
            state = state.merge(once).merge(twice)
            return self.suite(node.orelse.body, state) if node.orelse is not None else state
        if isinstance(node, cst.With):
            for item in node.items:
                self.expression(item.item, state)
            return self.suite(node.body, state)
        if isinstance(node, (cst.Try, cst.TryStar)):
            done = self.suite(node.body, state.copy())
            failed = state.merge(done)
            for handler in node.handlers:
                done = done.merge(self.suite(handler.body, failed.copy()))
            if node.orelse is not None:
                done = done.merge(self.suite(node.orelse.body, done.copy()))
            return self.suite(node.finalbody.body, done) if node.finalbody is not None else done
        if isinstance(node, cst.Match):
            ends = [self.suite(case.body, state.copy()) for case in node.cases]
            for end in ends:
                state = state.merge(end)
        return state

    def suite(self, suite: cst.BaseSuite, state: State) -> State:
        if isinstance(suite, cst.SimpleStatementSuite):
            for part in suite.body:
                self.simple(part, state)
            return state
        return self.block(suite.body, state)

    def expression(self, node: cst.CSTNode, state: State) -> None:
        for part in self.parts(node):
            self.event(part, None, state)

    def parts(self, node: cst.CSTNode) -> list[cst.Call]:
        """Return the calls of a statement in the order in which they happen: arguments before the call."""
        found = [part for part in walk(node, skip=(cst.Lambda, cst.FunctionDef)) if isinstance(part, cst.Call)]
        return sorted(found, key=lambda call: self.cell.span(call)[1])

    def simple(self, statement: cst.BaseSmallStatement, state: State) -> None:
        named = self.named.get(id(statement))
        if named is not None:
            self.use(statement, *named, state)
            return
        whole = statement.value if isinstance(statement, cst.Expr) else None
        for part in self.parts(statement):
            self.event(part, statement if part is whole else None, state, statement)

    def use(self, statement: cst.BaseSmallStatement, call: ChartCall, kind: str, state: State) -> None:
        if kind == "close":
            # What is closed in a later cell was shown at the end of its own.
            if call not in state.shown and call.cell is self.cell and self.cell.function(statement) is call.function:
                call.closed_later = True
        elif kind in ("show", "display"):
            # Neither closes the figure: pyplot still knows it, and may show it once more.
            if statement not in call.shown_at:
                call.shown_at.append(statement)
            if kind == "show" and call not in state.shown:
                state.shown.append(call)
            return
        else:
            return
        state.open = [other for other in state.open if other is not call]
        state.maybe_closed.add(call)
        if call in state.current:
            state.current = (state.current - {call}) | state.below

    def event(
        self,
        call: cst.Call,
        alone: cst.BaseSmallStatement | None,
        state: State,
        statement: cst.BaseSmallStatement | None = None,
    ) -> None:
        chart = self.calls.get(id(call))
        if isinstance(call.func, cst.Name) and call.func.value in self.program.showers:
            self.shown_by(call, call.func.value, state)
        if chart is not None:
            self.chart(chart, state)
            return
        name = self.program.pyplot(call.func)
        full = self.program.resolve(call.func) or ""
        if name is not None:
            self.pyplot(call, name, alone, state, statement)
        elif full.startswith("seaborn."):
            if full.rsplit(".", 1)[-1] not in _SEABORN_SETTINGS:
                self.modify(call, state, full)
        elif isinstance(call.func, cst.Name) and call.func.value in self.leaks:
            # What a function leaves open is current in its caller.
            self.settle(state)
            state.current = set(self.leaks[call.func.value])
            state.shown = [*state.shown, *self.leaks[call.func.value]]
        elif isinstance(call.func, cst.Name) and call.func.value in self.program.overlays:
            self.modify(call, state, f"{call.func.value}()")
        elif isinstance(call.func, cst.Name) and (
            call.func.value in self.program.plotters
            or (call.func.value not in self.program.functions and _PLOTS.search(call.func.value))
        ):
            self.foreign(state)
        elif self.program.draws(call) or (isinstance(call.func, cst.Attribute) and _PLOTS.search(call.func.attr.value)):
            state.foreign = True

    def shown_by(self, call: cst.Call, name: str, state: State) -> None:
        """Take in that a function shows or closes whatever is open where it is called."""
        if state.foreign:
            for chart in self.calls.values():
                if chart.function is not None and chart.function.name.value == name:
                    why = f"{name} shows other figures as well ({place(self.cell, call)})"
                    self.findings.refuse(chart, why)
        for chart in state.open:
            if chart in state.maybe_closed or not after(chart, call):
                self.findings.refuse(chart, f"{name} may show its figure ({place(self.cell, call)})")
            chart.shown_elsewhere = True
        state.shown = [*state.shown, *state.open]
        state.open, state.current, state.foreign = [], set(), False

    def chart(self, chart: ChartCall, state: State) -> None:
        if not chart.own_figure:
            if OTHER in state.current:
                self.findings.refuse(chart, f"it draws into a figure of other code ({chart.where})")
            if state.charts:
                self.findings.refuse(chart, f"several calls draw into one figure ({chart.where})")
            if state.pending is None and chart.function is not None:
                self.findings.refuse(chart, f"it draws into whatever figure its caller has open ({chart.where})")
        if state.pending is not None:
            self.findings.vote(state.pending, "remove")
            state.pending = None
        elif PENDING in state.current:
            state.foreign = True
        state.maybe_closed.discard(chart)
        if not (chart.shows or chart.closes):
            state.current = {chart}
            if chart not in state.open:
                state.open.append(chart)
            return
        if chart.shows and (state.foreign or state.open):
            self.findings.refuse(chart, f"its plt.show() shows other figures as well ({chart.where})")
        state.current = state.below
        state.shown = [*state.shown, chart]

    def foreign(self, state: State) -> None:
        self.settle(state)
        state.current = {OTHER}
        state.foreign = True

    def settle(self, state: State) -> None:
        """Keep a figure that was opened: something else draws into it."""
        if state.pending is not None:
            self.findings.vote(state.pending, "keep")
            state.pending = None

    def modify(self, call: cst.Call, state: State, what: str) -> None:
        self.settle(state)
        for chart in state.charts:
            self.findings.refuse(chart, f"{what} changes its figure afterwards ({place(self.cell, call)})")
        if not state.charts:
            state.current = {OTHER}
            state.foreign = True

    def pyplot(
        self,
        call: cst.Call,
        name: str,
        alone: cst.BaseSmallStatement | None,
        state: State,
        statement: cst.BaseSmallStatement | None,
    ) -> None:
        first = name.split(".")[0]
        if first in _NEUTRAL or first[:1].isupper():  # pyplot's classes, Normalize say, touch no figure
            return
        if name == "show":
            self.show(alone, state)
        elif name == "close":
            self.close(call, alone, state)
        elif name in _LAYOUT:
            self.layout(call, alone, state)
        elif name == "savefig":
            self.save(call, alone, state)
        elif name in _NEW:
            self.settle(state)
            plain = alone is not None and name == "figure" and all(literal(arg.value) for arg in call.args)
            numbered = any(arg.keyword is None or arg.keyword.value == "num" for arg in call.args)
            state.pending = alone if plain and not numbered else None
            state.current = {PENDING} if state.pending is not None else {OTHER}
            state.foreign = state.foreign or state.pending is None
        elif first in ("gcf", "gca") and self.reads_only(call):
            return
        else:
            self.modify(call, state, f"plt.{name}")

    def reads_only(self, call: cst.Call) -> bool:
        """Tell whether ``plt.gcf()`` is only handed to a close."""
        parent = self.cell.parent(call)
        outer = self.cell.parent(parent) if isinstance(parent, cst.Arg) else None
        return isinstance(outer, cst.Call) and self.program.pyplot(outer.func) == "close"

    def show(self, alone: cst.BaseSmallStatement | None, state: State) -> None:
        ours = bool(state.open or state.shown) and not state.foreign and PENDING not in state.current
        if alone is not None:
            self.findings.vote(alone, "remove" if ours else "keep")
            for chart in state.open:
                if chart in state.maybe_closed:
                    self.findings.refuse(chart, f"it may be closed before it is shown ({chart.where})")
            for chart in state.open:
                if alone not in chart.shown_at and chart not in state.shown:
                    chart.shown_at.append(alone)
        self.settle(state)
        state.shown = [*state.shown, *state.open] if ours else []
        state.open, state.current, state.foreign = [], set(), False

    def close(self, call: cst.Call, alone: cst.BaseSmallStatement | None, state: State) -> None:
        whole = any(isinstance(arg.value, cst.SimpleString) for arg in call.args)
        other = bool(call.args) and not whole and not self.closes_current(call)
        if other:
            self.settle(state)
            return
        charts = state.open if whole else state.charts
        ours = bool(charts or state.shown)
        ours = ours and not (state.foreign if whole else state.current - set(state.charts) - {NOTHING})
        if alone is not None:
            self.findings.vote(alone, "remove" if ours else "keep")
        unclear = not whole and len(state.current - {NOTHING}) > 1
        for chart in charts:
            chart.closed_later = True
            state.maybe_closed.add(chart)
            if unclear:
                self.findings.refuse(chart, f"which figure is closed cannot be told ({place(self.cell, call)})")
            if chart in self.leaked:
                self.findings.refuse(chart, f"its figure is closed by a caller ({place(self.cell, call)})")
        self.settle(state)
        state.open = [chart for chart in state.open if chart not in charts]
        if whole:
            state.foreign = False
        state.current = state.below

    def closes_current(self, call: cst.Call) -> bool:
        value = call.args[0].value
        return isinstance(value, cst.Call) and self.program.pyplot(value.func) == "gcf"

    def layout(self, call: cst.Call, alone: cst.BaseSmallStatement | None, state: State) -> None:
        if alone is None:
            return
        charts = state.charts
        others = state.current - set(charts) - {NOTHING}
        ours = bool(charts or state.shown) and not others
        ours = ours and all(literal(arg.value) for arg in call.args)
        self.findings.vote(alone, "remove" if ours else "keep")
        if charts and not ours:
            for chart in charts:
                self.findings.refuse(chart, f"its figure is laid out together with another ({place(self.cell, call)})")

    def save(self, call: cst.Call, alone: cst.BaseSmallStatement | None, state: State) -> None:
        charts = state.charts
        if not charts:
            if alone is not None:
                self.findings.vote(alone, "keep")
            return
        why = savefig_reason(self.cell, call)
        if any(chart in self.leaked for chart in charts):
            why = why or "its figure is saved by a caller"
        if alone is None or len(charts) != 1 or len(state.current) != 1:
            why = why or "its figure is saved together with another"
        if why:
            for chart in charts:
                self.findings.refuse(chart, f"{why} ({place(self.cell, call)})")
            return
        if alone is not None:
            self.findings.vote(alone, charts[0])
            if alone not in charts[0].saves:
                charts[0].saves.append(alone)


def trace(program: Program, calls: Sequence[ChartCall]) -> Findings:
    """Follow the figures through every cell and function that holds a call.

    Parameters
    ----------
    program
        The notebook.
    calls
        The calls that give charts; what becomes of their figures is noted on them.
    """
    leaks: dict[str, list[ChartCall]] = {}
    while True:
        for call in calls:
            call.shown_at, call.saves, call.closed_later, call.shown_elsewhere = [], [], False, False
        findings, left = _trace_once(program, calls, leaks)
        if left.keys() <= leaks.keys():
            return findings
        leaks = {**left, **leaks}


def _trace_once(
    program: Program, calls: Sequence[ChartCall], leaks: dict[str, list[ChartCall]]
) -> tuple[Findings, dict[str, list[ChartCall]]]:
    findings = Findings()
    by_node = {id(call.node): call for call in calls}
    left: dict[str, list[ChartCall]] = {}
    concerned = {call.cell.number for call in calls}
    for cell in program.cells:
        if cell.number not in concerned and not any(name in cell.names for name in leaks):
            continue
        bodies: list[tuple[str, Sequence[cst.CSTNode]]] = [("", cell.module.body)]
        bodies += [(node.name.value, node.body.body) for node in cell.nodes if isinstance(node, cst.FunctionDef)]
        for name, body in bodies:
            walker = _Walk(program, cell, by_node, findings, leaks)
            state = State()
            if body and isinstance(body[0], cst.BaseSmallStatement):
                for part in body:
                    if isinstance(part, cst.BaseSmallStatement):
                        walker.simple(part, state)
            else:
                state = walker.block(body, state)
            walker.settle(state)
            for chart in state.open if not program.script else ():
                if chart in state.maybe_closed:
                    findings.refuse(chart, f"it may be closed before it is shown ({chart.where})")
            stays = [chart for chart in state.open if not _is_returned(chart)]
            stays += [chart for chart in state.charts if chart in walker.leaked and chart not in stays]
            if name and stays:
                left[name] = stays
                for chart in stays if program.script else ():
                    findings.refuse(chart, f"{name} leaves its figure open for a caller to show ({chart.where})")
    for votes in findings.votes.values():
        for vote in votes:
            if isinstance(vote, ChartCall) and any(other is not vote for other in votes):
                findings.refuse(vote, "one statement saves several figures")
    return findings, left


def _is_returned(chart: ChartCall) -> bool:
    return chart.kind == "return" or any(use.kind == "return" for use in chart.uses)
