"""What a model looks at: which inputs each task needs, and what in a row speaks for a prediction."""
