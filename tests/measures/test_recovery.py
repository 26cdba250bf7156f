from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headspec
from headspec.errors import DataError, KindError
from headspec.measures.recovery import (
    calculate_improvement,
    calculate_perplexity_changes,
    calculate_recovery,
    relative_change,
)

PERPLEXITY = st.floats(1.0, 1e6)


@pytest.mark.parametrize(
    ("baseline", "pruned", "tuned", "share"),
    [
        (20, 40, 40, 0),
        (20, 40, 20, 100),
        (20, 40, 25, 75),
        (20, 40, 10, 150),
        (20, 40, 60, -100),
        (20, 20.1, 9, 11_100),
    ],
)
def test_recovery_is_the_repaired_share_of_the_damage(
    baseline: float, pruned: float, tuned: float, share: float
) -> None:
    assert calculate_recovery(baseline, pruned, tuned) == pytest.approx(share)


def test_recovery_is_undefined_where_pruning_did_not_hurt() -> None:
    values, reasons = calculate_recovery([20, 20, 20, 20], [20, 19, 21, 40], [10, 18, 20, np.nan], reasons=True)
    assert np.isnan(values[:2]).all()
    assert values[2] == pytest.approx(100)
    assert math.isnan(values[3])
    assert reasons.tolist() == ["pruning did not hurt", "pruning did not hurt", "", "not a finite number"]


def test_recovery_of_infinite_perplexities() -> None:
    assert calculate_recovery(20, 40, np.inf) == -np.inf
    assert math.isnan(calculate_recovery(20, np.inf, 30))
    assert calculate_recovery(20, np.inf, 30, reasons=True)[1] == "not a finite number"
    assert calculate_recovery(20, 40, 1e60) == pytest.approx(-5e60)


def test_recovery_of_losses_is_that_of_logs() -> None:
    base, cut, tuned = (np.array(values) for values in ([20.0, 30.0], [40.0, 1e60], [25.0, 31.0]))
    by_hand = calculate_recovery(np.log(base), np.log(cut), np.log(tuned))
    np.testing.assert_allclose(calculate_recovery(base, cut, tuned, scale="loss"), by_hand)


@given(PERPLEXITY, PERPLEXITY, st.floats(0, 3))
def test_recovery_finds_the_share_that_was_repaired(baseline: float, damage: float, share: float) -> None:
    pruned = baseline + damage
    recovery = calculate_recovery(baseline, pruned, pruned - share * (pruned - baseline))
    assert recovery == pytest.approx(100 * share, rel=1e-4, abs=1e-4)


@given(PERPLEXITY, PERPLEXITY, PERPLEXITY)
def test_the_three_changes_add_up(baseline: float, pruned: float, tuned: float) -> None:
    found = calculate_perplexity_changes(baseline, pruned, tuned)
    both = found["perplexity_change"] + found["perplexity_change_from_pruned"]
    assert both == pytest.approx(found["perplexity_change_from_baseline"], abs=1e-9 * max(baseline, pruned, tuned))
    assert calculate_improvement(baseline, tuned) == pytest.approx(
        -100 * found["perplexity_change_from_baseline"] / baseline, abs=1e-9
    )


def test_changes_are_after_minus_before() -> None:
    assert calculate_perplexity_changes(20, 40, 25) == {
        "perplexity_change": 20.0,
        "perplexity_change_from_pruned": -15.0,
        "perplexity_change_from_baseline": 5.0,
    }
    assert calculate_perplexity_changes(20, 40) == {"perplexity_change": 20.0}
    relative = calculate_perplexity_changes(20, 40, 25, relative=True)
    assert relative == {
        "perplexity_change_percent": 100.0,
        "perplexity_change_from_pruned_percent": -37.5,
        "perplexity_change_from_baseline_percent": 25.0,
    }


def test_improvement_has_the_baseline_as_denominator() -> None:
    assert calculate_improvement(20, 19) == 5.0
    assert calculate_improvement(20, 30) == -50.0
    assert calculate_improvement(20, np.inf) == -np.inf
    assert math.isnan(calculate_improvement(20, np.nan))


def test_arrays_of_any_kind_broadcast() -> None:
    import torch

    wanted = [75.0, 50.0]
    for pruned, tuned in (
        ([40, 40], [25, 30]),
        (np.array([40.0, 40.0]), np.array([25.0, 30.0])),
        (torch.tensor([40.0, 40.0], requires_grad=True), torch.tensor([25.0, 30.0])),
        (pd.Series([40.0, 40.0]), pd.Series([25.0, 30.0])),
    ):
        assert calculate_recovery(20, pruned, tuned).tolist() == wanted
    assert np.isnan(calculate_recovery(20, [40, None], [25, 30])).tolist() == [False, True]


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(DataError, match=r"baseline \(2,\), pruned \(3,\), fine_tuned \(\) do not belong together"):
        calculate_recovery([1, 2], [1, 2, 3], 1)
    with pytest.raises(DataError, match="a perplexity is above 0, and its log is the loss"):
        calculate_recovery(20, 0, 10, scale="loss")
    with pytest.raises(DataError, match="a perplexity is above 0"):
        calculate_improvement(0, 10)
    with pytest.raises(DataError, match='choose "perplexity" or "loss"'):
        calculate_recovery(20, 40, 30, scale="nats")  # type: ignore[call-overload]
    with pytest.raises(KindError):
        calculate_recovery("20", 40, 30)
    with pytest.raises(DataError):
        relative_change(np.array([-1.0]), np.array([2.0]))


def test_the_functions_are_public() -> None:
    assert headspec.calculate_recovery is calculate_recovery
    assert headspec.calculate_improvement is calculate_improvement
