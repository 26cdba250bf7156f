from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import samples
from headspec.cli import main
from headspec.sources.recording import gallery_folder

RUN = gallery_folder() / "run"


def run(*args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(list(args))
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.parametrize(
    "args",
    [
        ("training-progress", RUN / "history.csv"),
        ("experiment-summary", RUN / "results.csv"),
        (
            "strategy-comparison",
            RUN / "results.csv",
            "--set",
            "model_name=stdlib-bytes/6x8-plastic",
            "--set",
            "pruning_level=0.5",
        ),
        (
            "recovery-comparison",
            RUN / "results.csv",
            "--set",
            "model_name=stdlib-bytes/6x8-plastic",
            "--set",
            "pruning_level=0.5",
        ),
        (
            "entropy-heatmap",
            RUN / "importance.npz",
            "--key",
            "entropy",
            "--set",
            "min_value=-4",
            "--set",
            "pruned_heads=[[0, 1]]",
        ),
        ("gradient-norms", RUN / "importance.npz", "--key", "gradient"),
        ("head-gradients", RUN / "importance.npz", "--key", "gradient", "--theme", "dark"),
        ("head-importance", RUN / "importance.npz"),
        ("attention-matrix", RUN / "attention_loop.npz", "--set", 'axes="layer head query key"', "--set", "head_idx=3"),
        ("normalized-entropy", RUN / "attention_loop.npz", "--set", "axes=layer head query key"),
        ("entropy-vs-gradient", RUN / "importance.npz", "--key", "magnitude", "--key", "gradient"),
    ],
    ids=lambda args: args[0],
)
def test_every_kind_is_drawn_from_a_file(args: tuple, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.vl.json"
    code, out, err = run("chart", *map(str, args), "-o", str(target), capsys=capsys)
    assert (code, err) == (0, "")
    spec = json.loads(target.read_text(encoding="utf-8"))
    assert spec["description"] in out


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_tables_of_every_format_give_the_same_chart(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, source = pd.DataFrame(samples.history()), tmp_path / f"history{suffix}"
    if suffix == ".csv":
        frame.to_csv(source, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(source)
    else:
        frame.to_json(source, orient="records", lines=suffix == ".jsonl")
    target = tmp_path / "out.png"
    code, out, _ = run("chart", "training-progress", str(source), "-o", str(target), capsys=capsys)
    assert code == 0
    assert "3 prunings" in out or "4 prunings" in out or "prunings" in out
    assert target.read_bytes().startswith(b"\x89PNG")


def test_arrays_of_every_format_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "a.npy", np.ones((2, 3)))
    (tmp_path / "a.json").write_text("[[1, 1, 1], [1, 1, 1]]")
    specs = []
    for name in ("a.npy", "a.json"):
        target = tmp_path / f"{name}.vl.json"
        assert run("chart", "entropy-heatmap", str(tmp_path / name), "-o", str(target), capsys=capsys)[0] == 0
        specs.append(target.read_text(encoding="utf-8"))
    assert specs[0] == specs[1]


def bad_inputs(folder: Path) -> dict[str, tuple[list[str], str]]:
    np.save(folder / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (folder / "cut.npz").write_bytes(b"PK\x03\x04nothing")
    (folder / "text.txt").write_text("hello")
    (folder / "table.csv").write_text("a,b\n1,2\n")
    np.savez(folder / "two.npz", a=np.ones((2, 2)), b=np.ones((2, 2)))
    np.save(folder / "flat.npy", np.ones(6))
    return {
        "absent": (["entropy-heatmap", "nothing.npz"], "nothing.npz is not there"),
        "folder": (["entropy-heatmap", "."], "a folder"),
        "pickle": (["entropy-heatmap", "objects.npy"], "pickled objects, which could run code"),
        "truncated": (["entropy-heatmap", "cut.npz"], "cannot be read"),
        "suffix": (["entropy-heatmap", "text.txt"], "known are .npz, .npy, .safetensors, .pt, .pth and .json"),
        "key": (["entropy-heatmap", "two.npz"], "pick one with --key: a and b"),
        "wrong key": (["entropy-heatmap", "two.npz", "--key", "c"], "has no array 'c'; it has a and b"),
        "ambiguous": (["entropy-heatmap", "flat.npy"], "cannot be guessed"),
        "column": (["training-progress", "table.csv"], "step"),
        "option": (["entropy-heatmap", "flat.npy", "--set", "nothing"], "expected NAME=VALUE"),
        "unknown option": (["entropy-heatmap", "two.npz", "--key", "a", "--set", "colour=1"], "colour"),
        "output": (["entropy-heatmap", "two.npz", "--key", "a", "-o", "out.docx"], "docx"),
        "output folder": (["entropy-heatmap", "two.npz", "--key", "a", "-o", "no/such/out.png"], "does not exist"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "absent",
        "folder",
        "pickle",
        "truncated",
        "suffix",
        "key",
        "wrong key",
        "ambiguous",
        "column",
        "option",
        "unknown option",
        "output",
        "output folder",
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    args, message = bad_inputs(tmp_path)[case]
    before = set(tmp_path.iterdir())
    code, out, err = run("chart", *args, *([] if "-o" in args else ["-o", "out.png"]), capsys=capsys)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("headspec: ")
    assert message in err
    assert set(tmp_path.iterdir()) == before  # nothing half-written


def test_an_unknown_kind_and_command_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["chart", "pie", "x", "-o", "y"], ["nothing"], []):
        with pytest.raises(SystemExit) as stop:
            main(args)
        assert stop.value.code == 2
    assert "entropy-heatmap" in capsys.readouterr().err


def test_the_module_is_a_program() -> None:
    out = subprocess.run(
        [sys.executable, "-m", "headspec.cli", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert out.startswith("headspec ")


def test_without_the_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['libcst'] = None; from headspec.cli import main; sys.exit(main(['migrate', 'a.ipynb']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'headspec[migrate]'" in done.stderr
