"""The monitor: one display that updates in place, lines of progress elsewhere, and never the end of a training."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import altair as alt
import numpy as np
import pytest

import headspec.notebook.monitor as monitor_module
from headspec.errors import DataError, KindError
from headspec.notebook import monitor_view
from headspec.notebook.monitor import TrainingMonitor
from headspec.sources.recorded_run import load_run
from headspec.sources.recorder import Recorder

rng = np.random.default_rng(5)


def record(recorder: Recorder, steps: range) -> None:
    for step in steps:
        recorder.log(step, epoch=step / 10, train_loss=3 / (step + 1), eval_loss=2.0 if step % 5 == 0 else None)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "run", run="small") as found:
        yield found


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What stands in for the shell of a notebook's kernel; it keeps what is published."""
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell

    class Publisher:
        def __init__(self) -> None:
            self.outputs: list[dict[str, Any]] = []

        def publish(self, **message: Any) -> None:
            self.outputs.append(message)

    found = SimpleNamespace(kernel=object(), execution_count=1, display_pub=Publisher())
    monkeypatch.setattr(monitor_module, "_shell", lambda: found)
    monkeypatch.setattr(InteractiveShell, "initialized", classmethod(lambda cls: True))
    monkeypatch.setattr(InteractiveShell, "instance", classmethod(lambda cls: found))
    return found


# --- in a notebook ------------------------------------------------------------------------------------------------------


def test_one_display_is_updated_in_place(shell: Any, recorder: Recorder) -> None:
    monitor = TrainingMonitor(recorder, every=1e9)
    record(recorder, range(1))
    outputs = shell.display_pub.outputs
    assert [item.get("update", False) for item in outputs] == [False]  # the first record shows at once
    record(recorder, range(1, 30))
    assert len(outputs) == 1  # not time yet
    monitor.update()
    monitor.update(force=False)
    assert [item.get("update", False) for item in outputs] == [False, True]
    recorder.close()
    assert [item.get("update", False) for item in outputs] == [False, True, True]  # the end is always shown
    assert len({item["transient"]["display_id"] for item in outputs}) == 1
    assert set(outputs[-1]["data"]) == {"text/html", "text/plain"}
    assert "complete" in outputs[-1]["data"]["text/plain"]


def test_another_cell_begins_its_own_display(shell: Any, recorder: Recorder) -> None:
    monitor = TrainingMonitor(recorder, every=1e9)
    record(recorder, range(1))
    shell.execution_count = 2
    monitor.update()
    monitor._ipython_display_()  # as the last expression of that cell
    outputs = shell.display_pub.outputs
    assert [item.get("update", False) for item in outputs] == [False, False, True]
    ids = [item["transient"]["display_id"] for item in outputs]
    assert ids[0] != ids[1] == ids[2]


def test_a_recorder_has_one_monitor(shell: Any, recorder: Recorder) -> None:
    for _ in range(3):
        monitor = TrainingMonitor(recorder, every=0)
    record(recorder, range(1))
    assert len(shell.display_pub.outputs) == 1
    monitor.close()
    record(recorder, range(1, 3))
    assert len(shell.display_pub.outputs) == 1


def test_the_view_is_wellformed_without_script_and_its_text_is_text(tmp_path: Path) -> None:
    bad = "</div><script>alert(1)</script>"
    with Recorder(tmp_path, run=bad) as recorder:
        record(recorder, range(20))
        recorder.log(20, **{f"{bad} loss": 1.0, "x\x00y": math.nan})
        recorder.heads(20, **{f"entropy {bad}": rng.random((2, 3)), "gradient_norm": rng.random((2, 3))})
        recorder.prune(20, [(0, 1)])
    run = load_run(tmp_path)
    page = monitor_view.html(run, 2.5, [monitor_view.training_chart, *monitor_view.map_builders(run, None)], None)
    assert page.count("<svg") == 3
    root = ElementTree.fromstring(page)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert "script" not in tags
    assert not {name for element in root.iter() for name in element.attrib if name.startswith("on")}
    text = " ".join(root.itertext())
    assert bad in text
    assert "x\\x00y" in text
    assert "1 head pruned, 0 revived" in text
    assert "2.5 steps/s" not in text or "complete" in text


