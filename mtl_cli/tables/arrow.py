"""Imports pyarrow, or says how to install it; no other module imports it.

Raises:
    UserError: it is not installed.
"""

from mtl_cli.errors import not_installed

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq
except ImportError as error:
    raise not_installed("Tables are read by pyarrow", error, "tables") from error

__all__ = ["arrow_csv", "pa", "pc", "pq"]
