"""Notebooks as bytes: the sources of their cells are read and replaced, and every other byte stays as it is.

A notebook is never parsed and dumped again. The text is scanned for the place of each cell's source, and a changed
source is spliced in, written the way that the file writes its sources: one string or a list of lines, the same
indentation and separators, the same escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headspec.errors import DataError

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Cell:
    """One cell: what it is, its text, and where its source stands in the file."""

    number: int
    kind: str
    text: str
    start: int = -1
    end: int = -1
    pieces: tuple[str, ...] | None = None
    ragged: bool = False

    @property
    def editable(self) -> bool:
        """Tell whether the cell has a source in the file that can be replaced."""
        return self.start >= 0


@dataclass(frozen=True)
class Notebook:
    """A notebook's text with the places of its sources."""

    text: str
    bom: bool
    cells: tuple[Cell, ...]
    language: str
    format: str

    def render(self, changes: Mapping[int, str]) -> bytes:
        """Return the file with the sources of some cells replaced.

        Parameters
        ----------
        changes
            Cell number (from 1) to its new text. A cell whose text is the same stays byte for byte.
        """
        parts: list[str] = []
        at = 0
        for cell in sorted(self.cells, key=lambda cell: cell.start):
            if cell.number in changes and changes[cell.number] != cell.text:
                parts += [self.text[at : cell.start], _encode(cell, changes[cell.number], self.text)]
                at = cell.end
        parts.append(self.text[at:])
        return (_BOM if self.bom else b"") + "".join(parts).encode("utf-8")

    def outside(self) -> list[str]:
        """Return the text between the sources, which no change may touch."""
        parts, at = [], 0
        for cell in sorted((cell for cell in self.cells if cell.editable), key=lambda cell: cell.start):
            parts.append(self.text[at : cell.start])
            at = cell.end
        return [*parts, self.text[at:]]


def read_notebook(data: bytes) -> Notebook:
    """Read a notebook of any nbformat from 2 on.

    Parameters
    ----------
    data
        The bytes of the file.

    Raises
    ------
    DataError
        If the bytes are not UTF-8, not JSON, or not a notebook; the message is one line.
    """
    bom = data.startswith(_BOM)
    if not data.strip():
        raise DataError("the file is empty, and a notebook is JSON")
    try:
        text = data[3 * bom :].decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 (byte {error.start:,}), and a notebook is JSON in UTF-8") from None
    try:
        content = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg} at line {error.lineno:,}, column {error.colno:,}") from None
    except RecursionError:
        raise DataError("not a notebook: its JSON is nested too deeply to be read") from None
    if not isinstance(content, dict) or not ("cells" in content or "worksheets" in content):
        raise DataError("JSON, but not a notebook: it has neither 'cells' nor 'worksheets'")
    major = content.get("nbformat")
    if major is not None and not (isinstance(major, int) and 2 <= major <= 4):
        raise DataError(f"nbformat is {json.dumps(major)[:40]}, and notebooks of nbformat 2, 3 and 4 are read")
    return Notebook(
        text=text,
        bom=bom,
        cells=tuple(_cells(text, content)),
        language=_language(content),
        format=f"{major}.{content.get('nbformat_minor', 0)}",
    )


def _language(content: Mapping[str, Any]) -> str:
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        for holder, key in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
            value = metadata.get(holder)
            if isinstance(value, dict) and isinstance(value.get(key), str) and value[key]:
                name: str = value[key].lower()
                return "python" if re.match(r"i?python|conda|venv|pyodide|xpython|pypy", name) else name
    return "python"


