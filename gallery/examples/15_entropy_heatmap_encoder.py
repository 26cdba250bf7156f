"""Entropy of a pretrained encoder

Which heads of MiniLM have almost no entropy?

Entropy of the 72 heads of all-MiniLM-L6-v2 over a padded batch: padded queries are left out, and tokens, not
sentences, are weighted alike.

category: Heads
tags: entropy, encoder, padding
"""

import headspec

run = headspec.load_recorded_run()

encoder = run.arrays("encoder_minilm")
entropy = headspec.calculate_entropy(tuple(encoder["attention"]), attention_mask=encoder["attention_mask"])
chart = headspec.visualize_entropy_heatmap(entropy, "MiniLM: attention entropy")
