"""One learning schedule a file."""
