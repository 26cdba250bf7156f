"""Over notebooks of any content and any way of writing JSON: nothing but the changed sources is touched."""

from __future__ import annotations

import ast
import json
import random
import warnings
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headspec.migrate.engine import migrate_bytes
from headspec.migrate.magics import mask

F = "visualize_entropy_heatmap"
G = "visualize_gradient_norms"
HEAT = f"def {F}(values, title='Attention Entropy Heatmap', figsize=(3, 3), save_path=None):\n    plt.figure()\n    plt.imshow(values)\n    return plt.gcf()"
GRAD = f"def {G}(norms, pruned_heads=None):\n    fig, ax = plt.subplots()\n    ax.imshow(norms)\n    plt.show()"
PIECES = [
    "import matplotlib.pyplot as plt",
    "import numpy as np, os",
    "from __future__ import annotations",
    f"from utils.viz import {F}, other",
    f"from utils import viz as vz\nvz.{G}(x)",
    "# Draws é\n" + HEAT,
    GRAD,
    "try:\n" + "\n".join("    " + line for line in HEAT.splitlines()) + "\nexcept Exception:\n    pass",
    HEAT.replace("return plt.gcf()", "return 3"),
    f"{F}(e, figsize=(1, 2))",
    f"{F}(e, save_path='x.png')\nplt.show()",
    f"fig = {F}(e)\nfig.savefig(f'{{a}}.png', dpi=3)\nplt.close(fig)",
    f"for i in range(3):\n    {G}(x[i])\n    plt.show()\n",
    f"if ok: {G}(x); plt.show()",
    f"def w(e):\n    return {F}(e, figsize=(3, 3))",
    "w(e)",
    f"print({F})",
    "plt.plot(x)\nplt.show()",
    "VERSION = '0.1.2'",
    "%matplotlib inline",
    "!pip install 'x",
    "%%bash\nls",
    f"%time {F}(e)",
    "x = '''\n%no\n\n'''",
    "if True:\nbroken(",
    "s = 'ü ✓ 😀 \\\\u0041 \\\\'",
    "",
    "   ",
    "\tx = 1",
    "a?",
    "x = 1;  # c\n\n\n",
    "# Title (v0.1.2)\n\n### New in v0.1.2:\n- a\n",
]


