"""One family of backbones per file."""
