"""A figure for a paper

How does a chart look in a journal's column?

The same difference as in the gallery, in the theme for print: black on white, type that is still legible at a column's width. The
last line of the code writes the vector figure.

category: Heads
tags: paper, print, PDF, difference, entropy
theme: paper
"""

import headspec

run = headspec.load_recorded_run()

entropy = run.arrays("checkpoints")["entropy"]
chart = headspec.visualize_head_difference(
    entropy[1], entropy[2], labels=("before", "after"), measure="entropy", unit_name="nats", events=run.events
)
# headspec.save(chart, "difference.pdf", theme="paper", column="single")
