"""Where the import of headspec goes, and which imports of old go."""

from __future__ import annotations

import pytest

F = "visualize_entropy_heatmap"
LINE = f"from headspec import {F}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "import numpy as np\nimport matplotlib.pyplot as plt\n",
            f"import numpy as np\nimport matplotlib.pyplot as plt\n{LINE}\n",
        ),
        ("import numpy as np  # np\nx = 1\nimport os\n", f"import numpy as np  # np\n{LINE}\nx = 1\nimport os\n"),
        (
            '"""Doc."""\nfrom __future__ import annotations\n\nimport numpy as np',
            f'"""Doc."""\nfrom __future__ import annotations\n\nimport numpy as np\n{LINE}',
        ),
        (
            '"""Doc."""\nfrom __future__ import annotations\nx = 1\n',
            f'"""Doc."""\nfrom __future__ import annotations\n{LINE}\nx = 1\n',
        ),
        (
            "%matplotlib inline\nimport numpy as np\n%load_ext x\n",
            f"%matplotlib inline\nimport numpy as np\n{LINE}\n%load_ext x\n",
        ),
        ("import numpy as np\r\nx = 1\r\n", f"import numpy as np\r\n{LINE}\r\nx = 1\r\n"),
        (
            "from torch import (\n    nn,\n    optim,\n)\nx = 1\n",
            f"from torch import (\n    nn,\n    optim,\n)\n{LINE}\nx = 1\n",
        ),
        ("from headspec import save\nimport os\n", f"from headspec import save, {F}\nimport os\n"),
        (
            "from headspec import (\n    save,\n    summary,\n)\n",
            f"from headspec import (\n    save,\n    summary,\n    {F},\n)\n",
        ),
        (f"from headspec import {F}\n", f"from headspec import {F}\n"),
        ("import headspec as hs\n", f"import headspec as hs\n{LINE}\n"),
        (
            "try:\n    import a\nexcept ImportError:\n    pass\nimport b\n",
            f"try:\n    import a\nexcept ImportError:\n    pass\nimport b\n{LINE}\n",
        ),
    ],
)
def test_the_import_goes_after_the_imports_of_the_first_cell(migrate, entropy, before, after) -> None:
    keep = "print(np, plt)\n"
    if "import headspec" not in before and f"import {F}" in before:
        # It is there already: what is left of the old definition is only in the way.
        assert not migrate(before, entropy, f"{F}(e)").changed
        return
    done = migrate(before, keep, entropy, f"{F}(e)")
    assert done.cells[0] == after
    assert done.code.count("from headspec import") == 1


def test_the_cell_that_installs_is_not_the_one_that_imports(migrate, entropy, imports) -> None:
    install = "!pip install torch\nimport sys\nsys.path.append('.')\n"
    done = migrate(install, "X = 1\nfrom a import b\n", imports, "print(np, plt)", entropy, f"{F}(e)")
    assert done.cells[:3] == [install, "X = 1\nfrom a import b\n", imports + LINE + "\n"]
    done = migrate(install, entropy, f"{F}(e)")
    assert done.cells[0] == f"!pip install torch\nimport sys\n{LINE}\nsys.path.append('.')\n"


def test_an_import_cell_that_comes_too_late_is_not_used(migrate, entropy, imports) -> None:
    done = migrate("# start\n" + entropy, f"# show\n{F}(e)", imports, "print(np, plt)")
    assert done.cells[1] == f"{LINE}\n\n# show\n{F}(e)"
    assert done.cells[2] == imports


def test_never_into_a_magic_cell_or_one_that_does_not_parse(migrate, entropy) -> None:
    magic = "%%time\nimport numpy as np\nimport matplotlib.pyplot as plt\nprint(np, plt)\n"
    done = migrate(magic, "import (\n", entropy, f"{F}(e)")
    assert done.cells == [magic, "import (\n", "", f"{LINE}\n\n{F}(e)"]


def test_headspec_itself_is_imported_where_it_saves(migrate, imports, entropy) -> None:
    done = migrate(imports + "print(np, plt)", entropy, f"fig = {F}(e)\nfig.savefig('x.png')")
    assert done.cells[0] == f"{imports}import headspec\n{LINE}\nprint(np, plt)"


def test_many_names_are_imported_in_order_on_several_lines(migrate, imports, entropy, gradients) -> None:
    more = (
        "def visualize_normalized_entropy(entropy_values, max_entropy, title='x'):\n    plt.imshow(entropy_values)\n"
        "def visualize_entropy_vs_gradient(e, g):\n    plt.scatter(e, g)\n"
    ).replace("(e, g)", "(entropy, gradients)")
    calls = [
        f"{F}(e)",
        "visualize_gradient_norms(g)",
        "visualize_normalized_entropy(e, 3)",
        "visualize_entropy_vs_gradient(e, g)",
    ]
    done = migrate(imports, entropy, gradients, more, *calls)
    assert done.cells[0] == (
        "from headspec import (\n    visualize_entropy_heatmap,\n    visualize_entropy_vs_gradient,\n"
        "    visualize_gradient_norms,\n    visualize_normalized_entropy,\n)\n"
    )


