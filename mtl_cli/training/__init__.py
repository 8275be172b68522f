"""The loop, its step, order, loading, evaluation and recovery."""
