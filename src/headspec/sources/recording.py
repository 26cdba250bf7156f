"""The recorded run that the gallery draws, found in a wheel and in a checkout alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.errors import DataError
from headspec.text import listing


def gallery_folder() -> Path:
    """Return the folder with the gallery's examples and its recorded run."""
    package = Path(__file__).resolve().parents[1]
    # a wheel carries the gallery inside the package; an editable install leaves it beside src
    for folder in (package / "_gallery", package.parents[1] / "gallery"):
        if (folder / "run" / "run.json").is_file():
            return folder
    raise DataError("the recorded run is not installed; install headspec from its wheel, or from a whole checkout")


@dataclass(frozen=True)
class Recording:
    """A recorded run: tables, arrays and tokens, each read when it is asked for."""

    folder: Path

    @property
    def about(self) -> dict[str, Any]:
        """What was run, by which rules, on which versions."""
        return dict(self._json("run"))

    @property
    def history(self) -> pd.DataFrame:
        """Metrics by step: losses, counts of pruned and revived heads, sparsity, perplexity."""
        return pd.read_csv(self.folder / "history.csv")

    @property
    def events(self) -> pd.DataFrame:
        """Prune and revive events: step, layer, head, event."""
        return pd.read_csv(self.folder / "events.csv")

    @property
    def results(self) -> pd.DataFrame:
        """Perplexity by model, strategy, pruning level, seed and stage."""
        return pd.read_csv(self.folder / "results.csv")

    @property
    def tokens(self) -> dict[str, list[str]]:
        """The tokens of each recorded text."""
        return dict(self._json("tokens"))

    @property
    def encoders(self) -> dict[str, Any]:
        """The pretrained encoders: package, licence, sentences and tokens."""
        return dict(self._json("encoders"))

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of one file: ``"checkpoints"``, ``"importance"``, ``"attention_loop"`` and so on."""
        path = self.folder / f"{name}.npz"
        if not path.is_file():
            known = sorted(item.stem for item in self.folder.glob("*.npz"))
            raise DataError(f"the recorded run has no arrays {name!r}; it has {listing(known, limit=20)}")
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    def _json(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))


def load_recorded_run() -> Recording:
    """Load the real run that the gallery draws: a small language model whose heads were pruned and revived.

    Its ``README.md`` says what each array holds; nothing is downloaded, and torch is not needed.

    Returns
    -------
    Recording
        ``history``, ``events``, ``results`` (DataFrames), ``tokens``, ``encoders``, ``about`` (dicts), and
        ``arrays(name)``.

    Raises
    ------
    DataError
        The recording is not part of the installation, or has no arrays of that name.

    Examples
    --------
    >>> import headspec
    >>> run = headspec.load_recorded_run()
    >>> run.arrays("checkpoints")["entropy"].shape
    (3, 6, 8)
    """
    return Recording(gallery_folder() / "run")
