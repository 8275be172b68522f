"""Measures what mtl-init, mtl-train and mtl-eval reach on texts that are written, by the commands that they print.

  numbers      number words → digits, 3,000 of the numbers below 100,000
  reversal     3,000 strings of 3 to 8 letters → the same backwards
  catalogues   Django's message catalogues, en → de, fr, es: the three in one run, each alone, copies of the source, and
               a run on shuffled pairs; chrF on held-out messages, mean and deviation over seeds

Usage: python scripts/translation_levels.py [--only NAME ...] [--seeds 3] [--rows N] [more overrides of mtl-train]

With --rows the sets are cut to so many rows, for a quick look whose figures mean nothing. Each set has a twin whose
targets are shuffled, which must fail.
"""

import argparse
import contextlib
import csv
import gettext
import io
import json
import os
import random
import shlex
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mtl_cli import cli
from mtl_cli.report.tables import table

LANGUAGES = ("de", "fr", "es")
LONGEST = 80
"""Characters of a message; longer ones are left out."""
Rows = list[tuple[str, ...]]


SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def number_words(number: int) -> str:
    """Return a number below a million in English words."""
    if number < 20:
        return SMALL[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f" {SMALL[number % 10]}" if number % 10 else "")
    if number < 1000:
        rest = f" and {number_words(number % 100)}" if number % 100 else ""
        return f"{SMALL[number // 100]} hundred{rest}"
    rest = f" {number_words(number % 1000)}" if number % 1000 else ""
    return f"{number_words(number // 1000)} thousand{rest}"


def numbers(count: int) -> tuple[list[str], Rows]:
    """Return number words with their digits."""
    chosen = random.Random(0).sample(range(100_000), count)
    return ["words", "digits"], [(number_words(each), str(each)) for each in chosen]


def reversal(count: int) -> tuple[list[str], Rows]:
    """Return strings with themselves backwards."""
    stream, found = random.Random(0), dict[str, None]()
    while len(found) < count:
        found["".join(stream.choices("abcdefghijklmnopqrstuvwxyz", k=stream.randint(3, 8)))] = None
    return ["text", "back"], [(text, text[::-1]) for text in found]


def catalogues(count: int) -> tuple[list[str], Rows]:
    """Return messages of Django in English, German, French and Spanish; a missing translation is empty."""
    import django

    root = Path(django.__file__).parent
    found: dict[str, dict[str, str]] = {}
    for language in LANGUAGES:
        for path in sorted(root.glob(f"**/locale/{language}/LC_MESSAGES/django.mo")):
            with path.open("rb") as stream:
                messages = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]  # has no other list
            for key, translated in messages.items():
                text = key if isinstance(key, str) else key[0] if key[1] == 0 else ""
                source = " ".join(text.split("\x04")[-1].split())
                if 0 < len(source) <= LONGEST:
                    found.setdefault(source, {}).setdefault(language, " ".join(translated.split()))
    rows = [(source, *(each.get(language, "") for language in LANGUAGES)) for source, each in sorted(found.items())]
    random.Random(0).shuffle(rows)
    return ["en", *LANGUAGES], rows[:count]


SETS: dict[str, tuple[Callable[[int], tuple[list[str], Rows]], int, str]] = {
    "numbers": (numbers, 3000, "exact_match"),
    "reversal": (reversal, 3000, "exact_match"),
    "catalogues": (catalogues, 10_000, "chrf"),
}
"""What makes a set, its rows, and the metric that is reported."""


def shuffled(rows: Rows) -> Rows:
    """Return rows whose targets are those of other rows."""
    others = random.Random(1).sample(rows, len(rows))
    return [(row[0], *other[1:]) for row, other in zip(rows, others, strict=True)]


def write(path: Path, header: Sequence[str], rows: Rows) -> list[str]:
    """Write rows with a column of splits: 70, 15 and 15 of 100; return the splits."""
    splits = ["train" if k % 20 < 14 else "val" if k % 20 < 17 else "test" for k in range(len(rows))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow([*header, "split"])
        writer.writerows([*row, split] for row, split in zip(rows, splits, strict=True))
    return splits


def run(file: Path, source: str, targets: Sequence[str], seed: int, more: Sequence[str]) -> dict[str, float]:
    """Return the test metrics of the command that mtl-init prints for a file."""
    folder = Path(tempfile.mkdtemp(dir="."))
    printed = io.StringIO()
    words = [f"input={file}", f"source={source}", f"target=[{','.join(targets)}]", f"output={folder / 'conf'}"]
    with contextlib.redirect_stdout(printed):
        assert cli.main_init(words) == 0
    line = next(line for line in printed.getvalue().splitlines() if line.strip().startswith("mtl-train "))
    told = [f"seed={seed}", f"hydra.run.dir={folder / 'run'}", "quiet=true", *more]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        assert cli.main([*shlex.split(line)[1:], *told]) == 0, printed.getvalue()
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    found: dict[str, float] = summary["test"]
    return found


def copied(rows: Rows, splits: Sequence[str], column: int) -> float:
    """Return the chrF of held-out sources as their own translations."""
    from sacrebleu.metrics.chrf import CHRF

    pairs = [(row[0], row[column]) for row, split in zip(rows, splits, strict=True) if split == "test" and row[column]]
    sources, references = zip(*pairs, strict=True)
    return float(CHRF().corpus_score(sources, [references]).score) / 100


def spread(values: Sequence[float]) -> str:
    """Return mean and deviation."""
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


def measure(name: str, count: int | None, seeds: int, more: Sequence[str]) -> list[list[str]]:
    """Return the rows of the table of one set: what was trained, and the metric of each target."""
    make, full, metric = SETS[name]
    header, rows = make(full if count is None else count)
    source, *targets = header
    splits = write(Path(f"{name}.tsv"), header, rows)
    write(Path(f"{name}_shuffled.tsv"), header, shuffled(rows))

    def each(file: Path, chosen: Sequence[str], repeats: int) -> list[str]:
        found = [run(file, source, chosen, seed, more) for seed in range(repeats)]
        return [spread([one[f"{t}/{metric}"] for one in found]) if t in chosen else "" for t in targets]

    table_rows = [[f"{name} ({metric})", *targets], ["together", *each(Path(f"{name}.tsv"), targets, seeds)]]
    if len(targets) > 1:
        alone = [each(Path(f"{name}.tsv"), [target], seeds)[k] for k, target in enumerate(targets)]
        table_rows += [["each alone", *alone]]
        table_rows += [["copies", *(f"{copied(rows, splits, k):.3f}" for k in range(1, len(header)))]]
    return [*table_rows, ["shuffled", *each(Path(f"{name}_shuffled.tsv"), targets, 1)]]


def main() -> None:
    """Measure the sets that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int)
    chosen, more = parser.parse_known_args()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name in chosen.only:
                print(table(measure(name, chosen.rows, chosen.seeds, more)), end="\n\n", flush=True)
        finally:
            os.chdir(here)


if __name__ == "__main__":
    main()
