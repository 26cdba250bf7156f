"""The params of an explorer and the expressions on them: what is picked, what the map shows, where a pair's weight is.

Text of the caller (names of measures, tokens) stands in the values of params and never in an expression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from headspec.charts.attention_parts import Labels, param_name
from headspec.charts.explorer_data import Measure, Weights
from headspec.reduce.pairs import WHY
from headspec.reduce.palette import ColourScale, dark_ink_range

TOGETHER = 50
"""Milliseconds within which a pair and a measure count as chosen at once, and the pair comes first: when a page opens."""


class Names(NamedTuple):
    """The names of an explorer's params: all begin with that of the selection of a head."""

    head: str

    @property
    def pair(self) -> str:
        """Return the name of the selection of a query and a key."""
        return f"{self.head}_pair"

    @property
    def measure(self) -> str:
        """Return the name of the param that the select box sets: the place of a measure."""
        return f"{self.head}_measure"

    @property
    def infos(self) -> str:
        """Return the name of the list of what is known of each measure, the pair's weights last."""
        return f"{self.head}_measures"

    @property
    def by_pair(self) -> str:
        """Return the name of the param that is true while the map shows weights on the picked pair."""
        return f"{self.head}_by_pair"

    @property
    def shown(self) -> str:
        """Return the name of the entry of `infos` that the map shows."""
        return f"{self.head}_shown"

    @property
    def served(self) -> str:
        """Return the name of the param through which a page or kernel hands over the picked head's weights."""
        return f"{self.head}_served"

    @property
    def served_pair(self) -> str:
        """Return the name of the param through which a page or kernel hands over all heads' weights on the picked pair."""
        return f"{self.head}_served_pair"


# --- params ----------------------------------------------------------------------------------------------------------------


def pair_pick(names: Names, pair: tuple[int, int] | None) -> alt.Parameter:
    """Return the selection of a query and a key by click; a double click anywhere or Escape takes it back."""
    return alt.selection_point(
        name=names.pair,
        fields=["query", "key"],
        on="click[event.item && event.item.datum && isNumber(event.item.datum.query) && isNumber(event.item.datum.key)]",
        toggle=False,
        clear="dblclick, window:keydown[event.key === 'Escape']",
        empty=False,
        value=[{"query": pair[0], "key": pair[1]}] if pair is not None else alt.Undefined,
    )


def variables(
    names: Names, measures: Sequence[Measure], formats: Sequence[str], weights: Weights, labels: Labels
) -> list[alt.Parameter]:
    """Return the params that are no selections.

    What was chosen last, a pair or a measure, is what the map shows; the times of both choices tell.
    """
    infos = [_info(item.name, item.scale, form) for item, form in zip(measures, formats, strict=True)]
    infos.append(_info("", weights.scale, ".3f"))
    box = alt.binding_select(
        options=list(range(len(measures))), labels=[item.name for item in measures], name="Colour heads by "
    )
    chosen_at, picked_at = f"{names.measure}_at", f"{names.pair}_at"
    tokens = {param_name(item): item for item in labels if item is not None}
    return [
        *(alt.param(name=name, value=item) for name, item in tokens.items()),
        alt.param(name=names.infos, value=infos),
        alt.param(name=names.measure, value=0, bind=box if len(measures) > 1 else alt.Undefined),
        alt.param(name=chosen_at, expr=f"{names.measure} >= 0 ? now() : 0"),
        alt.param(name=picked_at, expr=f"isArray({names.pair}.query) ? now() : 0"),
        alt.param(name=names.by_pair, expr=f"{picked_at} > 0 && {picked_at} + {TOGETHER} > {chosen_at}"),
        alt.param(name=names.shown, expr=f"{names.infos}[{names.by_pair} ? {len(measures)} : {names.measure}]"),
    ]


def _info(name: str, scale: ColourScale, form: str) -> dict[str, Any]:
    """Return what the expressions need of a measure: its name, its domain and ink in the space of its scale."""
    inks = [None if math.isinf(end) else bent(end, scale.type) for end in dark_ink_range(scale)]
    return {
        "name": name,
        "low": bent(scale.low, scale.type),
        "high": bent(scale.high, scale.type),
        "scheme": scale.scheme,
        "space": scale.type,
        "format": form,
        "ink": inks,
    }


def bent(value: float, space: str) -> float:
    """Return a value in the space of a scale."""
    if space == "log":
        return math.log10(value)
    return math.copysign(math.sqrt(abs(value)), value) if space == "sqrt" else value


# --- expressions -----------------------------------------------------------------------------------------------------------


def bend_expression(space: str, value: str) -> str:
    """Return the expression of a value in the space that another expression names."""
    root = f"({value} < 0 ? -1 : 1) * sqrt(abs({value}))"
    return f"{space} === 'log' ? log({value}) / LN10 : {space} === 'sqrt' ? {root} : {value}"


