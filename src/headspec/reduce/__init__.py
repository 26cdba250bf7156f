"""Reduction to what a panel can show: lines, cells, palettes."""
