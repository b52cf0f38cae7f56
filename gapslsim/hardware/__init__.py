"""Devices: profiles with the source of every number, cost models, energy and memory checks."""
