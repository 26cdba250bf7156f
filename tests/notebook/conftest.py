from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def executed() -> Any:
    """A notebook with two charts, run in a real kernel."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cells = [
        "import headspec, headspec.notebook\nheadspec.notebook.enable()",
        "headspec.visualize_entropy_heatmap([[0.5, 1.0]])",
        "headspec.visualize_gradient_norms([[0.5, 1.0]])",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    nbformat.validate(notebook)
    return notebook
