"""Kills runs at random points, fills the disk and damages files, and counts what survives.

A trial survives if the resumed run ends with the same bytes in metrics.jsonl and the same weights, optimizer and best
checkpoint as a run that nobody disturbed.
Usage: scripts/torture [--kills 100] [--others 5] [--seed 0] [--folder DIR]
"""

import argparse
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mtl_cli import cli

for name in (
    "mtl_cli.runs.run",
    "mtl_cli.report.plots",
    "torchmetrics",
):  # once, here: each process is forked from this one
    importlib.import_module(name)

COMMON = [
    "trainer.device=cpu", "trainer.precision=fp32", "trainer.threads=1", "trainer.log_every=3", "data.workers=2",
    "ema.decay=0.98", "schedule.epoch_length=30", "trainer.max_epochs=3", "verbose=false",
]  # fmt: skip
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
}  # fmt: skip
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


class Process:
    """A real process, with a group of its own, that runs one command of mtl-train."""

    def __init__(self, arguments: list[str], log: Path, prepare: Callable[[], None] | None = None) -> None:
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
                code = cli.main(arguments)
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


def command(case: str, folder: Path) -> list[str]:
    """Return the arguments of mtl-train that start or continue a case in a folder."""
    return ["resume=auto", f"hydra.run.dir={folder}", *CASES[case]]


def whole(case: str, folder: Path) -> float:
    """Run a case undisturbed and return its seconds."""
    start = time.monotonic()
    if code := Process(command(case, folder), folder.with_suffix(".log")).wait():
        sys.exit(f"The undisturbed run of '{case}' ended with {code}: {folder.with_suffix('.log').read_text()[-2000:]}")
    return time.monotonic() - start


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


def finish(case: str, folder: Path, reference: Path) -> str:
    """Take a disturbed run to its end and return what is wrong with it, or an empty string."""
    code = Process(command(case, folder), folder.with_suffix(".log")).wait()
    return f"taken up again it ended with {code}" if code else difference(reference, folder)


def kill(case: str, scratch: Path, reference: Path, seconds: float, kills: int, chance: random.Random) -> Row:
    """SIGKILL a run and its workers at random points, `kills` times; a run that got to its end is compared."""
    row = Row(f"SIGKILL: {case}")
    runs = pending = 0
    while row.trials + pending < kills:
        folder = scratch / f"killed_{runs}"
        runs += 1
        code: int | None = -signal.SIGKILL
        while code == -signal.SIGKILL and row.trials + pending < kills:
            process = Process(command(case, folder), folder.with_suffix(".log"))
            end = process.started + chance.uniform(0.0, 1.1 * seconds)
            while (code := process.code()) is None and time.monotonic() < end:
                time.sleep(0.001)
            if code is None:
                process.send(signal.SIGKILL)
                code = process.wait()
                pending += 1
        problem = finish(case, folder, reference) if code in (0, -signal.SIGKILL) else f"a process ended with {code}"
        for _ in range(pending):
            row.count(problem)
        pending = 0
        shutil.rmtree(folder, ignore_errors=bool(problem))
    return row


def until(process: Process, folder: Path, step: int) -> bool:
    """Wait for a checkpoint at or after a step; False if the process ended first."""
    while process.code() is None:
        if any(int(path.stem[5:]) >= step for path in (folder / "checkpoints").glob("step_*.pt")):
            return True
        time.sleep(0.002)
    return False


def stop(case: str, scratch: Path, reference: Path, others: int, chance: random.Random) -> list[Row]:
    """Stop runs by signals, to the process alone or to its whole group."""
    rows = []
    for number, expected in SIGNALS.items():
        row = Row(f"{number.name}: exit code {expected}, status, resume")
        for trial in range(others):
            folder = scratch / f"stopped_{number.name}_{trial}"
            process = Process(command(case, folder), folder.with_suffix(".log"))
            alive = until(process, folder, chance.randrange(4, 60))
            if alive:
                process.send(number, group=trial % 2 == 0)
            problem = "" if alive and (code := process.wait()) == expected else f"ended with {code if alive else 'all'}"
            status = json.loads((folder / "status.json").read_text())
            if not problem and (status["status"], status["reason"]) != ("interrupted", number.name):
                problem = f"status.json says {status}"
            row.count(problem or finish(case, folder, reference))
        rows.append(row)
    return rows


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mount a small file system in memory at `folder`, where that is allowed."""
    folder.mkdir()
    mounted = os.system(f"mount -t tmpfs -o size={size} tmpfs '{folder}' 2>/dev/null") == 0
    try:
        yield mounted
    finally:
        if mounted:
            os.system(f"umount -l '{folder}'")


def fill(case: str, scratch: Path, reference: Path, others: int, chance: random.Random) -> Row:
    """Let the disk be full at a random point, then make room; without the right to mount, limit the size of files."""
    row = Row("full disk (ENOSPC): exit code 1, last checkpoint good")
    for trial in range(others):
        with small_disk(scratch / f"disk_{trial}", 2**26) as mounted:
            folder = scratch / f"disk_{trial}" / "run"
            log = scratch / f"disk_{trial}.log"
            step = chance.randrange(4, 60)
            if mounted:
                process = Process(command(case, folder), log)
                alive = until(process, folder, step)
                with (folder.parent / "ballast").open("wb", buffering=0) as file:
                    fill_up(file)
                code = process.wait()
                (folder.parent / "ballast").unlink()
            else:
                row.fault = "limit on file sizes (EFBIG): exit code 1, last checkpoint good"
                alive, limit = True, chance.randrange(2_000, 200_000)
                code = Process(command(case, folder), log, lambda limit=limit: limit_files(limit)).wait()
            text = log.read_text()
            problem = "" if alive and code == 1 else f"ended with {code}"
            if not problem and ("Traceback" in text or "Cannot" not in text):
                problem = f"its message: {text[-300:]}"
            row.count(problem or finish_elsewhere(case, folder, reference, log))
    return row


def fill_up(file: Any) -> None:  # noqa: ANN401  a file without a buffer
    """Write to a file until the disk is full."""
    for size in (2**20, 2**12, 1):
        try:
            while True:
                file.write(b"x" * size)
        except OSError:
            continue


def limit_files(size: int) -> None:
    """Let writing beyond a file's size fail."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def finish_elsewhere(case: str, folder: Path, reference: Path, log: Path) -> str:
    """Take up a run whose log lies apart."""
    code = Process(command(case, folder), log).wait()
    return f"taken up again it ended with {code}" if code else difference(reference, folder)


