"""Metrics, one subject per file."""
