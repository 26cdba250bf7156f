"""Which definitions go: those that a chart covers, and no other."""

from __future__ import annotations

import pytest

CALL = "visualize_entropy_heatmap(e)"


def test_a_plotting_function_goes_with_its_comment_and_nothing_else(migrate, imports, entropy) -> None:
    cell = f"# Settings stay\nLIMIT = 3\n\n# Draws the entropy\n# of every head\n{entropy}\n\n# After it\nprint(LIMIT)"
    done = migrate(imports, cell, CALL)
    assert done.cells[1] == "# Settings stay\nLIMIT = 3\n\n\n# After it\nprint(LIMIT)"
    assert done.cells[2] == CALL
    assert done.removed == {"visualize_entropy_heatmap"}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("return fig", "return fig, np.mean(entropy_values)", "not a figure"),
        ("return fig", "return np.asarray(entropy_values).mean(axis=0)", "not a figure"),
        ("return fig", "return {'fig': fig}", "not a figure"),
        ("    fig, ax", "    if entropy_values is None:\n        return None\n    fig, ax", "returns early"),
        ("    return fig", "    print(f'mean {np.mean(entropy_values)}')\n    return fig", "prints values"),
        ("    return fig", "    np.save('x.npy', entropy_values)\n    return fig", "it calls numpy.save"),
        ("    return fig", "    fig.savefig('always.png')\n    return fig", "a file of its own choice"),
        ("    return fig", "    np.set_printoptions(precision=3)\n    return fig", "it calls numpy.set_printoptions"),
        ("    return fig", "    history.append(1)\n    return fig", "history"),
        ("    return fig", "    entropy_values[0] = 0\n    return fig", "changes its argument"),
        ("    return fig", "    global last\n    last = fig\n    return fig", "sets names outside"),
        (
            "    return fig",
            "    for l, h in dead_heads:\n        ax.text(h, l, 'x')\n    return fig",
            "reads dead_heads",
        ),
        ("    return fig", "    mark_heads(ax)\n    return fig", "calls mark_heads"),
        ("    return fig", "    wandb.log({'a': fig})\n    return fig", "wandb"),
        ("    return fig", "    entropy_values.zero_everything()\n    return fig", "may do more than draw"),
        ("    return fig", "    %time pass\n    return fig", "magic"),
        ("    return fig", "    !ls\n    return fig", "magic or a shell line"),
        ("ax.imshow(np.asarray(entropy_values), cmap=cmap)", "ax.hist(np.ravel(entropy_values))", "draws hist"),
        ("    return fig", "    ax.hist(np.ravel(entropy_values))\n    return fig", "also draws hist"),
        ("ax.imshow(np.asarray(entropy_values), cmap=cmap)", "ax.plot(entropy_values)", "not what headspec draws"),
        ("np.asarray(entropy_values), cmap", "np.asarray(entropy_values).T, cmap", "transposed"),
        ("plt.subplots(figsize=figsize)", "plt.subplots(1, 2, figsize=figsize)", "several panels"),
        ("def visualize", "@my_decorator\ndef visualize", "decorated with my_decorator"),
        ("def visualize", "async def visualize", "coroutine"),
        ("return fig", "yield fig", "generator"),
        ("(entropy_values,", "(entropy_values, folder,", "it needs folder"),
        ("(entropy_values,", "(entropy_values, entropies,", "two of its arguments"),
        (
            "    fig, ax = plt.subplots(figsize=figsize)\n    image",
            "    try:\n        fig, ax = plt.subplots()\n    except Exception:\n        fig = None\n    image",
            "swallows errors",
        ),
    ],
)
def test_a_definition_that_does_more_stays_whole(migrate, imports, entropy, old, new, why) -> None:
    assert old in entropy
    done = migrate(imports, entropy.replace(old, new), CALL)
    assert not done.changed
    assert why in done.why("visualize_entropy_heatmap")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return fig", "    plt.show()"),
        ("    return fig", "    print('Plotting …')\n    return ax"),
        ("    return fig", "    return plt.gcf()"),
        ("    return fig", "    return ax.figure"),
        ("def visualize", "@torch.no_grad()\ndef visualize"),
        ("cmap='viridis'", "cmap='viridis', log=False"),
        (
            "    fig, ax",
            "    if entropy_values.ndim != 2:\n        raise ValueError('not layers × heads')\n    fig, ax",
        ),
        ("    fig, ax", "    entropy_values = entropy_values.detach().float().cpu().numpy()\n    fig, ax"),
        ("    fig, ax", "    import seaborn as sns\n    fig, ax"),
        ("image = ax.imshow(np.asarray(entropy_values), cmap=cmap)", "image = sns.heatmap(entropy_values, ax=ax)"),
        (
            "    return fig",
            "    rows = []\n    rows.append(3)\n    for one in [ax, plt.gca()]:\n        one.grid(False)\n    return fig",
        ),
        ('cmap="viridis"):', 'cmap="viridis", **kwargs):'),
        ("    fig, ax", "    def to_numpy(x):\n        return np.asarray(x)\n    fig, ax"),
        ("    fig, ax", "    plt.rcParams['font.size'] = 9\n    plt.style.use('ggplot')\n    fig, ax"),
        ("    fig, ax", "    with plt.style.context('ggplot'):\n        pass\n    fig, ax"),
    ],
)
def test_a_definition_that_only_draws_goes(migrate, imports, entropy, old, new) -> None:
    changed = entropy.replace(old, new)
    done = migrate("import torch\nimport seaborn as sns\n" + imports, changed, CALL, "print(np, torch, sns, plt)")
    assert done.removed == {"visualize_entropy_heatmap"}, done.report.text()
    assert done.cells[2] == CALL


