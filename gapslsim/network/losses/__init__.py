"""Losses of links, one file each."""
