"""Kinds of availability, one per file."""
