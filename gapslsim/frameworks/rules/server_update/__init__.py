"""From the clients' gradients to the server's update; one rule per file."""
