"""Sets of sounds told from other files, and what their columns are, by looking at some of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.new_images import ENDINGS as IMAGE_ENDINGS
from mtl_cli.sounds.checking import Clips, some_names
from mtl_cli.sounds.looking import is_clipped, is_silent
from mtl_cli.sounds.reading import ENDINGS
from mtl_cli.tables.folder_files import files_below
from mtl_cli.tables.reading import TableFile

LOOKED_AT = 60
"""Rows that are looked at."""
LISTENED_TO = 200
"""Clips that are decoded."""
SPEAKERS = re.compile(r"(?:.*_)?(?:speakers?|voices?|spk|talker|narrator|reader|singer|client|subject)(?:_?id)?", re.I)
"""Names of columns that say who speaks."""
UNREAD = (".m4a", ".aac", ".wma", ".amr")
"""Endings of sounds that cannot be read, which messages name."""
STARTS = re.compile(r"(?:start|begin|onset)(?:_?(?:s|sec|secs|second|seconds|time))?", re.I)
ENDS = re.compile(r"(?:end|stop|offset)(?:_?(?:s|sec|secs|second|seconds|time))?", re.I)


def holds_sounds(folder: Path) -> bool:
    """Return whether a folder holds sounds, and more of them than images."""
    return len(files_below(folder, ENDINGS)) > len(files_below(folder, IMAGE_ENDINGS))


def sound_columns(file: TableFile, folder: Path) -> list[str]:
    """Return the columns of a table whose first cells are paths of sounds, of which one is there."""
    return [name for name, paths in named_sounds(file).items() if any((folder / path).is_file() for path in paths)]


def sounds_elsewhere(file: TableFile, folder: Path) -> str | None:
    """Return that a column names sounds, and none of them is there, in words; None where that is not so."""
    for name, paths in named_sounds(file).items():
        if not any((folder / path).is_file() for path in paths):
            return f"{file.path}: column '{name}' names sounds, and none is there, such as {folder / paths[0]}."
    return None


def named_sounds(file: TableFile) -> dict[str, list[str]]:
    """Return the columns whose first cells are all paths of sounds, or empty, with these paths."""
    cells = {name: [cell for cell in found if cell] for name, found in first_texts(file).items()}
    return {name: found for name, found in cells.items() if found and all(map(is_sound, found))}


def is_sound(cell: str) -> bool:
    """Return whether a cell is the path of a sound, by its ending."""
    return Path(cell).suffix.lower() in (*ENDINGS, *UNREAD)


def first_texts(file: TableFile) -> dict[str, list[str]]:
    """Return the first cells of each column of texts."""
    names = [name for name, kind in file.types.items() if str(kind) in ("string", "large_string")]
    _, batch = next(iter(file.batches(names)), (0, None)) if names else (0, None)
    if batch is None:
        return {}
    return {name: [str(cell or "") for cell in batch.column(name).to_pylist()[:LOOKED_AT]] for name in names}


def span_columns(file: TableFile, taken: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the columns that say at which second a clip begins and ends in its file; both or none."""
    free = [name for name in file.columns if name not in taken]
    start, end = (next((name for name in free if words.fullmatch(name)), None) for words in (STARTS, ENDS))
    return (start, end) if start and end else (None, None)


def speaker_column(file: TableFile, taken: Sequence[str]) -> str | None:
    """Return the column that says who speaks, unless it is taken."""
    return next((name for name in file.columns if SPEAKERS.fullmatch(name) and name not in taken), None)


@dataclass(frozen=True)
class Heard:
    """What some clips of a set are like: their seconds, and clips that deserve a look, in words."""

    seconds: np.ndarray
    notes: tuple[str, ...]


def listen(clips: Clips) -> Heard:
    """Return the length of all clips, and what a part of them sounds like."""
    rows = clips.usable(np.arange(len(clips.names)))
    seconds = np.array([clips.seconds(row) for row in rows.tolist()])
    silent, loud = list[str](), list[str]()
    for row in rows[:: max(1, len(rows) // LISTENED_TO)].tolist():
        try:
            sound = clips.read(row, clips.rates[row])
        except UserError:
            continue  # training names it
        silent += [clips.names[row]] if is_silent(sound) else []
        loud += [clips.names[row]] if is_clipped(sound) else []
    notes = [f"{what}: {some_names(names)}" for what, names in (("silent", silent), ("clipped", loud)) if names]
    return Heard(seconds, tuple(notes))
