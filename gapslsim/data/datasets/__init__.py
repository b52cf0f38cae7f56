"""The data sets, one file each; every file registers the kind that it is named after."""
