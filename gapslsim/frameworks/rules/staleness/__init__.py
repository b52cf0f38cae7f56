"""Weights of what is stale, one rule per file."""
