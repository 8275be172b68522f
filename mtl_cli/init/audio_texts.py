"""Columns that hold what is said in a sound: told from classes, and the tasks that write them."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtl_cli.errors import UserError
from mtl_cli.init.yaml_files import FoundTask
from mtl_cli.tables.reading import TableFile

TRANSCRIPTS = re.compile(r"(?:.*_)?transcri(?:pt|pts|ption|ptions)(?:_.*)?", re.I)
"""Names of columns that are transcripts whatever they hold."""
TEXTS = re.compile(
    r"(?:.*_)?(?:texts?|sentences?|utterances?|words|phonemes?|phones|strings?|captions?|lyrics|letters|digits|said|spoken)",
    re.I,
)
"""Names of columns that are transcripts if they hold many different texts."""
FRAMES = 100.0
"""Frames per second of features."""
JOINED = 4
"""Frames that the backbone joins to one, unless a transcript needs more of them."""
ROOM = 1.3
"""How many more frames there are than the closest transcript needs."""
MANY = 5
"""Rows per different text from which on texts are classes."""
LENGTH = "    pieces: {kind: characters}  # or bpe, words; size, lowercase, longest: see mtl_cli/tasks/README.md\n"
CTC = f"""{LENGTH}\
    beam: 1  # beginnings that are kept when a text is searched for; 1 takes the most likely path
    head: {{_target_: mtl_cli.heads.frames.FrameHead, hidden: [], dropout: 0.0, activation: relu, init: default}}
"""
SEQ2SEQ = f"""{LENGTH}\
    label_smoothing: 0.1
    metrics: [exact_match, token_accuracy]
    head: {{_target_: mtl_cli.heads.transformer_decoder.TransformerDecoder, num_layers: 2, dropout: 0.1, beam: 1}}
"""
TASKS = {
    "ctc": ("mtl_cli.tasks.ctc.CTC", CTC, "cer", "wer, exact_match"),
    "seq2seq": ("mtl_cli.tasks.seq2seq.Seq2Seq", SEQ2SEQ, "exact_match", "token_accuracy"),
}
"""Class, further arguments, primary metric and the other metrics of the kinds that write a transcript."""


@dataclass(frozen=True)
class Transcript:
    """A target that is a text: its name, kind and column, why, and its cells [N], None where there is none."""

    name: str
    kind: str
    column: str
    why: str
    cells: Sequence[str | None]

    @property
    def task(self) -> FoundTask:
        """The task that writes it."""
        target, arguments, primary, others = TASKS[self.kind]
        reading: dict[str, bool | str | list[str]] = {} if self.column == self.name else {"column": self.column}
        return FoundTask(self.name, self.kind, self.why, target, arguments, primary, others, reading)

    @property
    def told(self) -> str:
        """What is printed."""
        texts = [cell for cell in self.cells if cell]
        letters = sorted({letter for text in texts for letter in text})
        shown = "".join(letters[:40]) + ("…" if len(letters) > 40 else "")
        lengths = [len(text) for text in texts]
        return (
            f"{self.name}: {self.kind}, because {self.why}. {len(set(texts))} different texts of {min(lengths)} to "
            f"{max(lengths)} characters, of {len(letters)}: {shown!r}. Metric: {self.task.primary}{self.task.also}"
        )

    def joined(self, seconds: np.ndarray, fastest: float) -> int:
        """Return how many frames may be joined to one so that every text fits into its clip of so many seconds [N]."""
        if len(seconds) != len(self.cells) or self.kind != "ctc":
            return JOINED
        needed = [frames_of(cell) / max(0.01, length) for cell, length in zip(self.cells, seconds, strict=True) if cell]
        most = FRAMES / (ROOM * fastest * max(needed, default=1.0))
        return next((joined for joined in (JOINED, 2) if joined <= most), 1)


def frames_of(text: str) -> int:
    """Return how many frames the characters of a text need."""
    return len(text) + sum(one == other for one, other in itertools.pairwise(text))


def find_transcripts(
    file: TableFile, targets: Mapping[str, Sequence[str]], kinds: Mapping[str, str]
) -> tuple[Transcript, ...]:
    """Return the targets that are texts of what is said; `kinds` says so by column.

    Raises:
        UserError: a kind is asked for that there is not, or a column of texts is empty.
    """
    found = []
    for name, columns in targets.items():
        wanted = kinds.get(columns[0])
        if wanted is not None and (wanted not in TASKS or len(columns) > 1):
            raise UserError(
                f"kind.{columns[0]} is '{wanted}'; of a table of sounds it is one of {', '.join(TASKS)}, of one column."
            )
        named = wanted is not None or TRANSCRIPTS.fullmatch(columns[0])
        if len(columns) > 1 or (not named and is_typed(file, columns[0])):
            continue
        cells = texts_of(file, columns[0])
        why = f"kind.{columns[0]}={wanted} asks for that" if wanted else reason(columns[0], [c for c in cells if c])
        if why and not any(cells):
            raise UserError(f"{file.path}, column '{columns[0]}' has no text. Name another target.")
        if why:
            found.append(Transcript(name, wanted or "ctc", columns[0], why, cells))
    return tuple(found)


def is_typed(file: TableFile, column: str) -> bool:
    """Return whether a column has a type of its own that is not text."""
    return str(file.types[column]) not in ("string", "large_string")


def texts_of(file: TableFile, column: str) -> list[str | None]:
    """Return the cells of a column as texts, None for those without one."""
    cells = [cell for _, batch in file.batches([column]) for cell in batch.column(0).to_pylist()]
    return [" ".join(str(cell).split()) or None if cell is not None else None for cell in cells]


def reason(name: str, texts: Sequence[str]) -> str:
    """Return why the texts of a column are transcripts, in words, or nothing where they are classes or numbers."""
    if TRANSCRIPTS.fullmatch(name):
        return "its name says that it is what is said"
    distinct = len(set(texts))
    if distinct * MANY <= len(texts) or distinct < 2:
        return ""
    if TEXTS.fullmatch(name):
        return f"its name says that it is a text, and {distinct} of {len(texts)} are different"
    digits = all(text.isdigit() for text in texts) and len({len(text) for text in texts}) > 1
    if digits and any(text.startswith("0") and len(text) > 1 for text in texts):
        return "they are strings of digits, some of which begin with 0"
    if sum(" " in text for text in texts) * 2 >= len(texts) and not all(is_number(text) for text in texts):
        return f"they have several words, and {distinct} of {len(texts)} are different"
    return ""


def is_number(text: str) -> bool:
    """Return whether a text is a number with spaces between its digits."""
    return text.replace(" ", "").isdigit() and all(len(part) == 3 for part in text.split(" ")[1:])
