"""Shapes of split learning, one file each."""
