"""Projection onto the dual cone of rows, by least squares in the rows themselves."""

import numpy as np
import torch
from scipy.optimize import nnls


def onto_dual_cone(vector: np.ndarray, rows: np.ndarray) -> torch.Tensor:
    """Return the nearest vector [P] that has no negative product with any row [K, P]."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    x, _ = nnls(units.T, -vector)
    return torch.from_numpy(vector + x @ units)
