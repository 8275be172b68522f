"""How texts of pairs are cut, a network and its training that fit them, each with the reason.

scripts/translation_levels.py measures what they reach.
"""

import importlib.util
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mtl_cli.init.proposals import MOST_LOOKS, Choice, overrides, told, train_rows
from mtl_cli.init.yaml_files import Training, comment, entry

REPEATED = 0.4
"""Share of the words that come more than once, from which on pieces of words are learnt."""
SMALL, LARGE = 5_000, 50_000
"""Pairs up to which a vocabulary is small, and from which on a transformer is worth its time."""
LONGEST, VERY_LONG = 512, 4096
"""Pieces of a source that are read unless more is asked for, and characters up to which that is proposed."""
SHORT = 12
"""Characters of the middle target up to which a text is right or wrong as a whole: digits, codes, a word."""
BATCH, FEWEST_STEPS = 32, 800
"""Rows per step, and optimizer steps that few rows get too."""
STEPS, MOST_EPOCHS = 2_000, 80
"""Optimizer steps, and passes over the rows."""
SHORT_STEPS, MOST_SHORT_EPOCHS = 4_500, 200
"""The same where targets are short: each piece has to be right, also what few rows show."""
KEPT, COPIED = 0.03, 0.3
"""Share of the words of targets that their source has too, from which on sources are learnt to be copied; how often."""


@dataclass(frozen=True)
class PairAdvice:
    """What is written into the dataset by option, into the tasks, and how the network is trained."""

    options: Mapping[str, Choice]
    metrics: tuple[str, ...]
    why: str
    """Why these metrics."""
    head: Mapping[str, object]
    overrides: Mapping[str, Choice]
    longest: int
    """Characters of the longest source."""

    def option_lines(self) -> list[str]:
        """Return the lines of YAML of the dataset."""
        return [f"{name}: {choice.value}  {comment(choice.why)}" for name, choice in self.options.items()]

    def task_lines(self) -> str:
        """Return the lines of YAML of a task, after its weight."""
        lines = [
            entry("label_smoothing", 0.1, "share of the probability that every other piece gets"),
            entry("metrics", list(self.metrics), "the first one selects: exact_match, token_accuracy, chrf, bleu"),
            "head:",
            *(f"  {entry(key, value, NOTES.get(key, ''))}" for key, value in self.head.items()),
        ]
        return "".join(f"    {line}\n" for line in lines)

    def told(self) -> list[str]:
        """Return the choices for the printed report."""
        return [*told(self.options), f"metrics={list(self.metrics)}: {self.why}", *told(self.overrides)]

    @property
    def training(self) -> Training:
        """The overrides that train, and hints."""
        hints = ["wider search at the end: tasks.NAME.head.beam=4 of mtl-predict"]
        if self.longest > VERY_LONG:
            told = f"a source has {self.longest} characters; one of more than max_length={LONGEST} pieces is refused"
            hints.append(f"{told}, or cut: tasks.NAME.dataset.cut=true")
        return Training(overrides(self.overrides), hints)


NOTES = {
    "beam": "beginnings that are kept when a text is searched for; 1 takes the best piece each time",
    "length_penalty": "exponent of the length by which log-probabilities are divided",
    "copy": "pieces may be copied from the source",
    "width": "null = that of the features",
}


def advise_pairs(source: Sequence[str], targets: Mapping[str, Sequence[str]]) -> PairAdvice:
    """Return what fits pairs of texts."""
    rows = len(source)
    everything = [source, *targets.values()]
    kind, size = choose_pieces(everything, rows)
    lengths = sorted(len(text) for texts in targets.values() for text in texts if text.strip())
    short = lengths[len(lengths) // 2] <= SHORT
    by_sacrebleu = importlib.util.find_spec("sacrebleu") is not None
    if short or not by_sacrebleu:
        metrics: tuple[str, ...] = ("exact_match", "token_accuracy")
        why = "short texts are right or wrong as a whole" if short else "pip install 'mtl-cli[translation]' adds chrf"
    else:
        metrics, why = ("chrf", "bleu", "exact_match"), "parts of a text may be right; chrf counts its characters"
    options = {"tokenizer": kind, "vocab_size": size}
    longest = max(len(text) + 1 for text in source)
    if LONGEST < longest <= VERY_LONG:
        options["max_length"] = Choice(str(longest), "the longest source has so many characters, so not more pieces")
    if not short and (own := kept(source, targets)) >= KEPT:
        why_copied = f"{own:.0%} of the words of targets are words of their source: what is never seen is copied"
        options["copied"] = Choice(str(COPIED), why_copied)
    head = {
        "_target_": "mtl_cli.heads.gru_decoder.GRUDecoder", "num_layers": 1, "dropout": 0.3,
        "beam": 1, "length_penalty": 1.0, "copy": True, "width": None,
    }  # fmt: skip
    return PairAdvice(options, metrics, why, head, choose_training(rows, short), longest)


def kept(source: Sequence[str], targets: Mapping[str, Sequence[str]]) -> float:
    """Return the share of the words of targets that are words of their own source."""
    same = total = 0
    for texts in targets.values():
        for text, other in zip(texts, source, strict=True):
            words, own = text.split(), set(other.split())
            same, total = same + sum(word in own for word in words), total + len(words)
    return same / max(1, total)


def choose_pieces(columns: Sequence[Sequence[str]], rows: int) -> tuple[Choice, Choice]:
    """Return how texts are cut: into pieces of words where words repeat themselves, else into characters."""
    share = repeated([text for texts in columns for text in texts])
    if share < REPEATED:
        why = f"{share:.0%} of the words come more than once: too few to learn words from"
        return Choice("characters", why), Choice("8000", "as many characters as there are, at most")
    size = 600 if rows < SMALL else 4000 if rows < LARGE else 8000
    why = f"{share:.0%} of the words come more than once: frequent ones are a piece, rare ones several"
    return Choice("bpe", why), Choice(str(size), f"for {rows} pairs: each piece should be seen often enough")


def repeated(texts: Sequence[str]) -> float:
    """Return the share of the words without digits that come more than once; 1 where there are none."""
    words = Counter(word for text in texts for word in text.split() if not any(map(str.isdigit, word)))
    total = sum(words.values())
    return sum(count for count in words.values() if count > 1) / total if total else 1.0


def choose_training(rows: int, short: bool) -> dict[str, Choice]:
    """Return backbone, batch size and epochs for a number of pairs."""
    training = train_rows(rows)
    steps, most = (SHORT_STEPS, MOST_SHORT_EPOCHS) if short else (STEPS, MOST_EPOCHS)
    a_pass = math.ceil(training / BATCH)
    epochs = max(3, min(math.ceil(steps / a_pass), max(most, math.ceil(FEWEST_STEPS / a_pass))))
    found = {
        "backbone": Choice("gru", "reads a text in both directions; learns from few pairs too"),
        "backbone.num_layers": Choice("1", "the decoder has attention of its own"),
        "data.batch_size": Choice(str(BATCH), "few rows need more steps a pass"),
        "optimizer.lr": Choice("0.001" if short else "0.003", "for networks of this size and texts of this length"),
        "trainer.precision": Choice("fp32", "layers this small gain nothing from fewer digits"),
        "trainer.max_epochs": Choice(str(epochs), f"{epochs * a_pass} steps or so"),
    }
    if epochs > MOST_LOOKS:
        every = math.ceil(epochs / MOST_LOOKS)
        found["trainer.eval_every"] = Choice(str(every), "an evaluation writes all validation texts, which takes time")
    return found
