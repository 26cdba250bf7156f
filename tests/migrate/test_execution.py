"""A notebook with inline matplotlib plots runs before the migration, and after it with headspec's charts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from headspec.migrate.cli import add_arguments, run
from headspec.migrate.known import KNOWN

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

SETUP = """\
%matplotlib inline
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

VERSION = "0.0.7"
rng = np.random.default_rng(0)
norms = rng.random((3, 4))
entropy = rng.random((3, 4))
attention = rng.random((2, 4, 5, 5))
attention /= attention.sum(-1, keepdims=True)
history = {"step": [1, 2, 3], "train_loss": [3.0, 2.0, 1.5], "eval_loss": [3.1, 2.2, 1.9], "sparsity": [0.0, 0.1, 0.2]}
out = Path("plots")
out.mkdir()
print(VERSION)"""

DEFINITIONS = '''\
def to_array(values):
    return np.asarray(values)


# Gradients with the heads that went and came
def visualize_gradient_norms(grad_norm_values, pruned_heads=None, revived_heads=None, title="Gradient Norms",
                             figsize=(8, 4), save_path=None):
    """Gradients of every head."""
    plt.figure(figsize=figsize)
    plt.imshow(to_array(grad_norm_values), aspect="auto", cmap="plasma")
    plt.colorbar(label="Gradient norm")
    if pruned_heads:
        for layer, head in pruned_heads:
            plt.text(head, layer, "P", ha="center")
    if revived_heads:
        for layer, head in revived_heads:
            plt.text(head, layer, "R", ha="center")
    plt.title(title)
    if save_path:
        plt.savefig(save_path)
    return plt.gcf()


def visualize_attention_matrix(attn_matrix, layer_idx=0, head_idx=0, title=None, cmap="viridis"):
    fig, ax = plt.subplots()
    ax.imshow(attn_matrix[0, head_idx], cmap=cmap)
    ax.set_title(title or f"L{layer_idx} H{head_idx}")
    plt.show()


def visualize_entropy_heatmap(entropy_values, title="Attention Entropy Heatmap", figsize=(6, 4)):
    fig, ax = plt.subplots(figsize=figsize)
    image = ax.imshow(entropy_values)
    fig.colorbar(image, ax=ax)
    ax.set_title(title)
    return fig


def visualize_entropy_vs_gradient(entropy_values, grad_norm_values, title="Entropy vs Gradient Relationship"):
    fig, ax = plt.subplots()
    ax.scatter(np.ravel(entropy_values), np.ravel(grad_norm_values))
    return fig


def visualize_training_progress(metrics_history, figsize=(8, 6)):
    fig, (top, bottom) = plt.subplots(2, 1, figsize=figsize)
    top.plot(metrics_history["step"], metrics_history["train_loss"])
    bottom.plot(metrics_history["step"], metrics_history["sparsity"])
    return fig'''

USES = [
    'visualize_gradient_norms(norms, pruned_heads=[(0, 1)], revived_heads=[(2, 3)], title="Run", figsize=(4, 4))\nplt.show()',
    'fig = visualize_gradient_norms(norms, save_path=out / "norms.png")\nfig.savefig(out / "norms.svg", dpi=120)\nplt.close(fig)',
    "for head in range(2):\n    visualize_attention_matrix(attention, head_idx=head)",
    "visualize_entropy_heatmap(entropy);",
    "fig = visualize_entropy_vs_gradient(entropy, norms)",
    "visualize_training_progress(history, figsize=(3, 3))",
]


def notebook() -> Any:
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# Heads (v0.0.7)\n\n### New in v0.0.7:\n- Plots\n")]
    cells += [v4.new_code_cell(text) for text in (SETUP, DEFINITIONS, *USES)]
    return v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    )


def execute(path: Path) -> Any:
    book = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute()
    return book


def shown(book: Any) -> list[int]:
    """Return how many pictures or charts each code cell shows."""
    counts = []
    for cell in book.cells:
        if cell.cell_type == "code":
            kinds = [set(output.get("data", ())) for output in cell.outputs]
            counts.append(sum(any(kind.startswith(("image/", "text/html")) for kind in one) for one in kinds))
    return counts


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder of the notebook before, and that of the same notebook migrated."""
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("after")
    for folder in (before, after):
        nbformat.write(notebook(), folder / "heads.ipynb")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args([str(after / "heads.ipynb")])) == 0
    return before, after


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning", "ignore::ResourceWarning"
)
def test_it_runs_with_matplotlib_before(books) -> None:
    before, _ = books
    # A figure that is the value of its cell is shown twice: as the value, and as one that is open at the end.
    assert shown(execute(before / "heads.ipynb")) == [0, 0, 1, 0, 2, 1, 1, 2]
    assert sorted(path.name for path in (before / "plots").iterdir()) == ["norms.png", "norms.svg"]


def test_what_is_left_of_it(books) -> None:
    _, after = books
    content = json.loads((after / "heads.ipynb").read_text())
    code = ["".join(cell["source"]) for cell in content["cells"]]
    assert "plt" not in "".join(code[1:])
    assert "def visualize" not in "".join(code)
    assert code[0].startswith("# Heads (v0.0.8)\n\n### New in v0.0.8:\n- ")
    assert code[4] == (
        'fig = visualize_gradient_norms(norms)\nheadspec.save(fig, out / "norms.png")\n'
        'headspec.save(fig, out / "norms.svg")'
    )
    nbformat.validate(nbformat.read(after / "heads.ipynb", as_version=4))


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::UserWarning", "ignore::ResourceWarning"
)
def test_it_runs_with_headspec_after(books) -> None:
    headspec = pytest.importorskip("headspec")
    for name in KNOWN:
        try:
            getattr(headspec, name)
        except (AttributeError, ImportError):
            if name in DEFINITIONS:
                pytest.skip(f"headspec has no {name} yet")
    _, after = books
    assert shown(execute(after / "heads.ipynb")) == [0, 0, 1, 0, 2, 1, 1, 1]
    assert sorted(path.name for path in (after / "plots").iterdir()) == ["norms.png", "norms.svg"]
    assert (after / "plots" / "norms.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (after / "plots" / "norms.svg").read_bytes()
