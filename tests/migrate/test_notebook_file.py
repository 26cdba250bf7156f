from __future__ import annotations

import json

import pytest

from headspec.errors import DataError
from headspec.migrate.notebook_file import read_notebook


def _cell(source: str) -> bytes:
    return (
        b'{"cells": [{"cell_type": "code", "id": "a", "metadata": {}, "source": ' + source.encode() + b"}],\n"
        b' "metadata": {"n": NaN, "big": 12345678901234567890.5e-3}, "nbformat": 4, "nbformat_minor": 5}'
    )


@pytest.mark.parametrize(
    ("source", "text", "new", "expected"),
    [
        ('"a\\nb"', "a\nb", "a\nc", '"a\\nc"'),
        ('["a\\n", "b"]', "a\nb", "a\nb\nc", '["a\\n", "b\\n", "c"]'),
        ('["a\\n","b"]', "a\nb", "a\nx", '["a\\n","x"]'),
        ('[\n   "a\\n",\n   "b"\n  ]', "a\nb", "b\nc\n", '[\n   "b\\n",\n   "c\\n"\n  ]'),
        ('[\r\n\t"a"\r\n]', "a", "a\nb", '[\r\n\t"a\\n",\r\n\t"b"\r\n]'),
        ('["a\\n", "b"]', "a\nb", "", "[]"),
        ('"a"', "a", "", '""'),
        ('[ "\\u00e9\\n" , "z" ]', "é\nz", "é\nü", '[ "\\u00e9\\n" , "\\u00fc" ]'),
        ('["é\\n", "z"]', "é\nz", "é\nü\n", '["é\\n", "ü\\n"]'),
        ('"\\u003cb\\/"', "<b/", "<b/<i", '"\\u003cb\\/\\u003ci"'),
        ('"\\ud83d\\ude00"', "😀", "😀😁", '"\\ud83d\\ude00\\ud83d\\ude01"'),
        ('"\\u00E9"', "é", "éü", '"\\u00E9\\u00FC"'),
        ('"\\t\\u0009"', "\t\t", "\tx", '"\\u0009x"'),
    ],
)
def test_a_source_is_replaced_in_the_style_that_it_has(source: str, text: str, new: str, expected: str) -> None:
    data = _cell(source)
    notebook = read_notebook(data)
    assert notebook.cells[0].text == text
    changed = notebook.render({1: new})
    assert read_notebook(changed).cells[0].text == new
    assert changed == _cell(expected)
    assert notebook.render({}) == data
    assert notebook.render({1: text}) == data


@pytest.mark.parametrize("ascii_", [True, False])
@pytest.mark.parametrize("indent", [None, 1, 2, "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("nbformat", [3, 4])
def test_only_the_source_that_changes_differs(make, ascii_, indent, newline, as_text, nbformat) -> None:
    cells = [("markdown", "# Größe\n\n✓"), 'x = "é\\n"\n\n', "", "y = 1", ("raw", "r")]
    style = {"ascii": ascii_, "indent": indent, "newline": newline, "as_text": as_text, "nbformat": nbformat}
    data = make(*cells, **style)
    notebook = read_notebook(data)
    assert [cell.text for cell in notebook.cells] == [c if isinstance(c, str) else c[1] for c in cells]
    changed = notebook.render({4: "y = 2\nz = 'ö'\n"})
    # The same notebook written by the same writer with the other source: not a byte is different.
    assert changed == make(*cells[:3], "y = 2\nz = 'ö'\n", *cells[4:], **style)


def test_an_empty_list_is_filled_as_its_surroundings_are(make) -> None:
    for indent in (None, 1, "\t"):
        data = make("", "x", indent=indent)
        assert read_notebook(data).render({1: "a\nb"}) == make("a\nb", "x", indent=indent)


def test_a_byte_order_mark_and_a_missing_final_newline_stay(make) -> None:
    for data in (b"\xef\xbb\xbf" + make("x = 1"), make("x = 1", end=""), make("x = 1", end="\n\n  ")):
        changed = read_notebook(data).render({1: "x = 2"})
        assert changed == data.replace(b"x = 1", b"x = 2")


def test_lines_that_lack_their_ends_are_noticed(make) -> None:
    cell = {"cell_type": "code", "metadata": {}, "source": ["# a", "def f():", "    pass"]}
    read = read_notebook(make(cell)).cells[0]
    assert read.ragged
    assert read.text == "# adef f():    pass"


def test_pieces_that_were_not_lines_stay_the_pieces_that_they_were(make) -> None:
    def cell(*pieces: str) -> dict[str, object]:
        return {"cell_type": "markdown", "metadata": {}, "source": list(pieces)}

    notebook = read_notebook(make(cell("# T (v1.0)", "", "text", "", "more\n", "end")))
    changed = notebook.render({1: "# T (v1.1)textmore\nend"})
    assert changed == make(cell("# T (v1.1)", "", "text", "", "more\n", "end"))


def test_cells_without_a_usable_source_have_none(make) -> None:
    odd = [{"cell_type": "code"}, {"cell_type": "code", "source": None}, {"source": ["a", 1]}, {"cell_type": 3}]
    cells = read_notebook(make(*odd, "x")).cells
    assert [cell.editable for cell in cells] == [False, False, False, False, True]
    content = json.loads(make("x"))
    content["cells"].insert(0, "no cell")
    assert read_notebook(json.dumps(content).encode()).cells[1].text == "x"


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    data = b'{"cells": [{"cell_type": "code", "source": "a", "source": "b"}]}'
    notebook = read_notebook(data)
    assert notebook.cells[0].text == "b"
    assert notebook.render({1: "c"}) == data.replace(b'"b"', b'"c"')


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"not json", "not JSON"),
        (b'{"cells": [', "not JSON"),
        (b'{"cells": [{"source": "a', "not JSON"),
        (b"[1, 2]", "not a notebook"),
        (b'{"a": 1}', "not a notebook"),
        (b'{"cells": [], "nbformat": 7}', "nbformat is 7"),
        (b'\xff\xfe{"cells": []}', "UTF-8"),
        (b"[" * 100_000, "JSON"),
    ],
)
def test_what_is_no_notebook_is_told_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(DataError) as caught:
        read_notebook(data)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"language_info": {"name": "python"}}, "python"),
        ({"kernelspec": {"name": "python3"}}, "python"),
        ({"kernelspec": {"name": "conda-env-x-py"}}, "python"),
        ({"kernelspec": {"language": "R", "name": "ir"}}, "r"),
        ({"language_info": {"name": "julia"}}, "julia"),
    ],
)
def test_the_language_of_the_kernel_is_known(metadata, language) -> None:
    data = json.dumps({"cells": [], "metadata": metadata}).encode()
    assert read_notebook(data).language == language
