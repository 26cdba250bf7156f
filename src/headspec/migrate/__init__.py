"""Old plotting code in notebooks and scripts, rewritten for headspec."""
