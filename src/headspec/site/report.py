"""``headspec report``: folders of runs become a site."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headspec.errors import DataError, HeadspecError, HeadspecWarning
from headspec.site.build import Built, build_site
from headspec.site.cards import BETWEEN, Card, Overview, slug
from headspec.site.compare import comparisons
from headspec.site.drafts import Draft
from headspec.site.run_cards import drafts_of
from headspec.site.run_words import grid_of
from headspec.sources.run import Run
from headspec.sources.run_folder import read_run
from headspec.text import clean, count, listing

Say = Callable[[str], None]
_MOST_LIVE = 12


def build_report(
    folders: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    title: str = "",
    templates: str | os.PathLike[str] | None = None,
    force: bool = False,
    say: Say = lambda _: None,
    workers: int = 1,
) -> Built:
    """Build a site of the runs in some folders.

    Parameters
    ----------
    folders
        Run folders (see `headspec.sources.run_folder.read_run`).
    folder, title, templates, force, workers
        As in `headspec.build_gallery`.
    say
        Called with each line of the build log.

    Returns
    -------
    Built
        What was written, and what failed: charts and, if there are others, whole runs.

    Raises
    ------
    DataError
        No usable run, or the output folder cannot be used.
    """
    failed: list[tuple[str, str]] = []
    runs = _read(folders, folder, failed, say)
    made: list[tuple[Run, list[tuple[Draft, Card]]]] = []
    drafts = [(run, drafts_of(run)) for run in runs]
    compared = list(comparisons(runs))
    total, number = sum(len(found) for _, found in drafts) + len(compared), 0
    for run, found in drafts:
        mine: list[tuple[Draft, Card]] = []
        for draft in found:
            number += 1
            say(f"[{number}/{total}] {run.title}: {draft.title}")
            card = _made(draft.card, f"{run.title}: {draft.title}", failed, say)
            if card is not None:
                mine.append((draft, _of_run(card, run) if len(runs) > 1 else card))
        made.append((run, mine))
    both: list[tuple[bool, Card]] = []
    for name, is_live, make in compared:
        number += 1
        say(f"[{number}/{total}] comparing: {name}")
        card = _made(make, name, failed, say)
        both += [(is_live, card)] if card is not None else []
    overviews = [_overview(run, mine) for run, mine in made]
    if both:
        live = [card for is_live, card in both if is_live][:_MOST_LIVE]
        text = f"The same charts of {listing([run.title for run in runs])} on shared scales, and what differs."
        name = "comparison" + "-of-runs" * any(item.name == "comparison" for item in overviews)
        overviews.insert(0, Overview(name, "The runs compared", text, live, [card for _, card in both]))
    cards = [card for _, card in both] + [card for _, mine in made for _, card in mine]
    built = build_site(
        cards,
        folder,
        title=clean(title) or (runs[0].title if len(runs) == 1 else "Runs"),
        text=_text(runs),
        overviews=overviews,
        templates=templates,
        force=force,
        progress=lambda place, all_of, name: say(f"[{place}/{all_of}] drawing {clean(name)}"),
        workers=workers,
    )
    built.failed[:0] = failed
    return built


def _read(folders: Sequence[Any], target: Any, failed: list[tuple[str, str]], say: Say) -> list[Run]:
    if not folders:
        raise DataError("no run was given; give one folder or several")
    runs: list[Run] = []
    for place, name in zip(folders, _names(folders), strict=True):
        if Path(place).expanduser().resolve() == Path(target).expanduser().resolve():
            raise DataError(f"{clean(place)} is a run and the folder for the site; give another one for the site")
        try:
            run = read_run(place, name=name)
        except HeadspecError as error:
            if len(folders) == 1:
                raise
            failed.append((clean(place), clean(error)))
            continue
        say(f"{run.title}: {clean(place)}")
        for file, what in run.used:
            say(f"  {file}: {what}")
        for file, reason in run.unused:
            say(f"  not drawn: {file}: {reason}")
        runs.append(run)
    if not runs:
        raise DataError("; ".join(reason for _, reason in failed))
    return runs


def _names(folders: Sequence[Any]) -> list[str]:
    """Return names that tell the runs apart: as many last parts of their paths as that takes."""
    parts = [Path(item).expanduser().resolve().parts for item in folders]
    depth = 1
    while depth < max(map(len, parts)) and len({slug("/".join(item[-depth:])) for item in parts}) < len(parts):
        depth += 1
    names = [clean("/".join(item[-depth:])) for item in parts]
    if len({slug(name) for name in names}) < len(names):
        return [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def _made(make: Callable[[], Card], name: str, failed: list[tuple[str, str]], say: Say) -> Card | None:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            card = make()
    except Exception as error:  # the others are drawn all the same
        if isinstance(error, MemoryError):
            raise
        failed.append(
            (name, clean(error) if isinstance(error, HeadspecError) else f"{type(error).__name__}: {clean(error)}")
        )
        return None
    for text in dict.fromkeys(clean(item.message) for item in caught if issubclass(item.category, HeadspecWarning)):
        say(f"  {text}")
    return card


def _of_run(card: Card, run: Run) -> Card:
    return replace(card, name=f"{slug(run.name)}-{card.name}", title=f"{card.title}{BETWEEN}{run.title}")


def _overview(run: Run, mine: Sequence[tuple[Draft, Card]]) -> Overview:
    live = [card for draft, card in mine if draft.live][:_MOST_LIVE]
    return Overview(slug(run.name), run.title, _about(run), live, [card for _, card in mine], run.used, run.unused)


def _about(run: Run) -> str:
    grid = grid_of(run)
    found = [f"{grid[0]} layers × {grid[1]} heads"] if grid else []
    for items, one, more in (
        (run.histories, "a history", "histories"),
        (run.results, "a results table", "results tables"),
        (run.events, "an event list", "event lists"),
    ):
        found += [one if len(items) == 1 else f"{len(items)} {more}"] if items else []
    found += [f"attention of {count(len(run.attention), 'text')}"] if run.attention else []
    text = listing(found) or "charts of one run"
    return f"{text[:1].upper()}{text[1:]}."


def _text(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return f"{_about(runs[0])[:-1]}, drawn from {count(len(runs[0].used), 'file')}."
    return f"{count(len(runs), 'run')}: {listing([run.title for run in runs])}."
