"""The rooms of the house: each imports only from those to its left, and some packages have one door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import headspec

SOURCE = Path(headspec.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

BASE = {"errors", "text", "arrays", "axes", "stored", "catalog"}
SEES = {
    "sources": BASE
    | {"sources", "tables", "measures", "output.files"},  # a recorder writes files and checks what it writes
    "tables": BASE | {"tables", "measures", "sources", "reduce"},
    "measures": BASE | {"measures", "sources", "tables"},
    "reduce": BASE | {"reduce", "tables", "measures"},
    "charts": BASE | {"charts", "reduce", "tables", "measures", "sources"},
    "output": BASE | {"output", "tables", "reduce"},
}


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    nodes = tree.body if top_level else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room(path) in SEES], ids=lambda path: str(path.relative_to(SOURCE))
)
def test_a_room_imports_only_from_its_left(path: Path) -> None:
    allowed = SEES[room(path)]
    inner = {name.removeprefix("headspec.") for name in imports(path) if name.startswith("headspec.")}
    beyond = {name for name in inner if not any(name == item or name.startswith(f"{item}.") for item in allowed)}
    assert not beyond


@pytest.mark.parametrize("path", [SOURCE / f"{name}.py" for name in sorted(BASE)], ids=lambda path: path.name)
def test_the_base_imports_no_room(path: Path) -> None:
    inner = {name.split(".")[1] for name in imports(path) if name.startswith("headspec.")}
    assert inner <= BASE


def test_vl_convert_has_one_door() -> None:
    assert [path.relative_to(SOURCE).as_posix() for path in MODULES if "vl_convert" in imports(path)] == [
        "output/render.py"
    ]


@pytest.mark.parametrize(
    "package", ["torch", "transformers", "lightning", "pyarrow", "polars", "jinja2", "pygments", "IPython"]
)
def test_an_optional_package_is_imported_where_it_is_used(package: str) -> None:
    at_the_top = [
        path.name for path in MODULES if any(name.split(".")[0] == package for name in imports(path, top_level=True))
    ]
    assert not at_the_top


def test_torch_is_known_to_sources_alone() -> None:
    found = [path for path in MODULES if any(name.split(".")[0] == "torch" for name in imports(path))]
    assert {room(path) for path in found} <= {"sources", "notebook"}


def test_this_test_reads_what_it_should() -> None:
    assert len(MODULES) > 60
    assert "altair" in imports(SOURCE / "charts" / "parts.py")
