"""A chart for dark slides

How does a chart look on a dark page?

Drawn in the dark theme whatever the page: the marks keep their colours, and all that is neutral turns light.

category: Training
tags: dark, slides, timeline, pruning, revival
theme: dark
"""

import headspec

run = headspec.load_recorded_run()

chart = headspec.visualize_head_timeline(run.events, num_layers=6, num_heads=8, heads="events")
# headspec.save(chart, "timeline.svg", theme="dark")
