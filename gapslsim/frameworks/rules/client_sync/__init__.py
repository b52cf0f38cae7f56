"""Rules of the client_sync slot."""
