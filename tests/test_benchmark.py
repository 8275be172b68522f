"""The short form of scripts/benchmark: fails on gross regressions only, for machines are noisy."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "benchmark.py"


@pytest.mark.slow
def test_steps_are_not_much_slower_than_a_bare_loop(tmp_path):
    command = [
        sys.executable,
        SCRIPT,
        "--windows",
        "5",
        "--steps",
        "10",
        "--only",
        "speed,data,small",
        "--output",
        "b.csv",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=environment)
    with (tmp_path / "b.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratios = [float(row["figure"]) for row in rows if "bare loop" in row["what"]]
    assert len(ratios) == 9
    assert min(ratios) > 0.7
    assert min(float(row["figure"]) for row in rows if "from disk" in row["what"]) > 0.5
    (reading,) = [float(row["figure"]) for row in rows if "drawing" in row["what"]]
    assert reading < 0.2
