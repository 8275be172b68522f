"""Annotations of COCO: one JSON file, or one for each split: in a set's folder, in `annotations/`, or among images."""

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError
from mtl_cli.files import unique
from mtl_cli.images.box_rows import MAX_ANNOTATIONS, Boxes, ImageFinder, MissingImageError, boxed_rows, told_size
from mtl_cli.images.coco_masks import box_of_mask
from mtl_cli.images.coco_points import CocoPoints, box_of_points, tell_once
from mtl_cli.tables.listing import SIZE, Rows, split_named

KEYS = ("images", "annotations", "categories")
ANNOTATIONS = "annotations"
"""What the folder of files is called that name images in folders beside it."""


def coco_folder(path: Path) -> Path:
    """Return the folder of a set, which holds its images: path itself, or that of a file."""
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name.lower() == ANNOTATIONS else path.parent


def coco_files(folder: Path) -> list[Path]:
    """Return the files of COCO with boxes or points in a folder, in `annotations/`, or in folders of splits."""
    inner = [each for each in sorted(folder.iterdir()) if each.is_dir()]
    places = [each for each in inner if each.name.lower() == ANNOTATIONS or split_named(each.name)]
    return [file for place in (folder, *places) for file in sorted(place.glob("*.json")) if is_coco(file)]


@functools.cache
def is_coco(path: Path) -> bool:
    """Return whether a file is one of COCO with categories; most others are told by their beginning."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    if not any(f'"{key}"'.encode() in start for key in KEYS):
        return False
    return has_lists(read_json_file(path))


def has_lists(known: object) -> bool:
    """Return whether the contents of a JSON file are lists by the names that COCO gives them."""
    return isinstance(known, Mapping) and all(isinstance(known.get(key), list) for key in KEYS)


def split_of(file: Path) -> str | None:
    """Return which split a file is for, by its name or else by that of its folder."""
    words = re.findall("[a-z]+", file.stem.lower())
    return next((split for word in words if (split := split_named(word))), None) or split_named(file.parent.name)


def coco_rows(path: Path) -> Rows:
    """Return the images of COCO annotations with their boxes, and points where there are any; crowds are left out.

    Of a folder they are those of its files, one for each split.

    Raises:
        UserError: a file is not COCO, points are not those of their category, a box names no image or category, or an
            image is not found or found twice; or a folder has no file, or several for one split.
    """
    folder = coco_folder(path)
    if not path.is_dir():
        return file_rows(path, folder, None)[0]
    files = coco_files(folder)
    splits = {file: split_of(file) for file in files}
    if not files:
        raise UserError(f"{folder} holds no file of COCO. Let the layout be found: layout=auto.")
    if None in splits.values() or max(Counter(splits.values()).values()) > 1:
        listed = ", ".join(str(file.relative_to(folder)) for file in files[:6])
        raise UserError(
            f"{folder} holds {len(files)} files of COCO: {listed}. It may have one for each of train, val and test. "
            "Take the others away, or name one: path=FILE."
        )
    found = [file_rows(file, folder, split) for file, split in splits.items()]
    rows = [row for own, _ in found for row in own]
    if twice := [image for image, count in Counter(row["image"] for row in rows).items() if count > 1]:
        raise UserError(f"The annotations name the image {twice[0]} in two splits. Leave one out.")
    nothing = {"points": None} if any("points" in row for row in rows) else {}
    counts = dict.fromkeys((f"count_{name}" for _, names in found for name in names), 0)
    first = ("image", "boxes")
    return [{**{name: row[name] for name in first}, **counts, **nothing, **row} for row in rows]


def file_rows(path: Path, folder: Path, split: str | None) -> tuple[Rows, list[str]]:
    """Return the rows of one file, with paths relative to a folder, and the names of its categories."""
    known = read_json_file(path)
    if not has_lists(known):
        raise UserError(f"{path} is not a file of COCO: it needs the lists {', '.join(KEYS)}.")
    try:
        names = {each["id"]: str(each["name"]) for each in known["categories"]}
        boxes: dict[Any, Boxes] = {each["id"]: [] for each in known["images"]}
        files = {each["id"]: str(each["file_name"]) for each in known["images"]}
        if twice := [key for key in KEYS[::2] if len({each["id"] for each in known[key]}) < len(known[key])]:
            raise UserError(f"{path} has two {twice[0]} of one id. Number them anew.")
        points = CocoPoints(path, known["categories"])
        for number, each in without_crowds(known["annotations"], path):
            if each["image_id"] not in boxes or each["category_id"] not in names:
                key, known_ids = ("category_id", names) if each["image_id"] in boxes else ("image_id", boxes)
                alike = str(each[key]) in map(str, known_ids)
                why = " An id is a number in one place and a text in the other: write it in one way." if alike else ""
                raise UserError(f"{path}, annotation {number}: {key} {each[key]!r} is not in the file.{why}")
            box = coco_box(each, f"{path}, annotation {number}")
            points.add(number, each, box)
            boxes[each["image_id"]].append((*box, names[each["category_id"]]))
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{path} is not a file of COCO: {type(error).__name__}: {str(error)[:80]}.") from error
    if len(set(names.values())) < len(names):
        raise UserError(f"{path} has two categories of one name. Rename one.")
    finder = ImageFinder(folder, path.parent, split)
    placed = [(image, boxes[key]) for key, image in found_images(finder, files, path).items()]
    rows = boxed_rows(placed, list(names.values()))
    cells = points.cells(files)
    own = {} if split is None else {"split": split}
    sizes = [{SIZE: told_size(each.get("height"), each.get("width"))} for each in known["images"]]
    return [{**row, **cell, **own, **size} for row, cell, size in zip(rows, cells, sizes, strict=True)], list(
        names.values()
    )


def found_images(finder: ImageFinder, files: Mapping[Any, str], path: Path) -> dict[Any, str]:
    """Return the paths of images by their ids; some that are not there are as they are named, so that all are told.

    Raises:
        UserError: an image is there twice, or none is there.
    """
    found, lost = {}, []
    for key, name in files.items():
        try:
            found[key] = finder.path_of(name, path)
        except MissingImageError as error:
            lost.append(error)
            found[key] = name
    if lost and len(lost) == len(files):
        raise lost[0]
    return found


def without_crowds(annotations: Sequence[Any], path: Path) -> list[tuple[int, Any]]:
    """Return annotations with their numbers; those of crowds are left out and counted in the log, once."""
    crowds = [number for number, each in enumerate(annotations) if each.get("iscrowd")]
    if crowds:
        tell_once(f"{path}: left out {len(crowds)} annotations of crowds, such as annotation {crowds[0]}.")
    return [(number, each) for number, each in enumerate(annotations) if not each.get("iscrowd")]


def coco_box(annotation: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    """Return x, y, width and height of an annotation: its box or, else, that around its mask or points.

    Raises:
        UserError: it has neither; `where` it stands.
    """
    if annotation.get("bbox"):
        x, y, width, height = map(float, annotation["bbox"])
        return x, y, width, height
    mask = annotation.get("segmentation")
    if not mask and (around := box_of_points(annotation)) is not None:
        return around
    return box_of_mask(mask, where)


def read_json_file(path: Path) -> Any:  # noqa: ANN401  what JSON holds
    """Return the contents of a JSON file.

    Raises:
        UserError: it is too large or not JSON.
    """
    if path.stat().st_size > MAX_ANNOTATIONS:
        raise UserError(f"{path} has more than {MAX_ANNOTATIONS:,} bytes. Divide it.")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {str(error)[:80]}.") from error
