"""Frameworks under the names that a scenario uses; one file each."""
