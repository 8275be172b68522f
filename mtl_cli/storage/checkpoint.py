"""Checkpoints: one file that holds everything, appears whole or not at all, and loads without running code.

A checkpoint is read in steps, each of which refuses the file before the next one could be harmed by it (`load`):

1. The file is a regular one, and its bytes are read whole.
2. The bytes agree with the SHA-256 in the file beside it, where there is one (`check_digest`).
3. They are a zip of stored entries, which cannot unpack to more than the size of the file (`check_zip`).
4. They are unpickled as tensors and plain data only.
5. Tensors and values are not larger than the file, so that nothing expands in memory (`check_size`).
6. The format version is known, and every part of the state is there and of its type.
"""

import io
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.backends.cudnn

from mtl_cli.errors import UserError
from mtl_cli.files import read_json, sha256, write_bytes, write_json, write_text
from mtl_cli.storage.checkpoint_checks import (
    check_digest,
    check_size,
    check_zip,
    digest_path,
    digests,
    foreign,
    is_name,
    others,
    step_files,
)

logger = logging.getLogger("mtl_cli")
FORMAT = 1
"""Version of the layout of a checkpoint. Newer versions are refused, older ones are read."""
KINDS: dict[str, type | tuple[type, ...]] = {
    "config": str,
    "config_hash": str,
    "metrics_length": int,
    "versions": dict,
    "model": dict,
    "ema": (dict, type(None)),
    "optimizer": dict,
    "weighting": dict,
    "datasets": dict,
    "progress": dict,
}
"""What a checkpoint holds besides its format version."""
POINTERS = ("best", "last")


