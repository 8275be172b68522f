"""Sets of images as tables: a folder of class folders, COCO, Pascal VOC and YOLO annotations become rows and columns.

Each listing has the column `image`, a path relative to the folder of the listing, and what its form says of an image:

- pairs: a folder `images` beside folders of label images with the same names, each of which is a column, or `a.png`
  beside `a_mask.png`; and `split`;
- class folders: `label`, the name of the folder, and `split` where the folders above are called train, val and test;
- sets as they are published: see `mtl_cli.images.published`;
- boxes: `boxes`, JSON of [x, y, width, height, name of the class] in pixels, and one column `count_<class>` per class;
- points of COCO: `points`, JSON of {name: [x, y, v]} of the largest object of an image, beside its boxes.
"""

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mtl_cli.errors import UserError
from mtl_cli.images.coco_points import CocoPoints, box_of_points
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.images.pairs import below, is_pairs, pair_rows
from mtl_cli.images.published import PUBLISHED, told_by
from mtl_cli.images.yolo import Boxes, is_yolo, read_yolo, yolo_files
from mtl_cli.tables.listing import Listing, Rows, class_rows
from mtl_cli.tables.reading import ReadOptions, TableFile

FORMS = ("auto", "classes", "pairs", "coco", "voc", "yolo", *PUBLISHED)
MAX_ANNOTATIONS = 2**30
"""Bytes of the largest file of annotations that is read."""
logger = logging.getLogger("mtl_cli")


def list_images(path: Path, options: ReadOptions, form: str = "auto") -> TableFile:
    """Return the table of a set of images: a file of a table as it is, else a listing of a folder or of annotations.

    Raises:
        UserError: there are no images, or their annotations cannot be read.
    """
    form = form_of(path) if form == "auto" else form
    if form == "table":
        return TableFile(path, options)
    readers = {"coco": coco_rows, "voc": voc_rows, "yolo": yolo_rows, "pairs": pair_rows, "classes": image_class_rows}
    told = {"coco": lambda: [path], "voc": lambda: annotation_files(path), "yolo": lambda: yolo_files(path)}
    for name, (rows_of, files) in PUBLISHED.items():
        readers[name], told[name] = rows_of, functools.partial(told_by, path, files)
    found = readers[form](path)
    folder = path if path.is_dir() else path.parent
    return Listing(path, options, found, folder, told[form]() if form in told else ())


def image_class_rows(folder: Path) -> Rows:
    """Return the images of class folders.

    Raises:
        UserError: there is no image, or some lie in no class folder.
    """
    return class_rows(folder, ENDINGS, "image", "images")


def form_of(path: Path) -> str:
    """Return how a set of images is laid out, by names of files: one of `FORMS`, or table."""
    if path.is_file():
        return "coco" if path.suffix.lower() == ".json" else "table"
    for name, (_, files) in PUBLISHED.items():
        if all((path / file).is_file() for file in files):
            return name
    if next(iter(annotation_files(path)), None) is not None:
        return "voc"
    if is_yolo(path):
        return "yolo"
    return "pairs" if is_pairs(path) else "classes"


def annotation_files(folder: Path) -> list[Path]:
    """Return the XML files of a folder in Pascal VOC's layout."""
    place = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    return sorted(place.glob("*.xml"))


def coco_rows(path: Path) -> Rows:
    """Return the images of COCO annotations with their boxes, and points where there are any; crowds are left out.

    Raises:
        UserError: the file is not COCO, points are not those of their category, a box names no image or category, or an
            image is not found or found twice.
    """
    known = read_json_file(path)
    keys = ("images", "annotations", "categories")
    if not isinstance(known, Mapping) or not all(isinstance(known.get(key), list) for key in keys):
        raise UserError(f"{path} is not a file of COCO: it needs the lists {', '.join(keys)}.")
    try:
        names = {each["id"]: str(each["name"]) for each in known["categories"]}
        boxes: dict[Any, Boxes] = {each["id"]: [] for each in known["images"]}
        files = {each["id"]: str(each["file_name"]) for each in known["images"]}
        if twice := [key for key in keys[::2] if len({each["id"] for each in known[key]}) < len(known[key])]:
            raise UserError(f"{path} has two {twice[0]} of one id. Number them anew.")
        points = CocoPoints(path, known["categories"])
        for number, each in without_crowds(known["annotations"], path):
            if each["image_id"] not in boxes or each["category_id"] not in names:
                key = "category_id" if each["image_id"] in boxes else "image_id"
                raise UserError(f"{path}, annotation {number}: {key} {each[key]!r} is not in the file.")
            box = coco_box(each, f"{path}, annotation {number}")
            points.add(number, each, box)
            boxes[each["image_id"]].append((*box, names[each["category_id"]]))
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is not a file of COCO: {type(error).__name__}: {str(error)[:80]}.") from error
    if len(set(names.values())) < len(names):
        raise UserError(f"{path} has two categories of one name. Rename one.")
    finder = ImageFinder(path.parent)
    placed = [(finder.path_of(files[key], path), boxes[key]) for key in files]
    rows = boxed_rows(placed, list(names.values()))
    cells = points.cells(files)
    return [{**row, **cell} for row, cell in zip(rows, cells, strict=True)]


