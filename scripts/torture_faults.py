"""The faults of scripts/torture: each function disturbs one run, takes it up again and returns a row of the table."""

import json
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torture_files import Moments, die, fill_disk, harm
from torture_runs import SIGNALS, Process, Row, command, difference, finish, remove, told


def kill(case: str, folder: Path, reference: Path, seconds: float, kills: int, seed: str) -> Row:
    """SIGKILL a run and its workers at random points, `kills` times; a run that got to its end is compared."""
    row, chance = Row(f"SIGKILL at random points: {case}"), random.Random(seed)
    runs = pending = 0
    while row.trials + pending < kills:
        run = folder.with_name(f"{folder.name}_{runs}")
        runs += 1
        code: int | None = -signal.SIGKILL
        while code == -signal.SIGKILL and row.trials + pending < kills:
            process = Process(command(case, run), run.with_suffix(".log"))
            end = process.started + chance.uniform(0.0, 1.1 * seconds)
            while (code := process.code()) is None and time.monotonic() < end:
                time.sleep(0.001)
            if code is None:
                process.send(signal.SIGKILL)
                code = process.wait()
                pending += 1
        problem = finish(case, run, reference) if code in (0, -signal.SIGKILL) else f"a process ended with {code}"
        for _ in range(pending):
            row.count(problem)
        pending = 0
        remove(run, bool(problem))
    return row


def aim(case: str, folder: Path, reference: Path, at: int) -> Row:
    """SIGKILL a run at one of the moments at which it changes files."""
    row = Row(f"SIGKILL at file events: {case}")
    return at_moment(row, case, folder, reference, at, die, (-9,))


def fill_from(case: str, folder: Path, reference: Path, at: int) -> Row:
    """Let the disk of a run be full from one of these moments on."""
    row = Row(f"full disk from such an event on: {case}")
    return at_moment(row, case, folder, reference, at, fill_disk, (0, 1, 2))


def at_moment(
    row: Row,
    case: str,
    folder: Path,
    reference: Path,
    at: int,
    fault: Callable[[Moments], None],
    codes: tuple[int, ...],
) -> Row:
    """Count one fault at a moment, after which a run ends with one of some codes."""
    log = folder.with_suffix(".log")
    code = Process(command(case, folder), log, lambda: Moments(at, fault)).wait()
    row.count(("" if code in codes else told(code, log)) or finish(case, folder, reference))
    remove(folder, bool(row.note))
    return row


def limit(case: str, folder: Path, reference: Path, size: int) -> Row:
    """Limit the size of all files, then not: `size` is at the border of a block."""
    row = Row(f"limit on file sizes at a block's border, then none: {case}")
    alone = "data.workers=0"  # the limit would count for the memory that workers share, too
    log = folder.with_suffix(".log")
    code = Process(command(case, folder, alone), log, lambda: limit_files(size)).wait()
    row.count(("" if code in (1, 2) else told(code, log)) or finish(case, folder, reference, alone))
    remove(folder, bool(row.note))
    return row


def damage_cache(case: str, folder: Path, reference: Path, file: Path, how: str, seed: str) -> Row:
    """Damage a file of a cache: the next run must end as the undisturbed one."""
    row = Row(f"a damaged cache: {case}")
    cache = folder.with_name(f"{folder.name}.cache")
    shutil.copytree(reference.with_name(f"{reference.name}.cache"), cache)
    harm(cache / file, how, random.Random(seed))
    problem = finish(case, folder, reference)
    row.count(problem and f"{file} {how}: {problem}")
    remove(folder, bool(problem))
    return row


def stop(case: str, folder: Path, reference: Path, number: signal.Signals, group: bool, seed: str) -> Row:
    """Stop a run by a signal, to the process alone or to its whole group."""
    expected = SIGNALS[number]
    row = Row(f"{number.name}, exit code {expected}: {case}")
    process = Process(command(case, folder), folder.with_suffix(".log"))
    alive = until(process, folder, random.Random(seed).randrange(4, 60))
    if alive:
        process.send(number, group=group)
    problem = "" if alive and (code := process.wait()) == expected else f"ended with {code if alive else 'all'}"
    status = json.loads((folder / "status.json").read_text())
    if not problem and (status["status"], status["reason"]) != ("interrupted", number.name):
        problem = f"status.json says {status}"
    row.count(problem or finish(case, folder, reference))
    return row


