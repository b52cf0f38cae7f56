"""The ways to stop runs of a study early; each file is one."""
