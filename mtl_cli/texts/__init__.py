"""Texts: tokenizers, rows of different lengths, and files of labelled tokens."""
