"""Honest probabilities: temperature, thresholds, sets and intervals that are fitted on validation rows."""