@pytest.mark.parametrize(
    "use",
    [
        "fig, ax = visualize_entropy_heatmap(e)",
        "visualize_entropy_heatmap(e).axes[0].set_title('x')",
        "visualize_entropy_heatmap(e)[0]",
        "figs = [visualize_entropy_heatmap(x) for x in e]",
        "figs['a'] = visualize_entropy_heatmap(e)",
        "self.fig = visualize_entropy_heatmap(e)",
        "print(visualize_entropy_heatmap(e))",
        "writer.add_figure('a', visualize_entropy_heatmap(e))",
        "fig = visualize_entropy_heatmap(e)\nwriter.add_figure('a', fig)",
        "fig = visualize_entropy_heatmap(e)\nfig.axes[0].set_xlabel('x')",
        "fig = visualize_entropy_heatmap(e)\nfig.savefig(buffer, format='png')",
        "fig = visualize_entropy_heatmap(e)\nfig.savefig('x.jpg')",
        "x = visualize_entropy_heatmap(e) or 3",
        "callbacks.append(visualize_entropy_heatmap)",
        "plot = visualize_entropy_heatmap\nplot(e)",
        "visualize_entropy_heatmap(*args)",
        "visualize_entropy_heatmap(e, **options)",
        "visualize_entropy_heatmap(e, ax=axes[0])",
        "visualize_entropy_heatmap(e.flatten())",
        "visualize_entropy_heatmap(e, unknown=3)",
        "%time visualize_entropy_heatmap(e)",
        "%%timeit\nvisualize_entropy_heatmap(e)",
        "getattr(module, 'visualize_entropy_heatmap')(e)",
        "globals()['visualize_entropy_heatmap'](e)",
        "eval('visualize_entropy_heatmap(e)')",
        "timeit('x = 1\\nvisualize_entropy_heatmap(e)', globals=globals())",
        "visualize_entropy_heatmap = something(visualize_entropy_heatmap)",
        "fig = visualize_entropy_heatmap(e)\nplt.title('another')",
        "plt.subplot(1, 2, 1)\nvisualize_entropy_heatmap(e)\nplt.xlabel('x')",
        "if visualize_entropy_heatmap(e): pass",
    ],
)
def test_what_callers_rely_on_keeps_the_definition(migrate, imports, entropy, use) -> None:
    done = migrate(imports, entropy, use)
    assert not done.changed
    assert done.why("visualize_entropy_heatmap")


def test_words_about_a_function_are_no_use_of_it(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy, CALL, "print('now visualize_entropy_heatmap(e) draws')")
    assert done.removed == {"visualize_entropy_heatmap"}


def test_one_call_that_cannot_move_keeps_all(migrate, imports, entropy) -> None:
    done = migrate(
        imports, entropy, CALL, "visualize_entropy_heatmap(e, figsize=(3, 3))", "a, b = visualize_entropy_heatmap(e)"
    )
    assert not done.changed
    assert "cell 5, line 1" in done.why("visualize_entropy_heatmap")


def test_another_function_moves_although_one_stays(migrate, imports, entropy, gradients) -> None:
    done = migrate(imports, entropy, gradients, "a, b = visualize_entropy_heatmap(e)", "visualize_gradient_norms(g)")
    assert done.removed == {"visualize_gradient_norms"}
    assert done.cells[1] == entropy


def test_a_function_defined_twice_goes_twice(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy, "x = 1\n\n" + entropy, CALL)
    assert done.cells[1:] == ["", "x = 1\n", CALL]
    assert len([1 for name, what in done.report.removed if what.startswith("definition")]) == 2


def test_if_one_of_two_definitions_is_not_covered_both_stay(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy, entropy.replace("return fig", "return fig, 3"), CALL)
    assert not done.changed


def test_definitions_that_order_their_arguments_differently_stay(migrate, imports, entropy) -> None:
    other = entropy.replace('title="Attention Entropy Heatmap", min_value=0.0', "min_value=0.0, title=None")
    done = migrate(
        imports, entropy + "\nif other:\n    " + other.replace("\n", "\n    "), "visualize_entropy_heatmap(e, 'x')"
    )
    assert not done.changed
    assert "differently" in done.why("visualize_entropy_heatmap")


