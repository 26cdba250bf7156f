"""The same chart gives the same bytes in every process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import hashlib, importlib.util, json, sys
spec = importlib.util.spec_from_file_location("made", sys.argv[1]); made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)
import altair as alt
from headspec.output.page import to_html
from headspec.output.render import to_pdf, to_png, to_svg, to_vega
from headspec.output.spec import to_json
pick = alt.selection_point(fields=["head"])
chart = (made.heat_map() | (made.packed_map() & made.bars(title="Bold")))
chart = (chart & made.bars(width=90).add_params(pick)).resolve_scale(color="independent")
if len(sys.argv) > 2:
    to_svg(made.bars()); to_pdf(made.heat_map())  # whatever was drawn before in the process
outputs = {
    "json": to_json(chart), "html": to_html(chart), "svg": to_svg(chart), "png": to_png(chart), "pdf": to_pdf(chart),
    "vega": json.dumps(to_vega(chart), sort_keys=True), "column": to_pdf(chart, column="double"), "dark": to_svg(chart, theme="dark"),
}
print(json.dumps({name: hashlib.sha256(out if isinstance(out, bytes) else out.encode()).hexdigest() for name, out in outputs.items()}))
"""


def run(seed: str, *more: str) -> dict[str, str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    made = Path(__file__).with_name("conftest.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(made), *more], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_output_is_the_same_in_processes_with_other_hash_seeds():
    first, second, third = run("0"), run("1"), run("4242", "after others")
    assert len(first) == 8
    assert first == second == third
    assert hashlib.sha256(b"").hexdigest() not in first.values()
