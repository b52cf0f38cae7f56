"""The rules by which the shipped hardware profiles are made from public data; one file per family of devices."""
