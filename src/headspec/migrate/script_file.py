"""Python files as bytes, read with their own encoding, byte-order mark and line ends."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass

from headspec.errors import DataError
from headspec.migrate.notebook_file import Cell

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Script:
    """A Python file, seen as a notebook of one code cell."""

    cells: tuple[Cell, ...]
    encoding: str
    bom: bool
    language: str = "python"
    format: str = "py"

    def render(self, changes: Mapping[int, str]) -> bytes:
        """Return the file with its text replaced, in the encoding that it had."""
        text = changes.get(1, self.cells[0].text)
        return (_BOM if self.bom else b"") + text.encode(self.encoding)


def read_script(data: bytes) -> Script:
    """Read a Python file.

    Raises
    ------
    DataError
        If its encoding is unknown, or the bytes are not in it.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        bom = encoding == "utf-8-sig"
        encoding = "utf-8" if bom else encoding
        text = data[3 * bom :].decode(encoding)
    except SyntaxError as error:
        raise DataError(f"not readable as Python: {error.msg}") from None
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"not readable as Python: {error}") from None
    return Script((Cell(1, "code", text, 0, len(text)),), encoding, bom)