def test_the_numbers_are_the_latest_with_their_range(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        for step, value in enumerate([3.0, math.inf, 1.0, math.nan, 2.0]):
            recorder.log(step, accuracy=0.5 if step == 1 else None, train_loss=value)
    found = monitor_view.latest(load_run(tmp_path))
    assert found == [("train_loss", 2.0, 4, 1.0, 3.0), ("accuracy", 0.5, 1, 0.5, 0.5)]


def test_the_output_stays_bounded_however_long_the_training(tmp_path: Path) -> None:
    sizes = []
    with Recorder(tmp_path) as recorder:
        for steps in (range(500), range(500, 4000)):
            for step in steps:
                recorder.log(step, **{f"loss_{name}": float(rng.random()) for name in range(6)}, other=1.0)
            recorder.heads(step, entropy=rng.random((24, 32)), gradient_norm=rng.random((24, 32)))
            run = load_run(tmp_path)
            builders = [monitor_view.training_chart, *monitor_view.map_builders(run, None)]
            sizes.append(len(monitor_view.html(run, None, builders, None)))
    assert sizes[1] < 1.1 * sizes[0]
    assert sizes[1] < 3 * monitor_view.LARGEST_SVG


def test_a_large_drawing_goes_out_as_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_view, "LARGEST_SVG", 1000)
    with Recorder(tmp_path) as recorder:
        record(recorder, range(20))
    page = monitor_view.html(load_run(tmp_path), None, [monitor_view.training_chart], None)
    assert re.search(r'<img width="\d+" height="\d+" alt="" src="data:image/png;base64,iVBOR', page)
    assert "<svg" not in page


def test_a_map_is_drawn_again_when_heads_or_events_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Any
) -> None:
    drawn: list[str] = []
    real = monitor_view._map
    monkeypatch.setattr(
        monitor_view, "_map", lambda rows, measure, *more: drawn.append(measure) or real(rows, measure, *more)
    )
    with Recorder(tmp_path) as recorder:
        record(recorder, range(3))
        recorder.heads(3, entropy=[[1.0, 2.0]], importance=[[-1.0, 2.0]])
        monitor = TrainingMonitor(recorder, every=1e9)
        for change in (lambda: None, lambda: record(recorder, range(3, 5)), lambda: recorder.prune(5, [(0, 0)])):
            change()
            monitor.update()
        assert drawn == ["entropy", "importance"] * 2
        monitor.close()


def test_what_cannot_be_drawn_is_said_and_ends_nothing(shell: Any, recorder: Recorder) -> None:
    def broken(run: Any) -> Any:
        raise ZeroDivisionError("by <nothing>")

    def own(run: Any) -> Any:
        return alt.Chart(run.history).mark_point().encode(x="step:Q", y="value:Q")

    monitor = TrainingMonitor(recorder, every=0, charts=[broken, lambda run: None, own, "heads"], measures=["entropy"])
    recorder.heads(0, entropy=[[1.0, 2.0]])
    recorder.log(0, train_loss=1.0)
    recorder.prune(0, [(7, 7)])  # a head that the map does not have
    monitor.update()
    page = shell.display_pub.outputs[-1]["data"]["text/html"]
    assert "no chart: ZeroDivisionError: by &lt;nothing&gt;" in page
    assert "layer 7" in page
    assert page.count("<svg") == 1


