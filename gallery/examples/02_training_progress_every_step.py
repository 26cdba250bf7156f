"""Training, four points per pixel

What does the loss look like when no step is left out?

max_display_points=None keeps the first, last, lowest and highest value of every pixel column, which draws the
same ink as all points.

category: Training
tags: loss, M4
"""

import headspec

run = headspec.load_recorded_run()
chart = headspec.visualize_training_progress(run.history, max_display_points=None, title="Training, every step")
