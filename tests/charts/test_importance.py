from __future__ import annotations

import numpy as np
import pytest
import vl_convert

import headspec
from headspec.errors import DataError
from support import find, mark_counts

SCORES = {"entropy": [(0, 0, 0.9), (0, 1, 0.1), (1, 0, 0.4)], "</script>": np.array([[1.0, 2000.0], [3.0, 4.0]])}


def test_each_strategy_is_ranked_on_its_own() -> None:
    table = headspec.to_table(headspec.visualize_head_importance("m", SCORES, 2, 2))
    ranks = {name: rows.set_index(["layer", "head"])["value"].to_dict() for name, rows in table.groupby("group")}
    assert ranks["entropy"] == {(0, 0): 1, (0, 1): 3, (1, 0): 2}
    assert ranks["</script>"] == {(0, 0): 4, (0, 1): 1, (1, 0): 3, (1, 1): 2}


def test_ties_share_a_rank() -> None:
    table = headspec.to_table(headspec.visualize_head_importance("m", {"a": [[5.0, 5.0, 1.0]]}, 1, 3))
    assert table["value"].tolist() == [1.5, 1.5, 3.0]


def test_all_strategies_share_one_scale_and_one_legend() -> None:
    for scale in ("rank", "shared"):
        chart = headspec.visualize_head_importance("m", SCORES, 2, 2, scale=scale)
        vega = vl_convert.vegalite_to_vega(chart.to_dict())
        assert len([item for item in find(vega, "scales") for item in item if item["name"].endswith("color")]) == 1
        assert sum(len(legends) for legends in find(vega, "legends")) == 1
        assert mark_counts(vl_convert.vegalite_to_svg(chart.to_dict()))["rect"] == 7


def test_signed_scores_diverge_from_zero() -> None:
    chart = headspec.visualize_head_importance("m", {"ablation": [[-1.0, 0.5]]}, 1, 2, scale="shared")
    scale = next(scale for scale in find(chart.to_dict(), "scale") if "scheme" in scale)
    assert scale["domain"] == [-1.0, 1.0]
    assert scale["scheme"] == "purpleorange"


def test_flat_vectors_ragged_counts_and_one_array() -> None:
    flat = headspec.visualize_head_importance("m", {"a": np.arange(6.0)}, 2, 3)
    assert len(headspec.to_table(flat)) == 6
    ragged = headspec.visualize_head_importance("m", {"a": np.arange(5.0)}, 2, [2, 3])
    assert headspec.to_table(ragged).groupby("layer").size().tolist() == [2, 3]
    assert set(headspec.to_table(headspec.visualize_head_importance("m", np.ones((2, 2)), 2, 2))["group"]) == {
        "importance"
    }


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "empty"),
        ({"a": [(0, 0, 1.0), (0, 0, 2.0)]}, "L0 H0 more than once"),
        ({"a": [(2, 0, 1.0)]}, "names layer 2, head 0, but num_layers=2"),
        ({"a": [(0, 5, 1.0)]}, "names layer 0, head 5"),
        ({"a": np.arange(5.0)}, "make 4 heads"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        headspec.visualize_head_importance("m", scores, 2, 2)


def test_the_description_names_the_extremes_of_every_strategy() -> None:
    text = headspec.summary(headspec.visualize_head_importance("org/m@1", SCORES, 2, 2))
    assert "Importance of the heads of org/m@1 by 2 strategies" in text
    assert "lowest L0 H1, highest L0 H0" in text
