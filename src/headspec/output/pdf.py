"""PDF as bytes: one order of its objects, and words that go with the document.

The renderer lists fonts, patterns and their objects in the order of hash maps, which differs from call to call. The objects are put
into the order in which the document refers to them, and numbered anew.
"""

from __future__ import annotations

import re

_OBJECT = re.compile(rb"(\d+) 0 obj\s")
_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
_RESOURCES = re.compile(rb"<<\s*((?:/\w+ \d+ 0 R\s*){2,})>>")
_LENGTH = re.compile(rb"/Length (\d+)\b")


def stable(pdf: bytes, *, title: str = "", description: str = "") -> bytes:
    """Return the document with its objects in one order, and with a title, subject and language.

    A document of a form that is not understood here is returned as it is.
    """
    try:
        objects, root = _objects(pdf)
        return _written(objects, root, title, description)
    except (ValueError, KeyError, IndexError, AttributeError):
        return pdf


def _objects(pdf: bytes) -> tuple[dict[int, tuple[bytes, bytes]], int]:
    """Return the head and the stream of each object, by number, and the number of the root."""
    objects: dict[int, tuple[bytes, bytes]] = {}
    place = pdf.index(b" 0 obj") - 8
    place = max(place, 0)
    while (found := _OBJECT.search(pdf, place)) is not None:
        end, stream = pdf.index(b"endobj", found.end()), pdf.find(b"stream", found.end())
        if 0 <= stream < end:
            head = pdf[found.end() : stream]
            start = stream + len(b"stream\r\n" if pdf[stream + 6 : stream + 8] == b"\r\n" else b"stream\n")
            size = int(_LENGTH.search(head).group(1))  # type: ignore[union-attr]
            body = pdf[start : start + size]
            end = pdf.index(b"endobj", start + size)
        else:
            head, body = pdf[found.end() : end], b""
        objects[int(found.group(1))] = (_RESOURCES.sub(_sorted, head.strip()), body)
        place = end + len(b"endobj")
    root = int(re.search(rb"/Root (\d+) 0 R", pdf[place:]).group(1))  # type: ignore[union-attr]
    return objects, root


def _sorted(match: re.Match[bytes]) -> bytes:
    """Return a dictionary of resources (fonts, patterns, images) with its names in order."""
    return b"<< " + b" ".join(sorted(re.findall(rb"/\w+ \d+ 0 R", match.group(1)))) + b" >>"


def _written(objects: dict[int, tuple[bytes, bytes]], root: int, title: str, description: str) -> bytes:
    order: dict[int, int] = {}
    waiting = [root]
    while waiting:
        number = waiting.pop()
        if number in order:
            continue
        order[number] = len(order) + 1
        waiting += reversed([int(found) for found in _REFERENCE.findall(objects[number][0])])
    out = bytearray(b"%PDF-1.7\n%\x80\x80\x80\x80\n")
    places = []
    for number, fresh in order.items():
        head, body = objects[number]
        head = _REFERENCE.sub(lambda match: b"%d 0 R" % order[int(match.group(1))], head)
        if number == root:
            head = (
                head.removesuffix(b">>").rstrip()
                + b"\n  /Lang (en)\n  /ViewerPreferences << /DisplayDocTitle true >>\n>>"
            )
        places.append(len(out))
        out += b"%d 0 obj\n%b" % (fresh, head)
        out += b"\nstream\n" + body + b"\nendstream" if body or b"/Length" in head else b""
        out += b"\nendobj\n\n"
    places.append(len(out))
    words = {b"Title": title, b"Subject": description, b"Creator": "headspec"}
    told = b"".join(b"\n  /%b %b" % (key, _text(text)) for key, text in words.items() if text)
    out += b"%d 0 obj\n<<%b\n>>\nendobj\n\n" % (len(places), told)
    table = b"".join(b"%010d 00000 n\r\n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f\r\n%b" % (len(places) + 1, table)
    out += b"trailer\n<<\n  /Size %d\n  /Root 1 0 R\n  /Info %d 0 R\n>>\n" % (len(places) + 1, len(places))
    return bytes(out + b"startxref\n%d\n%%%%EOF" % start)


def _text(text: str) -> bytes:
    """Return a text string of PDF: UTF-16 as hexadecimal digits."""
    return b"<" + (b"\xfe\xff" + text.encode("utf-16-be")).hex().upper().encode() + b">"