@functools.cache  # a set is listed several times
def tell_of_crowds(path: Path, number: int, first: int) -> None:
    """Say once that annotations of crowds are left out."""
    logger.warning("%s: left out %d annotations of crowds, such as annotation %d.", path, number, first)


def without_crowds(annotations: Sequence[Any], path: Path) -> list[tuple[int, Any]]:
    """Return annotations with their numbers; those of crowds are left out and counted in the log."""
    crowds = [number for number, each in enumerate(annotations) if each.get("iscrowd")]
    if crowds:
        tell_of_crowds(path, len(crowds), crowds[0])
    return [(number, each) for number, each in enumerate(annotations) if not each.get("iscrowd")]


def coco_box(annotation: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    """Return x, y, width and height of an annotation: its box or, else, that around its polygons or points.

    Raises:
        UserError: it has neither; `where` it stands.
    """
    if annotation.get("bbox"):
        x, y, width, height = map(float, annotation["bbox"])
        return x, y, width, height
    polygons = annotation.get("segmentation")
    if not polygons and (around := box_of_points(annotation)) is not None:
        return around
    if not polygons or not isinstance(polygons, list):
        raise UserError(f"{where}: it has neither a bbox nor polygons as its segmentation. Write the bbox of each.")
    numbers = [[float(value) for value in polygon] for polygon in polygons]
    across, down = ([value for each in numbers for value in each[start::2]] for start in (0, 1))
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


def voc_rows(folder: Path) -> Rows:
    """Return the images of a folder of Pascal VOC's XML files with their boxes.

    Raises:
        UserError: a file cannot be read, or its image is not found.
    """
    finder, placed, names = ImageFinder(folder), [], dict[str, None]()
    for file in annotation_files(folder):
        if file.stat().st_size > MAX_ANNOTATIONS or b"<!ENTITY" in (content := file.read_bytes()):
            raise UserError(f"{file} is too large, or declares entities, which annotations do not need.")
        try:
            root = ElementTree.fromstring(content)
            boxes: Boxes = []
            for each in root.iter("object"):
                left, top, right, bottom = (float(_text(each, f"bndbox/{k}")) for k in ("xmin", "ymin", "xmax", "ymax"))
                boxes.append((left - 1, top - 1, right - left + 1, bottom - top + 1, _text(each, "name")))
            placed.append((finder.path_of(_text(root, "filename"), file), boxes))
        except (ElementTree.ParseError, ValueError) as error:
            raise UserError(f"{file} is not a file of Pascal VOC: {str(error)[:80]}.") from error
        names |= dict.fromkeys(box[4] for box in boxes)
    return boxed_rows(placed, sorted(names))


def yolo_rows(folder: Path) -> Rows:
    """Return the images of a folder in YOLO's layout with their boxes, and their splits where all have one.

    Raises:
        UserError: a line cannot be read or names a class that has no name, or labels have no image.
    """
    placed, names = read_yolo(folder)
    rows = boxed_rows([(path, boxes) for path, boxes, _ in placed], names)
    splits = [split for _, _, split in placed]
    return rows if None in splits else [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]


def boxed_rows(placed: Sequence[tuple[str, Boxes]], names: Sequence[str]) -> Rows:
    """Return rows of images with their boxes and the number of boxes of each class.

    Raises:
        UserError: there is no image, or one comes twice.
    """
    if not placed:
        raise UserError("The annotations name no image.")
    paths = [path for path, _ in placed]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UserError(f"The annotations name the image {twice} twice. Leave one out.")
    rows: Rows = []
    for path, boxes in placed:
        kinds = [box[4] for box in boxes]
        counts = {f"count_{name}": kinds.count(name) for name in names}
        rows.append({"image": path, "boxes": json.dumps(boxes, ensure_ascii=False), **counts})
    return rows


class ImageFinder:
    """Finds images by the names that annotations give: beside them, then in `images/`, then anywhere below."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._below: dict[str, list[Path]] | None = None

    def path_of(self, name: str, asking: Path) -> str:
        """Return the path of an image relative to the folder.

        Raises:
            UserError: there is none, or there are two.
        """
        for place in (self.folder / name, self.folder / "images" / name, self.folder / "JPEGImages" / name):
            if place.is_file():
                return place.relative_to(self.folder).as_posix()
        if self._below is None:
            self._below = {}
            for file in below(self.folder):
                self._below.setdefault(file.name, []).append(file)
        found = self._below.get(Path(name).name, [])
        if len(found) == 1:
            return found[0].relative_to(self.folder).as_posix()
        where = "is not there" if not found else f"is there {len(found)} times ({found[0]}, {found[1]})"
        raise UserError(f"{asking} names the image '{name}', which {where}: looked for in {self.folder} and below.")


def read_json_file(path: Path) -> Any:  # noqa: ANN401  what JSON holds
    """Return the contents of a JSON file.

    Raises:
        UserError: it is too large or not JSON.
    """
    if path.stat().st_size > MAX_ANNOTATIONS:
        raise UserError(f"{path} has more than {MAX_ANNOTATIONS:,} bytes. Divide it.")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {str(error)[:80]}.") from error


def _text(node: ElementTree.Element, name: str) -> str:
    found = node.findtext(name)
    if found is None:
        raise ValueError(f"it has no {name}")
    return found.strip()
