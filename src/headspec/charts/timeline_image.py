"""A measure along the lanes of a timeline as an image: where its cells are too many to be drawn one by one."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from headspec.charts.cells import unit
from headspec.charts.timeline_lanes import Coloured, View
from headspec.charts.timeline_values import EDGE, UNMEASURED
from headspec.reduce.palette import png_uri

LEVELS = 249
"""Colours for values; the other palette entries are for cells without a finite value, and for none."""
_CLEAR = 255


def picture(view: View, coloured: Coloured, greys: dict[str, str]) -> alt.Chart:
    """Return the image of all cells, one pixel wide and as high as a lane's bar; it moves along when the steps are zoomed."""
    kinds = {kind: LEVELS + place for place, kind in enumerate(greys)}
    assert UNMEASURED in kinds
    assert max(kinds.values()) < _CLEAR
    entries = np.full((view.lanes.height, view.width - 2 * EDGE), _CLEAR, dtype=np.uint8)
    for piece in coloured.pooled.pieces:
        position = np.nan_to_num(np.clip(coloured.scale.position(piece.values), 0, 1), nan=0.0)
        levels = np.rint(position * (LEVELS - 1)).astype(np.uint8)
        for place, kind in enumerate(piece.kinds):
            if kind != "value":
                levels[place] = kinds[kind]
            elif coloured.scale.type == "log" and piece.values[place] == 0:
                levels[place] = kinds["zero"]
        edges = np.rint(np.asarray(piece.edges)).astype(int) - EDGE
        top = view.lanes.top[piece.head]
        entries[top : top + view.lanes.thick, edges[0] : edges[-1]] = np.repeat(levels, np.diff(edges))
    scheme = coloured.scale.colours()
    colours = scheme[np.rint(np.linspace(0, len(scheme) - 1, LEVELS)).astype(int)]
    own = [[int(code[k : k + 2], 16) for k in (1, 3, 5)] for code in greys.values()]
    palette = np.concatenate([colours, own, np.zeros((_CLEAR + 1 - LEVELS - len(own), 3))]).astype(np.uint8)
    low, scale = view.domain[0], (view.domain[1] - view.domain[0]) / view.width
    ends = pd.DataFrame(
        {
            "_from": [low + EDGE * scale],
            "_to": [low + (view.width - EDGE) * scale],
            "_y": [0],
            "_y2": [view.lanes.height],
        }
    )
    mark = alt.Chart(ends).mark_image(aspect=False, smooth=False, clip=True, aria=False)
    uri = alt.value(png_uri(entries, palette, clear=_CLEAR))
    return unit(mark.encode(x=view.x("_from"), x2="_to", y=view.y("_y"), y2="_y2", url=uri))
