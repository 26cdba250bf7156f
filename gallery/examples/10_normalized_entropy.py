"""Entropy as a share of the maximum

How close does each head come to attending uniformly?

Each query is compared with the uniform distribution over the keys that it may see, so that 100 % can be reached
under a causal mask.

category: Heads
tags: entropy, normalised, causal
"""

import headspec

run = headspec.load_recorded_run()
attention = run.arrays("attention_method")["attention"]
chart = headspec.visualize_normalized_entropy(
    attention=tuple(attention[:, None]), title="Normalised attention entropy", events=run.events
)
