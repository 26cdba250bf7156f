"""States keep their look beside a chart in which other states occur."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headspec
from headspec.charts.parts import STATE_COLOURS
from support import svg_of

VALUES = np.random.default_rng(0).random((2, 3)) + 0.1
DRAW: dict[str, Any] = {
    "map": lambda **states: headspec.visualize_gradient_norms(VALUES, annotate=False, **states),
    "bars": lambda **states: headspec.plot_head_gradients_with_overlays(VALUES, **states),
    "points": lambda **states: headspec.visualize_entropy_vs_gradient(VALUES, VALUES, **states),
}


@pytest.mark.parametrize("first", list(DRAW))
@pytest.mark.parametrize("second", list(DRAW))
def test_a_revived_head_is_drawn_as_revived_beside_a_chart_with_pruned_ones(first: str, second: str) -> None:
    pair = DRAW[first](pruned_heads=[(0, 0)]) | DRAW[second](revived_heads=[(1, 1)])
    svg = svg_of(pair)
    for state in ("pruned", "revived"):
        # the mark and its legend entry
        assert svg.count(f'stroke="{STATE_COLOURS[state]}"') == 2
        assert svg.count(f">{state}</text>") == 1
    assert svg.count(">State</text>") == 2
