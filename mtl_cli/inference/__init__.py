"""Predictions of a trained model in memory: of checkpoints and of bundles."""
