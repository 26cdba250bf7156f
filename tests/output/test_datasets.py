from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.output.datasets import plain_rows

TEXT = st.text(max_size=5)
COLUMNS: dict[str, Any] = {
    "float64": st.floats(width=64),
    "int64": st.integers(-(2**40), 2**40),
    "uint8": st.integers(0, 255),
    "bool": st.booleans(),
    "str": st.none() | TEXT,
    "object": st.none()
    | TEXT
    | st.booleans()
    | st.integers(-9, 9)
    | st.lists(st.none() | st.integers(-9, 9), max_size=3),
}


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(0, 6), st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=6))
def test_the_rows_of_plain_columns_are_those_that_altair_makes(data: Any, rows: int, kinds: list[str]) -> None:
    frame = pd.DataFrame(
        {
            f"{kind} {place}": pd.Series(
                data.draw(st.lists(COLUMNS[kind], min_size=rows, max_size=rows)), dtype=kind, index=range(3, 3 + rows)
            )
            for place, kind in enumerate(kinds)
        }
    )
    found = plain_rows(frame)
    assert found is not None
    expected: Any = alt.to_values(frame)["values"]
    for name in (name for name in frame if name.startswith("object")):  # Altair makes 1.0 of 1 and NaN of None there
        for row, cell in zip(expected, frame[name], strict=True):
            row[name] = cell
    assert repr(found) == repr(expected)  # types too: True is not 1
    assert not any(isinstance(cell, float) and not math.isfinite(cell) for row in found for cell in row.values())


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(index=range(3)),  # rows that are drawn, without a cell
        pd.DataFrame({0: [1]}),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"a": [1]}, index=pd.MultiIndex.from_tuples([(0, 1)])),
        pd.DataFrame({"a": pd.to_datetime(["2026-01-01"])}),
        pd.DataFrame({"a": pd.Series([1.5], dtype="float32")}),
        pd.DataFrame({"a": pd.Categorical(["x"])}),
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
        pd.DataFrame({"a": pd.Series([0.5, "x"], dtype=object)}),
        pd.DataFrame({"a": [np.arange(2)]}),
        {"values": []},
    ],
)
def test_other_frames_are_left_to_altair(frame: Any) -> None:
    assert plain_rows(frame) is None
