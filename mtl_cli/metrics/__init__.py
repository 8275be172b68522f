"""Metrics that torchmetrics lacks, or gives a number for where there is none: one per file."""
