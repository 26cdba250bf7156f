"""Cards: what a gallery is made of, and how one is read from an example script."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headspec.catalog import CHARTS, Entry
from headspec.errors import DataError, HeadspecError
from headspec.text import clean, listing

if TYPE_CHECKING:
    from altair.typing import ChartType

BETWEEN = " · "
"""What stands between the title of a chart and that of its run."""


@dataclass(frozen=True)
class Card:
    """One chart of a gallery with the words around it.

    Attributes
    ----------
    chart
        Any Altair chart.
    title, question, text
        Its heading, the question that it answers, and what else a reader should know.
    category
        The filter that it falls under.
    tags
        What the search finds it by, besides its title.
    code
        The Python that draws it.
    reading
        How to read it, one paragraph each.
    name
        The name of its page; made of the title if empty.
    kind
        What kind of chart it is, ``"entropy-heatmap"`` say; the search finds it by this too.
    theme
        The one theme that it is drawn in, ``"paper"`` say; empty to follow the reader's choice of light and dark.

    Examples
    --------
    >>> import headspec
    >>> chart = headspec.visualize_entropy_heatmap([[0.2, 1.9], [1.1, 0.7]])
    >>> headspec.Card(chart, "Entropy", question="Which heads attend sharply?", tags=["entropy"]).category
    'Charts'
    """

    chart: ChartType
    title: str
    question: str = ""
    text: str = ""
    category: str = "Charts"
    tags: Sequence[str] = ()
    code: str = ""
    reading: Sequence[str] = ()
    name: str = ""
    kind: str = ""
    theme: str = ""

    def __post_init__(self) -> None:
        for part in ("title", "question", "text", "category", "kind"):
            object.__setattr__(self, part, clean(getattr(self, part)))
        object.__setattr__(self, "tags", tuple(clean(tag) for tag in self.tags))
        object.__setattr__(self, "reading", tuple(clean(paragraph) for paragraph in self.reading))


@dataclass(frozen=True)
class Overview:
    """A page that shows several charts together, live and linked: that of a run.

    Attributes
    ----------
    name, title, text
        The name of its page, its heading and a sentence.
    live
        The cards whose charts are drawn on it; a head that is picked in one is picked in all of them.
    cards
        All its cards.
    used, unused
        Files and what they are, files and why they are not drawn.
    """

    name: str
    title: str
    text: str
    live: Sequence[Card]
    cards: Sequence[Card]
    used: Sequence[tuple[str, str]] = ()
    unused: Sequence[tuple[str, str]] = ()

    def short(self, card: Card) -> str:
        """Return a card's title without the run's, which the page says itself."""
        return card.title.removesuffix(f"{BETWEEN}{self.title}")


def slug(text: str) -> str:
    """Return text as the name of a file and part of an address: lower-case words, hyphens, nothing else."""
    words = re.findall(r"[a-z0-9]+", clean(text).lower())
    return "-".join(words)[:80].rstrip("-") or "chart"


def read_example(path: Path) -> Card:
    """Run an example script and return its card.

    The script's docstring holds the title, the question and the text as paragraphs, then ``category:`` and ``tags:``, and ``theme:`` where it has one;
    its last assignment is ``chart``.
    """
    source = path.read_text(encoding="utf-8")
    found = re.match(r'"""(.*?)"""\s*', source, re.S)
    if found is None:
        raise DataError(f"{path.name} does not start with a docstring: title, question, text, category, tags")
    paragraphs = [part.strip() for part in found.group(1).split("\n\n")]
    about = dict(re.findall(r"^(\w+): *(.+)$", paragraphs[-1], re.M))
    if len(paragraphs) < 4 or not {"category", "tags"} <= set(about):
        raise DataError(f"{path.name}: its docstring has a title, a question, a text, then category: and tags:")
    code = source[found.end() :].strip() + "\n"
    try:
        chart = runpy.run_path(str(path))["chart"]
    except KeyError:
        raise DataError(f"{path.name} does not assign a chart to the name 'chart'") from None
    title, question, *rest = paragraphs[:-1]
    return Card(
        chart=chart,
        title=title,
        question=question,
        text=" ".join(" ".join(rest).split()),
        category=about["category"],
        tags=tuple(tag.strip() for tag in about["tags"].split(",")),
        code=code,
        reading=reading_of(code),
        kind=" ".join(entry.kind for entry in _used(code)),
        name=slug(re.sub(r"^\d+_", "", path.stem)),
        theme=about.get("theme", ""),
    )


def _used(code: str) -> list[Entry]:
    return [entry for entry in CHARTS if f"headspec.{entry.name}(" in code]


def reading_of(code: str) -> list[str]:
    """Return how to read the chart that some code draws, as the docstring of the last function in it says."""
    import headspec

    used = _used(code)
    return reading_of_doc(getattr(headspec, used[-1].name)) if used else []


def signature_of(code: str) -> str:
    """Return the name and the arguments of the last chart function in some code, with their defaults."""
    import headspec

    used = _used(code)
    if not used:
        return ""
    parts: list[str] = []
    for item in inspect.signature(getattr(headspec, used[-1].name)).parameters.values():
        if item.kind == item.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts.append(str(item.replace(annotation=item.empty)))
    return f"{used[-1].name}(\n{''.join(f'    {part},{chr(10)}' for part in parts)})"


def reading_of_doc(function: object) -> list[str]:
    """Return how to read the chart of a function, one paragraph each, as its docstring says."""
    found = re.search(r"Reading it: (.*?)(?=\n\s*(?:Examples|References)\n\s*-+|\Z)", function.__doc__ or "", re.S)
    if found is None:
        return []
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", found.group(1))]
    plain = [re.sub(r"``?([^`]+)``?", r"\1", block) for block in blocks if block]
    return [block[0].upper() + block[1:] for block in plain]


def examples(folder: Path) -> list[Path]:
    """Return the example scripts of a gallery folder, in the order of their names."""
    found = sorted(folder.glob("*.py"))
    if not found:
        raise DataError(f"{folder} holds no example scripts")
    return found


def named(cards: Sequence[Card]) -> list[tuple[str, Card]]:
    """Return the cards with the names of their pages, each name once."""
    taken: dict[str, int] = {}
    out = []
    for card in cards:
        base = slug(card.name or card.title)
        taken[base] = taken.get(base, 0) + 1
        out.append((base if taken[base] == 1 else f"{base}-{taken[base]}", card))
    twice = [name for name in {name for name, _ in out} if [other for other, _ in out].count(name) > 1]
    if twice:  # "a", "a" and "a-2" in one gallery
        raise HeadspecError(f"two cards would have the page {listing(twice)}; give them name=")
    return out
