"""Strategies compared

Which strategy should choose the heads to prune?

Perplexity before pruning, after it, and after fine-tuning, for the larger model with half of its heads pruned.
The spread is over three seeds.

category: Experiments
tags: bars, perplexity, strategies
"""

import headspec

run = headspec.load_recorded_run()
level = run.results["pruning_level"].max()
chart = headspec.plot_strategy_comparison(
    run.results, ["entropy", "gradient", "magnitude", "random"], "stdlib-bytes/6x8-plastic", level
)
