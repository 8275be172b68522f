"""Datasets and formats, one per file."""
