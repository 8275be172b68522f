"""What a checkpoint must be before it is read: whole, its own zip of stored entries, and no larger than its file."""

import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mtl_cli.errors import UserError
from mtl_cli.files import read_small, sha256

MAX_VIEWS = 64
"""How many times over the tensors may cover the bytes of a file; modules that share parameters share bytes."""
MAX_TOLD = 400
"""Letters of torch's reason that are shown."""
_NAME = re.compile(r"step_\d+\.pt")


def step_files(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, the oldest first, whatever is in them."""
    files = [path for path in folder.glob("step_*.pt") if is_name(path.name) and not path.is_dir()]
    return sorted(files, key=lambda path: int(path.stem.removeprefix("step_")))


def is_name(name: object) -> bool:
    """True for what `save` calls a checkpoint, which never leads out of its folder."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def others(folder: Path, damaged: Path | None = None) -> str:
    """Return the checkpoints of a folder, except a damaged one, in words; resume= and checkpoint= take each of them."""
    files = [str(path) for path in step_files(folder) if path != damaged]
    return ", ".join(files) + " (one may be given in its place)" if files else "none"


def misfit(reason: str) -> UserError:
    """Return the error for weights that are not those of the model of their config; `reason` is torch's."""
    text = " ".join(reason.split())
    text = text if len(text) <= MAX_TOLD else f"{text[:MAX_TOLD]} …."
    return UserError(f"The checkpoint does not fit the model of its config: {text}")


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
    if os.path.lexists(digest_path(path)) and sha256(data) not in [line.split(" ")[0] for line in digests(path)]:
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


def digests(path: Path) -> list[str]:
    """Return the lines of the file of checksums beside a checkpoint; none where it is not such a file."""
    try:
        return read_small(digest_path(path)).splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def digest_path(path: Path) -> Path:
    """Return the path of the checksum beside a checkpoint."""
    return path.with_name(path.name + ".sha256")
