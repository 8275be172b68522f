"""One family of backbones a file."""