class Scribe:
    """Writes JSON as no writer would: spaces, line ends and escapes anywhere that they are allowed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.newline = self.random.choice(["\n", "\r\n"])
        self.plain = self.random.random() < 0.5

    def gap(self) -> str:
        if self.plain:
            return ""
        return self.random.choice(["", "", " ", "  ", "\t", self.newline, self.newline + "   "])

    def text(self, value: str) -> str:
        out = []
        for char in value:
            if char in '"\\' or ord(char) < 0x20:
                out.append(json.dumps(char)[1:-1])
            elif self.random.random() < 0.05 and ord(char) < 0x10000:
                out.append(self.random.choice([f"\\u{ord(char):04x}", f"\\u{ord(char):04X}"]))
            elif char == "/" and self.random.random() < 0.5:
                out.append("\\/")
            else:
                out.append(char)
        return '"' + "".join(out) + '"'

    def write(self, value: Any) -> str:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            items = [self.gap() + self.write(item) + self.gap() for item in value]
            return "[" + (",".join(items) or self.gap()) + "]"
        if isinstance(value, dict):
            items = [
                f"{self.gap()}{self.text(k)}{self.gap()}:{self.gap()}{self.write(v)}{self.gap()}"
                for k, v in value.items()
            ]
            return "{" + (",".join(items) or self.gap()) + "}"
        return json.dumps(value)


@st.composite
def notebooks(draw: st.DrawFn) -> bytes:
    anything = st.text(st.characters(codec="utf-8"), max_size=40)
    texts = draw(
        st.lists(
            st.one_of(
                st.sampled_from(PIECES),
                st.lists(st.sampled_from(PIECES), max_size=4).map("\n".join),
                anything,
                st.tuples(st.sampled_from(PIECES), anything).map("\n".join),
            ),
            max_size=7,
        )
    )
    if draw(st.booleans()):  # one that surely has something to move, with all else around it
        texts[:0] = ["import matplotlib.pyplot as plt", HEAT]
        texts += [f"{F}(e, figsize=(3, 3))"]
    cells = []
    for text in texts:
        kind = draw(st.sampled_from(["code"] * 5 + ["markdown", "raw"]))
        newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
        text = text.replace("\n", newline)
        form = draw(st.integers(0, 3))
        source: Any = text if form == 0 else text.splitlines(keepends=True)
        if form == 3:
            source = text.splitlines()  # their line ends are gone
        cell = {"cell_type": kind, "metadata": {"x": [1.5e-7, None, True]}, "source": source}
        if kind == "code":
            cell["outputs"] = [{"text": ["é\n", "<b>"], "data": {"n": -0.0}}]
        cells.append(dict(draw(st.permutations(list(cell.items())))))
    scribe = Scribe(draw(st.integers(0, 2**32)))
    tail = [("metadata", {}), ("nbformat", 4), ("nbformat_minor", 2)]
    content = dict(draw(st.permutations([("cells", cells), *tail])))
    bom = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return bom + (scribe.gap() + scribe.write(content) + scribe.gap()).encode()


def cell_texts(data: bytes) -> list[tuple[str, str, Any]]:
    """Return kind and text of each cell, and the cell without its source."""
    cells = json.loads(data.decode("utf-8-sig"))["cells"]
    found = []
    for cell in cells:
        source = cell.pop("source")
        found.append((cell["cell_type"], "".join(source) if isinstance(source, list) else source, cell))
    return found


def raw_cells(data: bytes) -> list[str]:
    """Return the text of each cell as it stands in the file, found by a scanner of this test's own."""
    text = data.decode("utf-8-sig")
    depth, quoted, found, start, at = 0, False, [], 0, 0
    inside = None
    while at < len(text):
        char = text[at]
        if quoted:
            at += 2 if char == "\\" else 1
            if char == '"':
                quoted = False
            continue
        if char == '"':
            quoted = True
        elif char in "[{":
            depth += 1
            if depth == 2 and char == "[" and inside is None:
                inside = depth
            elif inside and depth == 3 and char == "{":
                start = at
        elif char in "]}":
            if inside and depth == 3 and char == "}":
                found.append(text[start : at + 1])
            if inside and depth == 2:
                inside = None
            depth -= 1
        at += 1
    return found


def python(text: str) -> bool:
    masked = mask(text)
    if masked.opaque:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(masked.code)
    except (SyntaxError, ValueError):
        return False
    return True


@given(notebooks())
@settings(max_examples=150, deadline=None)
def test_any_notebook(data: bytes) -> None:
    result = migrate_bytes(data)
    old, new = cell_texts(data), cell_texts(result.data)
    assert len(old) == len(new)
    raw_old, raw_new = raw_cells(data), raw_cells(result.data)
    assert len(raw_old) == len(raw_new) == len(old)
    for before, after, text_before, text_after in zip(old, new, raw_old, raw_new, strict=True):
        if before[1] == after[1]:
            assert text_before == text_after, "an untouched cell differs"
        assert before[0] == after[0]
        assert before[2] == after[2]
        if before[0] == "code" and python(before[1]):
            assert python(after[1]), "a cell no longer parses"
    without_old, without_new = data.decode("utf-8-sig"), result.data.decode("utf-8-sig")
    for one, other in zip(raw_old, raw_new, strict=True):
        without_old, without_new = without_old.replace(one, "", 1), without_new.replace(other, "", 1)
    assert without_old == without_new
    assert data[:3] == result.data[:3] or not data.startswith(b"\xef\xbb\xbf")
    if not result.texts:
        assert result.data == data
    again = migrate_bytes(result.data)
    assert again.data == result.data, "the second run changes something"


@given(
    st.lists(st.sampled_from([*PIECES, "if __name__ == '__main__':\n    pass"]), max_size=7),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_script(parts: list[str], windows: bool, ended: bool) -> None:
    text = "\n".join(parts) + ("\n" if ended else "")
    data = (text.replace("\n", "\r\n") if windows else text).encode()
    result = migrate_bytes(data, script=True)
    if result.data != data:
        ast.parse(result.data)
        assert windows == (b"\r\n" in result.data) or not result.data.strip()
    assert migrate_bytes(result.data, script=True).data == result.data
