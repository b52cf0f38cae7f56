"""Latencies, one file each."""
