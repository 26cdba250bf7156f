"""What becomes of calls: arguments, saves, figures that are shown and closed."""

from __future__ import annotations

import pytest

WIDE = "def visualize_attention_matrix(attn, layer_idx=0, head_idx=0, title=None, cmap='magma', figsize=(8, 6), save_path=None):\n"


@pytest.fixture(scope="module")
def call(migrate, imports, entropy):
    """Return what a cell with calls of the entropy function becomes."""

    def of(text: str, *more: str) -> str:
        saving = entropy.replace('cmap="viridis"', 'cmap="viridis", save_path=None')
        saving = saving.replace("    return fig", "    if save_path:\n        fig.savefig(save_path)\n    return fig")
        done = migrate(imports + "print(np, plt)", saving, text, *more)
        assert done.removed == {"visualize_entropy_heatmap"}, done.report.text()
        return done.cells[2]

    return of


F = "visualize_entropy_heatmap"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"{F}(e)", f"{F}(e)"),
        (f"{F}(e, figsize=(3, 3))", f"{F}(e)"),
        (f"{F}(e, figsize=(3, 3), title='x')", f"{F}(e, title='x')"),
        (f"{F}(figsize=(3, 3), entropy_values=e)", f"{F}(entropy_values=e)"),
        (f"{F}(e, 'x', 0.5, False, (3, 3), 'magma')", f"{F}(e, 'x', 0.5, False)"),
        (f"{F}(e, title='x', cmap='magma', )", f"{F}(e, title='x', )"),
        (f"{F}(\n    e,\n    figsize=(3, 3),\n    title='x',\n)", f"{F}(\n    e,\n    title='x',\n)"),
        (
            f"{F}(\n    e,  # entropy\n    title='x',  # title\n    cmap='a',  # colours\n    figsize=(1, 1),  # size\n)",
            f"{F}(\n    e,  # entropy\n    title='x',  # title\n)",
        ),
        (f"{F}(e, save_path=None)", f"{F}(e)"),
        (f"{F}(e);", f"{F}(e)"),
        (f"{F}(e)\nplt.show()", f"{F}(e)"),
        (f"{F}(e)\n\nplt.tight_layout()\nplt.show()\nplt.close()\n", f"{F}(e)\n"),
        (f"plt.figure(figsize=(5, 5))\n{F}(e)\nplt.show()", f"{F}(e)"),
        (f"{F}(e)\nprint(1)", f"display({F}(e))\nprint(1)"),
        (f"{F}(e); print(1)", f"display({F}(e)); print(1)"),
        (f"for x in e:\n    {F}(x)\n    plt.show()\n", f"for x in e:\n    display({F}(x))\n"),
        (f"for x in e:\n    {F}(x)\n    plt.close()\n", f"for x in e:\n    {F}(x)\n"),
        (f"if e: {F}(e); plt.show()", f"if e: display({F}(e))"),
        (f"display({F}(e, cmap='x'))", f"display({F}(e))"),
        (f"{F}(e).savefig('x.svg')\nplt.close()", f"headspec.save({F}(e), 'x.svg')"),
        (f"{F}(e).show()\nprint(1)", f"display({F}(e))\nprint(1)"),
        (f"fig = {F}(e)\nplt.show()", f"fig = {F}(e)\nfig"),
        (f"fig = {F}(e)\nfig.show()\nprint(1)", f"fig = {F}(e)\ndisplay(fig)\nprint(1)"),
        (f"fig = {F}(e)\nplt.close(fig)\nprint(1)", f"fig = {F}(e)\nprint(1)"),
        (f"fig = {F}(e)", f"fig = {F}(e)\nfig"),
        (f"fig = {F}(e)\nfig", f"fig = {F}(e)\nfig"),
        (f"fig = {F}(e)\nprint(1)", f"fig = {F}(e)\ndisplay(fig)\nprint(1)"),
        (f"fig = {F}(e)\ndisplay(fig)\nplt.close(fig)", f"fig = {F}(e)\ndisplay(fig)"),
        (
            f"fig = {F}(e)\nfig.tight_layout()\nfig.set_size_inches(3, 3)\nfig.savefig('x.pdf', dpi=300)\nplt.close('all')",
            f"fig = {F}(e)\nheadspec.save(fig, 'x.pdf')",
        ),
        (f"{F}(e)\nplt.savefig('x.png')\nplt.show()", f"chart = {F}(e)\nheadspec.save(chart, 'x.png')\nchart"),
        (f"{F}(e)\nplt.savefig('x.png')\nplt.close()", f"chart = {F}(e)\nheadspec.save(chart, 'x.png')"),
        (f"{F}(e, save_path='x.png')", f"chart = {F}(e)\nheadspec.save(chart, 'x.png')\nchart"),
        (f"{F}(e, save_path='x.png')\nplt.close()", f"chart = {F}(e)\nheadspec.save(chart, 'x.png')"),
        (
            f"if e:\n    {F}(e, save_path='x.png')  # keep\n",
            f"if e:\n    chart = {F}(e)  # keep\n    headspec.save(chart, 'x.png')\n    display(chart)\n",
        ),
        (
            f"if e: {F}(e, save_path='x.png')",
            f"if e:\n    chart = {F}(e)\n    headspec.save(chart, 'x.png')\n    display(chart)",
        ),
        (
            f"fig = {F}(e, save_path='x.png')\nplt.close(fig)\nprint(1)",
            f"fig = {F}(e)\nheadspec.save(fig, 'x.png')\nprint(1)",
        ),
        (
            f"def run(e, path=None):\n    return {F}(e, save_path=path)\n",
            f"def run(e, path=None):\n    chart = {F}(e)\n    if path:\n        headspec.save(chart, path)\n    return chart\n",
        ),
        (
            f"def run(e):\n    {F}(e)\n    plt.show()\n    return 3\n",
            f"def run(e):\n    display({F}(e))\n    return 3\n",
        ),
        (
            f"{F}(e, save_path='x.png' if keep else None)\nplt.close()",
            f"chart = {F}(e)\nif keep:\n    headspec.save(chart, 'x.png')",
        ),
        (
            f"{F}(e, save_path=None if skip else out / 'x.png')\nplt.close()",
            f"chart = {F}(e)\nif not (skip):\n    headspec.save(chart, out / 'x.png')",
        ),
        (
            f"path = f'{{out}}/x.png'\n{F}(e, save_path=path)\nplt.close()",
            f"path = f'{{out}}/x.png'\nchart = {F}(e)\nheadspec.save(chart, path)",
        ),
        (
            f"{F}(e, save_path=options.path)\nplt.close()",
            f"chart = {F}(e)\nif options.path:\n    headspec.save(chart, options.path)",
        ),
        (f"{F}(e).savefig('plots/x')\nplt.close()", f"headspec.save({F}(e), 'plots/x.png')"),
        (f"{F}(e).savefig(f'x_{{i}}')\nplt.close()", f"headspec.save({F}(e), f'x_{{i}}.png')"),
        (f"{F}(e).savefig((a / 'x.png'))\nplt.close()", f"headspec.save({F}(e), (a / 'x.png'))"),
        (
            "chart = 1\n" + f"{F}(e, save_path='x.png')\nplt.close()",
            "chart = 1\n" + f"chart_2 = {F}(e)\nheadspec.save(chart_2, 'x.png')",
        ),
        (f"%%time\n{F}(e)", f"%%time\ndisplay({F}(e))"),
        (f"%matplotlib inline\n{F}(e)\nplt.show()", f"%matplotlib inline\n{F}(e)"),
        (f"try:\n    {F}(e)\nfinally:\n    plt.show()", f"try:\n    display({F}(e))\nfinally:\n    pass"),
        (f"if e:\n    {F}(e)\nelse:\n    print(1)\nplt.show()", f"if e:\n    display({F}(e))\nelse:\n    print(1)"),
        (f"with open('x') as f:\n    {F}(e)\nplt.show()", f"with open('x') as f:\n    display({F}(e))"),
        (f"{F}(e)\nplt.show()\nplt.plot(x)\nplt.show()", f"display({F}(e))\nplt.plot(x)\nplt.show()"),
        (f"plt.plot(x)\nplt.show()\n{F}(e)\nplt.show()", f"plt.plot(x)\nplt.show()\n{F}(e)"),
        (f"plt.plot(x)\n{F}(e)\nplt.show()", f"plt.plot(x)\ndisplay({F}(e))\nplt.show()"),
        (f"{F}(e)\nlosses.plot()\nplt.show()", f"display({F}(e))\nlosses.plot()\nplt.show()"),
        (f"{F}(e)\nplot_losses(x)\nplt.show()", f"display({F}(e))\nplot_losses(x)\nplt.show()"),
        (
            f"{F}(e, save_path=path)\npicture = plt.imread(path)\nplt.figure(figsize=(3, 3))\nplt.imshow(picture)\n"
            "plt.axis('off')\nplt.show()",
            f"chart = {F}(e)\nif path:\n    headspec.save(chart, path)\ndisplay(chart)\npicture = plt.imread(path)\n"
            "plt.figure(figsize=(3, 3))\nplt.imshow(picture)\nplt.axis('off')\nplt.show()",
        ),
        (
            f"fig = {F}(e)\nplt.close(fig)\nfig, ax = plt.subplots()\nax.plot(x)\nfig.savefig('y.png')\nplt.close(fig)",
            f"fig = {F}(e)\nfig, ax = plt.subplots()\nax.plot(x)\nfig.savefig('y.png')\nplt.close(fig)",
        ),
    ],
)
def test_a_cell_with_calls_becomes(call, old, new) -> None:
    assert call(old) == new


