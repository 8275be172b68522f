"""What a measurement that was interrupted has left, so that the same command goes on with it."""

import json
import logging
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtl_cli.affinity.probe import Matrix, Measured
from mtl_cli.errors import UserError
from mtl_cli.files import read_json, write_json
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import opening

logger = logging.getLogger("mtl_cli")
ASKED, STEPS, RUN, RESULT = "measuring.json", "affinity.jsonl", "run", "groups.json"
"""Files below the output: what is measured, what each step showed, the joint run, and what is written in the end."""


def begin(output: Path, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Make the folder of a measurement, or find the one that was interrupted there; return its newest checkpoint.

    What was begun without a checkpoint is removed, and so begins anew.

    Raises:
        UserError: the folder holds something else, a complete measurement, or a run in which another process works.
    """
    if not output.exists() or not any(output.iterdir()):
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / ASKED, asked)
        return None
    if read_json(output / ASKED) != asked or (output / RESULT).exists():
        raise UserError(f"{output} holds something already. Give another folder: output=DIR.")
    run = output / RUN
    if any((run / "checkpoints").glob("step_*.pt")):
        return checkpoint.newest_good(checkpoint.folder_of(run)).state
    if run.exists():
        with opening(run):  # refuses where another process works
            shutil.rmtree(run)
    (output / STEPS).unlink(missing_ok=True)
    return None


def append(path: Path, each: Measured) -> None:
    """Write what a step showed, so that it survives the end of the process."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line_of(each))
        file.flush()
        os.fsync(file.fileno())


def measured_before(path: Path, step: int, every: int) -> list[Measured]:
    """Return what the steps before `step` showed, and leave nothing else in the file.

    Raises:
        UserError: some of them are lost.
    """
    found: dict[int, Measured] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
            each = Measured(int(record["step"]), _numbers(record["affinity"]), _numbers(record["cosine"]))
        except (ValueError, TypeError, KeyError):
            break  # the line that was being written
        if each.step < step:
            found[each.step] = each
    if len(found) < -(-step // every):
        raise UserError(
            f"{path} has lost what some of the first {step} steps showed, so the measurement cannot go on. "
            "Give another folder: output=DIR."
        )
    path.write_text("".join(map(line_of, found.values())), encoding="utf-8")
    return list(found.values())


def line_of(each: Measured) -> str:
    """Return what a step showed as a line of JSON."""
    return json.dumps({"step": each.step, "affinity": nulls(each.affinity), "cosine": nulls(each.cosine)}) + "\n"


def nulls(matrix: Matrix) -> list[list[float | None]]:
    """Return a matrix as JSON has it."""
    return [[None if math.isnan(value) else value for value in row] for row in matrix]


def _numbers(matrix: list[list[float | None]]) -> Matrix:
    return [[math.nan if value is None else float(value) for value in row] for row in matrix]
