"""The ways to divide a training set among clients, one file each, named after the kind."""
