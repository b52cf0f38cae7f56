"""Losses: what models are trained by."""