def test_the_time_that_updates_take_is_bounded(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    updates: list[float] = []
    monkeypatch.setattr(monitor_module.time, "monotonic", lambda: clock.now)

    def slow(self: Any, run: Any, *, again: bool) -> None:
        updates.append(clock.now)
        clock.now += 2.0

    monkeypatch.setattr(TrainingMonitor, "_show", slow)
    monitor = TrainingMonitor(recorder, every=5)
    for _ in range(1000):
        recorder.log(0, loss=1.0)
        clock.now += 1
    assert updates[0] == 0
    assert updates[1] == 7  # `every` after the end of the first, which also loads the renderer
    assert np.diff(updates)[1:].min() >= 42
    monitor.close()


# --- elsewhere ----------------------------------------------------------------------------------------------------------


def test_outside_a_notebook_it_prints_lines(recorder: Recorder) -> None:
    stream = io.StringIO()
    TrainingMonitor(recorder, every=0, file=stream, notebook=False)
    recorder.log(1000, epoch=0.5, train_loss=2.5, eval_loss=2.75)
    recorder.log(1200, epoch=0.6, train_loss=math.nan)
    recorder.prune(1200, [(0, 1), (0, 2)])
    recorder.revive(1300, [(0, 1)])
    recorder.close()
    lines = [re.sub(r"  [\d.,]+(e\+\d+)? steps/s", "", line) for line in stream.getvalue().splitlines()]
    assert lines[0] == "small  step 1,000  epoch 0.5  train_loss 2.5  eval_loss 2.75"
    assert lines[1] == "small  step 1,200  epoch 0.6  train_loss NaN  eval_loss 2.75 (step 1,000)"
    assert lines[-1] == lines[1] + "  1 head pruned, 1 revived  complete"


def test_by_default_lines_go_to_standard_error(recorder: Recorder, capsys: pytest.CaptureFixture[str]) -> None:
    TrainingMonitor(recorder, every=1e9)
    recorder.log(1, train_loss=2.5)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "small  step 1  train_loss 2.5\n"


def test_it_works_where_there_is_no_ipython(tmp_path: Path) -> None:
    code = """
import sys
for name in ("IPython", "ipywidgets", "anywidget"):
    sys.modules[name] = None
from headspec.notebook.monitor import TrainingMonitor
from headspec.sources.recorder import Recorder
with Recorder(sys.argv[1], run="small") as recorder:
    TrainingMonitor(recorder, file=sys.stdout)
    recorder.log(1, loss=2.0)
"""
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout == "small  step 1  loss 2\nsmall  step 1  loss 2  complete\n"


def test_a_console_that_is_closed_or_narrow_of_letters_stops_nothing(recorder: Recorder) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monitor = TrainingMonitor(recorder, every=0, file=narrow)
    recorder.log(1, train_loss=-2.5)
    assert narrow.buffer.getvalue() == b"small  step 1  train_loss ?2.5\n"  # type: ignore[attr-defined]
    narrow.close()
    monitor.update()


def test_a_monitor_that_fails_ends_no_training(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: Any, run: Any, *, again: bool) -> None:
        raise KeyError("display")

    monkeypatch.setattr(TrainingMonitor, "_show", broken)
    TrainingMonitor(recorder, every=1e9)
    recorder.log(1, loss=1.0)
    recorder.log(2, loss=1.0)
    assert "shows nothing: KeyError: 'display'" in capsys.readouterr().err
    assert load_run(recorder.folder).history["step"].tolist() == [1, 2]


def test_a_training_of_another_process_is_watched_to_its_end(tmp_path: Path) -> None:
    code = """
import sys, time
from headspec.sources.recorder import Recorder
with Recorder(sys.argv[1], run="there") as recorder:
    recorder.log(0, train_loss=9.0)
    print("ready", flush=True)
    for step in range(1, 20):
        time.sleep(0.02)
        recorder.log(step, train_loss=1 / step)
"""
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    stream = io.StringIO()
    try:
        TrainingMonitor(tmp_path, every=0, file=stream, notebook=False).watch(poll=0.01, seconds=60)
    finally:
        writer.kill()
        writer.communicate()
    lines = stream.getvalue().splitlines()
    assert lines[-1].startswith("there  step 19  train_loss 0.0526")
    assert lines[-1].endswith("complete")
    assert len(lines) > 2


def test_watching_stops_where_the_training_was_killed_and_when_told(tmp_path: Path) -> None:
    code = "import sys, os; from headspec.sources.recorder import Recorder; Recorder(sys.argv[1]).log(1, a=1.0); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "dead")], check=False)
    stream = io.StringIO()
    TrainingMonitor(tmp_path / "dead", file=stream, notebook=False).watch()
    assert "its process ended" in stream.getvalue()
    with Recorder(tmp_path / "here") as recorder:
        recorder.log(1, a=1.0)
        started = time.monotonic()
        TrainingMonitor(tmp_path / "here", file=stream, notebook=False).watch(seconds=0.05)
        assert time.monotonic() - started >= 0.05


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such processes")
def test_a_training_that_was_killed_is_over_though_nobody_asked_how_it_ended(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from headspec.sources.recorder import Recorder
recorder = Recorder(sys.argv[1], run="there")
recorder.log(3, train_loss=9.0)
print("ready", flush=True)
signal.pause()
"""
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    stream = io.StringIO()
    monitor = TrainingMonitor(tmp_path, every=0, file=stream, notebook=False)
    try:
        monitor.watch(poll=0.01, seconds=0.1)
        assert stream.getvalue() == "there  step 3  train_loss 9\n"  # nothing new, no further line
        writer.kill()
        if sys.platform == "linux":
            monitor.watch(poll=0.01, seconds=60)  # the process is not waited for: it stays in the table
            assert stream.getvalue().count("its process ended\n") == 1
    finally:
        writer.kill()
        writer.communicate()


def test_wrong_arguments(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(KindError, match="expected a Recorder, or the folder"):
        TrainingMonitor(3)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is not there"):
        TrainingMonitor(tmp_path / "nowhere")
    with pytest.raises(DataError, match="every=-1"):
        TrainingMonitor(recorder, every=-1)
    with pytest.raises(DataError, match="expected training or heads, or a function"):
        TrainingMonitor(recorder, charts=["loss"])


# --- a real kernel ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_in_a_real_kernel_the_cell_ends_with_one_output(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        f"from headspec.sources.recorder import Recorder\nfrom headspec.notebook.monitor import TrainingMonitor\n"
        f"recorder = Recorder({str(tmp_path / 'run')!r}, run='small')",
        "monitor = TrainingMonitor(recorder, every=0)\n"
        "monitor._next = 0\n"
        "import math\n"
        "for step in range(40):\n"
        "    recorder.log(step, train_loss=3 / (step + 1), eval_loss=math.nan if step == 7 else 2.0)\n"
        "    if step % 10 == 0:\n"
        "        recorder.heads(step, entropy=[[0.5 + step, 1.5], [1.0, 2.0]])\n"
        "        monitor.update()\n"
        "recorder.close()\n"
        "monitor",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    nbformat.validate(notebook)
    (output,) = notebook.cells[1].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"] == "small  step 39  train_loss 0.075  eval_loss 2  complete"
    assert output.data["text/html"].count("<svg") == 2
    assert "39" in output.data["text/html"]
    assert len(nbformat.writes(notebook)) < 120_000
