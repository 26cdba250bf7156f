from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headspec
from headspec.tables.history import read_history
from headspec.tables.history_totals import changes_of_totals

STEPS = [0, 10, 20, 30, 40]
HEADS = 144


def counts(history: dict[str, Any]) -> tuple[dict[str, list[float]], list[str]]:
    series, runs = changes_of_totals(read_history(history).series)
    return {item.metric: item.value.tolist() for item in series}, runs


@pytest.mark.parametrize("whole", [1.0, 100.0])
@pytest.mark.parametrize("name", ["sparsity", "head_sparsity"])
def test_a_count_that_follows_the_sparsity_is_a_running_total(whole: float, name: str) -> None:
    total = [0, 6, 6, 12, 9]
    history = {"step": STEPS, "pruned_heads": total, name: [round(n / HEADS * whole, 4) for n in total]}
    found, runs = counts(history)
    assert found["pruned_heads"] == [0, 6, 0, 6, 0]
    assert found["revived_heads"] == [0, 0, 0, 0, 3]
    assert len(runs) == 1
    text = headspec.summary(headspec.visualize_training_progress(history))
    assert "12 prunings" in text
    assert "a running total, of which the changes are drawn" in text


def test_revivals_that_the_history_counts_itself_stay() -> None:
    total = [0, 6, 6, 12, 9]
    history = {
        "step": STEPS,
        "pruned_heads": total,
        "sparsity": [n / HEADS for n in total],
        "revived_heads": [0, 0, 0, 1, 4],
    }
    assert counts(history)[0]["revived_heads"] == [0, 0, 0, 1, 4]


@given(st.lists(st.integers(0, 4), min_size=5, max_size=5), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_counts_of_each_row_stay_counts_of_each_row(pruned: list[int], revived: list[int]) -> None:
    now = np.cumsum(pruned) - np.minimum(np.cumsum(revived), np.cumsum(pruned))
    history = {"step": STEPS, "train_loss": [1.0] * 5, "pruned_heads": pruned, "sparsity": (now / HEADS).tolist()}
    same = np.array_equal(now, pruned)  # then both readings say the same, or nothing does
    found, runs = counts(history)
    assert same or not runs
    assert same or found["pruned_heads"] == pruned


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sparsity": [0.0, 0.1, 0.1, 0.1, 0.2]},
        {"sparsity": [0.0, None, 0.05, None, None]},
        {"sparsity": [0.0, 0.02, float("nan"), 0.06, 0.08]},
    ],
)
def test_without_a_sparsity_that_proves_it_nothing_is_guessed(more: dict[str, Any]) -> None:
    found, runs = counts({"step": STEPS, "pruned_heads": [0, 2, 4, 6, 8], **more})
    assert runs == []
    assert found["pruned_heads"] == [0, 2, 4, 6, 8]


def test_named_heads_are_never_taken_for_a_total() -> None:
    heads = [[], [(0, 0)], [(0, 1)], [], []]
    history = {"step": STEPS, "pruned_heads": heads, "sparsity": [0, 0.1, 0.1, 0, 0]}
    assert "2 prunings" in headspec.summary(headspec.visualize_training_progress(history))
