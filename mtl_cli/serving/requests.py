"""Bodies of requests as inputs, and predictions as bodies of answers."""

import io
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtl_cli.bundles.encoders import PICTURE_ROWS
from mtl_cli.errors import UserError, some
from mtl_cli.files import unique
from mtl_cli.images.decoding import MAX_PIXELS
from mtl_cli.inference.base import Predicted
from mtl_cli.tables.given import Given, given

if TYPE_CHECKING:
    from PIL import Image

KEYS = ("rows", "texts", "sentences", "arrays")
"""Keys of a JSON body, each with a list."""
FORM = 'Give {"rows": [{"column": value, …}, …]}, or as /docs shows it.'
WORDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}


class Inputs:
    """Turns bodies into inputs that a bundle reads.

    Args:
        kinds: the kinds of preprocessing in the bundle.
        max_rows: rows of a request, at most.

    Raises:
        UserError: the bundle reads images with columns beside them, which no request has.
    """

    def __init__(self, kinds: Sequence[str], max_rows: int) -> None:
        if PICTURE_ROWS in kinds:
            raise UserError(
                "The bundle reads images with columns beside them, which are not served. In Python: "
                "mtl_cli.load(BUNDLE).predict([{'image': 'a.png', …}])."
            )
        self.kinds, self.max_rows = list(kinds), max_rows

    def of_json(self, body: bytes) -> Given:
        """Return the inputs in a JSON body: a list, or an object with one of `KEYS`.

        Raises:
            UserError: it is not JSON of that form.
        """
        try:
            data = json.loads(body, object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:
            raise UserError(f"The body is not JSON: {error}.") from error
        if isinstance(data, dict):
            found = [key for key in KEYS if key in data]
            if len(data) != 1 or not found:
                raise UserError(f"The body has the keys {some(data)}; it has one of {', '.join(KEYS)}. {FORM}")
            data = data[found[0]]
            if found[0] == "rows" and isinstance(data, list):
                check_objects(data)
        if not isinstance(data, list):
            raise UserError(f"The body holds {worded(data)}, not a list. {FORM}")
        self.check_rows(len(data))
        if any(isinstance(row, dict) for row in data):
            check_objects(data)
        try:
            inputs = given(data)
        except UnicodeEncodeError as error:
            raise UserError(f"The body holds half a character: {error.object[error.start]!a}.") from error
        self.refuse_paths(inputs)
        return inputs

    def of_csv(self, body: bytes, charset: str = "utf-8") -> Given:
        """Return the rows in a CSV body, whose first line names the columns.

        Raises:
            UserError: it is not CSV.
        """
        from mtl_cli.tables.arrow import arrow_csv, pa
        from mtl_cli.tables.csv_faults import open_quote_in

        try:
            text = body.decode(charset).removeprefix("\ufeff")
        except (UnicodeError, LookupError) as error:
            raise UserError(
                f"The body is not CSV in {charset}: {error}. Say its encoding: content-type: text/csv; charset=latin-1."
            ) from error
        if '"' in text and (fault := open_quote_in(io.StringIO(text, newline=""), "The body", ",")):
            raise fault
        stream = text.encode()
        try:
            names = arrow_csv.open_csv(io.BytesIO(stream)).schema.names
            options = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True,
                                               null_values=[""])  # fmt: skip
            table = arrow_csv.read_csv(
                io.BytesIO(stream), arrow_csv.ReadOptions(use_threads=False),
                arrow_csv.ParseOptions(newlines_in_values=True), options,
            )  # fmt: skip
        except pa.ArrowException as error:
            raise UserError(f"The body is not CSV: {error}.") from error
        if len(names) == 1 and (sign := next((each for each in ";\t|" if each in names[0]), "")):
            raise UserError(f"The body has {sign!r} between its cells; in text/csv a comma is.")
        self.check_rows(table.num_rows)
        inputs = Given(table=table)
        self.refuse_paths(inputs)
        return inputs

    def of_images(self, files: Sequence[tuple[str, bytes]]) -> Given:
        """Return images in the files of a form, each with its name.

        Raises:
            UserError: one is not an image, or the bundle reads none.
        """
        if "pictures" not in self.kinds:
            raise UserError(f"This bundle reads {', '.join(self.kinds)}, not files of images. Send JSON or CSV.")
        self.check_rows(len(files))
        images, left = [], MAX_PIXELS
        for name, data in files:
            images.append(decoded(name, data, left))
            left -= images[-1].width * images[-1].height
        return Given(arrays=images)

    def of_files(self, files: Sequence[tuple[str, bytes]], folder: Path) -> Given:
        """Return the images or sounds in the files of a form, each with its name; sounds are put into a folder.

        Raises:
            UserError: one cannot be read, or the bundle reads none.
        """
        return self.of_sounds(files, folder) if "sounds" in self.kinds else self.of_images(files)

    def of_sounds(self, files: Sequence[tuple[str, bytes]], folder: Path) -> Given:
        """Return the paths of sounds, under names of their own.

        Raises:
            UserError: one is not named as a sound.
        """
        from mtl_cli.sounds.reading import ENDINGS

        self.check_rows(len(files))
        paths = []
        for number, (name, data) in enumerate(files, start=1):
            ending = Path(name).suffix.lower()
            if ending not in ENDINGS:
                raise UserError(f"{name} is not named as a sound: its ending is one of {', '.join(ENDINGS)}.")
            paths.append(folder / f"sound {number}{ending}")
            paths[-1].write_bytes(data)
        return Given(strings=[str(path) for path in paths])

    def refuse_paths(self, inputs: Given) -> None:
        """Refuse rows and texts where the bundle reads files, which a client is not to name.

        Raises:
            UserError: it does.
        """
        for kind, word in (("pictures", "images"), ("sounds", "sounds")):
            if kind in self.kinds and (inputs.table is not None or inputs.strings is not None):
                raise UserError(
                    f"This bundle reads {word}, which are sent as files (multipart/form-data), not as paths."
                )

    def check_rows(self, count: int) -> None:
        """Refuse a request without rows, or with too many.

        Raises:
            UserError: it is one.
        """
        if not 1 <= count <= self.max_rows:
            raise UserError(f"The request has {count} rows; it has 1 to {self.max_rows}.")


