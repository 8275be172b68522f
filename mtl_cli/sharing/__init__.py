"""One sharing mode per file."""
