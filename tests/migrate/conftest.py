from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from headspec.migrate.engine import migrate_bytes
from headspec.migrate.report import Report

NOW = dt.datetime(2031, 5, 7, 12, 30, 45)

IMPORTS = "import matplotlib.pyplot as plt\nimport numpy as np\n"

# A function as notebooks have it, written for these tests.
GRADIENTS = '''\
def visualize_gradient_norms(grad_norm_values, pruned_heads=None, revived_heads=None, title="Gradient Norms", save_path=None):
    """Heads that went and came, over their gradients."""
    plt.figure(figsize=(8, 3))
    plt.imshow(np.asarray(grad_norm_values), aspect="auto")
    plt.colorbar()
    if pruned_heads:
        for layer, head in pruned_heads:
            plt.text(head, layer, "x")
    if revived_heads:
        for layer, head in revived_heads:
            plt.text(head, layer, "o")
    plt.title(title)
    if save_path:
        plt.savefig(save_path)
    return plt.gcf()
'''

ENTROPY = """\
def visualize_entropy_heatmap(entropy_values, title="Attention Entropy Heatmap", min_value=0.0, annotate=True,
                              figsize=(10, 6), cmap="viridis"):
    fig, ax = plt.subplots(figsize=figsize)
    image = ax.imshow(np.asarray(entropy_values), cmap=cmap)
    fig.colorbar(image, ax=ax)
    ax.set_title(title)
    return fig
"""


@dataclass(frozen=True)
class Migrated:
    """What a migration made of a notebook, with its cells as texts."""

    data: bytes
    before: bytes
    cells: list[str]
    report: Report

    @property
    def changed(self) -> bool:
        return self.data != self.before

    @property
    def code(self) -> str:
        return "\n".join(self.cells)

    def why(self, name: str) -> str:
        return "; ".join(why for left, _, why in self.report.left if left == name)

    @property
    def removed(self) -> set[str]:
        return {name for name, what in self.report.removed if what.startswith("definition")}


def build(*cells: str | tuple[str, str] | dict[str, Any], **style: Any) -> bytes:
    """Return a notebook; style: as_text, minor, nbformat, indent, ascii, newline, end."""
    as_text = style.get("as_text", False)
    made = []
    for cell in cells:
        if isinstance(cell, dict):
            made.append(cell)
            continue
        kind, text = cell if isinstance(cell, tuple) else ("code", cell)
        source: Any = text if as_text else text.splitlines(keepends=True)
        if style.get("nbformat") == 3:
            item: dict[str, Any] = {"cell_type": kind, "metadata": {}}
            if kind == "code":
                item.update(collapsed=False, input=source, language="python", outputs=[], prompt_number=1)
            else:
                item["source"] = source
        else:
            item = {"cell_type": kind, "metadata": {}, "source": source}
            if kind == "code":
                item.update(execution_count=None, outputs=[])
        made.append(item)
    if style.get("nbformat") == 3:
        content: dict[str, Any] = {
            "metadata": {"name": "x"},
            "nbformat": 3,
            "nbformat_minor": 0,
            "worksheets": [{"cells": made, "metadata": {}}],
        }
    else:
        content = {"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": style.get("minor", 4)}
    text = json.dumps(content, indent=style.get("indent", 1), ensure_ascii=style.get("ascii", False))
    text += style.get("end", "\n")
    return text.replace("\n", style.get("newline", "\n")).encode()


def sources(data: bytes) -> list[str]:
    content = json.loads(data.decode("utf-8-sig"))
    cells = content["cells"] if "cells" in content else [c for w in content["worksheets"] for c in w["cells"]]
    texts = []
    for cell in cells:
        source = cell.get("source", cell.get("input", ""))
        texts.append("".join(source) if isinstance(source, list) else source)
    return texts


def run(data: bytes, **options: Any) -> Migrated:
    """Migrate, check that a second run changes nothing, and return the result."""
    result = migrate_bytes(data, now=NOW, **options)
    again = migrate_bytes(result.data, now=NOW, **options)
    assert again.data == result.data, "a second run changes the file again"
    assert again.report.version is None
    cells = [result.data.decode()] if options.get("script") else sources(result.data)
    return Migrated(result.data, data, cells, result.report)


@pytest.fixture(scope="session")
def make() -> Callable[..., bytes]:
    return build


@pytest.fixture(scope="session")
def migrate() -> Callable[..., Migrated]:
    """Migrate a notebook of the cells given; the options of the engine go through."""

    def of(*cells: Any, **options: Any) -> Migrated:
        style = {
            key: options.pop(key) for key in ("as_text", "nbformat", "indent", "ascii", "newline") if key in options
        }
        return run(build(*cells, **style), **options)

    return of


@pytest.fixture(scope="session")
def migrate_data() -> Callable[..., Migrated]:
    return run


@pytest.fixture(scope="session")
def gradients() -> str:
    return GRADIENTS


@pytest.fixture(scope="session")
def entropy() -> str:
    return ENTROPY


@pytest.fixture(scope="session")
def imports() -> str:
    return IMPORTS
