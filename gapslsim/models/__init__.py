"""Models: settings that build a network, its two sides, what they cost and the memory they need."""
