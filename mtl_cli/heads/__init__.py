"""One kind of head a file."""
