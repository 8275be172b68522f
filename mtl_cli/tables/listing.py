"""Sets of files as tables: what a folder holds becomes rows and columns, such as class folders of images or sounds."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.folder_files import files_below
from mtl_cli.tables.reading import ReadOptions, TableFile

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What the folders of splits are called."""
Rows = list[dict[str, Any]]
SIZE = "(height, width)"
"""The key of what annotations tell of the size of an image."""


NAMED = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?:[-_ ]?(?:set|data|images|imgs))?[-_ ]?\d*")
"""A split's name and what may follow it: train_set, train2017."""


def split_named(name: str) -> str | None:
    """Return the split that a folder or a file is named after, also in words such as train_set2017, or None."""
    match = NAMED.fullmatch(name.lower())
    return None if match is None else SPLIT_NAMES[match.group(1)]


class Listing(TableFile):
    """A set of files as a table in memory; paths are relative to `folder`.

    Args:
        path: the folder, or the file of annotations.
        options: how tables are read.
        rows: one mapping per file, all of the same keys; `SIZE` is kept beside the table.
        folder: what the paths of files are relative to.
        annotations: the files that say what is in the files.
    """

    def __init__(
        self, path: Path, options: ReadOptions, rows: Rows, folder: Path, annotations: Sequence[Path] = ()
    ) -> None:
        if options.missing_values == ReadOptions().missing_values:  # a class may be called null
            options = replace(options, missing_values=())
        self.path, self.options, self.format, self.folder = path, options, "listing", folder
        self.annotations = list(annotations)
        self.told_sizes: list[tuple[int, int] | None] = [row.pop(SIZE, None) for row in rows]
        """Height and width of each image, as far as its annotations tell."""
        self.columns = list(rows[0]) if rows else []
        self.table = pa.table({name: pa.array([row[name] for row in rows]) for name in self.columns})

    def verbatim(self) -> "Listing":
        """Return the same set: no path counts as missing."""
        return self

    @property
    def content_hash(self) -> str:
        """The SHA-256 digest of the rows, in hex."""
        return hashlib.sha256(json.dumps(self.table.to_pylist(), ensure_ascii=False).encode()).hexdigest()

    @property
    def is_text(self) -> bool:
        """False: columns have types."""
        return False

    @property
    def types(self) -> "dict[str, pa.DataType]":
        """The type of each column."""
        return dict(zip(self.columns, self.table.schema.types, strict=True))

    @property
    def num_rows(self) -> int:
        """Number of files."""
        return self.table.num_rows

    def batches(self, columns: Sequence[str] | None = None) -> "Iterator[tuple[int, pa.RecordBatch]]":
        """Yield batches of some columns or all, each with the number of its first row."""
        row = 0
        for batch in self.table.select(list(self.columns if columns is None else columns)).to_batches(1 << 15):
            yield row, batch
            row += batch.num_rows


def after_split(name: str) -> bool:
    """Return whether the name of a folder begins with that of a split, as in train_labels."""
    return name.lower().startswith(tuple(SPLIT_NAMES))


def class_rows(folder: Path, endings: Sequence[str], column: str, what: str) -> Rows:
    """Return the files of class folders, which are called `what` in messages, with their paths in `column`.

    The innermost folder is the class, `label`; one that is called as a split above it is the `split`.

    Raises:
        UserError: there is no file, some lie in no class folder, or the innermost folders are those of splits.
    """
    rows, above, astray = Rows(), list[tuple[str, ...]](), []
    for file in files_below(folder, endings):
        parts = file.relative_to(folder).parts[:-1]
        if not parts:
            astray.append(file)
            continue
        rows.append({column: file.relative_to(folder).as_posix(), "label": parts[-1]})
        above.append(parts[:-1])
    if astray:
        more = f" and {len(astray) - 1} others" if len(astray) > 1 else ""
        raise UserError(f"{astray[0]}{more} lie in no class folder of {folder}. Move them into one, or give a table.")
    if not rows:
        raise UserError(f"{folder} holds no {what} ({', '.join(endings)}) in class folders.")
    classes = {str(row["label"]) for row in rows}
    if len(classes) > 1 and any(name.lower() in SPLIT_NAMES for name in classes) and all(map(after_split, classes)):
        raise UserError(
            f"{folder}: the innermost folders of {what} are called {', '.join(sorted(classes))}, as splits are, "
            f"and not as classes. {what.capitalize()} of classes lie in train/CLASS; or give a table that says what is "
            "in them."
        )
    splits = splits_of(above)
    if None not in splits:
        return [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]
    if named := sorted(set(filter(None, splits))):
        raise UserError(
            f"{folder} has folders called {', '.join(named)}, and {rows[splits.index(None)][column]} is in none of "
            "them. Move it."
        )
    return rows


def splits_of(above: Sequence[tuple[str, ...]]) -> list[str | None]:
    """Return the split of each file by the folders above that of its class: the first one that is called so.

    Below the first folder that counts where it holds for all files: a class may be called test, too.
    """
    first = [split_named(parts[0]) if parts else None for parts in above]
    anywhere = [next(filter(None, map(split_named, parts)), None) for parts in above]
    return anywhere if None not in anywhere else first
