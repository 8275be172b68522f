"""Sets of images told from other files, and what label images are, by looking at some of them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import is_path
from mtl_cli.images.coco import read_json_file
from mtl_cli.images.decoding import decode_labels, decode_numbers, read_header
from mtl_cli.images.label_names import LOSSY
from mtl_cli.images.listings import form_of
from mtl_cli.images.new_images import ENDINGS
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.reading import TableFile

MOST_FILES = 20_000
"""Files of a folder that names in a table are compared with."""
LOOKED_AT = 60
"""Rows, and label images, that are looked at."""
LOOKED_PIXELS = 200_000_000
"""Pixels of label images that are looked at: a class may be in a few of them alone."""
MOST_CLASSES = 40
"""Different numbers in label images up to which they may be classes."""
LARGEST_NUMBER = 0xFFFF
"""The largest number of a grey label image; larger ones are colours."""
NAME_WORDS = ("id", "image", "img", "file", "name", "photo", "picture")
"""What a column of numbers is called that are names of files."""
INSTANCE_WORDS = ("instance", "object", "inst_", "ids")
DEPTH_WORDS = ("depth", "disp", "distance", "height")


def holds_images(path: Path, format: str) -> bool:
    """True for folders and for annotations in JSON; tables are looked at by `image_columns`."""
    if path.is_dir():
        return True
    if format == "coco":
        return True
    if path.suffix.lower() != ".json" or format != "auto":
        return False
    return form_of(path) == "coco" and isinstance(read_json_file(path), Mapping)


def image_columns(file: TableFile, folder: Path) -> list[str]:
    """Return the columns of a table whose first cells are paths of images that are there."""
    return [name for name, found in named_images(file).items() if _there(found, folder)]


def images_elsewhere(file: TableFile, folder: Path, known: Sequence[str]) -> str | None:
    """Return that a column names images, and none of them is there, in words; None where that is not so.

    `known` are columns of which that does not matter.
    """
    for name, paths in named_images(file).items():
        if name not in known and not _there(paths, folder):
            if "://" in paths[0]:
                return (
                    f"{file.path}: column '{name}' has addresses, such as {paths[0]}, and images are files. Load them."
                )
            turned = " Write / for \\." if "\\" in paths[0] and (folder / paths[0].replace("\\", "/")).is_file() else ""
            return f"{file.path}: column '{name}' names images, and none is there, such as {folder / paths[0]}.{turned}"
    return None


def images_without_ending(file: TableFile, folder: Path, known: Sequence[str]) -> str | None:
    """Return that a column names images of a folder without their ending, in words; None where that is not so.

    `known` are columns of which that does not matter.
    """
    places = itertools.islice(itertools.chain(folder.glob("*"), folder.glob("*/*")), MOST_FILES)
    images = dict[str, Path]()
    for each in places:
        if each.suffix.lower() in ENDINGS:
            images |= {each.stem: each, each.relative_to(folder).with_suffix("").as_posix(): each}
    names = [name for name in file.columns if name not in known] if images else []
    _, batch = next(iter(file.batches(names)), (0, None)) if names else (0, None)
    if batch is None:
        return None
    for name in names:
        cells = [str(cell) for cell in batch.column(names.index(name)).to_pylist()[:LOOKED_AT] if cell is not None]
        named = not all(map(str.isdigit, cells)) or any(word in name.lower() for word in NAME_WORDS)
        if named and len(set(cells)) == len(cells) > 1 and set(cells) <= images.keys():
            return (
                f"{file.path}: column '{name}' names images without their ending, such as {cells[0]}. Write their "
                f"paths, relative to the folder of the table, such as {images[cells[0]].relative_to(folder).as_posix()}"
            )
    return None


def named_images(file: TableFile) -> dict[str, list[str]]:
    """Return the columns whose first cells are all paths of images or arrays, or empty, with these paths."""
    names = [name for name, kind in file.types.items() if str(kind) in ("string", "large_string")]
    _, batch = next(iter(file.batches(names)), (0, None)) if names else (0, None)
    if batch is None:
        return {}
    cells = {name: [c for c in batch.column(name).to_pylist()[:LOOKED_AT] if c] for name in names}
    return {name: found for name, found in cells.items() if found and all(map(is_path, found))}


def require_inside(place: Place, names: Sequence[str], path: Path) -> None:
    """Refuse a set of images that all lie outside its place.

    Raises:
        UserError: all of them do.
    """
    limit = place.limit.resolve()
    if names and not any((place.folder / name).resolve().is_relative_to(limit) for name in names):
        raise UserError(
            f"The images that {path} names, such as {names[0]}, lie outside {place.limit}. Move it to a folder above "
            "the images, or say where they are: folder=DIR."
        )


def _there(cells: Sequence[str], folder: Path) -> bool:
    return any((folder / cell).is_file() for cell in cells)


@dataclass(frozen=True)
class Looked:
    """What label images are: a kind of picture target, how they are read, and why; and the names of points."""

    kind: str
    reading: Mapping[str, Any]
    why: str
    points: Sequence[str] = ()


def look_at_labels(name: str, paths: Sequence[Path], told: Mapping[int, str]) -> Looked:
    """Return what the label images of a column are, by its name and by some of them, of any split.

    That decides the kind of task and the list of its classes; what is learnt of them is counted on training rows.

    `told` are names of numbers, as far as a file tells them; that of an ignored one is empty.

    Raises:
        UserError: they are of no known kind.
    """
    files = some_files(paths)
    if not files:
        raise UserError(f"Column '{name}' names label images, and none is there: {paths[0] if paths else '–'}.")
    if (measured := look_at_numbers(name, files[0])) is not None:
        return measured
    lowered = name.lower()
    numbers = [np.unique(decode_labels(path)) for path in files]
    every = np.unique(np.concatenate(numbers))
    refuse_changed(name, files, every)
    if len({told.get(value) for value in every.tolist()} - {None, ""}) > 1:
        return named_classes(told, every)
    if any(word in lowered for word in INSTANCE_WORDS) or (len(every) > MOST_CLASSES and _counting(numbers)):
        return Looked("mask", {"values": "foreground"}, "each object has a number: foreground against background")
    if len(every) > MOST_CLASSES:
        return Looked("depth", {}, f"{len(every)} different numbers: a distance per pixel; 0 is missing")
    values = every.tolist()
    if len(values) == 2 and values[0] == 0:
        return Looked("mask", {"values": "foreground"}, f"the numbers {values}: foreground against background")
    ignored = [value for value in values if value == 255 and len(values) > 2 and values[-2] < 254]
    kept = [value for value in values if value not in ignored]
    colours = max(kept) > LARGEST_NUMBER
    names = [f"#{value:06x}" if colours else str(value) for value in kept]
    reading: dict[str, Any] = {"values": names if colours else kept, "classes": names}
    why = f"label images of {len(kept)} classes" + "; 255 is ignored" * bool(ignored)
    return Looked("mask", {**reading, **({"missing": ignored} if ignored else {})}, why)


def look_at_numbers(name: str, file: Path) -> Looked | None:
    """Return that label images hold distances or directions, by the name of their column and one file; None: neither.

    Raises:
        UserError: the name says that they are distances, and the file holds colours.
    """
    named = any(word in name.lower() for word in DEPTH_WORDS)
    if file.suffix.lower() == ".npy":
        first = decode_numbers(file)
        if first.ndim == 3:
            return Looked("normals", {}, "arrays [3, H, W]: a direction per pixel")
        return Looked("depth", {}, "arrays of numbers: a distance per pixel") if named or not _whole(first) else None
    if named:
        decode_numbers(file)
        return Looked("depth", {}, "the name says that pixels are distances; 0 is missing")
    return Looked("depth", {}, "floats: a distance per pixel; 0 is missing") if read_header(file).floats else None


def some_files(paths: Sequence[Path]) -> list[Path]:
    """Return files of label images, evenly chosen: all of them, unless they are many and large."""
    files = [path for path in paths if path.is_file()]
    if not files:
        return []
    header = read_header(files[0])
    most = max(LOOKED_AT, LOOKED_PIXELS // (header.height * header.width))
    return files[:: -(-len(files) // most)]


def named_classes(told: Mapping[int, str], every: np.ndarray) -> Looked:
    """Return label images whose classes have names; numbers [N] without one are classes called as they are written."""
    colours = max(told) > LARGEST_NUMBER
    written = {value: f"#{value:06x}" if colours else value for value in {*told, *every.tolist()}}
    kept = {value: name for value, name in told.items() if name}
    kept |= {value: str(written[value]) for value in every.tolist() if value not in told}
    reading = {"values": [written[value] for value in kept], "classes": list(kept.values())}
    ignored = [written[value] for value, name in told.items() if not name]
    why = f"label images of {len(kept)} classes, whose names are told" + "; those without a name are ignored" * bool(
        ignored
    )
    return Looked("mask", {**reading, **({"missing": ignored} if ignored else {})}, why)


def refuse_changed(name: str, files: Sequence[Path], every: np.ndarray) -> None:
    """Refuse label images whose numbers JPEG has changed, or some of which are grey and some in colours.

    Raises:
        UserError: they are.
    """
    lossy = next((path for path in files if path.suffix.lower() in LOSSY), None)
    if lossy is not None and len(every) > 2:
        raise UserError(
            f"Column '{name}': {lossy} is JPEG, whose compression changes numbers: the label images hold {len(every)} "
            "different ones. Write them as PNG again, with the numbers that were meant. If pixels are distances, say "
            f"so: kind.{name}=depth."
        )
    both = [value for value in every.tolist() if 0 < value <= 255 and value * 0x010101 in every]
    if both:
        raise UserError(
            f"Column '{name}': some label images are grey and some in colours, so that {both[0]} and "
            f"#{both[0] * 0x010101:06x} may be one class or two. Write all of them in one way."
        )


def _counting(numbers: Sequence[np.ndarray]) -> bool:
    """Return whether the numbers of each image are nearly all of 1 … n, or differ from image to image."""
    dense = [len(own) - 1 >= 0.5 * own[-1] for own in numbers if len(own) > 1]
    return bool(dense) and sum(dense) >= 0.8 * len(dense)


def _whole(values: np.ndarray) -> bool:
    return bool((values[np.isfinite(values)] % 1 == 0).all())


def image_sizes(folder: Path, names: Sequence[str], most: int = 400) -> list[tuple[int, int]]:
    """Return heights and widths of some images, evenly chosen from all splits.

    They decide the window or size that is proposed, which says nothing of labels.
    """
    step = max(1, len(names) // most)
    found = []
    for name in itertools.islice(names, 0, None, step):
        try:
            header = read_header(folder / name)
        except UserError:
            continue  # training names it
        found.append((header.height, header.width))
    return found
