"""What is moved over: the functions for which nothing speaks against it, with all their calls, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.calls import bind
from headspec.migrate.cells import CodeCell
from headspec.migrate.figure_state import Findings
from headspec.migrate.figures import trace
from headspec.migrate.groups import Group, Survey
from headspec.migrate.known import KNOWN
from headspec.migrate.namespace import Program
from headspec.migrate.results import (
    ChartCall,
    after,
    context,
    follow,
    kept,
    other_returns,
    place,
    reassigned,
    under,
)


@dataclass
class Plan:
    """The groups that are moved over, and what becomes of each call."""

    groups: list[Group] = field(default_factory=list)
    calls: list[ChartCall] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    sources: dict[ChartCall, set[Group]] = field(default_factory=dict)
    ready: list[ChartCall] = field(default_factory=list)
    mixed: set[ChartCall] = field(default_factory=set)


def make_plan(program: Program, survey: Survey) -> Plan:
    """Decide which groups are moved over; each one that is not gets its reasons.

    A group that has to stay changes what the figures around it belong to, so the question is asked again until no
    further group drops out.
    """
    while True:
        active = [group for group in survey.groups if not group.reasons and group.definitions]
        plan = _attempt(program, active)
        dropped = [group for group in active if group.reasons]
        _names_taken(program, survey, active)
        if not dropped and not any(group.reasons for group in active):
            return plan


def _names_taken(program: Program, survey: Survey, active: Iterable[Group]) -> None:
    """Refuse a group whose public name would still mean something else."""
    staying = {(group.local, group.owner) for group in survey.groups if group.reasons}
    for group in active:
        if group.reasons or group.ready:
            continue
        for name in ("headspec", "display"):
            if name in program.bound:
                group.refuse(f"the notebook uses the name {name} for something of its own")
        if (group.name, None) in staying and not (group.local == group.name and group.owner is None):
            group.refuse(f"the name {group.name} stands for another function that stays")
        elif group.local != group.name or group.module is not None:
            taken = program.bound.get(group.name, ())
            own = [one for other in survey.groups if other.local == group.name for one in other.own]
            if len(taken) > len(own):
                group.refuse(f"the name {group.name} is set to something else")
        if (group.local, None) in staying and group.owner is not None:
            group.refuse(f"the notebook's own {group.name} stays")


def _attempt(program: Program, active: list[Group]) -> Plan:
    plan = Plan(groups=active)
    going = {id(one.node) for group in active if not group.ready for one in group.own}
    for group in active:
        for call in group.calls:
            if any(id(holder) in going for holder in call.cell.above(call.node)):
                continue  # it goes with the definition that it stands in
            _reset(call)
            _bind(program, group, call)
            if group.ready:
                if call.bound is not None and _outdated(call):
                    why = context(program, call)
                    if why is not None and call.bound.save is not None:
                        group.refuse(f"{why} ({call.where})")
                    plan.ready.append(call)
                continue
            why = context(program, call)
            if why is None and call.kind in ("display", "savefig", "show") and _gives_nothing(call):
                why = "it returns nothing, and its result is used"
            if why is not None:
                group.refuse(f"{why} ({call.where})")
            plan.calls.append(call)
            plan.sources[call] = {group}
    if any(group.reasons for group in active):
        return plan
    _blame(plan, _wrappers(program, plan))
    if not any(group.reasons for group in active):
        _trace(program, plan)
    return plan


def _gives_nothing(call: ChartCall) -> bool:
    return call.definition is not None and call.definition.returns == "nothing"


def _reset(call: ChartCall) -> None:
    call.uses, call.shown_at, call.saves = [], [], []
    call.closed_later = call.shown_elsewhere = False


def _outdated(call: ChartCall) -> bool:
    return call.bound is not None and any(param.role != "keep" for _, param in call.bound.args)


def _bind(program: Program, group: Group, call: ChartCall) -> None:
    """Match a call with the definition that it reaches; where there are several, all must agree."""
    known = KNOWN[group.name]
    before = [
        one
        for one in group.definitions
        if one.cell is None
        or one.node is None
        or one.cell.number == 0
        or (one.cell.number, one.cell.span(one.node)[0]) < (call.cell.number, call.cell.span(call.node)[0])
    ]
    definition = (before or group.definitions)[-1]
    call.definition = definition
    call.bound = bind(call.cell, call.node, definition, known)
    if group.ready:
        # Arguments by position are headspec's own here: only what it has no argument for is looked at.
        if any(arg.keyword is None and param.role != "keep" for arg, param in call.bound.args):
            call.bound.args = []
        if call.bound.reasons and not _outdated(call):
            call.bound.reasons = []
        call.bound.extra = {}
    for why in call.bound.reasons:
        group.refuse(f"{why} ({call.where})")
    meanings = {_meaning(bind(call.cell, call.node, one, known).args) for one in group.definitions}
    if len(meanings) > 1:
        group.refuse(f"its definitions take the arguments of a call differently ({call.where})")
    call.own_figure = all(one.node is None or one.body.own_figure for one in group.definitions)
    call.shows, call.closes = definition.fate(call.bound.truth, program)


def _meaning(args: Iterable[tuple[cst.Arg, object]]) -> tuple[tuple[str, str | None], ...]:
    return tuple((param.role, param.target) for _, param in args)  # type: ignore[attr-defined]


def _wrappers(program: Program, plan: Plan) -> dict[ChartCall, list[str]]:
    """Add the calls of functions that return what a call gave: their callers hold the chart."""
    done: set[str] = set()
    while True:
        for call in plan.calls:
            call.uses = []
        reasons = follow(program, plan.calls)
        fresh = []
        for call in plan.calls:
            returned = call.kind == "return" or any(use.kind == "return" for use in call.uses)
            if returned and call.function is not None and call.function.name.value not in done:
                fresh.append((call, call.function))
        if not fresh:
            return reasons
        for call, function in fresh:
            if function.name.value not in done:
                done.add(function.name.value)
                _wrapper(program, plan, call, function)


def _wrapper(program: Program, plan: Plan, call: ChartCall, function: cst.FunctionDef) -> None:
    name = function.name.value
    groups = plan.sources[call]
    places = program.functions.get(name, [])
    if [node for _, node in places] != [function]:
        for group in groups:
            group.refuse(f"its result is returned by {name}, whose callers cannot be followed ({call.where})")
        return
    for cell in program.cells:
        for node in cell.names.get(name, ()):
            parent = cell.parent(node)
            if isinstance(parent, (cst.FunctionDef, cst.Attribute)) or cell.owner(node, name) is not None:
                continue
            if isinstance(parent, cst.Arg) and parent.keyword is node:
                continue
            why: str | None = f"{name}, which returns it, is handed on as a value"
            outer = ChartCall(cell, parent, name, None) if isinstance(parent, cst.Call) else None
            if outer is not None and isinstance(parent, cst.Call) and parent.func is node:
                why = context(program, outer)
                plan.calls.append(outer)
                plan.sources[outer] = set(groups)
                if why is not None:
                    why = f"{why}, through {name}"
            if why is not None:
                for group in groups:
                    group.refuse(f"{why} ({place(cell, node)})")


def _blame(plan: Plan, reasons: dict[ChartCall, list[str]]) -> None:
    for call, whys in reasons.items():
        for why in whys:
            for group in plan.sources[call]:
                group.refuse(why)


def _trace(program: Program, plan: Plan) -> None:
    """Follow the figures; a function that returns a chart passes on whether it showed or closed it."""
    inner: dict[ChartCall, list[ChartCall]] = {}
    for outer in (call for call in plan.calls if call.known is None):
        inner[outer] = [
            call
            for call in plan.calls
            if call.function is not None
            and call.function.name.value == outer.name
            and (call.kind == "return" or any(use.kind == "return" for use in call.uses))
        ]
        for call in inner[outer]:
            plan.sources[outer] |= plan.sources[call]
    for _ in range(4):
        plan.findings = trace(program, plan.calls)
        before = [(call.shows, call.closes) for call in plan.calls]
        for outer, calls in inner.items():
            outer.shows = any(call.shows or call.shown_at for call in calls)
            outer.closes = all(call.closes or call.closed_later for call in calls) and bool(calls)
            outer.own_figure = True  # a call that draws into the current figure is refused within a function
        if before == [(call.shows, call.closes) for call in plan.calls]:
            break
    _blame(plan, plan.findings.reasons)
    for call in plan.calls:
        for statement in call.saves:
            if call.variable is not None and reassigned(call, call.variable, statement):
                _blame(plan, {call: [f"{call.variable} is set anew before its figure is saved ({call.where})"]})
        uses = {id(use.statement) for use in call.uses}
        for statement in call.shown_at if program.script else ():
            if id(statement) in uses or after(call, statement):
                continue
            if not (under(call, statement) and kept(call, statement, plan.calls)):
                _blame(plan, {call: [f"it is shown under a condition, together with others ({call.where})"]})
    for outer, calls in inner.items():
        charts = {id(_return_of(call)) for call in calls} | {
            id(use.statement) for call in calls for use in call.uses if use.kind == "return"
        }
        function = calls[0].function if calls else None
        if function is not None and _mixed(calls[0].cell, function, charts):
            plan.mixed.add(outer)


def _return_of(call: ChartCall) -> cst.CSTNode | None:
    return call.statement if call.kind == "return" else None


def _mixed(cell: CodeCell, function: cst.FunctionDef, charts: set[int]) -> bool:
    """Tell whether a function that returns a chart may return something else."""
    if other_returns(cell, function, charts):
        return True
    last = function.body.body[-1] if isinstance(function.body, cst.IndentedBlock) else function.body
    parts = last.body if isinstance(last, (cst.SimpleStatementLine, cst.SimpleStatementSuite)) else ()
    return not any(isinstance(part, (cst.Return, cst.Raise)) for part in parts)
