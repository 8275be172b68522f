"""What scripts/torture does to files: faults at every moment at which a run touches one, small disks, damaged caches.

`Moments` stands between a process and the functions by which it changes files. It numbers the moments before and after
each call, and lets a fault happen at one of them: the process is killed, or its disk is full from then on.
"""

import csv
import errno
import json
import os
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

CALLS = ("replace", "rename", "fsync", "unlink", "mkdir", "rmdir")
"""Functions of `os` by which files appear, become durable and go."""
NEEDS_SPACE = ("replace", "rename", "fsync", "mkdir")
BLOCKS = (0, 1, 511, 512, 4095, 4096, 8192, 65536)
"""Bytes at which a file can grow no more."""


class Moments:
    """Counts the moments of this process at which it changes files; `fault` is called at the one numbered `at`."""

    def __init__(self, at: int, fault: Callable[["Moments"], None], log: Path | None = None) -> None:
        self.at, self.fault, self.log = at, fault, log
        self.count, self.full, self.process = 0, False, os.getpid()
        for name in CALLS:
            setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401  as the function
            self._moment("before", name, args[-1] if name in ("replace", "rename") else args[0])
            if self.full and name in NEEDS_SPACE and os.getpid() == self.process:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            result = function(*args, **options)
            self._moment("after", name, args[-1] if name in ("replace", "rename") else args[0])
            return result

        return call

    def _moment(self, when: str, name: str, what: Any) -> None:  # noqa: ANN401  a path or a descriptor
        if os.getpid() != self.process:  # a worker that reads data
            return
        if self.log is not None:
            path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else os.fspath(what)
            with self.log.open("a") as file:
                file.write(f"{when} {name} {kind(str(path))}\n")
        if self.count == self.at:
            self.fault(self)
        self.count += 1


def kind(path: str) -> str:
    """Return what a file is, in the words of its path: without the numbers that differ from save to save."""
    folder, name = Path(path).parent.name, Path(path).name
    return re.sub(r"[0-9a-f]*\d[0-9a-f]*|tmp\w+", "#", f"{folder}/{name}")


def die(moments: Moments) -> None:
    """Kill this process and its workers."""
    os.killpg(0, signal.SIGKILL)


def fill_disk(moments: Moments) -> None:
    """Let the disk be full from now on."""
    moments.full = True


def chosen(log: Path, most: int, chance: random.Random) -> list[int]:
    """Return numbers of moments, at most `most`: one of each kind of moment first, then others."""
    kinds: dict[str, list[int]] = {}
    for number, line in enumerate(log.read_text().splitlines()):
        kinds.setdefault(line, []).append(number)
    once = [chance.choice(numbers) for numbers in kinds.values()]
    chance.shuffle(once)
    return sorted(once[:most])


def number_of_kinds(log: Path) -> int:
    """Return how many kinds of moments a log holds."""
    return len(set(log.read_text().splitlines()))


def write_data(folder: Path, chance: random.Random) -> None:
    """Write a table, texts and images, each with two targets."""
    folder.mkdir(parents=True)
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "colour", "good", "amount"])
        for _ in range(400):
            a, b, colour = chance.gauss(0, 1), chance.gauss(0, 1), chance.choice(["red", "green", "blue"])
            good = int(a + (colour == "red") > 0)
            rows.writerow([round(a, 4), round(b, 4), colour, good, round(a * b + chance.gauss(0, 0.1), 4)])
    words = [f"{first}{last}" for first in ("ba", "do", "ki", "lu") for last in ("na", "pe", "ri", "so")]
    with (folder / "texts.jsonl").open("w") as file:
        for _ in range(400):
            text = chance.choices(words, k=chance.randrange(4, 12))
            row = {"text": " ".join(text), "has": str("bana" in text), "many": str(len(text) > 7)}
            file.write(json.dumps(row) + "\n")
    write_images(folder, chance)


def write_images(folder: Path, chance: random.Random) -> None:
    """Write small pictures of discs and squares, and a table of what they show."""
    (folder / "pictures").mkdir()
    with (folder / "images.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "round", "size"])
        for number in range(200):
            picture, size, disc = (
                Image.new("L", (12, 12), chance.randrange(60)),
                chance.uniform(4, 11),
                chance.random() < 0.5,
            )
            draw = ImageDraw.Draw(picture)
            (draw.ellipse if disc else draw.rectangle)((0, 0, size, size), fill=chance.randrange(150, 255))
            picture.save(folder / "pictures" / f"{number}.png")
            rows.writerow([f"pictures/{number}.png", "yes" if disc else "no", round(size, 3)])


def harm(path: Path, how: str, chance: random.Random) -> None:
    """Damage a file: flip a bit, cut it, empty it, make it longer or remove it."""
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "flipped" and data:
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
    elif how == "longer":
        path.write_bytes(data + b"\0" * 8)
    else:
        path.write_bytes(data[: chance.randrange(len(data))] if how == "cut" and data else b"")


DAMAGES = ("flipped", "cut", "emptied", "longer", "gone")
