"""Tables: reading them, what their columns hold, splits, scaling, categories and labels."""
