"""Optimizers as pure functions; one per file."""
