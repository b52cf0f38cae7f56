"""Which gradient at the cut layer a client gets; one rule per file."""
