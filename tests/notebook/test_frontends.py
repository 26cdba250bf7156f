"""The real front ends, opened in Chromium without a network: skipped where they are not installed (the extra ``frontends``)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

DRAWN = """() => {
  const figures = Array.from(document.querySelectorAll("figure.headspec"));
  return figures.length === 2 && figures.every(figure => figure.dataset.state === "drawn" && figure.querySelector("svg.marks"));
}"""


def serve(command: list[str], folder: Path, port: int) -> Iterator[str]:
    """Run a server until the test is over."""
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "HOME")
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=clean | {name: str(folder / "home") for name in places},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}/"
    asker = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                asker.open(address, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # a server whose kernel is just starting may never end by itself
            process.wait(timeout=10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and its kernels
        process.wait()


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


TRAINING = """import time, headspec
recorder = headspec.Recorder("run", run="small")
monitor = headspec.TrainingMonitor(recorder, every=1e9)
for step in range(1, 21):
    recorder.log(step, train_loss=3 / step)
    recorder.heads(step, entropy=[[0.5 + step, 1.5], [1.0, 2.0]])
    time.sleep(0.05)
    monitor.update()
recorder.close()"""


@pytest.fixture
def jupyter(executed: Any, tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("jupyterlab")
    import nbformat

    training = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAINING)], metadata=executed.metadata)
    (tmp_path / "training.ipynb").write_text(nbformat.writes(training), encoding="utf-8")
    executed.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "book.ipynb").write_text(nbformat.writes(executed), encoding="utf-8")
    port = free_port()
    options = (
        f"--port={port}",
        "--no-browser",
        "--allow-root",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={tmp_path}",
    )
    yield from serve(["jupyterlab", *options], tmp_path, port)


def run_all(page: Any) -> None:
    """Run all cells, again where JupyterLab has dropped the request, as it does while it connects to a kernel."""
    page.wait_for_selector("[data-status=idle]", state="attached")
    cells, prompt = page.locator(".jp-CodeCell"), page.locator(".jp-CodeCell .jp-InputPrompt").first
    for _ in range(10):
        cells.first.locator(".jp-InputPrompt").click()
        for _ in range(cells.count()):
            page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(2000)
        if prompt.inner_text().strip() != "[ ]:":
            return
    raise AssertionError("the cells do not run")


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_in_jupyter(app: str, jupyter: str, open_page: Any) -> None:
    if app == "notebook":
        pytest.importorskip("notebook")
    address = jupyter + ("lab/tree/book.ipynb?reset" if app == "lab" else "notebooks/book.ipynb")
    opened = open_page(address, allow=jupyter)
    page = opened.page
    # run elsewhere, it is not trusted here: scripts are left out, the pictures stand
    page.locator("figure.headspec img:visible").nth(1).wait_for()
    assert page.locator("figure.headspec img:visible").count() == 2
    assert page.locator("figure.headspec svg").count() == 0
    run_all(page)
    page.wait_for_function(DRAWN)
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    page.reload()
    page.wait_for_function(DRAWN)  # from the file alone: no kernel drew it
    assert [asked for asked in opened.requests if not asked.startswith(jupyter)] == []


FRAMES = """() => {
  window.frames_seen = [];
  const look = () => {
    const outputs = document.querySelectorAll(".jp-OutputArea-output");
    window.frames_seen.push([outputs.length, document.querySelectorAll(".jp-OutputArea-output svg.marks").length]);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_the_monitor_updates_in_place_in_jupyterlab(jupyter: str, open_page: Any) -> None:
    page = open_page(jupyter + "lab/tree/training.ipynb?reset", allow=jupyter).page
    page.evaluate(FRAMES)
    run_all(page)
    page.wait_for_function("document.querySelector('.jp-OutputArea').innerText.includes('step 20 · complete')")
    frames = page.evaluate("window.frames_seen")
    shown = frames[next(place for place, (_, charts) in enumerate(frames) if charts) :]
    assert len(shown) > 20
    assert {outputs for outputs, _ in shown} == {1}  # it does not grow
    assert min(charts for _, charts in shown) >= 1  # and no frame is empty


NOTEBOOK = """
import marimo
app = marimo.App()

with app.setup:
    import headspec.notebook
    headspec.notebook.enable()

@app.cell
def _():
    headspec.visualize_entropy_heatmap([[0.5, 1.0]])
    return

@app.cell
def _():
    headspec.visualize_gradient_norms([[0.5, 1.0]])
    return
"""


@pytest.fixture
def marimo(tmp_path: Path) -> Iterator[str]:
    if subprocess.run([sys.executable, "-c", "import marimo"], capture_output=True).returncode:
        pytest.skip("could not import 'marimo'")
    (tmp_path / "book.py").write_text(NOTEBOOK, encoding="utf-8")
    port = free_port()
    options = ("run", "--headless", "--no-token", "--port", str(port), "book.py")
    yield from serve(["marimo", "-q", *options], tmp_path, port)


def test_in_marimo(marimo: str, open_page: Any) -> None:
    opened = open_page(marimo, allow=marimo)
    # it draws on canvas: the page's colour and those of two cells
    opened.page.wait_for_function("""() => {
      const views = Array.from(document.querySelectorAll("canvas.marks"));
      return views.length === 2 && views.every(view => {
        const counts = new Map();
        for (const value of new Uint32Array(view.getContext("2d").getImageData(0, 0, view.width, view.height).data.buffer)) {
          counts.set(value, (counts.get(value) || 0) + 1);
        }
        return Array.from(counts.values()).filter(count => count > 1000).length === 3;
      });
    }""")
    assert [asked for asked in opened.requests if not asked.startswith(marimo)] == []
