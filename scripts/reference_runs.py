"""Compares `metrics.jsonl` of eight short runs with what was recorded: a refactoring leaves the same bytes.

The runs cover sharing modes, weightings, schedules and kinds of data, with accumulation, averaged weights and a resume.
They take one thread and float32. On another processor or version of torch sums are rounded differently, so numbers are
compared there to within a tolerance.

Usage: scripts/reference_runs [--record] [--only NAME]
  --record writes tests/reference/ anew, after a change that is meant to move numbers, in a commit that says so
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generate_examples
import generate_texts
import numpy as np
import torch

from mtl_cli import cli

FOLDER = Path(__file__).parent.parent / "tests" / "reference"
COMMON = [
    "trainer.device=cpu", "trainer.precision=fp32", "trainer.threads=1", "trainer.log_every=4", "quiet=true",
    "trainer.max_steps=24", "schedule.epoch_length=12", "data.batch_size=24",
]  # fmt: skip
RUNS = {
    "images_hard_fixed": ["task=mnist_digits+letters", "backbone=cnn", "backbone.channels=[8,8]"],
    "images_cross_stitch_uncertainty": [
        "task=mnist_digits+letters", "backbone=lenet", "sharing=cross_stitch", "weighting=uncertainty",
        "ema.decay=0.9", "trainer.accumulate=2", "tasks.letters.weight=0.5",
    ],
    "images_mtan_pcgrad_resumed": [
        "task=multi_mnist_left+multi_mnist_right", "backbone=cnn", "backbone.channels=[8,8]", "sharing=mtan",
        "weighting=pcgrad", "save.every=7", "save.keep=9",
    ],
    "images_mmoe_mgda_features": [
        "task=multi_mnist_left+multi_mnist_right", "backbone=mlp", "backbone.hidden=[32,32]", "sharing=mmoe",
        "weighting=mgda", "weighting.level=features",
    ],
    "tables_ple_cagrad": [
        "experiment=medicine", "backbone.hidden=[32,32,32]", "sharing=ple", "weighting=cagrad", "trainer.accumulate=2",
    ],
    "tables_dselect_k_famo": [
        "experiment=recommendation", "backbone.hidden=[32,32]", "sharing=dselect_k", "weighting=famo", "ema.decay=0.9",
    ],
    "texts_hierarchical_dwa": ["experiment=text", "weighting=dwa", "schedule=round_robin"],
    "arrays_adapters_upgrad": [
        "--config-dir", "conf", "task=made_up", "backbone=mlp", "backbone.hidden=[16]", "sharing=adapters",
        "weighting=upgrad", "optimizer=sgd", "optimizer.lr=0.05",
    ],
}  # fmt: skip
RESUMED_FROM = "step_00000014.pt"
TOLERANCE = 2e-2
"""Of numbers from another processor: 24 steps amplify what is rounded otherwise."""


def main() -> int:
    """Run, and record or compare; return how many runs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write tests/reference/ anew")
    parser.add_argument("--only", choices=list(RUNS), help="one of the runs")
    options = parser.parse_args()
    differ = 0
    for name in [options.only] if options.only else list(RUNS):
        found = run(name)
        if options.record:
            FOLDER.mkdir(parents=True, exist_ok=True)
            (FOLDER / f"{name}.jsonl").write_bytes(found)
            (FOLDER / "machine.json").write_text(json.dumps(machine(), indent=2) + "\n", encoding="utf-8")
            continue
        problem = difference(name, found)
        differ += problem is not None
        print(f"{name}: {problem or 'the same'}")
    return int(differ > 0)


def machine() -> dict[str, str]:
    """Return what the last bits of a sum depend on."""
    instructions = torch.backends.cpu.get_cpu_capability()
    return {"torch": str(torch.__version__), "cpu": instructions, "processor": processor()}


