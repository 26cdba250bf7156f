"""What the jobs draw, made once from fixed seeds, kept on disk and read by each process for itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = "HEADSPEC_BENCH_INPUTS"


def attention(layers: int, heads: int, tokens: int) -> Any:
    """Return causal attention ``[layer, 1, head, query, key]`` in float32: sinks, local heads and diffuse ones in turn."""
    import numpy as np

    rng = np.random.default_rng(layers * 1_000_000 + heads * 10_000 + tokens)
    out = np.empty((layers, 1, heads, tokens, tokens), dtype=np.float32)
    distance = np.arange(tokens, dtype=np.float32)[:, None] - np.arange(tokens, dtype=np.float32)[None, :]
    later = distance < 0
    for layer in range(layers):
        for head in range(heads):
            logits = out[layer, 0, head]
            rng.standard_normal(dtype=np.float32, out=logits)
            kind = (layer + head) % 3
            if kind == 0:
                logits[:, 0] += 6
            elif kind == 1:
                logits -= distance / 3
            logits[later] = -np.inf
            logits -= logits.max(axis=1, keepdims=True)
            np.exp(logits, out=logits)
            logits /= logits.sum(axis=1, keepdims=True)
    return out


def matrix(tokens: int) -> Any:
    """Return one such head ``[query, key]``: the diffuse one, whose weights are all different."""
    return attention(1, 3, tokens)[0, 0, 2]


def measure(layers: int, heads: int) -> Any:
    """Return a measure of heads ``[layer, head]`` in float64."""
    import numpy as np

    return np.random.default_rng(layers + heads).gamma(2.0, 0.8, (layers, heads))


METRICS = (
    *("train_loss", "eval_loss", "perplexity", "sparsity", "grad_norm", "learning_rate"),
    *("entropy", "attention_loss", "head_loss", "distillation_loss", "accuracy", "throughput"),
)


def history(steps: int) -> Any:
    """Return twelve metrics of a run ``[metric, step]`` in float64: trends, noise and a few spikes."""
    import numpy as np

    rng = np.random.default_rng(steps)
    at = np.linspace(0, 8, steps)
    out = np.empty((len(METRICS), steps))
    for row in range(len(METRICS)):
        out[row] = 1 + (row + 1) * np.exp(-at) + 0.05 * rng.standard_normal(steps)
        out[row, rng.integers(0, steps, 6)] *= 3
    return out


RESULTS = (("gpt2", "pythia-160m"), ("entropy", "gradient", "magnitude", "random"), (0.1, 0.2, 0.3, 0.4, 0.5))
STAGES = ("baseline", "pruned", "fine_tuned")


def results(rows: int) -> Any:
    """Return experiment results ``[seed, model, strategy, level, stage]``: about so many perplexities."""
    import numpy as np

    seeds = rows // (len(STAGES) * len(RESULTS[0]) * len(RESULTS[1]) * len(RESULTS[2]))
    rng = np.random.default_rng(rows)
    shape = (seeds, *(len(names) for names in RESULTS))
    level = np.array(RESULTS[2])
    base = np.broadcast_to(np.array([30.0, 45.0])[:, None, None], shape) * rng.normal(1, 0.01, shape)
    pruned = base * (1 + level * 2 * rng.gamma(4, 0.25, shape))
    tuned = base + (pruned - base) * rng.beta(2, 4, shape)
    return np.stack([base, pruned, tuned], axis=-1)


_MAKERS: dict[str, Callable[..., Any]] = {
    "attention": attention,
    "matrix": matrix,
    "measure": measure,
    "history": history,
    "results": results,
}


def _path(name: str) -> Path:
    return Path(os.environ[FOLDER]) / f"{name.replace(' ', '-')}.npy"


def keep(name: str) -> None:
    """Make an input, ``"attention 12 12 64"`` say, and keep it."""
    import numpy as np

    path = _path(name)
    if not path.exists():
        kind, *sizes = name.split()
        np.save(path, _MAKERS[kind](*map(int, sizes)))


def load(name: str) -> Any:
    """Read an input back as an ordinary array in memory."""
    import numpy as np

    return np.load(_path(name))


def results_frame(name: str) -> Any:
    """Read results as the frame that a user would have: a row per run and stage."""
    import numpy as np
    import pandas as pd

    values = load(name)
    seeds = np.arange(len(values))
    index = pd.MultiIndex.from_product(
        [seeds, *RESULTS, STAGES], names=["seed", "model", "strategy", "pruning_level", "stage"]
    )
    return pd.DataFrame({"perplexity": values.ravel()}, index=index).reset_index()
