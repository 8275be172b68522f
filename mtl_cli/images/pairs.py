"""Images with label images: of the same names in folders side by side, or beside them; and Cityscapes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.images.cityscapes import is_cityscapes, street_files, street_parts
from mtl_cli.images.label_names import Found, image_told, is_label_image, labels_beside
from mtl_cli.images.pair_parts import FILES, Part, below, split_folders, stem
from mtl_cli.tables.listing import Rows, split_named

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "inputs", "input", "photos", "rgb", "jpegimages")
LABEL_WORDS = ("label", "annot", "mask", "seg", "gt", "ground", "depth", "instance")
"""How folders of label images begin, perhaps after the name of a split."""
FOLDER = "folder"
"""The column that tells the folder of each image, where images with label images beside them lie in several."""
SHOWN = 5


def is_pairs(folder: Path) -> bool:
    """Return whether a folder, or one of its folders of splits, holds images with label images of the same names."""
    return any(part.labels for part in parts(folder))


def parts(folder: Path) -> Iterator[Part]:
    """Yield the parts of a set, by its folders of splits."""
    if is_cityscapes(folder):
        yield from street_parts(folder)
        return
    for split, place in split_folders(folder):
        if (images := image_folder(place)) is not None:
            yield Part(split, images, below(images, FILES), label_folders(images, folders_beside(images)))
        elif labels := label_folders(place, {} if split is None else folders_after(place)):
            yield Part(split, place, below(place, FILES), labels)
        else:
            files = below(place, FILES)
            beside = labels_beside(files, place)
            labelled = {file for known in beside.values() for file in known.values()}
            yield Part(split, place, [each for each in files if each not in labelled], beside, beside=True)


def folders_beside(folder: Path) -> dict[str, Path]:
    """Return the folders beside a folder, by their names."""
    return {each.name: each for each in sorted(folder.parent.iterdir()) if each.is_dir() and each != folder}


def folders_after(folder: Path) -> dict[str, Path]:
    """Return the folders beside that of a split which are called so, as train_labels beside train."""
    after = {name[len(folder.name) :].strip("_- "): each for name, each in folders_beside(folder).items()
             if name.startswith(folder.name)}  # fmt: skip
    return {name: each for name, each in after.items() if name.lower().startswith(LABEL_WORDS)}


def image_folder(place: Path) -> Path | None:
    """Return the folder of images that has a folder of label images beside it; None where there is none.

    It has a usual name, or is the only one whose name is not that of a folder of label images.
    """
    named = {each.name.lower(): each for each in sorted(place.iterdir()) if each.is_dir()}
    images = next((named[name] for name in IMAGE_FOLDERS if name in named), None)
    if images is not None:
        return images if label_folders(images, folders_beside(images)) else None
    others = [each for name, each in named.items() if not name.startswith(LABEL_WORDS)]
    if len(others) != 1 or len(named) == 1:
        return None
    first = [next(iter(known.values())) for known in label_folders(others[0], folders_beside(others[0])).values()]
    return others[0] if first and all(map(is_label_image, first)) else None


def names_pictures(folder: str) -> bool:
    """Return whether a folder is called as those of images or of label images are."""
    return folder.lower() in IMAGE_FOLDERS or folder.lower().startswith(LABEL_WORDS)


def label_folders(images: Path, others: Mapping[str, Path]) -> Found:
    """Return, of other folders, those with files that are called as the images are: these files by the images' names.

    What follows the name, as in a_L.png, is the same for all files of a column.
    """
    names = {stem(file, images) for file in below(images, FILES)}
    found: Found = {}
    for column, folder in others.items():
        kinds: dict[str, dict[str, Path]] = {}
        for file in below(folder, FILES):
            name = stem(file, folder)
            first, _, last = name.rpartition("_")
            own, kind = (first, last) if name not in names and not last.isdigit() else (name, "")
            if own not in names and (told := image_told(name, names)) is not None:
                own, kind = told
            if own in names:
                kinds.setdefault(kind, {})[own] = file
        whole = {name: file for known in kinds.values() for name, file in known.items()}
        if len(whole) < sum(map(len, kinds.values())):  # several of an image: a_L.png and a_color.png
            found |= {f"{column}_{kind}".rstrip("_"): known for kind, known in kinds.items()}
        elif whole:
            found[column] = whole
    return found


def label_images(folder: Path) -> set[Path]:
    """Return the label images of a folder that holds images with label images of the same names; none of another."""
    if is_cityscapes(folder):
        return street_files(folder)
    return {path for part in parts(folder) for known in part.labels.values() for path in known.values()}


def split_rows(rows: Rows) -> Rows:
    """Return rows with the splits whose folders their images lie in, where all of them do: images/train."""
    splits = [next(filter(None, map(split_named, Path(row["image"]).parts[:-1])), None) for row in rows]
    if None in splits or any("split" in row for row in rows):
        return rows
    return [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]


def pair_rows(folder: Path) -> Rows:
    """Return images with the paths of their label images, a column for each folder or ending, and the split.

    Raises:
        UserError: there are none, or an image has no label image.
    """
    rows: Rows = []
    for part in parts(folder):
        for file in part.images:
            found = {column: known.get(stem(file, part.folder)) for column, known in part.labels.items()}
            row: dict[str, Any] = {"image": file.relative_to(folder).as_posix()}
            row |= {column: path and path.relative_to(folder).as_posix() for column, path in found.items()}
            row |= {FOLDER: file.parent.name} if part.nested else {}
            rows.append(row if part.split is None else {**row, "split": part.split})
    columns = list(dict.fromkeys(column for row in rows for column in row))
    labels = [column for column in columns if column not in ("image", "split", FOLDER)]
    lost = [(row["image"], column) for row in rows for column in columns if not row.get(column)]
    if several := [column for column in dict.fromkeys(column for _, column in lost) if column[-1].isdigit()]:
        image, *kinds = next([row["image"], *filter(row.get, labels)] for row in rows if row.get(several[0]))
        raise UserError(
            f"{folder}: some images have several label images: {image} has {' and '.join(kinds)}. Join them into one "
            "per image."
        )
    if lost:
        shown = ", ".join(f"{image} (no {column})" for image, column in lost[:SHOWN])
        more = ", …" if len(lost) > SHOWN else ""
        raise UserError(
            f"{folder}: {len(lost)} label images are missing: {shown}{more}. Add them, take the images away, or give a "
            "table in which such a cell is empty."
        )
    if not rows:
        raise UserError(f"{folder} holds no images with label images.")
    return split_rows(rows)
