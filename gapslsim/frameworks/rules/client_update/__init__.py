"""What a client does with its gradient; one rule per file."""
