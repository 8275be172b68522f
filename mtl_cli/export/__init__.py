"""Bundles: a model with its preprocessing, checked, hashed and described."""
