"""Images with label images of the same names: in folders side by side, or as a.png beside a_mask.png."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.tables.listing import SPLIT_NAMES, Rows, files_below

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "inputs", "input", "photos", "rgb", "jpegimages")
LABEL_ENDINGS = ("mask", "masks", "label", "labels", "seg", "segmentation", "gt", "depth", "instances", "instance")
"""What folders of images are called, and what follows the name of an image in that of its label image."""
FILES = (*ENDINGS, ".npy")
SHOWN = 5


def below(folder: Path, endings: Sequence[str] = ENDINGS) -> list[Path]:
    """Return the image files in a folder and below it in order, without those behind linked folders."""
    return files_below(folder, endings)


def is_pairs(folder: Path) -> bool:
    """Return whether a folder, or one of its folders of splits, holds images with label images of the same names."""
    return any(image_folder(place) is not None or beside(place) for _, place in parts(folder))


def parts(folder: Path) -> Iterator[tuple[str | None, Path]]:
    """Yield the folders of splits with the names of the splits; the folder itself where there are none."""
    splits = [each for each in sorted(folder.iterdir()) if each.is_dir() and each.name.lower() in SPLIT_NAMES]
    if not splits:
        yield None, folder
    for each in splits:
        yield SPLIT_NAMES[each.name.lower()], each


def image_folder(place: Path) -> Path | None:
    """Return the folder of images that has a folder of label images beside it; None where there is none."""
    named = {each.name.lower(): each for each in sorted(place.iterdir()) if each.is_dir()}
    images = next((named[name] for name in IMAGE_FOLDERS if name in named), None)
    return images if images is not None and label_folders(images) else None


def label_folders(images: Path) -> dict[str, dict[str, Path]]:
    """Return the folders beside that of images which hold files of the same names: their files by name."""
    names = {stem(file, images) for file in below(images, FILES)}
    found = {}
    for folder in sorted(images.parent.iterdir()):
        if folder != images and folder.is_dir():
            files = {plain(stem(file, folder)): file for file in below(folder, FILES)}
            if names & files.keys():
                found[folder.name] = files
    return found


def stem(file: Path, folder: Path) -> str:
    """Return the path of a file in a folder, without its ending."""
    return file.relative_to(folder).with_suffix("").as_posix()


def plain(name: str) -> str:
    """Return the name of a label image without a word such as _mask at its end."""
    first, _, last = name.rpartition("_")
    return first if first and last.lower() in LABEL_ENDINGS else name


def beside(place: Path) -> dict[str, dict[str, Path]]:
    """Return label images that lie beside their images, such as a_mask.png: by what follows the name, by the name."""
    found: dict[str, dict[str, Path]] = {}
    names = {each.stem for each in place.iterdir() if each.suffix.lower() in ENDINGS}
    for each in sorted(place.iterdir()):
        first, _, last = each.stem.rpartition("_")
        if each.suffix.lower() in FILES and first in names and last.lower() in LABEL_ENDINGS:
            found.setdefault(last.lower(), {})[first] = each
    return found


def label_images(folder: Path) -> set[Path]:
    """Return the label images of a folder that holds images with label images of the same names; none of another."""
    found = set[Path]()
    for _, place in parts(folder):
        images = image_folder(place)
        labels = label_folders(images) if images is not None else beside(place)
        found |= {path for known in labels.values() for path in known.values()}
    return found


def pair_rows(folder: Path) -> Rows:
    """Return images with the paths of their label images, a column for each folder or ending, and the split.

    Raises:
        UserError: there are none, or an image has no label image.
    """
    rows: Rows = []
    for split, place in parts(folder):
        images = image_folder(place)
        labels = label_folders(images) if images is not None else beside(place)
        files = (
            below(images, FILES)
            if images is not None
            else [each for each in below(place) if plain(each.stem) == each.stem]
        )
        for file in files:
            name = stem(file, place if images is None else images)
            found = {column: known.get(name) for column, known in labels.items()}
            row: dict[str, Any] = {"image": file.relative_to(folder).as_posix()}
            row |= {column: path and path.relative_to(folder).as_posix() for column, path in found.items()}
            rows.append(row if split is None else {**row, "split": split})
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lost = [(row["image"], column) for row in rows for column in columns if not row.get(column)]
    if lost:
        shown = ", ".join(f"{image} (no {column})" for image, column in lost[:SHOWN])
        more = ", …" if len(lost) > SHOWN else ""
        raise UserError(
            f"{folder}: {len(lost)} label images are missing: {shown}{more}. Add them, take the images away, or give a "
            "table in which such a cell is empty."
        )
    if not rows:
        raise UserError(f"{folder} holds no images with label images.")
    return rows
