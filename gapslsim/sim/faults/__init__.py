"""Kinds of faults, one per file."""
