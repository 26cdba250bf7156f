"""Charts: tables become plain Altair charts, one family per file."""
