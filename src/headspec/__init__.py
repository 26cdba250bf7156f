"""headspec."""
