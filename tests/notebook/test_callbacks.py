"""Callbacks of training libraries, exercised on real trainings of tiny models."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.notebook.huggingface import huggingface_callback
from headspec.notebook.lightning import lightning_callback
from headspec.notebook.probing import untouched
from headspec.sources.recorded_run import load_run
from headspec.sources.recorder import Recorder

torch = pytest.importorskip("torch")


def there(*names: str) -> bool:
    return all(importlib.util.find_spec(name) for name in names)


needs_transformers = pytest.mark.skipif(
    not there("transformers", "accelerate"), reason="needs transformers and accelerate, which headspec itself does not"
)
needs_lightning = pytest.mark.skipif(
    not (there("lightning") or there("pytorch_lightning")), reason="needs lightning, which headspec itself does not"
)
# what the libraries themselves warn of
quiet = [
    pytest.mark.filterwarnings("ignore::UserWarning:(torch|transformers|accelerate|lightning|pytorch_lightning).*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*pin_memory.*"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
]


@pytest.mark.parametrize("make", [huggingface_callback, lightning_callback])
def test_wrong_options_are_refused_before_the_training(make: Any, tmp_path: Path) -> None:
    with pytest.raises(KindError, match=r"expected a headspec\.Recorder"):
        make(tmp_path)
    with Recorder(tmp_path) as recorder:
        with pytest.raises(KindError, match="expected a function"):
            make(recorder, heads={"entropy": []})
        with pytest.raises(DataError, match="every=0"):
            make(recorder, every=0)


@pytest.mark.parametrize(
    ("module", "function", "package"),
    [("huggingface", "huggingface_callback", "transformers"), ("lightning", "lightning_callback", "lightning")],
)
def test_a_missing_package_is_named_and_importing_the_module_needs_none(
    module: str, function: str, package: str, tmp_path: Path
) -> None:
    code = f"""
import sys
for name in ("transformers", "lightning", "pytorch_lightning"):
    sys.modules[name] = None
from headspec.errors import MissingPackageError
from headspec.notebook.{module} import {function}
from headspec.sources.recorder import Recorder
assert "torch" not in sys.modules
try:
    {function}(Recorder({str(tmp_path)!r}))
except MissingPackageError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"{package} is needed to record a training")
    assert "pip install" in run.stdout


def test_looking_at_a_model_leaves_no_trace() -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
    model.train()
    model[1].eval()
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with untouched(model):
        assert not model[0].training
        torch.rand(5)
        assert not model(torch.ones(1, 2)).requires_grad
    assert torch.equal(torch.rand(3), expected)
    assert [part.training for part in model] == [True, False, True]
    assert model.training


# --- Hugging Face -------------------------------------------------------------------------------------------------------


