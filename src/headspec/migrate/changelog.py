"""One entry more in a notebook's changelog, in the notebook's own style."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headspec.migrate.cells import CodeCell
from headspec.migrate.dates import dated, leading_date, without_dates
from headspec.migrate.notebook_file import Cell
from headspec.migrate.version import (
    HEADING,
    MARKED,
    NUMBER,
    elsewhere,
    in_code,
    key,
    next_number,
    retitle,
    title_cell,
    title_row,
    title_version,
)

_LOOSE = re.compile(r"(?<![\w.])(?P<number>\d+(?:\.\d+)+)(?!\w)")
_BOLD = re.compile(r"(?P<marks>\*\*|__)(?P<text>.+)")
_BULLET = re.compile(r"(?P<lead>[ \t]*(?:[-*+•]|\d+[.)])[ \t]+)(?P<text>.*)")
_LOG_TITLE = re.compile(
    r"(?i)change\s*-?log|changes\b|version history|release (?:notes|history)|what'?s new|\bhistory\b|updates\b"
)
_LOG_WORD = re.compile(
    r"(?i)\b(?:new|changes?|changed|updates?|fixe[sd]|release[sd]?|previous(?:ly)?|version|added|improve\w*)\b"
)
_STAGE = re.compile(r"(?i)^[-+.]?(?:alpha|beta|rc|dev|pre|preview|post|final)[\d.]*\b")  # 1.0.0-beta
_TABLE_HEAD = re.compile(r"(?i)\s*\|[\s*_`]*(?:version|release)[\s*_`]*\|")


@dataclass(frozen=True)
class Entry:
    """One entry of a changelog: its line, its version or date, and the lines that follow it up to the next."""

    cell: int
    row: int
    end: int
    number: str
    style: str
    announced: bool = False
    date: tuple[int, ...] | None = None

    @property
    def rank(self) -> tuple[int, ...]:
        """What entries are ordered by."""
        return key(self.number) if self.date is None else self.date


@dataclass
class Bump:
    """What a new version changes."""

    texts: dict[int, str] = field(default_factory=dict)
    old: str | None = None
    new: str | None = None
    entry: str | None = None
    notes: list[str] = field(default_factory=list)


def bump(cells: Sequence[Cell], code: Mapping[int, CodeCell], lines: Sequence[str], now: dt.datetime) -> Bump:
    """Count up the version of a notebook and add an entry to its changelog.

    Parameters
    ----------
    cells
        All cells, with the text that they have by now.
    code
        The code cells that parse, by number.
    lines
        What the entry says, one line each.
    now
        The time for entries that carry a date.

    Returns
    -------
    Bump
        The new texts of the cells that change; nothing is invented where there is no version or no changelog.
    """
    result = Bump()
    title = title_cell(cells)
    found = _candidates(cells, title)
    known = in_code(code.values()) | {entry.number for entry in found if entry.announced}
    stands = title_version(title, known) if title is not None else None
    logs = _logs(found, stands)
    entries = [entry for log in logs for entry in log]
    newest = max((entry.number for entry in entries), key=key, default=None)
    by_date = _by_date(cells) if newest is None else []
    if title is None:
        result.notes.append("no title cell: the version is left alone")
    elif stands is None:
        result.notes.append("the title cell carries no version: none was invented")
    if newest is None and not by_date:
        result.notes.append("no changelog: none was invented")
    texts = {cell.number: cell.text for cell in cells}
    current = max((number for number in (stands, newest) if number is not None), key=key, default=None)
    if current is not None:
        if stands is not None and newest is not None and key(stands) != key(newest):
            result.notes.append(
                f"the title says {stands} and the newest changelog entry {newest}: {current} was taken as the current one"
            )
        result.old, result.new = current, next_number(current)
        old = {number for number in (stands, current) if number is not None}
        if title is not None and stands is not None:
            rows = [entry.row for entry in entries if entry.cell == title.number]
            texts[title.number] = retitle(title, stands, result.new, rows)
        logged = {(entry.cell, row) for entry in entries for row in range(entry.row, entry.end)}
        texts.update(elsewhere(cells, code, title, logged, old, result.new))
    for log in [by_date] if by_date else logs:
        # Of several changelogs those go on that have been kept up to date.
        if by_date or any(entry.number == newest for entry in log):
            result.entry = _add_entry(texts, log, "" if by_date else result.new or "", lines, now)
    result.texts = {cell.number: texts[cell.number] for cell in cells if texts[cell.number] != cell.text}
    return result


def _candidates(cells: Sequence[Cell], title: Cell | None) -> list[Entry]:
    """Find what may be entries: headings, bold lines, list items or table rows that begin with a version."""
    found: list[Entry] = []
    under_log = False
    for cell in cells:
        if cell.kind != "markdown":
            continue
        rows = cell.text.splitlines()
        skip = title_row(cell) if title is not None and cell.number == title.number else None
        fenced = table = False
        for row, line in enumerate(rows):
            if line.lstrip().startswith(("```", "~~~")):
                fenced = not fenced
            if fenced or row == skip:
                continue
            table = line.lstrip().startswith("|") and (table or _TABLE_HEAD.match(line) is not None)
            entry = _entry(cell, rows, row, under_log or table)
            if entry is not None:
                found.append(entry)
                continue
            heading = HEADING.match(line) or _BOLD.match(line)
            if heading:
                under_log = bool(_LOG_TITLE.search(heading.group("text")))
    return found


def _by_date(cells: Sequence[Cell]) -> list[Entry]:
    """Return the entries of the first changelog that goes by dates alone: headings or list items that begin with one."""
    for cell in cells:
        rows = cell.text.splitlines() if cell.kind == "markdown" else []
        logs: dict[str, list[Entry]] = {}
        under_log = fenced = False
        for row, line in enumerate(rows):
            fenced ^= line.lstrip().startswith(("```", "~~~"))
            heading, bullet = HEADING.match(line), _BULLET.match(line)
            found = heading or bullet
            date = leading_date(found.group("text")) if found and not fenced else None
            if date is not None and under_log:
                level = len(heading.group("marks")) if heading else len(line) - len(line.lstrip())
                end = _block_end(rows, row, level) if heading else _item_end(rows, row, level)
                style = f"{'heading' if heading else 'item'}{level}"
                logs.setdefault(style, []).append(Entry(cell.number, row, end, "", style, True, date))
            elif heading:
                under_log = bool(_LOG_TITLE.search(heading.group("text")))
        if logs:
            return next(iter(logs.values()))
    return []


def _logs(found: list[Entry], stands: str | None) -> list[list[Entry]]:
    """Return the changelogs: entries of one style in one cell, counted as the title counts."""
    if stands is not None:
        found = [entry for entry in found if entry.number.count(".") == stands.count(".")]
    logs: dict[tuple[int, str], list[Entry]] = {}
    for entry in found:
        logs.setdefault((entry.cell, entry.style), []).append(entry)
    # A single line that begins with a version may be anything, unless a heading or its words say what it is.
    return [
        log for log in logs.values() if any(entry.announced for entry in log) or len(log) > 1 or log[0].number == stands
    ]


def _entry(cell: Cell, rows: list[str], row: int, under_log: bool) -> Entry | None:
    line = rows[row]
    if re.match(r"(?i)[\W_]*(?:(?:current|notebook|latest)[ \t]+)?version[*_]*[ \t]*:", line) and line[:1] != "#":
        return None  # "Version: 1.2" says what the notebook is, and "Version 1.2: …" what was done
    heading, bold, bullet = HEADING.match(line), _BOLD.match(line), _BULLET.match(line)
    if heading is not None or bold is not None:
        text = heading.group("text") if heading is not None else bold.group("text") if bold is not None else ""
        match = _log_number(text, under_log)
        if match is None:
            return None
        announced = under_log or bool(_LOG_WORD.search(text[: match.start()]))
        number = match.group("number")
        if heading is None:
            return Entry(cell.number, row, _bold_end(rows, row), number, "bold", announced)
        level = len(heading.group("marks"))
        return Entry(cell.number, row, _block_end(rows, row, level), number, f"heading{level}", announced)
    if bullet is not None:
        match = re.match(rf"[*_`\[(]*(?:(?:version|ver\.?|v)\s*)?(?P<number>{NUMBER})\b", bullet.group("text"), re.I)
        marked = match is not None and re.match(r"(?i)[*_`\[(]*v", bullet.group("text")) is not None
        if match is None or "." not in match.group("number") or not (marked or under_log):
            return None
        indent = len(bullet.group("lead")) - len(bullet.group("lead").lstrip())
        return Entry(cell.number, row, _item_end(rows, row, indent), match.group("number"), f"item{indent}", under_log)
    table = re.match(r"\s*\|[\s*_`]*(?P<v>[vV]?)(?P<number>\d+(?:\.\d+)+)[\s*_`]*\|", line)
    if table is not None and (table.group("v") or under_log):
        return Entry(cell.number, row, row + 1, table.group("number"), "row", under_log)
    return None


def _log_number(text: str, under_log: bool) -> re.Match[str] | None:
    """Return the version of a heading that belongs to a changelog."""
    for pattern in (MARKED, _LOOSE):
        match = pattern.search(text)
        if match is None:
            continue
        before = text[: match.start()]
        if len(re.findall(r"\w+", before)) > 4:
            continue
        said = bool(_LOG_WORD.search(before))
        bare = not re.search(r"\w", before)
        if pattern is MARKED:
            alone = re.match(r"[\s`)\]]*(?:\*\*|__|$|[:(\[–—-]|\d{4})", text[match.end() :])
            if under_log or said or (bare and alone):
                return match
        elif (
            under_log or (bare and before.endswith("[")) or (said and re.search(r"(?i)\b(?:in|release|to)\s*$", before))
        ):
            return match
    return None


def _block_end(rows: list[str], row: int, level: int) -> int:
    for later in range(row + 1, len(rows)):
        heading = HEADING.match(rows[later])
        if (heading and len(heading.group("marks")) <= level) or re.fullmatch(
            r"\s*(?:-{3,}|\*{3,}|_{3,})\s*", rows[later]
        ):
            return later
    return len(rows)


def _bold_end(rows: list[str], row: int) -> int:
    """Return the end of what a bold line heads: a list, or the paragraph without a blank line between."""
    later = row + 1
    last = later
    while later < len(rows):
        line = rows[later]
        if HEADING.match(line) or _BOLD.match(line):
            break
        if line.strip():
            if not (_BULLET.match(line) or line.startswith((" ", "\t"))) and not rows[later - 1].strip():
                break
            last = later + 1
        later += 1
    return last


def _item_end(rows: list[str], row: int, indent: int) -> int:
    later = row + 1
    while later < len(rows) and rows[later].strip() and len(rows[later]) - len(rows[later].lstrip()) > indent:
        later += 1
    return later


def _add_entry(
    texts: dict[int, str], entries: Sequence[Entry], new: str, lines: Sequence[str], now: dt.datetime
) -> str:
    """Write one entry, modelled on the newest, where the newest ones stand."""
    text = texts[entries[0].cell]
    rows = text.splitlines(keepends=True)
    plain = text.splitlines()
    newline = "\r\n" if "\r\n" in text else "\n"
    keys = [entry.rank for entry in entries]
    falling = sum(a > b for a, b in itertools.pairwise(keys))
    rising = sum(a < b for a, b in itertools.pairwise(keys))
    newest = max(range(len(keys)), key=lambda at: (keys[at], at if rising > falling else -at))
    model = entries[newest]
    body = _modelled(plain, model, new, lines, now)
    gap = _gap(plain, entries, newest)
    if rising > falling:
        at = model.end
        while at > model.row + 1 and not plain[at - 1].strip():
            at -= 1
        block = [""] * gap + body
        before = rows[:at]
        if before and not before[-1].endswith(("\n", "\r")):
            before[-1] += newline
            added = newline.join(block)
        else:
            added = "".join(line + newline for line in block)
        texts[model.cell] = "".join(before) + added + "".join(rows[at:])
    else:
        block = body + [""] * gap
        texts[model.cell] = (
            "".join(rows[: model.row]) + "".join(line + newline for line in block) + "".join(rows[model.row :])
        )
    return body[0]


def _gap(rows: list[str], entries: Sequence[Entry], newest: int) -> int:
    """Return how many blank lines stand between entries."""
    model = entries[newest]
    at = model.end
    while at > model.row + 1 and not rows[at - 1].strip():
        at -= 1
    blank = 0
    while at < len(rows) and not rows[at].strip():
        at, blank = at + 1, blank + 1
    if model.style.startswith(("item", "row")):
        return blank if len(entries) > 1 and at < len(rows) and any(entry.row == at for entry in entries) else 0
    return max(1, blank) if at < len(rows) else 1


def _around_number(head: str, model: Entry) -> tuple[str, str]:
    """Return what stands before the version of an entry and after it; of one that has none, its mark and its text."""
    if model.date is not None:
        found = HEADING.match(head) or _BULLET.match(head)
        at = found.start("text") if found else 0
        return head[:at], head[at:]
    match = next(
        match
        for pattern in (MARKED, _LOOSE, re.compile(rf"(?P<number>{re.escape(model.number)})(?!\w)"))
        for match in pattern.finditer(head)
        if match.group("number") == model.number
    )
    return head[: match.start("number")], head[match.end("number") :]


def _modelled(rows: list[str], model: Entry, new: str, lines: Sequence[str], now: dt.datetime) -> list[str]:
    head = rows[model.row]
    before, after = _around_number(head, model)
    summary = "; ".join([lines[0], *(line[:1].lower() + line[1:] for line in lines[1:])])
    if model.style == "row":
        return [_table_row(head, model, new, summary, now)]
    if model.style.startswith("item"):
        return [before + new + _tail(after, now, summary)]
    body = rows[model.row + 1 : model.end]
    bullet = next((_BULLET.match(line) for line in body if _BULLET.match(line)), None)
    spoken = _tail_text(after) is not None
    if spoken and not any(line.strip() for line in body):
        return [before + new + _tail(after, now, summary)]
    first = before + new + _tail(after, now, lines[0])
    rest = lines[1:] or lines if spoken else lines
    blank = [""] if body and not body[0].strip() else []
    if bullet is None:
        return [first, *blank, *(f"{line}." for line in [". ".join(rest)])]
    lead = re.sub(r"\d+", "1", bullet.group("lead"))
    numbered = lead != bullet.group("lead") or lead.strip()[0].isdigit()
    items = [lead.replace("1", str(count), 1) if numbered else lead for count in range(1, len(rest) + 1)]
    return [first, *blank, *(item + line for item, line in zip(items, rest, strict=True))]


def _tail_text(after: str) -> tuple[int, int] | None:
    """Return where the words are that follow the version and its date, or None if there are none."""
    bare = _STAGE.sub(lambda match: " " * len(match.group()), without_dates(after))
    match = re.search(r"[^\W\d_].*?(?=[\s*_`)\]:.]*$)", bare)
    if match is None or re.fullmatch(r"(?i)(?:latest|current|new|beta|alpha|rc\d*)", match.group()):
        return None
    return match.span()


def _tail(after: str, now: dt.datetime, summary: str) -> str:
    place = _tail_text(after)
    if place is None:
        return dated(after, now)
    return dated(after[: place[0]], now) + summary + after[place[1] :]


def _table_row(head: str, model: Entry, new: str, summary: str, now: dt.datetime) -> str:
    parts = head.split("|")
    out = []
    for position, part in enumerate(parts):
        if position == 1:
            out.append(part.replace(model.number, new))
        elif without_dates(part) != part:
            out.append(dated(part, now))
        elif part.strip() and re.search(r"[^\W\d_]", part):
            out.append(f" {summary} ")
            summary = "" if summary else summary
        else:
            out.append(part)
    return "|".join(out)
