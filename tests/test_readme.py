"""The README as a newcomer uses it: its examples run, its links and commands hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import headspec.notebook

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S))
    assert code.count("headspec.") > 20
    try:
        exec(compile(code, "README.md", "exec"), {})
    finally:
        headspec.notebook.disable()
    assert {path.name for path in tmp_path.iterdir()} == {"entropy.pdf", "entropy.html", "runs"}


def test_every_link_and_picture_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) > 6
    for link in links:
        assert link.startswith("https://") or (ROOT / link).is_file(), link
    assert all(alt.strip() for alt in re.findall(r"!\[([^\]]*)\]", TEXT))


def test_every_public_chart_has_its_line() -> None:
    from headspec.catalog import CHARTS

    assert not [entry.name for entry in CHARTS if f"headspec.{entry.name}(" not in TEXT]


def test_ci_runs_the_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "<!-- test command -->" in script
    found = re.search(r"<!-- test command -->\n```\n(.+)\n```", TEXT)
    assert found is not None
    assert "pytest" in found.group(1)
    extraction = next(line for line in script.splitlines() if line.startswith("command="))
    taken = subprocess.run(
        ["bash", "-c", f'{extraction}; printf %s "$command"'], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert taken == found.group(1)


@pytest.mark.parametrize("extra", ["site", "parquet", "migrate", "bench", "dev"])
def test_every_extra_that_is_named_exists(extra: str) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f".[{extra}]" in TEXT
    assert extra in project["optional-dependencies"]
