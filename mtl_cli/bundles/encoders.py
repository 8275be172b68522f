"""Preprocessing as data: inputs in memory become arrays by what a manifest says, without torch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.images.decoding import MAX_PIXELS, decode_image, given_image, several_images
from mtl_cli.images.resizing import Frame, framed, resized
from mtl_cli.images.scale import WHITE, require_scale
from mtl_cli.tables.given import GIVEN, Given, stacked_arrays

Array = np.ndarray[Any, Any]
PICTURE_ROWS = "picture_rows"
"""Images with columns beside them, a kind of inputs that only torch makes."""
TEXTS = 256
"""Texts, images or sentences that go through the model at once."""


@dataclass(frozen=True)
class Encoded:
    """Arrays of a batch by the name of the model's input.

    `places` [B, L] are those that a prediction is made at. `frames` say where in the input each row's image lies; where
    there are none, inputs are as the images are.
    """

    arrays: Mapping[str, Array]
    rows: int
    places: Array | None = None
    frames: Sequence[Frame] = ()


class Encoder(ABC):
    """Makes the model's inputs of inputs in memory."""

    @abstractmethod
    def reads(self, inputs: Given) -> bool:
        """Return whether inputs of that form are read."""

    @abstractmethod
    def batches(self, inputs: Given, size: int) -> Iterator[Encoded]:
        """Yield all rows, at most `size` at a time.

        Raises:
            UserError: a row cannot be read; row and column are named.
        """

    def of_path(self, path: Path) -> Given:
        """Return the inputs in a file.

        Raises:
            UserError: it cannot be read here.
        """
        raise UserError(f"Inputs of this bundle are not read from a file, such as {path}. Give them in memory.")


class RowEncoder(Encoder):
    """Rows of a table, of texts, or of both."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        from mtl_cli.bundles.row_preprocessing import RowPreprocessing

        self._rows = RowPreprocessing.of(data)

    def reads(self, inputs: Given) -> bool:
        """Return True for rows of columns, and for texts where one column of text is the only input."""
        return inputs.table is not None or (inputs.strings is not None and self._rows.text_alone is not None)

    def batches(self, inputs: Given, size: int) -> Iterator[Encoded]:
        """Yield all rows; of texts a few at a time."""
        size = min(size, TEXTS) if self._rows.texts else size
        for arrays, rows in self._rows.batches(inputs, size):
            yield Encoded(arrays, rows)

    def of_path(self, path: Path) -> Given:
        """Return the rows of a file of a table."""
        return Given(table=self._rows.rows_of(path))


class SentenceEncoder(Encoder):
    """Sentences of words."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        from mtl_cli.texts.tokenizer import TextTokenizer

        self._tokenizer, self._max_length = TextTokenizer.of(data["tokenizer"]), int(data["max_length"])

    def reads(self, inputs: Given) -> bool:
        """Return True for sentences."""
        return inputs.sentences is not None

    def batches(self, inputs: Given, size: int) -> Iterator[Encoded]:
        """Yield sentences, a few at a time."""
        from mtl_cli.texts.encoding import sentence_rows

        assert inputs.sentences is not None
        for start in range(0, len(inputs.sentences), min(size, TEXTS)):
            found = sentence_rows(self._tokenizer, inputs.sentences[start : start + min(size, TEXTS)], self._max_length)
            every = np.arange(len(found.ids))
            ids, mask = found.ids.padded(every, self._tokenizer.specials.pad)
            words = found.words.padded(every, 0)[0] > 0
            yield Encoded({"ids": ids, "mask": mask, "words": words}, len(every), words)


