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
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import generate_examples
from compare import options, overrides_of
from leaderboard_table import INDEPENDENT, SCALARIZATION, write

from mtl_cli import cli
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
    seeds: tuple[str, ...]
    folder: Path

    @property
    def final(self) -> Path:
        """The sweep whose runs count."""
        return self.folder / "final"

    @property
    def wrong(self) -> str:
        """What keeps it from being done, or an empty string."""
        done = len(list(self.final.glob("*/summary.json")))
        return "" if done == len(self.seeds) else f"{done} of {len(self.seeds)} runs are done, see {self.folder}/*.log"

    def stages(self) -> Iterator[dict[str, list[str]]]:
        """Yield the commands of each stage by name. They are independent; the next stage needs their results."""
        if self.method == SCALARIZATION:
            yield self.tuning(TUNING[:1])
            found = self.best_rate(TUNING[:1])
            yield {"weights": self.weighing(found)} if found else {}
            found += self.best_weights()
        else:
            yield self.tuning(TUNING)
            found = self.best_rate(TUNING)
        if found:
            yield {f"final_{seed}": [*self.common(self.final), *found, f"seed={seed}"] for seed in self.seeds}

    def common(self, place: Path) -> list[str]:
        """Return what all runs have in common."""
        return ["-m", *self.words, "trainer.threads=1", "quiet=true", f"hydra.sweep.dir={place}"]

    def tuning(self, seeds: Sequence[int]) -> dict[str, list[str]]:
        """Return a command per seed that trains with each rate."""
        names = {f"rates_{seed}": seed for seed in seeds}
        rates = ["search=grid", f"optimizer.lr={','.join(self.rates)}"]
        return {name: [*self.common(self.folder / name), *rates, f"seed={seed}"] for name, seed in names.items()}

    def best_rate(self, seeds: Sequence[int]) -> list[str]:
        """Return the override of the rate whose mean score over some seeds is the highest; none where all failed."""
        scores: dict[str, list[float]] = {}
        for seed in seeds:
            for line in _lines(self.folder / f"rates_{seed}" / "pareto.csv"):
                scores.setdefault(line["optimizer.lr"], []).append(float(line["score"]))
        whole = {rate: sum(own) / len(own) for rate, own in scores.items() if len(own) == len(seeds)}
        return [f"optimizer.lr={max(whole, key=whole.__getitem__)}"] if whole else []

    def weighing(self, rate: Sequence[str]) -> list[str]:
        """Return the command that tries as many weights as there are rates; the first of them are equal."""
        search = ["search=scalarization", f"search.trials={len(self.rates)}", "search.prune=false"]
        return [*self.common(self.folder / "weights"), *search, *rate, f"seed={TUNING[0]}"]

    def best_weights(self) -> list[str]:
        """Return the overrides of the best weights that were tried."""
        winner = read_json(self.folder / "weights" / "search.json").get("winner") or {"overrides": {}}
        return [f"{key}={value}" for key, value in winner["overrides"].items()]


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


def run(log: Path, words: Sequence[str]) -> None:
    """Run mtl-train with some words; what it prints goes into a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file, redirect_stdout(file), redirect_stderr(file):
        cli.main(words)


def finished(plans: Sequence[Plan], jobs: int) -> Iterator[Plan]:
    """Yield each plan when it is done; `jobs` processes run the commands of all of them."""
    stages = {id(plan): plan.stages() for plan in plans}
    running: dict[Future[None], Plan] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:

        def begin(plan: Plan) -> bool:
            """Start the next stage of a plan; return whether there is one."""
            commands = next((stage for stage in stages[id(plan)] if stage), {})
            running.update({pool.submit(run, plan.folder / f"{name}.log", own): plan for name, own in commands.items()})
            return bool(commands)

        for plan in plans:
            begin(plan)
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                done.result()
                plan = running.pop(done)
                if plan not in running.values() and not begin(plan):
                    yield plan


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
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with a sweep at a time")
    parser.add_argument("--output", type=Path, default=Path("runs/leaderboard"))
    parser.add_argument("overrides", nargs="*", help="further overrides of every run")
    chosen = parser.parse_intermixed_args()
    for name in ("sets", "methods", "rates", "seeds"):
        setattr(chosen, name, tuple(dict.fromkeys(getattr(chosen, name).split(","))))
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
    for plan in finished(plans, chosen.jobs):
        left[plan.name] -= 1
        print(f"{plan.name}, {plan.method}: {plan.wrong or 'done'}", file=sys.stderr, flush=True)
        if not left[plan.name]:
            own = {each.method: each.final for each in plans if each.name == plan.name}
            print(f"\n### {plan.name}\n\n{write(plan.name, own, chosen.output)}", flush=True)


if __name__ == "__main__":
    main()
