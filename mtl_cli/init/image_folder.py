"""Which of the things that a folder holds is taken for a set of images: a table, annotations, or the folder itself."""

from dataclasses import dataclass
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.images.coco import coco_files, split_of
from mtl_cli.images.listings import BOXES, FORMS, form_of
from mtl_cli.images.palettes import is_palette
from mtl_cli.tables.reading import SUFFIXES

WORDS = {"coco": "COCO", "voc": "Pascal VOC", "yolo": "YOLO", "pairs": "label images beside images",
         "classes": "class folders", BOXES: "a table with a row per box"}  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """What of a folder is read, what else it holds, in words, and the layout where it is not to be guessed."""

    path: Path
    others: tuple[str, ...] = ()
    form: str | None = None


def choose(folder: Path, format: str, targeted: bool) -> Chosen:
    """Return the one table of a folder, else its files of COCO, else the folder; `format` decides otherwise.

    Unless columns to predict are named (`targeted`), a file of COCO, which needs none, goes before a table.

    Raises:
        UserError: there are several tables or several files of COCO, or nothing of the format.
    """
    tables = [each for each in sorted(folder.iterdir()) if each.is_file() and each.suffix.lower() in SUFFIXES]
    tables = [each for each in tables if not is_palette(each)]
    jsons = coco_files(folder)
    form = form_of(folder)
    if format in FORMS and format not in ("auto", "coco", BOXES):
        return Chosen(folder)
    if format == "coco" or (format == "auto" and jsons and not (tables and targeted)):
        others = [f"{each.name} (a table: name the columns to predict, target=[…])" for each in tables]
        return choose_coco(folder, jsons, others)
    if tables:
        others = [f"{each.relative_to(folder)} (COCO: format=coco)" for each in jsons]
        if form in ("voc", "yolo"):
            others.append(f"{WORDS[form]} (format={form})")
        return Chosen(_only(tables, folder, "tables"), tuple(others))
    return Chosen(folder)


def choose_coco(folder: Path, files: list[Path], others: list[str]) -> Chosen:
    """Return the one file of COCO, or the folder where each file is for a split of its own.

    Raises:
        UserError: there is none, or it is not clear which to take.
    """
    splits = {split_of(file) for file in files}
    if len(files) > 1 and None not in splits and len(splits) == len(files):
        return Chosen(folder, tuple(others), "coco")
    above = [file for file in files if file.parent == folder]
    if len(above) == 1:
        others = [*others, *(f"{each.relative_to(folder)} (COCO)" for each in files if each not in above)]
    return Chosen(_only(above if len(above) == 1 else files, folder, "files of COCO"), tuple(others))


def _only(files: list[Path], folder: Path, what: str) -> Path:
    if not files:
        raise UserError(f"{folder} holds no {what}. Leave format= out.")
    if len(files) > 1:
        raise UserError(
            f"{folder} holds {len(files)} {what}: {', '.join(str(each.relative_to(folder)) for each in files[:6])}. "
            "Name one: input=FILE."
        )
    return files[0]
