"""The folders in which Cityscapes is published: leftImg8bit/train/CITY/*.png and gtFine/train/CITY/*.png.

M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. Label images are a column
for each kind: `labelIds`, and `disparity` where it is there. The 19 classes of the benchmark are learnt and all others
ignored. The labels of the test split are not published; its files hold no class, and such images are left out.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mtl_cli.images.coco_points import tell_once
from mtl_cli.images.decoding import decode_labels
from mtl_cli.images.pair_parts import Part, below, split_folders, stem

IMAGES, LABELS = "leftImg8bit", ("gtFine", "gtCoarse")
CLASSES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole", 19: "traffic light",
    20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck",
    28: "bus", 31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
"""The classes that the benchmark counts, by their number in labelIds; in labelTrainIds they are 0 to 18 in order."""
NUMBERS = {
    "labelIds": {**dict.fromkeys((*range(34), 255), ""), **CLASSES},
    "labelTrainIds": {**dict(enumerate(CLASSES.values())), 255: ""},
}
"""Names of the numbers of a column of label images; those without a name are ignored."""
LOOKED_AT = 3
"""Label images of the test split that are looked at."""


def is_cityscapes(folder: Path) -> bool:
    """Return whether a folder is laid out as Cityscapes is."""
    return (folder / IMAGES).is_dir() and any((folder / name).is_dir() for name in LABELS)


def street_parts(folder: Path) -> Iterator[Part]:
    """Yield the splits of Cityscapes; those without labels are left out, which is said."""
    labels = next(folder / name for name in LABELS if (folder / name).is_dir())
    kinds = {"labelIds": labels, "labelTrainIds": labels, "disparity": folder / "disparity"}
    for split, place in split_folders(folder / IMAGES):
        images = below(place)
        names = [stem(file, place) for file in images]
        known = {kind: files_of(kind, root / place.name if split else root, names) for kind, root in kinds.items()}
        classes = known["labelIds"] or known["labelTrainIds"]
        if split == "test" and not any(map(holds_a_class, list(classes.values())[:LOOKED_AT])):
            tell_once(f"{place} is left out: its label images hold no class.")
            continue
        found = {"labelIds" if known["labelIds"] else "labelTrainIds": classes, "disparity": known["disparity"]}
        yield Part(split, place, images, {kind: files for kind, files in found.items() if files})


def files_of(kind: str, folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Return the label images of a kind in a folder, by the name of the image."""
    middle = "" if kind == "disparity" else f"_{folder.parent.name}"
    files = {name: folder / f"{name.removesuffix(f'_{IMAGES}')}{middle}_{kind}.png" for name in names}
    return {name: file for name, file in files.items() if file.is_file()}


def street_files(folder: Path) -> set[Path]:
    """Return all images of Cityscapes that are not photographs."""
    return {file for name in (*LABELS, "disparity") for file in below(folder / name)}


def holds_a_class(file: Path) -> bool:
    """Return whether a label image holds a class that the benchmark counts."""
    return bool(np.isin(decode_labels(file), list(CLASSES)).any())
