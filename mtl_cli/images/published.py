"""Sets of images in the folders and lists of files that they are published in.

- `pets`, the Oxford-IIIT Pet set (O. Parkhi et al., "Cats and Dogs", CVPR 2012): `breed`, `species`, the label image
  `trimap` (1 pet, 2 background, 3 border), and `split` (trainval or test in the lists, train or test here);
- `celeba` (Z. Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015), the aligned images: a column of 0
  and 1 for each of the 40 attributes, and `split`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.tables.listing import Rows

PET_LISTS = {"annotations/trainval.txt": "train", "annotations/test.txt": "test"}
SPECIES = {"1": "cat", "2": "dog"}
ATTRIBUTES, PARTITIONS = "list_attr_celeba.txt", "list_eval_partition.txt"
PARTS = {"0": "train", "1": "val", "2": "test"}


def pet_rows(folder: Path) -> Rows:
    """Return the images that the lists of the Pet set name; a breed is the name of a file without its number.

    Raises:
        UserError: a line cannot be read.
    """
    rows: Rows = []
    for name, split in PET_LISTS.items():
        for number, words in table_of(folder / name):
            if len(words) != 4 or words[2] not in SPECIES:
                raise line_error(folder / name, number, words, "a name, the numbers of its class, species and breed")
            rows.append(
                {
                    "image": f"images/{words[0]}.jpg",
                    "breed": words[0].rpartition("_")[0],
                    "species": SPECIES[words[2]],
                    "trimap": f"annotations/trimaps/{words[0]}.png",
                    "split": split,
                }
            )
    return rows


def celeba_rows(folder: Path) -> Rows:
    """Return the aligned images with their attributes.

    Raises:
        UserError: a line cannot be read, or an image is in one of the two lists only.
    """
    parts = {}
    for number, words in table_of(folder / PARTITIONS):
        if len(words) != 2 or words[1] not in PARTS:
            raise line_error(folder / PARTITIONS, number, words, "an image and 0, 1 or 2")
        parts[words[0]] = PARTS[words[1]]
    lines = table_of(folder / ATTRIBUTES)
    names = lines[1][1] if len(lines) > 1 else []
    rows: Rows = []
    for number, (image, *values) in lines[2:]:  # the number of images and the names of the attributes come first
        if len(values) != len(names) or not {"1", "-1"}.issuperset(values) or image not in parts:
            wanted = f"an image of {PARTITIONS} and 1 or -1 for each of {len(names)} attributes"
            raise line_error(folder / ATTRIBUTES, number, [image, *values], wanted)
        known = {name: int(value == "1") for name, value in zip(names, values, strict=True)}
        rows.append({"image": f"img_align_celeba/{image}", **known, "split": parts[image]})
    if len(rows) != len(parts):
        raise UserError(f"{folder / ATTRIBUTES} has {len(rows)} images, {PARTITIONS} {len(parts)}. Replace the lists.")
    return rows


PUBLISHED: dict[str, tuple[Callable[[Path], Rows], Sequence[str]]] = {
    "pets": (pet_rows, tuple(PET_LISTS)),
    "celeba": (celeba_rows, (ATTRIBUTES, PARTITIONS)),
}
"""What reads a set, and the lists by which it is known, relative to its folder."""


def told_by(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the lists of a set."""
    return [folder / name for name in names]


def table_of(path: Path) -> list[tuple[int, list[str]]]:
    """Return the words of each line that has some and is not a comment, with the number of the line.

    Raises:
        UserError: the file cannot be read, or has no line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    found = [(number, line.split()) for number, line in enumerate(lines, start=1) if line.strip() and line[0] != "#"]
    if not found:
        raise UserError(f"{path} has no line. Replace it by the published one.")
    return found


def line_error(path: Path, number: int, words: Sequence[str], wanted: str) -> UserError:
    """Return the error for a line that does not hold what is `wanted`."""
    return UserError(
        f"{path}, line {number}: '{' '.join(words)[:60]}' is not {wanted}. Replace it by the published one."
    )
