"""What IPython adds to Python: magics, shell lines and help, masked so that the rest parses, and put back.

A masked line is a name that the cell does not use; unmasking puts the text back letter for letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from headspec.errors import DataError
from headspec.migrate.known import words

# Cell magics whose body is Python of the notebook itself, run once and shown as any cell.
_PYTHON_CELLS = frozenset(("time", "capture"))

# Cell magics whose body is run elsewhere or is no code: what it mentions is not this notebook's name.
_FOREIGN_CELLS = words(
    "bash sh script system sx html HTML javascript js latex markdown svg SVG writefile file cmd perl ruby R sql "
    "python python2 python3 pypy julia cython writetemplate bigquery shell mermaid ai dot"
)

_CELL_MAGIC = re.compile(r"\s*%%(\w[\w.]*)")
_LINE = re.compile(r"(?P<indent>[ \t\f]*)(?P<magic>%[A-Za-z_]|!|\?+\s*[%\w])")
_ASSIGN = re.compile(r"(?P<left>[ \t\f]*[A-Za-z_][\w.,\[\]'\" *]*?[ \t]*=[ \t]*)(?P<magic>%[A-Za-z_]|![^=])")
_HELP = re.compile(r"[ \t\f]*%{0,2}[A-Za-z_*][\w.*\[\]]*\s*\?{1,2}\s*(?:#.*)?$")
_NEWLINE = re.compile(r"\r\n?|\n")
_OPENING = re.compile(r"(?i:[rbuft]{0,3})('''|\"\"\"|'|\")")


@dataclass(frozen=True)
class Masked:
    """A cell's text with the lines that are not Python masked."""

    code: str
    lines: dict[str, str] = field(default_factory=dict)
    cell_magic: str | None = None
    foreign: bool = False

    @property
    def opaque(self) -> bool:
        """Tell whether the cell as a whole belongs to a magic and is not read as Python."""
        return self.cell_magic is not None and self.cell_magic not in _PYTHON_CELLS

    def restore(self, code: str) -> str:
        """Put the masked lines back.

        Raises
        ------
        DataError
            If one of them is missing or stands twice.
        """
        for mask, text in self.lines.items():
            if code.count(mask) != 1:
                raise DataError(f"the line {text.strip()!r} would be lost")
        if not self.lines:
            return code
        return re.sub("|".join(map(re.escape, self.lines)), lambda match: self.lines[match.group()], code)


def mask(text: str) -> Masked:
    """Mask the magics, shell lines and help requests of a cell.

    Parameters
    ----------
    text
        The source of a code cell.
    """
    magic = _CELL_MAGIC.match(text)
    if magic is not None and magic.group(1) not in _PYTHON_CELLS:
        return Masked(text, cell_magic=magic.group(1), foreign=magic.group(1) in _FOREIGN_CELLS)
    prefix = "_hs_masked_"
    while prefix in text:
        prefix += "_"
    lines: dict[str, str] = {}
    out: list[str] = []
    state = _State()
    rows = _rows(text)
    at = 0
    # The magic of a cell stands in its first line; anywhere else it is an error of the cell.
    first = next((row for row, (body, _) in enumerate(rows) if body.strip()), 0) if magic is not None else -1
    while at < len(rows):
        body, end = rows[at]
        start = _magic_start(body) if state.fresh else None
        if at == first:
            start = body.index("%%")
        at += 1
        if start is None:
            state.feed(body, bool(end))
            out += [body, end]
            continue
        while body.endswith("\\") and end and at < len(rows):
            body, end = body + end + rows[at][0], rows[at][1]
            at += 1
        name = f"{prefix}{len(lines)}_"
        lines[name] = body[start:]
        out += [body[:start], name, end]
    return Masked("".join(out), lines, magic.group(1) if magic else None)


def _rows(text: str) -> list[tuple[str, str]]:
    rows, at = [], 0
    for match in _NEWLINE.finditer(text):
        rows.append((text[at : match.start()], match.group()))
        at = match.end()
    return [*rows, (text[at:], "")]


def _magic_start(line: str) -> int | None:
    """Return where the part of a line begins that is not Python, or None."""
    match = _LINE.match(line) or _ASSIGN.match(line)
    if match is not None:
        return match.start("magic")
    if _HELP.match(line):
        return len(line) - len(line.lstrip())
    return None


class _State:
    """Where a line of Python leaves off: inside a string, a bracket, or free."""

    def __init__(self) -> None:
        self.quote = ""
        self.depth = 0
        self.joined = False

    @property
    def fresh(self) -> bool:
        """Tell whether the next line begins a statement."""
        return not (self.quote or self.depth or self.joined)

    def feed(self, line: str, ended: bool) -> None:
        """Read one line."""
        self.joined = False
        at = 0
        while at < len(line):
            if self.quote:
                at = self._string(line, at)
                continue
            char = line[at]
            if char == "#":
                break
            opening = _OPENING.match(line, at)
            if opening is not None and (at == 0 or not (line[at - 1].isalnum() or line[at - 1] == "_")):
                self.quote = opening.group(1)
                at = opening.end()
                continue
            if char in "'\"":
                self.quote = char
            elif char in "([{":
                self.depth += 1
            elif char in ")]}":
                self.depth = max(0, self.depth - 1)
            elif char == "\\" and at == len(line) - 1 and ended:
                self.joined = True
            at += 1
        # A plain string ends with its line, unless a backslash carries it on: an unclosed quote is an error of
        # the cell, which does not parse anyway.
        if len(self.quote) == 1 and not line.endswith("\\"):
            self.quote = ""

    def _string(self, line: str, at: int) -> int:
        while at < len(line):
            if line[at] == "\\":
                at += 2
                continue
            if line.startswith(self.quote, at):
                at += len(self.quote)
                self.quote = ""
                return at
            at += 1
        return at
