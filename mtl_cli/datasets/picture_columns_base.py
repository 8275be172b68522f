"""Which images a dataset has, and which columns, files and boxes are their labels; all of them checked once."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.batch import WantedField
from mtl_cli.datasets.beside_base import BesideColumns, BesideTokenizer, check_beside
from mtl_cli.datasets.file_base import BalancedFileOptions
from mtl_cli.datasets.image_base import image_fields
from mtl_cli.datasets.table_base import ColumnSource
from mtl_cli.errors import UserError
from mtl_cli.images.augment_options import AugmentOptions
from mtl_cli.images.augmentation import TURN
from mtl_cli.images.checking import Checked, check_pictures, read_cells
from mtl_cli.images.listings import list_images
from mtl_cli.images.options import ImageOptions
from mtl_cli.images.picture_labels import picture_files
from mtl_cli.images.picture_targets import KINDS, PictureTarget, parse_picture
from mtl_cli.tables.labels import parse_targets, undeclared
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.named_files import FolderOptions, Place, place_of, place_of_new
from mtl_cli.tables.opening import Memory
from mtl_cli.tables.reading import ReadOptions, TableFile
from mtl_cli.tables.store import Table
from mtl_cli.tables.stratified_rules import StratifiedRules


class PictureColumns(ColumnSource):
    """Images that a table, a folder or annotations name, and the columns and files of their labels.

    What images become as inputs is a subclass's business.

    Args:
        targets: label fields that no task says how to read, each with its kind and column(s).
        files, splits, reading, memory: as in `Tabular`.
        folder: where the files are that a table names.
        images: which images, and what they become.
        augment: how training images are changed.
        columns: columns of the table that are inputs beside the image.
        tokenizer: how texts beside the image are cut.
    """

    unit = "image"

    def __init__(
        self,
        targets: Mapping[str, Any],
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        reading: ReadOptions,
        folder: FolderOptions,
        images: ImageOptions,
        augment: AugmentOptions,
        columns: BesideColumns,
        tokenizer: BesideTokenizer,
        memory: Memory,
    ) -> None:
        pictures = {name: node for name, node in targets.items() if _kind_of(node) in KINDS}
        super().__init__(
            files=files,
            splits=splits,
            reading=reading,
            columns=columns,
            memory=memory,
            targets=parse_targets({name: node for name, node in targets.items() if name not in pictures}),
            texts=(images.image, *columns.texts),
        )
        self._folder = folder.folder
        self._columns, self._tokenizing = columns, tokenizer
        self._options, self._augment = images, augment
        self._copies: list[str] = []
        self._pictures = {name: _declared(name, node) for name, node in pictures.items()}
        self._checked: dict[Path, Checked] = {}

    def want(self, fields: Sequence[WantedField]) -> None:
        """Read pictures as the tasks say, and the other fields as every table's."""
        self._copies = image_fields(fields)
        if turned := [each for each in fields if each.kind == "turn"]:
            self._augment = dataclasses.replace(self._augment, rotation=True)
            if wrong := [each for each in turned if each.name != TURN or each.reading]:
                raise UserError(
                    f"tasks.{wrong[0].task}.target is '{wrong[0].name}'; the turn of an image is the field '{TURN}', "
                    f"and no column. Use tasks.{wrong[0].task}.target={TURN}."
                )
        added = {*self._copies, *([TURN] if self._augment.rotation else [])}
        own = [each for each in fields if each.name not in added]
        wanted = undeclared(own, {**self._targets, **self._pictures})
        self._pictures |= {name: parse_picture(each) for name, each in wanted.items() if each.kind in KINDS}
        super().want([each for each in own if each.name not in self._pictures])
        columns = [column for each in self._pictures.values() for column in each.columns]
        needed = [column for each in self._pictures.values() for column in each.needed]
        self._texts = self._read_always if self._was_loaded else tuple(dict.fromkeys((*self._read_always, *needed)))
        self._declared = dataclasses.replace(self._declared, reserved=(*self._declared.reserved, *columns))
        answers = {column: name for name, each in self._targets.items() for column in each.labels}
        check_beside(self._columns, self._declared.listed, [*answers, *columns])

    @property
    def _read_always(self) -> tuple[str, ...]:
        return (self._options.image, *self._columns.texts)

    def reader(self, path: Path) -> TableFile:
        """Return the table of a set of images: a file's, or that of a folder or of annotations.

        Raises:
            UserError: there are no images, or they cannot be listed.
        """
        return list_images(path, self._reading, self._options.layout)

    def reads(self, path: Path) -> bool:
        """Return True for folders, tables, annotations and image files."""
        return path.is_dir() or super().reads(path)

    def kept(self, found: Table, rows: np.ndarray) -> np.ndarray:
        """Return the rows whose image can be used."""
        return self._check(found).usable(rows)

    def files_at(self, path: Path) -> list[Path]:
        """Return the table or the annotations, and the files of all images and labels that they name."""
        file = self.reader(path)
        folder = self._place(file).folder
        told = file.annotations if isinstance(file, Listing) else [path]
        images, cells = read_cells(file, self._options.image, self._pictures)
        labels = [
            label
            for name, target in self._pictures.items()
            for row in cells[name]
            for label in picture_files(target, row)
        ]
        named = [folder / name for name in dict.fromkeys([*images, *labels]) if name]
        return [*told, *(each for each in named if not self._options.skip_bad or each.is_file())]

    def _place(self, file: TableFile) -> Place:
        """Return where the files are that a file names."""
        if self._was_loaded:
            return place_of_new(file, self._options.image, self._root, self._folder)
        return place_of(file, self._root, self._folder)

    def _check(self, found: Table) -> Checked:
        if found.path not in self._checked:
            file = self._files[found.path]
            self._checked[found.path] = check_pictures(
                file, self._options.image, self._pictures, self._place(file), self._options.skip_bad
            )
        return self._checked[found.path]


def _kind_of(node: object) -> object:
    return node.get("kind") if isinstance(node, Mapping) else None


def _declared(name: str, node: Mapping[str, Any]) -> PictureTarget:
    kind = str(node["kind"])
    return parse_picture(WantedField(name, "", kind, {key: value for key, value in node.items() if key != "kind"}))
