"""Tables as a run writes and reads them: columns in memory, beyond a bound Parquet in a temporary file."""
