"""Questions to a run that re-timing answers: what set its pace, and what if something were otherwise."""
