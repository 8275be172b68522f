"""Kills runs at random points and at every kind of file event, fills the disk and damages files and caches.

It counts what survives.

A trial survives if the resumed run ends with the same bytes in metrics.jsonl and the same weights, optimizer and best
checkpoint as a run that nobody disturbed.
Usage: scripts/torture [--kills 200] [--aimed 60] [--others 5] [--seed 0] [--folder DIR]
"""

import argparse
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
from pathlib import Path
from typing import Any

import torch
from torture_files import BLOCKS, DAMAGES, Moments, chosen, die, fill_disk, harm, number_of_kinds
from torture_runs import (
    AIMED,
    CACHED,
    CASES,
    SIGNALS,
    Process,
    Row,
    command,
    difference,
    finish,
    prepare_data,
    remove,
    table,
    told,
    whole,
)


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
        remove(folder, bool(problem))
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
    for fault, damage_run in faults.items():
        row = Row(fault)
        for _ in range(others):
            folder = scratch / f"damaged_{len(rows)}_{row.trials}"
            process = Process(command(case, folder), folder.with_suffix(".log"))
            until(process, folder, chance.randrange(12, 60))
            process.send(signal.SIGKILL)
            process.wait()
            damage_run(folder)
            row.count(finish(case, folder, reference))
        rows.append(row)
    return rows


def aim(case: str, scratch: Path, most: int, chance: random.Random) -> list[Row]:
    """Kill a run, or fill its disk, at every kind of moment at which it changes files, `most` of them at most."""
    reference, log = scratch / "whole", scratch / "moments"
    watched = Process(command(case, reference), reference.with_suffix(".log"), lambda: Moments(-1, die, log))
    if code := watched.wait():
        sys.exit(f"The watched run of '{case}' ended with {code}: {reference.with_suffix('.log').read_text()[-2000:]}")
    kinds = number_of_kinds(log)
    killed = Row(f"SIGKILL at {min(most, kinds)} of {kinds} kinds of file events: {case}")
    full = Row(f"full disk from such an event on: {case}")
    for row, fault, codes in ((killed, die, (-9,)), (full, fill_disk, (0, 1, 2))):
        for at in chosen(log, most, chance):
            folder = scratch / f"{'full' if row is full else 'aimed'}_{at}"
            text = folder.with_suffix(".log")
            code = Process(command(case, folder), text, lambda at=at, fault=fault: Moments(at, fault)).wait()
            row.count(("" if code in codes else told(code, text)) or finish(case, folder, reference))
            remove(folder, bool(row.note))
    limited = Row(f"limit on file sizes at a block's border, then none: {case}")
    alone = "data.workers=0"  # the limit would count for the memory that workers share, too
    for size in chance.sample(BLOCKS, min(most, len(BLOCKS))):
        folder = scratch / f"limit_{size}"
        text = folder.with_suffix(".log")
        code = Process(command(case, folder, alone), text, lambda size=size: limit_files(size)).wait()
        limited.count(("" if code in (1, 2) else told(code, text)) or finish(case, folder, reference, alone))
        remove(folder, bool(limited.note))
    return [killed, full, limited]


def damage_cache(case: str, scratch: Path, most: int, chance: random.Random) -> Row:
    """Damage each file of a cache in each way, `most` times at most: the next run must end as the undisturbed one."""
    row = Row(f"a damaged cache: {case}")
    reference = scratch / "whole"
    cache = reference.with_name("whole.cache")
    files = sorted(path.relative_to(cache) for path in cache.rglob("*") if path.is_file())
    trials = [(file, how) for file in files for how in DAMAGES]
    for number, (file, how) in enumerate(chance.sample(trials, min(most, len(trials)))):
        folder = scratch / f"cache_{number}"
        shutil.copytree(cache, folder.with_name(f"{folder.name}.cache"))
        harm(folder.with_name(f"{folder.name}.cache") / file, how, chance)
        problem = finish(case, folder, reference)
        row.count(problem and f"{file} {how}: {problem}")
        remove(folder, bool(problem))
    return row


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


def torture(scratch: Path, kills: int, aimed: int, others: int, seed: int) -> list[Row]:
    """Return the table of all faults.

    `kills` are divided among the cases; `aimed` is the most kinds of file events per case, and of damages to a cache;
    `others` are the trials of every other fault.
    """
    torch.set_num_threads(1)  # before any thread pool exists that a fork would lose
    chance = random.Random(seed)
    rows = []
    prepare_data(scratch / "data", random.Random(seed))
    for index, case in enumerate(AIMED if aimed else ()):
        folder = scratch / f"aimed_{index}"
        folder.mkdir()
        found = aim(case, folder, aimed, chance)
        if case == CACHED:
            found.append(damage_cache(case, folder, aimed, chance))
        print(table(found), flush=True)
        rows += found
    for index, case in enumerate(CASES if kills or others else ()):
        folder = scratch / str(index)
        folder.mkdir(parents=True)
        reference = folder / "whole"
        seconds = whole(case, reference)
        number = kills // len(CASES) + (kills % len(CASES) if index == 0 else 0)
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
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs at random points, over all configs")
    parser.add_argument("--aimed", type=int, default=60, help="most kinds of file events per config")
    parser.add_argument("--others", type=int, default=5, help="trials of every other fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the runs go, and stay; a temporary one otherwise")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = torture(options.folder or Path(temporary), options.kills, options.aimed, options.others, options.seed)
    print(table(rows))
    sys.exit(any(row.survived < row.trials for row in rows))


if __name__ == "__main__":
    main()
