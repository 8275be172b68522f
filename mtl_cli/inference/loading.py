"""Loads what predicts: a run directory, a checkpoint, or a bundle. torch is imported where it is needed only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtl_cli.bundles.manifest import NAME, is_bundle, read_manifest
from mtl_cli.errors import UserError
from mtl_cli.inference.base import Predictor


def load(
    path: str | Path,
    *,
    tasks: str | Sequence[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
) -> Predictor:
    """Return a predictor: the best checkpoint of a run directory, a checkpoint file, or a bundle of mtl-export.

    Args:
        path: the run directory, the file or the bundle.
        tasks: which tasks; by default all that can read the input.
        overrides: keys of the run's config, such as {"trainer.device": "cpu"}.
        folders: those of your own modules that the config of the run names and that you trust.

    Raises:
        UserError: there is nothing at `path`, or it cannot be used; a part of it may have been changed.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"No checkpoint at {path}. Give the directory of a run, a .pt file, or a bundle of mtl-export.")
    if is_bundle(path):
        return load_bundle(path, tasks, dict(overrides or {}), folders)
    from mtl_cli.inference.checkpoint_predictor import load_checkpoint

    return load_checkpoint(path, tasks, dict(overrides or {}), folders)


def load_bundle(
    folder: Path, tasks: str | Sequence[str] | None, overrides: Mapping[str, Any], folders: Sequence[Path]
) -> Predictor:
    """Return the predictor of a bundle, every file of which is what was written.

    Raises:
        UserError: a file is missing or was changed, or there are overrides for a graph.
    """
    manifest = read_manifest(folder)
    if manifest.model == "onnx":
        from mtl_cli.inference.onnx_predictor import OnnxPredictor

        if overrides:
            raise UserError(
                f"{folder} holds a graph, which takes no overrides ({', '.join(overrides)}). Leave them out."
            )
        try:
            found = OnnxPredictor(manifest, tasks)
            found.try_out()
        except UserError:
            raise
        except Exception as error:  # nonsense in a manifest of a stranger may raise anything
            reason = f"{type(error).__name__}: {str(error)[:200]}"
            raise UserError(f"{folder / NAME} does not fit its graph: {reason}. Export the bundle again.") from error
        return found
    from mtl_cli.inference.checkpoint_predictor import load_state

    return load_state(manifest, tasks, overrides, folders)
