"""Trains many methods on the shipped sets with equal budgets, and prints a table per set.

    python scripts/leaderboard.py [--sets multi_mnist,medicine] [--methods independent,fixed,scalarization,pcgrad]
                                  [--seeds 0,1,2] [--rates 0.001,0.003,0.01] [--jobs 4] [--output DIR] [override ...]

A method is a weighting, a sharing mode (with weighting=fixed) or `scalarization`, which is fixed weights that are
tuned. Each has the same budget: as many steps per run, and two tuning runs per rate of --rates, which are judged on
validation data alone and have other seeds than the runs that count. A method trains with each rate twice and takes the
one of the highest mean. `scalarization` trains with each rate once, with equal weights, and then at the best rate with
as many weights as there are rates; the first of them are equal, so that no choice is worse than none. Methods that
combine gradients run with weighting.match_norm=sum. Then the method trains once per seed, and its test metrics are
compared by the rule of mtl-report.

Everything is in DIR (runs/leaderboard): DIR/SET/METHOD holds the searches and the sweep over seeds, and a second call
goes on where the first stopped. The tables are in DIR/SET.md and DIR/SET.csv; they have no times, so that they are the
same, byte for byte, whenever the runs are made on one kind of machine. Further words are overrides of every run.
"""

import argparse
import csv
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import generate_examples
from compare import options, overrides_of
from leaderboard_table import INDEPENDENT, SCALARIZATION, write

from mtl_cli import cli
from mtl_cli.errors import EXIT_DONE
from mtl_cli.files import read_json

RATES = "0.001,0.003,0.01"
TUNING = (1000, 1001)
"""Seeds of tuning runs."""


@dataclass(frozen=True)
class ShippedSet:
    """A set that every installation has or can make, and the budget of a run on it."""

    words: tuple[str, ...]
    table: str = ""
    """Table below examples/ that generate_examples.py writes."""

    @property
    def first(self) -> str:
        """The task that methods with a primary task take."""
        return self.words[0].removeprefix("task=").partition("+")[0]


