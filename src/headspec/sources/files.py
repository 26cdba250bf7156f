"""Tables of runs from files: CSV, JSON, JSON Lines and Parquet, as they stand in the file."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from headspec.errors import DataError, KindError, need
from headspec.sources import rows
from headspec.text import clean, listing

PathLike: TypeAlias = str | os.PathLike[str]

_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MAGIC = {
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"PK\x03\x04": "a zip archive (an Excel workbook is one)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"SQLite": "an SQLite database",
    b"ARROW1": "an Arrow IPC file",
}
_MISSING = frozenset({"", "-", "na", "n/a", "<na>", "none", "null"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf(inity)?)", re.IGNORECASE | re.ASCII)
_NAMES = frozenset({"model", "modelname", "strategy", "pruningstrategy", "method", "stage", "metric"})


def load_results_from_file(path: PathLike) -> pd.DataFrame:
    r"""Read a table of experiment results from a file, with the file's own columns.

    Parameters
    ----------
    path
        A ``.csv`` (also ``.tsv``), ``.json``, ``.jsonl`` (``.ndjson``) or ``.parquet`` file; with any other suffix the
        content decides. Parquet needs the extra ``parquet``.

    Returns
    -------
    pandas.DataFrame
        One row per row of the file. ``results_table`` and the ``plot_*`` functions take it (or the path) as it is.

    Raises
    ------
    DataError
        If the file is missing, empty, cut off, not of its format, or has columns of one name.

    Notes
    -----
    CSV: UTF-8 (or UTF-16 with its mark); the header decides among comma, semicolon, tab and bar. In a file with
    semicolons ``12,5`` is twelve and a half, if its whole column can be read so. Empty cells, ``NA``, ``null``, ``None``
    and ``-`` are missing; ``NaN`` and ``inf`` are numbers. A column is numeric if each of its cells is; models,
    strategies and stages stay text.

    JSON: a list of rows, a dict of columns, or either under ``"results"`` or ``"data"``; the literals ``NaN``,
    ``Infinity`` and ``-Infinity`` are read. JSON Lines: one row to a line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "results.csv"
    ...     _ = path.write_text("strategy,stage,perplexity\nentropy,baseline,20.5\n")
    ...     load_results_from_file(path)
      strategy     stage  perplexity
    0  entropy  baseline        20.5
    """
    if not isinstance(path, (str, os.PathLike)):
        raise KindError(f"path is {type(path).__name__}; expected the path of a CSV, JSON, JSON Lines or Parquet file")
    file = Path(path)
    content = _content(file)
    kind = _FORMATS.get(file.suffix.lower()) or _kind_of(content)
    if kind == "parquet":
        return _checked(_read_parquet(file, content), file)
    readers: dict[str, Callable[[str, Path], pd.DataFrame]] = {
        "csv": _read_csv,
        "json": _read_json,
        "jsonl": _read_lines,
    }
    return _checked(readers[kind](_text(content, file), file), file)


def _content(file: Path) -> bytes:
    name = clean(file)
    if file.is_dir():
        raise DataError(f"{name} is a folder; give a CSV, JSON, JSON Lines or Parquet file in it")
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        near = get_close_matches(file.name, _siblings(file), n=1)
        raise DataError(f"there is no file {name}" + (f"; did you mean {clean(near[0])}?" if near else "")) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise DataError(f"{name} cannot be read: {clean(error)}") from error
    if not content.strip():
        raise DataError(f"{name} is empty; expected a table of results with a header and at least one row")
    return content


def _siblings(file: Path) -> list[str]:
    try:
        return sorted(os.listdir(file.parent))
    except OSError:
        return []


def _kind_of(content: bytes) -> str:
    if content.startswith(b"PAR1"):
        return "parquet"
    head = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if head == b"[":
        return "json"
    if head == b"{":
        first = content.lstrip(b"\xef\xbb\xbf").strip().split(b"\n", 1)
        return "jsonl" if len(first) > 1 and first[0].rstrip().endswith(b"}") else "json"
    return "csv"


def _text(content: bytes, file: Path) -> str:
    name = clean(file)
    for magic, what in _MAGIC.items():
        if content.startswith(magic):
            raise DataError(f"{name} is {what}, not text; give it its own suffix, or unpack or export it first")
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not UTF-8 text (byte {error.start:,}); save it as UTF-8, or it is no table"
        ) from None
    if "\x00" in text:
        raise DataError(
            f"{name} holds null bytes (at character {text.index(chr(0)):,}): it is a binary or damaged file"
        )
    return text


def _checked(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    if not len(frame.columns) or not len(frame):
        raise DataError(f"{clean(file)} has no rows; its columns are: {listing(frame.columns, limit=20) or 'none'}")
    return frame


# CSV ---------------------------------------------------------------------------------------------------------------


def _read_csv(text: str, file: Path) -> pd.DataFrame:
    name = clean(file)
    header_line = text.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    bare = re.sub(r'"[^"]*"', "", header_line)
    separator = max(",;\t|", key=bare.count)  # the first of them where none occurs: one column
    header = [cell.strip() for cell in next(csv.reader([header_line], delimiter=separator))]
    if twice := sorted({cell for cell in header if header.count(cell) > 1}):
        raise DataError(f"{name} has several columns called {listing(twice)}; columns need names of their own")
    _check_lengths(text, separator, len(header), name)
    try:
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, header=0, names=header, dtype=str, keep_default_na=False, index_col=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = clean(str(error).strip().replace("Error tokenizing data. C error: ", ""))
        raise DataError(
            f"{name} cannot be read as a table separated by {separator!r}: {reason}; it may be cut off"
        ) from None
    return pd.DataFrame({column: _cells(frame[column], column, comma=separator == ";") for column in header})


def _check_lengths(text: str, separator: str, expected: int, name: str) -> None:
    """Raise for rows with too few or too many cells, which pandas fills or shifts without a word."""
    suspicious = any(line.strip() and line.count(separator) != expected - 1 for line in text.splitlines())
    if not suspicious:  # quotes around separators or line breaks raise the suspicion too: then every row is parsed
        return
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        for row in reader:
            if row and len(row) != expected and any(cell.strip() for cell in row):
                raise DataError(
                    f"{name} has {len(row)} cells in line {reader.line_num:,} where its header has {expected}; "
                    "the file may be cut off or a cell may lack its quotes"
                )
    except csv.Error as error:
        raise DataError(
            f"{name} cannot be read as CSV ({clean(error)}): a quote may be left open, the file cut off"
        ) from None


def _cells(column: pd.Series[str], name: str, *, comma: bool) -> pd.Series[Any]:
    values = column.str.strip()
    if re.sub(r"[^a-z0-9]", "", name.lower()) in _NAMES:
        return values.where(values != "", None)
    codes, distinct = pd.factorize(values)
    cells = [str(cell) for cell in distinct]
    numbers = _numbers(cells, comma=False) or (_numbers(cells, comma=True) if comma else None)
    if numbers is None:
        return values.where(values != "", None)
    missing = np.array([value is None for value in numbers])
    found = np.array([math.nan if value is None else value for value in numbers])
    return rows.numbers(found[codes], missing=missing[codes], whole=all(cell.lstrip("+-").isdigit() for cell in cells))


def _numbers(cells: list[str], *, comma: bool) -> list[float | None] | None:
    """Return the number that each cell stands for (None: missing), or nothing if one of them stands for no number."""
    found: list[float | None] = []
    for cell in cells:
        value = cell.replace(",", ".") if comma and cell.count(",") == 1 and "." not in cell else cell
        if cell.lower() in _MISSING:
            found.append(None)
        elif _NUMBER.fullmatch(value):
            found.append(float(value))
        else:
            return None
    return found


# JSON --------------------------------------------------------------------------------------------------------------


def _read_json(text: str, file: Path) -> pd.DataFrame:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text[error.pos :].lstrip()[:1] == "{":
            return _read_lines(text, file)  # one object after the other: JSON Lines under the wrong suffix
        raise DataError(_bad_json(clean(file), error, text)) from None
    except RecursionError:
        raise DataError(f"{clean(file)} is nested too deeply to be a table of results") from None
    return _frame(value, clean(file))


def _bad_json(name: str, error: json.JSONDecodeError, text: str, line: int | None = None) -> str:
    place = f"line {line or error.lineno:,}, column {error.colno:,}"
    short = not text[error.pos :].strip() or "Unterminated" in error.msg
    return f"{name} is not valid JSON ({error.msg}, {place})" + (
        ": it ends too early, the file is cut off" if short else ""
    )


def _read_lines(text: str, file: Path) -> pd.DataFrame:
    if text.lstrip()[:1] == "[":
        return _read_json(text, file)  # an ordinary list of rows under this suffix
    name, found = clean(file), []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(_bad_json(name, error, line, number) + "; expected one row, {…}, on each line") from None
        if not isinstance(row, dict):
            raise DataError(f"{name} holds {rows.kind(row)} in line {number:,}; expected one row, {{…}}, on each line")
        found.append(row)
    return rows.from_rows(found, name=name)


def _frame(value: object, name: str) -> pd.DataFrame:
    """Return the table that a JSON value holds: rows, columns, or either in a wrapper."""
    try:
        return _table(value, name)
    except KindError as error:  # what stands in a file is a matter of its value
        raise DataError(str(error)) from None


def _table(value: object, name: str) -> pd.DataFrame:
    if isinstance(value, list):
        return rows.from_rows(value, name=name)
    if not isinstance(value, dict):
        raise DataError(
            f"{name} holds {rows.kind(value)}; expected a list of rows, a dict of columns, or one under 'results'"
        )
    if value and all(isinstance(column, dict) for column in value.values()) and "results" not in value:
        labels = dict.fromkeys(
            label for column in value.values() for label in column
        )  # pandas' own: column → row → cell
        return rows.from_columns(
            {key: [column.get(label) for label in labels] for key, column in value.items()}, name=name
        )
    names, cells = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(cells, list) and cells and all(isinstance(row, list) for row in cells):
        return rows.from_rows([_named(row, names, number, name) for number, row in enumerate(cells)], name=name)
    for key in ("results", "data"):
        inner = value.get(key)
        if isinstance(inner, dict) or (isinstance(inner, list) and all(isinstance(row, dict) for row in inner)):
            return _table(inner, name)
    return rows.from_columns(value, name=name)


def _named(row: list[Any], names: list[Any], number: int, name: str) -> dict[Any, Any]:
    if len(row) != len(names):
        raise DataError(f"{name}: row {number:,} of 'data' has {len(row)} cells where 'columns' names {len(names)}")
    return dict(zip(names, row, strict=True))


# Parquet -----------------------------------------------------------------------------------------------------------


def _read_parquet(file: Path, content: bytes) -> pd.DataFrame:
    name = clean(file)
    if content[:4] != b"PAR1":
        raise DataError(f"{name} is not a Parquet file (it does not begin with PAR1)")
    if content[-4:] != b"PAR1":
        raise DataError(f"{name} is cut off: a Parquet file ends with PAR1")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise need("pyarrow", extra="parquet", purpose="to read Parquet files") from None
    try:
        frame: pd.DataFrame = pyarrow.parquet.read_table(io.BytesIO(content)).to_pandas()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{name} cannot be read as Parquet: {clean(error)}") from error
    return frame
