"""Sounds from a table or a folder of class folders, with any labels of whole clips and transcripts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import Sample, Values
from mtl_cli.config.annotations import typed
from mtl_cli.datasets.base import Augmentation, Dataset
from mtl_cli.datasets.file_base import BalancedFileOptions, Maker, fitted, taken
from mtl_cli.datasets.reading_base import Reading
from mtl_cli.datasets.sound_reading_base import SoundReading, listed_sounds
from mtl_cli.datasets.table_base import ColumnSource
from mtl_cli.errors import UserError
from mtl_cli.sounds.augmentation import ChangeOptions, SoundAugmentation
from mtl_cli.sounds.checking import ClipOptions, Clips, check_clips, decoded_bytes, read_cells
from mtl_cli.sounds.features import FeatureOptions, Frames
from mtl_cli.sounds.forms import (
    LONGEST,
    MAP,
    MULTIPLE,
    SEQUENCE,
    Encoder,
    FormOptions,
    check_fits,
    map_length,
    usual_length,
)
from mtl_cli.sounds.looking import look_at, tell_of_lengths
from mtl_cli.sounds.reading import ENDINGS
from mtl_cli.sounds.rows import ClipRows, decode_all
from mtl_cli.tables.arrow import pa
from mtl_cli.tables.given import GIVEN, Given
from mtl_cli.tables.given_table import GivenTable
from mtl_cli.tables.inputs import ColumnOptions
from mtl_cli.tables.labels import parse_targets
from mtl_cli.tables.listing import Listing, class_rows
from mtl_cli.tables.named_files import FolderOptions, Place, place_of, place_of_new
from mtl_cli.tables.opening import MEGABYTE, Memory
from mtl_cli.tables.reading import ReadOptions, TableFile
from mtl_cli.tables.store import Table
from mtl_cli.tables.stratified_rules import StratifiedRules

ANYWHERE = Place(Path(), Path(Path.cwd().anchor))
"""Where the sounds are that are named in Python."""
NO_COLUMNS = ColumnOptions(numeric=(), categorical=())
MEASURED = 256
"""Training clips whose features give mean and deviation."""


class Changed(SoundAugmentation, Augmentation):
    """The augmentation of sounds."""

    def __init__(self, options: ChangeOptions, frames: Frames, encode: Callable[[Tensor], Sample]) -> None:
        super().__init__(options, frames, encode)
        self.shortens = options.fastest


class Audio(ColumnSource):
    """Inputs: a mapping of `frames` float32 [B, L, D] and `mask` bool [B, L], padded to the longest clip of the batch.

    With form=map float32 [B, 1, D, L], L being that of the longest training clip. Labels are columns of the table, as
    in `Tabular`; of class folders the column is `label`. Sets that fit into `memory_mb` are decoded once; others when
    they are drawn, where data.workers read ahead.

    Args:
        targets: label fields that no task says how to read, each with its kind and column(s).
        files, splits, reading, memory: as in `Tabular`.
        folder: where the sounds are that a table names.
        clips: which sounds, and which part of them.
        features: what a network sees of them.
        form: in which form.
        changes: how training clips are changed.
    """

    unit = "clip"

    def __init__(
        self,
        targets: Mapping[str, Any],
        *,
        files: BalancedFileOptions,
        splits: StratifiedRules,
        reading: ReadOptions,
        folder: FolderOptions,
        clips: ClipOptions,
        features: FeatureOptions,
        form: FormOptions,
        changes: ChangeOptions,
        memory: Memory,
    ) -> None:
        super().__init__(
            files=files,
            splits=splits,
            reading=reading,
            columns=NO_COLUMNS,
            memory=memory,
            targets=parse_targets(targets),
            texts=clips.columns,
        )
        self._folder = folder.folder
        self._clips, self._features, self._form, self._changes = clips, features, form.form, changes
        self._frames: Frames | None = None
        self._length = MULTIPLE
        self._checked: dict[Path, Clips] = {}

    def reader(self, path: Path) -> TableFile:
        """Return the table of a set of sounds: a file's, or that of a folder of class folders.

        Raises:
            UserError: there are no sounds in class folders, or the table cannot be read.
        """
        if path.is_dir():
            return Listing(path, self._reading, class_rows(path, ENDINGS, self._clips.audio, "sounds"), path)
        return super().reader(path)

    def reads(self, path: Path) -> bool:
        """Return True for folders, tables and sound files."""
        return path.is_dir() or path.suffix.lower() in ENDINGS or super().reads(path)

    def reading(self, path: Path) -> Reading:
        """Return the clips of a table, of a folder, or one sound."""
        if path.is_dir() or path.suffix.lower() in ENDINGS:
            file: TableFile = listed_sounds(path, self._reading, self._clips.audio)
        else:
            file = super().reader(path)
        return self._reading_in(file, place_of_new(file, self._clips.audio, self._root, self._folder))

    def reading_of(self, inputs: Given) -> Reading | None:
        """Return the sounds that paths name: given alone, or in the column of sounds."""
        if inputs.strings is not None:
            rows = [{self._clips.audio: path} for path in inputs.strings]
            return self._reading_in(Listing(GIVEN, self._reading, rows, Path()), ANYWHERE)
        if inputs.table is None:
            return None
        return self._reading_in(GivenTable(inputs.table, self._reading), ANYWHERE)

    def preprocessing(self) -> dict[str, Any]:
        """Return that inputs are sounds: their features are computed by torch, so no graph has all that it needs."""
        return {"kind": "sounds"}

    def given_rows(self, split: str, most: int) -> Given:
        """Return the paths of the sounds of a split, with the parts of them where clips are parts."""
        found, rows = self.divide()[split]
        clips, options = self._check(found), self._clips
        chosen = clips.usable(rows)[:most].tolist()
        paths = [str(clips.folder / clips.names[row]) for row in chosen]
        if not (options.start or options.end):
            return Given(strings=paths)
        spans = zip((options.start, options.end), zip(*(clips.span(row) for row in chosen), strict=True), strict=True)
        return Given(table=pa.table({options.audio: paths, **{name: list(values) for name, values in spans if name}}))

    def _reading_in(self, file: TableFile, place: Place) -> Reading:
        """Return the clips of a table in a place."""

        def checked(skip: bool) -> Clips:
            options = replace(self._present(file), skip_bad=skip)
            clips = check_clips(file, options, place, "Leave them out: skip_bad=true of mtl-predict.")
            self._check_fits(clips)
            return clips

        return SoundReading(file, checked, self.encode_clips, self.batch_size)

    def encode_clips(self, clips: Clips, rows: Sequence[int]) -> Values:
        """Return the model's inputs of some rows of clips.

        Raises:
            UserError: a file cannot be read.
        """
        frames = fitted(self._frames)
        return self._encoder.batch([frames.of(clips.read(row, frames.rate)) for row in rows])

    @property
    def _encoder(self) -> Encoder:
        return Encoder(self._form, self._length)

    def example(self) -> Sample:
        """Return two clips of the usual length, the second one half as long; shapes depend on nothing else."""
        width = self.input_spec.shape[-1 if self._form == SEQUENCE else 1]
        lengths = (self._length, self._length // 2)
        return Sample(self._encoder.batch([torch.zeros(length, width) for length in lengths]), {})

    def input_state(self) -> dict[str, Any]:
        """Return how clips become features, and the usual number of frames."""
        plain = {**vars(fitted(self._frames))}
        return {"frames": plain | {key: list(plain[key]) for key in ("mean", "std")}, "length": self._length}

    def load_inputs(self, state: Mapping[str, Any]) -> None:
        """Take over how clips become features."""
        self._frames, self._length = typed(Frames, state["frames"]), state["length"]
        if type(self._length) is not int or not 1 <= self._length <= LONGEST:
            raise ValueError(f"the number of frames is {str(self._length)[:40]}")
        self._texts = (self._clips.audio,)

    def keep_targets(self, fitted: Mapping[str, Any]) -> None:
        """Keep the fitted targets, and make the augmentation."""
        super().keep_targets(fitted)
        assert self._frames is not None, "frames come first"
        self.input_spec = self._encoder.spec(self._frames.width)
        if self._changes.any:
            self.augmentation = Changed(self._changes, self._frames, self._encoder.row)

    def fit(self, found: Table, rows: np.ndarray) -> None:
        """Fit the targets, and the mean and deviation of features."""
        clips = self._check(found)
        rows = clips.usable(rows)
        if not len(rows):
            raise UserError(f"{found.path} has no training clip that can be used.")
        frames = self._features.at(self._features.rate or clips.usual_rate(rows))
        if frames.normalize == "set":
            chosen = np.random.default_rng(0).permutation(rows)[:MEASURED].tolist()
            sounds = [clips.read(row, frames.rate) for row in chosen]
            if decoded_bytes(clips, frames) > self._memory.memory_mb * MEGABYTE:  # else all are looked at
                look_at(clips, chosen, sounds)
            frames = frames.fitted(sounds)
        self._frames = frames
        lengths = np.array([frames.count(clips.samples(row, frames.rate)) for row in rows.tolist()])
        limit = self._clips.max_seconds
        self._length = map_length(lengths, frames, limit) if self._form == MAP else usual_length(lengths)
        self.fit_targets(found, rows)

    def _check_fits(self, clips: Clips) -> None:
        """Refuse clips that are longer than maps."""
        if self._form == MAP and self._clips.max_seconds is None:
            check_fits(clips, fitted(self._frames), self._length)

    def kept(self, found: Table, rows: np.ndarray) -> np.ndarray:
        """Return the rows whose clip can be used."""
        return self._check(found).usable(rows)

    def files_at(self, path: Path) -> list[Path]:
        """Return the table, and all sounds that it names."""
        file = self.reader(path)
        names, _ = read_cells(file, replace(self._clips, start=None, end=None))
        folder = self._place(file).folder
        sounds = [folder / name for name in dict.fromkeys(names) if name]
        told = [] if isinstance(file, Listing) else [path]
        return [*told, *(each for each in sounds if each.is_file())]

    def _present(self, file: TableFile) -> ClipOptions:
        """Return which sounds of a new file are read; it may lack the columns of where clips begin and end."""
        start, end = (name if name in file.columns else None for name in (self._clips.start, self._clips.end))
        return replace(self._clips, start=start, end=end)

    def _place(self, file: TableFile) -> Place:
        """Return where the sounds of a file are."""
        if self._was_loaded:
            return place_of_new(file, self._clips.audio, self._root, self._folder)
        return place_of(file, self._root, self._folder)

    def _check(self, found: Table) -> Clips:
        if found.path not in self._checked:
            file = self._files[found.path]
            options = self._present(file) if self._was_loaded else self._clips
            self._checked[found.path] = check_clips(file, options, self._place(file))
        return self._checked[found.path]

    def encode(self, found: Table) -> Maker:
        """Return what makes a dataset of some clips."""
        clips, labels, frames = self._check(found), self.label_fields(found), fitted(self._frames)
        self._check_fits(clips)
        fits = decoded_bytes(clips, frames) <= self._memory.memory_mb * MEGABYTE
        kept = decode_all(clips, frames) if fits else None
        if kept is not None:
            look_at(clips, list(kept), [each.sound for each in kept.values()])
        tell_of_lengths(clips, frames.rate)

        def make(rows: np.ndarray) -> Dataset:
            rows = clips.usable(rows)
            return ClipRows(clips, rows, taken(labels, rows), frames, self._encoder, kept)

        return make
