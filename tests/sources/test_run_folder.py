"""Run folders: each file recognised, or named with the reason why not."""

from __future__ import annotations

import builtins
import json
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from headspec.errors import DataError, MissingPackageError
from headspec.sources.arrays import load_arrays
from headspec.sources.recording import gallery_folder
from headspec.sources.run_folder import read_run

RNG = np.random.default_rng(0)
HEADS = RNG.random((3, 4))


def attention(*shape: int) -> np.ndarray:
    logits = np.random.default_rng(1).normal(size=shape)
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)


def write_safetensors(path: Path, arrays: dict[str, np.ndarray], *, bf16: tuple[str, ...] = ()) -> None:
    header, body = {"__metadata__": {"format": "np"}}, b""
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "int32": "I32"}
    for name, array in arrays.items():
        data = (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes() if name in bf16 else array.tobytes()
        kind = "BF16" if name in bf16 else names[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def said(run) -> dict[str, str]:
    return dict(run.used)


def reasons(run) -> dict[str, str]:
    return dict(run.unused)


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self):
        return (builtins.exec, ("import sys; sys.bombed = True",))


def test_the_recorded_run_is_understood():
    run = read_run(gallery_folder() / "run")
    found = said(run)
    assert found["history.csv"].startswith("metrics history (2,000 steps: train_loss, eval_loss")
    assert found["events.csv"].startswith("event list (")
    assert found["results.csv"] == "results table (2 models, 5 strategies, 270 rows)"
    assert found["importance.npz"].startswith("importance by entropy")
    assert "6 layers × 8 heads at 3 steps" in found["checkpoints.npz"]
    assert "layer, head, query, key: 6 × 8 ×" in found["attention_method.npz"]
    assert {item.name: item.tokens_from for item in run.attention}["encoder_minilm"] == "encoders.json:minilm.tokens.0"
    assert all(len(item.tokens) == item.size for item in run.attention)
    assert set(reasons(run)) == {"README.md and timing.json", "run.json"}


def test_every_format_of_arrays_gives_the_same_values(tmp_path):
    torch = pytest.importorskip("torch")
    np.save(tmp_path / "entropy.npy", HEADS)
    np.savez(tmp_path / "a.npz", entropy=HEADS)
    write_safetensors(tmp_path / "b.safetensors", {"entropy": HEADS, "half": HEADS.astype("f2")}, bf16=())
    torch.save({"entropy": torch.tensor(HEADS), "nested": {"list": [torch.ones(2, 2)]}}, tmp_path / "c.pt")
    assert (load_arrays(tmp_path / "entropy.npy")["entropy"] == HEADS).all()
    assert (load_arrays(tmp_path / "a.npz")["entropy"] == HEADS).all()
    assert (load_arrays(tmp_path / "b.safetensors")["entropy"] == HEADS).all()
    assert (load_arrays(tmp_path / "b.safetensors")["half"] == HEADS.astype("f2")).all()
    loaded = load_arrays(tmp_path / "c.pt")
    assert (loaded["entropy"] == HEADS).all()
    assert set(loaded) == {"entropy", "nested.list.0"}
    run = read_run(tmp_path)
    assert len(run.of_kind("entropy")) == 1  # the same values are drawn once
    assert len(run.maps) >= 4


def test_bfloat16_is_widened(tmp_path):
    torch = pytest.importorskip("torch")
    values = torch.tensor([[1.5, -2.0], [0.1, 3e38]], dtype=torch.bfloat16)
    torch.save({"entropy": values}, tmp_path / "a.pt")
    write_safetensors(tmp_path / "a.safetensors", {"entropy": values.float().numpy()}, bf16=("entropy",))
    for name in ("a.pt", "a.safetensors"):
        assert (load_arrays(tmp_path / name)["entropy"] == values.float().numpy()).all()


def test_safetensors_reads_what_its_own_library_writes(tmp_path):
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    library.save_file({"entropy": HEADS}, tmp_path / "a.safetensors")
    assert (load_arrays(tmp_path / "a.safetensors")["entropy"] == HEADS).all()


def test_tables_of_every_format_are_recognised(tmp_path):
    history = pd.DataFrame({"step": [0, 10, 20], "train_loss": [3.0, 2.5, 2.25]})
    history.to_csv(tmp_path / "a.csv", index=False)
    history.to_json(tmp_path / "b.jsonl", orient="records", lines=True)
    history.to_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.json").write_text(json.dumps(history.to_dict("list")))
    state = {
        "global_step": 20,
        "log_history": [{"step": 10, "loss": 2.5, "epoch": 0.1}, {"step": 20, "eval_loss": 2.0}],
    }
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    run = read_run(tmp_path)
    found = said(run)
    assert [found[name] for name in ("a.csv", "b.jsonl", "c.parquet", "d.json")] == [
        "metrics history (3 steps: train_loss)"
    ] * 4
    assert (
        found["trainer_state.json"] == "metrics history (2 steps: loss and eval_loss)"
        or "loss" in found["trainer_state.json"]
    )
    assert run.unused == []


def test_of_several_states_of_a_trainer_the_longest_counts(tmp_path):
    for steps in (2, 5):
        folder = tmp_path / f"checkpoint-{steps}"
        folder.mkdir()
        rows = [{"step": step, "loss": 1.0 / step} for step in range(1, steps + 1)]
        (folder / "trainer_state.json").write_text(json.dumps({"log_history": rows}))
    run = read_run(tmp_path)
    assert list(said(run)) == ["checkpoint-5/trainer_state.json"]
    assert "earlier state" in reasons(run)["checkpoint-2/trainer_state.json"]


def test_attention_in_every_form(tmp_path):
    np.save(tmp_path / "attention.npy", attention(5, 5))
    np.savez(tmp_path / "layers.npz", **{f"layer_{place}": attention(1, 4, 6, 6) for place in range(3)})
    np.savez(tmp_path / "stack.npz", attention=attention(3, 2, 4, 7, 7), attention_mask=np.ones((2, 7)))
    np.savez(tmp_path / "grid.npz", attention=attention(3, 4, 8, 8), tokens=np.array(list("abcdefgh")))
    np.savez(tmp_path / "unknown.npz", attention=attention(5, 4, 9, 9))
    np.savez(tmp_path / "heads.npz", entropy=HEADS)
    run = read_run(tmp_path)
    forms = {item.file: item for item in run.attention}
    assert {name: item.form for name, item in forms.items()} == {
        "attention.npy": "matrix",
        "layers.npz": "keys",
        "stack.npz": "stack",
        "grid.npz": "layers",
    }
    assert forms["stack.npz"].mask is not None
    assert forms["stack.npz"].sequences == 2
    assert forms["grid.npz"].tokens == tuple("abcdefgh")
    assert sorted(forms["layers.npz"].layers) == [0, 1, 2]
    assert "layers or a batch of one layer" in reasons(run)["unknown.npz"]
    (tmp_path / "headspec.toml").write_text('[files."unknown.npz"]\naxes = "layer head query key"\n')
    assert {item.file for item in read_run(tmp_path).attention} >= {"unknown.npz"}


def test_the_configuration_corrects(tmp_path):
    pd.DataFrame({"iteration_no": [0, 1], "score": [1.0, 2.0]}).to_csv(tmp_path / "log.csv", index=False)
    np.savez(tmp_path / "x.npz", a=HEADS, b=HEADS * 2)
    np.save(tmp_path / "skip.npy", HEADS)
    (tmp_path / "headspec.toml").write_text(
        'title = "My <run>"\n[files."log.csv"]\nrole = "history"\nstep = "iteration_no"\ntitle = "Log"\n'
        '[files."x.npz"]\nkey = "b"\nmeasure = "entropy"\n[files."skip.npy"]\nrole = "ignore"\n'
    )
    run = read_run(tmp_path)
    assert run.title == "My <run>"
    assert run.histories[0].config.step == "iteration_no"
    assert [(item.measure, item.key) for item in run.maps] == [("entropy", "b")]
    assert (run.maps[0].values == HEADS * 2).all()
    assert "skip.npy" not in {**said(run), **reasons(run)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel = 1", r"'titel' is not known; did you mean title\?"),
        ('[files."a.npy"]\nroll = "heads"', r"files\.'a\.npy': 'roll' is not known; did you mean role\?"),
        ('[files."a.npy"]\nrole = "graph"', "role is history, .* not 'graph'"),
        ('[files."b.npy"]\nrole = "heads"', r"there is no such file; did you mean a\.npy\?"),
        ("[files", "cannot be read"),
        ("title = 3", "title is text, not 3"),
        ("max_file_mb = -1", "max_file_mb is a number"),
        ('[files."a.npy"]\nbatch = "x"', "batch is a whole number"),
        ('[files."a.npy"]\nkey = "zz"', "holds nothing that can be drawn .*no array 'zz'"),
    ],
)
def test_mistakes_in_the_configuration_are_named(tmp_path, text, message):
    np.save(tmp_path / "a.npy", HEADS)
    (tmp_path / "headspec.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        read_run(tmp_path)


# --- bad input ----------------------------------------------------------------------------------------------------------


def test_what_cannot_be_used_is_named_with_the_reason(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.delattr(sys, "bombed", raising=False)
    np.save(tmp_path / "entropy.npy", HEADS)
    (tmp_path / "history.csv").write_text('step,train_loss,note\n0,3.0,"a"\n10,2.5,"b')
    (tmp_path / "short.csv").write_text("step,train_loss\n0,3.0\n10\n")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04" + b"\0" * 30)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "entropy.npy").read_bytes()[:100])
    (tmp_path / "cut.json").write_text('{"log_history": [{"step": 1')
    (tmp_path / "cut.safetensors").write_bytes(struct.pack("<Q", 10**12) + b"{}")
    (tmp_path / "results.parquet").write_bytes(b"PAR1 cut off")
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    torch.save({"a": Bomb()}, tmp_path / "bomb2.pt")
    np.save(tmp_path / "objects.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", a=np.array([Bomb()], dtype=object))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    np.savez(tmp_path / "weights.npz", **{"h.0.weight": np.ones((4, 4)), "wte": np.ones((5000, 8)), "t": np.ones(3)})
    (tmp_path / "notes.md").write_text("hello")
    run = read_run(tmp_path)
    assert not hasattr(sys, "bombed")
    assert list(said(run)) == ["entropy.npy"]
    found = reasons(run)
    assert set(found) == {path.name for path in tmp_path.iterdir()} - {"entropy.npy"}
    for name, words in {
        "bomb.pkl": "could run code",
        "bomb.pt": "cannot be read",
        "bomb2.pt": "could run code",
        "objects.npy": "could run code",
        "objects.npz": "could run code",
        "broken.npz": "cannot be read",
        "cut.npy": "cannot be read",
        "cut.json": "cut off",
        "cut.safetensors": "header does not fit",
        "other.csv": "its columns are a and b",
        "weights.npz": "5000 × 8 is more than layers and heads",
        "notes.md": "no data that headspec reads",
    }.items():
        assert words in found[name], (name, found[name])


def test_a_large_file_is_not_read(tmp_path):
    np.save(tmp_path / "entropy.npy", HEADS)
    for name in ("huge.csv", "huge.npz", "huge.pt", "huge.json"):
        with (tmp_path / name).open("wb") as opened:
            opened.truncate(2_000_000_000)  # sparse: it takes no room
    run = read_run(tmp_path)
    for name in ("huge.csv", "huge.npz", "huge.pt", "huge.json"):
        assert "takes 2,000 MB, more than the 1,000 MB that are read at once" in reasons(run)[name]
    (tmp_path / "headspec.toml").write_text("max_file_mb = 0.0001")
    np.savez_compressed(tmp_path / "bomb.npz", entropy=np.zeros((200, 200)))
    assert "more than the 0 MB" in reasons(read_run(tmp_path))["bomb.npz"]


def test_a_large_mapped_array_is_read_in_part(tmp_path):
    shape = (3, 4, 4096, 4096)
    mapped = np.lib.format.open_memmap(tmp_path / "attention.npy", "w+", np.float16, shape)  # sparse
    mapped[0, 0, :, 0] = 1
    mapped[1, 0, :, 0] = 1
    mapped.flush()
    np.save(tmp_path / "entropy.npy", HEADS)
    run = read_run(tmp_path)
    assert run.attention[0].form == "layers"


@pytest.mark.parametrize("name", ["a b", "q\"uo'te", "x..y", "🙂", "<script>alert(1)<script>", "nl\nx"])
def test_odd_names_are_cleaned(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    np.savez(folder / f"{name}.npz", **{"entropy": HEADS, name: HEADS + 1})
    run = read_run(folder)
    assert len(run.maps) == 2
    assert "\n" not in run.name + "".join(said(run))


def test_a_folder_without_anything_usable_is_an_error(tmp_path):
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"holds nothing that can be drawn \(log\.csv: .*notes\.md: no data"):
        read_run(tmp_path)
    with pytest.raises(DataError, match="is not there"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a file"):
        read_run(tmp_path / "log.csv")


def test_without_torch_the_file_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.pt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'headspec\[torch\]'"):
        load_arrays(tmp_path / "a.pt")


def test_too_many_files_are_a_folder_of_something_else(tmp_path):
    for place in range(2001):
        (tmp_path / f"{place}.txt").touch()
    with pytest.raises(DataError, match="more than 2,000 files"):
        read_run(tmp_path)


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    run.mkdir()
    np.save(elsewhere / "secret.npy", HEADS)
    np.save(run / "entropy.npy", HEADS)
    (run / "link").symlink_to(elsewhere)
    assert list(said(read_run(run))) == ["entropy.npy"]
