"""The pieces that charts are made of: colours and shapes with one meaning each, titles, params, sizes."""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts.specs import another, new
from headspec.errors import DataError, KindError
from headspec.reduce.palette import ColourScale
from headspec.text import clean

# --- what a colour or shape means, everywhere --------------------------------------------------------------------------

CROSS = "M-.7,-.7L.7,.7M.7,-.7L-.7,.7"
"""An X: Vega's own "cross" is a plus."""

STATE_COLOURS = {"pruned": "#D1495B", "revived": "#3A86D1", "vulnerable": "#E09F3E"}
STATE_SHAPES = {"pruned": CROSS, "revived": "triangle-up", "vulnerable": "diamond"}

CATEGORY_COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8F7CCF", "#7F7F7F"]
CATEGORY_SHAPES = [
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
]

_TITLE = alt.TitleParams(text="")
ChartT = TypeVar("ChartT", bound=alt.SchemaBase)

PANEL = 512
"""Pixels that a heat map may take in each direction."""


def category_scales(names: Sequence[str]) -> tuple[alt.Scale, alt.Scale]:
    """Return the colour and the shape scale of categories: the same place in the order, the same look everywhere."""
    count = len(names)
    colours = [CATEGORY_COLOURS[place % len(CATEGORY_COLOURS)] for place in range(count)]
    # past eight, the shapes go round in another rhythm, so that no two names share both
    shapes = [CATEGORY_SHAPES[(place + place // len(CATEGORY_SHAPES)) % len(CATEGORY_SHAPES)] for place in range(count)]
    return new(alt.Scale, domain=list(names), range=colours), new(alt.Scale, domain=list(names), range=shapes)


def state_scales(present: Iterable[str]) -> tuple[alt.Scale, alt.Scale]:
    """Return the colour and the shape scale of the head states that occur."""
    names = [name for name in STATE_COLOURS if name in set(present)]
    return (
        new(alt.Scale, domain=names, range=[STATE_COLOURS[name] for name in names]),
        new(alt.Scale, domain=names, range=[STATE_SHAPES[name] for name in names]),
    )


def colour_scale(scale: ColourScale) -> alt.Scale:
    """Return the Altair form of a colour scale, its domain always explicit."""
    ends = [scale.low, scale.high]
    made: alt.Scale = new(alt.Scale, scheme=scale.scheme, domain=ends, type=scale.type, clamp=True)
    return made


def gradient_legend(title: str, height: float, scale: ColourScale) -> alt.Legend:
    """Return the legend of a colour scale, about as high as its panel."""
    length = max(60.0, min(200.0, height))
    # With fewer ticks, which Vega-Lite asks for below 200 pixels, Vega labels the ends, rounded: 3 where the colour is that of 3.42.
    # The ends of a log domain are no round numbers either.
    form: dict[str, Any] = {"format": ".2~g"} if scale.type == "log" else {"tickCount": 4}
    made: alt.Legend = new(alt.Legend, title=title, gradientLength=length, **form)
    return made


def set_properties(chart: ChartT, **properties: Any) -> ChartT:
    """Set properties of a chart that nobody else has yet, and return it: its own `properties` would copy all of it."""
    for name, value in properties.items():
        chart[name] = value
    return chart


def one_mark() -> alt.Chart:
    """Return a chart that draws its mark once and has no rows of its own."""
    return alt.Chart(_once())


@functools.cache
def _once() -> Any:  # one for all charts, which Altair never writes to: making it takes as long as a small chart
    return alt.sequence(0, 1, as_="_once")


# quicker than alt.value, of which Altair must find the class, and without types
XValue: Any = alt.XValue
YValue: Any = alt.YValue
UrlValue: Any = alt.UrlValue

POOL_SWITCH = "pool_switch"


def pictures(uris: Sequence[str], width: int, height: int) -> list[alt.Chart]:
    """Return the layers of a panel that is an image, drawn pixel by pixel: of its maxima and, if given, of its means."""
    layers: list[Any] = []
    for place, uri in enumerate(uris):
        mark = one_mark().mark_image(
            align="left", baseline="top", aspect=False, smooth=False, width=width, height=height, aria=False
        )
        layer = mark.encode(XValue(0), YValue(0), UrlValue(uri))
        if len(uris) > 1:  # the one that is not looked at is not there: no picture or SVG carries it
            layer = layer.transform_filter(f"{POOL_SWITCH} === '{POOLS[place]}'")
        layers.append(layer)
    return layers


POOLS = ("maximum", "mean")


def pool_switch() -> alt.Parameter:
    """Return the switch between the maxima and the means of blocks, one for all charts of a page."""
    return alt.param(name=POOL_SWITCH, value=POOLS[0], bind=alt.binding_radio(options=list(POOLS), name="Each pixel: "))


# --- arguments of old ----------------------------------------------------------------------------------------------------

_GONE = {
    "save_path": "headspec.save(chart, path)",
    "figsize": "chart.properties(width=…, height=…), or headspec.save(chart, path, column='single') for a paper",
    "cmap": "the scale says what the colours mean; .encode(color=…) of a chart of one's own replaces it",
    "ax": "charts stand side by side by chart | other and below each other by chart & other",
}

P = ParamSpec("P")
R = TypeVar("R")


def says_what_is_gone(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function explain the arguments that its matplotlib predecessor had."""

    @functools.wraps(function)
    def explained(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in _GONE.keys() & kwargs.keys():
            raise KindError(f"{function.__name__}: {name} is gone: {_GONE[name]}")
        return function(*args, **kwargs)

    return explained


# --- words ---------------------------------------------------------------------------------------------------------------


def heading(title: str, notes: Iterable[str], *, width: float = PANEL) -> alt.TitleParams:
    """Return the title with its notes as subtitle, wrapped to the panel (Vega does not wrap).

    Parameters
    ----------
    title
        From the caller; cleaned here.
    notes
        What the reader must know: unit, n, what was reduced. Empty ones are left out.
    width
        Of the panel, in pixels.
    """
    letters = max(int(width / 5.4), 36)
    lines = textwrap.wrap("; ".join(clean(note) for note in notes if note), letters)
    titles = textwrap.wrap(clean(title), max(int(width / 7.2), 28)) or [""]
    text: Any = titles if len(titles) > 1 else titles[0]
    return another(_TITLE, text=text, subtitle=lines) if lines else another(_TITLE, text=text)


def decimals(low: float, high: float, *, digits: int = 3) -> int:
    """Return how many decimals show the numbers between two ends with about so many significant digits."""
    size = max(abs(low), abs(high))
    if not size or not math.isfinite(size):
        return 0
    return max(0, min(digits - 1 - math.floor(math.log10(size)) - (size < 1), 8))


def number_format(low: float, high: float, *, log: bool = False, digits: int = 3) -> str:
    """Return the d3 format for numbers between two ends: as many decimals as the larger end needs."""
    size = max(abs(low), abs(high))
    if log and low >= 1e-3 and high < 1e3:
        return f".{digits - 1}~g"
    if log or (size and (size < 1e-3 or size >= 1e5)):
        return f".{digits - 2}e"
    return f",.{decimals(low, high, digits=digits)}f"


def format_width(low: float, high: float, spec: str) -> int:
    """Return how many letters the longest number between two ends takes in a d3 format of `number_format`."""
    return max(len(format(value, spec.replace("~", ""))) for value in (low, high))


# --- sizes ---------------------------------------------------------------------------------------------------------------


def whole_pixels(count: int, *, most: int, panel: int = PANEL) -> int:
    """Return the whole number of pixels that one of `count` cells takes in a panel, one at least."""
    return max(1, min(most, panel // max(count, 1)))


def band_scale(ids: Sequence[int]) -> Any:
    """Return the scale of an axis with a band for each id.

    As a dict: Altair checks each id of an `alt.Scale` as it is made, and the whole chart once more as it is written.
    """
    return {"domain": list(ids)}


def axis_values(ids: Sequence[int], pixels: int, *, room: int = 22) -> list[int] | None:
    """Return the ids to label so that labels keep `room` pixels apart; None labels them all."""
    every = next(
        step
        for step in (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 250, 256, 500, 1000, 10**9)
        if step * pixels >= room or step >= len(ids)
    )
    return None if every == 1 else [item for place, item in enumerate(ids) if place % every == 0]


def id_range(ids: Iterable[int]) -> list[int]:
    """Return the ids of an axis: all from the first to the last, so that what is absent is a hole and not a closed gap.

    Ids that are far apart (layers 0 and 40 alone) are kept as they are.
    """
    known = sorted(set(ids.tolist() if isinstance(ids, pd.Series) else ids))
    span = range(known[0], known[-1] + 1)
    return list(span) if len(span) <= 2 * len(known) + 2 else known


def extent(values: Any, *, name: str) -> tuple[float, float]:
    """Return the least and the greatest finite value."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if not finite.size:
        raise DataError(
            f"{name} holds no finite value: {array.size:,} NaN, infinite or masked; there is nothing to draw"
        )
    return float(finite.min()), float(finite.max())


# --- params --------------------------------------------------------------------------------------------------------------


def head_pick(name: str, *, layer: int | None = None, head: int | None = None) -> alt.Parameter:
    """Return the selection of one head by click, the same in every chart that takes part.

    A click on an empty area would clear a selection in spite of ``clear=False``; the guard on the event keeps it.
    """
    value = [{"layer": layer, "head": head}] if layer is not None and head is not None else alt.Undefined
    return alt.selection_point(
        name=name,
        fields=["layer", "head"],
        on="click[event.item && event.item.datum && isNumber(event.item.datum.head)]",
        toggle=False,
        clear=False,
        empty=False,
        value=value,
    )


def legend_filter(name: str, field: str) -> alt.Parameter:
    """Return the selection that a click on a legend entry makes; add it to the layer that owns the legend."""
    return alt.selection_point(name=name, fields=[field], bind="legend")


def step_zoom(name: str = "step_zoom") -> alt.Parameter:
    """Return the zoom and pan along the step axis that aligned panels share."""
    return alt.selection_interval(name=name, encodings=["x"], bind="scales")
