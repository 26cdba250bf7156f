"""One card becomes the files of its page: pictures, data and what the page says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import headspec
from headspec.errors import RenderError
from headspec.output.check import check_marks, check_safe
from headspec.output.jsontext import compact, layout
from headspec.output.page import SVG_MARKS, script_json
from headspec.output.spec import export
from headspec.output.table import table_of
from headspec.output.themes import theme_dict
from headspec.site.cards import Card, signature_of
from headspec.site.pictures import KINDS, Drawers
from headspec.site.store import Store, digest
from headspec.text import clean

EDITOR_LIMIT = 6_000
"""Letters of a spec that still go into an address of the Vega editor."""
TABLE_ROWS = 200
"""Rows of the data table on a page; the CSV has them all."""
CODE_LETTERS = 12_000
"""Letters of the spec that a page shows, since coloured code is several times as long; the copy button copies it all."""
_DRAWN_BY = "thumbnails 2"  # raise the number where the pictures of an unchanged spec become others


@dataclass(frozen=True)
class Page:
    """A card that was drawn: all that its page and the index say of it."""

    name: str
    card: Card
    summary: str
    spec: str
    payload: str
    table: dict[str, Any]
    size: tuple[int, int]
    thumb: tuple[int, int]
    editor: str
    signature: str
    missing_pdf: str = ""


def begin_card(name: str, card: Card, store: Store, drawers: Drawers) -> Callable[[], Page]:
    """Begin to render a card's files, those that changed; return what waits for them and gives what the page needs."""
    bare = export(card.chart, theme={})
    light, dark = (bare.themed(theme_dict(card.theme or theme)) for theme in ("light", "dark"))
    check_safe(light)
    marks = check_marks(light).marks
    key = digest(
        light.text(), compact(dark.spec), headspec.__version__, metadata.version("vl-convert-python"), _DRAWN_BY
    )
    paths = {kind: f"charts/{name}.{kind}" for kind in ("png", "svg", "pdf")}
    paths |= {f"thumb-{theme}": f"thumbs/{name}-{theme}.png" for theme in ("light", "dark")}
    wanted = [kind for kind in KINDS if not store.is_made(paths[kind], key)]
    drawn = drawers.begin(light, dark, wanted)

    def finish() -> Page:
        pictures = drawn()
        for kind, path in paths.items():
            picture = pictures.get(kind)
            if picture is None:
                store.keep(path)
            elif not isinstance(picture, RenderError):
                store.put(path, picture, key=key)
        missing = pictures.get("pdf")
        spec = layout(bare.spec, {key: item.lines or item.text for key, item in bare.datasets.items()}, pretty=True)
        store.put(f"charts/{name}.vl.json", spec)
        table = table_of(bare.datasets)
        store.put(f"charts/{name}.csv", table.to_csv(index=False, lineterminator="\n"))
        size = _png_size(store, paths["png"])
        dark_only = {item: value for item, value in dark.spec.items() if value != light.spec.get(item)}
        rest = compact({"dark": dark_only, "renderer": "svg" if marks <= SVG_MARKS else "canvas"})
        return Page(
            name=name,
            card=card,
            summary=str(light.spec["description"]),
            spec=spec,
            payload=script_json(f'{rest[:-1]},"spec":{light.text()}}}'),
            table=_table(table),
            size=(size[0] // 2, size[1] // 2),
            thumb=_png_size(store, paths["thumb-light"]),
            editor=_editor(card.chart, len(bare.text())),
            signature=signature_of(card.code),
            missing_pdf=str(missing) if isinstance(missing, RenderError) else "",
        )

    return finish


def _png_size(store: Store, path: str) -> tuple[int, int]:
    place = store.staging / path
    header = (place if place.is_file() else store.folder / path).read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


def _table(table: Any) -> dict[str, Any]:
    shown = table.head(TABLE_ROWS)
    columns = [str(column) for column in shown.columns]
    text = shown.astype(object).where(shown.notna(), "")
    rows = [
        [f"{cell:.6g}" if isinstance(cell, float) else clean(cell) for cell in row] for row in text.to_numpy().tolist()
    ]
    return {"columns": columns, "rows": rows, "total": len(table), "shown": len(shown)}


def _editor(chart: Any, length: int) -> str:
    """Return the address that opens the spec in the Vega editor, empty where it would be too long for one."""
    return str(chart.to_url()) if length <= EDITOR_LIMIT else ""
