"""Pruning experiments at a glance

Which strategy loses least, and how much does fine-tuning win back?

Two models, five strategies, three pruning levels and three seeds each: perplexity over the stages, recovery,
and what pruning and fine-tuning did to each run.

category: Experiments
tags: perplexity, recovery, strategies, seeds
"""

import headspec

run = headspec.load_recorded_run()
chart = headspec.plot_experiment_summary(run.results)
