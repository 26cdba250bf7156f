from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import headspec
from headspec.errors import DataError
from support import find, marks

RNG = np.random.default_rng(0)
ENTROPY, NORMS = RNG.random((4, 5)) * 3, RNG.random((4, 5)) + 0.5


def subtitle(chart: object) -> str:
    return " ".join(chart.to_dict()["title"]["subtitle"])  # type: ignore[attr-defined]


def test_one_point_per_head_at_its_two_values() -> None:
    chart = headspec.visualize_entropy_vs_gradient(ENTROPY, NORMS)
    assert marks(chart, "symbol") == 20
    table = headspec.to_table(chart)
    assert np.array_equal(table["entropy"], ENTROPY.ravel())
    assert np.array_equal(table["gradient_norm"], NORMS.ravel())


def test_the_rank_correlation_is_scipys() -> None:
    rho = stats.spearmanr(ENTROPY.ravel(), NORMS.ravel()).statistic
    assert f"Spearman ρ = {rho:.2g}".replace("-", "−") in subtitle(
        headspec.visualize_entropy_vs_gradient(ENTROPY, NORMS)
    )


def test_the_trend_is_the_least_squares_line_in_the_space_of_the_axes() -> None:
    chart = headspec.visualize_entropy_vs_gradient(ENTROPY, NORMS, trend=True)
    table = headspec.to_table(chart)
    line = table[table["layer"].isna()]
    fit = stats.linregress(ENTROPY.ravel(), NORMS.ravel())
    assert np.allclose(line["gradient_norm"], fit.intercept + fit.slope * line["entropy"])
    log = headspec.to_table(headspec.visualize_entropy_vs_gradient(ENTROPY, NORMS, trend=True, scale="log"))
    line = log[log["layer"].isna()]
    fit = stats.linregress(ENTROPY.ravel(), np.log10(NORMS.ravel()))
    assert np.allclose(
        np.log10(line["gradient_norm"].astype(float)), fit.intercept + fit.slope * line["entropy"].astype(float)
    )


def test_zeros_stand_on_the_edge_of_a_log_axis_and_are_counted() -> None:
    norms = NORMS.copy()
    norms[0, 0], norms[1, 1] = 0.0, 1e-5
    chart = headspec.visualize_entropy_vs_gradient(ENTROPY, norms, pruned_heads=[(0, 0)])
    assert "1 head with a gradient of exactly 0 on the lower edge" in subtitle(chart)
    assert marks(chart, "symbol") == 20 + 1
    assert next(scale for scale in find(chart.to_dict(), "scale") if scale.get("type") == "log")["domain"][0] > 0


def test_heads_without_both_values_are_counted_and_states_marked() -> None:
    entropy = ENTROPY.copy()
    entropy[0, 0] = np.nan
    chart = headspec.visualize_entropy_vs_gradient(
        entropy, NORMS[:3].tolist(), pruned_heads=[(1, 1)], vulnerable_heads=[(1, 2)]
    )
    assert "6 heads not drawn" in subtitle(chart)
    assert marks(chart, "symbol") == 14 + 2
    assert "1 head pruned (L1 H1); 1 head vulnerable (L1 H2)" in headspec.summary(chart)


def test_one_head_equal_values_and_nothing_in_common() -> None:
    assert marks(headspec.visualize_entropy_vs_gradient(0.5, 0.2), "symbol") == 1
    assert marks(headspec.visualize_entropy_vs_gradient(np.ones((2, 2)), np.ones((2, 2))), "symbol") == 4
    with pytest.raises(DataError, match="no head has both values"):
        headspec.visualize_entropy_vs_gradient({0: [1.0]}, {1: [1.0]})
    with pytest.raises(DataError, match="trend=True needs"):
        headspec.visualize_entropy_vs_gradient(0.5, 0.2, trend=True)
