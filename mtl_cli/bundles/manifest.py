"""The manifest of a bundle: what is in it, by which hashes. It is data, and every file is checked before it is used."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.errors import UserError, nearest, some

NAME, DIGEST = "manifest.json", "manifest.json.sha256"
FORMAT = 1
"""Version of the layout of a bundle. Newer versions are refused."""
FORMATS = ("torch", "onnx", "safetensors")
KINDS: dict[str, type] = {
    "format": int, "mtl_cli": str, "model": str, "tasks": dict, "columns": dict, "datasets": dict, "files": dict,
    "check": dict, "decisions": dict,
}  # fmt: skip
"""What a manifest holds."""
READ = "__read"
"""Ending of the name of the output of a graph that is read by NumPy (`mtl_cli.bundles.after`)."""
MAX_MANIFEST = 256 * 2**20
BLOCK = 1 << 20


@dataclass(frozen=True)
class Column:
    """A column of predictions: its task, and the names that its numbers stand for, if they do."""

    task: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A bundle whose files are those that were written."""

    folder: Path
    data: Mapping[str, Any]

    @property
    def model(self) -> str:
        """torch, onnx or safetensors."""
        return str(self.data["model"])

    @property
    def tasks(self) -> list[str]:
        """The tasks, in order."""
        return list(self.data["tasks"])

    @property
    def columns(self) -> dict[str, Column]:
        """The columns of numbers, in order."""
        return {name: Column(each["task"], tuple(each["names"])) for name, each in self.data["columns"].items()}

    def task_of(self, name: str) -> str:
        """Return the task of a column, or of what stands under a task's own name."""
        return str(self.data["columns"][name]["task"]) if name in self.data["columns"] else name

    def file(self, name: object) -> Path:
        """Return the path of a file that the manifest lists.

        Raises:
            UserError: it lists no such file.
        """
        if name not in self.data["files"]:
            raise UserError(f"{self.folder / NAME} lists no file {name!r}. Export the bundle again.")
        return self.folder / str(name)


def is_bundle(path: Path) -> bool:
    """Return whether a path is the folder of a bundle."""
    return (path / NAME).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a bundle, once every file is known to be what was written.

    Raises:
        UserError: a file is missing, was changed, is a link, or is of a newer version.
    """
    for path in (folder / NAME, folder / DIGEST):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UserError(f"{path} is not a plain file. Export the bundle again.")
    text = (folder / NAME).read_bytes() if (folder / NAME).stat().st_size <= MAX_MANIFEST else b""
    try:
        with (folder / DIGEST).open(encoding="utf-8") as stream:
            told = stream.read(1000).split()[:1]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{folder} is not a whole bundle: {DIGEST} cannot be read. Export it again.") from error
    if told != [hashlib.sha256(text).hexdigest()]:
        raise changed(folder / NAME)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{folder / NAME} is not JSON. Export the bundle again.") from error
    check_kinds(folder, data)
    for name, facts in data["files"].items():
        check_file(folder, name, facts)
    return Manifest(folder, data)


def chosen_tasks(manifest: Manifest, tasks: str | Sequence[str] | None) -> list[str]:
    """Return the tasks of a bundle that are wanted.

    Raises:
        UserError: it lacks one.
    """
    if tasks is None:
        return manifest.tasks
    wanted = [tasks] if isinstance(tasks, str) else list(tasks)
    if missing := [name for name in wanted if name not in manifest.tasks]:
        hint = nearest(str(missing[0]), manifest.tasks)
        raise UserError(f"'{missing[0]}' is not a task of this bundle.{hint} Those are {some(manifest.tasks)}.")
    return wanted


def check_kinds(folder: Path, data: Any) -> None:  # noqa: ANN401  any JSON value
    """Refuse what is not a manifest of this version.

    Raises:
        UserError: it is not.
    """
    if not isinstance(data, dict) or any(not isinstance(data.get(key), kind) for key, kind in KINDS.items()):
        raise UserError(f"{folder / NAME} is not the manifest of a bundle. Export it again by mtl-export.")
    if data["format"] > FORMAT:
        raise UserError(f"{folder} has format {data['format']}; this version of mtl-cli reads up to {FORMAT}.")
    if data["model"] not in FORMATS:
        raise UserError(f"{folder / NAME}: the model is of format {data['model']!r}, not {', '.join(FORMATS)}.")


def check_file(folder: Path, name: str, facts: Any) -> None:  # noqa: ANN401  any JSON value
    """Compare a file of a bundle with its size and hash.

    Raises:
        UserError: they differ, or the name leads out of the bundle.
    """
    path = folder / name
    if Path(name).name != name or path.is_symlink() or not path.is_file():
        raise UserError(f"{path} is missing, or is a link. Export the bundle again.")
    if not isinstance(facts, dict) or facts.get("bytes") != path.stat().st_size or facts.get("sha256") != digest(path):
        raise changed(path)


def changed(path: Path) -> UserError:
    """Return the error for a file that is not what was written."""
    return UserError(f"{path} is not what mtl-export wrote: its SHA-256 differs. Copy or export the bundle again.")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def write_manifest(folder: Path, data: Mapping[str, Any]) -> None:
    """Write the manifest of the files in a folder, with their hashes."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(folder.iterdir())
        if path.name not in (NAME, DIGEST)
    }
    text = json.dumps({"format": FORMAT, **data, "files": files}, ensure_ascii=False, allow_nan=False, indent=1)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")
    (folder / DIGEST).write_text(f"{digest(folder / NAME)}  {NAME}\n", encoding="utf-8")
