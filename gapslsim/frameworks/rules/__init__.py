"""Rules for the slots of parallel split learning, and what GAPSL's rules share."""
