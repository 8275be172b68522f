"""Annotations of YOLO: a text file per image, whose lines are boxes or outlines as shares of the image."""

from collections.abc import Iterator
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.images.box_rows import Boxes
from mtl_cli.images.coco_points import tell_once
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.images.pair_parts import below, split_folders
from mtl_cli.images.yolo_told import Told, read_told, yaml_files
from mtl_cli.tables.listing import SPLIT_NAMES

NAMES_FILE = "classes.txt"
TOLD = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
"""Files that name classes; where there is `labels/`, `names:` says so in a YAML file of any name."""
BOX_NUMBERS, MIN_OUTLINE = (4, 5), 6
"""Numbers of a box, without and with a score, and the fewest of an outline, which has three corners."""
Placed = list[tuple[str, Boxes, str | None]]


def is_yolo(folder: Path) -> bool:
    """Return whether a folder, or one of its folders of splits, has images with text files of boxes."""
    return any(any(labels.rglob("*.txt")) for _, _, labels in yolo_places(folder))


def yolo_places(folder: Path) -> Iterator[tuple[str | None, Path, Path]]:
    """Yield the folders of images and of labels, with the split where they lie in its folder.

    Labels lie in `labels/` beside `images/`, or, in a folder whose classes are named, beside the images.
    """
    named = any((folder / name).is_file() for name in (NAMES_FILE, *TOLD))
    for split, place in [(None, folder), *((s, p) for s, p in split_folders(folder) if s)]:
        if (place / "images").is_dir() and (place / "labels").is_dir():
            yield split, place / "images", place / "labels"
        elif named and any(each.with_suffix(".txt").is_file() for each in place.iterdir() if is_image(each)):
            yield split, place, place


def read_yolo(folder: Path) -> tuple[Placed, list[str]]:
    """Return the images of a folder with their boxes and splits, and the names of the classes.

    Splits are folders above or below `images/`, else what data.yaml says they are: folders, or lists of images. Classes
    are named by the lines of classes.txt, else by `names:` of data.yaml, else by their numbers.

    Raises:
        UserError: a line cannot be read or names a class that has no name, or labels have no image.
    """
    told, placed = read_told(folder), Placed()
    names = yolo_names(folder, told)
    if told.points:
        tell_once(f"{folder}: the points of objects (kpt_shape) are not read, boxes are. Points are read of COCO.")
    for split, images, labels in yolo_places(folder):
        files = below(images)
        known = {file.relative_to(images).with_suffix("") for file in files}
        lost = [file for file in label_files(labels) if file.relative_to(labels).with_suffix("") not in known]
        if lost:
            more = f" and {len(lost) - 1} others have" if len(lost) > 1 else " has"
            raise UserError(f"{lost[0]}{more} no image in {images}. Add the images, or take the labels away.")
        for file in files:
            inner = file.relative_to(images)
            own = split or (SPLIT_NAMES.get(inner.parts[0].lower()) if len(inner.parts) > 1 else None)
            boxes = boxes_of((labels / inner).with_suffix(".txt"), file, names, told.points)
            placed.append((file.relative_to(folder).as_posix(), boxes, own))
    if any(split is None for _, _, split in placed):
        placed = with_splits(placed, told, folder)
    return placed, names or sorted({box[4] for _, boxes, _ in placed for box in boxes}, key=int)


def with_splits(placed: Placed, told: Told, folder: Path) -> Placed:
    """Return images with the splits that are told; images in none of the lists that are told are left out."""
    splits = told.splits or {}
    found = [(path, boxes, splits.get(path)) for path, boxes, _ in placed]
    lost = [path for path, _, split in found if split is None]
    if not told.lists or len(lost) == len(found):
        return placed if lost else found
    if lost:
        tell_once(f"{folder}: left out {len(lost)} images that no list of images names, such as {lost[0]}.")
    return [row for row in found if row[2] is not None]


def is_image(path: Path) -> bool:
    """Return whether a path is named as an image."""
    return path.suffix.lower() in ENDINGS


def boxes_of(labels: Path, image: Path, names: list[str], points: int) -> Boxes:
    """Return the boxes of an image in pixels, those around outlines included; none where it has no labels.

    Raises:
        UserError: a line is neither a box nor an outline of a known class.
    """
    from mtl_cli.images.decoding import read_header

    header, boxes = read_header(image), Boxes()
    lines = labels.read_text(encoding="utf-8").splitlines() if labels.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            kind, *shares = (float(word) for word in line.split())
            if kind < 0 or kind % 1:
                raise ValueError("no number of a class")
            name = names[int(kind)] if names else str(int(kind))
            x, y, width, height = box_of(shares if len(shares) != points + BOX_NUMBERS[0] else shares[: BOX_NUMBERS[0]])
        except (ValueError, IndexError, OverflowError) as error:
            raise UserError(f"{labels}, line {number}: '{line[:60]}' is not a box of a known class.") from error
        width, height = width * header.width, height * header.height
        boxes.append((x * header.width - width / 2, y * header.height - height / 2, width, height, name))
    return boxes


def box_of(shares: list[float]) -> tuple[float, float, float, float]:
    """Return centre, width and height of a box (perhaps with a score behind), or around an outline (x, y, x, y, …).

    Raises:
        ValueError: the numbers are neither.
    """
    if len(shares) in BOX_NUMBERS:
        x, y, width, height = shares[:4]
        return x, y, width, height
    if len(shares) < MIN_OUTLINE or len(shares) % 2:
        raise ValueError("neither a box nor an outline")
    (left, right), (top, bottom) = ((min(side), max(side)) for side in (shares[::2], shares[1::2]))
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def label_files(labels: Path) -> list[Path]:
    """Return the text files of labels; the list of classes that some programs put beside them is none."""
    return [file for file in sorted(labels.rglob("*.txt")) if file.name != NAMES_FILE]


def yolo_files(folder: Path) -> list[Path]:
    """Return the files of a folder in YOLO's layout that say what is in the images."""
    told = [*names_files(folder), *yaml_files(folder)]
    return [*told, *(file for _, _, labels in yolo_places(folder) for file in label_files(labels))]


def names_files(folder: Path) -> list[Path]:
    """Return the lists of classes: in the folder, else beside labels."""
    places = [folder, *(labels for _, _, labels in yolo_places(folder))]
    return [file for place in places if (file := place / NAMES_FILE).is_file()][:1]


def yolo_names(folder: Path, told: Told) -> list[str]:
    """Return the names of the classes of a folder in YOLO's layout; none where it does not name them."""
    for plain in names_files(folder):
        return [line.strip() for line in plain.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list(told.names)
