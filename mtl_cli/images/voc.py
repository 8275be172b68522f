"""Annotations of Pascal VOC: an XML file per image."""

from pathlib import Path
from xml.etree import ElementTree

from mtl_cli.errors import UserError
from mtl_cli.images.box_rows import MAX_ANNOTATIONS, Boxes, ImageFinder, boxed_rows, told_size
from mtl_cli.images.pair_parts import split_folders
from mtl_cli.tables.listing import SIZE, Rows, split_named

ANNOTATIONS = "annotations"
LISTS = "ImageSets/Main"
"""Where lists say which images are for training, validation and test."""


def annotation_files(folder: Path) -> list[Path]:
    """Return the XML files of a folder in Pascal VOC's layout, or of its folders of splits."""
    parts = [place for split, place in split_folders(folder) if split]
    inner = [each for place in (folder, *parts) for each in sorted(place.iterdir()) if each.name.lower() == ANNOTATIONS]
    for places in ([each for each in inner if each.is_dir()], [folder], parts):
        if files := [file for place in places for file in sorted(place.glob("*.xml"))]:
            return files
    return []


def voc_rows(folder: Path) -> Rows:
    """Return the images of a folder of Pascal VOC's XML files with their boxes, and their splits where all have one.

    Raises:
        UserError: a file cannot be read, or its image is not found.
    """
    placed, names = list[tuple[str, Boxes]](), dict[str, None]()
    finders, sizes = dict[Path, ImageFinder](), list[tuple[int, int] | None]()
    for file in annotation_files(folder):
        if file.stat().st_size > MAX_ANNOTATIONS or b"<!ENTITY" in (content := file.read_bytes()):
            raise UserError(f"{file} is too large, or declares entities, which annotations do not need.")
        try:
            root = ElementTree.fromstring(content)
            boxes: Boxes = []
            for each in root.iter("object"):
                left, top, right, bottom = (float(_text(each, f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax"))
                boxes.append((left - 1, top - 1, right - left + 1, bottom - top + 1, _text(each, "name")))
            split = split_in(file, folder)
            finder = finders.setdefault(file.parent, ImageFinder(folder, file.parent if split else folder, split))
            placed.append((finder.path_of(_text(root, "filename"), file, file.stem), boxes))
        except UserError:
            raise
        except (ElementTree.ParseError, ValueError) as error:
            raise UserError(f"{file} is not a file of Pascal VOC: {str(error)[:80]}.") from error
        sizes.append(told_size(root.findtext("size/height"), root.findtext("size/width")))
        names |= dict.fromkeys(box[4] for box in boxes)
    rows, splits = boxed_rows(placed, sorted(names)), listed_splits(folder)
    rows = [{**row, SIZE: size} for row, size in zip(rows, sizes, strict=True)]
    own = [splits.get(Path(row["image"]).stem) or split_in(Path(row["image"]), Path()) for row in rows]
    return rows if None in own else [{**row, "split": split} for row, split in zip(rows, own, strict=True)]


def split_in(file: Path, folder: Path) -> str | None:
    """Return the split whose folder a file lies in, below a folder; None for none."""
    return next(filter(None, map(split_named, file.relative_to(folder).parts[:-1])), None)


def listed_splits(folder: Path) -> dict[str, str]:
    """Return the split of each image by its name without an ending, as the lists of the set have it; none without."""
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        file = folder / LISTS / f"{split}.txt"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        found |= {line.split()[0]: split for line in lines if line.strip()}
    return found


def _text(node: ElementTree.Element, name: str) -> str:
    found = node.findtext(name)
    if found is None:
        raise ValueError(f"it has no {name}")
    return found.strip()
