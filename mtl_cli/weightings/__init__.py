"""One weighting a file."""
