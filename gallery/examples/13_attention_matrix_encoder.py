"""Attention of a pretrained encoder

What does a head of MiniLM look at in a sentence with padding?

A sentence in a padded batch: the padding is masked and drawn as such. The weights are those of all-
MiniLM-L6-v2.

category: Attention
tags: attention, encoder, padding
"""

import headspec

run = headspec.load_recorded_run()

encoder = run.arrays("encoder_minilm")
chart = headspec.visualize_attention_matrix(
    tuple(encoder["attention"]),
    3,
    2,
    title="MiniLM, L3 H2",
    tokens=run.encoders["minilm"]["tokens"][0],
    batch_idx=0,
    attention_mask=encoder["attention_mask"],
)
