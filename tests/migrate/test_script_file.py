from __future__ import annotations

import pytest

from headspec.errors import DataError
from headspec.migrate.script_file import read_script


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1\n",
        b"x = 1",
        b"\xef\xbb\xbfx = '\xc3\xa9'\r\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"#!/usr/bin/env python\n# coding: cp1252\nx = '\x80'\r\n",
        b"",
    ],
)
def test_a_file_that_does_not_change_keeps_its_bytes(data: bytes) -> None:
    script = read_script(data)
    assert script.render({}) == data
    assert script.render({1: script.cells[0].text + "y = 2\n"}).startswith(data)


@pytest.mark.parametrize("data", [b"# coding: klingon\n", b"x = '\xff'\n", b"\xef\xbb\xbf# coding: latin-1\n"])
def test_an_encoding_that_does_not_hold_is_one_line(data: bytes) -> None:
    with pytest.raises(DataError, match="not readable as Python"):
        read_script(data)
