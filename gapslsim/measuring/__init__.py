"""Times PyTorch on the machine at hand: layers in place, steps, memory and links, for `gapslsim calibrate`."""
