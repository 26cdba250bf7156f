"""Attention of one head

Which characters does this head look at?

The head that looks most at the previous character, on a line of Python that the model reads byte by byte.

category: Attention
tags: attention, tokens, causal
"""

import numpy as np

import headspec

run = headspec.load_recorded_run()

scores = run.arrays("checkpoints")["previous_token"][-1]
layer, head = (int(place) for place in np.unravel_index(scores.argmax(), scores.shape))
attention = run.arrays("attention_repeat")["attention"]
chart = headspec.visualize_attention_matrix(
    tuple(attention[:, None]),
    layer,
    head,
    title=f"L{layer} H{head} reads the character before",
    tokens=run.tokens["repeat"],
)