def flip(path: Path, chance: random.Random) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def cut(path: Path, chance: random.Random) -> None:
    """Truncate a file."""
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def damage(case: str, scratch: Path, reference: Path, others: int, chance: random.Random) -> list[Row]:
    """Damage the newest checkpoint, its pointer or the records of a run that was killed."""
    newest: Callable[[Path], Path] = lambda folder: max((folder / "checkpoints").glob("step_*.pt"))  # noqa: E731
    faults: dict[str, Callable[[Path], None]] = {
        "a flipped bit in the newest checkpoint": lambda folder: flip(newest(folder), chance),
        "a truncated newest checkpoint": lambda folder: cut(newest(folder), chance),
        "a truncated last.json": lambda folder: cut(folder / "checkpoints" / "last.json", chance),
        "half a line in metrics.jsonl": lambda folder: append(folder / "metrics.jsonl", b'{"kind": "tra'),
        "half a status.json": lambda folder: cut(folder / "status.json", chance),
    }
    rows = []
    for fault, harm in faults.items():
        row = Row(fault)
        for _ in range(others):
            folder = scratch / f"damaged_{len(rows)}_{row.trials}"
            process = Process(command(case, folder), folder.with_suffix(".log"))
            until(process, folder, chance.randrange(12, 60))
            process.send(signal.SIGKILL)
            process.wait()
            harm(folder)
            row.count(finish(case, folder, reference))
        rows.append(row)
    return rows


def append(path: Path, data: bytes) -> None:
    """Append to a file."""
    with path.open("ab") as file:
        file.write(data)


def second(case: str, scratch: Path, reference: Path, others: int, chance: random.Random) -> Row:
    """Start a second process in the directory of one that runs."""
    row = Row("a second process in one run directory: refused")
    for trial in range(others):
        folder = scratch / f"twice_{trial}"
        first = Process(command(case, folder), folder.with_suffix(".log"))
        until(first, folder, chance.randrange(4, 30))
        code = Process(command(case, folder), scratch / f"twice_{trial}_second.log").wait()
        problem = "" if code == 2 else f"the second ended with {code}"
        problem = problem or (f"the first ended with {code}" if (code := first.wait()) else "")
        row.count(problem or difference(reference, folder))
    return row


def table(rows: list[Row]) -> str:
    """Return the table of faults as text."""
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{width}}  trials  survived  lost"]
    lines += [
        f"{row.fault:{width}}  {row.trials:6}  {row.survived:8}  {row.trials - row.survived:4}  {row.note}"
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def torture(scratch: Path, kills: int, others: int, seed: int) -> list[Row]:
    """Return the table of all faults; `kills` over the two cases, `others` trials of every other fault."""
    torch.set_num_threads(1)  # before any thread pool exists that a fork would lose
    chance = random.Random(seed)
    rows = []
    for index, case in enumerate(CASES):
        folder = scratch / str(index)
        folder.mkdir(parents=True)
        reference = folder / "whole"
        seconds = whole(case, reference)
        number = kills // 2 + (kills % 2 if index == 0 else 0)
        rows.append(kill(case, folder, reference, seconds, number, chance))
        print(table(rows[-1:]), flush=True)
        if index == 0 and others:
            rows += stop(case, folder, reference, others, chance)
            rows.append(fill(case, folder, reference, others, chance))
            rows += damage(case, folder, reference, others, chance)
            rows.append(second(case, folder, reference, others, chance))
    return rows


def main() -> None:
    """Print the table; end with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs, over two configs")
    parser.add_argument("--others", type=int, default=5, help="trials of every other fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the runs go, and stay; a temporary one otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = torture(options.folder or Path(temporary), options.kills, options.others, options.seed)
    print(table(rows))
    sys.exit(any(row.survived < row.trials for row in rows))


if __name__ == "__main__":
    main()
