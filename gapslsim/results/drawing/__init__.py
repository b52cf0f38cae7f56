"""Figures: made once as a `Drawing`, printed by matplotlib (files, notebooks) or as SVG (the HTML page)."""
