"""Gradients with pruned and revived heads

Which heads still learn, and which are about to be pruned?

Gradient norm of every head at the end of training, grouped by layer. A pruned head has a gradient of exactly 0;
heads below the threshold are vulnerable.

category: Heads
tags: gradients, pruning, plasticity
"""

import headspec

run = headspec.load_recorded_run()
final = run.arrays("checkpoints")["gradient_norm"][-1]
chart = headspec.plot_head_gradients_with_overlays(
    final, vulnerable_threshold=0.03, events=run.events, title="Gradient norm of each head after training"
)
