"""What is shipped: a wheel that holds the gallery and works without the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_its_files_and_the_gallery(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "headspec/py.typed",
        "headspec/output/templates/page.html",
        "headspec/site/templates/index.html",
        "headspec/site/assets/site.js",
        "headspec/_gallery/run/run.json",
        "headspec/_gallery/examples/01_training_progress.py",
    ):
        assert needed in names
    assert not [name for name in names if name.startswith(("tests/", "specs/")) or "__pycache__" in name]
    assert wheel.stat().st_size < 6_000_000


def test_an_installed_wheel_draws_from_its_own_gallery(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import headspec\n"
        "from headspec.sources.recording import gallery_folder\n"
        "assert gallery_folder().parts[-2:] == ('headspec', '_gallery'), gallery_folder()\n"
        "from headspec.cli import main\n"
        "run = gallery_folder() / 'run'\n"
        "sys.exit(main(['chart', 'training-progress', str(run / 'history.csv'), '-o', 'out.vl.json']))"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out.vl.json").stat().st_size > 1000


def test_the_entry_points_of_altair_find_the_themes() -> None:
    import altair as alt

    for name in ("headspec_light", "headspec_dark", "headspec_paper"):
        with alt.theme.enable(name):
            assert "headspec-muted" in alt.theme.get()()["config"]["style"]
    assert alt.theme.active == "default"
