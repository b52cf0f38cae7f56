"""Rules for clients that are late, away or lost, one per file."""
