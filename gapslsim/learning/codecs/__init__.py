"""The codecs, one file each; what they have in common is in `gapslsim.learning.codec`."""
