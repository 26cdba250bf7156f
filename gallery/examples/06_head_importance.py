"""Importance of the heads by strategy

Do the strategies agree on which heads matter?

Ranks within each strategy compare across measures of different units; pruned heads are marked.

category: Heads
tags: importance, ranks, strategies
"""

import headspec

run = headspec.load_recorded_run()
scores = run.arrays("importance")
chart = headspec.visualize_head_importance(
    "stdlib-bytes/6x8-plastic",
    {name: scores[name] for name in ("importance", "magnitude", "entropy")},
    6,
    8,
    events=run.events,
)
