"""Scenario files: their schema, reading with every mistake at once, presets, and writing back."""
