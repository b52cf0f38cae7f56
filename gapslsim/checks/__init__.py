"""Invariants that every component keeps, shipped or of a user's own: one file per family of components."""
