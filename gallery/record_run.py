"""Record the run that the gallery draws: train, prune, revive, fine-tune, and write down what was measured.

    python gallery/record_run.py                         # the whole run: minutes on two cores; needs torch
    python gallery/record_run.py --only encoders         # attention of pretrained encoders; needs more, see the README
    python gallery/record_run.py --quick --out /some/dir # seconds, for the tests: same files, nothing learned

The same machine, versions and thread count give the same bytes, `timing.json` apart.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads crawl on a busy machine

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recorder.corpus import EVAL_FILES, TRAIN_FILES, Corpus, read_corpus
from recorder.experiments import (
    COLUMNS,
    calibration_batch,
    heads_to_prune,
    run_experiments,
    strategy_scores,
)
from recorder.files import significant, write_arrays, write_csv, write_json
from recorder.model import LanguageModel
from recorder.settings import FULL, LEVELS, QUICK, SEEDS, SNIPPETS, STRATEGIES, Plan, Training
from recorder.train import Record, train

HISTORY = (
    "step",
    "epoch",
    "train_loss",
    "eval_loss",
    "pruned_heads",
    "revived_heads",
    "sparsity",
    "perplexity",
)
EVENTS = ("step", "layer", "head", "event", "importance")
MEASURES = {
    "entropy": "nats, mean over all queries and sequences of the calibration batch; a causal row of n keys has at most "
    "ln n",
    "gradient_norm": "L2 norm of the gradient of the mean loss over the head's rows of W_Q, W_K and W_V and its input "
    "columns of W_O; exactly 0 for a pruned head",
    "importance": "mean over sequences of the absolute derivative of the sequence's loss by the head's gate "
    "(Michel et al. 2019: the absolute value inside the mean), nats/byte; not 0 for a pruned head",
    "previous_token": "mean weight of a query on the token before it, first query left out",
    "gate": "1 active, 0 pruned",
    "magnitude": "L2 norm of the head's rows of W_Q, W_K and W_V and its input columns of W_O",
    "ablation_effect": "mean loss on the calibration batch with the gate at 0 minus with it at 1, the other gates as "
    "they are, nats/byte; positive: the head helps",
}


def say(text: str) -> None:
    print(text, flush=True)


def prepare(threads: int) -> None:
    """Make torch repeat itself to the bit."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads memory it has not written


def record_language_models(plan: Plan, out: Path) -> None:
    """Train the models, run the experiments and write everything but the encoders."""
    prepare(plan.threads)
    corpus = read_corpus()
    seconds: dict[str, float] = {}
    records: list[tuple[Training, Record]] = []
    results: list[dict[str, Any]] = []
    for training in plan.trainings:
        start = time.perf_counter()
        records.append((training, train(training, plan, corpus, say)))
        seconds[f"train {training.name}"] = time.perf_counter() - start
    write_run(records[0], plan, corpus, out)
    for training, record in records:
        start = time.perf_counter()
        results += run_experiments(record.model, training, plan, corpus, say)
        seconds[f"experiments {training.name}"] = time.perf_counter() - start
    write_csv(out / "results.csv", results, COLUMNS)
    facts = describe(records, plan, corpus)
    facts["attention"] = write_attention(records[0][1].model, out)
    write_json(out / "run.json", facts)
    write_json(
        out / "timing.json",
        {"seconds": {k: round(v, 1) for k, v in seconds.items()}, "total": round(sum(seconds.values()), 1)},
    )


def write_run(main: tuple[Training, Record], plan: Plan, corpus: Corpus, out: Path) -> None:
    """Write the history, events, heads over the steps, checkpoints and scores of the main model."""
    training, record = main
    write_csv(out / "history.csv", record.history, HISTORY)
    write_csv(out / "events.csv", record.events, EVENTS)
    steps = {"steps": np.array(record.head_steps, np.int32)}
    write_arrays(out / "heads_over_steps.npz", steps | {name: np.stack(v) for name, v in record.heads.items()})
    steps = {"steps": np.array(record.checkpoint_steps, np.int32)}
    write_arrays(out / "checkpoints.npz", steps | {name: np.stack(v) for name, v in record.checkpoints.items()})
    windows = calibration_batch(corpus.train, training.shape.context, plan.calibration_windows, SEEDS[0])
    write_arrays(out / "importance.npz", strategy_scores(record.model, windows, SEEDS[0]))


