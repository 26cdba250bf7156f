"""What the migration knows of the public charts: their arguments, the arguments of old, and what they draw.

The table is written out so that a notebook can be read without loading a single chart; a test holds it against
the signatures of the functions themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Arguments of the matplotlib era that have no counterpart, by what they did.
LOOK = words(
    "figsize fig_size size width height cmap colormap color_map colors palette dpi fontsize font_size style alpha "
    "aspect interpolation grid show_grid cbar colorbar show_colorbar show_cbar vmin vmax annot fmt linewidth "
    "linewidths"
)
SAVE = words(
    "save_path savepath save_file save_as save_to path filepath file_path filename file_name output_path out_path "
    "output_file outfile fname save"
)
SHOW = words("show show_plot show_fig show_figure plot_show display_plot block")
AXES = words("ax axes axs fig figure")

_HEAT = words("imshow matshow pcolormesh pcolor heatmap")
_BARS = words("bar barh barplot bar_label")
_LINES = words("plot lineplot semilogy semilogx loglog step fill_between errorbar plot_date")
_DOTS = words("scatter scatterplot")

# Marks that annotate a chart of any kind: lines at a value, texts, the shapes that flag a head.
ANNOTATIONS = words("axhline axvline axhspan axvspan hlines vlines text annotate add_patch add_artist")

# Every call that draws data; one that a chart does not accept means that the definition shows something else.
DRAWING = (
    _HEAT
    | _BARS
    | _LINES
    | _DOTS
    | words(
        "hist hist2d histplot kdeplot distplot displot rugplot ecdfplot boxplot boxenplot violinplot swarmplot "
        "stripplot catplot relplot lmplot jointplot pairplot PairGrid FacetGrid clustermap regplot residplot pointplot "
        "countplot stem pie contour contourf tricontour tricontourf plot_surface plot_wireframe scatter3D bar3d "
        "hexbin quiver streamplot spy stackplot eventplot psd specgram polar broken_barh stairs ecdf"
    )
)


# Those that other objects have as well, an optimizer's step say: they draw only if an axes has them.
AMBIGUOUS = words("step stem polar spy pie stairs bar ecdf catplot displot")


@dataclass(frozen=True)
class Known:
    """One public chart: its positional arguments, and how people's own versions of it look.

    ``accepts`` are the calls that draw what the chart draws; ``reads`` are patterns of the keys or columns that a
    definition has to read, or its data is of another form than the chart's.
    """

    name: str
    params: tuple[str, ...]
    required: int
    legacy: tuple[str, ...]
    accepts: frozenset[str]
    panels: bool = False
    reads: tuple[str, ...] = ()
    defaults: dict[str, object] = field(default_factory=dict)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def target(self, name: str) -> str | None:
        """Return the public argument that an argument of this name stands for."""
        if name in self.params:
            return name
        for param, others in self.aliases.items():
            if name in others:
                return param
        return None


_STATES = {
    "pruned_heads": ("pruned", "pruned_list", "heads_pruned", "prune_list"),
    "revived_heads": ("revived", "revived_list", "heads_revived", "regrown_heads"),
}
_GRADS = (
    "grad_norms gradient_norms grad_values gradient_values grads gradients grad_norm gradient_norm norms "
    "grad_data grad grad_norms_tensor head_grad_norms head_gradients"
)
_ENTROPY = "entropy entropies entropy_tensor entropy_map entropy_matrix head_entropy head_entropies entropy_data"
_FRAME = ("df", "comparison", "results", "results_df", "data", "comp_df", "table")

KNOWN: dict[str, Known] = {
    chart.name: chart
    for chart in (
        Known(
            "plot_experiment_summary",
            ("results_df",),
            1,
            ("results_df", "figsize"),
            _LINES | _BARS | _DOTS | _HEAT,
            panels=True,
            reads=("perplexity", "^stage$"),
            aliases={"results_df": ("df", "results", "data", "experiments_df", "summary_df", "all_results")},
        ),
        *(
            Known(
                name,
                ("comparison_df", "strategies", "model_name", "pruning_level"),
                4,
                ("comparison_df", "strategies", "model_name", "pruning_level", "figsize"),
                _BARS,
                reads=(reads,),
                aliases={
                    "comparison_df": _FRAME,
                    "strategies": ("strategy_names", "strategy_list"),
                    "model_name": ("model", "model_id"),
                    "pruning_level": ("level", "prune_level", "pruning_ratio", "pruning_percent"),
                },
            )
            for name, reads in (
                ("plot_strategy_comparison", "(?i)perplexity"),
                ("plot_recovery_comparison", "(?i)recovery|improvement"),
            )
        ),
        Known(
            "visualize_head_importance",
            ("model_name", "importance_scores", "num_layers", "num_heads"),
            4,
            ("model_name", "importance_scores", "num_layers", "num_heads", "figsize"),
            _HEAT | _BARS,
            panels=True,
            aliases={
                "model_name": ("model_id",),
                "importance_scores": ("scores", "importances", "importance", "head_scores", "head_importance"),
                "num_layers": ("n_layers", "layers"),
                "num_heads": ("n_heads", "heads", "heads_per_layer"),
            },
        ),
        Known(
            "plot_head_gradients_with_overlays",
            ("grad_norms", "pruned_heads", "revived_heads", "vulnerable_heads", "vulnerable_threshold", "title"),
            1,
            (
                "grad_norms",
                "pruned_heads",
                "revived_heads",
                "vulnerable_heads",
                "vulnerable_threshold",
                "figsize",
                "title",
            ),
            _BARS | _HEAT,
            defaults={"vulnerable_threshold": 0.01},
            aliases={
                **_STATES,
                "grad_norms": (*_names(_GRADS), "grad_norm_values"),
                "vulnerable_heads": ("vulnerable",),
                "vulnerable_threshold": ("threshold", "vuln_threshold"),
            },
        ),
        Known(
            "visualize_gradient_norms",
            ("grad_norm_values", "pruned_heads", "revived_heads", "title"),
            1,
            ("grad_norm_values", "pruned_heads", "revived_heads", "title", "figsize", "cmap", "save_path"),
            _HEAT,
            aliases={**_STATES, "grad_norm_values": _names(_GRADS)},
        ),
        Known(
            "visualize_attention_matrix",
            ("attn_matrix", "layer_idx", "head_idx", "title"),
            1,
            ("attn_matrix", "layer_idx", "head_idx", "title", "cmap", "figsize", "save_path"),
            _HEAT,
            defaults={"layer_idx": 0, "head_idx": 0, "title": None},
            aliases={
                "attn_matrix": _names("attention_matrix attn attention attention_weights attn_weights matrix"),
                "layer_idx": ("layer", "layer_index"),
                "head_idx": ("head", "head_index"),
            },
        ),
        Known(
            "visualize_entropy_heatmap",
            ("entropy_values", "title", "min_value", "annotate"),
            1,
            ("entropy_values", "title", "min_value", "annotate", "figsize", "cmap", "save_path"),
            _HEAT,
            defaults={"min_value": 0.0, "annotate": True},
            aliases={"entropy_values": _names(_ENTROPY)},
        ),
        Known(
            "visualize_normalized_entropy",
            ("entropy_values", "max_entropy", "title"),
            2,
            ("entropy_values", "max_entropy", "title", "figsize", "cmap", "save_path"),
            _HEAT,
            aliases={"entropy_values": _names(_ENTROPY), "max_entropy": ("maximum_entropy", "max_ent")},
        ),
        Known(
            "visualize_entropy_vs_gradient",
            ("entropy_values", "grad_norm_values", "title"),
            2,
            ("entropy_values", "grad_norm_values", "title", "figsize", "save_path"),
            _DOTS | frozenset(("regplot",)),
            aliases={"entropy_values": _names(_ENTROPY), "grad_norm_values": _names(_GRADS)},
        ),
        Known(
            "visualize_training_progress",
            ("metrics_history", "max_display_points", "show_perplexity"),
            1,
            ("metrics_history", "max_display_points", "figsize", "show_perplexity", "save_path"),
            _LINES | _BARS | _DOTS,
            panels=True,
            reads=("^step$",),
            defaults={"max_display_points": 100, "show_perplexity": True},
            aliases={"metrics_history": _names("history metrics training_history metric_history train_history")},
        ),
    )
}

# Functions that headspec has under the same name, and that people write for themselves to return something else:
# what one returns cannot be read off its text, so they are named in the report and never touched.
MEASURES: dict[str, str] = {
    "calculate_entropy": "an array of layers × heads",
    "calculate_normalized_entropy": "an array of layers × heads between 0 and 1",
    "calculate_gradient_norms": "an array of layers × heads",
    "calculate_head_importance": "an array of layers × heads",
    "load_results_from_file": "a table of results with fixed columns",
}

# What `headspec.save` writes, and what it does not although matplotlib did.
SUFFIXES = (".json", ".html", ".png", ".svg", ".pdf")

# The default titles of the functions of old: a definition with another one was given it on purpose.
OLD_TITLES = frozenset(
    (
        "Gradient Norms",
        "Attention Entropy Heatmap",
        "Normalized Entropy (% of Maximum)",
        "Entropy vs Gradient Relationship",
        "Attention Head Gradient Norms with Plasticity Status",
    )
)

MENTION = re.compile(r"\b(?:" + "|".join(map(re.escape, (*KNOWN, *MEASURES))) + r")\b")


def role_of(name: str) -> str:
    """Return what an argument that no chart has was for: ``look``, ``save``, ``show``, ``axes`` or ``unknown``."""
    for role, names in (("look", LOOK), ("save", SAVE), ("show", SHOW), ("axes", AXES)):
        if name in names:
            return role
    return "unknown"
