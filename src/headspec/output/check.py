"""What is refused before anything is converted: addresses, unsafe text, broken names, and charts too big to draw.

The renderer fetches what a spec tells it to fetch, aborts the whole process on one control character in drawn text and at
about a million marks, and draws nothing at all, without a word, where a field's name is not what it seems.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headspec.errors import DataError, RenderError
from headspec.output.jsontext import compact
from headspec.output.marks import Count, count_marks
from headspec.text import clean, count, listing

if TYPE_CHECKING:
    from headspec.output.spec import Export

MAX_MARKS = 200_000
"""Marks that are drawn unless the caller allows more: about 30 µs each, and a million of them abort the process."""
MAX_TEXTS = 20_000
"""Text labels that are drawn unless the caller allows more marks: about 1 ms each."""
MAX_PIXELS = 100_000_000
"""Pixels of an image: 10,000 × 10,000."""

_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)[;,]", re.IGNORECASE)
# What cannot be drawn, as it stands in JSON text: C0 controls other than tab and line ends, which JSON escapes …
_CONTROL = re.compile(r"(?<!\\)(?:\\\\)*\\(?:u00[01]|[bf])")
# … and non-characters and lone surrogates, which it does not.
_NONCHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")
_DRAWN_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LINE_END = re.compile("[\r\n\u2028\u2029]")
_NAME_TROUBLE = re.compile(r"[.\[\]'\"\\\r\n]")
_RESERVED = frozenset({"constructor", "toString", "__proto__", "hasOwnProperty", "valueOf"})


def check_safe(taken: Export) -> None:
    """Refuse a chart that asks for addresses, or holds text or names that break the renderer.

    Raises
    ------
    DataError
        It says where in the chart, what stands there, and what to do.
    """
    columns = dict.fromkeys(name for item in taken.datasets.values() for name in item.columns)
    troubled = {name for name in columns if _NAME_TROUBLE.search(name)}
    image_fields: list[str] = []
    for path, node in _nodes(taken.spec, "chart"):
        _check_node(path, node, troubled)
        image_fields += _image_fields(node)
    _check_images(taken, image_fields)
    _check_text(taken)


def _nodes(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every object of a spec with its path."""
    if isinstance(node, Mapping):
        yield path, node
        for key, item in node.items():
            if isinstance(item, (Mapping, list)):
                yield from _nodes(item, f"{path}.{key}")
    elif isinstance(node, list):
        for place, item in enumerate(node):
            if isinstance(item, (Mapping, list)):
                yield from _nodes(item, f"{path}[{place}]")


def _check_node(path: str, node: Mapping[str, Any], troubled: set[str]) -> None:
    data = node.get("data")
    if isinstance(data, Mapping) and "url" in data:
        raise DataError(
            f"{path}.data is an address ({clean(data['url'])[:80]}): images and offline pages fetch nothing; "
            "read it into a DataFrame first"
        )
    if "href" in node:
        raise DataError(f"{path}.href links to other places, which an image or offline page cannot: leave it out")
    if isinstance(node.get("usermeta"), Mapping):
        _check_embed_options(f"{path}.usermeta.embedOptions", node["usermeta"].get("embedOptions"))
    url = node.get("url")
    if isinstance(url, str) and not _IMAGE.match(url):
        raise DataError(f"{path}.url is {clean(url)[:80]!r}: an image is drawn from a data: address (data:image/png;…)")
    field = node.get("field")
    if isinstance(field, str):
        _check_field(path, field, troubled)
    if "field" in node or "aggregate" in node:
        guides = (
            node,
            *(node[guide] for guide in ("axis", "legend", "header") if isinstance(node.get(guide), Mapping)),
        )
        for title in (guide.get("title") for guide in guides):
            if isinstance(title, str) and _LINE_END.search(title):  # it ends the string that Vega's tooltips make of it
                raise DataError(
                    f"{path} has a title with a line end ({clean(title)[:60]!r}), which Vega cannot read in a tooltip: "
                    "give the lines as a list, title=[…, …]"
                )


def _check_embed_options(path: str, options: Any) -> None:
    """Refuse what would make a page fetch, patch itself or evaluate text; Vega's own themes are asked for by name here."""
    for key, value in (options or {}).items() if isinstance(options, Mapping) else [("", options)] if options else []:
        named = key == "theme" and isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9]+", value)
        if not (named or (key == "actions" and value is False) or (key == "renderer" and value in ("svg", "canvas"))):
            raise DataError(f"{path} has {clean(key)!r}, which can make a page fetch or patch itself: leave it out")


def _check_field(path: str, field: str, troubled: set[str]) -> None:
    if field in troubled and "\\" not in field:
        raise DataError(
            f"{path}.field {clean(field)!r} is read as a path, and nothing would be drawn: rename the column to "
            "letters, digits and '_', and keep its name as the title"
        )
    if field in _RESERVED or "\n" in field or '"' in field:
        raise DataError(
            f"{path}.field {clean(field)!r} is a name that breaks Vega: rename the column, and keep its name as the title"
        )


def _image_fields(node: Mapping[str, Any]) -> list[str]:
    """Return the columns that hold the addresses of images, in an encoding."""
    channel = node.get("url")
    if not isinstance(channel, Mapping):
        return []
    items = [channel, *(channel.get("condition") or [] if isinstance(channel.get("condition"), list) else [])]
    for item in (*items, channel.get("condition")):
        if isinstance(item, Mapping):
            value = item.get("value")
            if isinstance(value, str) and not _IMAGE.match(value):
                raise DataError(
                    f"the url of an image mark is {clean(value)[:80]!r}: an image is drawn from a data: address"
                )
    return [str(item["field"]) for item in items if "field" in item]


