"""Where a cell stands, for messages, and the form in which its text is compared."""

import re
from dataclasses import dataclass
from pathlib import Path

from mtl_cli.errors import UserError


@dataclass(frozen=True)
class Place:
    """Where cells stand: file, column and the number of the first row, from 0. Messages count rows from 1.

    Columns that are `fitted` are read for a model that is there already, so options of the dataset help no more.
    """

    path: Path
    column: str
    first_row: int = 0
    fitted: bool = False

    def error(self, index: int, found: str, fix: str) -> UserError:
        """Return the error for the cell at `index`."""
        if self.fitted:
            fix = "Write it as the training file does, or leave the cell empty if the value is missing."
        return UserError(f"{self.path}, row {self.first_row + index + 1}, column '{self.column}': {found}. {fix}")


def canonical(text: str) -> str:
    """Return a category in the form in which it is compared: without space around it, 1.0 as 1 and True as true.

    Thus the same value is one category whether a file holds it as text, number or truth value. It also stays one where
    missing cells turned a column of whole numbers into decimal ones, which are written as 1.0 or, where they are large,
    as 1e+10. Other texts, such as 1.50 or 12e3, may be codes and stay as they are.
    """
    text = text.strip()
    if re.fullmatch(r"-?\d+\.0+", text):
        text = text.partition(".")[0]
    elif re.fullmatch(r"-?\d(\.\d+)?[eE]\+\d\d", text) and float(text).is_integer() and abs(float(text)) < 2.0**70:
        text = str(int(float(text)))
    if text == "-0":
        return "0"
    return text.lower() if text in ("True", "False", "TRUE", "FALSE") else text
