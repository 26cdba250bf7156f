"""Colour scales in numbers: where a value falls, which colour that is, which ink is legible on it, a palette image."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from headspec.reduce.schemes import SCHEMES

ScaleType = Literal["linear", "sqrt", "log"]
Scheme = Literal["viridis", "magma", "cividis", "blues", "purpleorange", "blueorange"]

# Relative luminance at which black and white text have the same contrast ratio (WCAG 2: (L + .05)² = 1.05 · .05).
_EVEN_LUMINANCE = 0.1791
MISSING = (176, 176, 176)
"""The grey of a cell that has no finite value, between the inks of both themes."""


class ColourScale(NamedTuple):
    """An explicit colour scale: the scheme, the domain, and the space in which values are spread over it."""

    scheme: Scheme
    low: float
    high: float
    type: ScaleType = "linear"

    def position(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return where values fall on the scale: 0 at its low end, 1 at its high end, beyond for values outside."""
        low, high = self._bend(self.low), self._bend(self.high)
        return np.asarray((self._bend(values) - low) / ((high - low) or 1.0), dtype=np.float64)

    def value(self, position: float) -> float:
        """Return the value at a position of the scale, the inverse of `position`."""
        low, high = float(self._bend(self.low)), float(self._bend(self.high))
        bent = low + position * (high - low)
        if self.type == "log":
            return float(10.0**bent)
        return float(np.sign(bent) * bent * bent) if self.type == "sqrt" else float(bent)

    def entry(self, values: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return the palette entry, 0 to 255, of each value; values outside take the nearest end."""
        return np.asarray(np.clip(np.rint(self.position(values) * 255.0), 0, 255), dtype=np.uint8)

    def colours(self) -> npt.NDArray[np.uint8]:
        """Return the 256 colours as an array ``[256, 3]``."""
        return rgb(self.scheme)

    def _bend(self, values: npt.ArrayLike) -> Any:
        array = np.asarray(values, dtype=np.float64)
        if self.type == "log":
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log10(array)
        return np.sign(array) * np.sqrt(np.abs(array)) if self.type == "sqrt" else array


def rgb(scheme: Scheme) -> npt.NDArray[np.uint8]:
    """Return the 256 colours of a scheme, as Vega draws them."""
    return np.frombuffer(bytes.fromhex(SCHEMES[scheme]), dtype=np.uint8).reshape(256, 3)


def luminance(colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the relative luminance of sRGB colours (WCAG 2 definition)."""
    share = np.asarray(colours, dtype=np.float64) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def dark_ink_range(scale: ColourScale) -> tuple[float, float]:
    """Return the values between which black text is more legible than white text on the scale's colours.

    One end is infinite for a scheme that runs from dark to light (or light to dark); both are finite for a diverging
    one, which is light in the middle.
    """
    light = np.flatnonzero(luminance(scale.colours()) > _EVEN_LUMINANCE)
    first, last = int(light[0]), int(light[-1])
    low = -np.inf if first == 0 else scale.value((first - 0.5) / 255.0)
    high = np.inf if last == 255 else scale.value((last + 0.5) / 255.0)
    if scale.low > scale.high:
        low, high = (-np.inf if high == np.inf else high), (np.inf if low == -np.inf else low)
    return float(low), float(high)


def png_uri(
    entries: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8], *, clear: int | None = None, runs: bool = False
) -> str:
    """Return a ``data:`` URI of an indexed PNG.

    Parameters
    ----------
    entries
        Palette entries, one per pixel, ``[row, column]``.
    palette
        Colours, ``[entry, 3]``, 256 at most.
    clear
        The entry that is drawn fully transparent.
    runs
        Look for runs of equal pixels only. Of many small pictures that is as small, in a quarter of the time.
    """
    height, width = entries.shape
    raw = np.zeros((height, width + 1), dtype=np.uint8)  # each row starts with its filter byte: 0, as it stands
    raw[:, 1:] = entries
    chunks = [
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", np.ascontiguousarray(palette, dtype=np.uint8).tobytes()),
    ]
    if clear is not None:
        chunks.append(_chunk(b"tRNS", b"\xff" * clear + b"\x00"))
    packer = zlib.compressobj(6, zlib.DEFLATED, 15, 9 if runs else 8, zlib.Z_RLE if runs else zlib.Z_DEFAULT_STRATEGY)
    chunks += [_chunk(b"IDAT", packer.compress(raw.tobytes()) + packer.flush()), _chunk(b"IEND", b"")]
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