def _check_images(taken: Export, fields: list[str]) -> None:
    for field in fields:
        for item in taken.datasets.values():
            if field not in item.columns:
                continue
            bad = next(
                (row[field] for row in item.rows if isinstance(row.get(field), str) and not _IMAGE.match(row[field])),
                None,
            )
            if bad is not None:
                raise DataError(
                    f"column {clean(field)!r} holds the address {clean(bad)[:80]!r}: an image is drawn from a data: "
                    "address (data:image/png;…)"
                )


def foreign_address(svg: str) -> str | None:
    """Return an address that a drawn SVG refers to outside itself, which a computed column can put there; None if none."""
    for match in re.finditer(r'href="([^"#][^"]*)"|url\(["\']?([^"\'#)][^)]*)\)"', svg):
        address = match.group(1) or match.group(2)
        if not _IMAGE.match(address):
            return address
    return None


def _check_text(taken: Export) -> None:
    """Refuse text that aborts the renderer: of the spec all but descriptions, of the rows the columns that it uses."""
    drawn = _undescribed(taken.spec)
    spec = compact(drawn)
    if _unsafe(spec):
        for path, text in _strings(drawn, "chart"):
            if _DRAWN_UNSAFE.search(text):
                raise _unclean(path, text)
    for item in taken.datasets.values():
        if _unsafe(item.text):
            _check_rows(item.rows, spec)


def _unsafe(text: str) -> bool:
    return ("\\" in text and _CONTROL.search(text) is not None) or (
        not text.isascii() and _NONCHARACTER.search(text) is not None
    )


def _check_rows(rows: list[Any], spec: str) -> None:
    for place, row in enumerate(rows):
        for path, text in _strings(row, ""):
            column = path.lstrip(".").split("[")[0]
            if _DRAWN_UNSAFE.search(text) and compact(column)[1:-1] in spec:
                raise _unclean(f"column {clean(column)!r} (row {place})", text)


def _unclean(where: str, text: str) -> DataError:
    return DataError(
        f"{where} holds characters that cannot be drawn: {clean(text)[:80]!r}; "
        "pass text through headspec.text.clean, which makes them visible"
    )


def _undescribed(node: Any) -> Any:
    """Return a spec without its descriptions, which nobody draws."""
    if isinstance(node, Mapping):
        return {key: _undescribed(item) for key, item in node.items() if key != "description"}
    return [_undescribed(item) for item in node] if isinstance(node, list) else node


def _strings(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, Mapping):
        for key, item in node.items():
            yield f"{path}.{clean(key)}", str(key)
            yield from _strings(item, f"{path}.{key}")
    elif isinstance(node, list):
        for place, item in enumerate(node):
            yield from _strings(item, f"{path}[{place}]")


def check_marks(taken: Export, *, max_marks: int = MAX_MARKS) -> Count:
    """Count the marks of a chart and refuse what would take minutes or abort the process.

    Parameters
    ----------
    taken
        The chart.
    max_marks
        The most marks to draw; of text labels a tenth.

    Returns
    -------
    Count
        How many marks it draws at most.

    Raises
    ------
    RenderError
        If it is too many: it says how many, and what helps.
    """
    limit_texts = max_marks * MAX_TEXTS // MAX_MARKS
    total = count_marks(taken.spec, taken.datasets)
    if total.marks > max_marks or total.texts > limit_texts:
        total = count_marks(taken.spec, taken.datasets, exact=True)
    if total.marks > max_marks:
        raise RenderError(
            f"the chart draws up to {count(total.marks, 'mark')}, and {max_marks:,} is the most that is drawn (each costs "
            "about 30 µs, and a million abort the process): pool or aggregate the rows first, draw a matrix as an image "
            "(headspec's own charts do both), or allow it with max_marks="
        )
    if total.texts > limit_texts:
        raise RenderError(
            f"the chart draws up to {count(total.texts, 'text label')}, and {limit_texts:,} is the most that is drawn (each "
            "costs about 1 ms, and so many cannot be read): leave the text out, or allow it with max_marks="
        )
    return total


def check_pixels(width: float, height: float, scale: int) -> None:
    """Refuse an image of more pixels than memory should hold."""
    pixels = width * scale * height * scale
    if pixels > MAX_PIXELS:
        raise RenderError(
            f"the image would have {round(width * scale):,} × {round(height * scale):,} pixels, and {MAX_PIXELS:,} in all is "
            f"the most: the chart is {round(width):,} × {round(height):,} px, so lower scale= or dpi=, or save it as .svg or .pdf"
        )


def missing_fields(taken: Export) -> str:
    """Return words on the fields of a chart that no row has; empty if every field is known."""
    known = {name for item in taken.datasets.values() for name in item.columns}
    made = set(re.findall(r'"as":"((?:[^"\\]|\\.)*)"', compact(taken.spec)))
    fields = {
        node["field"]
        for path, node in _nodes(taken.spec, "")
        if isinstance(node.get("field"), str) and "encoding" in path
    }
    absent = sorted(fields - known - made)
    if not absent:
        return ""
    return f"no row has {listing(map(repr, absent))}; the columns are {listing(map(repr, sorted(known)))}"
