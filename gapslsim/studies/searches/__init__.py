"""The ways to draw settings that a study tries; each file is one."""
