"""Pages in real headless Chromium, with the network blocked and every console message kept.

``tests/conftest.py`` offers the fixtures to every test; one browser serves a whole process, since Playwright takes no second one. The browser is ``$HEADSPEC_CHROMIUM``, ``/usr/bin/chromium``,
or what is on the path. Where there is none the tests are skipped with the reason, and fail under ``CI``.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT = 60_000  # ms; generous, because a loaded machine is slow and a hang is a failure anyway


def executable() -> str | None:
    """Return the browser to use, None if there is none."""
    given = os.environ.get("HEADSPEC_CHROMIUM")
    if given:
        return given if Path(given).is_file() else None
    return next(
        filter(None, ("/usr/bin/chromium" if Path("/usr/bin/chromium").is_file() else None, *map(shutil.which, NAMES))),
        None,
    )


def _none(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; under CI the browser tests must run")
    pytest.skip(reason)


@dataclass
class Opened:
    """A page that was opened, and all that it said and asked for."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Every address that was asked for, other than the page's own and ``data:``; what a policy stops is never asked for."""

    def wait(self) -> Opened:
        """Wait until a page of headspec has drawn its chart, or has failed to."""
        self.page.wait_for_selector("html[data-state]", state="attached", timeout=TIMEOUT)
        return self

    @property
    def state(self) -> str | None:
        """What became of the chart: ``drawn`` or ``failed``."""
        return self.page.get_attribute("html", "data-state")

    def marks(self, selector: str = "path") -> int:
        """Return how many marks of a kind the SVG holds."""
        return int(self.page.locator(f"svg g.role-mark {selector}").count())

    def js(self, expression: str) -> Any:
        """Return the value of an expression in the page's own world."""
        return self.page.evaluate(expression)

    def until(self, expression: str) -> None:
        """Wait until an expression is true; Playwright's own way would need the page to allow ``eval``."""
        deadline = time.monotonic() + TIMEOUT / 1000
        while not self.js(expression):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {TIMEOUT / 1000:g} s: {expression}")
            self.page.wait_for_timeout(20)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _none("playwright is not installed")
    path = executable()
    if path is None:
        _none("no Chromium was found: set HEADSPEC_CHROMIUM")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Opened]]:
    """Open an address or file: ``open_page(path, dark=False, scripts=True, allow="http://127.0.0.1:8000/")``.

    No request leaves the machine: what is not the page itself, ``data:`` or below `allow` is blocked, and listed.
    """
    contexts = []

    def visit(
        where: str | Path,
        *,
        dark: bool = False,
        scripts: bool = True,
        allow: str | None = None,
        size: tuple[int, int] = (1000, 800),
    ) -> Opened:
        address = where.resolve().as_uri() if isinstance(where, Path) else where
        context = chromium.new_context(
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            viewport={"width": size[0], "height": size[1]},
            bypass_csp=False,
        )
        contexts.append(context)
        opened = Opened(context.new_page())

        def decide(route: Any) -> None:
            url = route.request.url
            own = url == address or url.startswith(("data:", "blob:"))
            if not own:
                opened.requests.append(url)
            if own or (allow and url.startswith(allow)):
                route.continue_()
            else:
                route.abort()

        context.route("**/*", decide)
        opened.page.set_default_timeout(TIMEOUT)
        opened.page.on("console", lambda message: opened.messages.append(f"{message.type}: {message.text}"))
        opened.page.on("pageerror", lambda error: opened.messages.append(f"error: {error}"))
        opened.page.on("dialog", lambda dialog: (opened.messages.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        opened.page.goto(address, wait_until="load")
        return opened

    yield visit
    for context in contexts:
        context.close()
