"""The clock's side of a run: nodes that compute and send, activities that wait for one another, records of both."""
