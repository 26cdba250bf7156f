"""Whether a definition in a notebook is a plotting function that a chart of headspec stands in for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import libcst as cst

from headspec.migrate.cells import CodeCell, dotted, inner_blocks, literal, root, value_of, walk
from headspec.migrate.known import ANNOTATIONS, OLD_TITLES, Known, role_of
from headspec.migrate.namespace import Program
from headspec.migrate.purity import Body, Reader, first_draw
from headspec.text import listing

# Decorators that leave what a function draws and returns as it is.
_PLAIN_DECORATORS = (
    "torch.no_grad",
    "torch.inference_mode",
    "functools.lru_cache",
    "functools.cache",
    "typing.no_type_check",
    "matplotlib.pyplot.rc_context",
    "matplotlib.rc_context",
    "matplotlib.pyplot.style.context",
    "seaborn.plotting_context",
    "seaborn.axes_style",
)


@dataclass(frozen=True)
class Param:
    """One argument of a definition of old: what it is for, and what stands for it now."""

    name: str
    role: str
    target: str | None = None
    default: cst.BaseExpression | None = None
    positional: bool = True


@dataclass
class Definition:
    """A function as calls see it: its arguments, what becomes of its figure, and what speaks against removing it."""

    name: str
    params: list[Param]
    reasons: list[str] = field(default_factory=list)
    cell: CodeCell | None = None
    node: cst.FunctionDef | None = None
    body: Body = field(default_factory=Body)
    returns: str = "figure"
    first_of_batch: bool = False
    star: bool = False

    def param(self, name: str) -> Param | None:
        """Return the argument of a name."""
        return next((param for param in self.params if param.name == name), None)

    def fate(self, given: Mapping[str, bool | None], program: Program) -> tuple[bool, bool]:
        """Return whether a call shows its figure by itself, and whether it closes it.

        Parameters
        ----------
        given
            For each argument whether it is true in this call; None or absent if that cannot be told.
        """
        if self.node is None:
            return False, False
        state = _Fate(program, given)
        state.run(self.node.body)
        return state.shown, state.closed


class _Fate:
    """Follows a body statement by statement, taking the branches that are known to be taken."""

    def __init__(self, program: Program, given: Mapping[str, bool | None]) -> None:
        self.program = program
        self.given = given
        self.shown = False
        self.closed = False

    def run(self, suite: cst.BaseSuite) -> None:
        for statement in suite.body:
            if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
                continue
            if isinstance(statement, cst.If):
                self._branch(statement)
            elif isinstance(statement, cst.BaseCompoundStatement):
                for block in inner_blocks(statement):
                    self.run(block)
            else:
                self._calls(statement)

    def _branch(self, node: cst.If) -> None:
        known = self._truth(node.test)
        other: cst.BaseSuite | cst.If | None = None
        if node.orelse is not None:
            other = node.orelse if isinstance(node.orelse, cst.If) else node.orelse.body
        ends = []
        start = self.shown, self.closed
        for taken, part in ((True, node.body), (False, other)):
            if known is not None and known is not taken:
                continue
            self.shown, self.closed = start
            if isinstance(part, cst.If):
                self._branch(part)
            elif part is not None:
                self.run(part)
            ends.append((self.shown, self.closed))
        self.shown = any(shown for shown, _ in ends)
        self.closed = all(closed for _, closed in ends)

    def _calls(self, statement: cst.CSTNode) -> None:
        for node in walk(statement):
            if not isinstance(node, cst.Call):
                continue
            name = self.program.pyplot(node.func)
            full = self.program.resolve(node.func) or ""
            last = (dotted(node.func) or [""])[-1]
            if name == "show" or last == "show" or last == "display" or full.endswith(".display"):
                self.shown = True
            elif name in ("close", "clf"):
                self.closed = True

    def _truth(self, test: cst.BaseExpression) -> bool | None:
        if isinstance(test, cst.Name):
            return self.given.get(test.value)
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            inner = self._truth(test.expression)
            return None if inner is None else not inner
        if isinstance(test, cst.Comparison) and len(test.comparisons) == 1 and isinstance(test.left, cst.Name):
            part = test.comparisons[0]
            if isinstance(part.comparator, cst.Name) and part.comparator.value == "None":
                known = self.given.get(test.left.value)
                if isinstance(part.operator, cst.Is):
                    return None if known is None else not known
                if isinstance(part.operator, cst.IsNot):
                    return known
        if isinstance(test, cst.BooleanOperation):
            left, right = self._truth(test.left), self._truth(test.right)
            decisive = isinstance(test.operator, cst.Or)
            if left is decisive or right is decisive:
                return decisive
            return None if left is None or right is None else not decisive
        return None


def legacy(known: Known) -> Definition:
    """Return what is assumed of a function that is imported from a module that is not at hand."""
    params = [
        Param(name, "keep" if name in known.params else role_of(name), name if name in known.params else None)
        for name in known.legacy
    ]
    extra = [Param(name, role_of(name), positional=False) for name in ("save_path", "figsize", "cmap", "dpi")]
    names = {param.name for param in params}
    return Definition(known.name, params + [param for param in extra if param.name not in names])


def judge(program: Program, cell: CodeCell, node: cst.FunctionDef, known: Known) -> Definition:
    """Read a definition and note everything that headspec's chart does not cover.

    Parameters
    ----------
    program
        The notebook that the definition stands in.
    cell, node
        The definition and its cell.
    known
        The chart of the same name.
    """
    definition = Definition(known.name, _params(node.params, known), cell=cell, node=node)
    reasons = definition.reasons
    _signature(definition, known)
    if node.asynchronous is not None:
        reasons.append("it is a coroutine")
    for decorator in node.decorators:
        plain = decorator.decorator.func if isinstance(decorator.decorator, cst.Call) else decorator.decorator
        if program.resolve(plain) not in _PLAIN_DECORATORS:
            reasons.append(f"it is decorated with {cell.source(decorator.decorator)}")
    save = frozenset(param.name for param in definition.params if param.role == "save")
    reader = Reader(program, cell, node, save)
    body = definition.body = reader.read()
    reasons += body.reasons
    _drawing(reasons, body, known)
    _data(definition, node, known)
    definition.returns = _returns(reasons, program, reader, node)
    definition.first_of_batch = known.name == "visualize_attention_matrix" and _first_of_batch(definition, node)
    definition.star = node.params.star_kwarg is not None or isinstance(node.params.star_arg, cst.Param)
    return definition


def _params(node: cst.Parameters, known: Known) -> list[Param]:
    params: list[Param] = []
    positional = [*node.posonly_params, *node.params]
    for param in (*positional, *node.kwonly_params):
        name = param.name.value
        target = known.target(name)
        if target is None and param is positional[0] and known.required == 1 and role_of(name) == "unknown":
            target = known.params[0]
        role = "keep" if target is not None else role_of(name)
        params.append(Param(name, role, target, param.default, param in positional))
    return params


def _signature(definition: Definition, known: Known) -> None:
    reasons = definition.reasons
    targets = [param.target for param in definition.params if param.target is not None]
    if len(set(targets)) < len(targets):
        reasons.append("two of its arguments stand for one of headspec's")
    missing = [name for name in known.params[: known.required] if name not in targets]
    if missing:
        reasons.append(f"it does not take {listing(missing)}, which headspec needs")
    for param in definition.params:
        if param.role == "unknown" and param.default is None:
            reasons.append(f"it needs {param.name}, which headspec has no argument for")


def _drawing(reasons: list[str], body: Body, known: Known) -> None:
    other = sorted(body.drawn - known.accepts - ANNOTATIONS - {"plot", "scatter"})
    if not body.plots:
        reasons.append("it does not draw with matplotlib")
    elif not body.drawn & known.accepts:
        reasons.append(
            f"it draws {listing(sorted(body.drawn)) or 'nothing that is recognised'}, not what headspec draws"
        )
    elif other:
        reasons.append(f"it also draws {listing(other)}")
    if body.panels and not known.panels:
        reasons.append("it draws several panels, and headspec's chart is one")


def _data(definition: Definition, node: cst.FunctionDef, known: Known) -> None:
    """Refuse a definition whose data has another form than that of the chart."""
    reasons = definition.reasons
    missing = [part for part in known.reads if not any(re.search(part, text) for text in definition.body.texts)]
    if missing:
        names = " and ".join(re.sub(r"\(\?i\)|[$^]", "", part).replace("|", " or ") for part in missing)
        reasons.append(f"it does not read {names}, which headspec's chart is about")
    calls = [part for part in walk(node.body) if isinstance(part, cst.Call)]
    if known.name == "plot_head_gradients_with_overlays" and not definition.body.drawn & {
        "imshow",
        "heatmap",
        "matshow",
    }:
        flat = {"flatten", "ravel", "reshape", "view"}
        if not any(isinstance(call.func, cst.Attribute) and call.func.attr.value in flat for call in calls):
            reasons.append("it draws a flat vector, from which headspec cannot tell layers and heads")
    for call in calls:
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in known.accepts:
            turned = [part for arg in call.args for part in walk(arg.value) if isinstance(part, cst.Attribute)]
            if any(part.attr.value in ("T", "transpose", "t", "mT", "swapaxes") for part in turned):
                reasons.append("it draws its matrix transposed")
    states = {param.name for param in definition.params if (param.target or "").endswith("_heads")}
    states -= {param.name for param in definition.params if param.target == "num_heads"}
    for part in walk(node.body):
        if isinstance(part, (cst.For, cst.CompFor)) and isinstance(part.iter, cst.Name) and part.iter.value in states:
            _pairs(reasons, node, part.target, part.iter.value)


def _pairs(reasons: list[str], node: cst.FunctionDef, target: cst.BaseExpression, name: str) -> None:
    """Refuse heads that are not given as (layer, head)."""
    if isinstance(target, cst.Name):
        taken = any(
            (isinstance(part, cst.Subscript) and isinstance(part.value, cst.Name) and part.value.value == target.value)
            or (
                isinstance(part, cst.Assign)
                and isinstance(part.value, cst.Name)
                and part.value.value == target.value
                and isinstance(part.targets[0].target, cst.Tuple)
                and len(part.targets[0].target.elements) == 2
            )
            for part in walk(node.body)
        )
        if taken:
            return
    elif isinstance(target, cst.Tuple) and len(target.elements) == 2:
        first, second = (element.value for element in target.elements)
        names = [part.value.lower() if isinstance(part, cst.Name) else "" for part in (first, second)]
        if "layer" not in names[1] and "head" not in names[0]:
            return
    reasons.append(f"it does not take {name} as pairs of layer and head")


def _returns(reasons: list[str], program: Program, reader: Reader, node: cst.FunctionDef) -> str:
    kinds: set[str] = set()
    start = first_draw(reader.cell, program, node)
    for part in walk(node.body, skip=(cst.FunctionDef, cst.Lambda)):
        if not isinstance(part, cst.Return):
            continue
        value = part.value
        if value is None or (isinstance(value, cst.Name) and value.value == "None"):
            if reader.cell.span(part)[0] < start:
                reasons.append("it returns early without a chart in some cases, where headspec raises an error")
            kinds.add("nothing")
            continue
        if isinstance(value, cst.Tuple) and all(_canvas(item.value, reader, program) for item in value.elements):
            kinds.add("tuple")
        elif _canvas(value, reader, program):
            kinds.add("figure")
        else:
            kinds.add("other")
            reasons.append(f"it returns {_short(reader.cell.source(value))}, not a figure")
    for kind in ("other", "tuple", "figure"):
        if kind in kinds:
            return kind
    return "nothing"


def _canvas(value: cst.CSTNode, reader: Reader, program: Program) -> bool:
    if isinstance(value, cst.Call):
        return (program.pyplot(value.func) or "") in ("gcf", "gca", "figure") or (
            isinstance(value.func, cst.Attribute) and value.func.attr.value in ("get_figure",)
        )
    start = root(value)
    if start is None or not isinstance(value, (cst.Name, cst.Attribute)):
        return False
    if isinstance(value, cst.Attribute):
        return value.attr.value in ("figure", "fig") and start.value in reader.canvas
    return start.value in reader.canvas


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _first_of_batch(definition: Definition, node: cst.FunctionDef) -> bool:
    """Tell whether the body takes the first of a batch: ``attn[0, head]`` or ``attn[0][head]``."""
    heads = {param.name for param in definition.params if param.target == "head_idx"}
    for part in walk(node.body):
        if not isinstance(part, cst.Subscript):
            continue
        indices = _indices(part)
        before = indices[:-1]
        if len(indices) > 1 and isinstance(indices[-1], cst.Name) and indices[-1].value in heads:
            return isinstance(before[-1], cst.Integer) and before[-1].evaluated_value == 0
    return False


def _indices(node: cst.BaseExpression) -> Sequence[cst.BaseExpression]:
    if not isinstance(node, cst.Subscript):
        return []
    own = [item.slice.value for item in node.slice if isinstance(item.slice, cst.Index)]
    if len(own) < len(node.slice):
        own = []
    return [*_indices(node.value), *own]


def changed_defaults(definition: Definition, known: Known, given: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Return the arguments that a call must now spell out, because the old default was another one.

    Parameters
    ----------
    definition, known
        The definition of old and the chart.
    given
        The names of the chart's arguments that the call gives.

    Returns
    -------
    tuple of dict and list
        The source of each argument by name, and what cannot be written down.
    """
    texts: dict[str, str] = {}
    unclear: list[str] = []
    for param in definition.params:
        if param.target is None or param.target in given or param.default is None:
            continue
        if param.target == "title":
            value = value_of(param.default) if literal(param.default) else None
            if isinstance(value, str) and value and value not in OLD_TITLES and definition.cell is not None:
                texts["title"] = definition.cell.source(param.default)
            continue
        old = value_of(param.default) if literal(param.default) else param.default
        new = known.defaults.get(param.target, None)
        if isinstance(old, cst.CSTNode):
            unclear.append(f"the default of {param.name} is not written out")
        elif old != new or type(old) is not type(new):
            if _same_number(old, new) or (old in ((), [], {}) and new is None):
                continue
            texts[param.target] = definition.cell.source(param.default) if definition.cell is not None else repr(old)
    return texts, unclear


def _same_number(old: object, new: object) -> bool:
    numbers = (int, float)
    plain = not isinstance(old, bool) and not isinstance(new, bool)
    return plain and isinstance(old, numbers) and isinstance(new, numbers) and old == new
