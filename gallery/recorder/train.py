"""Training with plasticity: the loop, its rounds of pruning and revival, and all that it records."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .corpus import Corpus, epoch_windows, spread_windows
from .measure import Measure, measure_ablation, measure_heads, measure_loss, measure_magnitude
from .model import LanguageModel, sequence_losses
from .settings import Plan, Plasticity, Training

OVER_STEPS = ("entropy", "gradient_norm", "importance", "previous_token")


@dataclass
class Record:
    """What one training leaves behind."""

    model: LanguageModel
    history: list[dict[str, float | int | None]] = field(default_factory=list)
    events: list[dict[str, float | int | str]] = field(default_factory=list)
    head_steps: list[int] = field(default_factory=list)
    heads: dict[str, list[Measure]] = field(default_factory=dict)
    checkpoint_steps: list[int] = field(default_factory=list)
    checkpoints: dict[str, list[Measure]] = field(default_factory=dict)


def batches(text: NDArray[np.uint8], length: int, batch: int, seed: int) -> Iterator[tuple[int, Tensor]]:
    """Yield (epoch, windows) for ever; every epoch is cut and shuffled anew and its incomplete last batch left out."""
    rng = np.random.default_rng(seed)
    epoch = 0
    while True:
        windows = torch.from_numpy(epoch_windows(text, length, rng))
        for start in range(0, len(windows) - batch + 1, batch):
            yield epoch, windows[start : start + batch]
        epoch += 1


def learning_rate(training: Training, step: int) -> float:
    """Linear warm-up, then half a cosine down to the final rate."""
    if step <= training.warmup:
        return training.peak_rate * step / training.warmup
    done = (step - training.warmup) / (training.steps - training.warmup)
    swing = training.peak_rate - training.final_rate
    return training.final_rate + swing * (1 + math.cos(math.pi * done)) / 2


def make_optimizer(model: LanguageModel, rate: float, decay: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=decay)


def update(model: LanguageModel, optimizer: torch.optim.Optimizer, windows: Tensor, clip: float) -> float:
    """One step; returns the mean loss before it."""
    loss = sequence_losses(model, windows)[0].mean()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return float(loss.detach())


def plasticity_round(
    model: LanguageModel, rule: Plasticity, step: int, importance: Measure, revived_at: dict[tuple[int, int], int]
) -> list[dict[str, float | int | str]]:
    """Revive, then prune, by the rule; changes the gates and `revived_at`, and returns the events in that order."""
    heads = sorted(np.ndindex(*importance.shape), key=lambda head: (float(importance[head]), head))
    pruned = [head for head in heads if model.gates[head] == 0]
    active = [head for head in heads if model.gates[head] == 1]
    revive = sorted(pruned, key=lambda head: (-float(importance[head]), head))[: rule.revive]
    free = [head for head in active if step - revived_at.get(head, -rule.grace) >= rule.grace]
    prune = free[: max(0, rule.target(step, len(heads)) - len(pruned) + len(revive))]
    for head in revive:
        model.gates[head] = 1
        revived_at[head] = step
    for head in prune:
        model.gates[head] = 0
    return [
        {"step": step, "layer": layer, "head": head, "event": event, "importance": float(importance[layer, head])}
        for event, chosen in (("revived", revive), ("pruned", prune))
        for layer, head in chosen
    ]


def train(training: Training, plan: Plan, corpus: Corpus, report: Callable[[str], None]) -> Record:
    """Train one model and record it.

    Order within a step: update, plasticity round, recording. So the row of a step shows the network after the
    events of that step, except `train_loss`, which is the loss of the batch before the update.
    """
    torch.manual_seed(training.seed)
    length = training.shape.context
    model = LanguageModel(training.shape)
    record = Record(model)
    optimizer = make_optimizer(model, training.peak_rate, training.weight_decay)
    calibration = torch.from_numpy(spread_windows(corpus.train, length, plan.calibration_windows))
    held_out = torch.from_numpy(spread_windows(corpus.held_out, length, plan.eval_windows))
    revived_at: dict[tuple[int, int], int] = {}
    source = batches(corpus.train, length, training.batch, training.seed)
    record_heads(record, training, 0, calibration)
    for step in range(1, training.steps + 1):
        epoch, windows = next(source)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, step)
        train_loss = update(model, optimizer, windows, training.clip)
        events = []
        if training.plasticity and training.plasticity.is_round(step):
            importance = measure_heads(model, calibration)["importance"]
            events = plasticity_round(model, training.plasticity, step, importance, revived_at)
            record.events += events
        measured = step % training.eval_every == 0 or step == training.steps
        eval_loss = measure_loss(model, held_out) if measured else None
        if measured:
            report(f"{training.name}: step {step} of {training.steps}, train {train_loss:.3f}, eval {eval_loss:.3f}")
        record.history.append(
            {
                "step": step,
                "epoch": epoch,
                "train_loss": train_loss,
                "eval_loss": eval_loss,
                "pruned_heads": sum(event["event"] == "pruned" for event in events),
                "revived_heads": sum(event["event"] == "revived" for event in events),
                "sparsity": float((model.gates == 0).double().mean()),
                "perplexity": None if eval_loss is None else math.exp(eval_loss),
            }
        )
        record_heads(record, training, step, calibration)
    return record


def record_heads(record: Record, training: Training, step: int, calibration: Tensor) -> None:
    """Keep the measures of all heads, where the plan asks for this step."""
    over_steps = step % training.heads_every == 0 or step == training.steps
    if not over_steps and step not in training.checkpoints:
        return
    model = record.model
    measures = {**measure_heads(model, calibration), "gate": model.gates.numpy().astype(np.uint8)}
    if over_steps:
        record.head_steps.append(step)
        for name in (*OVER_STEPS, "gate"):
            record.heads.setdefault(name, []).append(measures[name])
    if step in training.checkpoints:
        measures["magnitude"] = measure_magnitude(model)
        measures["ablation_effect"] = measure_ablation(model, calibration)
        record.checkpoint_steps.append(step)
        for name, value in measures.items():
            record.checkpoints.setdefault(name, []).append(value)


def fine_tune(
    model: LanguageModel, plan: Plan, training: Training, text: NDArray[np.uint8], seed: int
) -> LanguageModel:
    """Train a copy of the model for a few steps with its gates as they are; the rate rises, then falls to zero."""
    model = copy.deepcopy(model)
    optimizer = make_optimizer(model, plan.tune_rate, training.weight_decay)
    source = batches(text, training.shape.context, training.batch, seed)
    for step in range(plan.tune_steps):
        rise = (step + 1) / plan.tune_warmup
        fall = (plan.tune_steps - step) / (plan.tune_steps - plan.tune_warmup + 1)
        for group in optimizer.param_groups:
            group["lr"] = plan.tune_rate * min(1.0, rise, fall)
        update(model, optimizer, next(source)[1], training.clip)
    return model
