"""The cost models, one file each; what they have in common is in `gapslsim.hardware.cost_model`."""
