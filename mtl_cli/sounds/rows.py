"""One split of a set of sounds: clips whose features are computed as they are fetched, or once into memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtl_cli.batch import FieldSpec, LabelledSplit, Sample
from mtl_cli.errors import UserError
from mtl_cli.sounds.checking import Clips
from mtl_cli.sounds.features import Frames
from mtl_cli.sounds.forms import Encoder
from mtl_cli.sounds.reading import Array


@dataclass(frozen=True)
class Kept:
    """What is held in memory of a row: its clip, float32 [N], and its features [L, D]."""

    sound: Array
    features: Tensor


class ClipRows(LabelledSplit):
    """Clips with their label fields.

    Args:
        clips: where clips come from.
        rows: the rows of the file that are in this split [N].
        fields: label fields of these rows, [N, ...].
        frames: how sounds become features.
        encoder: how features become inputs.
        kept: by row of the file, where they are held in memory.
    """

    def __init__(
        self,
        clips: Clips,
        rows: np.ndarray,
        fields: Mapping[str, Tensor],
        frames: Frames,
        encoder: Encoder,
        kept: Mapping[int, Kept] | None,
    ) -> None:
        self.clips, self.numbers, self.fields = clips, rows, dict(fields)
        self.frames, self.encoder, self.kept = frames, encoder, kept
        self.lengths = torch.tensor([frames.count(clips.samples(row, frames.rate)) for row in rows.tolist()])
        """Frames of each row, int64 [N]: rows of like lengths are batched."""

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.numbers)

    def __getitems__(self, indices: Tensor) -> Sample:
        """Return the rows at `indices` [B], in that order."""
        rows = [self._features(int(self.numbers[index])) for index in indices.tolist()]
        return Sample(self.encoder.batch(rows), self.fields_of(indices, list(self.fields)))

    def apart(self, indices: Tensor, specs: Mapping[str, FieldSpec]) -> list[Sample]:
        """Return the rows at `indices` [B] one by one: clips float32 [N], whose features the augmentation makes."""
        found = []
        for index in indices.tolist():
            fields = {name: field[index] for name, field in self.fields.items()}
            found.append(Sample(torch.from_numpy(self._sound(int(self.numbers[index]))), fields))
        return found

    def named(self, row: int) -> str:
        """Return the path of a row's sound, and its row in the file."""
        number = int(self.numbers[row])
        return f"row {number + 1}, {self.clips.names[number]}"

    def labels(self, field: str) -> Tensor:
        """Return all labels of a field [N, ...]."""
        return self.fields[field]

    def _sound(self, row: int) -> Array:
        return self.clips.read(row, self.frames.rate) if self.kept is None else self.kept[row].sound

    def _features(self, row: int) -> Tensor:
        return self.frames.of(self._sound(row)) if self.kept is None else self.kept[row].features


def decode_all(clips: Clips, frames: Frames) -> dict[int, Kept]:
    """Return the usable rows of a file as they are held in memory.

    Raises:
        UserError: some cannot be read; they are named together.
    """
    found, problems = {}, list[str]()
    for row in clips.usable(np.arange(len(clips.names))).tolist():
        try:
            sound = clips.read(row, frames.rate)
            found[row] = Kept(sound, frames.of(sound))
        except UserError as error:
            problems += [f"row {row + 1}: {each}" for each in error.problems]
    if problems:
        raise UserError(clips.first_of(problems))
    return found