def test_windows_line_ends_stay(call) -> None:
    old = f"if e:\r\n    {F}(e, save_path='x.png')\r\nplt.show()\r\n"
    assert call(old) == (f"if e:\r\n    chart = {F}(e)\r\n    headspec.save(chart, 'x.png')\r\n    display(chart)\r\n")


def test_tabs_stay_tabs(call) -> None:
    assert call(f"if e:\n\tif e: {F}(e, save_path=p)\n") == (
        f"if e:\n\tif e:\n\t\tchart = {F}(e)\n\t\tif p:\n\t\t\theadspec.save(chart, p)\n\t\tdisplay(chart)\n"
    )


def test_arguments_are_renamed_and_turned_to_keywords(migrate, imports) -> None:
    body = "    plt.imshow(attn[0, head_idx])\n    plt.show()\n"
    done = migrate(imports, WIDE + body, "visualize_attention_matrix(attn=a, head_idx=3, figsize=(1, 1))")
    assert done.cells[2] == "visualize_attention_matrix(attn_matrix=a, head_idx=3, batch_idx=0)"
    overlay = (
        "def plot_head_gradients_with_overlays(grads, pruned=None, revived=None, vulnerable_heads=None,\n"
        "        threshold=0.05, figsize=(12, 6), title='Mine'):\n    plt.imshow(grads)\n"
    )
    done = migrate(imports, overlay, "plot_head_gradients_with_overlays(g, p, r, None, 0.1, (3, 3), 'T')")
    assert done.cells[2] == "plot_head_gradients_with_overlays(g, p, r, None, 0.1, 'T')"
    done = migrate(imports, overlay, "plot_head_gradients_with_overlays(g, pruned=p)")
    assert done.cells[2] == (
        "plot_head_gradients_with_overlays(g, pruned_heads=p, vulnerable_threshold=0.05, title='Mine')"
    )
    other = "def visualize_gradient_norms(g, title='Gradient Norms', pruned_heads=None):\n    plt.imshow(g)\n"
    done = migrate(imports, other, "visualize_gradient_norms(g, 'T', p)")
    assert done.cells[2] == "visualize_gradient_norms(g, title='T', pruned_heads=p)"


