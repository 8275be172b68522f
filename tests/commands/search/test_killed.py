"""A real search that is killed by SIGKILL at random points."""

import json
import random
import subprocess
import sys
import time

import pytest

WORDS = [
    "-m", "task=multi_mnist_left", "search=tpe", "search.trials=6", "optimizer.lr=tag(log,interval(1e-4,1e-2))",
    "trainer.max_epochs=3", "trainer.threads=1", "backbone=mlp", "backbone.hidden=[4]", "data.batch_size=512",
]  # fmt: skip
COMMAND = [sys.executable, "-c", "import sys; from mtl_cli.cli import main; sys.exit(main(sys.argv[1:]))", *WORDS]
KILLS = 3


def result(folder):
    """What a search has found: its trials, and the records of their runs."""
    found = json.loads((folder / "search.json").read_text())
    return found, {path.parent.name: path.read_text() for path in sorted(folder.glob("*/metrics.jsonl"))}


@pytest.mark.slow
def test_a_search_that_is_killed_gives_the_trials_of_an_undisturbed_one(tmp_path):
    start = time.monotonic()
    subprocess.run([*COMMAND, f"hydra.sweep.dir={tmp_path / 'whole'}"], check=True, capture_output=True)
    whole = time.monotonic() - start
    stream, kills = random.Random(0), 0
    killed = [*COMMAND, f"hydra.sweep.dir={tmp_path / 'killed'}"]
    while kills < KILLS:
        process = subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=stream.uniform(0.3, 0.7) * whole)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert kills
    subprocess.run(killed, check=True, capture_output=True)
    assert result(tmp_path / "killed") == result(tmp_path / "whole")
