"""The measures of a run that a figure can show; each file is one."""
