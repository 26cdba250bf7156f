"""The recorder: nothing recorded is lost to a kill, nothing is changed, and what grows can be read meanwhile."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError, HeadspecWarning, KindError
from headspec.sources import recorded_values
from headspec.sources.arrays import load_arrays
from headspec.sources.files import load_results_from_file
from headspec.sources.recorded_run import is_recording, load_run
from headspec.sources.recorder import Recorder
from headspec.sources.recording_log import LineLog, LineTail, mend
from headspec.sources.run_folder import read_run
from headspec.tables.events import events_table
from headspec.tables.heads import heads_table
from headspec.tables.history import history_table

number = st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**53) + 1, 2**53 - 1)
metric_name = st.text(min_size=1, max_size=8).filter(
    lambda name: name not in ("run", "step", "metric", "value", "self")
)


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


# --- what goes in comes out ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.dictionaries(metric_name, st.none() | number, max_size=4)), max_size=12)
)
def test_metrics_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, logged: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("run")
    expected: dict[tuple[str, int], float] = {}
    with Recorder(folder) as recorder:
        for step, metrics in logged:
            recorder.log(step, **metrics)
            for name, value in metrics.items():
                if value is not None and name != "epoch":
                    expected[name, step] = float(value)
    run = load_run(folder)
    assert not run.faults
    names = list(run._metrics)  # the frame holds cleaned names
    assert set(names) >= {name for name, _ in expected}
    assert len(run.history) == len(expected)
    for name, step in expected:
        rows = [
            row for row in zip(run._codes, run._steps, run._values, strict=True) if row[:2] == (names.index(name), step)
        ]
        assert same(rows[-1][2], expected[name, step])


def test_a_history_is_one_that_the_tables_read(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="small") as recorder:
        recorder.log(0, epoch=0, train_loss=3.0, eval_loss=None)
        recorder.log(10, epoch=0.5, train_loss=math.nan)
        recorder.log(20, epoch=1, train_loss=math.inf, eval_loss=2.0)
    history = load_run(tmp_path).history
    assert history.columns.tolist() == ["run", "step", "epoch", "metric", "value"]
    table = history_table(history)
    assert table["run"].unique().tolist() == ["small"]
    assert table["step"].tolist() == [0, 10, 20, 20]
    assert table["epoch"].tolist() == [0, 0.5, 1, 1]
    train = table[table["metric"] == "train_loss"]["value"].tolist()
    assert train[0] == 3.0
    assert math.isnan(train[1])
    assert train[2] == math.inf


def test_each_line_is_plain_json_that_needs_no_headspec(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="small") as recorder:
        recorder.log(1, loss=0.5)
        recorder.heads(1, entropy=[[1.0, 2.0]])
        recorder.event(1, 0, 1, "pruned")
        recorder.meta(seed=3, layers=np.int64(4))
    lines = {name: json.loads((tmp_path / f"{name}.jsonl").read_text()) for name in ("history", "heads", "events")}
    assert lines["history"] == {"step": 1, "loss": 0.5}
    assert lines["heads"] == {"step": 1, "heads": {"entropy": [[1.0, 2.0]]}}
    assert lines["events"] == {"step": 1, "layer": 0, "head": 1, "event": "pruned"}
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["run"] == "small"
    assert about["state"] == "complete"
    assert about["meta"] == {"seed": 3, "layers": 4}


@pytest.mark.parametrize(
    "value",
    [np.float32(0.1), np.float64(0.1), np.array(0.1), np.array([0.1], dtype="f4"), 0.1],
    ids=["float32", "float64", "0-d", "one element", "float"],
)
def test_scalars_of_numpy_are_numbers(tmp_path: Path, value: Any) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.log(np.int32(5), loss=value)
    history = load_run(tmp_path).history
    assert history["value"].tolist() == [0.1]
    assert history["step"].tolist() == [5]


def test_scalars_of_torch_are_numbers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    loss = torch.tensor(0.1, requires_grad=True)
    with Recorder(tmp_path) as recorder:
        recorder.log(
            torch.tensor(3), a=loss, b=torch.tensor([0.1], dtype=torch.float64), c=torch.tensor(7), d=loss.bfloat16()
        )
    values = load_run(tmp_path).history.set_index("metric")["value"]
    assert values[["a", "b", "c"]].tolist() == [0.1, 0.1, 7]
    assert values["d"] == float(torch.tensor(0.1).bfloat16().float().numpy().astype(str))


def test_tensors_of_an_accelerator_come_in_one_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    transfers = []
    real = torch.Tensor.cpu
    monkeypatch.setattr(recorded_values, "is_away", lambda tensor: True)
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: transfers.append(self.numel()) or real(self))
    with Recorder(tmp_path) as recorder:
        recorder.log(1, a=torch.tensor(1.5), b=torch.tensor(2.5), c=torch.tensor(3.5), d=4.0)
        assert transfers == [3]
        recorder.heads(1, entropy=[torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])], norm={0: torch.ones(2)})
        assert transfers[:2] == [3, 6]  # whatever is read after that is in main memory
    run = load_run(tmp_path)
    assert run.history["value"].tolist() == [1.5, 2.5, 3.5, 4.0]
    assert run.heads_at("entropy")["value"].tolist() == [1, 2, 3, 4]


def test_heads_keep_masked_nan_and_infinite_apart_and_layers_ragged(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.heads(10, entropy=[[0.5, None, math.nan], [math.inf, -math.inf]])
        recorder.heads(10, norm={2: [1.0], 5: [2.0, 3.0]})
    run = load_run(tmp_path)
    entropy = run.heads_at("entropy")
    assert entropy["kind"].tolist() == ["value", "masked", "nan", "inf", "-inf"]
    assert entropy["value"].isna().tolist() == [False, True, True, True, True]
    assert run.heads_at("norm")[["layer", "head", "value"]].to_numpy().tolist() == [[2, 0, 1], [5, 0, 2], [5, 1, 3]]
    table = heads_table(run.heads_at("entropy"), measure="entropy")
    assert table["kind"].tolist() == entropy["kind"].tolist()
    assert len(run.heads) == 8


cell = st.none() | st.floats(allow_nan=True, allow_infinity=True)
layers = st.dictionaries(st.integers(0, 40), st.lists(cell, min_size=1, max_size=5), min_size=1, max_size=4)


@settings(deadline=None, max_examples=40)
@given(layers)
def test_heads_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, values: dict[int, list[float | None]]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    with Recorder(folder) as recorder:
        recorder.heads(1, measure=values)
    found = load_run(folder)._heads["measure"][1]
    assert set(found) == set(values)
    for layer, row in values.items():
        read, masked = found[layer]
        assert masked.tolist() == [cell is None for cell in row]
        assert all(cell is None or same(cell, back) for cell, back in zip(row, read.tolist(), strict=True))
    table = heads_table(load_run(folder).heads_at("measure"), measure="measure")
    assert len(table) == sum(len(row) for row in values.values())


def test_the_last_heads_of_a_step_count(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        for step, value in ((10, 1.0), (20, 2.0), (10, 3.0)):
            recorder.heads(step, entropy=[[value]])
    run = load_run(tmp_path)
    assert run.heads[["step", "value"]].to_numpy().tolist() == [[10, 3], [20, 2]]
    assert run.heads_at("entropy")["value"].tolist() == [2]
    with pytest.raises(DataError, match="nearest is 20"):
        run.heads_at("entropy", 19)
    with pytest.raises(DataError, match="there is entropy"):
        run.heads_at("norm")


def test_events_come_back_by_step(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.prune(20, [(1, 2), (0, 0)])
        recorder.revive(30, {1: [2]})
        recorder.event(10, 3, 3, "pruned")
    events = load_run(tmp_path).events
    assert list(events.itertuples(index=False, name=None)) == [
        (10, 3, 3, "pruned"),
        (20, 1, 2, "pruned"),
        (20, 0, 0, "pruned"),
        (30, 1, 2, "revived"),
    ]
    pd.testing.assert_frame_equal(events_table(events), events)


def test_an_empty_recording_has_empty_tables(tmp_path: Path) -> None:
    Recorder(tmp_path).close()
    run = load_run(tmp_path)
    assert (len(run.history), len(run.events), len(run.heads)) == (0, 0, 0)
    assert run.events.columns.tolist() == ["step", "layer", "head", "event"]
    assert run.measures == []


# --- killed at any moment -----------------------------------------------------------------------------------------------

WRITER = """
import sys
from headspec.sources.recorder import Recorder
recorder = Recorder(sys.argv[1], resume=True)
step = int(sys.argv[2])
print("ready", flush=True)
while True:
    recorder.log(step, loss=step / 7, other=step * 2.0)
    recorder.heads(step, entropy=[[step + layer + head / 8 for head in range(8)] for layer in range(6)])
    recorder.prune(step, [(step % 6, step % 8)])
    step += 1
    print(step, flush=True)
