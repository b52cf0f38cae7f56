"""Records of a run as tidy tables: summary, run directory, end table, plots and comparison of runs."""
