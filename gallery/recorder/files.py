"""Writing the recording: CSV, JSON and NPZ whose bytes depend on the values alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = 6


def significant(value: float) -> float:
    """Round to the digits that are written, so that what is derived from a value agrees with what is read back."""
    return float(f"{value:.{DIGITS}g}")


def write_csv(path: Path, rows: Iterable[Mapping[str, float | int | str | None]], columns: Iterable[str]) -> None:
    """Write one row a line; None is an empty cell."""

    def cell(value: float | int | str | None) -> str:
        if value is None:
            return ""
        return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)

    columns = list(columns)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(row[column]) for column in columns] for row in rows)


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    np.savez_compressed(path, allow_pickle=False, **arrays)
