"""The models that can be named in a scenario, one file each, named as its `kind`."""
