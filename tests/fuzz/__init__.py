"""Hostile, broken and absurd inputs for every reader and every command; `python -m tests.fuzz --help`.

`values` are nasty values, `trees` puts them into YAML and JSON, `tables` into text by lines and cells, `containers`
into Parquet, npz, zip, gzip, pickles and journals, `mutations` chooses among these and flips bytes. `corpus` makes the
sound files, `readers` says which command reads which. `sandbox` carries one command out in a process of its own, within
bounds, and judges how it ended; `shift` does so for many in one process, one after another; `campaign` for thousands of
inputs, keeps those that fail and makes them small. `kills` ends runs by signals and resumes them.
"""
