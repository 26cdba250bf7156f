"""Thumbnails: a picture made smaller by averaging, in at most 256 colours, so that an index of a hundred loads at once.

The page says the title beside the picture, so the picture leaves it out, and the margins too: what is small should show the data.
Every pixel is the average of those that it stands for, so that thin lines fade and do not vanish. Of its colours the most
frequent are kept as they are, and then those that would be furthest off; each other pixel takes the nearest one kept.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from headspec.output.png import chunks

SIDES = (560, 480, 400, 320)
"""Pixels of the longer side: the largest that stays within the budget."""
BUDGET = 25_000
"""Bytes that a thumbnail should not exceed."""
MARGIN = 4
"""Pixels that stay around the drawing."""
_COMMON = 160
_COLOURS = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def thumbnail(png: bytes) -> bytes:
    """Return a small PNG of a picture, within the budget wherever the smallest size is."""
    image = trimmed(decode(png))
    out = b""
    for side in SIDES:
        small = shrunk(image, side)
        out = encode(*indexed(small))
        if len(out) <= BUDGET:
            break
    return out


def decode(png: bytes) -> Bytes:
    """Return the picture as an array [row, column, rgb]; what is transparent is drawn on white."""
    header, data = b"", b""
    for kind, body in chunks(png):
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            data += body
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if header[8:10] != b"\x08\x06":
        raise ValueError("not an 8-bit RGBA image")
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 4 * width)
    filters, rows = lines[:, 0], lines[:, 1:].reshape(height, width, 4)
    if not (filters <= 1).all():
        return _slowly(png)
    # the renderer writes differences to the pixel on the left (filter 1)
    pixels = np.where((filters == 1)[:, None, None], np.cumsum(rows, axis=1, dtype=np.uint8), rows)
    return _opaque(pixels)


def _slowly(png: bytes) -> Bytes:
    from headspec.output.png import pixels

    width, height, data = pixels(png)
    return _opaque(np.frombuffer(data, np.uint8).reshape(height, width, 4))


def _opaque(pixels: Bytes) -> Bytes:
    alpha = pixels[..., 3:].astype(np.uint16)
    blended: Bytes = np.asarray((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255, dtype=np.uint8)
    return blended


def without_title(svg: str) -> str:
    """Return an SVG of the renderer without the chart's own title; those of its panels stay."""
    depth, scopes, start = 0, [], -1
    for tag in _GROUP.finditer(svg):
        if tag[2].endswith("/"):  # an empty group
            continue
        if not tag[1]:
            depth += 1
            if "role-scope" in tag[2]:
                scopes.append(depth)
            elif start < 0 and not scopes and 'class="mark-group role-title"' in tag[2]:
                start, inside = tag.start(), depth
            continue
        if start >= 0 and depth == inside:
            return svg[:start] + svg[tag.end() :]
        if scopes and scopes[-1] == depth:
            scopes.pop()
        depth -= 1
    return svg


_GROUP = re.compile(r"""<(/?)g(?=[\s>])((?:[^>"]|"[^"]*")*)>""")


def trimmed(image: Bytes) -> Bytes:
    """Return the image without its margins: rows and columns of the colour of its corner."""
    drawn = (image != image[0, 0]).any(axis=2)
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return image
    top, left = max(0, int(rows[0]) - MARGIN), max(0, int(columns[0]) - MARGIN)
    return image[top : rows[-1] + 1 + MARGIN, left : columns[-1] + 1 + MARGIN]


def shrunk(image: Bytes, side: int) -> Bytes:
    """Return the image with its longer side at most `side` pixels, each the average of the area that it stands for."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    rows, columns = (max(1, round(size * factor)) for size in (height, width))
    out = _averaged(_averaged(image.astype(np.float64), rows).transpose(1, 0, 2), columns).transpose(1, 0, 2)
    # rounded twice: what lies half-way goes the same way whatever order the sums were taken in
    rounded: Bytes = np.clip(np.rint(np.round(out, 6)), 0, 255).astype(np.uint8)
    return rounded


def _averaged(image: Floats, new: int) -> Floats:
    """Return `new` rows, each the average of those that it covers, the outer ones by the share of them that it covers."""
    old = len(image)
    sums = np.concatenate([np.zeros((1, *image.shape[1:])), np.cumsum(image, axis=0)])
    edges = np.linspace(0, old, new + 1)
    whole = np.minimum(edges.astype(int), old - 1)
    at = sums[whole] + (edges - whole)[:, None, None] * image[whole]
    return np.asarray(np.diff(at, axis=0) * (new / old))


def indexed(image: Bytes) -> tuple[Bytes, Bytes]:
    """Return the image as indices [row, column] and its palette [colour, rgb]."""
    code = image.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    places, found = pd.factorize(code.ravel())  # quicker than sorting all pixels
    order = np.argsort(found)
    known, counts = found[order], np.bincount(places)[order]
    where = np.argsort(order)[places]
    colours = np.stack([known >> 16, known >> 8 & 255, known & 255], axis=1).astype(np.int32)
    chosen = np.arange(len(known)) if len(known) <= _COLOURS else _chosen(colours, counts)
    palette = colours[chosen]
    nearest = _distances(colours, palette).argmin(axis=1)
    return nearest[where].reshape(image.shape[:2]).astype(np.uint8), palette.astype(np.uint8)


def _distances(colours: npt.NDArray[np.int32], others: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return the squared distances [colour, other]; whole numbers that 32-bit floats hold exactly."""
    one, other = colours.astype(np.float32), others.astype(np.float32)
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)
    return np.asarray(squares - 2 * (one @ other.T), dtype=np.float32)


def _chosen(colours: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return which colours to keep: the most frequent of each shade, then those that are worst served."""
    shades = (colours >> 4) @ np.array([256, 16, 1])
    order = np.lexsort((np.arange(len(counts)), -counts))
    _, first = np.unique(shades[order], return_index=True)
    chosen = list(order[np.sort(first)][:_COMMON])
    off = _distances(colours, colours[chosen]).min(axis=1)
    weight = np.sqrt(counts)
    while len(chosen) < _COLOURS:
        worst = int((off * weight).argmax())
        chosen.append(worst)
        off = np.minimum(off, _distances(colours, colours[worst : worst + 1])[:, 0])
    return np.array(chosen, dtype=np.int64)


def encode(indices: Bytes, palette: Bytes) -> bytes:
    """Return a PNG of indices and a palette."""
    height, width = indices.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x03\x00\x00\x00"
    lines = np.zeros((height, width + 1), np.uint8)
    lines[:, 1:] = indices
    parts = (
        (b"IHDR", header),
        (b"PLTE", palette.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big") for kind, body in parts
    )
