"""Small sets of drawn images with label images, and datasets on them with the defaults of their YAML."""

import numpy as np
from PIL import Image

from mtl_cli.datasets.images import Images
from tests.tables._files import defaults, made, write_csv


def blobs(seed, size):
    """An image [H, W, 3] with bright discs, and an image of their numbers [H, W] from 1."""
    stream = np.random.default_rng(seed)
    height, width = size
    y, x = np.mgrid[:height, :width]
    instances = np.zeros(size, np.uint16)
    for number in range(1, stream.integers(2, 5)):
        cy, cx = stream.uniform(6, height - 6), stream.uniform(6, width - 6)
        instances[(y - cy) ** 2 + (x - cx) ** 2 < stream.uniform(3, 5) ** 2] = number
    image = stream.normal(60, 15, (*size, 3)) + 120 * (instances > 0)[..., None]
    return image.clip(0, 255).astype(np.uint8), instances


def blob_set(folder, count=12, sizes=((32, 40), (36, 28))):
    """A table of images with label images of instances, their number and a class; returns the table's path."""
    for name in ("images", "instances"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(count):
        image, instances = blobs(k, sizes[k % len(sizes)])
        Image.fromarray(image).save(folder / f"images/{k:02}.png")
        Image.fromarray(instances).save(folder / f"instances/{k:02}.png")
        number = len(np.unique(instances)) - 1
        rows.append([f"images/{k:02}.png", f"instances/{k:02}.png", number, "many" if number > 2 else "few"])
    return write_csv(folder / "table.csv", ["image", "instances", "count", "kind"], rows)


def images(path, opened=True, **changes):
    """Return a dataset of images on a table, folder or annotations."""
    targets = changes.pop("targets", {"cell": {"kind": "mask", "column": "instances", "values": "foreground"}})
    node = defaults("images") | {"path": str(path), "targets": targets, "stratify": None} | changes
    source = made(Images, node)
    source.want([])
    if opened:
        source.open()
    return source
