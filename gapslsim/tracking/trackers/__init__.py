"""The trackers that runs can be told to; each file is one."""
