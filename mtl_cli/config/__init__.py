"""Schema, checks, targets and interpolation of a config."""
