"""Gradient norms over layers and heads

Where does the learning signal go?

The same gradients as a map. Pruned and revived heads carry their marks; the colour scale is logarithmic where
the norms spread over orders of magnitude.

category: Heads
tags: gradients, heat map
"""

import headspec

run = headspec.load_recorded_run()
final = run.arrays("checkpoints")["gradient_norm"][-1]
chart = headspec.visualize_gradient_norms(final, title="Gradient norms after training", events=run.events)
