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
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.backends.cudnn

from mtl_cli.errors import UserError
from mtl_cli.files import read_json, read_small, sha256, write_bytes, write_json, write_text

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
MAX_VIEWS = 64
"""How many times over the tensors may cover the bytes of a file; modules that share parameters share bytes."""


def save(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write `step_<step>.pt` and its checksum into `folder`; return the file's path."""
    path = folder / f"step_{step:08d}.pt"
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    data = buffer.getvalue()
    line = f"{sha256(data)}  {path.name}\n"
    before = digest_path(path).read_text(encoding="utf-8") if path.exists() and digest_path(path).exists() else ""
    write_text(digest_path(path), line + before)  # after a crash either file may be there
    write_bytes(path, data)
    if before:
        write_text(digest_path(path), line)
    return path


def point(folder: Path, name: str, path: Path, step: int, score: float | None) -> None:
    """Make `best.json` or `last.json` name a checkpoint."""
    write_json(folder / f"{name}.json", {"file": path.name, "step": step, "score": score})


def prune(folder: Path, keep: int) -> None:
    """Delete all checkpoints except the newest `keep` and those that best.json and last.json name."""
    named = {read_json(folder / f"{name}.json").get("file") for name in POINTERS}
    for path in sorted(folder.glob("step_*.pt"))[:-keep]:
        if path.name not in named:
            path.unlink()
            digest_path(path).unlink(missing_ok=True)


def find(path: Path, name: str) -> Path:
    """Return the checkpoint that `path` means: the file itself, or the "best" or "last" (`name`) of a run directory.

    Raises:
        UserError: there is no such checkpoint.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise UserError(f"No checkpoint at {path}. Give the directory of a run, or a .pt file in its checkpoints/.")
    folder = path if path.name == "checkpoints" else path / "checkpoints"
    pointers = [folder / f"{pointer}.json" for pointer in (name, *POINTERS)]
    pointer = next((pointer for pointer in pointers if pointer.is_file()), None)
    if pointer is None:
        raise UserError(f"No checkpoint in {folder}: the run had not saved one. Start it again without `resume=`.")
    file = read_json(pointer).get("file")
    if not isinstance(file, str) or not re.fullmatch(r"step_\d+\.pt", file):
        raise UserError(f"{pointer} does not name a checkpoint of its folder but {file!r}. Others: {others(folder)}.")
    if not (folder / file).is_file():
        raise UserError(f"{pointer} names {file}, which is not there. Others: {others(folder)}.")
    return folder / file


def others(folder: Path, damaged: Path | None = None) -> str:
    """Return the checkpoints of a folder, except a damaged one, in words; resume= and checkpoint= take each of them."""
    files = [str(path) for path in sorted(folder.glob("step_*.pt")) if path != damaged]
    return ", ".join(files) + " (one may be given in its place)" if files else "none"


def newest_good(folder: Path) -> tuple[Path, list[str]]:
    """Return the newest checkpoint of a folder that is whole, and what is wrong with those that were passed over.

    The one that last.json names is tried first, then those before it. Where last.json is missing or damaged, all are
    tried.

    Raises:
        UserError: no checkpoint is whole.
    """
    problems: list[str] = []
    files = sorted(folder.glob("step_*.pt"), reverse=True)
    try:
        last = find(folder, "last") if (folder / "last.json").is_file() else None
        files = [path for path in files if last is None or path.name <= last.name]
    except UserError as error:
        problems += error.problems
    for path in files:
        try:
            load(path)
        except UserError as error:
            problems += error.problems
        else:
            return path, problems
    raise UserError([*problems, f"No checkpoint in {folder} can be read. Start anew in another hydra.run.dir."])


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


def foreign(path: Path, reason: str) -> UserError:
    """Return the error for a file that this program did not write."""
    return UserError(f"{path} is not a checkpoint of mtl-cli: {reason}")


def check_size(path: Path, state: Mapping[str, Any], size: int) -> None:
    """Refuse a state that is larger than its file: expanded or sparse tensors, lists that hold one another many times.

    Raises:
        UserError: the state is larger.
    """
    values = total = 0
    stack: list[Any] = [state]
    while stack:
        value = stack.pop()
        values += 1
        if isinstance(value, Mapping):
            stack.extend(value.keys())
            stack.extend(value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            stack.extend(value)
        elif isinstance(value, torch.Tensor):
            dense = value.device.type == "cpu" and value.layout == torch.strided and not value.is_quantized
            bytes_ = value.numel() * value.element_size()
            total += bytes_
            if not dense or bytes_ > size or total > MAX_VIEWS * size:
                raise foreign(path, "it holds tensors that are larger than the file.")
        if values > size or len(stack) > size:  # each value takes a byte of the file, unless it is a reference
            raise foreign(path, "it holds more values than the file has bytes.")


def check_digest(path: Path, data: bytes) -> None:
    """Compare the bytes with the checksum beside the file, where there is one.

    Raises:
        UserError: they differ.
    """
    try:
        expected = [line.split(" ")[0] for line in read_small(digest_path(path)).splitlines()]
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        expected = []
    if sha256(data) not in expected:
        raise UserError(
            f"{path} is damaged: {len(data)} bytes whose SHA-256 is not the one in {digest_path(path).name}. "
            f"Others: {others(path.parent, path)}."
        )


def check_zip(path: Path, data: bytes) -> None:
    """Refuse anything but a whole zip of stored entries, which cannot unpack to more than its size.

    Raises:
        UserError: the file is not such a zip.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        fits = stored and sum(entry.file_size for entry in entries) <= len(data)
        damaged = archive.testzip() if fits else None  # by its own checksums, the only ones of a copied file
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, OSError, EOFError, struct.error) as error:
        raise UserError(f"{path} is truncated or not a checkpoint ({len(data)} bytes): {error}.") from error
    if not fits:
        raise foreign(path, "it unpacks to more than its size.")
    if damaged is not None:
        raise UserError(
            f"{path} is damaged: the checksum of its entry {damaged} is wrong. Others: {others(path.parent, path)}."
        )


def digest_path(path: Path) -> Path:
    """Return the path of the checksum beside a checkpoint."""
    return path.with_name(path.name + ".sha256")


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
