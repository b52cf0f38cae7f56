"""Chooses settings of a scenario by timing combinations of them."""
