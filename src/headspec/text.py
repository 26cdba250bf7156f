"""Text from outside, cleaned once where it enters, and the small phrases that charts are labelled with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# One control character in drawn text aborts the renderer and the process with it; a bidirectional override
# reorders its neighbours on the page. Newlines and tabs are drawn as nothing, and a reader needs to see them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
    + "]"
)


_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _visible(match: re.Match[str]) -> str:
    # escapes, not the pictures of U+2400: the renderer's own font has no such glyphs
    character = match.group()
    code = ord(character)
    return _SHORT.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def clean(text: object) -> str:
    r"""Return text that is safe to draw: control characters become visible escapes.

    Parameters
    ----------
    text
        Any object; its ``str`` is used, and bytes are decoded as UTF-8 (what is not UTF-8 is shown as ``\xNN``).

    Returns
    -------
    str
        The text with control characters, bidirectional overrides, lone surrogates and non-characters as the escapes
        that Python writes for them (``\n``, ``\x00``, ``\u202e``).

    Examples
    --------
    >>> print(clean("a\x00b\n"))
    a\x00b\n
    """
    raw = text.decode("utf-8", "backslashreplace") if isinstance(text, (bytes, bytearray)) else str(text)
    return _UNSAFE.sub(_visible, raw)


def listing(names: Iterable[object], *, limit: int = 8, last: str = "and") -> str:
    """Join names for a sentence and say how many were left out.

    Examples
    --------
    >>> listing(["a", "b", "c"])
    'a, b and c'
    >>> listing(range(12), limit=3)
    '0, 1, 2 and 9 more'
    """
    items = [clean(name) for name in names]
    if len(items) > limit:
        return f"{', '.join(items[:limit])} {last} {len(items) - limit:,} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 head``, ``1,024 heads``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def head_name(layer: int, head: int) -> str:
    """Return what the field calls a head: ``L3 H5``."""
    return f"L{layer} H{head}"


def head_names(pairs: Sequence[tuple[int, int]], *, limit: int = 8) -> str:
    """Join the names of heads for a sentence."""
    return listing([head_name(layer, head) for layer, head in pairs], limit=limit)


def number(value: float, *, digits: int = 3) -> str:
    """Return a number as a reader would write it: three significant digits, thousands grouped, a true minus.

    Examples
    --------
    >>> number(0.000123), number(12345.6), number(-0.5)
    ('0.000123', '12,346', '−0.5')
    """
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e7):
        text = f"{value:.{digits - 1}e}"
    elif size >= 10 ** (digits - 1):
        text = f"{value:,.0f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−") if "e" not in text else ("−" + text[1:] if text.startswith("-") else text)
