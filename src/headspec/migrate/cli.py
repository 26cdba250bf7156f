"""``headspec migrate``: the command."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from headspec.errors import HeadspecError, need
from headspec.migrate.files import find, load, replace
from headspec.text import clean, count

if TYPE_CHECKING:
    from headspec.migrate.engine import Result
    from headspec.migrate.report import Report

_DESCRIPTION = """\
Move the matplotlib plotting functions of notebooks over to headspec: definitions that a chart of headspec covers go,
their calls are brought up to date, everything else stays byte for byte. What cannot be moved over safely is left and
listed with its reason."""
_EPILOG = """\
Exit status: 0 if all went well, 1 if a file could not be migrated (the others are) or, with --check, if one would
change, 2 if the command itself was wrong."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to a parser.

    Parameters
    ----------
    parser
        The parser of ``headspec migrate``.
    """
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("paths", nargs="+", metavar="NOTEBOOK", help="notebooks, Python files, folders of notebooks")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, as a diff, and write nothing")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
    parser.add_argument("--no-backup", action="store_true", help="keep no NAME.ipynb.bak beside a changed notebook")
    parser.add_argument("--no-version", action="store_true", help="leave the version and the changelog as they are")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    args
        What `add_arguments` has parsed.

    Returns
    -------
    int
        0 if all went well, 1 if a file could not be migrated (the others are), or if with ``--check`` one would change.

    Raises
    ------
    MissingPackageError
        If libcst is not installed.
    """
    try:
        import libcst  # noqa: F401
    except ImportError:
        raise need("libcst", extra="migrate", purpose="to rewrite notebooks on their syntax tree") from None
    failed = changed = seen = 0
    for path, error in find(args.paths):
        seen += 1
        report, diff = _one(path, error, args)
        failed += report.error is not None
        changed += report.status == "changed"
        _print(report.text(would=args.dry_run or args.check))
        if diff:
            _print(diff)
    if seen > 1:
        verb = "would be migrated" if args.dry_run or args.check else "migrated"
        text = f"{count(seen, 'file')}: {changed:,} {verb}, {seen - changed - failed:,} unchanged"
        _print(text + (f", {failed:,} not migrated" if failed else ""))
    return 1 if failed or (args.check and changed) else 0


def _one(path: Path, error: str | None, args: argparse.Namespace) -> tuple[Report, str]:
    from headspec.migrate.engine import migrate_bytes
    from headspec.migrate.report import Report

    if error is not None:
        return Report(path=str(path), status="failed", error=error), ""
    try:
        source = load(path)
        result = migrate_bytes(
            source.data, script=source.script, folder=source.target.parent, version=not args.no_version
        )
        report = result.report
        report.path = str(path)
        if report.status != "changed":
            return report, ""
        if args.dry_run:
            return report, "\n".join(diff_lines(str(path), result))
        if not args.check:
            backup = replace(source, result.data, backup=not args.no_backup)
            report.backup = str(backup) if backup is not None else None
    except HeadspecError as problem:
        return Report(path=str(path), status="failed", error=str(problem)), ""
    except (RecursionError, MemoryError):
        return Report(path=str(path), status="failed", error="too large or nested too deeply: left as it is"), ""
    except Exception as problem:  # one notebook that no one foresaw must not stop a folder of a hundred
        words = f"left as it is, after an error that should not happen: {type(problem).__name__}: {problem}"
        return Report(path=str(path), status="failed", error=words), ""
    return report, ""


def diff_lines(path: str, result: Result) -> Iterator[str]:
    """Yield a unified diff of the cells that change.

    Parameters
    ----------
    path
        The name of the file.
    result
        What the migration made of it.
    """
    for cell in result.document.cells:
        if cell.number not in result.texts or result.texts[cell.number] == cell.text:
            continue
        name = path.lstrip("/") + ("" if result.document.format == "py" else f" (cell {cell.number})")
        old, new = cell.text.splitlines(), result.texts[cell.number].splitlines()
        for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm=""):
            yield "".join(char if char == "\t" else clean(char) for char in line)


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