def _members(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield key, start and end of each value of the object that starts at a place; the text is known to be JSON."""
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        start = at
        at = _end(text, at)
        yield key, start, at
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _items(text: str, at: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each value of the array that starts at a place."""
    at = _skip(text, at + 1)
    while text[at] != "]":
        start = at
        at = _end(text, at)
        yield start, at
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _end(text: str, at: int) -> int:
    return _DECODER.raw_decode(text, at)[1]


def _last(text: str, at: int) -> dict[str, tuple[int, int]]:
    """Return where the values of an object stand; of a key that stands twice the last one counts, as in JSON."""
    return {key: (start, end) for key, start, end in _members(text, at)}


def _cells(text: str, content: Mapping[str, Any]) -> Iterator[Cell]:
    top = _last(text, _skip(text, 0))
    number = 0
    arrays = []
    if isinstance(content.get("cells"), list):
        arrays.append(top["cells"][0])
    elif isinstance(content.get("worksheets"), list):
        for start, _ in _items(text, top["worksheets"][0]):
            cells = _last(text, start).get("cells") if text[start] == "{" else None
            if cells is not None and text[cells[0]] == "[":
                arrays.append(cells[0])
    for array in arrays:
        for start, _ in _items(text, array):
            number += 1
            yield _cell(text, start, number)


def _cell(text: str, at: int, number: int) -> Cell:
    if text[at] != "{":
        return Cell(number, "none", "")
    places = _last(text, at)
    kind = _DECODER.raw_decode(text, places["cell_type"][0])[0] if "cell_type" in places else None
    kind = kind if isinstance(kind, str) else "none"
    # nbformat 3 keeps the code of a cell in "input"; files that were half converted have both, and the kernel's
    # own key is the one that counts.
    key = "input" if kind == "code" and "source" not in places else "source"
    if key not in places:
        return Cell(number, kind, "")
    start, end = places[key]
    value = _DECODER.raw_decode(text, start)[0]
    if isinstance(value, str):
        return Cell(number, kind, value, start, end)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        pieces = tuple(value)
        ragged = any(piece and not piece.endswith("\n") for piece in pieces[:-1])
        return Cell(number, kind, "".join(pieces), start, end, pieces, ragged)
    return Cell(number, kind, "")


@dataclass(frozen=True)
class _Style:
    ascii: bool
    known: Mapping[str, str]
    upper: bool

    def quote(self, text: str) -> str:
        return '"' + "".join(self._char(char) for char in text) + '"'

    def _char(self, char: str) -> str:
        if char in self.known:
            return self.known[char]
        if char in _SHORT:
            return _SHORT[char]
        code = ord(char)
        if code < 0x20 or 0xD800 <= code < 0xE000 or (self.ascii and code > 0x7E):
            if code > 0xFFFF:
                code -= 0x10000
                return self._unit(0xD800 | code >> 10) + self._unit(0xDC00 | code & 0x3FF)
            return self._unit(code)
        return char

    def _unit(self, code: int) -> str:
        return f"\\u{code:04X}" if self.upper else f"\\u{code:04x}"


_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_UNIT = re.compile(
    r'\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))|([^"\\])', re.S
)


def _style(raw: str, whole: str) -> _Style:
    """Learn how the file escapes characters: from the source itself, then from the rest of the file."""
    known: dict[str, str] = {}
    hexes = ""
    literal = False
    for match in _UNIT.finditer(raw):
        high, low, unit, short, plain = match.groups()
        if plain is not None:
            literal = literal or ord(plain) > 0x7F
            continue
        hexes += (high or "") + (low or "") + (unit or "")
        char = (
            chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
            if high
            else chr(int(unit, 16))
            if unit
            else {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(short, short)
        )
        known[char] = match.group()
    escaped = any(ord(char) > 0x7F for char in known)
    if not literal and not escaped:
        literal = not whole.isascii()
        escaped = not literal and re.search(r"\\u(?!00[01])[0-9a-fA-F]{4}", whole) is not None
    if literal:
        known = {char: how for char, how in known.items() if ord(char) < 0x80 or 0xD800 <= ord(char) < 0xE000}
    return _Style(escaped and not literal, known, bool(re.search("[A-F]", hexes)))


def _encode(cell: Cell, new: str, text: str) -> str:
    raw = text[cell.start : cell.end]
    style = _style(raw, text)
    if cell.pieces is None:
        return style.quote(new)
    lines = _ragged(cell.pieces, new) if cell.ragged else re.findall(r"[^\n]*\n|[^\n]+", new)
    if not lines:
        return "[]"
    places = list(_items(text, cell.start))
    # A line that stays keeps its spelling, whatever odd escapes it has.
    spelling = {piece: text[start:end] for piece, (start, end) in zip(cell.pieces, places, strict=True)}
    opening, between, closing = _separators(text, cell, places)
    return f"[{opening}{between.join(spelling.get(line) or style.quote(line) for line in lines)}{closing}]"


def _ragged(pieces: tuple[str, ...], new: str) -> list[str]:
    """Divide a text as its pieces were divided, which was not at the ends of lines."""
    head, start = 0, 0
    while head < len(pieces) and new.startswith(pieces[head], start):
        start += len(pieces[head])
        head += 1
    tail, stop = len(pieces), len(new)
    while tail > head and stop - len(pieces[tail - 1]) >= start and new[:stop].endswith(pieces[tail - 1]):
        stop -= len(pieces[tail - 1])
        tail -= 1
    middle = re.findall(r"[^\n]*\n|[^\n]+", new[start:stop])
    return [*pieces[:head], *middle, *pieces[tail:]]


def _separators(text: str, cell: Cell, places: list[tuple[int, int]]) -> tuple[str, str, str]:
    """Return what stands before, between and after the lines of a source list."""
    if not places:
        # An empty list shows nothing of how lines are laid out: as the indentation of its own line would have it.
        newline = "\r\n" if "\r\n" in text else "\n"
        line = text.rfind("\n", 0, cell.start) + 1
        match = re.match(r"[ \t]*", text[line:])
        indent = match.group() if match else ""
        if "\n" not in text.strip():
            return "", ", " if '", "' in text or '": ' in text else ",", ""
        step = " " if indent.startswith(" ") or not indent else "\t"
        return newline + indent + step, "," + newline + indent + step, newline + indent
    opening = text[cell.start + 1 : places[0][0]]
    closing = text[places[-1][1] : cell.end - 1]
    between = text[places[0][1] : places[1][0]] if len(places) > 1 else "," + (opening or _flat_gap(text))
    return opening, between, closing


def _flat_gap(text: str) -> str:
    return " " if re.search(r'": ', text[:2000]) and not re.search(r'",[^ \n\r\t]', text[:2000]) else ""
