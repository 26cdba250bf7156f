"""Recovery and improvement

How much of the damage did fine-tuning repair?

Recovery is relative to the damage that pruning did, improvement to the baseline: two denominators, two axes.

category: Experiments
tags: recovery, improvement
"""

import headspec

run = headspec.load_recorded_run()
level = run.results["pruning_level"].max()
chart = headspec.plot_recovery_comparison(
    run.results, ["entropy", "gradient", "magnitude", "random"], "stdlib-bytes/6x8-plastic", level
)
