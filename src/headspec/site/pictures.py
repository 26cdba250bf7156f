"""The pictures of cards: drawn one after the other, or by several processes at once."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Collection
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import TypeAlias

from headspec.errors import HeadspecWarning, RenderError
from headspec.output.render import Drawing, draw_export
from headspec.output.spec import Export
from headspec.site.thumbs import thumbnail, without_title

KINDS = ("png", "svg", "pdf", "thumb-light", "thumb-dark")
PATIENCE = 2
"""Cards that are drawn before processes are started: starting them takes as long as drawing a few."""

Pictures: TypeAlias = "dict[str, str | bytes | RenderError]"
"""The pictures of a card by their kinds; why there is no PDF."""


def draw_pictures(light: Export, dark: Export, kinds: Collection[str]) -> Pictures:
    """Return pictures of a chart in its two themes."""
    drawn: dict[str, Drawing] = {}
    out: Pictures = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeadspecWarning)  # a gallery of many pictures repeats them
        for kind in kinds:
            theme = "dark" if kind == "thumb-dark" else "light"
            if theme not in drawn:
                drawn[theme] = draw_export(dark if theme == "dark" else light)
            drawing = drawn[theme]
            if kind == "png":
                out[kind] = drawing.to_png(scale=2)
            elif kind == "svg":
                out[kind] = drawing.to_svg()
            elif kind == "pdf":
                try:
                    out[kind] = drawing.to_pdf()
                except RenderError as error:
                    out[kind] = error  # the renderer has no way to put some fonts into a PDF, those of emoji for one
            else:
                out[kind] = thumbnail(replace(drawing, text=without_title(drawing.text)).to_png(scale=1))
    return out


class Drawers:
    """Draw the pictures of cards in up to so many processes at once; with one, in this process."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._begun = 0
        self._pool: ProcessPoolExecutor | None = None

    def begin(self, light: Export, dark: Export, kinds: Collection[str]) -> Callable[[], Pictures]:
        """Begin to draw, and return what waits for the pictures."""
        if not kinds:
            return dict
        self._begun += 1
        if self.workers == 1 or self._begun <= PATIENCE:
            return lambda: draw_pictures(light, dark, kinds)
        if self._pool is None:
            # spawned, as the renderer hangs in a process that was forked after its first picture
            self._pool = ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            return self._waiting(self._pool.submit(draw_pictures, light, dark, kinds))
        except BrokenProcessPool:  # of an earlier card
            self._pool = None
            return self.begin(light, dark, kinds)

    def _waiting(self, drawn: Future[Pictures]) -> Callable[[], Pictures]:
        def wait() -> Pictures:
            try:
                return drawn.result()
            except BrokenProcessPool as error:
                raise RenderError("a process that draws pictures ended; with one worker it may go better") from error

        return wait

    def __enter__(self) -> Drawers:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes; what they have not begun is not drawn."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
