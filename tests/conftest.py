"""Options and fixtures of the whole suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

from browser import chromium, open_page

__all__ = ["chromium", "open_page"]


settings.register_profile("headspec", deadline=None)  # a busy machine makes no test wrong
settings.load_profile("headspec")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-specs", action="store_true", help="write the golden specs anew (then look at the diff)")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Keep the script bundle out of the user's own cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSPEC_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield
