"""Entropy over the life of every head

How does the entropy of a head move while others are pruned?

The lanes carry each head's entropy as colour, pooled over steps to the panel where there are more steps than
pixels.

category: Training
tags: events, plasticity, timeline, entropy
"""

import headspec

run = headspec.load_recorded_run()

heads = run.arrays("heads_over_steps")
chart = headspec.visualize_head_timeline(
    run.events,
    "Entropy over the life of every head",
    values=heads["entropy"],
    value_steps=heads["steps"],
    measure="entropy",
    unit_name="nats",
)