def processor() -> str:
    """Return maker, family and model, by which libraries choose their arithmetic; the architecture, if none is told."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    told = [line.partition(":") for line in lines[: lines.index("")]]
    return " ".join(value.strip() for key, _, value in told if key.strip() in ("vendor_id", "cpu family", "model"))


def run(name: str) -> bytes:
    """Return the metrics.jsonl of a run, made in a temporary folder."""
    with tempfile.TemporaryDirectory() as temporary:
        here = Path.cwd()
        os.chdir(temporary)
        try:
            make_data(Path(temporary))
            out = Path(temporary) / "run"
            arguments = [*RUNS[name], *COMMON, f"hydra.run.dir={out}"]
            check(cli.main(arguments), name)
            if name.endswith("_resumed"):
                whole = (out / "metrics.jsonl").read_bytes()
                check(cli.main([f"resume={out / 'checkpoints' / RESUMED_FROM}", "quiet=true"]), name)
                assert (out / "metrics.jsonl").read_bytes() == whole, "the resumed run is not the undisturbed one"
            return (out / "metrics.jsonl").read_bytes()
        finally:
            os.chdir(here)


def check(code: int, name: str) -> None:
    """Stop where a run failed."""
    if code:
        sys.exit(f"{name} ended with exit code {code}")


def make_data(folder: Path) -> None:
    """Write the made-up tables, texts and arrays that the runs read."""
    examples = folder / "examples"
    examples.mkdir()
    generate_examples.write(examples / "recommendation.csv", generate_examples.recommendation(rows=2_000)[0])
    generate_examples.write(examples / "medicine.csv", generate_examples.medicine(rows=1_000)[0])
    generate_texts.write(examples, rows=600, sentences=300)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 12)).astype(np.float32)
    y = (x[:, :3] @ rng.normal(size=(3, 2)) + 0.1 * rng.normal(size=(600, 2))).astype(np.float32)
    y[rng.random((600, 2)) < 0.2] = np.nan
    labels = (x[:, 3:6] > 0).astype(np.int64)
    np.savez(folder / "arrays.npz", x=x, y=y, labels=labels)
    conf = folder / "conf" / "task"
    conf.mkdir(parents=True, exist_ok=True)
    (conf / "made_up.yaml").write_text(ARRAYS, encoding="utf-8")


ARRAYS = """# @package _global_
defaults:
  - /dataset@tasks.y.dataset: arrays
  - /dataset@tasks.labels.dataset: arrays
tasks:
  y:
    _target_: mtl_cli.tasks.regression.HuberRegression
    target: y
    weight: 1.0
    delta: 1.0
    head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: [8], dropout: 0.1, activation: relu, init: default}
    dataset: &arrays
      path: arrays.npz
      input: x
      targets:
        y: {kind: real, column: y}
        labels: {kind: multilabel, column: labels}
  labels:
    _target_: mtl_cli.tasks.multilabel.Multilabel
    target: labels
    weight: 1.0
    head: {_target_: mtl_cli.heads.mlp.MLPHead, hidden: [], dropout: 0.0, activation: relu, init: default}
    dataset: *arrays
"""


def difference(name: str, found: bytes) -> str | None:
    """Return how a run differs from its record, None where it does not."""
    wanted = (FOLDER / f"{name}.jsonl").read_bytes()
    if found == wanted:
        return None
    same_machine = json.loads((FOLDER / "machine.json").read_text(encoding="utf-8")) == machine()
    before, after = [[json.loads(line) for line in text.splitlines()] for text in (wanted, found)]
    worst = max(numbers_apart(before, after), default=0.0)
    if not same_machine and worst <= TOLERANCE:
        return None
    return f"other bytes; numbers are up to {worst:.3g} apart, relatively"


def numbers_apart(a: Any, b: Any) -> Iterator[float]:  # noqa: ANN401  any value of JSON
    """Yield the relative difference of each pair of numbers; infinity where the records have another form."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a:
            yield from numbers_apart(a[key], b[key])
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for left, right in zip(a, b, strict=True):
            yield from numbers_apart(left, right)
    elif isinstance(a, int | float) and isinstance(b, int | float):
        yield abs(a - b) / max(1.0, abs(a), abs(b))
    elif a != b:
        yield math.inf


if __name__ == "__main__":
    sys.exit(main())
