"""Gradient norms of two layers

What does a map look like where a model has few heads?

The first two layers of the trained model alone: large cells with the numbers in them.

category: Heads
tags: gradients, heat map, few layers
"""

import headspec

run = headspec.load_recorded_run()
norms = run.arrays("checkpoints")["gradient_norm"][-1]
chart = headspec.visualize_gradient_norms(norms[:2, :4], title="Gradient norms of two layers")