class Texts(torch.utils.data.Dataset):  # type: ignore[type-arg,name-defined,misc]
    """A few made-up sequences."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, place: int) -> dict[str, Any]:
        ids = (torch.arange(12) * (place + 1)) % 31
        return {"input_ids": ids, "labels": ids}


def small_gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=32,
            n_positions=16,
            n_embd=16,
            n_layer=2,
            n_head=4,
            attn_implementation="eager",
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def train_gpt2(folder: Path, callbacks: list[Any], steps: int = 6, resume: bool = False) -> Any:
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=4,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="steps",
        save_steps=4,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=3,
    )
    trainer = Trainer(small_gpt2(), arguments, train_dataset=Texts(), eval_dataset=Texts(), callbacks=callbacks)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def entropies(model: Any) -> dict[str, Any]:
    assert not model.training
    outputs = model(Texts()[0]["input_ids"][None], output_attentions=True)
    rows = [-(a * torch.where(a > 0, a, 1).log()).sum(-1).mean((0, 2)) for a in outputs.attentions]
    return {"entropy": rows}


@needs_transformers
class TestHuggingFace:
    pytestmark = quiet

    def test_a_training_is_recorded_as_its_own_log_has_it(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "run") as recorder:
            callback = huggingface_callback(recorder, heads=entropies, gradients=True, every=2)
            trainer = train_gpt2(tmp_path / "out", [callback])
        run = load_run(tmp_path / "run")
        logged = [row for row in trainer.state.log_history if "train_runtime" not in row]
        for metric in ("loss", "eval_loss", "learning_rate", "grad_norm"):
            mine = run.history[run.history["metric"] == metric]
            theirs = [(row["step"], row[metric]) for row in logged if metric in row]
            assert theirs
            assert list(zip(mine["step"], mine["value"], strict=True)) == theirs
        assert run.history["epoch"].notna().all()
        assert "train_loss" not in set(run.history["metric"])  # the average over the run is not one of a step
        assert run.meta["train_loss"] == pytest.approx(trainer.state.log_history[-1]["train_loss"])
        assert run.meta["model"] == "gpt2"
        heads = run.heads
        assert heads.groupby("measure")["step"].unique().map(list).to_dict() == {
            "gradient_norm": [2, 4, 6],
            "entropy": [2, 4, 6],
        }
        assert heads.groupby(["measure", "step"]).size().unique().tolist() == [8]
        last = run.heads_at("entropy")["value"].to_numpy()
        with untouched(trainer.model):
            expected = np.concatenate([row.numpy() for row in entropies(trainer.model)["entropy"]])
        assert last == pytest.approx(expected, rel=1e-5)
        assert (run.heads_at("gradient_norm")["value"] > 0).all()

    def test_the_training_is_the_same_with_it_and_without(self, tmp_path: Path) -> None:
        plain = train_gpt2(tmp_path / "a", [])
        with Recorder(tmp_path / "run") as recorder:
            watched = train_gpt2(
                tmp_path / "b", [huggingface_callback(recorder, heads=entropies, gradients=True, every=1)]
            )
        for left, right in zip(plain.model.parameters(), watched.model.parameters(), strict=True):
            assert torch.equal(left, right)

    def test_going_on_from_a_checkpoint_takes_the_recording_back(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "run") as recorder:
            train_gpt2(tmp_path / "out", [huggingface_callback(recorder)], steps=6)
            recorder.prune(6, [(0, 1)])
        for late in (tmp_path / "out").glob("checkpoint-[5-9]"):
            late.rename(tmp_path / late.name)
        recorder = Recorder(tmp_path / "run", resume=True)
        with recorder, pytest.warns(HeadspecWarning, match="went back to step 4"):
            train_gpt2(tmp_path / "out", [huggingface_callback(recorder)], steps=8, resume=True)
        run = load_run(tmp_path / "run")
        losses = run.history[run.history["metric"] == "loss"]
        assert losses["step"].tolist() == [2, 4, 6, 8]
        assert run.events.empty

    def test_a_measurement_that_fails_ends_no_training(self, tmp_path: Path) -> None:
        def broken(model: Any) -> dict[str, Any]:
            raise RuntimeError("no attentions")

        recorder = Recorder(tmp_path / "run")
        with recorder, pytest.warns(HeadspecWarning, match="no attentions.*the training goes on") as said:
            train_gpt2(tmp_path / "out", [huggingface_callback(recorder, heads=broken, every=1)])
        assert sum("no attentions" in str(item.message) for item in said) == 1
        assert load_run(tmp_path / "run").history["step"].max() == 6


# --- Lightning ----------------------------------------------------------------------------------------------------------


def train_lightning(
    folder: Path, callbacks: list[Any], *, log_own: bool = False, steps: int = 6, **options: Any
) -> Any:
    try:
        import lightning.pytorch as lightning
    except ImportError:
        import pytorch_lightning as lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layers = torch.nn.ModuleList([torch.nn.Module()])
            self.layers[0].self_attn = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            self.seen: list[float] = []

        def forward(self, batch: Any) -> Any:
            return self.layers[0].self_attn(batch, batch, batch, average_attn_weights=False)

        def training_step(self, batch: Any, place: int) -> Any:
            loss = self(batch)[0].square().mean()
            self.seen.append(float(loss.detach()))
            if log_own:
                self.log("train_loss", loss * 2)
            self.log("rate", 0.5, on_step=True)
            return loss

        def validation_step(self, batch: Any, place: int) -> None:
            self.log("eval_loss", self(batch)[0].square().mean())

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    generator = torch.Generator().manual_seed(1)
    data = torch.utils.data.DataLoader(torch.rand(12, 5, 8, generator=generator), batch_size=4)
    module = Module()
    trainer = lightning.Trainer(
        max_steps=steps,
        log_every_n_steps=1,
        default_root_dir=str(folder),
        callbacks=callbacks,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **options,
    )
    trainer.fit(module, data, data, ckpt_path=options.pop("ckpt_path", None))
    return module, trainer


def weights(module: Any, outputs: Any, batch: Any) -> dict[str, Any]:
    assert not module.training
    return {"largest": module(batch)[1].amax(-1).mean((0, 2))[None], "loss_of_step": [[float(outputs["loss"])] * 2]}


@needs_lightning
class TestLightning:
    pytestmark = quiet

    def test_a_training_is_recorded(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "run") as recorder:
            callback = lightning_callback(recorder, heads=weights, gradients={"num_heads": 2}, every=2)
            module, trainer = train_lightning(tmp_path / "out", [callback])
        assert trainer.loggers == []  # left as it was
        run = load_run(tmp_path / "run")
        history = run.history.set_index("metric")
        assert history.loc["train_loss", "step"].tolist() == list(range(6))
        assert history.loc["train_loss", "value"].tolist() == pytest.approx(module.seen, rel=1e-6)
        assert history.loc["eval_loss", "step"].tolist() == [2, 5]
        assert history.loc["rate", "value"].tolist() == [0.5] * 6
        assert history.loc["train_loss", "epoch"].tolist() == [0, 0, 0, 1, 1, 1]
        assert run.heads.groupby("measure")["step"].unique().map(list).to_dict() == {
            "gradient_norm": [0, 2, 4],
            "largest": [2, 4, 6],
            "loss_of_step": [2, 4, 6],
        }
        assert run.heads_at("loss_of_step", 4)["value"].tolist() == pytest.approx([module.seen[3]] * 2, rel=1e-6)
        assert (run.heads_at("gradient_norm")["value"] > 0).all()
        assert run.meta == {"model": "Module"}

    def test_a_loss_that_the_module_logs_itself_is_the_one_that_counts(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "run") as recorder:
            module, _ = train_lightning(tmp_path / "out", [lightning_callback(recorder)], log_own=True)
        rows = load_run(tmp_path / "run").history
        mine = rows[rows["metric"] == "train_loss"]["value"].tolist()
        assert mine == pytest.approx([2 * loss for loss in module.seen], rel=1e-6)

    def test_the_training_is_the_same_with_it_and_without(self, tmp_path: Path) -> None:
        plain, _ = train_lightning(tmp_path / "a", [])
        with Recorder(tmp_path / "run") as recorder:
            callback = lightning_callback(recorder, heads=weights, gradients={"num_heads": 2}, every=1)
            watched, _ = train_lightning(tmp_path / "b", [callback])
        for left, right in zip(plain.parameters(), watched.parameters(), strict=True):
            assert torch.equal(left, right)
        # loggers decide where Lightning puts its checkpoints: they are where they were
        places = [sorted(str(p.relative_to(tmp_path / x)) for p in (tmp_path / x).rglob("*.ckpt")) for x in "ab"]
        assert places[0] == places[1]
        assert places[0]

    def test_batches_that_accumulate_are_no_steps(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "run") as recorder:
            callback = lightning_callback(recorder, gradients={"num_heads": 2}, every=1)
            train_lightning(tmp_path / "out", [callback], steps=2, accumulate_grad_batches=3)
        run = load_run(tmp_path / "run")
        assert run.history[run.history["metric"] == "train_loss"]["step"].tolist() == [0, 1]
        assert run.heads["step"].unique().tolist() == [0, 1]
