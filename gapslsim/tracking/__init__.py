"""Trackers of experiments that follow runs: one interface, a file for each."""
