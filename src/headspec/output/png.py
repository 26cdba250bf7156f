"""PNG as bytes: the resolution and words that go with an image."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INCH = 0.0254


def with_metadata(png: bytes, *, ppi: float, texts: Mapping[str, str]) -> bytes:
    """Return the PNG with its pixels per inch and with texts such as ``Description``.

    Parameters
    ----------
    png
        The image.
    ppi
        Pixels per inch; PNG holds them as whole pixels per metre.
    texts
        Keyword → text, in UTF-8 (``iTXt``).
    """
    metre = round(ppi / _INCH).to_bytes(4, "big")
    out = [_SIGNATURE]
    for kind, body in chunks(png):
        if kind == b"pHYs":
            continue
        out.append(_chunk(kind, body))
        if kind == b"IHDR":
            out.append(_chunk(b"pHYs", metre + metre + b"\x01"))
            out += [
                _chunk(b"iTXt", key.encode("latin-1") + b"\0\0\0\0\0" + text.encode())
                for key, text in texts.items()
                if text
            ]
    return b"".join(out)


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and body of each chunk of a PNG."""
    place = len(_SIGNATURE)
    while place + 8 <= len(png):
        size = int.from_bytes(png[place : place + 4], "big")
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        place += 12 + size


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def packed(png: bytes) -> bytes:
    """Return the same picture in fewer bytes, mostly a third: what is embedded in a page or a notebook is read many times.

    The renderer writes differences to the pixel on the left (filter 1) and compresses them fast. Charts have few colours and
    long runs of them, which pack better as they are.
    """
    parts = list(chunks(png))
    header = next(body for kind, body in parts if kind == b"IHDR")
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    if header[8:13] == b"\x08\x06\0\0\0":
        lines = np.frombuffer(raw, np.uint8).reshape(int.from_bytes(header[4:8], "big"), -1)
        if (lines[:, 0] == 1).all():
            rows = lines[:, 1:].reshape(len(lines), -1, 4)
            plain = np.zeros_like(lines)
            plain[:, 1:] = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(len(lines), -1)
            raw = plain.tobytes()
    out = [_SIGNATURE]
    for kind, body in parts:
        if kind == b"IEND":
            out.append(_chunk(b"IDAT", zlib.compress(raw, 6)))
        if kind != b"IDAT":
            out.append(_chunk(kind, body))
    best = b"".join(out)
    return best if len(best) < len(png) else png


def pixels(png: bytes) -> tuple[int, int, bytes]:
    """Return width, height and the RGBA bytes of an 8-bit RGBA image, as the renderer writes them."""
    header, data = b"", b""
    for kind, body in chunks(png):
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            data += body
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if header[8:10] != b"\x08\x06":
        raise ValueError("not an 8-bit RGBA image")
    raw, stride = zlib.decompress(data), width * 4
    out, above = bytearray(), bytearray(stride)
    for row in range(height):
        start = row * (stride + 1)
        above = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above)
        out += above
    return width, height, bytes(out)


def _unfiltered(kind: int, line: bytearray, above: bytearray) -> bytearray:
    for place in range(len(line) if kind else 0):
        left = line[place - 4] if place >= 4 else 0
        up, corner = above[place], above[place - 4] if place >= 4 else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            far = left + up - corner
            guess = min((abs(far - left), 0, left), (abs(far - up), 1, up), (abs(far - corner), 2, corner))[2]
        line[place] = (line[place] + guess) & 255
    return line
