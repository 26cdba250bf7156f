"""THE list of public names. Lazy exports, the command line, the gallery and the catalog test follow from it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Room = Literal["source", "table", "measure", "chart", "output", "notebook"]
Input = Literal["heads", "attention", "history", "results", "heads pair", "importance", "events"]


class Entry(NamedTuple):
    """One public name.

    For charts also: `kind`, its name on the command line; `inputs`, what the command line reads for it; and `category`, its
    place in the gallery.
    """

    name: str
    module: str
    room: Room
    kind: str = ""
    inputs: Input = "heads"
    category: str = ""


CATEGORIES = ("Attention", "Heads", "Training", "Experiments")

CATALOG: tuple[Entry, ...] = (
    # sources
    Entry("load_results_from_file", "headspec.sources.files", "source"),
    Entry("load_recorded_run", "headspec.sources.recording", "source"),
    Entry("load_run", "headspec.sources.recorded_run", "source"),
    Entry("Recorder", "headspec.sources.recorder", "source"),
    # tables
    Entry("heads_table", "headspec.tables.heads", "table"),
    Entry("attention_table", "headspec.tables.attention", "table"),
    Entry("history_table", "headspec.tables.history", "table"),
    Entry("results_table", "headspec.tables.results", "table"),
    Entry("events_table", "headspec.tables.events", "table"),
    # measures
    Entry("calculate_entropy", "headspec.measures.entropy", "measure"),
    Entry("calculate_normalized_entropy", "headspec.measures.entropy", "measure"),
    Entry("calculate_max_entropy", "headspec.measures.entropy", "measure"),
    Entry("calculate_gradient_norms", "headspec.measures.gradients", "measure"),
    Entry("calculate_head_importance", "headspec.measures.importance", "measure"),
    Entry("calculate_recovery", "headspec.measures.recovery", "measure"),
    Entry("calculate_improvement", "headspec.measures.recovery", "measure"),
    # charts
    Entry(
        "plot_experiment_summary", "headspec.charts.summary", "chart", "experiment-summary", "results", "Experiments"
    ),
    Entry(
        "plot_strategy_comparison",
        "headspec.charts.strategies",
        "chart",
        "strategy-comparison",
        "results",
        "Experiments",
    ),
    Entry(
        "plot_recovery_comparison",
        "headspec.charts.strategies",
        "chart",
        "recovery-comparison",
        "results",
        "Experiments",
    ),
    Entry("visualize_head_importance", "headspec.charts.importance", "chart", "head-importance", "importance", "Heads"),
    Entry("plot_head_gradients_with_overlays", "headspec.charts.overlays", "chart", "head-gradients", "heads", "Heads"),
    Entry("visualize_gradient_norms", "headspec.charts.heatmaps", "chart", "gradient-norms", "heads", "Heads"),
    Entry(
        "visualize_attention_matrix", "headspec.charts.attention", "chart", "attention-matrix", "attention", "Attention"
    ),
    Entry("visualize_entropy_heatmap", "headspec.charts.heatmaps", "chart", "entropy-heatmap", "heads", "Heads"),
    Entry(
        "visualize_normalized_entropy", "headspec.charts.heatmaps", "chart", "normalized-entropy", "attention", "Heads"
    ),
    Entry(
        "visualize_entropy_vs_gradient",
        "headspec.charts.scatter",
        "chart",
        "entropy-vs-gradient",
        "heads pair",
        "Heads",
    ),
    Entry(
        "visualize_attention_heads",
        "headspec.charts.attention_heads",
        "chart",
        "attention-heads",
        "attention",
        "Attention",
    ),
    Entry("visualize_head_explorer", "headspec.charts.explorer", "chart", "head-explorer", "attention", "Attention"),
    Entry("visualize_head_difference", "headspec.charts.difference", "chart", "head-difference", "heads pair", "Heads"),
    Entry("visualize_head_timeline", "headspec.charts.timeline", "chart", "head-timeline", "events", "Training"),
    Entry(
        "visualize_training_progress", "headspec.charts.training", "chart", "training-progress", "history", "Training"
    ),
    # notebooks and training loops
    Entry("TrainingMonitor", "headspec.notebook.monitor", "notebook"),
    Entry("huggingface_callback", "headspec.notebook.huggingface", "notebook"),
    Entry("lightning_callback", "headspec.notebook.lightning", "notebook"),
    # outputs
    Entry("head_explorer_files", "headspec.charts.explorer_serve", "output"),
    Entry("head_explorer_widget", "headspec.charts.explorer_serve", "output"),
    Entry("build_gallery", "headspec.site.build", "output"),
    Entry("Card", "headspec.site.cards", "output"),
    Entry("save", "headspec.output.save", "output"),
    Entry("summary", "headspec.output.summary", "output"),
    Entry("to_table", "headspec.output.table", "output"),
    Entry("to_spec", "headspec.output.spec", "output"),
    Entry("to_json", "headspec.output.spec", "output"),
    Entry("to_html", "headspec.output.page", "output"),
    Entry("to_png", "headspec.output.render", "output"),
    Entry("to_svg", "headspec.output.render", "output"),
    Entry("to_pdf", "headspec.output.render", "output"),
)

CHARTS: tuple[Entry, ...] = tuple(entry for entry in CATALOG if entry.room == "chart")
