"""Sources: files of runs, and what live models give."""
