"""The Python tab: what it shows runs in the folder that it names, and draws the chart of its page."""

from __future__ import annotations

import ast
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headspec
from headspec.errors import HeadspecWarning
from headspec.site.cards import Card
from headspec.site.compare import comparisons
from headspec.site.run_cards import drafts_of
from headspec.sources.run import Run
from headspec.sources.run_folder import read_run

TOKENS = ["The", "'cat'", "</b>", "🙂", "."]
EVENTS = [(10, 0, 1, "pruned"), (20, 2, 3, "pruned"), (30, 0, 1, "revived")]


def _attention(rng: np.random.Generator) -> np.ndarray:
    weights = np.exp(2 * rng.normal(size=(3, 4, 5, 5)))
    return np.float32(weights / weights.sum(-1, keepdims=True))


def _heads_rows(rng: np.random.Generator) -> pd.DataFrame:
    """A long table over two steps; a head that the model lacks, a NaN, a name with quotes."""
    rows = [
        {"layer": layer, "head": head, "measure": measure, "value": round(rng.random() + 0.1, 4), "step": step}
        for measure in ("entropy", 'grad "norm\'s"', "distance")
        for step in (0, 40)
        for layer in range(3)
        for head in range(4)
        if (layer, head) != (2, 3)
    ]
    rows[3]["value"] = float("nan")
    return pd.DataFrame(rows)


def _arrays(folder: Path, rng: np.random.Generator) -> None:
    np.savez(folder / "heads.npz", steps=[0, 40], entropy=rng.random((2, 3, 4)), gradient_norm=rng.random((2, 3, 4)))
    np.savez(folder / "importance.npz", magnitude=rng.random((3, 4)), random=rng.random((3, 4)))
    np.save(folder / "normalized_entropy.npy", rng.random((3, 4)))
    np.savez(folder / "attention.npz", attention=_attention(rng), tokens=np.array(TOKENS))
    pd.DataFrame(EVENTS, columns=["step", "layer", "head", "event"]).to_csv(folder / "events.csv", index=False)
    pd.DataFrame({"step": range(20), "loss": rng.random(20)}).to_csv(folder / "history.csv", index=False)


def _tables(folder: Path, rng: np.random.Generator) -> None:
    _heads_rows(rng).to_csv(folder / "heads.csv", index=False)
    states = [{"step": step, "loss": 3 - step / 10} for step in range(9)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": states}))
    rows = [
        {"strategy": strategy, "pruning_level": 0.5, "stage": stage, "perplexity": 10 + rng.random()}
        for strategy in ("entropy", "random")
        for stage in ("baseline", "pruned", "finetuned")
    ]
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)


def _checkpoints(folder: Path, rng: np.random.Generator) -> None:
    for step in (5, 10, 100):
        (folder / f"checkpoint-{step}").mkdir()
        np.save(folder / f"checkpoint-{step}/entropy.npy", np.float32(rng.random((3, 4))))
    weights = _attention(rng)
    np.savez(
        folder / "attention.npz", **{f"layer_{layer}": weights[layer] for layer in range(3)}, tokens=np.array(TOKENS)
    )
    pd.DataFrame({"model": ["m"] * 6, "seed": [0] * 6, **pd.DataFrame(
        [(s, 0.5, t, 9 + rng.random()) for s in ("entropy", "random") for t in ("baseline", "pruned", "finetuned")],
        columns=["strategy", "pruning_level", "stage", "perplexity"],
    )}).to_csv(folder / "results.csv", index=False)  # fmt: skip


def _recording(folder: Path, rng: np.random.Generator) -> None:
    with headspec.Recorder(folder / "logs", run="another name", sync=None) as recorder:
        for step in (0, 40):
            recorder.log(step, loss=3.0 - step / 20)
            recorder.heads(step, entropy=rng.random((3, 4)).round(3), grad_norm=rng.random((3, 4)).round(3))
        recorder.prune(20, [(1, 2)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Run]:
    """Runs of every form, their folders in different places."""
    root = tmp_path_factory.mktemp('it\'s a "place"')
    found = []
    for name, write in (("a/run", _arrays), ("b/run", _tables), ("c 🙂/run", _checkpoints), ("d/run", _recording)):
        (root / name).mkdir(parents=True)
        write(root / name, np.random.default_rng(len(found)))
        found.append(read_run(root / name, name=name))
    return found


def check(card: Card, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(ast.parse(card.code), card.name, "exec"), names)
    assert headspec.to_json(names["chart"], theme="none") == headspec.to_json(card.chart, theme="none"), card.code


@pytest.mark.parametrize("place", range(4))
def test_the_code_of_every_card_of_a_run_draws_the_card(runs, place, monkeypatch):
    run = runs[place]
    assert run.unused == []
    drafts = drafts_of(run)
    assert len({draft.title for draft in drafts}) == len(drafts)
    for draft in drafts:
        card = draft.card()
        assert card.code, draft.title
        assert card.reading, draft.title
        check(card, run.folder, monkeypatch)
    code = "\n".join(draft.code() for draft in drafts)
    assert ("run = headspec.load_run('logs')" in code) == (place == 3)


def test_the_code_of_every_comparison_draws_the_card(runs, monkeypatch):
    cards = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeadspecWarning)
        for item in comparisons(runs):
            card = item.make()
            assert (card.title, card.category) == (item.title, "Comparison")
            assert card.code, card.title
            assert card.reading, card.title
            check(card, runs[0].folder.parent.parent, monkeypatch)
            cards.append(card)
    names = {card.name for card in cards}
    assert {"compare-training", "compare-entropy", "compare-gradient", "compare-experiments"} <= names
    assert {"attention-moved-attention-a-run-c-run", "attention-changed-attention-a-run-c-run"} <= names
