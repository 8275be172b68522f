"""Kills runs at random points and at every kind of file event, fills the disk and damages files and caches.

It counts what survives.

A trial survives if the resumed run ends with the same bytes in metrics.jsonl and the same weights, optimizer and best
checkpoint as a run that nobody disturbed.
Usage: scripts/torture [--kills 200] [--aimed 60] [--others 5] [--seed 0] [--jobs 1] [--minutes M] [--folder DIR]
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import torch
from torture_faults import FAULTS, aim, damage, damage_cache, fill, fill_from, kill, limit, second, stop
from torture_files import BLOCKS, DAMAGES, Moments, chosen, die, number_of_kinds
from torture_runs import AIMED, CACHED, CASES, OTHERS, SIGNALS, Process, Row, command, prepare_data, table

Trial = Callable[[], Row]
KILLS_TOGETHER = 4
"""Random kills in one trial, so that a run is killed several times."""
SHOWN_EVERY = 20.0
"""Seconds between tables while trials go on."""


def undisturbed(folder: Path, case: str) -> float:
    """Run a case undisturbed, with a log of its moments; return its seconds."""
    reference = folder / "whole"
    folder.mkdir(parents=True)
    process = Process(
        command(case, reference), reference.with_suffix(".log"), lambda: Moments(-1, die, moments(folder))
    )
    if code := process.wait():
        sys.exit(
            f"The undisturbed run of '{case}' ended with {code}: {reference.with_suffix('.log').read_text()[-2000:]}"
        )
    return time.monotonic() - process.started


def moments(folder: Path) -> Path:
    """Return where the moments of a case's undisturbed run are listed."""
    return folder / "moments"


def trials(
    folders: dict[str, Path], seconds: dict[str, float], kills: int, aimed: int, others: int, seed: int
) -> Iterator[Trial]:
    """Yield all trials; each has a stream of random numbers of its own."""
    for case, folder in folders.items():
        reference, chance = folder / "whole", random.Random(f"{seed} {case}")
        if case in CASES:
            share = kills // len(CASES) + (list(CASES).index(case) < kills % len(CASES))
            for at in range(0, share, KILLS_TOGETHER):
                number = min(KILLS_TOGETHER, share - at)
                yield partial(
                    kill, case, folder / f"killed_{at}", reference, seconds[case], number, f"{seed} {case} {at}"
                )
        if case in AIMED:
            for at in chosen(moments(folder), aimed, chance):
                yield partial(aim, case, folder / f"aimed_{at}", reference, at)
            for at in chosen(moments(folder), aimed, chance):
                yield partial(fill_from, case, folder / f"full_{at}", reference, at)
            for size in chance.sample(BLOCKS, min(aimed, len(BLOCKS))):
                yield partial(limit, case, folder / f"limit_{size}", reference, size)
        if case in CACHED:
            yield from cache_trials(case, folder, aimed, chance, seed)
        if case in OTHERS:
            yield from other_trials(case, folder, others, seed)


def cache_trials(case: str, folder: Path, most: int, chance: random.Random, seed: int) -> Iterator[Trial]:
    """Yield damages of each file of a cache in each way, at most `most` of them."""
    cache = folder / "whole.cache"
    files = sorted(path.relative_to(cache) for path in cache.rglob("*") if path.is_file())
    ways = [(file, how) for file in files for how in DAMAGES]
    for number, (file, how) in enumerate(chance.sample(ways, min(most, len(ways)))):
        yield partial(damage_cache, case, folder / f"cache_{number}", folder / "whole", file, how, f"{seed} {number}")


def other_trials(case: str, folder: Path, others: int, seed: int) -> Iterator[Trial]:
    """Yield signals, full disks, damages of what a killed run left, and second processes."""
    reference = folder / "whole"
    for trial in range(others):
        own = f"{seed} {case} {trial}"
        for number in SIGNALS:
            yield partial(stop, case, folder / f"{number.name}_{trial}", reference, number, trial % 2 == 0, own)
        yield partial(fill, case, folder / f"disk_{trial}", reference, own)
        for index, fault in enumerate(FAULTS):
            yield partial(damage, case, folder / f"damaged_{index}_{trial}", reference, fault, own)
        yield partial(second, case, folder / f"twice_{trial}", reference, own)


def perform(trial: Trial, end: float) -> Row | None:
    """Return the row of a trial, or None after the end of the time."""
    return trial() if time.monotonic() < end else None


def torture(scratch: Path, kills: int, aimed: int, others: int, seed: int, jobs: int, minutes: float) -> list[Row]:
    """Return the table of all faults.

    `kills` are divided among the cases; `aimed` is the most kinds of file events per case, and of damages to a cache;
    `others` are the trials of every other fault. No trial starts after so many `minutes`.
    """
    torch.set_num_threads(1)  # before any thread pool exists that a fork would lose
    end = time.monotonic() + 60 * minutes
    prepare_data(scratch / "data", random.Random(seed))
    wanted = [*(CASES if kills else ()), *(AIMED if aimed else ()), *(OTHERS if others else ())]
    folders = {case: scratch / str(index) for index, case in enumerate(dict.fromkeys(wanted))}
    rows: dict[str, Row] = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        seconds = dict(zip(folders, pool.map(undisturbed, folders.values(), folders), strict=True))
        for case in AIMED if aimed else ():
            print(f"{number_of_kinds(moments(folders[case]))} kinds of file events: {case}", flush=True)
        tasks = list(trials(folders, seconds, kills, aimed, others, seed))
        random.Random(seed).shuffle(tasks)  # so that a part of them is a part of each
        shown = time.monotonic()
        for each in as_completed([pool.submit(perform, task, end) for task in tasks]):
            if (row := each.result()) is not None:
                rows.setdefault(row.fault, Row(row.fault)).add(row)
            if time.monotonic() > shown + SHOWN_EVERY:
                shown = time.monotonic()
                print(table(list(rows.values())), flush=True)
    return [rows[fault] for fault in sorted(rows, key=lambda fault: (fault.partition(": ")[2], fault))]


def main() -> None:
    """Print the table; end with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs at random points, over all configs")
    parser.add_argument("--aimed", type=int, default=60, help="most kinds of file events per config")
    parser.add_argument("--others", type=int, default=5, help="trials of every other fault, on two configs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes that disturb runs side by side")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="no trial starts after so many")
    parser.add_argument("--folder", type=Path, help="where the runs go, and stay; a temporary one otherwise")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        rows = torture(folder, given.kills, given.aimed, given.others, given.seed, given.jobs, given.minutes)
    print(table(rows))
    trials, survived = sum(row.trials for row in rows), sum(row.survived for row in rows)
    print(f"{survived} of {trials} survived.")
    sys.exit(survived < trials)


if __name__ == "__main__":
    main()
