"""Entropy against gradient

Are the heads with diffuse attention the ones that no longer learn?

One point per head of the trained model; pruned heads stand on the lower edge, since their gradient is exactly
0.

category: Heads
tags: entropy, gradients, scatter
"""

import headspec

run = headspec.load_recorded_run()
final = run.arrays("checkpoints")
chart = headspec.visualize_entropy_vs_gradient(
    final["entropy"][-1], final["gradient_norm"][-1], title="Entropy against gradient norm", events=run.events
)
