"""Head explorer

Which head does what, and which heads look from here to there?

Pick a head in the map or the scatter and its attention is shown; pick a cell of the attention and the map is
coloured by the weight that every head gives to that pair.

category: Attention
tags: attention, interactive, linked, explorer
"""

import headspec

run = headspec.load_recorded_run()

final = run.arrays("checkpoints")
attention = run.arrays("attention_repeat")["attention"]
chart = headspec.visualize_head_explorer(
    tuple(attention[:, None]),
    measures={"entropy": final["entropy"][-1], "importance": final["importance"][-1]},
    gradient=final["gradient_norm"][-1],
    tokens=run.tokens["repeat"],
    events=run.events,
)
