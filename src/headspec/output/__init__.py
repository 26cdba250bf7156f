"""Outputs: any Altair chart becomes JSON, HTML, PNG, SVG or PDF."""
