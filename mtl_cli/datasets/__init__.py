"""One dataset or format a file."""
