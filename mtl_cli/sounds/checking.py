"""A set of sound files looked at before training: which can be used, and how long they are."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mtl_cli.config.options import Options, option
from mtl_cli.errors import UserError
from mtl_cli.sounds.features import Frames
from mtl_cli.sounds.reading import Array, Header, read_header, read_samples
from mtl_cli.sounds.resampling import ratio, resampled
from mtl_cli.tables.named_files import Place
from mtl_cli.tables.paths import inside
from mtl_cli.tables.reading import TableFile, require_columns

logger = logging.getLogger("mtl_cli")
SHOWN = 10
"""Problems, or names of clips, that a message lists."""
LEAVE_OUT = "tasks.NAME.dataset.skip_bad=true leaves out such rows and says how many."
MOST_RATE = 16_000


@dataclass(frozen=True, kw_only=True)
class ClipOptions(Options):
    """Which sounds are read, and which part of them."""

    audio: str = "audio"
    """Column of paths of sounds, relative to `folder`."""
    start: str | None = option(None, example="start")
    """Column of the second at which a clip begins in its file; None, or an empty cell: at the file's beginning."""
    end: str | None = option(None, example="end")
    """Column of the second at which a clip ends in its file; None, or an empty cell: at the file's end."""
    max_seconds: float | None = option(None, above=0.0, example=30.0)
    """Seconds after which a clip is cut off; the log says how many are. None: clips are never cut."""
    skip_bad: bool = False
    """Whether rows whose sounds cannot be used are left out and counted, or are an error."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that say which sounds are read."""
        return tuple(name for name in (self.audio, self.start, self.end) if name)


@dataclass(frozen=True)
class Clip:
    """A part of a sound file: its path as the table has it, its first sample and the one behind its last."""

    name: str
    start: int
    stop: int


