"""Texts from a CSV, TSV, JSONL or Parquet file, alone or beside table columns, with any number of label fields."""

from mtl_cli.datasets.text_base import TextFileSource


class Text(TextFileSource):
    """Texts with labels, such as classes or texts that are written of them; `TextFileSource` has its arguments."""
