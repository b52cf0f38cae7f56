"""What training computed, kept by content key: observations of operations and checkpoints of states."""
