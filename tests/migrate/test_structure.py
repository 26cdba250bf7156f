"""What is left where a definition stood: no empty block, no stray comment, nothing else touched."""

from __future__ import annotations

import textwrap

import pytest

F = "visualize_entropy_heatmap"


def block(text: str, depth: int) -> str:
    return textwrap.indent(text, "    " * depth)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("try:\n{1}except ImportError:\n    pass\n", ""),
        ("try:\n{1}except Exception as error:\n    print(error)\n    raise\n", ""),
        ("try:\n{1}except Exception:\n    broken = True\n", "try:\n    pass\nexcept Exception:\n    broken = True\n"),
        ("try:\n    x = 1\n{1}except Exception:\n    pass\n", "try:\n    x = 1\nexcept Exception:\n    pass\n"),
        ("try:\n    x = 1\nexcept Exception:\n{1}", "try:\n    x = 1\nexcept Exception:\n    pass\n"),
        ("try:\n    x = 1\nexcept Exception:\n    pass\nelse:\n{1}", "try:\n    x = 1\nexcept Exception:\n    pass\n"),
        ("try:\n    x = 1\nfinally:\n{1}", "try:\n    x = 1\nfinally:\n    pass\n"),
        ("try:\n    x = 1\nexcept E:\n    pass\nfinally:\n{1}", "try:\n    x = 1\nexcept E:\n    pass\n"),
        ("if IN_COLAB:\n{1}", ""),
        (f"if '{F}' not in globals():\n{{1}}y = 1\n", "y = 1\n"),
        ("if check():\n{1}", "if check():\n    pass\n"),
        ("if a:\n{1}else:\n    y = 1\n", "if a:\n    pass\nelse:\n    y = 1\n"),
        ("if a:\n    y = 1\nelse:\n{1}z = 1\n", "if a:\n    y = 1\nz = 1\n"),
        ("if a:\n    y = 1\nelif b:\n{1}", "if a:\n    y = 1\nelif b:\n    pass\n"),
        ("if a:\n{1}elif b:\n{1}else:\n{1}", ""),
        ("if a:\n    if b:\n        try:\n{3}        except E:\n            pass\n", ""),
        ("if a:\n    x = 1\n    if b:\n{2}", "if a:\n    x = 1\n"),
        ("for i in range(3):\n{1}", "for i in range(3):\n    pass\n"),
        ("with a:\n    # for the plots\n{1}", "with a:\n    pass\n"),
        (
            "def setup():\n    pass\n\n\n{0}\n\ndef more():\n    pass\n",
            "def setup():\n    pass\n\n\ndef more():\n    pass\n",
        ),
        ("x = 1\n{0}y = 1\n", "x = 1\ny = 1\n"),
        ("x = 1\n\n{0}", "x = 1\n"),
        ("\n\n{0}\n\ny = 1\n", "y = 1\n"),
        ("#!/usr/bin/env python\n{0}y = 1\n", "#!/usr/bin/env python\ny = 1\n"),
        ("# ---------- plots ----------\n{0}y = 1\n", "# ---------- plots ----------\ny = 1\n"),
        ("#@title Plots\n# Draws\n{0}y = 1\n", "#@title Plots\ny = 1\n"),
        ("# About the cell\n\n# Draws\n{0}y = 1\n", "# About the cell\n\ny = 1\n"),
        ("{0}    # of the body\n\n# of y\ny = 1\n", "# of y\ny = 1\n"),
        ("x = '''\n\n'''\n{0}'''\n\n'''\n", "x = '''\n\n'''\n'''\n\n'''\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_block_that_loses_its_definition(migrate, imports, entropy, before, after, newline) -> None:
    text = before.format(*(block(entropy, depth) for depth in range(4)))
    done = migrate((imports + "print(np, plt)").replace("\n", newline), text.replace("\n", newline), f"{F}(e)")
    assert done.removed == {F}, done.report.text()
    assert done.cells[1] == after.replace("\n", newline)


def test_a_definition_at_the_end_of_a_cell_without_a_newline(migrate, imports, entropy) -> None:
    for gap in ("", "\n", "\n\n\n"):
        done = migrate(imports + "print(np, plt)", f"x = 1{gap}\n{entropy}".rstrip(), f"{F}(e)")
        assert done.cells[1] == "x = 1"


def test_shell_lines_and_magics_around_it_stay(migrate, imports, entropy) -> None:
    cell = f"%matplotlib inline\n!echo 'it''s {{x}}'\n{entropy}files = !ls\nfiles?\n"
    done = migrate(imports, cell, f"{F}(e)")
    assert done.cells[1] == "%matplotlib inline\n!echo 'it''s {x}'\nfiles = !ls\nfiles?\n"


def test_a_definition_inside_a_function(migrate, imports, entropy) -> None:
    cell = f"def train(e):\n    loss = 1\n\n{block(entropy, 1)}\n    {F}(e, figsize=(3, 3))\n    plt.show()\n    return loss\n"
    done = migrate(imports, cell)
    assert done.cells[1] == f"def train(e):\n    loss = 1\n\n    display({F}(e))\n    return loss\n"
    assert f"from headspec import {F}" in done.cells[0]


def test_a_local_definition_stays_where_the_global_one_does(migrate, imports, entropy) -> None:
    local = f"def train(e):\n{block(entropy, 1)}    {F}(e)\n"
    done = migrate(imports, entropy.replace("return fig", "return fig, 1"), local)
    assert not done.changed


def test_an_import_that_the_definition_shadows_goes_with_it(migrate, imports, entropy) -> None:
    fallback = f"try:\n    from utils.viz import {F}\nexcept ImportError:\n{block(entropy, 1)}"
    assert migrate(imports + "print(np, plt)", fallback, f"{F}(e)").cells[1:] == ["", f"{F}(e)"]
    beside = f"from utils.viz import (\n    other,\n    {F},\n)\n{entropy}"
    assert migrate(imports + "print(np, plt)", beside, f"{F}(e)").cells[1] == "from utils.viz import (\n    other,\n)\n"
    first = f"from utils.viz import {F}, other  # both\n{entropy}"
    assert migrate(imports + "print(np, plt)", first, f"{F}(e)").cells[1] == "from utils.viz import other  # both\n"


def test_untouched_cells_keep_their_bytes_and_outputs(make, migrate_data, imports, entropy) -> None:
    odd = {
        "cell_type": "code",
        "id": "q1",
        "metadata": {"colab": {"x": [1.50, 1e-7, "é"]}},
        "execution_count": 3,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["a\n", "b"]}],
        "source": ["x = 1  \n", "\n", "\t# tab\n", "   "],
    }
    data = make(("markdown", "# T"), odd, imports, entropy, f"{F}(e)", ("raw", "r"), odd)
    done = migrate_data(data)
    start, end = data.index(b'"id": "q1"'), data.index(b'"import matplotlib')
    assert data[start:end] in done.data
    assert done.data.count(data[start : data.index(b'"source"', start)]) == 2
    assert done.data.startswith(data[: data.index(b'"import matplotlib')])
    tail = data.rindex(b'"raw"')
    assert done.data.endswith(data[tail:])
