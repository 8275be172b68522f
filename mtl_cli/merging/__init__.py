"""Merging single-task runs into one model without training: a baseline for joint training."""