def test_methods_and_calls_of_objects_are_not_functions(migrate, imports, entropy) -> None:
    method = "class Plots:\n    " + entropy.replace("(entropy", "(self, entropy").replace("\n", "\n    ")
    done = migrate(
        imports, method, "Plots().visualize_entropy_heatmap(e, figsize=(1, 1))", "tool.visualize_gradient_norms(3)"
    )
    assert not done.changed
    assert "method of Plots" in done.why("visualize_entropy_heatmap")


def test_a_measure_of_the_same_name_stays_and_is_named(migrate, imports, entropy) -> None:
    helper = "def calculate_entropy(attention):\n    return -(attention * np.log(attention)).sum(-1), attention.max()\n"
    done = migrate(imports, helper, entropy, "value, top = calculate_entropy(a)\nvisualize_entropy_heatmap(value)")
    assert done.cells[1] == helper
    assert "this one returns" in done.why("calculate_entropy")
    assert done.removed == {"visualize_entropy_heatmap"}


def test_a_definition_that_nobody_calls_goes_without_an_import(migrate, imports, entropy) -> None:
    done = migrate(imports + "print(np, plt)", entropy)
    assert done.cells == [imports + "print(np, plt)", ""]
    assert "headspec" not in done.code


def test_heads_have_to_be_pairs_of_layer_and_head(migrate, imports, gradients) -> None:
    for loop in (
        "for head, layer in pruned_heads",
        "for layer, head, score in pruned_heads",
        "for index in pruned_heads",
    ):
        done = migrate(
            imports, gradients.replace("for layer, head in pruned_heads", loop), "visualize_gradient_norms(g)"
        )
        assert not done.changed
        assert "pairs of layer and head" in done.why("visualize_gradient_norms")


def test_bars_over_a_flat_vector_are_not_a_map_of_heads(migrate, imports) -> None:
    bars = "def visualize_gradient_norms(grad_norm_values, title='x'):\n    plt.bar(range(9), grad_norm_values)\n"
    assert not migrate(imports, bars, "visualize_gradient_norms(g)").changed
    overlay = "def plot_head_gradients_with_overlays(grad_norms, title='x'):\n    plt.bar(range(9), {})\n"
    assert not migrate(imports, overlay.format("grad_norms"), "plot_head_gradients_with_overlays(g)").changed
    done = migrate(imports, overlay.format("np.asarray(grad_norms).flatten()"), "plot_head_gradients_with_overlays(g)")
    assert "plot_head_gradients_with_overlays(g, title='x', vulnerable_threshold=None)" in done.code


def test_tables_and_histories_have_to_have_the_columns_of_the_chart(migrate, imports) -> None:
    history = "def visualize_training_progress(history, figsize=(3, 3)):\n    plt.plot({})\n    plt.plot(history['train_loss'])\n"
    assert not migrate(imports, history.format("history['loss']"), "visualize_training_progress(h)").changed
    done = migrate(imports, history.format("history['step'], history['train_loss']"), "visualize_training_progress(h)")
    assert done.removed
    bars = (
        "def plot_strategy_comparison(df, strategies, model_name, pruning_level):\n    plt.bar(strategies, df['{}'])\n"
    )
    call = "plot_strategy_comparison(df, s, 'm', 0.1)"
    assert not migrate(imports, bars.format("Sharpe"), call).changed
    assert migrate(imports, bars.format("Baseline Perplexity"), call).changed


def test_a_comparison_in_another_field_is_left_alone(migrate, imports) -> None:
    other = "def plot_strategy_comparison(results, benchmark):\n    plt.bar(results, benchmark)\n"
    done = migrate(imports, other, "plot_strategy_comparison(a, b)")
    assert not done.changed
    assert "does not take" in done.why("plot_strategy_comparison")


def test_a_notebook_in_another_language_is_left_alone(make, migrate_data, entropy) -> None:
    data = make(entropy, CALL).replace(
        b'"metadata": {},\n "nbformat"', b'"metadata": {"kernelspec": {"name": "ir", "language": "R"}},\n "nbformat"'
    )
    assert b'"language": "R"' in data
    done = migrate_data(data)
    assert not done.changed
    assert "not Python" in done.report.text()


@pytest.mark.parametrize("name", ["display", "headspec"])
def test_names_that_the_new_code_needs_have_to_be_free(migrate, imports, entropy, name) -> None:
    done = migrate(imports, entropy, f"{name} = 3", CALL)
    assert not done.changed
    assert f"the name {name}" in done.why("visualize_entropy_heatmap")


def test_a_cell_that_installs_packages_is_named(migrate, imports, entropy) -> None:
    done = migrate("!pip install -q matplotlib", imports, entropy, CALL)
    assert any("cell 1 installs packages" in note for note in done.report.notes)
