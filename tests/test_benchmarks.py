"""The benchmark's harness: a job runs, its table is well formed, and a side that cannot be measured says why. No time is judged."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import run as harness
from benchmarks import table
from benchmarks.jobs import JOBS
from benchmarks.model import Bar, Found, Job, Row, Side


def quick() -> Callable[[], str]:
    return lambda: "four"


def slow() -> Callable[[], str]:
    def call() -> str:
        time.sleep(600)
        return ""

    return call


def broken() -> Callable[[], str]:
    raise ValueError("no such thing")


def absent() -> Callable[[], str]:
    import a_package_that_is_not_there  # noqa: F401

    return quick()


def killed() -> Callable[[], str]:
    def call() -> str:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTRAP)
        return ""

    return call


def ends() -> Callable[[], Any]:
    return lambda: sys.exit(3)


@pytest.fixture(autouse=True)
def _stored() -> Any:
    with harness.stored_inputs():
        yield


def side(function: Callable[..., Any], limit: float = 30) -> Side:
    return Side(function.__name__, function, limit=limit)


def test_a_job_runs_and_its_table_is_well_formed() -> None:
    job = next(job for job in JOBS if job.key == "small-map-json")
    rows = harness.rows(job, harness.run(job, quick=True))
    assert [row.bar.peer for row in rows] == ["naive Altair"]
    assert rows[0].trouble == ""
    assert rows[0].value is not None
    assert rows[0].value > 0
    lines = table.markdown(rows).splitlines()
    assert lines[0].startswith(("1 of 1 bars met on ", "0 of 1 bars met on "))
    assert "altair 6" in lines[0]
    assert len({line.count("|") for line in lines[2:] if line}) == 1
    assert len(lines) == 2 + 2 + len(rows)
    assert table.text(rows).count("\n") == len(rows)


def test_what_cannot_be_measured_says_why() -> None:
    peers = [side(absent), side(broken), side(slow, limit=2), side(killed), side(ends)]
    job = Job("odd", "odd", side(quick), tuple(peers), tuple(Bar("time", 1, peer.name) for peer in peers))
    found = harness.run(job, quick=True)
    assert found["quick"].values["bytes"] == 4
    assert found["quick"].values["peak"] > 1e6
    assert {name: item.trouble for name, item in found.items()} == {
        "quick": "",
        "absent": "a_package_that_is_not_there is not installed",
        "broken": "failed: ValueError: no such thing",
        "slow": "stopped after 2 s",
        "killed": "killed by SIGTRAP",
        "ends": "ended with exit code 3",
    }
    rows = harness.rows(job, found)
    assert all(row.met is None for row in rows)
    text = table.markdown(rows)
    assert text.startswith("0 of 0 bars met")
    assert "killed: killed by SIGTRAP" in text


def test_a_process_that_cannot_start_is_no_crash() -> None:
    job = Job("import", "import", Side("ours", "pass"), (Side("theirs", "import a_package_that_is_not_there"),))
    found = harness.run(job, quick=True)
    assert found["ours"].values["time"] > 0
    assert found["theirs"].trouble == "not installed"


def test_every_job_is_whole() -> None:
    assert len({job.key for job in JOBS}) == len(JOBS)
    for job in JOBS:
        assert job.bars, job.key
        names = [job.ours.name, *(peer.name for peer in job.peers)]
        assert len(set(names)) == len(names), job.key
        assert {bar.peer for bar in job.bars} <= {"", *names[1:]}, job.key
        for one in (job.ours, *job.peers):
            assert isinstance(one.make, str) or (one.make.__doc__ and ":" in one.target), one


@pytest.mark.parametrize(
    ("value", "metric", "shown"), [(0.0123, "time", "12.3 ms"), (2.5, "time", "2.5 s"), (4e3, "bytes", "4 kB")]
)
def test_amounts_have_units(value: float, metric: str, shown: str) -> None:
    assert table.amount(value, metric) == shown


def test_a_bar_is_met_at_its_limit_and_a_row_without_one_only_tells() -> None:
    job = Job("one", "one", side(quick))
    assert Row(job, Bar("bytes", 5.0), 5.0, None).met is True
    assert Row(job, Bar("bytes", 5.0), 5.1, None).met is False
    assert Row(job, Bar("time", 0.5, "peer"), 1.0, 2.0).met is True
    assert Row(job, Bar("time", None, "peer"), 1.0, 2.0).met is None
    assert harness.rows(job, {"quick": Found()}) == []


def test_the_command_lists_jobs_and_refuses_unknown_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert "history-json" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["--job", "nonsense"])
    assert "no job nonsense" in capsys.readouterr().err
