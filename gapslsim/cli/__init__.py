"""The command line: one file per command, imported when it is called, and nothing that a script could not do too."""
