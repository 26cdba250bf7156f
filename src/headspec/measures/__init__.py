"""Measures of heads: entropy, gradient norm, importance, recovery."""
