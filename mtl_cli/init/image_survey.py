"""A first look at a set of images: its columns, its targets, and what of it cannot be used."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mtl_cli.batch import WantedField
from mtl_cli.errors import UserError
from mtl_cli.images.box_cells import is_path
from mtl_cli.images.checking import look_at_pictures, read_cells
from mtl_cli.images.listings import list_images
from mtl_cli.images.pairs import FOLDER
from mtl_cli.images.picture_targets import parse_picture
from mtl_cli.init.asked import Asked
from mtl_cli.init.image_beside import find_beside, telling_counts
from mtl_cli.init.image_looking import image_columns, image_sizes, require_inside
from mtl_cli.init.image_report import ImageSurvey
from mtl_cli.init.image_targets import Picture, look_at_target, usual_targets
from mtl_cli.init.labels import guess_targets, read_labels
from mtl_cli.init.notation import written
from mtl_cli.init.running_text import running_text
from mtl_cli.init.splits import split_of, unseen_classes
from mtl_cli.tables.folder_files import files_below
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.reading import ReadOptions, TableFile, require_columns

IN_FOLDERS = (
    "images lie in several folders: if these are classes, name them among the targets, such as target=[mask,folder]; "
    "if the images of one belong together, as those of a patient, group=folder"
)
UNREAD = (".heic", ".heif", ".avif", ".jp2", ".psd", ".dng", ".cr2", ".nef", ".arw", ".dcm", ".nii", ".exr", ".tga")
"""Kinds of images that are not read."""
SHOWN = 6
"""Folders that a line names."""


def survey_images(
    path: Path, file: TableFile | None, asked: Asked, kinds: Mapping[str, str], form: str = "auto"
) -> ImageSurvey:
    """Return a first look at a set of images; `file` is its table where it is one, `form` a layout that was told.

    Raises:
        UserError: the set cannot be used, or a target is not there.
    """
    listing = list_images(path, ReadOptions(), form) if file is None else file
    require_columns(asked.taken, listing.columns, path)
    place = asked.place(listing)
    folder = place.folder
    found = image_columns(listing, folder)
    image = next((name for name in found if name not in asked.answers), None)
    if image is None:
        raise UserError(
            f"{path} has no column of images beside the targets. Its columns: {', '.join(listing.columns)}."
        )
    asked = asked if asked.targets else replace(asked, targets=usual_targets(listing))
    names, _ = read_cells(listing, image, {})
    require_inside(place, names, path)
    group = asked.group or (image if len(set(names)) < len(names) else None)
    pictures = [
        Picture(name, tuple(columns), looked)
        for name, columns in asked.targets.items()
        if (looked := look_at_target(listing, folder, columns, found, kinds)) is not None
    ]
    others = {name: columns for name, columns in asked.targets.items() if name not in {p.name for p in pictures}}
    asked = replace(asked, targets=others)
    taken = {image, *found, *asked.taken, *(column for each in pictures for column in each.columns)}
    split = asked.split or split_of(listing, [n for n in listing.columns if n not in (*taken, "boxes", "points")])
    left = [name for name in listing.columns if name not in taken and name != split]
    texts = [] if isinstance(listing, Listing) else running_text(listing, [n for n in listing.columns if n not in left])
    plain = [] if isinstance(listing, Listing) else [n for n in left if n not in {text.name for text in texts}]
    rows = written(listing, [*asked.answers, *plain], asked)
    labels = read_labels(rows.file, rows.profile.columns, asked.answers, len(names), rows.missing)
    guesses = guess_targets(rows.file, labels, asked, len(names), rows.missing) if others else ()
    beside = None
    if plain or texts:
        numbered = [(p.name, p.column) for p in pictures if p.column in found]
        telling = telling_counts(listing, plain, folder, numbered)
        beside = find_beside(rows, [name for name in plain if name not in telling], texts, guesses, telling)
    unread = [name for name in listing.columns if name in found and name != image and name not in asked.answers]
    unread += left if isinstance(listing, Listing) else []
    unread = [name for name in unread if name not in {each.column for each in pictures}]
    notes = [f"left out: {', '.join(unread)} (not inputs)"] if unread else []
    if group == image != asked.group:
        notes.append(f"some rows have the same image, so those of one stay in one split (group_column: {image})")
    notes += [IN_FOLDERS] if FOLDER in unread else []
    notes += [*empty_classes(listing), *unread_kinds(listing)]
    split = None if asked.group else split
    look = [] if split is None else unseen_classes(listing, split, guesses)
    bad = bad_rows(listing, image, pictures, place)
    return ImageSurvey(
        listing, image, len(names), image_sizes(folder, names), pictures, rows, guesses,
        group if split is None else None, split, [*notes, *rows.notes], bad, form, beside, asked.folder, look,
    )  # fmt: skip


def bad_rows(listing: TableFile, image: str, pictures: Sequence[Picture], place: Place) -> list[str]:
    """Return what training could not use of a set: files and boxes, the first of them and how many there are.

    Raises:
        UserError: it is half of the images or boxes, or more.
    """
    targets = {
        each.name: parse_picture(WantedField(each.name, each.name, each.looked.kind, each.reading)) for each in pictures
    }
    checked, problems, parts = look_at_pictures(listing, image, targets, place, skip=False)
    if not problems and not any(parts.values()):
        return []
    told = checked.first_of([*problems, *(each for found in parts.values() for each in found)])[:-1]
    if 2 * len(checked.bad) >= len(checked.images):
        raise UserError([*told, f"{len(checked.bad)} of {len(checked.images)} images cannot be used. Repair them."])
    if wrong := len(parts["boxes"]):
        boxes = wrong + sum(
            len(json.loads(cell))
            for name, target in targets.items()
            for (cell, *_) in checked.cells[name]
            if target.kind == "boxes" and cell and not is_path(cell)
        )
        if 2 * wrong >= boxes:
            how = "one is x, y, width and height in pixels. Are these corners, or shares of the image?"
            raise UserError([*told, f"{wrong} of {boxes} boxes cannot be used: {how}"])
    return told


def unread_kinds(listing: TableFile) -> list[str]:
    """Return that a folder holds images of kinds that are not read, as lines of the report."""
    if not isinstance(listing, Listing) or not (others := files_below(listing.folder, UNREAD)):
        return []
    kinds = ", ".join(sorted({file.suffix.lower() for file in others}))
    return [f"left out: {len(others)} files such as {others[0].relative_to(listing.folder)} ({kinds} is not read)"]


def empty_classes(listing: TableFile) -> list[str]:
    """Return that folders beside class folders hold no image, as lines of the report."""
    if not isinstance(listing, Listing) or "label" not in listing.columns or not listing.path.is_dir():
        return []
    folders = {folder for folder in listing.path.rglob("*") if folder.is_dir() and not any(folder.iterdir())}
    told = ", ".join(folder.relative_to(listing.path).as_posix() for folder in sorted(folders)[:SHOWN])
    return [f"left out: {told} (folders without an image)"] if folders else []
