"""The runs that scripts/torture disturbs: their commands, processes, and the comparison with undisturbed ones."""

import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torture_files import write_data

from mtl_cli import cli

for name in (
    "mtl_cli.runs.run",
    "mtl_cli.report.curves",
    "torchmetrics",
    "pyarrow.parquet",
    "tokenizers",
    "PIL.Image",
):  # once, here: each process is forked from this one
    importlib.import_module(name)

BASE = [
    "trainer.device=cpu", "trainer.precision=fp32", "trainer.threads=1", "trainer.log_every=3", "data.workers=2",
    "ema.decay=0.98", "verbose=false",
]  # fmt: skip
COMMON = [*BASE, "schedule.epoch_length=30", "trainer.max_epochs=3"]
SHORT = [*BASE, "data.batch_size=16", "trainer.accumulate=2", "schedule.epoch_length=10", "trainer.max_epochs=2"]
CASES = {
    "two datasets, uncertainty": [
        "task=mnist_digits+letters", "backbone=mlp", "backbone.hidden=[16]", "backbone.dropout=0.1",
        "weighting=uncertainty", "data.batch_size=32", "save.every=4", *COMMON,
    ],
    "mixture of experts, dwa, accumulated": [
        "task=mnist_digits+letters", "backbone=mlp", "backbone.hidden=[16,16]", "sharing=mmoe",
        "weighting=dwa", "data.batch_size=16", "trainer.accumulate=2", "trainer.clip_norm=1.0",
        "save.every_minutes=0.002", "save.keep=3", *COMMON,
    ],
    "images of a folder, accumulated": [
        "--config-dir={data}/images", "task=round+size", "backbone=cnn", "backbone.channels=[4]", "backbone.dense=[8]",
        *(f"tasks.{task}.dataset.{option}" for task in ("round", "size")
          for option in ("memory_mb=0", "cache_dir={folder}.cache", "flip=0.5")),
        "save.every=4", "data.batch_size=16", "trainer.accumulate=2", *COMMON,
    ],
    "a table from its cache, accumulated": [
        "--config-dir={data}/table", "task=good+amount", "backbone=tabular", "backbone.hidden=[16]", "save.every=4",
        *(f"tasks.{task}.dataset.{option}" for task in ("good", "amount")
          for option in ("memory_mb=0", "cache_dir={folder}.cache")), *SHORT,
    ],
    "texts, accumulated": [
        "--config-dir={data}/texts", "task=has+many", "backbone=text_cnn", "save.every=4",
        *(f"tasks.{task}.dataset.cache_dir={{folder}}.cache" for task in ("has", "many")), *SHORT,
    ],
}  # fmt: skip
AIMED = {
    "packaged images, accumulated": [
        *CASES["mixture of experts, dwa, accumulated"][:5],
        "save.every=4",
        "weighting=dwa",
        *SHORT,
    ],
    "images of a folder, accumulated": [*CASES["images of a folder, accumulated"], *SHORT],
    **dict(list(CASES.items())[3:]),
}
"""Short runs, killed at every kind of file event."""
CACHED = ("a table from its cache, accumulated", "images of a folder, accumulated")
"""Cases whose table is read from a cache; so few texts are not kept in one."""
OTHERS = ("two datasets, uncertainty", "images of a folder, accumulated")
"""Cases that all other faults strike."""
DATA: list[Path] = []
"""Where the data of the cases is."""
SIGNALS = {signal.SIGTERM: 143, signal.SIGUSR1: 138, signal.SIGINT: 130}
HANG_SECONDS = 300.0


@dataclass
class Row:
    """A line of the table."""

    fault: str
    trials: int = 0
    survived: int = 0
    note: str = ""

    def count(self, problem: str) -> None:
        """Count a trial, which survived if there is no problem."""
        self.trials += 1
        self.survived += not problem
        if problem and not self.note:
            self.note = problem

    def add(self, other: "Row") -> None:
        """Count the trials of another row, too."""
        self.trials += other.trials
        self.survived += other.survived
        self.note = self.note or other.note


