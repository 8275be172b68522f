"""One kind of task per file."""
