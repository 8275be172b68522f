"""What label images are called after their images: a_mask.png, a-gt.png, mask_a.png, or a.png beside a.jpg."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.decoding import decode_labels
from mtl_cli.images.pair_parts import stem

WORDS = ("masks?", "labels?", "seg", "segmentation", "gt", "ground_?truth", "annotations?", "depth", "instances?")
"""What stands before or after the name of an image in that of its label image, perhaps with a number."""
AFTER = re.compile(rf"(.+)[-_. ]({'|'.join(WORDS)})((?:[-_ ]?\d+)?)", re.IGNORECASE)
BEFORE = re.compile(rf"({'|'.join(WORDS)})[-_. ](.+)", re.IGNORECASE)
LOSSY = (".jpg", ".jpeg", ".jfif")
MOST_NUMBERS = 256
"""Different numbers of a label image; a photograph has more colours."""
Found = dict[str, dict[str, Path]]


def image_told(name: str, names: Collection[str]) -> tuple[str, str] | None:
    """Return the image, of some names, whose label image a file is by its name, and what stands beside that name."""
    above, _, last = name.rpartition("/")
    for pattern, order in ((AFTER, (0, 1)), (BEFORE, (1, 0))):
        if (match := pattern.fullmatch(last)) is None:
            continue
        image, word = (match.groups()[place] for place in order)
        number = re.sub(r"\D", "", match.group(3)) if pattern is AFTER else ""
        own = f"{above}/{image}" if above else image
        if own in names:
            return own, f"{word.lower()}_{number}".rstrip("_")
    return None


def labels_beside(files: Sequence[Path], folder: Path) -> Found:
    """Return the label images among files that lie beside their images: a column for each word, by the image's name.

    Where images lie in several folders, at least half of them have one.
    """
    found: Found = {}
    names = {stem(file, folder) for file in files}
    for file in files:
        if (told := image_told(stem(file, folder), names)) is not None:
            found.setdefault(told[1], {})[told[0]] = file
    found = found or same_names(files, folder)
    marked = {name for known in found.values() for name in known}
    labels = {file for known in found.values() for file in known.values()}
    nested = len({file.parent for file in files}) > 1
    return {} if nested and 2 * len(marked) < len(files) - len(labels) else found


def same_names(files: Sequence[Path], folder: Path) -> Found:
    """Return the label images that differ from their photograph, a JPEG, in their ending only."""
    photos = {stem(file, folder) for file in files if file.suffix.lower() in LOSSY}
    others = {stem(file, folder): file for file in files if file.suffix.lower() not in LOSSY}
    alike = {name: file for name, file in others.items() if name in photos}
    if not alike or len(alike) < len(others) or not is_label_image(next(iter(alike.values()))):
        return {}
    return {"mask": alike}


def is_label_image(file: Path) -> bool:
    """Return whether a file holds few different numbers, as label images do and photographs do not."""
    if file.suffix.lower() in LOSSY:
        return False
    try:
        return file.suffix.lower() == ".npy" or len(np.unique(decode_labels(file))) <= MOST_NUMBERS
    except UserError:
        return False
