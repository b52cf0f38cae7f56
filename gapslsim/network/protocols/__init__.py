"""Transport protocols, one file each."""
