"""The script bundle of a page: made once, kept in the user's cache folder, and read back only if it is whole.

Making it takes seconds, reading it milliseconds. A file's name holds the versions that it was made of and the hash of its
text; where the folder cannot be written, the bundle is made anew.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import altair as alt

from headspec.errors import RenderError
from headspec.output.files import write_atomic

NOTICE = (
    "Vega, Vega-Lite, Vega-Embed and Vega-Interpreter: Copyright University of Washington Interactive Data Lab and "
    "contributors, BSD-3-Clause. D3: Copyright Mike Bostock, ISC."
)


@lru_cache(maxsize=1)
def javascript_bundle() -> str:
    """Return one script that defines ``vegaEmbed``, ``vega`` and ``vegaLite`` for a page, for use inside ``<script>``.

    It is kept in ``$HEADSPEC_CACHE`` or the platform's cache folder. Include it once per page.
    """
    folder = cache_folder()
    kept = _kept(folder)
    if kept is not None:
        return kept
    from headspec.output.render import bundle_source

    text = bundle_source()
    if "</script" in text.lower() or "<!--" in text:
        raise RenderError(
            "the script bundle holds text that would end its own <script>: this vl-convert is not supported"
        )
    if folder is not None:
        with suppress(OSError, RenderError):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / f"{_key()}-{_hash(text)}.js", text)
    return text


def cache_folder() -> Path | None:
    """Return the folder that the bundle is kept in, None where there is no place for it."""
    given = os.environ.get("HEADSPEC_CACHE")
    if given is not None:
        return Path(given) if given else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "headspec"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "headspec" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "headspec"


def _kept(folder: Path | None) -> str | None:
    if folder is None:
        return None
    with suppress(OSError, UnicodeDecodeError):
        for path in sorted(folder.glob(f"{_key()}-*.js")):
            text = path.read_bytes().decode("utf-8")
            if path.name == f"{_key()}-{_hash(text)}.js":
                return text
    return None


@lru_cache(maxsize=1)
def _key() -> str:
    return f"vega-{metadata.version('vl-convert-python')}-{str(alt.SCHEMA_VERSION).lstrip('v')}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
