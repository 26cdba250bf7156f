"""Dates as people write them in changelogs."""

from __future__ import annotations

import datetime as dt
import re

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DATES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}"), "%Y-%m-%d %H:%M"),
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "%Y-%m-%d"),
    (re.compile(r"\d{4}/\d{2}/\d{2}"), "%Y/%m/%d"),
    (re.compile(r"\d{4}\.\d{2}\.\d{2}"), "%Y.%m.%d"),
    (re.compile(r"\b\d{2}\.\d{2}\.\d{4}"), "%d.%m.%Y"),
    (re.compile(r"\b\d{2}/\d{2}/\d{4}"), "%m/%d/%Y"),
    (re.compile(rf"\b(?:{'|'.join(_MONTHS)}) \d{{1,2}}, \d{{4}}"), "%B %-d, %Y"),
    (re.compile(rf"\b(?:{'|'.join(m[:3] for m in _MONTHS)}) \d{{1,2}}, \d{{4}}"), "%b %-d, %Y"),
    (re.compile(rf"\b\d{{1,2}} (?:{'|'.join(_MONTHS)}) \d{{4}}"), "%-d %B %Y"),
    (re.compile(rf"\b\d{{1,2}} (?:{'|'.join(m[:3] for m in _MONTHS)}) \d{{4}}"), "%-d %b %Y"),
    (re.compile(rf"\b(?:{'|'.join(_MONTHS)}) \d{{4}}"), "%B %Y"),
    (re.compile(rf"\b(?:{'|'.join(m[:3] for m in _MONTHS)}) \d{{4}}"), "%b %Y"),
)


def leading_date(text: str) -> tuple[int, ...] | None:
    """Return year, month and day of the date that a text begins with, marks aside; None if it begins otherwise."""
    for pattern, form in _DATES:
        match = pattern.search(text)
        if match is None or re.search(r"\w", text[: match.start()]):
            continue
        names = {name: number for number, name in enumerate(_MONTHS, 1)} | {m[:3]: n for n, m in enumerate(_MONTHS, 1)}
        parts = re.findall(r"\d+|[A-Z][a-z]+", match.group())
        found = {
            field: names.get(part) or int(part)
            for field, part in zip(re.findall(r"%-?([YmdBb])", form), parts, strict=False)
        }
        return found["Y"], found.get("m") or found.get("B") or found.get("b") or 0, found.get("d", 0)
    return None


def dated(text: str, now: dt.datetime) -> str:
    """Return a text with its first date moved to now, written as it was."""
    for pattern, form in _DATES:
        match = pattern.search(text)
        if match:
            # The names of months are English whatever the locale, and %-d is not known everywhere.
            month = _MONTHS[now.month - 1]
            form = form.replace("%-d", str(now.day)).replace("%B", month).replace("%b", month[:3])
            return text[: match.start()] + now.strftime(form) + text[match.end() :]
    return text


def without_dates(text: str) -> str:
    """Return a text with blanks in place of its dates."""
    for pattern, _ in _DATES:
        text = pattern.sub(lambda match: " " * len(match.group()), text)
    return text
