"""The project's own gallery, built from the example scripts and the recorded run."""

from __future__ import annotations

import os
import sys

from headspec.site.build import build_gallery
from headspec.site.cards import Card, examples, read_example
from headspec.sources.recording import gallery_folder

TEXT = (
    "Attention heads of a small language model that was trained while heads were pruned and revived, and of two pretrained "
    "encoders: every chart of headspec, drawn from recorded runs."
)


def build_demo(folder: str | os.PathLike[str], *, workers: int = 1) -> int:
    """Build the gallery, say on the terminal what happens, and return the exit code."""
    scripts = examples(gallery_folder() / "examples")
    cards: list[Card] = []
    failed: list[tuple[str, str]] = []
    for number, path in enumerate(scripts, 1):
        _say(f"[{number}/{len(scripts)}] running {path.name}")
        try:
            cards.append(read_example(path))
        except Exception as error:  # the others are built all the same
            failed.append((path.name, f"{type(error).__name__}: {error}"))
    built = build_gallery(
        cards,
        folder,
        title="headspec gallery",
        text=TEXT,
        progress=lambda number, total, title: _say(f"[{number}/{total}] drawing {title}"),
        workers=workers,
    )
    failed += built.failed
    for title, reason in failed:
        print(f"headspec: {title} failed: {reason}", file=sys.stderr)
    _say(built.said())
    _say(f"Open {built.index.resolve().as_uri()}")
    return 1 if failed else 0


def _say(text: str) -> None:
    print(text, flush=True)