class ArrayEncoder(Encoder):
    """Rows of an array, vectors or images, scaled by the mean and deviation of features or channels."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._shape = tuple(data["shape"])
        wide = (-1, *[1] * (len(self._shape) - 1))
        self._mean, self._std = (np.asarray(data[name], dtype=np.float64).reshape(wide) for name in ("mean", "std"))

    def reads(self, inputs: Given) -> bool:
        """Return True for arrays."""
        return inputs.arrays is not None

    def batches(self, inputs: Given, size: int) -> Iterator[Encoded]:
        """Yield rows; a missing number becomes the mean."""
        assert inputs.arrays is not None
        array = stacked_arrays(inputs.arrays)
        own = {1: (1,), 3: (1, *array.shape[1:])}.get(array.ndim, array.shape[1:])
        if own != self._shape:
            raise UserError(f"{GIVEN} has rows of shape {own}; those of the training file have {self._shape}.")
        if (endless := np.flatnonzero(np.isinf(array).reshape(len(array), -1).any(axis=1))).size:
            raise UserError(f"{GIVEN}, row {endless[0] + 1}: a number is infinite.")
        for start in range(0, len(array), size):
            rows = array[start : start + size].reshape(-1, *self._shape).astype(np.float64)
            scaled = ((rows - self._mean) / self._std).astype(np.float32)
            yield Encoded({"values": np.nan_to_num(scaled, nan=0.0)}, len(rows))


class PictureEncoder(Encoder):
    """Images by paths, of Pillow or as arrays, brought into one size where one is given."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._channels, self._column, self._floats = int(data["channels"]), data["column"], data.get("floats")
        self._size, self._exact = size_of(data["size"]), size_of(data["exact"])
        wide = (-1, 1, 1)
        self._mean, self._std = (np.asarray(data[name], dtype=np.float32).reshape(wide) for name in ("mean", "std"))

    def reads(self, inputs: Given) -> bool:
        """Return True for images and their paths; of rows, where a column of them has the paths."""
        return inputs.sentences is None and (inputs.table is None or self._column is not None)

    def batches(self, inputs: Given, size: int) -> Iterator[Encoded]:
        """Yield images, neighbours of one size together."""
        waiting: list[tuple[Array, Frame]] = []
        if inputs.arrays is not None:
            several_images(inputs.arrays, self._channels, str(GIVEN))
        for row in range(inputs.num_rows):
            image, frame = self.scaled(self.image(inputs, row), row)
            if waiting and (len(waiting) == min(size, TEXTS) or image.shape != waiting[0][0].shape):
                yield joined(waiting)
                waiting = []
            waiting.append((image, frame))
        if waiting:
            yield joined(waiting)

    def image(self, inputs: Given, row: int) -> Array:
        """Return an image as it is decoded [C, H, W].

        Raises:
            UserError: it cannot be read.
        """
        if inputs.arrays is not None:
            return given_image(inputs.arrays[row], self._channels, f"{GIVEN}, row {row + 1},")
        if inputs.strings is not None:
            return decode_image(Path(inputs.strings[row]), self._channels)
        assert inputs.table is not None
        if self._column not in inputs.table.column_names:
            raise UserError(f"{GIVEN} has no column '{self._column}'.")
        cell = inputs.table.column(self._column)[row].as_py()
        if not cell:
            raise UserError(f"{GIVEN}, row {row + 1}, column '{self._column}': there is no path of an image.")
        return decode_image(Path(str(cell)), self._channels)

    def scaled(self, image: Array, row: int) -> tuple[Array, Frame]:
        """Return an image [C, h, w] as an input, float32, filled up at the bottom and right, and where it lies in it.

        Raises:
            UserError: it is of another size than the model takes.
        """
        if self._exact is not None and (image.dtype != np.uint8 or image.shape[1:] != self._exact):
            height, width = self._exact
            raise UserError(
                f"{GIVEN}, row {row + 1}: an image {image.dtype} of {image.shape[2]}×{image.shape[1]} pixels; the "
                f"model takes uint8, {width}×{height} pixels."
            )
        require_scale(image, self._floats, f"{GIVEN}, row {row + 1}, an image,")
        frame = framed((image.shape[1], image.shape[2]), self._size)
        fitted = resized(image, frame)
        values = (fitted.astype(np.float32) / np.float32(WHITE.get(str(fitted.dtype), 1.0)) - self._mean) / self._std
        if self._size is None:
            return values, frame
        filled: Array = np.zeros((len(values), *self._size), np.float32)
        filled[:, : values.shape[1], : values.shape[2]] = values
        return filled, frame


def size_of(found: Any) -> tuple[int, int] | None:  # noqa: ANN401  any JSON value
    """Return height and width of images, None where they are not told.

    Raises:
        ValueError: it is not such a size.
    """
    if found is None:
        return None
    height, width = map(int, found)
    if not 0 < height * width <= MAX_PIXELS or min(height, width) < 1:
        raise ValueError(f"images of {width}×{height} pixels")
    return height, width


def joined(images: Sequence[tuple[Array, Frame]]) -> Encoded:
    """Return images of one size as a batch."""
    values = np.stack([image for image, _ in images])
    return Encoded({"values": values}, len(images), frames=[frame for _, frame in images])


KINDS: dict[str, Callable[[Mapping[str, Any]], Encoder]] = {
    "rows": RowEncoder, "sentences": SentenceEncoder, "array": ArrayEncoder, "pictures": PictureEncoder
}  # fmt: skip


def encoder_of(data: Mapping[str, Any]) -> Encoder:
    """Return the encoder that a manifest describes.

    Raises:
        UserError: it is not one of this version's.
    """
    try:
        return KINDS[data["kind"]](data)
    except UserError:
        raise
    except Exception as error:  # nonsense in the place of a description may raise anything
        raise UserError(f"The preprocessing in the bundle cannot be used: {type(error).__name__}: {error}.") from error