def test_a_default_of_the_old_function_that_differs_is_written_out(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy.replace("annotate=True", "annotate=False"), f"{F}(e)", f"{F}(e, annotate=True)")
    assert done.cells[2] == f"{F}(e, annotate=False)"
    assert done.cells[3] == f"{F}(e, annotate=True)"
    done = migrate(imports, entropy.replace('"Attention Entropy Heatmap"', '"Run 7"'), f"{F}(e)")
    assert done.cells[2] == f'{F}(e, title="Run 7")'
    assert not migrate(imports + "ON = f()", entropy.replace("annotate=True", "annotate=ON"), f"{F}(e)").changed


def test_what_is_dropped_is_said(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy, f"{F}(e, cmap=pick())\n", f"fig = {F}(e)\nfig.savefig('x.png', dpi=find_dpi())")
    text = done.report.text()
    assert "cmap=pick(), whose call no longer happens" in text
    assert "find_dpi()" in text


def test_a_function_that_returns_the_chart_is_followed(migrate, imports, entropy) -> None:
    wrapper = f"def draw(e, name=None):\n    fig = {F}(e, figsize=(4, 4))\n    return fig\n"
    done = migrate(
        imports, entropy, wrapper, "draw(e)\nprint(1)", "f = draw(e)\nf.savefig('a.png')\nplt.close(f)", "draw(e)"
    )
    assert done.cells[2:] == [
        f"def draw(e, name=None):\n    fig = {F}(e)\n    return fig\n",
        "display(draw(e))\nprint(1)",
        "f = draw(e)\nheadspec.save(f, 'a.png')",
        "draw(e)",
    ]
    assert not migrate(imports, entropy, wrapper, "draw(e).axes").changed
    assert not migrate(imports, entropy, wrapper, "run(draw)").changed
    method = f"class A:\n    def draw(self):\n        return {F}(self.e)\n"
    assert not migrate(imports, entropy, method, "A().draw()").changed


def test_a_function_that_shows_is_not_shown_twice(migrate, imports, entropy) -> None:
    wrapper = f"def draw(e):\n    fig = {F}(e)\n    plt.show()\n    return fig\n"
    done = migrate(imports, entropy, wrapper, "draw(e)\nprint(1)")
    assert done.cells[2] == f"def draw(e):\n    fig = {F}(e)\n    display(fig)\n    return fig\n"
    assert done.cells[3] == "draw(e)\nprint(1)"


