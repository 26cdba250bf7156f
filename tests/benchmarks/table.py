"""The table of ratios, for a terminal and for the README."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata

from .model import Row

PACKAGES = (
    *("headspec", "altair", "vl-convert-python", "pandas", "numpy", "torch"),
    *("matplotlib", "seaborn", "plotly", "bertviz", "circuitsvis"),
)
HEADER = ("job", "ours ÷ theirs", "headspec", "theirs", "ratio", "bar", "")


def amount(value: float | None, metric: str) -> str:
    """Return a value with its unit: time as ms or s, the rest as bytes."""
    if value is None:
        return "–"
    if metric in ("time", "redraw"):
        return f"{value * 1e3:.3g} ms" if value < 0.9995 else f"{value:.3g} s"
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= 0.9995 * step:
            return f"{value / step:.3g} {unit}" if value < 999.5 * step else f"{value / step:,.0f} {unit}"
    return f"{value:.0f} B"


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row."""
    bar, value = row.bar, row.value
    what = {"time": "wall time" if row.job.wall else "CPU", "extra": "memory of the call", "peak": "peak memory"}
    name = what.get(bar.metric, bar.metric) + (f" ÷ {bar.peer}" if bar.peer else "")
    ratio = f"{value:.2g}" if bar.peer and value is not None else "–" if bar.peer else ""
    limit = (
        ""
        if bar.limit is None
        else f"≤ {bar.limit:g}"
        if bar.peer
        else f"≤ {bar.note or amount(bar.limit, bar.metric)}"
    )
    verdict = {None: row.trouble or ("" if bar.limit is None else "not measured"), True: "met", False: "missed"}[
        row.met
    ]
    theirs = amount(row.theirs, bar.metric) if bar.peer else ""
    return (row.job.title, name, amount(row.ours, bar.metric), theirs, ratio, limit, verdict)


def text(rows: Iterable[Row]) -> str:
    """Return the table for a terminal."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(rows: Sequence[Row]) -> str:
    """Return the table for the README, with the date and versions; a job's name stands once."""
    lines = ["| " + " | ".join(HEADER) + " |", "| " + " | ".join(["---"] * len(HEADER)) + " |"]
    before = ""
    for row in rows:
        line = list(cells(row))
        line[0], before = ("" if line[0] == before else line[0]), line[0]
        line[6] = {"missed": "**missed**"}.get(line[6], line[6])
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join([said(rows), "", *lines, ""])


def said(rows: Sequence[Row]) -> str:
    """Return what was measured, where and with which versions."""
    met, measured = sum(row.met is True for row in rows), sum(row.met is not None for row in rows)
    return (
        f"{met} of {measured} bars met on {datetime.date.today().isoformat()} ({os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}; {', '.join(versions())})."
    )


def versions() -> list[str]:
    """Return the versions of all that is compared, where it is installed."""
    out = []
    for name in PACKAGES:
        try:
            out.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    browser = shutil.which("chromium")
    if browser:
        told = subprocess.run([browser, "--version"], capture_output=True, text=True, check=False).stdout
        number = re.search(r"\d+", told)
        out += [f"Chromium {number.group()}"] if number else []
    return out
