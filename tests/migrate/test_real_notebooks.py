"""Notebooks as the world has them: one plasticity notebook in many states, made by hand after what was seen."""

from __future__ import annotations

import ast
import json
import textwrap
from typing import Any

import pytest

F = "visualize_gradient_norms"

TITLE = (
    "# Plasticity of heads: pruning & regrowth (v0.0.41)\n\nWhat happens to heads – “gone” or back? ✂️\n\n"
    "### New in v0.0.41:\n- Faster\n\n### Previous in v0.0.40:\n- First plots"
)
INSTALL = "# Packages\n!pip install -q torch matplotlib\n%cd lab\nimport sys\nsys.path.append('.')"
SETUP = "%matplotlib inline\nimport torch\nimport numpy as np\nimport matplotlib.pyplot as plt\nfrom torch import nn\n\ndevice = 'cpu'"
BARE = (
    "values, norms = controller.metrics(loader)\n\nplt.figure(figsize=(10, 6))\nplt.imshow(values.numpy(), cmap='viridis')\n"
    "plt.colorbar()\nplt.show()\n"
)
OLD = textwrap.dedent('''\
    # Define it before the loop uses it
    def visualize_gradient_norms(grad_norm_values, pruned_heads=None, revived_heads=None, title="Gradient Norms", save_path=None):
        """Gradients with the heads that went and came"""
        plt.figure(figsize=(10, 5))
        plt.imshow(grad_norm_values.detach().cpu().numpy(), cmap="plasma", aspect="auto")
        plt.colorbar(label="Gradient norm")

        # Pruned ones
        if pruned_heads:
            for layer, head in pruned_heads:
                plt.text(head, layer, "P", ha="center", color="white", bbox=dict(facecolor='red', alpha=0.5))
        if revived_heads:
            for layer, head in revived_heads:
                plt.text(head, layer, "R", ha="center")

        plt.title(title)
        plt.tight_layout()
        if save_path:
            plt.savefig(save_path, dpi=100, bbox_inches='tight')
        return plt.gcf()
''')
LOOP = textwrap.dedent("""\
    try:
        for epoch in range(3):
            for step, batch in enumerate(loader):
                loss = train(batch)
                if step % 50 == 0:
                    pruned, revived, values, norms = controller.step(loader)
                    if pruned or revived:
                        visualize_gradient_norms(
                            grad_norm_values=norms,
                            pruned_heads=pruned,
                            revived_heads=revived,
                            title=f"Step {step}",
                            save_path=os.path.join(out, f"norms_{step}.png")
                        )
                        plt.close()
    except Exception as error:
        print(f"Stopped: {error}")
        raise
    """)
NEW_LOOP = LOOP.replace("                    visualize", "                    chart = visualize").replace(
    ',\n                        save_path=os.path.join(out, f"norms_{step}.png")\n                    )\n'
    "                    plt.close()\n",
    '\n                    )\n                    headspec.save(chart, os.path.join(out, f"norms_{step}.png"))\n',
)
NEW_TITLE = (
    "# Plasticity of heads: pruning & regrowth (v0.0.42)\n\nWhat happens to heads – “gone” or back? ✂️\n\n"
    f"### New in v0.0.42:\n- Plots are drawn with headspec: `{F}`\n"
    f"- Removed the inline matplotlib definition of `{F}`\n\n"
    "### New in v0.0.41:\n- Faster\n\n### Previous in v0.0.40:\n- First plots"
)
NEW_SETUP = SETUP.replace(
    "from torch import nn\n", f"from torch import nn\nimport headspec\nfrom headspec import {F}\n"
)
BROKEN = "for epoch in range(3):\nprint(epoch)\nvisualize_gradient_norms(norms)"


def cells(*parts: str) -> list[Any]:
    return [("markdown", TITLE), INSTALL, SETUP, BARE, *parts]


@pytest.mark.parametrize(
    "style", [{}, {"as_text": True}, {"ascii": True, "indent": 2}, {"nbformat": 3}, {"newline": "\r\n"}]
)
def test_alone_in_a_cell(migrate, style) -> None:
    done = migrate(*cells(OLD, LOOP), **style)
    assert done.cells == [NEW_TITLE, INSTALL, NEW_SETUP, BARE, "", NEW_LOOP]
    assert [where for where, _ in done.report.plots] == ["cell 4, line 3"]


def test_after_other_functions_in_the_cell_of_the_loop(migrate) -> None:
    before = "# Memory\ndef free():\n    torch.cuda.empty_cache()\n\n"
    done = migrate(*cells(before + OLD + "\n" + LOOP))
    assert done.cells[4] == before + NEW_LOOP


