"""From a config to objects, and one run, evaluation or prediction."""
