"""Trains in float32 and in bf16 over seeds and prints test accuracy and speed of both.

    python scripts/compare_precision.py [--task mnist_digits+letters] [--epochs 6] [--seeds 0,1,2] [--output DIR]

trainer.precision=auto chooses bf16 from the flags of the hardware alone. This script checks that it costs no accuracy.
The runs are a sweep of mtl-train in DIR, so that a second call continues where the first stopped.
"""

import statistics

from compare import cell, parser_of, sweep


def main() -> None:
    """Run the sweep and print the table."""
    chosen = parser_of(__doc__, "mnist_digits+letters", 6).parse_intermixed_args()
    folder = chosen.output / f"precision_{chosen.task}_{chosen.epochs}"
    common = [f"task={chosen.task}", f"trainer.max_epochs={chosen.epochs}", *chosen.overrides]
    found = sweep(folder, [*common, f"seed={chosen.seeds}", "trainer.precision=fp32,bf16"])
    runs = {name: [run for line, run in found if line["trainer.precision"] == name] for name in ("fp32", "bf16")}
    tasks = chosen.task.split("+")
    lines = [
        f"| precision | {' | '.join(f'{task}, accuracy %' for task in tasks)} | samples/s |",
        f"|{' --- |' * (len(tasks) + 2)}",
    ]
    for name, own in runs.items():
        cells = []
        for task in tasks:
            reference, values = ([100 * run["test"][f"{task}/accuracy"] for run in of] for of in (runs["fp32"], own))
            cells.append(cell(values, values if name == "fp32" else reference))
        rate = statistics.median(run["samples_per_second"] for run in own)
        lines.append(f"| {name} | {' | '.join(cells)} | {rate:.0f} |")
    lines.append("\n↑ ↓: mean ± std does not overlap that of fp32; else no difference.")
    (folder / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