def until(process: Process, folder: Path, step: int) -> bool:
    """Wait for a checkpoint at or after a step; False if the process ended first."""
    while process.code() is None:
        if any(int(path.stem[5:]) >= step for path in (folder / "checkpoints").glob("step_*.pt")):
            return True
        time.sleep(0.002)
    return False


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


def fill(case: str, folder: Path, reference: Path, seed: str) -> Row:
    """Let the disk be full at a random point, then make room; without the right to mount, limit the size of files."""
    row, chance = Row(f"full disk (ENOSPC): exit code 1, last checkpoint good: {case}"), random.Random(seed)
    with small_disk(folder, 2**26) as mounted:
        run, log = folder / "run", folder.with_suffix(".log")
        if mounted:
            process = Process(command(case, run), log)
            alive = until(process, run, chance.randrange(4, 60))
            with (folder / "ballast").open("wb", buffering=0) as file:
                fill_up(file)
            code = process.wait()
            (folder / "ballast").unlink()
        else:
            row.fault = f"limit on file sizes (EFBIG): exit code 1, last checkpoint good: {case}"
            size = chance.randrange(2_000, 200_000)
            alive, code = True, Process(command(case, run), log, lambda: limit_files(size)).wait()
        text = log.read_text()
        problem = "" if alive and code == 1 else f"ended with {code}"
        if not problem and ("Traceback" in text or "Cannot" not in text):
            problem = f"its message: {text[-300:]}"
        row.count(problem or finish_elsewhere(case, run, reference, log))
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


def newest(folder: Path) -> Path:
    """Return the newest checkpoint of a run."""
    return max((folder / "checkpoints").glob("step_*.pt"))


def append(path: Path, data: bytes) -> None:
    """Append to a file."""
    with path.open("ab") as file:
        file.write(data)


FAULTS: dict[str, Callable[[Path, random.Random], None]] = {
    "a flipped bit in the newest checkpoint": lambda run, chance: harm(newest(run), "flipped", chance),
    "a truncated newest checkpoint": lambda run, chance: harm(newest(run), "cut", chance),
    "a truncated last.json": lambda run, chance: harm(run / "checkpoints" / "last.json", "cut", chance),
    "half a line in metrics.jsonl": lambda run, chance: append(run / "metrics.jsonl", b'{"kind": "tra'),
    "half a status.json": lambda run, chance: harm(run / "status.json", "cut", chance),
}
"""Damages to a run that was killed."""


def damage(case: str, folder: Path, reference: Path, fault: str, seed: str) -> Row:
    """Damage the newest checkpoint, its pointer or the records of a run that was killed."""
    row, chance = Row(f"{fault}: {case}"), random.Random(seed)
    process = Process(command(case, folder), folder.with_suffix(".log"))
    until(process, folder, chance.randrange(12, 60))
    process.send(signal.SIGKILL)
    process.wait()
    FAULTS[fault](folder, chance)
    row.count(finish(case, folder, reference))
    return row


def second(case: str, folder: Path, reference: Path, seed: str) -> Row:
    """Start a second process in the directory of one that runs."""
    row = Row(f"a second process in one run directory, refused: {case}")
    first = Process(command(case, folder), folder.with_suffix(".log"))
    until(first, folder, random.Random(seed).randrange(4, 30))
    code = Process(command(case, folder), folder.with_name(f"{folder.name}_second.log")).wait()
    problem = "" if code == 2 else f"the second ended with {code}"
    problem = problem or (f"the first ended with {code}" if (code := first.wait()) else "")
    row.count(problem or difference(reference, folder))
    return row
