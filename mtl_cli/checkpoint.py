"""Checkpoints: one file that holds everything, appears whole or not at all, and loads without running code."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mtl_cli.errors import UserError
from mtl_cli.files import read_json, sha256, write_bytes, write_json, write_text

FORMAT = 1
"""Version of the layout of a checkpoint; a newer one is refused, older ones are read."""
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
"""What a checkpoint holds beside its format version."""
POINTERS = ("best", "last")


def save(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Write `step_<step>.pt` and its checksum into `folder`; return the file's path."""
    path = folder / f"step_{step:08d}.pt"
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    data = buffer.getvalue()
    line = f"{sha256(data)}  {path.name}\n"
    before = digest_path(path).read_text(encoding="utf-8") if path.exists() and digest_path(path).exists() else ""
    write_text(digest_path(path), line + before)  # whichever of the two files is there, its checksum is listed
    write_bytes(path, data)
    if before:
        write_text(digest_path(path), line)
    return path


def point(folder: Path, name: str, path: Path, step: int, score: float | None) -> None:
    """Let `best.json` or `last.json` name a checkpoint."""
    write_json(folder / f"{name}.json", {"file": path.name, "step": step, "score": score})


def prune(folder: Path, keep: int) -> None:
    """Delete all checkpoints but the newest `keep` and those that best.json and last.json name."""
    named = {read_json(folder / f"{name}.json").get("file") for name in POINTERS}
    for path in sorted(folder.glob("step_*.pt"))[:-keep]:
        if path.name not in named:
            path.unlink()
            digest_path(path).unlink(missing_ok=True)


def find(path: Path, name: str) -> Path:
    """Return the checkpoint file that `path` means: itself, or the `name` ("best" or "last") one of a run directory.

    Raises:
        UserError: there is none.
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
        raise UserError(f"{pointer} names no checkpoint of its folder but {file!r}. Others: {others(folder)}.")
    if not (folder / file).is_file():
        raise UserError(f"{pointer} names {file}, which is not there. Others: {others(folder)}.")
    return folder / file


def others(folder: Path) -> str:
    """Return the checkpoints of a folder, as words."""
    return ", ".join(str(path) for path in sorted(folder.glob("step_*.pt"))) or "none"


def load(path: Path) -> dict[str, Any]:
    """Return the state in a checkpoint, tensors on the CPU.

    Raises:
        UserError: the file is missing, truncated, altered, of a newer format, or no checkpoint of this program.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read the checkpoint {path}: {error.strerror}.") from error
    check_digest(path, data)
    check_zip(path, data)
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile pickle can raise nearly anything
        code = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it refers to code, {code[1]}" if code else "it does not unpickle as plain data"
        raise UserError(
            f"{path} is no checkpoint of mtl-cli: {reason}; only tensors and plain data are read."
        ) from error
    if not isinstance(state, dict) or type(state.get("format")) is not int or state["format"] < 1:
        raise UserError(f"{path} is no checkpoint of mtl-cli: it holds no format version.")
    if state["format"] > FORMAT:
        raise UserError(
            f"{path} has format {state['format']}; this version of mtl-cli reads up to {FORMAT}. Install a newer one."
        )
    missing = [key for key in KINDS if key not in state]
    if missing:
        raise UserError(f"{path} is no checkpoint of mtl-cli: it lacks {', '.join(missing)}.")
    wrong = [
        f"{key} is of type {type(state[key]).__name__}"
        for key, kind in KINDS.items()
        if not isinstance(state[key], kind)
    ]
    if wrong:
        raise UserError(f"{path} is no checkpoint of mtl-cli: {', '.join(wrong)}.")
    return state


def check_digest(path: Path, data: bytes) -> None:
    """Compare the bytes with the checksum beside the file, where there is one.

    Raises:
        UserError: they differ.
    """
    try:
        expected = [line.split(" ")[0] for line in digest_path(path).read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        expected = []
    if sha256(data) not in expected:
        raise UserError(
            f"{path} is damaged: {len(data)} bytes whose SHA-256 is not the one in {digest_path(path).name}. "
            f"Others: {others(path.parent)}."
        )


def check_zip(path: Path, data: bytes) -> None:
    """Refuse anything but a whole zip of plain stored entries, which cannot unpack to more than its size.

    Raises:
        UserError: the file is no such zip.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        plain = stored and sum(entry.file_size for entry in entries) <= len(data)
        damaged = archive.testzip() if plain else None  # checksums of the zip itself: a copied file has no other
    except (zipfile.BadZipFile, zlib.error, RuntimeError, ValueError, OSError, EOFError, struct.error) as error:
        raise UserError(f"{path} is truncated or no checkpoint ({len(data)} bytes): {error}.") from error
    if not plain:
        raise UserError(f"{path} is no checkpoint of mtl-cli: it unpacks to more than its size.")
    if damaged is not None:
        raise UserError(
            f"{path} is damaged: the checksum of its entry {damaged} is wrong. Others: {others(path.parent)}."
        )


def digest_path(path: Path) -> Path:
    """Return the path of the checksum beside a checkpoint."""
    return path.with_name(path.name + ".sha256")
