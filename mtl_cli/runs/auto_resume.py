"""resume=auto: continue the run of a command where its directory holds a checkpoint, start it otherwise."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mtl_cli.config.annotations import shown
from mtl_cli.config.interpolation import leaves
from mtl_cli.config.run_config import caches, load_run_config, with_new_knobs
from mtl_cli.config.schema import CONSOLE, RESUMABLE
from mtl_cli.errors import Busy, UserError
from mtl_cli.runs import run
from mtl_cli.runs.together import with_devices
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import read_status

logger = logging.getLogger("mtl_cli")
Config = dict[str, Any]


def continue_or_train(config: Config, directory: Path, command: Sequence[str], folders: Sequence[Path] = ()) -> None:
    """Run `config` in `directory` to its end, whatever part of it was done before.

    Raises:
        UserError: `directory` holds a run of another config, or checkpoints none of which can be read.
        RunFailure: training cannot go on.
        Interrupted: a signal asked to stop; everything is saved.
    """
    config = with_devices(config)
    if not any((directory / "checkpoints").glob("step_*.pt")):
        forget(directory)
        run.train(config, directory, command, folders)
        return
    newest = checkpoint.newest_good(directory / "checkpoints")
    own = with_new_knobs(load_run_config(newest.state["config"]))
    changed = changes(own, config, directory)
    status = read_status(directory)
    if not changed and status.get("status") == "completed" and status.get("step") == newest.progress("step"):
        logger.warning("The run in %s is complete.", directory)
        return
    same = {key: config[key] for key in ("trust", "debug", "verbose", "quiet")}
    run.continue_from(newest, directory, {**same, **caches(config), **changed}, command, folders)


def changes(own: Config, config: Config, directory: Path) -> dict[str, Any]:
    """Return what a config changes in that of the run, by dotted key.

    Raises:
        UserError: it changes more than a resumed run may.
    """
    before, after = dict(leaves(own)), dict(leaves(config))
    found = {key: after.get(key) for key in {**before, **after} if not same(before, after, key)}
    found = {key: value for key, value in found.items() if key not in CONSOLE}
    wrong = [key for key in found if not any(key == name or key.startswith(name) for name in RESUMABLE)]
    if wrong:
        parts = [f"{key} is {value(after, key)}, there {value(before, key)}" for key in wrong[:5]]
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UserError(
            f"{directory} holds the run of another config: {'; '.join(parts)}{more}. Give another hydra.run.dir."
        )
    return found


def same(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    """Whether two flat configs agree on a key."""
    return key in before and key in after and before[key] == after[key]


def value(flat: Mapping[str, Any], key: str) -> str:
    """Return a value as it is shown."""
    return shown(flat[key]) if key in flat else "missing"


def forget(directory: Path) -> None:
    """Let a run that was cut off before its first checkpoint be started again in its directory.

    Raises:
        UserError: another process works there, or the directory cannot be written.
    """
    status = directory / "status.json"
    if not status.exists():
        return
    try:
        with FileLock(directory / ".lock", timeout=0):
            status.unlink()
    except Timeout as error:
        raise Busy(directory) from error
    except OSError as error:
        raise UserError(f"Cannot write {status}: {error.strerror}. Give another hydra.run.dir.") from error
