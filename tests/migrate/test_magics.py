from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.errors import DataError
from headspec.migrate.cells import parse, parses
from headspec.migrate.magics import mask


@pytest.mark.parametrize(
    "text",
    [
        "%matplotlib inline\nx = 1\n",
        "!pip install 'unclosed\nx = 1",
        "x = !ls *.py\ny = 2",
        "a, b = %time f()\n",
        "d['k'] = !ls\n",
        "for i in x:\n    !echo {i}\n    %time f(i)\n",
        "obj?\nobj.attr??\n?obj\n??obj\n",
        "!curl -L \\\n   http://x \\\n   -o y\nx = 1\n",
        "%%time\nx = 1\n",
        "%%capture out\nx = 1\n",
        "%cd x\r\n!ls\r\nx = 1\r\n",
        "if a:\n    %pip install x\nelse:\n    pass",
    ],
)
def test_what_is_ipythons_is_masked_and_put_back(text: str) -> None:
    masked = mask(text)
    assert masked.lines
    assert parses(masked.code)
    assert parse(masked.code) is not None
    assert masked.restore(masked.code) == text


@pytest.mark.parametrize(
    "text",
    [
        "a = (b\n % c)\n",
        "s = '''\n%not a magic\n!nor this\n?\n'''\n",
        's = f"""{x}\n%y\n"""\n',
        "x = 5 \\\n % 3\n",
        "x %= 3\n",
        "print('what?')  # why?\n",
        "a = b != c\n",
        "x = {\n  'k': [\n% 3\n]}\n",
        "s = 'it\\'s' # don't\n",
    ],
)
def test_what_is_pythons_is_left_alone(text: str) -> None:
    masked = mask(text)
    assert masked.code == text
    assert not masked.lines


@pytest.mark.parametrize(("text", "foreign"), [("%%bash\nls", True), ("%%html\n<b>", True), ("%%timeit\nf()", False)])
def test_a_cell_of_another_language_is_not_read(text: str, foreign: bool) -> None:
    masked = mask(text)
    assert masked.opaque
    assert masked.foreign is foreign
    assert masked.code == text


def test_the_magic_of_a_cell_stands_first_or_nowhere() -> None:
    assert mask("\n%%time\nx").lines
    assert not mask("x = 1\n%%time\n%%bash\n").lines
    assert not parses(mask("x = 1\n%%bash\nls\n").code)


def test_a_mask_is_never_a_name_of_the_cell() -> None:
    masked = mask("_hs_masked_0_ = 1\n%time f()\n")
    assert masked.code.count("_hs_masked_0_") == 1
    assert masked.restore(masked.code) == "_hs_masked_0_ = 1\n%time f()\n"


def test_a_line_that_would_be_lost_is_an_error() -> None:
    with pytest.raises(DataError, match="would be lost"):
        mask("%time f()\nx = 1").restore("x = 1")


@given(
    st.lists(
        st.sampled_from(["%time f()", "!ls", "x = 1", "y = '''", "'''", "if a:", "  b", "(", ")", "#'", "a?", "\\"])
    )
)
@settings(max_examples=200, deadline=None)
def test_masking_is_undone_whatever_the_lines(lines: list[str]) -> None:
    text = "\n".join(lines)
    masked = mask(text)
    assert masked.restore(masked.code) == text
