"""Points of objects in COCO's annotations: those of the largest object of each image."""

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError

logger = logging.getLogger("mtl_cli")
Box = tuple[float, float, float, float]
"""x, y, width and height."""


class CocoPoints:
    """The points of the annotations of a file, taken in one by one; an image has those of its largest object.

    Args:
        path: the file, for messages.
        categories: its categories; those with `keypoints` name points.
    """

    def __init__(self, path: Path, categories: Sequence[Mapping[str, Any]]) -> None:
        self.path = path
        self.names = {each["id"]: [str(name) for name in each.get("keypoints") or ()] for each in categories}
        self._objects: dict[Any, list[tuple[float, dict[str, list[float]]]]] = {}
        for category, names in self.names.items():
            if len(set(names)) < len(names):
                raise UserError(f"{path}: the category {category} names a keypoint twice: {', '.join(names)}.")

    def add(self, number: int, annotation: Mapping[str, Any], box: Box) -> None:
        """Take in an annotation whose category is known, with its box; one without a labelled point says nothing.

        Raises:
            UserError: it has more or fewer numbers than its category has points, or points and its category none.
        """
        values = annotation.get("keypoints")
        if not values:
            return
        names = self.names[annotation["category_id"]]
        if not isinstance(values, list) or len(values) != 3 * len(names):
            count = len(values) if isinstance(values, list) else 1
            raise UserError(
                f"{self.path}, annotation {number}: keypoints has {count} numbers; x, y and v of the {len(names)} "
                f"keypoints of its category are {3 * len(names)}."
            )
        points = {name: list(map(float, values[3 * k : 3 * k + 3])) for k, name in enumerate(names)}
        if any(point[2] for point in points.values()):
            self._objects.setdefault(annotation["image_id"], []).append((box[2] * box[3], points))

    def cells(self, images: Mapping[Any, str]) -> list[dict[str, str | None]]:
        """Return the column `points` of images, whose files are known by id, row by row; none where no point is named.

        Images with several objects are told once.
        """
        if not self._objects:
            return [{} for _ in images]
        if several := [image for image in images if len(self._objects.get(image, ())) > 1]:
            example, count = images[several[0]], len(self._objects[several[0]])
            tell_once(
                f"{self.path}: {len(several)} of {len(images)} images hold several objects with keypoints, such as "
                f"{example} ({count}); the points of the largest one are taken."
            )
        return [{"points": self._largest(image)} for image in images]

    def _largest(self, image: object) -> str | None:
        found = self._objects.get(image)
        return None if not found else json.dumps(max(found, key=lambda each: each[0])[1], ensure_ascii=False)


def box_of_points(annotation: Mapping[str, Any]) -> Box | None:
    """Return the box around the labelled points of an annotation; None where it has none."""
    values = annotation.get("keypoints") or ()
    parts = zip(values[::3], values[1::3], values[2::3], strict=False)  # the number of values is compared elsewhere
    labelled = [(float(x), float(y)) for x, y, seen in parts if seen]
    if not labelled:
        return None
    (left, top), (right, bottom) = (tuple(map(end, zip(*labelled, strict=True))) for end in (min, max))
    return left, top, right - left, bottom - top


@functools.cache
def tell_once(message: str) -> None:
    """Warn of something that is met each time that a file is read."""
    logger.warning(message)
