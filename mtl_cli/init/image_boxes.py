"""Tables with a row per box told from others, and targets that name their column of classes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.images.box_table import BoxTable, box_columns
from mtl_cli.images.listings import BOXES
from mtl_cli.init.asked import Asked, asked_of, reading_of
from mtl_cli.init.survey import open_unknown


def table_of_boxes(path: Path, options: Mapping[str, Any]) -> BoxTable | None:
    """Return a table with a row per box, by the names of its columns or because options say so; None for others.

    Raises:
        UserError: a cell of it cannot be read, or no image is there.
    """
    told = options.get("format", "auto")
    if not path.is_file() or told not in ("auto", "csv", "tsv", "parquet", BOXES):
        return None
    reading = {key: value for key, value in options.items() if (key, value) != ("format", BOXES)}
    try:
        file = open_unknown(path, reading_of(reading), asked_of(options).told)
    except UserError:
        if told == BOXES:
            raise
        return None
    if told != BOXES and box_columns(file.columns) is None:
        return None
    if "folder" in options:
        raise UserError(
            f"folder={options['folder']} does not apply: images of a table of boxes lie in its folder or below."
        )
    return BoxTable(path, file.options)


def asked_of_boxes(options: Mapping[str, Any], table: BoxTable) -> Asked:
    """Return what options ask of such a table, where the column of classes stands for the boxes."""
    asked = asked_of(options)
    return replace(asked, targets={
        name: ["boxes"] if columns == [table.of.label] else columns for name, columns in asked.targets.items()
    })  # fmt: skip
