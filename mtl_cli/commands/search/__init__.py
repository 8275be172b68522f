"""Searches: a sweep whose jobs follow from the results of those before."""
