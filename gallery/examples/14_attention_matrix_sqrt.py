"""A square-root scale against sinks

What does a head look at besides its sink?

Attention of a chemical language model (RXNMapper) over a reaction. On a square-root scale one strong column
does not hide the rest; the step of the colour scale is stated.

category: Attention
tags: attention, encoder, chemistry, sqrt
"""

import headspec

run = headspec.load_recorded_run()

attention = run.arrays("encoder_rxnmapper")["attention"]
chart = headspec.visualize_attention_matrix(
    tuple(attention),
    10,
    5,
    title="RXNMapper, L10 H5: from product to reactant",
    tokens=run.encoders["rxnmapper"]["tokens"][0],
    scale="sqrt",
)
