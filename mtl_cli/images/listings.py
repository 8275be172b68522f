"""Sets of images as tables: a folder of class folders, COCO, Pascal VOC and YOLO annotations become rows and columns.

Each listing has the column `image`, a path relative to the folder of the listing, and what its form says of an image:

- pairs: a folder `images` beside folders of label images with the same names, each of which is a column, or `a.png`
  beside `a_mask.png`, or the folders of Cityscapes; and `split`;
- class folders: `label`, the name of the folder, and `split` where the folders above are called train, val and test;
- sets as they are published: see `mtl_cli.images.published`;
- boxes: `boxes`, JSON of [x, y, width, height, name of the class] in pixels, and one column `count_<class>` per class;
- points of COCO: `points`, JSON of {name: [x, y, v]} of the largest object of an image, beside its boxes.
"""

import functools
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.images.box_rows import boxed_rows
from mtl_cli.images.box_table import BoxTable
from mtl_cli.images.coco import coco_files, coco_folder, coco_rows
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.images.pairs import is_pairs, names_pictures, pair_rows
from mtl_cli.images.published import PUBLISHED, told_by
from mtl_cli.images.voc import annotation_files, voc_rows
from mtl_cli.images.yolo import is_yolo, read_yolo, yolo_files
from mtl_cli.tables.listing import Listing, Rows, class_rows
from mtl_cli.tables.reading import ReadOptions, TableFile

BOXES = "boxes"
"""A table with a row per box."""
FORMS = ("auto", "classes", "pairs", "coco", "voc", "yolo", BOXES, *PUBLISHED)


def list_images(path: Path, options: ReadOptions, form: str = "auto") -> TableFile:
    """Return the table of a set of images: a file of a table as it is, else a listing of a folder or of annotations.

    Raises:
        UserError: there are no images, or their annotations cannot be read.
    """
    form = form_of(path) if form == "auto" else form
    if form == "table":
        return TableFile(path, options)
    if form == BOXES:
        return BoxTable(path, options)
    readers = {"coco": coco_rows, "voc": voc_rows, "yolo": yolo_rows, "pairs": pair_rows, "classes": image_class_rows}
    told = {"coco": lambda: coco_files(path) if path.is_dir() else [path], "voc": lambda: annotation_files(path),
            "yolo": lambda: yolo_files(path)}  # fmt: skip
    for name, (rows_of, files) in PUBLISHED.items():
        readers[name], told[name] = rows_of, functools.partial(told_by, path, files)
    found = readers[form](path)
    return Listing(path, options, found, coco_folder(path), told[form]() if form in told else ())


def image_class_rows(folder: Path) -> Rows:
    """Return the images of class folders.

    Raises:
        UserError: there is no image, some lie in no class folder, or the folders are not those of classes.
    """
    rows = class_rows(folder, ENDINGS, "image", "images")
    classes = sorted({str(row["label"]) for row in rows})
    if len(classes) > 1 and all(map(names_pictures, classes)):
        raise UserError(
            f"{folder}: the innermost folders are called {', '.join(classes)}, as those of images and of label images "
            "are, and not as classes. There is one label image per image, of the same name (images/a.png, "
            "masks/a.png); or give a table with a column of images and one of label images."
        )
    return rows


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


def yolo_rows(folder: Path) -> Rows:
    """Return the images of a folder in YOLO's layout with their boxes, and their splits where all have one.

    Raises:
        UserError: a line cannot be read or names a class that has no name, or labels have no image.
    """
    placed, names = read_yolo(folder)
    rows = boxed_rows([(path, boxes) for path, boxes, _ in placed], names)
    splits = [split for _, _, split in placed]
    return rows if None in splits else [{**row, "split": split} for row, split in zip(rows, splits, strict=True)]
