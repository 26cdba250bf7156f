"""A small, awkward call of every chart: pruned, revived and vulnerable heads, NaN, gaps, several seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import headspec

STATES: dict[str, Any] = {"pruned_heads": [(0, 1), (2, 3)], "revived_heads": [(2, 3)]}
STRATEGIES = ("entropy", "gradient", "random")


def entropy() -> np.ndarray:
    values = np.random.default_rng(0).random((3, 4)) * 2
    values[1, 2] = np.nan
    return values


def gradients() -> np.ndarray:
    values = np.random.default_rng(1).lognormal(-3, 1, (3, 4))
    values[0, 1] = 0.0
    return values


def attention(layers: int = 2, heads: int = 3, size: int = 6) -> tuple[np.ndarray, ...]:
    logits = np.random.default_rng(2).normal(size=(layers, 1, heads, size, size)) * 2
    logits[..., np.triu_indices(size, 1)[0], np.triu_indices(size, 1)[1]] = -np.inf
    weights = np.exp(logits)
    return tuple(weights / weights.sum(-1, keepdims=True))


def history() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    steps = list(range(0, 300, 2))
    loss = 2 + 3 * np.exp(-np.arange(150) / 40) + rng.normal(size=150) * 0.05
    loss[60], loss[61] = 9.0, np.nan
    measured = [float(value) if place % 20 == 0 else None for place, value in enumerate(loss)]
    return {
        "step": steps,
        "epoch": [step // 100 for step in steps],
        "train_loss": loss.tolist(),
        "eval_loss": measured,
        "perplexity": [None if value is None else float(np.exp(value)) for value in measured],
        "pruned_heads": [2 if place in (30, 70) else 0 for place in range(150)],
        "revived_heads": [1 if place == 70 else 0 for place in range(150)],
        "sparsity": [0.0 if place < 30 else 2 / 12 if place < 70 else 3 / 12 for place in range(150)],
    }


def results() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = []
    for model in ("distilgpt2", "org/pythia-160m@step=3"):
        for strategy in STRATEGIES:
            for level in (0.1, 0.3, 0.5):
                for seed in range(3 if strategy == "random" else 1):
                    base = 40.0 if model == "distilgpt2" else 30.0
                    hurt = 1 + level * (3 if strategy == "random" else 1.5) + rng.random() * 0.1
                    tuned = 1 + level * 0.4 + rng.random() * 0.05
                    for stage, value in (("baseline", base), ("pruned", base * hurt), ("fine_tuned", base * tuned)):
                        rows.append((model, strategy, level, seed, stage, value))
    return pd.DataFrame(rows, columns=["model", "strategy", "pruning_level", "seed", "stage", "perplexity"])


def importance() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {name: rng.lognormal(size=(3, 4)) for name in STRATEGIES}


CALLS: dict[str, Any] = {
    "plot_experiment_summary": lambda: headspec.plot_experiment_summary(results()),
    "plot_strategy_comparison": lambda: headspec.plot_strategy_comparison(
        results(), list(STRATEGIES), "distilgpt2", 0.3
    ),
    "plot_recovery_comparison": lambda: headspec.plot_recovery_comparison(
        results(), list(STRATEGIES), "distilgpt2", 0.3
    ),
    "visualize_head_importance": lambda: headspec.visualize_head_importance("tiny", importance(), 3, 4, **STATES),
    "plot_head_gradients_with_overlays": lambda: headspec.plot_head_gradients_with_overlays(gradients(), **STATES),
    "visualize_gradient_norms": lambda: headspec.visualize_gradient_norms(gradients(), **STATES),
    "visualize_attention_matrix": lambda: headspec.visualize_attention_matrix(attention(), 1, 2, tokens=list("abc de")),
    "visualize_entropy_heatmap": lambda: headspec.visualize_entropy_heatmap(
        entropy(), **STATES, vulnerable_heads=[(1, 1)]
    ),
    "visualize_normalized_entropy": lambda: headspec.visualize_normalized_entropy(attention=attention()),
    "visualize_entropy_vs_gradient": lambda: headspec.visualize_entropy_vs_gradient(entropy(), gradients(), **STATES),
    "visualize_attention_heads": lambda: headspec.visualize_attention_heads(attention(3, 4), **STATES),
    "visualize_head_explorer": lambda: headspec.visualize_head_explorer(
        attention(3, 4), gradient=gradients(), tokens=list("abc de"), **STATES
    ),
    "visualize_head_difference": lambda: headspec.visualize_head_difference(entropy(), entropy() * 1.3 - 0.2),
    "visualize_head_timeline": lambda: headspec.visualize_head_timeline(
        [(10, 0, 1, "pruned"), (20, 2, 3, "pruned"), (40, 2, 3, "revived")], num_layers=3, num_heads=4, steps=[0, 60]
    ),
    "visualize_training_progress": lambda: headspec.visualize_training_progress(history()),
}


def sample(name: str) -> Any:
    """Return the sample chart of a public name."""
    return CALLS[name]()
