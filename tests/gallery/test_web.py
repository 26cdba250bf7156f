"""What a web author does: load a spec of specs/ in a page of one's own and feed it new rows."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from headspec.output.bundle import javascript_bundle

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    shutil.copy(ROOT / "gallery" / "web" / "feed.html", tmp_path)
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    (tmp_path / "vega.js").write_text(javascript_bundle(), encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_spec_is_loaded_and_fed_new_rows(served: tuple[Path, str], open_page: Any) -> None:
    _, address = served
    opened = open_page(f"{address}feed.html?spec=specs/entropy-heatmap.vl.json", allow=address).wait()
    assert opened.state == "drawn"
    count = "document.querySelectorAll('svg g.mark-rect.role-mark path').length"
    assert opened.js(count) == 48
    row = {"kind": "value", "state": "active", "vulnerable": False}
    rows = [{**row, "layer": layer, "head": head, "value": 1.5} for layer in range(2) for head in range(3)]
    rows[0] = {**rows[0], "state": "pruned"}
    opened.js(f"feed('heads', {json.dumps(rows)})")
    opened.until(f"{count} === 6")
    # the pruned head of the new rows is marked: a halo and a cross
    assert opened.js("document.querySelectorAll('svg g.mark-symbol.role-mark path').length") == 2
    assert opened.messages == []
    assert all(asked.startswith(address) for asked in opened.requests)


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.vl.json")), ids=lambda path: path.name)
def test_datasets_have_the_promised_names(path: Path) -> None:
    names = json.loads(path.read_text(encoding="utf-8")).get("datasets", {})
    promised = (
        "heads",
        "attention",
        "history",
        "events",
        "results",
        "cells",
        "blocks",
        "epochs",
        "lines",
        "lanes",
        "spans",
        "pairs",
    )
    unknown = [name for name in names if name.rsplit("_", 1)[0] not in promised and name not in promised]
    assert not unknown, unknown
