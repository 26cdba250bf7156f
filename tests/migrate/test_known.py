"""What the migration knows of the charts is what they are."""

from __future__ import annotations

import inspect

import pytest

import headspec
from headspec.migrate.known import KNOWN, MEASURES, SUFFIXES


@pytest.mark.parametrize("name", KNOWN)
def test_the_arguments_are_those_of_the_function(name: str) -> None:
    known = KNOWN[name]
    try:
        params = inspect.signature(getattr(headspec, name)).parameters
    except (AttributeError, ImportError):
        pytest.skip(f"headspec has no {name} yet")
    positional = [param for param in params.values() if param.kind is param.POSITIONAL_OR_KEYWORD]
    assert tuple(param.name for param in positional) == known.params
    for target, value in known.defaults.items():
        assert params[target].default == value
    if name == "visualize_attention_matrix":
        assert "batch_idx" in params


def test_the_measures_are_headspecs() -> None:
    missing = [name for name in MEASURES if not hasattr(headspec, name)]
    assert not missing


def test_headspec_saves_what_the_migration_lets_it_save() -> None:
    save = pytest.importorskip("headspec.output.save")
    assert all(any(suffix.endswith(known) for suffix in save._FORMATS) for known in SUFFIXES)