def test_twice_and_nested_in_a_try_of_the_loop(migrate) -> None:
    nested = "try:\n    if not done:\n" + textwrap.indent(OLD, " " * 8) + "except NameError:\n    pass\n\n"
    done = migrate(*cells(OLD, nested + LOOP))
    assert done.cells[4:] == ["", NEW_LOOP]
    assert len(done.removed) == 1


def test_beside_an_import_that_it_shadows(migrate) -> None:
    beside = f"from utils.viz import {F}, entropy_of\nimport os\n\n" + OLD
    done = migrate(*cells(beside, LOOP))
    assert done.cells[4] == "from utils.viz import entropy_of\nimport os\n"


def test_cells_that_do_not_parse_are_left_and_listed(migrate) -> None:
    done = migrate(*cells(OLD, BROKEN, LOOP))
    assert done.cells[4:] == ["", BROKEN, NEW_LOOP]
    assert done.report.unread == [("cell 6", f"does not parse; it mentions {F}")]


def test_a_comment_that_has_swallowed_the_definition(make, migrate_data) -> None:
    lines = OLD.splitlines()
    swallowed = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": lines}
    data = make(*cells(), swallowed, LOOP)
    done = migrate_data(data)
    assert not done.changed
    assert (
        "cell 5",
        f"its lines lack their ends, so that a comment has swallowed the definition of {F}",
    ) in done.report.unread
    assert "nothing that can be read defines it" in done.why(F)
    both = migrate_data(make(*cells(OLD), swallowed, LOOP))
    assert both.cells[4] == ""
    assert json.loads(both.data)["cells"][5] == swallowed


def test_a_notebook_that_is_no_valid_one_otherwise(make, migrate_data) -> None:
    content = json.loads(make(*cells(OLD, LOOP)))
    content["cells"][0]["outputs"] = []
    content["cells"][2].pop("execution_count")
    content["cells"][3].pop("metadata")
    content["cells"].insert(1, {"cell_type": "markdown"})
    content.pop("metadata")
    done = migrate_data(json.dumps(content, ensure_ascii=False).encode())
    assert done.removed == {F}
    after = json.loads(done.data)
    for index in (2, 4):
        assert after["cells"][index] == content["cells"][index]
    assert {key: value for key, value in after["cells"][0].items() if key != "source"} == {
        key: value for key, value in content["cells"][0].items() if key != "source"
    }


def test_calls_as_return_values_and_as_statements(migrate) -> None:
    use = f"def report(norms, path=None):\n    print('norms')\n    return {F}(norms, title='Norms', save_path=path)\n"
    done = migrate(*cells(OLD, use, "report(norms)\nprint('done')", "final = report(norms, 'x.png')\nplt.close(final)"))
    assert done.cells[5:] == [
        f"def report(norms, path=None):\n    print('norms')\n    chart = {F}(norms, title='Norms')\n"
        "    if path:\n        headspec.save(chart, path)\n    return chart\n",
        "display(report(norms))\nprint('done')",
        "final = report(norms, 'x.png')",
    ]


def test_a_helper_of_the_same_name_that_gives_a_tensor_or_a_pair(migrate) -> None:
    for returns in ("entropy.mean(-1)", "entropy.mean(-1), entropy.max()"):
        helper = f"def calculate_entropy(attn, eps=1e-8):\n    entropy = -(attn * (attn + eps).log()).sum(-1)\n    return {returns}\n"
        done = migrate(*cells(helper, OLD, LOOP))
        assert done.cells[4] == helper
        assert done.cells[5:] == ["", NEW_LOOP]
        assert f"this one returns {returns}" in done.why("calculate_entropy")


def test_nothing_to_move_is_nothing_changed(migrate) -> None:
    done = migrate(*cells("plt.plot(losses)\nplt.show()"))
    assert not done.changed
    assert len(done.report.plots) == 2
    assert done.report.version is None


@pytest.mark.parametrize("cut", range(0, 4000, 331))
def test_whatever_a_regular_expression_left_behind_still_parses(migrate, cut) -> None:
    """A definition of which a part is gone: its cell parses or not, and afterwards as before."""
    broken = OLD + "\n\n" + LOOP
    broken = broken[: cut % len(broken)] + broken[cut % len(broken) + 60 :]
    done = migrate(*cells(broken, OLD, LOOP))
    for old, new in zip(cells(broken, OLD, LOOP)[2:], done.cells[2:], strict=True):
        if isinstance(old, str) and not old.startswith("%"):
            assert _parses(new) or not _parses(old)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True