"""


def start_writer(folder: Path, step: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(step)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_kill_at_any_moment_loses_at_most_the_record_being_written(tmp_path: Path) -> None:
    step = 0
    for pause in (0.0, 0.011, 0.037, 0.083):
        process = start_writer(tmp_path, step)
        assert process.stdout is not None
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        done = [int(line) for line in process.stdout.read().split("\n")[:-1] if line]
        process.wait()
        process.stdout.close()
        reported = done[-1] if done else step  # steps below were recorded before they were reported
        run = load_run(tmp_path)
        assert run.state == "stopped"
        losses = run.history[run.history["metric"] == "loss"]
        assert losses["step"].tolist() == list(range(len(losses)))
        assert losses["value"].tolist() == [at / 7 for at in range(len(losses))]
        for recorded in (len(losses), len(run.events), len(run._heads.get("entropy", {}))):
            assert reported <= recorded <= reported + 1
        step = reported  # a step that was torn is repeated
    with Recorder(tmp_path, resume=True) as recorder:  # the lock of the killed one keeps nobody out
        recorder.log(step, loss=0.5)
    assert load_run(tmp_path).state == "complete"


@pytest.mark.parametrize("cut", [1, 2, 9, 20])
def test_a_torn_record_is_left_out_cut_off_and_said(tmp_path: Path, cut: int) -> None:
    with Recorder(tmp_path) as recorder:
        for step in range(3):
            recorder.log(step, loss=step / 2)
    path = tmp_path / "history.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    with pytest.warns(HeadspecWarning, match=r"history.jsonl: the last record is unfinished \(\d+ bytes?\)"):
        run = load_run(tmp_path)
    assert run.history["step"].tolist() == [0, 1]
    with pytest.warns(HeadspecWarning, match=r"unfinished last record was cut off history.jsonl"):
        recorder = Recorder(tmp_path, resume=True)
    with recorder:
        recorder.log(2, loss=9.0)
    run = load_run(tmp_path)
    assert run.history["value"].tolist() == [0, 0.5, 9.0]


def test_every_cut_of_a_file_is_mended_to_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = b'{"a":1}\n{"b":"' + b"x" * 70_000 + b'"}\n{"c":3}\n'
    ends = [0, 8, len(whole) - 8, len(whole)]
    for size in [*range(12), *range(65_530, 65_545), *range(70_010, len(whole) + 1)]:
        path.write_bytes(whole[:size])
        expected = max(end for end in ends if end <= size)
        assert mend(path) == size - expected
        assert path.read_bytes() == whole[:expected]


def test_a_damaged_line_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        for step in range(3):
            recorder.log(step, loss=float(step))
    path = tmp_path / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\x00\x00\xff{\n" + b'{"loss": 3}\n' + lines[2])
    with pytest.warns(HeadspecWarning, match=r"1 line damaged \(2\).*1 record of no known form"):
        run = load_run(tmp_path)
    assert run.history["step"].tolist() == [0, 2]


# --- going on -----------------------------------------------------------------------------------------------------------


def test_going_on_repeats_steps_and_the_last_value_counts(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="a") as recorder:
        recorder.log(1, loss=1.0)
        recorder.log(2, loss=2.0)
        recorder.meta(seed=1)
    with Recorder(tmp_path, resume=True) as recorder:
        assert recorder.run == "a"
        recorder.log(2, loss=2.5)
        recorder.log(3, loss=3.0)
    run = load_run(tmp_path)
    assert run.history[["step", "value"]].to_numpy().tolist() == [[1, 1], [2, 2.5], [3, 3]]
    assert run.meta == {"seed": 1}


def test_a_second_recording_is_never_mixed_into_a_folder(tmp_path: Path) -> None:
    Recorder(tmp_path, run="a").close()
    with pytest.raises(DataError, match="holds a recording of 'a' already: go on with it by resume=True"):
        Recorder(tmp_path)
    with pytest.raises(DataError, match="of 'a', not of 'b'"):
        Recorder(tmp_path, run="b", resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "history.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match=r"holds history\.jsonl, but no run\.json"):
        Recorder(tmp_path / "other", resume=True)
    (tmp_path / "other" / "run.json").write_text('{"what": "another one"}')
    with pytest.raises(DataError, match="not of a recording by headspec"):
        Recorder(tmp_path / "other", resume=True)
    assert not is_recording(tmp_path / "other")
    assert is_recording(tmp_path)
    Recorder(tmp_path, resume=True).close()  # the refusals left no lock behind


def test_going_back_forgets_what_came_after(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        for step in (10, 20, 30):
            recorder.log(step, loss=float(step))
            recorder.heads(step, entropy=[[float(step)]])
            recorder.prune(step, [(0, step)])
        run = load_run(tmp_path)
        assert len(run.history) == 3
        with pytest.warns(
            HeadspecWarning,
            match="went back to step 10: 2 records of history, 2 records of heads and 2 records of events",
        ):
            recorder.rewind(10)
        recorder.rewind(10)  # nothing left to forget: nothing to say
        recorder.log(15, loss=1.0)
        assert run.refresh() == 4  # all of it again
        assert run.history["step"].tolist() == [10, 15]
    assert run.events["head"].tolist() == [10]
    assert run.heads["step"].tolist() == [10]


# --- two at a time ------------------------------------------------------------------------------------------------------


def test_two_recorders_on_one_folder_are_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path / "here") as recorder:
        with pytest.raises(DataError, match=r"recorded into by this very process: close\(\)"):
            Recorder(tmp_path / "here", resume=True)
        recorder.log(1, loss=1.0)
    there = start_writer(tmp_path / "there", 0)
    try:
        with pytest.raises(DataError, match=f"by process {there.pid}: stop that process"):
            Recorder(tmp_path / "there", resume=True)
        assert load_run(tmp_path / "there").state == "recording"
    finally:
        there.kill()
        there.communicate()


def test_a_reader_follows_a_writer_in_another_process(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, 0)
    try:
        run, sizes = load_run(tmp_path), []
        stop = time.monotonic() + 20
        while len(set(sizes)) < 5 and time.monotonic() < stop:
            run.refresh()
            assert not run.faults
            steps = run.history["step"].tolist()
            assert steps == [step for step in range(len(steps) // 2) for _ in range(2)]
            sizes.append(len(steps))
            time.sleep(0.01)
    finally:
        writer.kill()
        writer.communicate()
    assert sizes == sorted(sizes)
    assert len(set(sizes)) >= 5
    run.refresh()
    pd.testing.assert_frame_equal(run.history, load_run(tmp_path).history)
    pd.testing.assert_frame_equal(run.heads, load_run(tmp_path).heads)


def test_a_reader_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    tail = LineTail(path)
    assert tail.read() == []
    path.write_bytes(b'{"a":1}\n{"a"')
    assert tail.read() == [{"a": 1}]
    assert tail.torn == 4
    with open(path, "ab") as file:
        file.write(b":2}\n")
    assert tail.read() == [{"a": 2}]
    assert tail.torn == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_worker_neither_records_nor_ends_the_recording(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        child = os.fork()
        if not child:
            code = 1
            try:
                recorder.log(1, loss=1.0)
            except DataError as error:
                code = 0 if "forked" in str(error) else 2
            finally:
                recorder._finalizer()
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        recorder.log(2, loss=2.0)
    assert load_run(tmp_path).history["step"].tolist() == [2]


# --- what goes wrong ----------------------------------------------------------------------------------------------------


def test_a_full_disk_drops_whole_records_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    recorder = Recorder(tmp_path)
    recorder.log(1, loss=1.0)
    calls = []

    def full(file: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) % 2:
            return real(file, data[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.warns(HeadspecWarning, match="No space left on device.* is dropped; the training goes on"):
            recorder.log(2, loss=2.0)
        recorder.log(3, loss=3.0)  # said once
    recorder.log(4, loss=4.0)
    with pytest.warns(HeadspecWarning, match="2 records of .* could not be written and are missing"):
        recorder.close()
    assert load_run(tmp_path).history["step"].tolist() == [1, 4]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: r.log(math.nan, a=1.0), DataError, "step is nan"),
        (lambda r: r.log(2**53, a=1.0), DataError, "below 2"),
        (lambda r: r.log("3", a=1.0), KindError, "step is of type builtins.str"),
        (lambda r: r.log(3, a="high"), KindError, "a is of type builtins.str; expected a number"),
        (lambda r: r.log(3, a=[1.0, 2.0]), KindError, "heads go through"),
        (lambda r: r.log(3, a=np.zeros(2)), KindError, r"a has shape \(2,\)"),
        (lambda r: r.log(3, run=1.0), DataError, "cannot be called 'run'"),
        (lambda r: r.heads(3), DataError, "no measure"),
        (lambda r: r.heads(3, entropy="x"), KindError, "entropy"),
        (lambda r: r.event(3, 0, 1, "frozen"), DataError, "expected 'pruned' or 'revived'"),
        (lambda r: r.prune(3, [(0, -1)]), DataError, "ids count from 0"),
        (lambda r: r.prune(3, [0]), DataError, "pairs of whole numbers"),
        (lambda r: r.meta(model=object()), KindError, "expected what JSON can hold"),
    ],
)
def test_wrong_arguments_are_errors_that_teach_and_record_nothing(
    tmp_path: Path, call: Any, error: Any, message: str
) -> None:
    with Recorder(tmp_path) as recorder, pytest.raises(error, match=message):
        call(recorder)
    assert all((tmp_path / f"{name}.jsonl").stat().st_size == 0 for name in ("history", "heads", "events"))


def test_a_closed_recorder_says_how_to_go_on(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.close()
    recorder.close()
    with pytest.raises(DataError, match="resume=True"):
        recorder.log(1, a=1.0)


def test_an_error_in_the_training_is_the_state_of_the_run(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Recorder(tmp_path):
        raise RuntimeError("out of memory")
    assert load_run(tmp_path).state == "failed"


def test_a_recorder_that_was_never_closed_stopped(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.log(1, loss=1.0)
    assert load_run(tmp_path).state == "recording"
    del recorder
    assert load_run(tmp_path).state == "stopped"
    Recorder(tmp_path, resume=True).close()


def test_places_that_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        Recorder(tmp_path / "file")
    with pytest.raises(KindError, match="folder is None"):
        Recorder(None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is not there"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no recording"):
        load_run(tmp_path)


def test_the_disk_is_asked_to_keep_it_as_often_as_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(LineLog, "sync", lambda self: synced.append(self.path.name))
    with Recorder(tmp_path / "always", sync=0) as recorder:
        recorder.log(1, a=1.0)
        assert synced == ["history.jsonl", "heads.jsonl", "events.jsonl"]
    synced.clear()
    with Recorder(tmp_path / "never", sync=None) as recorder:
        recorder.log(1, a=1.0)
        assert synced == []
        recorder.sync()
        assert len(synced) == 3


# --- what else reads it -------------------------------------------------------------------------------------------------


def test_the_folder_is_one_that_the_report_reads_also_torn(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        for step in range(30):
            recorder.log(step, train_loss=3 / (step + 1))
            if step % 10 == 0:
                recorder.heads(step, entropy=[[step + 0.5, None], [1.0, 2.0]])
        recorder.heads(15, gradient_norm=[[1.0, 2.0], [3.0, 4.0]])
        recorder.prune(20, [(0, 1)])
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
    run = read_run(tmp_path)
    assert dict(run.used)["history.jsonl"] == "metrics history (29 steps: train_loss)"
    assert dict(run.used)["events.jsonl"] == "event list (1 event of 1 head)"
    assert {item.measure: (item.steps.tolist(), item.values.shape) for item in run.steps} == {
        "entropy": ([0, 10, 20], (3, 2, 2)),
        "gradient_norm": ([15], (1, 2, 2)),
    }
    assert [(file, reason[:30]) for file, reason in run.unused] == [("history.jsonl", "the last record is unfinished ")]
    arrays = load_arrays(tmp_path / "heads.jsonl")
    assert np.array_equal(arrays["entropy"][1], [[10.5, np.nan], [1, 2]], equal_nan=True)
    assert arrays["gradient_norm_steps"].tolist() == [15]
    with pytest.raises(DataError, match="holds no arrays"):
        load_arrays(path)


def test_the_history_reads_without_a_recorder_too(tmp_path: Path) -> None:
    with Recorder(tmp_path, run="small") as recorder:
        recorder.log(1, train_loss=1.0, eval_loss=None)
        recorder.log(2, train_loss=0.5, eval_loss=2.0)
    plain = history_table(load_results_from_file(tmp_path / "history.jsonl"), run="small")
    mine = history_table(load_run(tmp_path).history)
    pd.testing.assert_frame_equal(plain, mine)
