"""What an evaluation says of rows: intervals of metrics, and the metrics of groups."""