def worded(value: object) -> str:
    """Return what a value of JSON is, in words."""
    return WORDS.get(type(value), "null")


def check_objects(rows: Sequence[Any]) -> None:
    """Refuse rows that are not objects with columns.

    Raises:
        UserError: one is not.
    """
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not row:
            what = "empty" if row == {} else worded(row)
            raise UserError(f"The input, row {number}, is {what}. {FORM}")


def decoded(name: str, data: bytes, most: int) -> "Image.Image":
    """Return an image of Pillow, of `most` pixels: those that the images of one request may have together.

    Raises:
        UserError: it cannot be decoded, or is too large.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit warns; ours refuses
            image = Image.open(io.BytesIO(data))
            if image.width * image.height > most:
                raise UserError(
                    f"{name} claims {image.width}×{image.height} pixels; those of a request have {MAX_PIXELS:,} at "
                    "most."
                )
            image.load()
    except UserError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on damaged files
        raise UserError(f"{name} cannot be read as an image: {type(error).__name__}.") from error
    return image


def rows_of(columns: Predicted) -> list[dict[str, Any]]:
    """Return predictions row by row, as JSON holds them; a number that is not finite is null."""
    lists = {name: [plain(value) for value in values] for name, values in columns.items()}
    return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]


def plain(value: Any) -> Any:  # noqa: ANN401  a cell of predictions
    """Return a cell as JSON holds it."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_lines(columns: Predicted) -> Iterator[str]:
    """Yield predictions as lines of CSV, the names of the columns first."""
    import csv

    for row in ([list(columns)], ([plain(value) for value in row] for row in zip(*columns.values(), strict=True))):
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(row)
        yield stream.getvalue()
