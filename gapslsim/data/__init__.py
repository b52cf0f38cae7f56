"""Data sets, how they are divided among clients, and which samples make up each batch; NumPy only."""
