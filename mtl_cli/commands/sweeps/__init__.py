"""Sweeps: many jobs of one command line."""
