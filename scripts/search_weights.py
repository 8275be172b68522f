"""Searches the weights of mnist_digits and letters, and then trains what was found beside equal weights.

    python scripts/search_weights.py [FOLDER]

1. `search=scalarization`: 20 weights on the simplex, on validation data, hopeless ones pruned.
2. Unless equal weights win, the winner and equal weights with five seeds each, and the verdict on them (`mtl-report`).

FOLDER (runs/search_weights by default) then holds weights/pareto.png, weights/pareto.csv, weights/search.json and the
report. Everything resumes where it was interrupted. Figures belong into mtl_cli/commands/search/README.md, with the
time that is printed and the hardware.
"""

import json
import sys
import time
from pathlib import Path

from mtl_cli import cli

TASKS = ("mnist_digits", "letters")
COMMON = [f"task={'+'.join(TASKS)}", "schedule.epoch_length=shortest", "trainer.max_epochs=4", "quiet=true"]
SEEDS = "0,1,2,3,4"


def run(words: list[str]) -> None:
    """Run mtl-train with these words; end where it fails."""
    print("mtl-train " + " ".join(words), flush=True)
    if code := cli.main(words):
        sys.exit(code)


def main(folder: Path) -> None:
    """Search, then compare."""
    start = time.monotonic()
    search = folder / "weights"
    run(["-m", *COMMON, "search=scalarization", "search.trials=20", f"hydra.sweep.dir={search}"])
    print(f"the search took {time.monotonic() - start:.0f} s", flush=True)
    winner = json.loads((search / "search.json").read_text(encoding="utf-8"))["winner"]["overrides"]
    equal = {f"tasks.{task}.weight": "0.5" for task in TASKS}
    if winner == equal:
        print("Equal weights, the first trial, have won: nothing is left to compare.")
        return
    for name, weights in (("equal", equal), ("found", winner)):
        own = [f"{key}={value}" for key, value in weights.items()]
        run(["-m", *COMMON, *own, f"seed={SEEDS}", f"hydra.sweep.dir={folder / name}"])
    words = [
        str(folder / "found"),
        str(folder / "equal"),
        f"baseline={folder / 'equal'}",
        f"output={folder / 'report'}",
    ]
    print("mtl-report " + " ".join(words), flush=True)
    sys.exit(cli.main_report(words))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/search_weights"))
