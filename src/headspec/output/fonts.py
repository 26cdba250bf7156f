"""Which characters and families the renderer has no font for: it is asked, with a small picture."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from html import escape

from headspec.errors import HeadspecError
from headspec.output.png import pixels
from headspec.text import listing

GENERIC = frozenset({"sans-serif", "serif", "monospace", "cursive", "fantasy", "system-ui"})
_CELL = 40  # px a character has for itself, wider than any glyph at 16 px
_LIMIT = 400  # characters asked for at once, a millisecond each
_MISSING = "\u0378"  # a place that Unicode has never assigned: every font draws its box
_FONTS = {"CJK": "Noto Sans CJK", "HIRAGANA": "Noto Sans CJK", "KATAKANA": "Noto Sans CJK", "HANGUL": "Noto Sans CJK"}

_known: set[str] = set()  # characters that some font has; those without are asked for again, as fonts may be added


def missing_characters(characters: Iterable[str], to_png: Callable[[str], bytes]) -> list[str]:
    """Return the characters that would be drawn as boxes.

    Parameters
    ----------
    characters
        Single characters.
    to_png
        What draws an SVG: the renderer that will draw the chart.
    """
    asked = sorted(char for char in set(characters) - _known if _has_shape(char))[:_LIMIT]
    if not asked:
        return []
    cells = _pictures([_MISSING, *asked], to_png)
    missing = [char for char, cell in zip(asked, cells[1:], strict=True) if cell == cells[0]]
    _known.update(set(asked) - set(missing))
    return missing


def _has_shape(char: str) -> bool:
    return not char.isascii() and unicodedata.category(char) not in (
        "Mn",
        "Mc",
        "Me",
        "Zs",
        "Zl",
        "Zp",
        "Cc",
        "Cf",
        "Cs",
    )


def _pictures(characters: list[str], to_png: Callable[[str], bytes]) -> list[bytes]:
    """Return the pixels of each character, one below the other in one picture."""
    lines = "".join(
        f'<text x="12" y="{_CELL * row + 28}" font-size="16" font-family="sans-serif">{escape(char)}</text>'
        for row, char in enumerate(characters)
    )
    size = f'width="{_CELL}" height="{_CELL * len(characters)}"'
    width, _, data = pixels(to_png(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{lines}</svg>'))
    step = width * 4 * _CELL
    return [data[step * row : step * (row + 1)] for row in range(len(characters))]


def characters_warning(missing: list[str]) -> str:
    """Return the words of the warning about characters without a font."""
    shown = listing([f"{char!r} (U+{ord(char):04X})" for char in missing], limit=6)
    names = dict.fromkeys(_font_for(char) for char in missing)
    return (
        f"no installed font has {shown}: they are drawn as boxes; install a font such as {listing(names, last='or')}, or "
        "point the renderer at one with vl_convert.register_font_directory(folder)"
    )


def _font_for(char: str) -> str:
    script = unicodedata.name(char, "").split(" ")[0]
    if unicodedata.category(char) == "So" and ord(char) >= 0x1F000:
        return "Noto Color Emoji"
    return _FONTS.get(script, f"Noto Sans {script.title()}" if unicodedata.category(char) == "Lo" else "Noto Sans")


def with_fallback(spec: str) -> tuple[str, list[str]]:
    """Return a spec's JSON with a generic family behind every font, and the fonts that stood alone.

    A family alone that is not installed would draw no text at all, and without a word.
    """
    alone: dict[str, None] = {}

    def complete(match: re.Match[str]) -> str:
        names = [name.strip(" '\"") for name in match.group(2).replace('\\"', "").split(",")]
        if GENERIC.intersection(names):
            return match.group()
        if len(names) == 1 and names[0]:
            alone[names[0]] = None
        return f'"{match.group(1)}":"{match.group(2)}, sans-serif"'

    return re.sub(r'"(\w*[fF]ont)":"((?:[^"\\]|\\.)*)"', complete, spec), list(alone)


def missing_families(names: Iterable[str], to_png: Callable[[str], bytes]) -> list[str]:
    """Return the families that the renderer does not have."""
    return [name for name in names if not _draws(name, to_png)]


def _draws(family: str, to_png: Callable[[str], bytes]) -> bool:
    text = f'<text x="4" y="28" font-size="24" font-family="{escape(family)}">M</text>'
    try:
        _, _, data = pixels(to_png(f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">{text}</svg>'))
    except (ValueError, HeadspecError):
        return False
    return any(data)
