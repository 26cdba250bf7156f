"""The recorded run agrees with itself: every number that follows from others is worked out again here, without torch."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

GALLERY = Path(__file__).parents[2] / "gallery"
RUN = GALLERY / "run"
SNIPPETS = ("method", "docstring", "repeat", "loop")
STRATEGIES = ("entropy", "gradient", "importance", "magnitude", "random")
DIGITS = 1.01e-5  # relative error of a number written with six significant digits, twice over


def read_json(name: str) -> Any:
    return json.loads((RUN / name).read_text(encoding="utf-8"))


def read_rows(name: str) -> list[dict[str, str]]:
    with (RUN / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(RUN / name, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def facts() -> Any:
    return read_json("run.json")


@pytest.fixture(scope="module")
def model(facts: Any) -> Any:
    """The model whose heads were recorded over the steps."""
    return facts["models"][0]


@pytest.fixture(scope="module")
def history() -> list[dict[str, str]]:
    return read_rows("history.csv")


@pytest.fixture(scope="module")
def events() -> list[dict[str, str]]:
    return read_rows("events.csv")


def gates_by_step(model: Any, events: list[dict[str, str]], steps: int) -> np.ndarray:
    """Replay the events: the gates after each step from 0 on, ``[step, layer, head]``."""
    gates = np.ones((steps + 1, model["layers"], model["heads"]), np.uint8)
    for event in events:
        gates[int(event["step"]) :, int(event["layer"]), int(event["head"])] = event["event"] == "revived"
    return gates


def test_files_are_there_and_small() -> None:
    names = {path.name for path in RUN.iterdir()}
    expected = {"README.md", "run.json", "timing.json", "history.csv", "events.csv", "results.csv", "tokens.json"}
    expected |= {"heads_over_steps.npz", "checkpoints.npz", "importance.npz", "encoders.json"}
    expected |= {f"attention_{name}.npz" for name in SNIPPETS}
    expected |= {"encoder_minilm.npz", "encoder_rxnmapper.npz"}
    assert names == expected
    sizes = {path.name: path.stat().st_size for path in RUN.iterdir()}
    assert max(sizes.values()) < 2**20
    assert sum(sizes.values()) < 4 * 2**20


def test_every_file_is_described() -> None:
    text = (RUN / "README.md").read_text(encoding="utf-8")
    for path in set(RUN.iterdir()) - {RUN / "README.md"}:
        name = "attention_<name>.npz" if path.name.startswith("attention_") else path.name
        assert name in text, f"{path.name} is not in the README of the recording"


def test_every_step_is_a_row(history: list[dict[str, str]], model: Any) -> None:
    assert [int(row["step"]) for row in history] == list(range(1, model["steps"] + 1))
    epochs = np.array([int(row["epoch"]) for row in history])
    assert epochs[0] == 0
    assert epochs[-1] >= 1
    assert set(np.diff(epochs)) == {0, 1}
    assert all(math.isfinite(float(row["train_loss"])) for row in history)


def test_eval_is_measured_now_and_then(history: list[dict[str, str]], model: Any) -> None:
    measured = [row for row in history if row["eval_loss"]]
    assert len(measured) * 10 < len(history)
    assert [bool(row["perplexity"]) for row in history] == [bool(row["eval_loss"]) for row in history]
    for row in measured:
        assert float(row["perplexity"]) == pytest.approx(math.exp(float(row["eval_loss"])), rel=DIGITS)
    assert measured[-1]["step"] == str(model["steps"])
    for key, value in model["final"].items():
        assert float(history[-1][key]) == pytest.approx(value, rel=1e-12), key


def test_loss_is_below_unigram_entropy(history: list[dict[str, str]], facts: Any) -> None:
    last = float(history[-1]["eval_loss"])
    assert last < facts["corpus"]["unigram_entropy"] - 1
    assert last < facts["corpus"]["unigram_loss"] - 1


def test_events_follow_from_each_other(events: list[dict[str, str]], model: Any) -> None:
    """A head is pruned only when active and revived only when pruned; some more than once, some for good."""
    active: dict[tuple[int, int], bool] = {}
    times: dict[tuple[int, int], list[str]] = {}
    for event in events:
        head = int(event["layer"]), int(event["head"])
        assert 0 <= head[0] < model["layers"]
        assert 0 <= head[1] < model["heads"]
        assert event["event"] == ("pruned" if active.get(head, True) else "revived")
        active[head] = event["event"] == "revived"
        times.setdefault(head, []).append(event["event"])
    assert any(kinds.count("pruned") > 1 and kinds.count("revived") > 1 for kinds in times.values())
    assert any(kinds == ["pruned"] for kinds in times.values())
    assert any(kinds[-1] == "revived" for kinds in times.values())
    steps = [int(event["step"]) for event in events]
    assert steps == sorted(steps)
    assert {kind: sum(e["event"] == kind for e in events) for kind in ("pruned", "revived")} == model["events"]


def test_events_are_the_least_important_heads(events: list[dict[str, str]]) -> None:
    """Within a round, events are ordered by the importance that decided: smallest pruned first, largest revived first."""
    rounds: dict[tuple[str, str], list[float]] = {}
    for event in events:
        rounds.setdefault((event["step"], event["event"]), []).append(float(event["importance"]))
    for (_, kind), scores in rounds.items():
        assert scores == sorted(scores, reverse=kind == "revived")


def test_history_counts_and_sparsity_follow_from_events(
    history: list[dict[str, str]], events: list[dict[str, str]], model: Any
) -> None:
    gates = gates_by_step(model, events, model["steps"])
    both = 0
    for row in history:
        step = int(row["step"])
        for kind in ("pruned", "revived"):
            count = sum(event["step"] == row["step"] and event["event"] == kind for event in events)
            assert int(row[f"{kind}_heads"]) == count
        both += row["pruned_heads"] != "0" and row["revived_heads"] != "0"
        assert row["sparsity"] == f"{1 - gates[step].mean(dtype=float):.6g}"
    assert both > 0


def test_heads_over_steps(events: list[dict[str, str]], model: Any) -> None:
    arrays = read_arrays("heads_over_steps.npz")
    steps = arrays.pop("steps")
    assert set(arrays) == {"entropy", "gradient_norm", "importance", "previous_token", "gate"}
    assert steps[0] == 0
    assert steps[-1] == model["steps"]
    assert np.all(np.diff(steps) > 0)
    for name, value in arrays.items():
        assert value.shape == (len(steps), model["layers"], model["heads"]), name
        assert np.isfinite(value).all(), name
    np.testing.assert_array_equal(arrays["gate"], gates_by_step(model, events, model["steps"])[steps])
    assert np.all((arrays["gradient_norm"] == 0) == (arrays["gate"] == 0)), (
        "a pruned head, and no other, has no gradient"
    )
    uniform = np.log(np.arange(1, model["context"] + 1)).mean()
    assert np.all((arrays["entropy"] >= 0) & (arrays["entropy"] <= uniform + 1e-5))
    assert np.all(arrays["entropy"][arrays["gate"] == 0] > 0)
    assert np.all((arrays["previous_token"] >= 0) & (arrays["previous_token"] <= 1))
    assert np.all(arrays["importance"] > 0)


def test_checkpoints_agree_with_the_steps(model: Any) -> None:
    arrays, over = read_arrays("checkpoints.npz"), read_arrays("heads_over_steps.npz")
    steps = arrays.pop("steps")
    assert set(arrays) == {*over, "magnitude", "ablation_effect"} - {"steps"}
    assert steps[0] == 0
    assert steps[-1] == model["steps"]
    shared = [
        (i, int(np.flatnonzero(over["steps"] == step)[0])) for i, step in enumerate(steps) if step in over["steps"]
    ]
    assert len(shared) >= 2
    for name, value in arrays.items():
        assert value.shape == (len(steps), model["layers"], model["heads"]), name
        for i, j in shared if name in over else ():
            np.testing.assert_array_equal(value[i], over[name][j], err_msg=name)
    assert arrays["gate"][-2].all(), "the early checkpoint is from before the first pruning"
    assert not arrays["gate"][-1].all()
    effects = arrays["ablation_effect"][-1]
    assert effects.min() < 0 < effects.max(), "ablation effects are signed"


def test_importance_scores(model: Any) -> None:
    scores = read_arrays("importance.npz")
    assert tuple(scores) == STRATEGIES
    for name, value in scores.items():
        assert value.shape == (model["layers"], model["heads"])
        assert np.isfinite(value).all(), name
    assert sorted(scores["random"].ravel()) == list(range(model["layers"] * model["heads"]))
    assert np.all(scores["entropy"] <= 0)
    np.testing.assert_array_equal(scores["magnitude"], read_arrays("checkpoints.npz")["magnitude"][-1])


@pytest.mark.parametrize("name", SNIPPETS)
def test_attention_is_causal_and_sums_to_one(name: str, facts: Any, model: Any) -> None:
    tokens = read_json("tokens.json")[name]
    attention = read_arrays(f"attention_{name}.npz")["attention"]
    assert attention.dtype == np.float16
    assert attention.shape == (model["layers"], model["heads"], len(tokens), len(tokens))
    assert len(tokens) == facts["attention"][name]["tokens"] <= model["context"]
    assert np.all(attention >= 0)
    assert np.all(attention[..., ~np.tri(len(tokens), dtype=bool)] == 0)
    assert np.abs(attention.astype(np.float64).sum(-1) - 1).max() < 2e-3


def test_tokens_are_raw_characters() -> None:
    tokens = read_json("tokens.json")
    assert all(len(token) == 1 for row in tokens.values() for token in row)
    assert {"\n", "\t"} <= {token for row in tokens.values() for token in row}


def test_a_head_looks_at_the_previous_token(facts: Any) -> None:
    said = facts["previous_token"]
    assert said["threshold"] >= 0.5
    for name in SNIPPETS:
        attention = read_arrays(f"attention_{name}.npz")["attention"].astype(np.float64)
        score = np.diagonal(attention, -1, 2, 3).mean(-1)
        best = np.unravel_index(int(score.argmax()), score.shape)
        recorded = facts["attention"][name]["best_previous_token"]
        assert score[best] == pytest.approx(recorded["score"], rel=1e-3)
        assert (recorded["layer"], recorded["head"]) == best
        assert score[said["layer"], said["head"]] >= said["threshold"], name
    final = read_arrays("checkpoints.npz")["previous_token"][-1]
    assert final.max() == pytest.approx(said["score"], rel=DIGITS)
    assert final[said["layer"], said["head"]] == final.max()


def test_results_are_a_full_grid(facts: Any) -> None:
    rows = read_rows("results.csv")
    grid = [(row["model"], row["strategy"], row["pruning_level"], row["seed"], row["stage"]) for row in rows]
    assert len(set(grid)) == len(grid)
    sizes = [len({key[i] for key in grid}) for i in range(5)]
    assert sizes[0] == len(facts["models"]) >= 2
    assert sizes[1:] == [len(STRATEGIES), 3, 3, 3]
    assert len(grid) == math.prod(sizes)
    for name in {row["model"] for row in rows}:
        baselines = {row["perplexity"] for row in rows if row["model"] == name and row["stage"] == "baseline"}
        assert len(baselines) == 1, "nothing is pruned yet, so strategy, level and seed cannot matter"


def test_baseline_is_the_trained_model(facts: Any) -> None:
    rows = read_rows("results.csv")
    for model in facts["models"]:
        baseline = next(row for row in rows if row["model"] == model["name"] and row["stage"] == "baseline")
        assert float(baseline["perplexity"]) == pytest.approx(model["final"]["perplexity"], rel=DIGITS)


def test_derived_results_follow_from_perplexity() -> None:
    rows = read_rows("results.csv")
    keys = ("model", "strategy", "pruning_level", "seed")
    runs: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for row in rows:
        runs.setdefault(tuple(row[key] for key in keys), {})[row["stage"]] = row
    for stages in runs.values():
        base, pruned, tuned = (float(stages[s]["perplexity"]) for s in ("baseline", "pruned", "fine_tuned"))
        expected = {
            ("pruned", "perplexity_change"): pruned - base,
            ("fine_tuned", "perplexity_change_from_baseline"): tuned - base,
            ("fine_tuned", "perplexity_change_from_pruned"): tuned - pruned,
            ("fine_tuned", "improvement_percentage"): 100 * (base - tuned) / base,
        }
        if pruned > base:
            expected["fine_tuned", "recovery_percentage"] = 100 * (pruned - tuned) / (pruned - base)
        for stage, row in stages.items():
            for column in list(row)[len(keys) + 2 :]:
                if (stage, column) in expected:
                    assert float(row[column]) == pytest.approx(expected[stage, column], rel=DIGITS, abs=1e-12)
                else:
                    assert row[column] == "", f"{column} is not defined for {stage}"


def test_encoder_batch_is_padded() -> None:
    said, arrays = read_json("encoders.json")["minilm"], read_arrays("encoder_minilm.npz")
    attention, mask = arrays["attention"].astype(np.float64), arrays["attention_mask"]
    sentences, length = mask.shape
    assert attention.shape == (6, sentences, 12, length, length)
    assert np.abs(attention.sum(-1) - 1).max() < 2e-3
    assert len(said["sentences"]) == sentences
    assert [[token != "[PAD]" for token in row] for row in said["tokens"]] == mask.astype(bool).tolist()
    assert [len(row) for row in said["surface"]] == [length] * sentences
    assert 0 < mask.mean() < 1
    for i in range(sentences):
        assert np.all(attention[:, i][..., mask[i] == 0] == 0), "padding gets no weight"


def test_reaction_encoder_maps_atoms() -> None:
    """The head for which the package is known: in a late layer a product atom looks at an atom of its own element."""
    tokens = read_json("encoders.json")["rxnmapper"]["tokens"][0]
    attention = read_arrays("encoder_rxnmapper.npz")["attention"].astype(np.float64)
    assert attention.shape == (12, 1, 8, len(tokens), len(tokens))
    assert np.abs(attention.sum(-1) - 1).max() < 2e-3
    arrow = tokens.index(">>")
    atoms = [i for i, token in enumerate(tokens) if token[0].isalpha()]
    reactants, products = [i for i in atoms if i < arrow], [i for i in atoms if i > arrow]
    weights = attention[10, 0, 5][np.ix_(products, reactants)]
    assert [tokens[reactants[j]].upper() for j in weights.argmax(1)] == [tokens[i].upper() for i in products]


def test_corpus_is_the_one_of_this_python(facts: Any) -> None:
    if platform.python_version() != facts["versions"]["python"]:
        pytest.skip(f"the text is that of Python {facts['versions']['python']}")
    root, said = Path(os.__file__).parent, facts["corpus"]
    data = b"".join((root / name).read_bytes() for name in said["train_files"] + said["held_out_files"])
    assert hashlib.sha256(data).hexdigest() == said["sha256"]
    assert len(data) == said["train_bytes"] + said["held_out_bytes"]
    counts = np.bincount(np.frombuffer(data[: said["train_bytes"]], np.uint8))
    share = counts[counts > 0] / said["train_bytes"]
    assert -(share * np.log(share)).sum() == pytest.approx(said["unigram_entropy"], rel=DIGITS)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the recorder needs torch")
def test_recorder_is_deterministic(tmp_path: Path) -> None:
    for name in ("one", "two"):
        command = [sys.executable, str(GALLERY / "record_run.py"), "--quick", "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.name != "timing.json"}
        for name in ("one", "two")
    )
    assert one.keys() == two.keys() >= {"run.json", "history.csv", "events.csv", "results.csv", "checkpoints.npz"}
    assert [name for name in one if one[name] != two[name]] == []
