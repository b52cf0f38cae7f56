"""Where the runs of a study are carried out: processes of this machine, Ray or Dask, one file each."""
