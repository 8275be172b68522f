"""Names of the numbers and colours in label images: from a file beside them, as with CamVid, or as published."""

import csv
from collections.abc import Mapping
from pathlib import Path

from mtl_cli.errors import UserError
from mtl_cli.images.cityscapes import NUMBERS, is_cityscapes
from mtl_cli.tables.listing import Listing
from mtl_cli.tables.reading import TableFile

COLOURS = ["r", "g", "b"]
IGNORED = ("void", "unlabelled", "unlabeled", "ignore", "ignored", "unknown")
"""What the class is called, in small letters, whose pixels are not learnt."""


def is_palette(path: Path) -> bool:
    """Return whether a file is CSV with the columns name, r, g and b."""
    if path.suffix.lower() != ".csv":
        return False
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return header_of(file.readline())[1:] == COLOURS


def header_of(line: str) -> list[str]:
    """Return the names in a line, in small letters; red is r."""
    return [{"red": "r", "green": "g", "blue": "b"}.get(name, name) for name in map(str.strip, line.lower().split(","))]


def read_palette(path: Path) -> dict[int, str]:
    """Return the names of colours, red·65536 + green·256 + blue; that of an ignored one is empty.

    Raises:
        UserError: a line is not a name and three numbers up to 255, or a name or colour comes twice.
    """
    found: dict[int, str] = {}
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for number, cells in enumerate(csv.reader(file), start=1):
            if number == 1 or not any(cells):
                continue
            name, *parts = map(str.strip, cells)
            if len(parts) != 3 or not all(part.isdecimal() and int(part) <= 255 for part in parts):
                raise UserError(f"{path}, line {number}: {','.join(cells)[:60]} is not a name and r, g, b up to 255.")
            colour = int.from_bytes(map(int, parts), "big")
            if colour in found or name in found.values():
                raise UserError(f"{path}, line {number}: the name or colour of {name} is there already. Change one.")
            found[colour] = "" if name.lower() in IGNORED else name
    return found


def names_of(listing: TableFile, column: str) -> Mapping[int, str]:
    """Return the names of numbers in the label images of a column, as far as they are told; "" is ignored.

    Raises:
        UserError: the file that tells them is wrong.
    """
    if not isinstance(listing, Listing):
        folder = listing.path.parent
    elif is_cityscapes(listing.path):
        return NUMBERS.get(column, {})
    else:
        folder = listing.folder
    files = [path for path in sorted(folder.iterdir()) if is_palette(path)]
    return read_palette(files[0]) if files else {}
