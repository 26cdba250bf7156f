"""Values of heads in long tables, and in a file for each checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headspec
from headspec.errors import DataError
from headspec.site.run_cards import drafts_of
from headspec.sources.run_folder import read_run


def rows(**changes) -> pd.DataFrame:
    """Two measures of 2 × 3 heads at two steps."""
    found = [
        {"layer": layer, "head": head, "measure": measure, "value": layer + head / 10 + step, "step": step}
        for measure in ("entropy", "distance")
        for step in (0, 50)
        for layer in range(2)
        for head in range(3)
    ]
    return pd.DataFrame(found).assign(**changes)


def write(frame: pd.DataFrame, folder: Path, kind: str = "csv") -> Path:
    path = folder / f"heads.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return folder


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_long_table_of_heads_is_recognised(tmp_path, kind):
    run = read_run(write(rows(), tmp_path, kind))
    assert run.unused == []
    said = "heads table (entropy of 2 layers × 3 heads at 2 steps; distance of 2 layers × 3 heads at 2 steps)"
    assert run.used == [(f"heads.{kind}", said)]
    assert {item.measure: item.steps.tolist() for item in run.steps} == {"entropy": [0, 50], "distance": [0, 50]}
    assert run.steps[0].values[1, 1, 2] == 51.2
    titles = [draft.title for draft in drafts_of(run)]
    assert "Attention entropy at step 50" in titles
    assert "What training changed: entropy" in titles
    assert "Distance at step 50" in titles


def test_without_steps_it_is_one_map(tmp_path):
    frame = rows().query("step == 0 and measure == 'entropy'").drop(columns=["step", "measure"])
    run = read_run(write(frame, tmp_path))
    (only,) = run.maps
    assert (only.measure, only.step, only.values.shape) == ("heads", None, (2, 3))


def test_what_the_table_says_of_heads_is_drawn(tmp_path):
    frame = rows(state="active").query("step == 50 and measure == 'entropy'")
    frame = frame[(frame["layer"] != 1) | (frame["head"] != 1)].reset_index(drop=True)
    frame.loc[0, "state"] = "pruned"
    run = read_run(write(frame, tmp_path))
    draft = next(draft for draft in drafts_of(run) if draft.function == "visualize_entropy_heatmap")
    text = headspec.summary(draft.card().chart)
    assert "1 head pruned (L0 H0)" in text
    assert "1 absent" in text  # a head without a row is no head of the value NaN


def test_runs_of_one_table_are_told_apart(tmp_path):
    frame = pd.concat(
        [rows(run="a"), rows(run="b <i>").assign(value=lambda found: found["value"] + 1)], ignore_index=True
    )
    run = read_run(write(frame.query("measure == 'entropy'"), tmp_path))
    assert [item.of for item in run.steps] == ["a", "b <i>"]
    titles = [draft.title for draft in drafts_of(run) if draft.function == "visualize_entropy_heatmap"]
    assert titles == ["Attention entropy: a at step 50", "Attention entropy: b <i> at step 50"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layer": range(990, 1014)}, "beyond the layers"),
        ({"layer": -1}, "not ids"),
        ({"head": 0}, "more than once"),
        ({"step": "soon"}, "'step' has cells that are no numbers"),
        ({"value": "high"}, "value"),
        ({"state": "asleep"}, "asleep"),
    ],
)
def test_a_table_that_contradicts_itself_is_named_with_the_reason(tmp_path, changes, reason):
    np.save(tmp_path / "entropy.npy", np.ones((2, 3)))
    run = read_run(write(rows(**changes), tmp_path))
    ((file, said),) = run.unused
    assert file == "heads.csv"
    assert reason in said


def test_steps_that_are_text_are_not_put_in_the_order_of_text(tmp_path):
    np.save(tmp_path / "entropy.npy", np.ones((2, 3)))
    table = rows()
    table["step"] = table["step"].astype(str)
    (tmp_path / "heads.json").write_text(table.to_json(orient="records"), encoding="utf-8")
    ((file, said),) = read_run(tmp_path).unused
    assert file == "heads.json"
    assert "'step' has cells that are no numbers" in said


# --- checkpoints -------------------------------------------------------------------------------------------------------------


def checkpoints(folder: Path, names: list[str]) -> Path:
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, entropy=np.full((2, 3), place + 1.0), grad_norm=np.full((2, 3), place + 0.5))
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["checkpoint-0/heads.npz", "checkpoint-5/heads.npz", "checkpoint-10/heads.npz"],
        ["heads_step_000.npz", "heads_step_005.npz", "heads_step_010.npz"],
    ],
)
def test_checkpoints_are_steps_of_one_measure(tmp_path, names):
    run = read_run(checkpoints(tmp_path, names))
    assert run.maps == []
    series = {item.measure: item for item in run.steps}
    assert series["entropy"].steps.tolist() == [0, 5, 10]
    assert series["entropy"].values[:, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert series["entropy"].last.file == names[-1]
    ((name, said),) = run.used
    assert name == ("checkpoint-*/heads.npz" if "checkpoint" in names[0] else "heads_step_*.npz")
    assert said == "checkpoints of entropy of 2 layers × 3 heads at 3 steps; grad_norm of 2 layers × 3 heads at 3 steps"


def test_numbers_that_are_no_steps_join_nothing(tmp_path):
    run = read_run(checkpoints(tmp_path, ["seed-1/heads.npz", "seed-2/heads.npz"]))
    assert (len(run.maps), len(run.steps)) == (4, 0)
    titles = [draft.title for draft in drafts_of(run)]
    assert len(titles) == len(set(titles))
    assert "Attention entropy (seed-2/heads.npz)" in titles


def test_checkpoints_of_other_shapes_stay_apart(tmp_path):
    np.save(tmp_path / "entropy_step_1.npy", np.ones((2, 3)))
    np.save(tmp_path / "entropy_step_2.npy", np.ones((2, 4)))
    assert len(read_run(tmp_path).maps) == 2


def test_a_table_that_is_nothing_says_what_is_read(tmp_path):
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"or heads \(layer, head, measure, value\): its columns are a and b"):
        read_run(tmp_path)
