"""Whether the files that datasets read hold what they held when a run was made."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from mtl_cli.config.annotations import typed
from mtl_cli.datasets.base import DataSource
from mtl_cli.errors import UserError
from mtl_cli.storage.fingerprints import Fingerprint

logger = logging.getLogger("mtl_cli")
FILES = "files"
"""Where a dataset's state in a checkpoint holds the fingerprints of its files, by name."""
Compare = Callable[[str, DataSource, Mapping[str, Any]], None]
"""Compares the files of a dataset, which is named after a task, with its state in a checkpoint."""
_taken: WeakKeyDictionary[DataSource, dict[str, Fingerprint]] = WeakKeyDictionary()


def fingerprints(source: DataSource) -> dict[str, Fingerprint]:
    """Return what the files of a source hold, taken once, before they are read.

    Raises:
        UserError: a file is missing, or cannot be read.
    """
    if source not in _taken:
        _taken[source] = _present(source)
    return _taken[source]


def up_to_date(source: DataSource) -> bool:
    """Return whether the files of an opened source hold what it has read."""
    try:
        return _present(source) == _taken.get(source)
    except UserError:
        return False


def _present(source: DataSource) -> dict[str, Fingerprint]:
    try:
        return {name: Fingerprint.of(paths) for name, paths in source.files().items() if paths}
    except OSError as error:
        raise UserError(f"Cannot read {error.filename}: {error.strerror}.") from error


def state_of_files(source: DataSource) -> dict[str, Any]:
    """Return the fingerprints for a checkpoint, nothing for a source without files."""
    found = {name: asdict(each) for name, each in fingerprints(source).items()}
    return {FILES: found} if found else {}


@dataclass(frozen=True)
class Change:
    """Files of a source that hold something else than when the run was made."""

    name: str
    paths: list[Path]
    before: Fingerprint
    now: Fingerprint

    def __str__(self) -> str:
        if len(self.paths) == 1:
            return f"{self.paths[0]} holds something else than when the run was made ({self._sizes})"
        return (
            f"The {self.now.files} files such as {self.paths[0]} hold something else than when the run was made "
            f"({self._sizes})"
        )

    @property
    def _sizes(self) -> str:
        digests = f"SHA-256 {self.before.digest[:12]}…, now {self.now.digest[:12]}…"
        if self.before.files != self.now.files:
            return f"{self.before.files} files, now {self.now.files}"
        return f"{self.before.bytes:,} bytes, now {self.now.bytes:,}; {digests}"


def changes(source: DataSource, state: Mapping[str, Any]) -> list[Change]:
    """Return the files of a source that are not those of a checkpoint; none from before there were fingerprints.

    Raises:
        UserError: the checkpoint's fingerprints cannot be used, or a file cannot be read.
    """
    found = []
    for name, before in recorded(state).items():
        now = fingerprints(source).get(name)
        if now is not None and now.digest != before.digest:
            found.append(Change(name, list(source.files()[name]), before, now))
    return found


def recorded(state: Mapping[str, Any]) -> dict[str, Fingerprint]:
    """Return the fingerprints in a dataset's state.

    Raises:
        UserError: they are not fingerprints.
    """
    try:
        return {str(name): typed(Fingerprint, each) for name, each in state.get(FILES, {}).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"The checkpoint's fingerprints of files cannot be used: {str(error)[:200]}.") from error


def refuse_changes(dataset: str, source: DataSource, state: Mapping[str, Any]) -> None:
    """Let a run go on only with the files that it began with.

    Raises:
        UserError: a file holds something else.
    """
    if found := changes(source, state):
        raise UserError([
            f"{change}. A run goes on with the same data only: put the file back, or start a run of its own on the new "
            "data with the weights of this one: init_from=RUN_DIR in the place of resume."
            for change in found
        ])  # fmt: skip


@dataclass(frozen=True)
class Evaluated:
    """Compares the files that an evaluation of `split` reads.

    A file that changed is refused where rows are divided by their places in it, for then rows that were trained on may
    be among those that are evaluated. Where `own` says that the command itself names other files, it is only said.
    """

    split: str
    own: Callable[[str], bool]
    """Whether the command names other files for a dataset."""

    def __call__(self, dataset: str, source: DataSource, state: Mapping[str, Any]) -> None:
        """Refuse, or warn of, files that changed.

        Raises:
            UserError: rows of the training split may be among those that would be evaluated.
        """
        read = source.files_of(self.split)
        for change in changes(source, state):
            if change.name not in read:
                continue
            if not self.own(dataset) and not source.rows_stay and change.name != f"{self.split}_path":
                raise UserError(
                    f"{change}, so that rows which were trained on may now be in its {self.split} split. Put the file "
                    f"back, or evaluate all rows of a file of new rows: input=FILE, or "
                    f"tasks.{dataset}.dataset.test_path=FILE for each task of the dataset. A run with id_column "
                    "does not mind rows that are added."
                )
            logger.warning("%s. The metrics are those of the rows that are there now.", change)
        others = [source.files()[name][0] for name in read if name != "path"]
        for path in others:
            warn_of_training_rows({dataset: source}, {dataset: state}, path)


def warn_of_training_rows(sources: Mapping[str, DataSource], states: Mapping[str, Any], path: Path) -> None:
    """Warn where a file that is evaluated or predicted is the one that was trained on, also where it changed since."""
    for dataset, source in sources.items():
        before = recorded(states.get(dataset) or {}).get("path")
        if before is None or not path.is_file():
            continue
        if Fingerprint.of([path]).digest == before.digest:
            logger.warning("%s is the file that the run was trained on: its training rows are among these rows.", path)
            return
        with contextlib.suppress(UserError, OSError):  # the files of the run need not be there
            for change in changes(source, states[dataset]):
                if change.name == "path" and any(path.samefile(own) for own in change.paths):
                    logger.warning(
                        "%s. Rows that were trained on may be among these rows. To measure the model evaluate a file "
                        "of new rows alone: mtl-eval input=FILE, or tasks.%s.dataset.test_path=FILE.", change, dataset
                    )  # fmt: skip
                    return