class Process:
    """A real process, with a group of its own, that runs one command."""

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        prepare: Callable[[], object] | None = None,
        program: Callable[[Sequence[str]], int] = cli.main,
    ) -> None:
        self.started = time.monotonic()
        self.id = os.fork()
        if self.id == 0:
            code = 99
            try:
                os.setsid()
                file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(file, 1)
                os.dup2(file, 2)
                if prepare is not None:
                    prepare()
                code = program(arguments)
            finally:
                os._exit(code)

    def code(self) -> int | None:
        """Return the exit code (negative: the signal that ended it), or None while it runs."""
        found, status = os.waitpid(self.id, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if found else None

    def wait(self) -> int:
        """Return the exit code when the process is over; one that hangs is killed."""
        while (code := self.code()) is None:
            if time.monotonic() - self.started > HANG_SECONDS:
                self.send(signal.SIGKILL)
            time.sleep(0.002)
        return code

    def send(self, number: signal.Signals, group: bool = True) -> None:
        """Send a signal to the process, or to it and its workers."""
        try:
            os.killpg(self.id, number) if group else os.kill(self.id, number)
        except ProcessLookupError:  # killed before it has made a group of its own
            os.kill(self.id, number)


def command(case: str, folder: Path, *more: str) -> list[str]:
    """Return the arguments of mtl-train that start or continue a case in a folder."""
    words = {**AIMED, **CASES}[case]
    data = DATA[0]
    return [
        *(word.replace("{data}", str(data)).replace("{folder}", str(folder)) for word in words),
        *("resume=auto", f"hydra.run.dir={folder}", *more),
    ]


def prepare_data(folder: Path, chance: random.Random) -> None:
    """Write the files of the cases, and the conf files on them."""
    write_data(folder, chance)
    DATA[:] = [folder]
    for name, words in {
        "table": [f"input={folder}/table.csv", "target=[good,amount]"],
        "images": [f"input={folder}/images.csv", "target=[round,size]"],
        "texts": [f"input={folder}/texts.jsonl", "target=[has,many]", "text=text"],
    }.items():
        log = folder / f"{name}.log"
        if Process([*words, f"output={folder}/{name}"], log, program=cli.main_init).wait():
            sys.exit(f"No conf files on {name}: {log.read_text()}")


def difference(one: Path, other: Path) -> str:
    """Return in what two finished runs differ, or an empty string."""
    if (one / "metrics.jsonl").read_bytes() != (other / "metrics.jsonl").read_bytes():
        return "metrics.jsonl differs"
    for name in ("last", "best"):
        left, right = (json.loads((path / "checkpoints" / f"{name}.json").read_text()) for path in (one, other))
        if left != right:
            return f"{name}.json differs"
        states = [torch.load(path / "checkpoints" / left["file"], weights_only=True) for path in (one, other)]
        for key in ("model", "ema", "optimizer", "weighting", "metrics_length"):
            if not equal(states[0][key], states[1][key]):
                return f"{key} of the {name} checkpoint differs"
    left, right = (json.loads((path / "summary.json").read_text()) for path in (one, other))
    return "" if all(left[key] == right[key] for key in ("test", "best_val", "steps")) else "summary.json differs"


def equal(one: Any, other: Any) -> bool:  # noqa: ANN401  any part of a checkpoint
    """Whether two states are the same, tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def finish(case: str, folder: Path, reference: Path, *more: str) -> str:
    """Take a disturbed run to its end and return what is wrong with it, or an empty string."""
    code = Process(command(case, folder, *more), folder.with_suffix(".log")).wait()
    return f"taken up again it ended with {code}" if code else difference(reference, folder)


def told(code: int, log: Path) -> str:
    """Return what is wrong with the end of a process."""
    return f"ended with {code}: {log.read_text()[-300:] if log.exists() else ''}"


def remove(folder: Path, keep: bool) -> None:
    """Remove a run with its cache, unless something went wrong with it."""
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(folder.with_name(f"{folder.name}.cache"), ignore_errors=True)


def table(rows: list[Row]) -> str:
    """Return the table of faults as text."""
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{width}}  trials  survived  lost"]
    lines += [
        f"{row.fault:{width}}  {row.trials:6}  {row.survived:8}  {row.trials - row.survived:4}  {row.note}"
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
