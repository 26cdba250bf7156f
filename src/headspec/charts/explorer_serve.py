"""An explorer of any size: its weights in files beside the page, or in a notebook's kernel, and asked for when picked."""

from __future__ import annotations

import hashlib
import json
from importlib import import_module, resources
from typing import Any

import altair as alt

from headspec.arrays import ArrayLike
from headspec.charts.explorer import Explorer, build
from headspec.charts.explorer_answers import answer_head, answer_pair, row_of
from headspec.errors import need

DRIVER = "head_explorer.js"


def head_explorer_files(attentions: ArrayLike, **options: Any) -> tuple[alt.HConcatChart, dict[str, str]]:
    """Return an explorer whose page loads each head's weights when it is picked, and the files to put beside the page.

    Parameters
    ----------
    attentions
        As for `visualize_head_explorer`, of any size: matrices of more than 140 tokens are pooled to so many cells a side.
    options
        All other arguments of `visualize_head_explorer`; there is no budget.

    Returns
    -------
    chart : altair.HConcatChart
        The explorer; it holds the weights of the head that it opens on.
    files : dict of str to str
        File name → JavaScript: one file for each head (``L3H5.js``) and one for each row of queries (``Q17.js``), and
        ``head_explorer.js``, which loads them.

    Raises
    ------
    DataError, KindError
        As for `visualize_head_explorer`.

    Notes
    -----
    The files are classic scripts, which a page opened from disk may load and ``fetch`` may not. A page loads
    ``head_explorer.js`` and, once the view is there, calls ``headspecServe(view, "folder/")`` (with the name of the selection
    as a third argument where it is not ``head_pick``). A content security policy must allow them: ``script-src 'self'``.

    Examples
    --------
    >>> import numpy as np, headspec
    >>> chart, files = headspec.head_explorer_files([np.full((1, 2, 3, 3), 1 / 3)])
    >>> sorted(files)
    ['L0H0.js', 'L0H1.js', 'Q0.js', 'Q1.js', 'Q2.js', 'head_explorer.js']
    """
    made = build(attentions, served=True, budget=None, **options)
    weights = made.weights
    digest = hashlib.sha256(repr((weights.code, weights.layouts, made.heads)).encode())
    for packed in weights.heads:
        digest.update(packed.tobytes())
    key = digest.hexdigest()[:12]
    files = {DRIVER: driver(made, key)}
    for row, head in enumerate(made.heads):
        name = f"L{head[0]}H{head[1]}"
        files[f"{name}.js"] = _answer(key, name, answer_head(weights, row, head))
    for row in range(max(layout.rows for layout in weights.layouts)):
        rows = [row_of(weights, place, row) for place in range(len(made.heads))]
        files[f"Q{row}.js"] = _answer(key, f"Q{row}", rows)
    return made.chart, files


def _answer(key: str, name: str, value: Any) -> str:
    return f'headspecAnswer("{key}/{name}",{json.dumps(value, separators=(",", ":"))});\n'


def driver(made: Explorer, key: str) -> str:
    """Return the script that loads the others, for one explorer."""
    text = resources.files("headspec.charts").joinpath(DRIVER).read_text(encoding="utf-8")
    about = {"key": key, "block": list(made.weights.block), "select": made.names.head}
    return text.replace("__ABOUT__", json.dumps(about))


def head_explorer_widget(attentions: ArrayLike, **options: Any) -> Any:
    """Return an explorer as a notebook widget: the kernel holds the weights and answers each pick.

    Parameters
    ----------
    attentions
        As for `visualize_head_explorer`, of any size: matrices of more than 140 tokens are pooled to so many cells a side.
    options
        All other arguments of `visualize_head_explorer`; there is no budget.

    Returns
    -------
    altair.JupyterChart
        The explorer. It needs a running kernel; `visualize_head_explorer` and `head_explorer_files` do not.

    Raises
    ------
    MissingPackageError
        If anywidget is not installed.
    DataError, KindError
        As for `visualize_head_explorer`.

    Notes
    -----
    The kernel answers through the params ``head_pick_served`` and ``head_pick_served_pair``; the picks are in the widget's
    ``selections``, for callbacks of your own.

    Examples
    --------
    >>> widget = headspec.head_explorer_widget(outputs.attentions, tokens=tokens)  # doctest: +SKIP
    >>> widget.selections.head_pick.value  # doctest: +SKIP
    [{'layer': 2, 'head': 6}]
    """
    try:
        import_module("anywidget")
    except ImportError as error:
        raise need("anywidget", extra="notebook", purpose="for the explorer as a widget") from error
    made = build(attentions, served=True, budget=None, **options)
    widget = alt.JupyterChart(made.chart)
    # the page sends back every param that it knows of, and an answer would carry old values of the computed ones with it:
    # let it know of the answers only
    answers = (made.names.served, made.names.served_pair)
    widget._params = {name: value for name, value in widget._params.items() if name in answers}

    def picked_head(change: Any) -> None:
        point = _point(change)
        head = (point.get("layer"), point.get("head"))
        if head in made.heads:
            setattr(widget.params, made.names.served, answer_head(made.weights, made.heads.index(head), head))

    def picked_pair(change: Any) -> None:
        point = _point(change)
        if {"query", "key"} <= set(point):
            pair = (int(point["query"]), int(point["key"]))
            setattr(widget.params, made.names.served_pair, answer_pair(made.weights, pair))

    widget.selections.observe(picked_head, made.names.head)
    widget.selections.observe(picked_pair, made.names.pair)
    return widget


def _point(change: Any) -> dict[str, Any]:
    """Return the point of a change of a point selection; empty where nothing is picked."""
    value = getattr(change["new"], "value", None)
    return dict(value[0]) if value else {}
