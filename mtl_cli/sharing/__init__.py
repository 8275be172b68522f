"""One sharing mode a file."""
