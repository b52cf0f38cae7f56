"""The kinds of figures that a study file can ask for; each file is one."""
