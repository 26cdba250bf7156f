"""Run the benchmark and print its table."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import table
from .jobs import JOBS
from .model import Row
from .run import rows, run, stored_inputs


def main(arguments: list[str] | None = None) -> int:
    """Return 0 if no bar that could be measured was missed, else 1."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=sys.modules[__package__].__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--job", action="append", metavar="NAME", help="run this one (may be given several times)")
    parser.add_argument("--quick", action="store_true", help="two calls a side instead of seven")
    parser.add_argument("--list", action="store_true", help="list the jobs and end")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown, too")
    parser.add_argument(
        "--scripts",
        type=Path,
        metavar="FOLDER",
        help="a node_modules folder with requirejs@2.3.6, d3@5.7.0 and jquery@2, which BertViz's page asks a CDN for",
    )
    chosen = parser.parse_args(arguments)
    jobs = {job.key: job for job in JOBS}
    if chosen.list:
        for job in JOBS:
            print(f"{job.key:22} {job.title}")
        return 0
    unknown = [name for name in chosen.job or () if name not in jobs]
    if unknown:
        parser.error(f"no job {', '.join(unknown)}; there are {', '.join(jobs)}")
    if chosen.scripts is not None:
        os.environ["HEADSPEC_BENCH_SCRIPTS"] = str(chosen.scripts.resolve())
    measured: list[Row] = []
    with stored_inputs():
        for name in chosen.job or jobs:
            found = run(jobs[name], quick=chosen.quick, say=lambda text: print(text, file=sys.stderr, flush=True))
            new = rows(jobs[name], found)
            measured += new
            print(table.text(new), file=sys.stderr, flush=True)
            if chosen.markdown is not None:  # after each job: a long run that is broken off keeps what it has
                chosen.markdown.write_text(table.markdown(measured), encoding="utf-8")
    print(table.text(measured))
    print(table.said(measured))
    return int(any(row.met is False for row in measured))


if __name__ == "__main__":
    sys.exit(main())