@pytest.mark.parametrize(
    ("start", "call", "new_start", "new_call"),
    [
        (f"from utils.plots import {F}\n", f"{F}(e, cmap='x')", f"{LINE}\n", f"{F}(e)"),
        (f"from utils.plots import {F} as veh\n", "veh(e)", f"{LINE}\n", f"{F}(e)"),
        ("import utils.plots as up\n", f"up.{F}(e)", f"{LINE}\n", f"{F}(e)"),
        ("import utils.plots\n", f"utils.plots.{F}(e)", f"{LINE}\n", f"{F}(e)"),
        (
            "import utils.plots\n",
            f"utils.plots.{F}(e)\nutils.other()",
            f"import utils.plots\n{LINE}\n",
            f"display({F}(e))\nutils.other()",
        ),
        ("from utils import plots\n", f"plots.{F}(e)", f"{LINE}\n", f"{F}(e)"),
    ],
)
def test_calls_through_an_old_import(migrate, start, call, new_start, new_call) -> None:
    done = migrate(start, call)
    assert done.cells == [new_start, new_call]


@pytest.mark.parametrize(
    "call",
    [
        "visualize_gradient_norms(norms, metadata, output_dir)",
        "visualize_gradient_norms(norms, (0, 1))",
        "visualize_gradient_norms(norms, max_norm=20)",
        "visualize_gradient_norms(g, p, r, 'T', (3, 3))",
        "x = 1",
    ],
)
def test_an_import_whose_function_may_be_another_one_stays(migrate, call) -> None:
    done = migrate("from lab.plots import visualize_gradient_norms\n", call)
    assert not done.changed
    assert done.why("visualize_gradient_norms")


def test_the_definition_behind_an_import_is_read_if_it_is_near(migrate, entropy, imports, tmp_path) -> None:
    (tmp_path / "lab" / "books").mkdir(parents=True)
    (tmp_path / "lab" / "plots.py").write_text(imports + entropy)
    cells = (f"from lab.plots import {F}\n", f"{F}(e, 'T', 0.0, False, (3, 3))")
    folder = tmp_path / "lab" / "books"
    assert migrate(*cells, folder=folder).cells[1] == f"{F}(e, 'T', 0.0, False)"
    assert not migrate(*cells).changed
    (tmp_path / "lab" / "plots.py").write_text(imports + entropy.replace("return fig", "return fig, 1"))
    assert not migrate(*cells, folder=folder).changed
    (tmp_path / "lab" / "plots.py").write_bytes(b"\xff\xfe broken")
    assert migrate(f"from lab.plots import {F}\n", f"{F}(e)", folder=folder).changed


def test_a_star_import_or_none_at_all_is_reported(migrate) -> None:
    for start in ("from utils.plots import *", "x = 1"):
        done = migrate(start, f"{F}(e)")
        assert not done.changed
        assert "nothing that can be read defines it" in done.why(F)


def test_what_only_the_removed_code_needed_goes(migrate, entropy) -> None:
    start = (
        "import numpy as np, os\nimport matplotlib.pyplot as plt\nfrom matplotlib.colors import LogNorm, Normalize\n"
        "from typing import Optional\n\nCMAP = 'magma'\nSIZE = (3, 3)\nKEEP = 3\nprint(os, KEEP)\n\n"
        "def _bar(ax, image):\n    plt.colorbar(image, ax=ax)\n\ndef _unused():\n    pass\n"
    )
    old = entropy.replace('cmap="viridis"', "cmap: Optional[str] = CMAP").replace(
        "    fig.colorbar(image, ax=ax)", "    _bar(ax, image)\n    image.set_norm(LogNorm())"
    )
    done = migrate(start, old, f"{F}(e, figsize=SIZE)")
    assert done.cells[0] == (f"import os\n{LINE}\n\nKEEP = 3\nprint(os, KEEP)\n\ndef _unused():\n    pass\n").replace(
        "import os\n", "import os\nfrom matplotlib.colors import Normalize\n"
    )


@pytest.mark.parametrize(
    "use",
    [
        "plt.plot(x)",
        "!echo plt",
        "%timeit plt",
        "print 'plt'",
        "eval('plt.show()')",
        "def f():\n    return plt",
        "%%timeit\nplt",
    ],
)
def test_what_is_used_elsewhere_stays(migrate, imports, entropy, use) -> None:
    done = migrate(imports, entropy, f"{F}(e)", use)
    assert "import matplotlib.pyplot as plt" in done.cells[0]
    assert "numpy" not in done.cells[0]


@pytest.mark.parametrize(
    "start",
    [
        "try:\n    import matplotlib.pyplot as plt\nexcept ImportError:\n    plt = None\n",
        "import lab.setup as lab\nplt = lab.plt\n",
    ],
)
def test_imports_that_may_mean_more_stay(migrate, entropy, start) -> None:
    done = migrate(start, "import numpy as np\nprint(np)", entropy, f"{F}(e)")
    assert all(line in done.cells[0] for line in start.splitlines())


def test_a_script_keeps_what_others_may_import(migrate_data, imports, entropy) -> None:
    helper = "def to_array(x):\n    return np.asarray(x)\n\n\ndef _axes(ax):\n    ax.grid(False)\n\n\n"
    old = entropy.replace("np.asarray(entropy_values)", "to_array(entropy_values)").replace(
        "    return fig", "    _axes(ax)\n    return fig"
    )
    done = migrate_data((imports + "\n\n" + helper + old + f"\n\n{F}([[1]]).savefig('x.png')\n").encode(), script=True)
    assert "def to_array" in done.cells[0]
    assert "def _axes" not in done.cells[0]
    uncalled = migrate_data((imports + entropy).encode(), script=True)
    assert not uncalled.changed
    assert "other files may import it" in uncalled.why(F)
