"""Which of the things that a folder holds is taken for a set of images: a table, annotations, or the folder itself."""

from dataclasses import dataclass
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.images.listings import FORMS, form_of
from mtl_cli.init.image_looking import holds_images
from mtl_cli.tables.reading import SUFFIXES

WORDS = {"coco": "COCO", "voc": "Pascal VOC", "yolo": "YOLO", "pairs": "label images beside images",
         "classes": "class folders"}  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """What of a folder is read, and what else it holds, in words."""

    path: Path
    others: tuple[str, ...] = ()


def choose(folder: Path, format: str, targeted: bool) -> Chosen:
    """Return the one table of a folder, else its one file of COCO, else the folder; `format` decides otherwise.

    Unless columns to predict are named (`targeted`), a file of COCO, which needs none, goes before a table.

    Raises:
        UserError: there are several tables or several files of COCO, or nothing of the format.
    """
    tables = [each for each in sorted(folder.iterdir()) if each.is_file() and each.suffix.lower() in SUFFIXES]
    jsons = [each for each in sorted(folder.glob("*.json")) if is_coco(each)]
    form = form_of(folder)
    if format in FORMS and format not in ("auto", "coco"):
        return Chosen(folder)
    if format == "coco" or (format == "auto" and jsons and not (tables and targeted)):
        others = [f"{each.name} (a table: name the columns to predict, target=[…])" for each in tables]
        return Chosen(_only(jsons, folder, "files of COCO"), tuple(others))
    if tables:
        others = [f"{each.name} (COCO: format=coco)" for each in jsons]
        if form in ("voc", "yolo"):
            others.append(f"{WORDS[form]} (format={form})")
        return Chosen(_only(tables, folder, "tables"), tuple(others))
    return Chosen(folder)


def is_coco(path: Path) -> bool:
    """Return whether a file is one of COCO, as far as its beginning tells."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return any(key in start for key in (b'"images"', b'"annotations"', b'"categories"')) and holds_images(path, "auto")


def _only(files: list[Path], folder: Path, what: str) -> Path:
    if not files:
        raise UserError(f"{folder} holds no {what}. Leave format= out.")
    if len(files) > 1:
        raise UserError(
            f"{folder} holds {len(files)} {what}: {', '.join(each.name for each in files[:6])}. Name one: input=FILE."
        )
    return files[0]