def label_expression(names: Names) -> str:
    """Return the expression of the legend's labels: values of the measure, whatever the space of its scale."""
    space = f"{names.shown}.space"
    square = "(datum.value < 0 ? -1 : 1) * datum.value * datum.value"
    return (
        f"{space} === 'log' ? format(pow(10, datum.value), '.2~g') : "
        f"{space} === 'sqrt' ? format({square}, '.2~g') : "
        f"max(abs({names.shown}.low), abs({names.shown}.high)) < 0.001 ? format(datum.value, '.1~e') : datum.label"
    )


def kind_expression(code: str) -> str:
    """Return the expression of what a packed integer is."""
    return f"isNumber({code}) ? ({code} >= 0 ? 'value' : {list(WHY)}[-1 - {code}]) : 'masked'"


def weight_expression(weights: Weights, code: str) -> str:
    """Return the expression of the weight that a packed integer from 0 on stands for."""
    offset, step, log = weights.code
    inner = f"{offset!r} + {step!r} * {code}" if offset else f"{step!r} * {code}"
    return f"pow(10, {inner})" if log else inner


def cell_expressions(weights: Weights, place: str, layout: str) -> tuple[str, str]:
    """Return the expressions of the query and the key at a place in a head's list."""
    high, wide = weights.block
    causal = weights.layouts[0].causal
    columns = _per_layout([item.columns for item in weights.layouts], layout)
    row = f"floor((sqrt(8 * {place} + 1) - 1) / 2)" if causal else f"floor({place} / {columns})"
    column = f"{place} - {row} * ({row} + 1) / 2" if causal else f"{place} % {columns}"
    return f"{high} * {row}" if high > 1 else row, f"{wide} * ({column})" if wide > 1 else column


def pair_expression(names: Names, weights: Weights, layout: str) -> str:
    """Return the expression of where a head's list has the picked pair; −1 where it has none."""
    high, wide = weights.block
    row = f"floor({names.pair}.query[0] / {high})" if high > 1 else f"{names.pair}.query[0]"
    column = f"floor({names.pair}.key[0] / {wide})" if wide > 1 else f"{names.pair}.key[0]"
    if weights.layouts[0].causal:
        rows = _per_layout([item.rows for item in weights.layouts], layout)
        return f"{row} < {rows} ? {row} * ({row} + 1) / 2 + {column} : -1"
    rows = _per_layout([item.rows for item in weights.layouts], layout)
    columns = _per_layout([item.columns for item in weights.layouts], layout)
    return f"{row} < {rows} && {column} < {columns} ? {row} * {columns} + {column} : -1"


def _per_layout(values: Sequence[int], layout: str) -> str:
    return str(values[0]) if len(set(values)) == 1 else f"{list(values)}[{layout}]"


def place_expression(value: str, block: int, most: int, noun: str, plural: str, tokens: list[str] | None) -> str:
    """Return the expression that names a position, or the positions of a block, with their token."""
    if block > 1:
        return f"'{plural} ' + {value} + '–' + min({value} + {block - 1}, {most - 1})"
    token = f" + ' (' + {param_name(tokens)}[{value}] + ')'" if tokens is not None else ""
    return f"'{noun} ' + {value}{token}"


def map_title(names: Names, weights: Weights, labels: Labels, *, limit: int) -> alt.TitleParams:
    """Return the map's title: the measure that it shows, or the pair.

    It changes with the pick, and Vega fixes the size of a view when it is first drawn: one that grew beyond `limit` pixels
    would push what stands beside the map out of the view.
    """
    query = place_expression(
        f"{names.pair}.query[0]", weights.block[0], weights.shape[0], "query", "queries", labels.query
    )
    key = place_expression(f"{names.pair}.key[0]", weights.block[1], weights.shape[1], "key", "keys", labels.key)
    text = f"{names.by_pair} ? 'Weight from ' + {query} + ' on ' + {key} : {names.shown}.name"
    return alt.TitleParams(text=alt.ExprRef(text), **small(), limit=limit)


def matrix_title(names: Names, *, served: bool) -> alt.TitleParams:
    """Return the matrix's title: the head whose attention it shows."""
    head = f"{names.served}.layer + ' H' + {names.served}.head"
    if not served:
        head = f"{names.head}.layer[0] + ' H' + {names.head}.head[0]"
        return alt.TitleParams(
            text=alt.ExprRef(f"isArray({names.head}.layer) ? 'Attention of L' + {head} : ''"), **small()
        )
    return alt.TitleParams(text=alt.ExprRef(f"'Attention of L' + {head}"), **small())


def small() -> dict[str, Any]:
    """Return the look of a panel's title, below that of the chart."""
    return {"fontSize": 12, "anchor": "start", "frame": "group", "offset": 6}
