from __future__ import annotations

import altair as alt
import pandas as pd
import pytest

from headspec.errors import KindError
from headspec.output.spec import to_spec
from headspec.output.summary import summary


def one(text: str) -> alt.Chart:
    return alt.Chart(pd.DataFrame({"a": [1]}), description=text).mark_point()


def test_the_charts_own_description_comes_first():
    assert summary((one("A.") | one("B.")).properties(description="Both.")) == "Both."
    assert summary(one("A.")) == "A."


def test_parts_are_joined_in_order_and_said_once():
    assert summary(one("A.") | (one("B.") & one("A.")) | one("C.")) == "A. B. C."
    assert summary(alt.layer(one("A."), one("B."))) == "A. B."


def test_a_facet_says_what_its_inside_says():
    frame = pd.DataFrame({"a": [1], "run": ["x"]})
    assert summary(alt.Chart(frame, description="Inside.").mark_point().encode(x="a:Q").facet("run:N")) == "Inside."


def test_a_chart_without_words_is_described_by_what_it_draws():
    chart = alt.Chart(pd.DataFrame({"a": [1], "b": [2]}), title="Losses.").mark_line().encode(x="a:Q", y="b:Q")
    assert summary(chart) == "Losses. A chart (line) of a and b."
    assert summary(chart | one("")) == "Losses. A chart (line and point) of a and b."


def test_the_description_of_every_output_is_the_summary(charts):
    for chart in charts.values():
        assert to_spec(chart)["description"] == summary(chart)


def test_only_charts_have_one():
    with pytest.raises(KindError):
        summary("chart")  # type: ignore[arg-type]
