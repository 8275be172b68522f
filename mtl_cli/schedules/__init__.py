"""One schedule of tasks per file."""
