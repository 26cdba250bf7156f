"""All heads at once

What pattern does each of the 48 heads have?

A thumbnail per head on one line of Python: previous-character heads, sinks and diffuse heads are told apart at
a glance; pruned heads are crossed out.

category: Attention
tags: attention, thumbnails, all heads
"""

import headspec

run = headspec.load_recorded_run()

attention = run.arrays("attention_loop")["attention"]
chart = headspec.visualize_attention_heads(
    tuple(attention[:, None]), title="All heads of the trained model", events=run.events, scale="sqrt"
)
