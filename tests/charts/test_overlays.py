from __future__ import annotations

import numpy as np
import pytest

import headspec
from headspec.errors import DataError
from support import marks

NORMS = np.array([[0.5, 0.0, 0.2], [0.004, 0.3, 0.25]])


def subtitle(chart: object) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])  # type: ignore[attr-defined]


def test_one_bar_per_head_from_zero_to_its_norm() -> None:
    chart = headspec.plot_head_gradients_with_overlays(NORMS)
    assert marks(chart, "rect") == 6
    assert headspec.to_table(chart)["value"].tolist() == NORMS.ravel().tolist()


def test_heads_below_the_threshold_are_vulnerable_unless_pruned_or_listed() -> None:
    by_threshold = headspec.plot_head_gradients_with_overlays(NORMS, [(0, 1)])
    assert headspec.to_table(by_threshold)["vulnerable"].tolist() == [False, False, False, True, False, False]
    assert "vulnerable: norm below 0.01" in subtitle(by_threshold)
    listed = headspec.plot_head_gradients_with_overlays(NORMS, [(0, 1)], None, [(1, 1)])
    assert headspec.to_table(listed)["vulnerable"].tolist() == [False, False, False, False, True, False]
    off = headspec.plot_head_gradients_with_overlays(NORMS, vulnerable_threshold=None)
    assert not headspec.to_table(off)["vulnerable"].any()


def test_pruned_revived_and_vulnerable_are_marked() -> None:
    chart = headspec.plot_head_gradients_with_overlays(NORMS, [(0, 1), (1, 1)], [(1, 1)])
    assert marks(chart, "symbol") == 2 * 3  # a halo and a mark each
    assert headspec.to_table(chart)["state"].tolist() == ["active", "pruned", "active", "active", "revived", "active"]


@pytest.mark.parametrize("shape", [(4, 4), (12, 8), (12, 12), (32, 32)])
def test_every_head_is_drawn_at_any_size_within_a_page(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random(shape)
    chart = headspec.plot_head_gradients_with_overlays(values, vulnerable_threshold=None)
    assert marks(chart, "rect") == values.size
    spec = chart.to_dict()
    assert spec["width"] <= 800
    assert spec["height"] <= 1300
    if values.size > 96:
        assert "a row per layer, each from 0 to" in subtitle(chart)


def test_a_wide_spread_gets_ticks_on_a_log_axis_and_says_so() -> None:
    values = np.random.default_rng(0).lognormal(-3, 3, (4, 8))
    values[0, 0] = 0.0
    chart = headspec.plot_head_gradients_with_overlays(values, vulnerable_threshold=None)
    assert marks(chart, "rect") == 0
    assert marks(chart, "rule") == 32
    assert "log axis: a tick at each norm, 1 of exactly 0 on the lower edge" in subtitle(chart)


def test_missing_norms_are_signed_and_negative_ones_refused() -> None:
    chart = headspec.plot_head_gradients_with_overlays([[0.5, np.nan], [0.3]])
    assert marks(chart, "rect") == 2
    assert "1 NaN (–)" in subtitle(chart)
    with pytest.raises(DataError, match="a norm is not negative"):
        headspec.plot_head_gradients_with_overlays([[-1.0]])
