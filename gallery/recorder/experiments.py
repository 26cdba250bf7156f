"""Prune by strategy, level and seed, then fine-tune: the results table, and the scores that the strategies go by."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .corpus import Corpus, spread_windows
from .files import significant
from .measure import Measure, measure_heads, measure_loss, measure_magnitude
from .model import LanguageModel
from .settings import LEVELS, SEEDS, STRATEGIES, Plan, Training
from .train import fine_tune

COLUMNS = (
    "model",
    "strategy",
    "pruning_level",
    "seed",
    "stage",
    "perplexity",
    "perplexity_change",
    "perplexity_change_from_baseline",
    "perplexity_change_from_pruned",
    "recovery_percentage",
    "improvement_percentage",
)
Row = dict[str, float | int | str | None]


def strategy_scores(model: LanguageModel, windows: Tensor, seed: int) -> dict[str, Measure]:
    """Score of every head by strategy: within a strategy, the heads with the smallest scores are pruned first."""
    measures = measure_heads(model, windows)
    drawn = np.random.default_rng(seed).permutation(model.gates.numel()).reshape(model.gates.shape)
    return {
        "entropy": -measures["entropy"],
        "gradient": measures["gradient_norm"],
        "importance": measures["importance"],
        "magnitude": measure_magnitude(model),
        "random": drawn.astype(np.float32),
    }


def calibration_batch(text: NDArray[np.uint8], length: int, count: int, seed: int) -> Tensor:
    """Windows of the training text at places drawn from the seed."""
    starts = np.random.default_rng([seed, 1]).integers(text.size - length, size=count)
    return torch.from_numpy(text[starts[:, None] + np.arange(length + 1)].astype(np.int64))


def prune(model: LanguageModel, score: Measure, count: int) -> LanguageModel:
    """Return a copy in which `count` further heads, of the active ones those with the smallest score, have gate 0."""
    model = copy.deepcopy(model)
    active = [head for head in np.ndindex(*score.shape) if model.gates[head] == 1]
    for head in sorted(active, key=lambda head: (float(score[head]), head))[:count]:
        model.gates[head] = 0
    return model


def derive(baseline: float, pruned: float, tuned: float) -> list[Row]:
    """Return the rows of the three stages, with what follows from their perplexities; None where not defined."""
    return [
        {"stage": "baseline", "perplexity": baseline},
        {"stage": "pruned", "perplexity": pruned, "perplexity_change": significant(pruned - baseline)},
        {
            "stage": "fine_tuned",
            "perplexity": tuned,
            "perplexity_change_from_baseline": significant(tuned - baseline),
            "perplexity_change_from_pruned": significant(tuned - pruned),
            "recovery_percentage": significant(100 * (pruned - tuned) / (pruned - baseline))
            if pruned > baseline
            else None,
            "improvement_percentage": significant(100 * (baseline - tuned) / baseline),
        },
    ]


def run_experiments(
    model: LanguageModel, training: Training, plan: Plan, corpus: Corpus, report: Callable[[str], None]
) -> list[Row]:
    """Run every strategy, level and seed on one trained model."""
    length = training.shape.context
    held_out = torch.from_numpy(spread_windows(corpus.held_out, length, plan.eval_windows))

    def perplexity(candidate: LanguageModel) -> float:
        return significant(float(np.exp(measure_loss(candidate, held_out))))

    baseline = perplexity(model)
    rows: list[Row] = []
    scores = {
        seed: strategy_scores(model, calibration_batch(corpus.train, length, plan.calibration_windows, seed), seed)
        for seed in SEEDS
    }
    for strategy in STRATEGIES:
        for level in LEVELS:
            for seed in SEEDS:
                cut = prune(model, scores[seed][strategy], heads_to_prune(model, level))
                tuned = fine_tune(cut, plan, training, corpus.train, seed + 100)
                stages = derive(baseline, perplexity(cut), perplexity(tuned))
                head = {"model": training.name, "strategy": strategy, "pruning_level": level, "seed": seed}
                rows += [{**dict.fromkeys(COLUMNS), **head, **stage} for stage in stages]
            report(f"{training.name}: {strategy} at {level}, perplexity {[row['perplexity'] for row in stages]}")
    return rows


def heads_to_prune(model: LanguageModel, level: float) -> int:
    """Return `level` of the heads that are active in the trained model, rounded to whole heads."""
    return round(level * int(model.gates.sum()))
