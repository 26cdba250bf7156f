"""Declarative Altair/Vega-Lite charts for attention heads, head pruning and neural plasticity.

    source  →  table  →  chart  →  output

Importing the package loads nothing else: each public name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headspec.catalog import CATALOG
from headspec.errors import (
    DataError,
    HeadspecError,
    HeadspecWarning,
    KindError,
    MissingPackageError,
    RenderError,
)

if TYPE_CHECKING:  # the same names once more, for type checkers and editors; a test holds them against the catalog
    from headspec.charts.attention import visualize_attention_matrix as visualize_attention_matrix
    from headspec.charts.attention_heads import visualize_attention_heads as visualize_attention_heads
    from headspec.charts.difference import visualize_head_difference as visualize_head_difference
    from headspec.charts.explorer import visualize_head_explorer as visualize_head_explorer
    from headspec.charts.explorer_serve import head_explorer_files as head_explorer_files
    from headspec.charts.explorer_serve import head_explorer_widget as head_explorer_widget
    from headspec.charts.heatmaps import visualize_entropy_heatmap as visualize_entropy_heatmap
    from headspec.charts.heatmaps import visualize_gradient_norms as visualize_gradient_norms
    from headspec.charts.heatmaps import visualize_normalized_entropy as visualize_normalized_entropy
    from headspec.charts.importance import visualize_head_importance as visualize_head_importance
    from headspec.charts.overlays import plot_head_gradients_with_overlays as plot_head_gradients_with_overlays
    from headspec.charts.scatter import visualize_entropy_vs_gradient as visualize_entropy_vs_gradient
    from headspec.charts.strategies import plot_recovery_comparison as plot_recovery_comparison
    from headspec.charts.strategies import plot_strategy_comparison as plot_strategy_comparison
    from headspec.charts.summary import plot_experiment_summary as plot_experiment_summary
    from headspec.charts.timeline import visualize_head_timeline as visualize_head_timeline
    from headspec.charts.training import visualize_training_progress as visualize_training_progress
    from headspec.measures.entropy import calculate_entropy as calculate_entropy
    from headspec.measures.entropy import calculate_max_entropy as calculate_max_entropy
    from headspec.measures.entropy import calculate_normalized_entropy as calculate_normalized_entropy
    from headspec.measures.gradients import calculate_gradient_norms as calculate_gradient_norms
    from headspec.measures.importance import calculate_head_importance as calculate_head_importance
    from headspec.measures.recovery import calculate_improvement as calculate_improvement
    from headspec.measures.recovery import calculate_recovery as calculate_recovery
    from headspec.notebook.huggingface import huggingface_callback as huggingface_callback
    from headspec.notebook.lightning import lightning_callback as lightning_callback
    from headspec.notebook.monitor import TrainingMonitor as TrainingMonitor
    from headspec.output.page import to_html as to_html
    from headspec.output.render import to_pdf as to_pdf
    from headspec.output.render import to_png as to_png
    from headspec.output.render import to_svg as to_svg
    from headspec.output.save import save as save
    from headspec.output.spec import to_json as to_json
    from headspec.output.spec import to_spec as to_spec
    from headspec.output.summary import summary as summary
    from headspec.output.table import to_table as to_table
    from headspec.site.build import build_gallery as build_gallery
    from headspec.site.cards import Card as Card
    from headspec.sources.files import load_results_from_file as load_results_from_file
    from headspec.sources.recorded_run import load_run as load_run
    from headspec.sources.recorder import Recorder as Recorder
    from headspec.sources.recording import load_recorded_run as load_recorded_run
    from headspec.tables.attention import attention_table as attention_table
    from headspec.tables.events import events_table as events_table
    from headspec.tables.heads import heads_table as heads_table
    from headspec.tables.history import history_table as history_table
    from headspec.tables.results import results_table as results_table

__version__ = "0.1.0"

_MODULES = {entry.name: entry.module for entry in CATALOG}

__all__ = [  # the catalog is the list
    "DataError",
    "HeadspecError",
    "HeadspecWarning",
    "KindError",
    "MissingPackageError",
    "RenderError",
    *_MODULES,
]


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'headspec' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
