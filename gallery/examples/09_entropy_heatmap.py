"""Entropy over layers and heads

Which heads attend sharply, and which spread their attention?

Mean attention entropy of every head of the trained model. Pruned heads keep their entropy: their mark comes from the
events, never from a value.

category: Heads
tags: entropy, heat map
"""

import headspec

run = headspec.load_recorded_run()
final = run.arrays("checkpoints")["entropy"][-1]
chart = headspec.visualize_entropy_heatmap(final, "Attention entropy after training", events=run.events)
