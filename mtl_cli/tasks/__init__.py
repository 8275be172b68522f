"""One kind of task a file."""
