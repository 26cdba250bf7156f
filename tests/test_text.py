from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headspec.text import clean, count, listing, number


@given(st.text(st.characters()))
def test_cleaned_text_holds_no_character_that_breaks_a_drawing(text: str) -> None:
    out = clean(text)
    assert clean(out) == out
    for character in out:
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        assert ord(character) & 0xFFFE != 0xFFFE


@given(st.text(st.characters(whitelist_categories=("L", "N", "P", "S"))))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x00", "\\x00"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
        ("\U0001ffff", "\\U0001ffff"),
        ("</script>", "</script>"),
        (b"\xffok", "\\xffok"),
        (3, "3"),
    ],
)
def test_control_characters_become_escapes(raw: object, shown: str) -> None:
    assert clean(raw) == shown


def test_listing_says_how_many_are_left_out() -> None:
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(range(12), limit=3) == "0, 1, 2 and 9 more"


def test_numbers_read_as_people_write_them() -> None:
    assert [number(value) for value in (0.0, 12345.6, -0.5, 1.6e-9, float("nan"), float("-inf"))] == [
        "0",
        "12,346",
        "−0.5",
        "1.60e-09",
        "NaN",
        "−∞",
    ]
    assert (count(1, "head"), count(1024, "head"), count(2, "query", "queries")) == (
        "1 head",
        "1,024 heads",
        "2 queries",
    )
