"""The life of every head

When was each head pruned and revived, and what did the loss do?

A lane per head over the whole training: active spans, prunings and revivals by shape, with the loss on the same
axis.

category: Training
tags: events, plasticity, timeline, loss
"""

import headspec

run = headspec.load_recorded_run()

chart = headspec.visualize_head_timeline(
    run.events,
    "The life of every head",
    num_layers=6,
    num_heads=8,
    steps=(1, 2000),
    history=run.history,
    metrics=["eval_loss"],
)