SETS = {
    "digits_letters": ShippedSet(
        ("task=mnist_digits+letters", "schedule.epoch_length=shortest", "trainer.max_epochs=4")
    ),
    "multi_mnist": ShippedSet(("task=multi_mnist_left+multi_mnist_right", "trainer.max_epochs=4")),
    "scenes": ShippedSet(
        ("task=scenes_segmentation+scenes_depth+scenes_normals", "backbone=unet", "data.batch_size=16",
         "trainer.max_epochs=2"),
    ),
    "medicine": ShippedSet(("experiment=medicine",), "medicine"),
    "recommendation": ShippedSet(("experiment=recommendation",), "recommendation"),
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """All runs of one method on one set."""

    name: str
    method: str
    words: tuple[str, ...]
    rates: tuple[str, ...]
    seeds: str
    folder: Path

    @property
    def final(self) -> Path:
        """The sweep whose runs count."""
        return self.folder / "final"

    def run(self) -> str:
        """Tune, then train once per seed; return what went wrong, or an empty string."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            (self.folder / "log.txt").open("a") as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            found = self.scalarized() if self.method == SCALARIZATION else self.tuned(TUNING)
            if not found:
                return f"no run of tuning has a score, see {log.name}"
            code = cli.main([*self.common(), *found, f"seed={self.seeds}", f"hydra.sweep.dir={self.final}"])
        return "" if code == EXIT_DONE else f"a run failed, see {log.name}"

    def common(self) -> list[str]:
        """Return what all runs have in common."""
        return ["-m", *self.words, "trainer.threads=1", "quiet=true"]

    def tuned(self, seeds: Sequence[int]) -> list[str]:
        """Return the override of the rate whose mean score over some seeds is the highest."""
        scores: dict[str, list[float]] = {}
        for seed in seeds:
            rates = ",".join(self.rates)
            place = self.folder / f"rates_{seed}"
            cli.main(
                [*self.common(), "search=grid", f"optimizer.lr={rates}", f"seed={seed}", f"hydra.sweep.dir={place}"]
            )
            for line in _lines(place / "pareto.csv"):
                scores.setdefault(line["optimizer.lr"], []).append(float(line["score"]))
        whole = {rate: sum(own) / len(own) for rate, own in scores.items() if len(own) == len(seeds)}
        return [f"optimizer.lr={max(whole, key=whole.__getitem__)}"] if whole else []

    def scalarized(self) -> list[str]:
        """Return the overrides of the best weights at the best rate; equal weights are among those that are tried."""
        rate = self.tuned(TUNING[:1])
        if not rate:
            return []
        place = self.folder / "weights"
        search = ["search=scalarization", f"search.trials={len(self.rates)}", "search.prune=false"]
        cli.main([*self.common(), *search, *rate, f"seed={TUNING[0]}", f"hydra.sweep.dir={place}"])
        winner = read_json(place / "search.json").get("winner") or {}
        return [*rate, *(f"{key}={value}" for key, value in winner["overrides"].items())] if winner else []


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def plans_of(name: str, chosen: argparse.Namespace) -> list[Plan]:
    """Return what is to be run on a set."""
    shipped = SETS[name]
    modes, weightings = options("sharing"), options("weighting")
    plans = []
    for method in chosen.methods:
        if method == SCALARIZATION:
            own: tuple[str, ...] = ()
        elif method in weightings:
            own = (f"weighting={method}", *overrides_of("weighting", method, shipped.first))
            own += ("weighting.warmup_epochs=1",) if method == "stch" else ()
        elif method in modes:
            own = (f"sharing={method}", *overrides_of("sharing", method, shipped.first))
        else:
            raise SystemExit(f"There is no method '{method}'. Use {SCALARIZATION}, {', '.join([*modes, *weightings])}.")
        words = (*shipped.words, *own, *chosen.overrides)
        plans.append(Plan(name, method, words, chosen.rates, chosen.seeds, chosen.output / name / method))
    return plans


def make(shipped: ShippedSet) -> None:
    """Write the table of a set where it is missing."""
    path = Path("examples", f"{shipped.table}.csv")
    if shipped.table and not path.exists():
        path.parent.mkdir(exist_ok=True)
        generate_examples.write(path, getattr(generate_examples, shipped.table)()[0])


def finished(plans: Sequence[Plan], jobs: int) -> Iterator[tuple[Plan, str]]:
    """Yield each plan when it is done, with what went wrong."""
    if jobs == 1:
        yield from ((plan, plan.run()) for plan in plans)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = {pool.submit(plan.run): plan for plan in plans}
        for each in as_completed(running):
            yield running[each], each.result()


def read_arguments() -> argparse.Namespace:
    """Return the command line."""
    every = [INDEPENDENT, SCALARIZATION, *options("weighting")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS), help=f"of {', '.join(SETS)}; all by default")
    parser.add_argument(
        "--methods", default=",".join(every), help="independent, scalarization and all weightings by default"
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rates", default=RATES, help="learning rates that every method is tuned over")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with a method at a time")
    parser.add_argument("--output", type=Path, default=Path("runs/leaderboard"))
    parser.add_argument("overrides", nargs="*", help="further overrides of every run")
    chosen = parser.parse_intermixed_args()
    chosen.sets, chosen.methods, chosen.rates = (
        tuple(dict.fromkeys(text.split(","))) for text in (chosen.sets, chosen.methods, chosen.rates)
    )
    if unknown := [name for name in chosen.sets if name not in SETS]:
        parser.error(f"there is no set '{unknown[0]}'; the sets are {', '.join(SETS)}")
    return chosen


def main() -> None:
    """Run what is missing and print the tables."""
    chosen = read_arguments()
    plans = [plan for name in chosen.sets for plan in plans_of(name, chosen)]
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in chosen.sets:
        make(SETS[name])
    left = {name: sum(plan.name == name for plan in plans) for name in chosen.sets}
    for plan, wrong in finished(plans, chosen.jobs):
        left[plan.name] -= 1
        print(f"{plan.name}, {plan.method}: {wrong or 'done'}", file=sys.stderr, flush=True)
        if not left[plan.name]:
            own = {each.method: each.final for each in plans if each.name == plan.name}
            print(f"\n### {plan.name}\n\n{write(plan.name, own, chosen.output)}", flush=True)


if __name__ == "__main__":
    main()
