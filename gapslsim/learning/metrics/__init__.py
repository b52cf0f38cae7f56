"""Metrics: what models are judged by on the test set, besides accuracy and loss."""
