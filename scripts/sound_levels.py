#!/usr/bin/env python
"""Makes sets of spoken digits by espeak-ng, and measures what the commands that mtl-init prints reach on them.

    python scripts/sound_levels.py                 # all sets, the levels of the table below
    python scripts/sound_levels.py --only digits   # one set: digits, voices or strings
    python scripts/sound_levels.py --small         # few voices and rates, two passes: whether the commands work
    python scripts/sound_levels.py --make FOLDER   # only writes the sets

| set | what is learnt | split | level |
| --- | --- | --- | --- |
| digits | the digit, and the sex of the voice | voices apart | accuracy of digits ≥ 0.97 |
| voices | the digit, and the voice | by clip | accuracy of voices ≥ 0.95 |
| strings | 3 to 7 digits as a transcript, by CTC | voices apart | character error rate ≤ 0.03 |

It needs espeak-ng (a Debian package). Every set is a table of WAV files, as any other.
"""

import argparse
import csv
import hashlib
import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ACCENTS = ("en-us", "en", "en-gb-scotland")
"""Accents that take a variant; en-gb speaks as if there were none."""
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5")
HELD = {"val": ("m7", "f4"), "test": ("m5", "m8", "f2", "f5")}
"""Variants whose voices are held out."""
RATES = (110, 130, 150, 170, 190, 210)
"""Words per minute."""
SMALL = 2
"""Passes and rates of a small run."""


@dataclass(frozen=True)
class Spoken:
    """One clip to be spoken: its file, voice, rate and words, and the cells of its row."""

    file: str
    voice: str
    rate: int
    words: str
    cells: dict[str, str]


def split_of(variant: str) -> str:
    """Return the split of a variant's voices."""
    return next((name for name, variants in HELD.items() if variant in variants), "train")


def sex_of(variant: str) -> str:
    """Return the sex of a variant."""
    return {"m": "male", "f": "female"}[variant[0]]


def digits(rates: Sequence[int], accents: Sequence[str]) -> Iterator[Spoken]:
    """Yield single digits with their sex, the voices of each split apart."""
    for accent in accents:
        for variant in VARIANTS:
            for digit in range(10):
                for rate in rates:
                    cells = {"digit": str(digit), "sex": sex_of(variant), "split": split_of(variant)}
                    name = f"clips/{accent}_{variant}_{digit}_{rate}.wav"
                    yield Spoken(name, f"{accent}+{variant}", rate, str(digit), cells)


def voices(rates: Sequence[int], accents: Sequence[str]) -> Iterator[Spoken]:
    """Yield single digits with their voice and no split."""
    for each in digits(rates, accents):
        yield Spoken(each.file, each.voice, each.rate, each.words, {"digit": each.cells["digit"], "voice": each.voice})


def strings(rates: Sequence[int], accents: Sequence[str], a_voice: int = 40) -> Iterator[Spoken]:
    """Yield strings of 3 to 7 digits with their transcript, the voices of each split apart."""
    stream = random.Random(0)
    for accent in accents:
        for variant in VARIANTS:
            for number in range(a_voice):
                words = " ".join(str(stream.randrange(10)) for _ in range(stream.randint(3, 7)))
                cells = {"transcript": words, "split": split_of(variant)}
                name = f"clips/{accent}_{variant}_{number}.wav"
                yield Spoken(name, f"{accent}+{variant}", stream.choice(rates), words, cells)


SETS = {"digits": digits, "voices": voices, "strings": strings}
TARGETS = {"digits": "[digit,sex]", "voices": "[digit,voice]", "strings": "[transcript]"}
LEVELS = {"digits": ("digit/accuracy", 0.97), "voices": ("voice/accuracy", 0.95), "strings": ("transcript/cer", 0.03)}


def speak(folder: Path, spoken: Sequence[Spoken]) -> Path:
    """Write the clips and their table; return the table."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)

    def say(each: Spoken) -> None:
        command = ["espeak-ng", "-v", each.voice, "-s", str(each.rate), "-w", str(folder / each.file), each.words]
        subprocess.run(command, check=True, capture_output=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(say, spoken))
    check_voices(folder, spoken)
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *spoken[0].cells])
        writer.writerows([each.file, *each.cells.values()] for each in spoken)
    return table


def check_voices(folder: Path, spoken: Sequence[Spoken]) -> None:
    """Refuse clips of two voices that are the same sound: what they are cannot be learnt, nor held out."""
    voices: dict[bytes, str] = {}
    for each in spoken:
        sound = hashlib.sha256((folder / each.file).read_bytes()).digest()
        if voices.setdefault(sound, each.voice) != each.voice:
            raise SystemExit(f"espeak-ng speaks '{each.words}' alike as {each.voice} and as {voices[sound]}.")


def run(words: Sequence[str], folder: Path) -> str:
    """Run one of the program's commands in a folder; return what it printed."""
    program = (
        f"import sys; from mtl_cli.cli import {words[0].removeprefix('mtl-').replace('eval', 'evaluate')} as main; "
    )
    program += "sys.exit(main())"
    found = subprocess.run([sys.executable, "-c", program, *words[1:]], cwd=folder, capture_output=True, text=True)
    if found.returncode:
        raise SystemExit(f"{shlex.join(words)}\n{found.stdout}{found.stderr}")
    return found.stdout + found.stderr


def measure(name: str, folder: Path, further: Sequence[str]) -> dict[str, float]:
    """Return the test metrics that the printed command reaches on a set."""
    printed = run(["mtl-init", "input=table.csv", f"target={TARGETS[name]}", "output=conf", "overwrite=true"], folder)
    command = next(line.strip() for line in printed.splitlines() if line.strip().startswith("mtl-train"))
    print(f"{name}: {command}", flush=True)
    started = time.monotonic()
    run([*shlex.split(command), "hydra.run.dir=run", *further], folder)
    run(["mtl-eval", "checkpoint=run"], folder)
    run(["mtl-predict", "checkpoint=run", "input=table.csv", "output=predictions.csv"], folder)
    record = sorted((folder / "run" / "evaluations").rglob("metrics.json"))[-1]
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return json.loads(record.read_text())["metrics"]


def main() -> None:
    """Make the sets and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SETS, help="one set")
    parser.add_argument("--small", action="store_true", help="few voices and rates, two passes")
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="only write the sets")
    parser.add_argument("further", nargs="*", help="overrides of mtl-train")
    args = parser.parse_args()
    rates, accents = (RATES[:SMALL], ACCENTS[:1]) if args.small else (RATES, ACCENTS)
    further = [*args.further, *([f"trainer.max_epochs={SMALL}"] if args.small else [])]
    with tempfile.TemporaryDirectory() as place:
        for name in [args.only] if args.only else SETS:
            folder = (args.make or Path(place)) / name
            speak(folder, list(SETS[name](rates, accents)))
            if args.make is None:
                found = measure(name, folder, further)
                metric, level = LEVELS[name]
                good = found[metric] <= level if metric.endswith("cer") else found[metric] >= level
                print(f"{name}: {metric} {found[metric]:.4f} ({'reached' if good else 'not reached'}: {level})")
                print("  " + ", ".join(f"{key} {value:.4f}" for key, value in found.items()))


if __name__ == "__main__":
    main()
