"""Training that is private in its rows: what is asked for, the sum of clipped gradients, and what it spends."""
