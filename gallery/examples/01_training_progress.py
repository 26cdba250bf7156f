"""Training with pruning and revival

How did the loss react when heads were pruned and revived?

The whole training of a small language model on Python source: every 80 steps the least important heads are
pruned and the most important of the pruned ones come back.

category: Training
tags: loss, sparsity, perplexity, events
"""

import headspec

run = headspec.load_recorded_run()
chart = headspec.visualize_training_progress(run.history, title="Training with pruning and revival")
