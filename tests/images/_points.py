"""A small set of drawn images with two named points: a red disc, and to the right of it a smaller green one."""

import json

import numpy as np
from PIL import Image

from tests.tables._files import write_csv

NAMES = ("left_eye", "right_eye")


def faces(folder, count=12, size=(32, 40), shuffled=False):
    """Draw images into a folder; return their paths and the points [N, 2, 2] as x and y, or those of another image."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = np.random.default_rng(0)
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    names, points = [], []
    for k in range(count):
        left = stream.uniform((5, 5), (width / 2 - 5, height - 5))
        right = stream.uniform((width / 2 + 5, 5), (width - 5, height - 5))
        image = np.full((*size, 3), 40.0)
        for channel, (centre, radius) in enumerate(((left, 4), (right, 3))):
            image[..., channel] += 200 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2)
        names.append(f"{k:03}.png")
        Image.fromarray(image.astype(np.uint8)).save(folder / names[-1])
        points.append((left, right))
    places = np.round(points, 2)
    return names, stream.permutation(places) if shuffled else places


def point_table(folder, **changes):
    """A table of such images, with columns of x and y; returns its path."""
    names, points = faces(folder, **changes)
    rows = [[name, *found.flatten().tolist()] for name, found in zip(names, points, strict=True)]
    return write_csv(folder / "faces.csv", ["image", "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y"], rows)


def point_annotations(folder, change=lambda content: None, **changes):
    """COCO's annotations of such images; `change` may spoil them before they are written. Returns their path."""
    names, points = faces(folder, **changes)
    annotations = []
    for k, found in enumerate(points):
        x, y = found.min(axis=0)
        width, height = np.ptp(found, axis=0)
        values = [value for point in found.tolist() for value in (*point, 2)]
        box = [float(x), float(y), float(width), float(height)]
        annotations.append({"image_id": k, "category_id": 1, "bbox": box, "keypoints": values, "num_keypoints": 2})
    content = {
        "images": [{"id": k, "file_name": name} for k, name in enumerate(names)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "face", "keypoints": list(NAMES)}],
    }
    change(content)
    (folder / "faces.json").write_text(json.dumps(content))
    return folder / "faces.json"
