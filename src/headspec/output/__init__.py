"""Outputs: any Altair chart becomes JSON, a page, PNG, SVG, PDF or a table.

``spec`` takes a chart apart into its spec and its ``datasets``; ``check`` refuses what could harm, with ``marks`` and
``expression`` to count what would be drawn; ``render`` alone knows the renderer, and ``svg``, ``png``, ``pdf`` and ``fonts``
finish what it returns; ``page`` and ``bundle`` make offline HTML; ``files`` and ``save`` write; ``table`` and ``summary`` say in
rows and words what a chart shows.
"""
