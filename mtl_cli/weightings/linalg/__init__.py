"""Gradients as rows, and the solvers that weightings share."""