def save(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write `step_<step>.pt` and its checksum into `folder`; return the file's path."""
    path = path_of(folder, step)
    write(path, state)
    return path


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint and its checksum, in the place of a file that is there."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    data = buffer.getvalue()
    line = f"{sha256(data)}  {path.name}\n"
    before = "\n".join(digests(path)) if path.exists() else ""
    write_text(digest_path(path), line + before)  # after a crash either file may be there
    write_bytes(path, data)
    if before:
        write_text(digest_path(path), line)


def point(folder: Path, name: str, path: Path, step: int, score: float | None) -> None:
    """Make `best.json` or `last.json` name a checkpoint."""
    write_json(folder / f"{name}.json", {"file": path.name, "step": step, "score": score})


def prune(folder: Path, keep: int) -> None:
    """Delete all checkpoints except the newest `keep` and those that best.json and last.json name."""
    named = {read_json(folder / f"{name}.json").get("file") for name in POINTERS}
    for path in step_files(folder)[:-keep]:
        if path.name not in named:
            path.unlink()
    for digest in folder.glob("step_*.pt.sha256"):  # also those whose checkpoint a crash kept from being written
        if not digest.with_name(digest.name.removesuffix(".sha256")).exists() and not digest.is_dir():
            digest.unlink()


def set_aside(folder: Path, step: int) -> list[Path]:
    """Rename the checkpoints after a step, from which a run goes another way, and return their new paths.

    Otherwise the newest checkpoint, which `newest_good` takes, would be one of the way that was left.
    """
    kept = []
    for path in reversed(step_files(folder)):  # killed in between, the run has what it had up to there
        if step_of(path) > step:
            kept.append(path.replace(path.with_name(f"{path.name}.aside")))
            if digest_path(path).is_file():
                digest_path(path).replace(digest_path(kept[-1]))
    return kept


def path_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint after a step."""
    return folder / f"step_{step:08d}.pt"


def step_of(path: Path) -> int:
    """Return the step after which a checkpoint was written, by its name."""
    return int(path.stem.removeprefix("step_"))


def folder_of(path: Path) -> Path:
    """Return the folder of checkpoints that `path` means, which is that folder itself or a run directory.

    Raises:
        UserError: there is nothing at `path`, or no checkpoint in it.
    """
    if not path.exists():
        raise UserError(f"No checkpoint at {path}. Give the directory of a run, or a .pt file in its checkpoints/.")
    folder = path if path.name == "checkpoints" else path / "checkpoints"
    if not step_files(folder):
        if (path / "manifest.json").is_file():
            raise UserError(f"{path} is a bundle of mtl-export, not a run. Give the run that it is of.")
        raise UserError(f"No checkpoint in {folder}: the run had not saved one. Start it again without `resume=`.")
    return folder


def find(path: Path, name: str) -> Path:
    """Return the checkpoint that `path` means: the file itself, or the "best" or "last" (`name`) of a run directory.

    The last one is the newest that is whole. The best one is what best.json names; where a crash kept it from being
    written, or damaged it, the last checkpoint knows the step.

    Raises:
        UserError: there is no such checkpoint.
    """
    if path.is_file():
        return path
    folder = folder_of(path)
    if name == "last":
        last = newest_good(folder)
        for problem in last.problems:
            logger.warning("%s Taking %s.", problem, last.file.name)
        return last.file
    pointer = folder / "best.json"
    file, problem = pointed(folder, "best") if pointer.is_file() else (None, f"There is no {pointer}.")
    if file is not None:
        return file
    last = newest_good(folder)
    best = path_of(folder, last.progress("best_step"))
    if pointer.is_file() and not best.is_file():
        raise UserError(f"{problem} Others: {others(folder)}.")
    file = best if best.is_file() else last.file
    logger.warning("%s Taking %s.", problem, file.name)
    return file


def pointed(folder: Path, name: str) -> tuple[Path | None, str]:
    """Return the checkpoint that best.json or last.json names, or None and what is wrong with it."""
    pointer = folder / f"{name}.json"
    file = read_json(pointer).get("file")
    if not is_name(file):
        return None, f"{pointer} does not name a checkpoint of its folder but {file!r}."
    if not (folder / str(file)).is_file():
        return None, f"{pointer} names {file}, which is not there."
    return folder / str(file), ""


@dataclass(frozen=True)
class Newest:
    """The newest checkpoint that is whole, and what is wrong with those after it and with last.json."""

    file: Path
    state: dict[str, Any]
    problems: list[str]

    def progress(self, key: str) -> int:
        """Return a number of steps from its progress, 0 where it has none."""
        value = self.state["progress"].get(key)
        return value if type(value) is int else 0


def newest_good(folder: Path) -> Newest:
    """Return the newest checkpoint of a folder that is whole; last.json is only a hint, which a crash may have kept.

    Raises:
        UserError: no checkpoint is whole.
    """
    problems = []
    if (folder / "last.json").is_file() and (problem := pointed(folder, "last")[1]):
        problems.append(problem)
    for path in reversed(step_files(folder)):
        try:
            return Newest(path, load(path), problems)
        except UserError as error:
            problems += error.problems
    raise UserError(
        [
            *problems,
            f"No checkpoint in {folder} can be read. Start anew in another hydra.run.dir, or move this one away.",
        ]
    )


def load(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, tensors on the CPU.

    Raises:
        UserError: the file is missing, truncated, altered, of a newer format, or not a checkpoint of this program.
    """
    if path.exists() and not path.is_file():  # a device or pipe has no end
        raise UserError(f"Cannot read the checkpoint {path}: it is not a file.")
    try:
        data = path.read_bytes()
    except (OSError, MemoryError) as error:
        raise UserError(f"Cannot read the checkpoint {path}: {getattr(error, 'strerror', 'too large')}.") from error
    check_digest(path, data)
    check_zip(path, data)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile pickle can raise nearly anything
        code = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it refers to code, {code[1]}" if code else "it does not unpickle as plain data"
        raise foreign(path, f"{reason}; only tensors and plain data are read.") from error
    if not isinstance(state, dict) or type(state.get("format")) is not int or state["format"] < 1:
        raise foreign(path, "it holds no format version.")
    if state["format"] > FORMAT:
        raise UserError(
            f"{path} has format {state['format']}; this version of mtl-cli reads up to {FORMAT}. Install a newer one."
        )
    missing = [key for key in KINDS if key not in state]
    if missing:
        raise foreign(path, f"it lacks {', '.join(missing)}.")
    wrong = [
        f"{key} is of type {type(state[key]).__name__}"
        for key, kind in KINDS.items()
        if not isinstance(state[key], kind)
    ]
    if wrong:
        raise foreign(path, f"{', '.join(wrong)}.")
    if state["metrics_length"] < 0:
        raise foreign(path, f"metrics_length is {state['metrics_length']}.")
    check_size(path, state, len(data))
    return state


def run_directory_of(file: Path) -> Path:
    """Return the run directory that a checkpoint lies in.

    Raises:
        UserError: it does not lie in a run directory.
    """
    if file.absolute().parent.name != "checkpoints":
        raise UserError(
            f"{file} does not lie in a run directory. Give one, resume=RUN_DIR, or start from it: init_from={file}."
        )
    return file.absolute().parent.parent


def weights_of(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the model's weights in a checkpoint; the averaged ones where that run averaged them."""
    return {**state["model"], **(state["ema"]["averages"] if state["ema"] else {})}
