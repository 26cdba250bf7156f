"""Entropy of a model of 80 layers

What does a map look like where a model has thousands of heads?

Made-up values of 80 layers with 64 heads each, in the size of the largest open models: 5,120 cells of a few pixels, each still
a head that the tooltip names, in a spec of some 30 kB.

category: Heads
tags: entropy, heat map, many layers, large models
"""

import numpy as np

import headspec

layers, heads = np.arange(80)[:, None], np.arange(64)
noise = np.random.default_rng(0).normal(size=(80, 64))
entropy = np.clip(2.2 + 1.3 * np.cos(layers / 11) - 0.01 * heads + 0.6 * noise, 0.02, None)
chart = headspec.visualize_entropy_heatmap(entropy, "Attention entropy, 80 layers × 64 heads (made up)")
