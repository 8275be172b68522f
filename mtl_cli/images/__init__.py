"""Reading images and the files that they come in."""
