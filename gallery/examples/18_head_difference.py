"""What training changed

Which heads became sharper, and which more diffuse, between two checkpoints?

Entropy after training minus entropy before the first pruning: a diverging scale centred on zero, the biggest
movers outlined and named.

category: Heads
tags: difference, checkpoints, entropy
"""

import headspec

run = headspec.load_recorded_run()

entropy = run.arrays("checkpoints")["entropy"]
chart = headspec.visualize_head_difference(
    entropy[1],
    entropy[2],
    labels=("before pruning", "after training"),
    measure="entropy",
    unit_name="nats",
    events=run.events,
)
