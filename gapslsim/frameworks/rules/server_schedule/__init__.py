"""Rules of the server_schedule slot."""
