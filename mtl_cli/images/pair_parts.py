"""Images and the label images that belong to them, part by part of a set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.images.new_images import ENDINGS
from mtl_cli.tables.folder_files import files_below
from mtl_cli.tables.listing import SPLIT_NAMES

FILES = (*ENDINGS, ".npy")
"""Endings of images and label images."""


@dataclass(frozen=True)
class Part:
    """Images of a split, or of all, and their label images: a column for each kind, by the name of the image.

    `beside` says that label images lie beside their images.
    """

    split: str | None
    folder: Path
    images: Sequence[Path]
    labels: Mapping[str, Mapping[str, Path]]
    beside: bool = False

    @property
    def nested(self) -> bool:
        """Whether label images lie beside their images, in several folders, which may be classes or patients."""
        return self.beside and len({image.parent for image in self.images}) > 1


def below(folder: Path, endings: Sequence[str] = ENDINGS) -> list[Path]:
    """Return the image files in a folder and below it in order, without those behind linked folders."""
    return files_below(folder, endings)


def stem(file: Path, folder: Path) -> str:
    """Return the path of a file in a folder, without its ending."""
    return file.relative_to(folder).with_suffix("").as_posix()


def split_folders(folder: Path) -> list[tuple[str | None, Path]]:
    """Return the folders of splits with the names of the splits; the folder itself where there are none."""
    splits = [each for each in sorted(folder.iterdir()) if each.is_dir() and each.name.lower() in SPLIT_NAMES]
    return [(SPLIT_NAMES[each.name.lower()], each) for each in splits] or [(None, folder)]
