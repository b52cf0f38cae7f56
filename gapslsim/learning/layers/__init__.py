"""The layers of a side called with tensors that come from elsewhere: one model, or several side by side."""
