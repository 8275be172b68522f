"""What the lists and the YAML file of a set in YOLO's layout tell: names of classes, splits, and points."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mtl_cli.config.run_yaml import read_run_yaml
from mtl_cli.images.pair_parts import below

YAMLS = (".yaml", ".yml")
KEYS = ("names", "nc", "train", "val", "kpt_shape")
"""What is found in the YAML file of a set, and not in others."""


@dataclass(frozen=True)
class Told:
    """Names of classes, split by the path of an image relative to the folder, and numbers of the points of an object.

    `lists` says that some splits are lists of images: those in none of them are not meant.
    """

    names: tuple[str, ...] = ()
    splits: Mapping[str, str] | None = None
    lists: bool = False
    points: int = 0


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files in a folder, one of which may tell of a set."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in YAMLS)


def read_told(folder: Path) -> Told:
    """Return what the first YAML file that tells of a set says."""
    for file in yaml_files(folder):
        try:
            node = read_run_yaml(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, ValueError, RecursionError):  # another file than that of the set
            continue
        if isinstance(node, Mapping) and any(key in node for key in KEYS):
            return told_by(folder, node)
    return Told()


def told_by(folder: Path, node: Mapping[str, Any]) -> Told:
    """Return what the contents of a YAML file say."""
    found = node.get("names") or ()
    names = [found[key] for key in sorted(found)] if isinstance(found, Mapping) else found
    shape = node.get("kpt_shape")
    points = shape[0] * shape[1] if isinstance(shape, list) and list(map(type, shape)) == [int, int] else 0
    splits: dict[str, str] = {}
    lists = False
    for key in ("train", "val", "test"):
        for place in places_of(folder, node.get(key), node.get("path")):
            lists |= place.is_file()
            splits = {**dict.fromkeys(images_at(folder, place), key), **splits}  # of two the first
    return Told(tuple(map(str, names)), splits, lists, points)


def places_of(folder: Path, value: Any, root: Any) -> Iterator[Path]:  # noqa: ANN401  any YAML value
    """Yield the folders and lists of images that a split is said to be, of those that are in the set."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, str):
            continue
        inner = each.replace("\\", "/").removeprefix("./")
        while inner.startswith("../"):
            inner = inner[3:]
        for place in (folder / str(root or "") / inner, folder / inner):
            if place.exists() and place.resolve().is_relative_to(folder.resolve()):
                yield place
                break


def images_at(folder: Path, place: Path) -> Iterator[str]:
    """Yield the paths, relative to the folder, of images in a folder of a split or in its list."""
    if place.is_dir():
        for file in below(place):
            yield file.resolve().relative_to(folder.resolve()).as_posix()
        return
    for line in place.read_text(encoding="utf-8", errors="replace").splitlines():
        words = Path(line.strip().replace("\\", "/")).parts
        for start in range(len(words)):  # paths may begin above the folder
            if (folder / Path(*words[start:])).is_file():
                yield Path(*words[start:]).as_posix()
                break