@torch.no_grad()
def write_attention(model: LanguageModel, out: Path) -> dict[str, Any]:
    """Write the attention of every layer and head on the snippets; return their previous-token scores."""
    tokens, facts = {}, {}
    for name, text in SNIPPETS.items():
        window = torch.tensor([list(text.encode("ascii"))])
        attention = torch.cat(model(window)[1]).numpy()
        write_arrays(out / f"attention_{name}.npz", {"attention": attention.astype(np.float16)})
        previous = np.diagonal(attention, -1, 2, 3).mean(-1)
        tokens[name] = list(text)
        facts[name] = {"tokens": len(text), "best_previous_token": best(previous)}
    write_json(out / "tokens.json", tokens)
    return facts


def best(score: np.ndarray) -> dict[str, Any]:
    layer, head = (int(i) for i in np.unravel_index(int(score.argmax()), score.shape))
    return {"layer": layer, "head": head, "score": significant(float(score[layer, head]))}


def describe(records: list[tuple[Training, Record]], plan: Plan, corpus: Corpus) -> dict[str, Any]:
    """Say what was run, on what, by which rules, and what came out."""
    main = records[0][1]
    return {
        "what": "A byte-level transformer language model, trained on Python source while heads were pruned and revived",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "threads": plan.threads,
        "deterministic_algorithms": True,
        "corpus": {
            "what": "source files of the standard library of the Python that ran, read as bytes",
            "sha256": corpus.sha256,
            "train_bytes": int(corpus.train.size),
            "held_out_bytes": int(corpus.held_out.size),
            "unigram_entropy": significant(corpus.unigram_entropy),
            "unigram_loss": significant(corpus.unigram_loss),
            "train_files": TRAIN_FILES,
            "held_out_files": EVAL_FILES,
        },
        "measures": MEASURES,
        "calibration": f"{plan.calibration_windows} windows of the training text at even distances",
        "evaluation": f"{plan.eval_windows} windows of the held-out text at even distances; perplexity is "
        "exp(eval_loss), per byte",
        "models": [describe_model(training, record) for training, record in records],
        "previous_token": {"threshold": plan.previous_token_threshold, **best(main.checkpoints["previous_token"][-1])},
        "experiments": {
            "strategies": STRATEGIES,
            "levels": LEVELS,
            "seeds": SEEDS,
            "heads_pruned": {
                training.name: [heads_to_prune(record.model, level) for level in LEVELS] for training, record in records
            },
            "rule": "A level is a share of the heads that are active in the trained model, rounded to whole heads. The "
            f"gates of the chosen heads are set to 0, then all weights are trained for {plan.tune_steps} steps; the "
            f"rate rises to {plan.tune_rate:g} in {plan.tune_warmup} steps and falls evenly from there. The "
            "seed draws the calibration batch that the scores are measured on, the order of the fine-tuning data and, "
            "for random, the heads; the baseline does not depend on it.",
        },
    }


def describe_model(training: Training, record: Record) -> dict[str, Any]:
    shape, last = training.shape, record.history[-1]
    return {
        "name": training.name,
        "layers": shape.layers,
        "heads": shape.heads,
        "width": shape.width,
        "context": shape.context,
        "parameters": sum(p.numel() for p in record.model.parameters()),
        "steps": training.steps,
        "batch": training.batch,
        "seed": training.seed,
        "optimizer": f"AdamW, betas 0.9 and 0.98, weight decay {training.weight_decay:g}, gradient clipped at norm "
        f"{training.clip:g}, rate {training.peak_rate:g} after {training.warmup} steps, cosine to "
        f"{training.final_rate:g}",
        "plasticity": training.plasticity.rule() if training.plasticity else None,
        "events": {kind: sum(event["event"] == kind for event in record.events) for kind in ("pruned", "revived")},
        "final": {
            key: value if value is None or isinstance(value, int) else significant(value) for key, value in last.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "run", help="folder to write to")
    parser.add_argument("--quick", action="store_true", help="a run of seconds that learns nothing")
    parser.add_argument("--only", choices=("models", "encoders"), default="models", help="which part to record")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.only == "encoders":
        from recorder.encoders import record_encoders

        record_encoders(arguments.out)
    else:
        record_language_models(QUICK if arguments.quick else FULL, arguments.out)


if __name__ == "__main__":
    main()