@dataclass
class Clips:
    """The clips of one file of a set. `rates` are of each clip's file; `bad` are rows that cannot be used.

    `way` says what to do about these, where they are not left out (`skip`).
    """

    path: Path
    folder: Path
    names: list[str]
    clips: list[Clip | None]
    rates: list[int]
    skip: bool
    way: str
    bad: set[int] = field(default_factory=set)

    def usable(self, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows [N] that can be used."""
        return rows if not self.bad else rows[[row not in self.bad for row in rows.tolist()]]

    def read(self, row: int, rate: int) -> Array:
        """Return a clip at a rate, float32 [N].

        Raises:
            UserError: its file cannot be read.
        """
        clip = self.clips[row]
        assert clip is not None, "rows that cannot be used are left out"
        return resampled(read_samples(self.folder / clip.name, clip.start, clip.stop), self.rates[row], rate)

    def samples(self, row: int, rate: int) -> int:
        """Return the length of a clip at a rate."""
        clip = self.clips[row]
        if clip is None:
            return 0
        up, down = ratio(self.rates[row], rate)
        return -(-(clip.stop - clip.start) * up // down)

    def seconds(self, row: int) -> float:
        """Return the length of a clip in seconds."""
        clip = self.clips[row]
        return 0.0 if clip is None else (clip.stop - clip.start) / self.rates[row]

    def span(self, row: int) -> tuple[float, float]:
        """Return the seconds at which a clip begins and ends in its file."""
        clip = self.clips[row]
        assert clip is not None, "rows that cannot be used are left out"
        return clip.start / self.rates[row], clip.stop / self.rates[row]

    def usual_rate(self, rows: np.ndarray) -> int:
        """Return the rate of most of some rows, at most that of telephones made twice as good."""
        return min(MOST_RATE, Counter(self.rates[row] for row in rows.tolist()).most_common(1)[0][0])

    def first_of(self, problems: Sequence[str]) -> list[str]:
        """Return the first problems, and how many there are in all."""
        more = [f"{self.path}: {len(problems)} clips cannot be used in all."] if len(problems) > SHOWN else []
        return [*problems[:SHOWN], *more, *([] if self.skip else [self.way])]


def check_clips(file: TableFile, options: ClipOptions, place: Place, way: str = LEAVE_OUT) -> Clips:
    """Return the clips of a file; with `skip_bad`, rows that cannot be used are marked and counted in the log.

    Raises:
        UserError: sounds are missing, empty, cut off or none at all, leave their place, or parts are not in them; all
            of these together.
    """
    names, spans = read_cells(file, options)
    folder, limit = place.folder, place.limit.resolve()
    found = Clips(file.path, folder, names, [], [], options.skip_bad, way)
    headers: dict[str, Header] = {}
    problems, cut = list[str](), list[str]()
    for row, name in enumerate(names):
        try:
            if not name:
                raise UserError(f"{file.path} names no sound in column '{options.audio}'.")
            if name not in headers:
                headers[name] = read_header(inside(folder / name, limit))
            clip = part_of(name, headers[name], spans[row], folder / name)
            if options.skip_bad:  # what is behind the header decides too
                read_samples(folder / name, clip.start, clip.stop)
            if options.max_seconds is not None and (clip.stop - clip.start) > options.max_seconds * headers[name].rate:
                clip = Clip(name, clip.start, clip.start + max(1, round(options.max_seconds * headers[name].rate)))
                cut.append(name)
            found.clips.append(clip)
            found.rates.append(headers[name].rate)
        except UserError as error:
            problems += [f"row {row + 1}: {each}" for each in error.problems]
            found.bad.add(row)
            found.clips.append(None)
            found.rates.append(1)
    if problems and not options.skip_bad:
        raise UserError(found.first_of(problems))
    if problems:
        counts = len(found.bad), len(names), problems[0]
        logger.warning("%s: %d of %d rows are left out, such as %s", file.path, *counts)
    if cut:
        logger.warning("%s: %d clips are cut after %g s: %s", file.path, len(cut), options.max_seconds, some_names(cut))
    return found


def read_cells(file: TableFile, options: ClipOptions) -> tuple[list[str], list[tuple[float | None, float | None]]]:
    """Return the paths of sounds [N], and the seconds at which clips begin and end in them.

    Raises:
        UserError: a column is missing, or a cell is not a number of seconds.
    """
    require_columns(options.columns, file.columns, file.path)
    read: dict[str, list[object]] = {name: [] for name in dict.fromkeys(options.columns)}
    for _, batch in file.batches(list(read)):
        for place, name in enumerate(read):
            read[name] += batch.column(place).to_pylist()
    names = [str(cell or "") for cell in read[options.audio]]
    begins, ends = (
        [seconds_of(cell, file, name, row) for row, cell in enumerate(read[name])] if name else [None] * len(names)
        for name in (options.start, options.end)
    )
    return names, list(zip(begins, ends, strict=True))


def seconds_of(cell: object, file: TableFile, column: str, row: int) -> float | None:
    """Return a cell as seconds, None for an empty one.

    Raises:
        UserError: it is not a number from 0 on.
    """
    if cell is None or cell == "":
        return None
    try:
        found = float(str(cell))
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise UserError(
            f"{file.path}, row {row + 1}, column '{column}': '{str(cell)[:40]}' is not a number of seconds."
        )
    return found


def part_of(name: str, header: Header, span: tuple[float | None, float | None], path: Path) -> Clip:
    """Return a part of a sound, from one second to another.

    Raises:
        UserError: it holds no sample, or does not lie in the file.
    """
    start = 0 if span[0] is None else round(span[0] * header.rate)
    stop = header.frames if span[1] is None else round(span[1] * header.rate)
    slack = max(1, header.rate // 100)  # hundredths are how tables round
    if start >= stop or start >= header.frames or stop > header.frames + slack:
        seconds = " to ".join("–" if each is None else f"{each:g}" for each in span)
        raise UserError(f"{path} has no part from second {seconds}: it is {header.seconds:.2f} s long.")
    return Clip(name, start, min(stop, header.frames))


def decoded_bytes(clips: Clips, frames: Frames) -> int:
    """Return the bytes of all clips of a file in memory, and of their features."""
    samples = [clips.samples(row, frames.rate) for row in range(len(clips.names))]
    return sum(4 * each + 4 * frames.width * frames.count(each) for each in samples)


def some_names(names: Sequence[str], most: int = SHOWN) -> str:
    """Return names, not too many of them."""
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