def test_a_function_that_closes_unless_it_saves(migrate, imports, entropy) -> None:
    old = entropy.replace('cmap="viridis"', 'cmap="viridis", save_path=None, show=True').replace(
        "    return fig",
        "    if save_path:\n        plt.savefig(save_path)\n    if show:\n        plt.show()\n    else:\n        plt.close()",
    )
    done = migrate(imports, old, f"{F}(e, show=False, save_path='x.png')\n{F}(e)\nprint(1)", f"{F}(e, show=flag)")
    assert not done.changed
    assert "at run time" in done.why(F)
    done = migrate(imports, old, f"{F}(e, show=False, save_path='x.png')\n{F}(e)\nprint(1)")
    assert done.cells[2] == f"chart = {F}(e)\nheadspec.save(chart, 'x.png')\ndisplay({F}(e))\nprint(1)"


def test_a_function_that_draws_into_the_current_figure(migrate, imports) -> None:
    old = f"def {F}(entropy_values, title='Attention Entropy Heatmap'):\n    plt.imshow(entropy_values)\n    plt.title(title)\n"
    done = migrate(imports, old, f"plt.figure(figsize=(3, 3))\n{F}(e)\nplt.show()")
    assert done.cells[2] == f"{F}(e)"
    for use in (
        f"plt.subplot(1, 2, 1)\n{F}(e)\nplt.subplot(1, 2, 2)\n{F}(e)\nplt.show()",
        f"plt.plot(x)\n{F}(e)\nplt.show()",
        f"{F}(e)\n{F}(e)\nplt.show()",
        f"fig, ax = plt.subplots()\n{F}(e)\nplt.show()",
    ):
        assert not migrate(imports, old, use).changed, use


def test_a_folder_that_the_old_function_made_keeps_it(migrate, imports, entropy) -> None:
    old = entropy.replace('cmap="viridis"', 'cmap="viridis", save_path=None').replace(
        "    return fig",
        "    if save_path:\n        os.makedirs(os.path.dirname(save_path), exist_ok=True)\n        plt.savefig(save_path)",
    )
    assert migrate("import os\n" + imports, old, f"{F}(e)").changed
    done = migrate("import os\n" + imports, old, f"{F}(e, save_path='a/b.png')")
    assert not done.changed
    assert "makes the folder" in done.why(F)


def test_a_variable_that_may_hold_another_figure_keeps_all(migrate, imports, entropy) -> None:
    for use in (
        f"fig = plt.figure()\nif e:\n    fig = {F}(e)\nfig.savefig('x.png')",
        f"fig = plt.figure()\nfor i in e:\n    if i:\n        fig.savefig('x.png')\n    fig = {F}(i)\n",
        f"fig = {F}(e)\ndef f():\n    global fig\n    fig = plt.figure()\nfig.savefig('x.png')",
    ):
        assert not migrate(imports, entropy, use).changed, use


def test_calls_of_headspec_with_arguments_of_old_are_brought_up_to_date(migrate) -> None:
    start = "from headspec import visualize_entropy_heatmap"
    done = migrate(
        start, f"{F}(e, figsize=(3, 3))\nprint(1)", f"{F}(e, cmap='x', save_path='x.png')", f"{F}(e)\nprint(1)"
    )
    assert done.cells[1:] == [
        f"{F}(e)\nprint(1)",
        f"chart = {F}(e)\nheadspec.save(chart, 'x.png')\nchart",
        f"{F}(e)\nprint(1)",
    ]
    assert done.cells[0] == f"{start}\nimport headspec"


def test_in_a_script_nothing_is_displayed_that_was_not_shown(migrate_data, imports, entropy) -> None:
    tail = f"\n\nfig = {F}(e, figsize=(3, 3))\nfig.savefig('x.png')\n{F}(e)\nplt.show()\nfig = {F}(e)\nplt.show()\n"
    done = migrate_data((imports + "\n\n" + entropy + tail).encode(), script=True)
    assert done.cells[0] == (
        "import headspec\nfrom headspec import visualize_entropy_heatmap\n\n\n"
        # plt.show() shows every figure that is open.
        f"fig = {F}(e)\nheadspec.save(fig, 'x.png')\n{F}(e).show()\nfig.show()\nfig = {F}(e)\nfig.show()\n"
    )


def test_arguments_that_the_definition_never_took_are_said_together(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy, "visualize_entropy_heatmap(e, foo=1, bar=2)")
    assert not done.changed
    assert done.why("visualize_entropy_heatmap") == (
        "it is called with foo and bar, which it does not take (cell 3, line 1)"
    )
