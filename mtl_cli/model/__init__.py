"""The multi-task model, which parameters are shared, costs, transfer, averages."""
