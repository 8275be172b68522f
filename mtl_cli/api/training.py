"""Training from Python, and what a run left behind."""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtl_cli.api.prediction import evaluate, load
from mtl_cli.api.typed import Overrides, folder_of, modules_of, values_of, words_of
from mtl_cli.commands.console import console, console_of
from mtl_cli.errors import UserError
from mtl_cli.inference.base import Predictor


class Run(os.PathLike[str]):
    """A run, by its directory. It stands wherever a path does: `mtl_cli.load(run)`.

    Args:
        path: the directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @functools.cached_property
    def summary(self) -> dict[str, Any]:
        """What summary.json holds: best and last validation metrics, test metrics, sizes and speed.

        Raises:
            UserError: the run has not come to its end.
        """
        return dict(json.loads(self._text("summary.json")))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl so far: every log and evaluation."""
        return [json.loads(line) for line in self._text("metrics.jsonl").splitlines()]

    @property
    def figures(self) -> list[Path]:
        """The pictures that the run drew."""
        return sorted((self.path / "plots").rglob("*.png"))

    def load(self, *, overrides: Overrides = (), config_dir: str | Path | None = None) -> Predictor:
        """Return the predictor of its best checkpoint; see `mtl_cli.load`."""
        return load(self.path, overrides=overrides, config_dir=config_dir)

    def evaluate(
        self, *, split: str | None = None, overrides: Overrides = (), config_dir: str | Path | None = None
    ) -> dict[str, Any]:
        """Return what mtl-eval finds of its best checkpoint; see `mtl_cli.evaluate`."""
        return evaluate(self.path, split=split, overrides=overrides, config_dir=config_dir)

    def export(
        self,
        output: str | Path,
        *,
        format: str = "torch",
        tasks: str | Sequence[str] | None = None,
        quantise: str | None = None,
        overrides: Overrides = (),
        config_dir: str | Path | None = None,
        quiet: bool = True,
    ) -> Path:
        """Write a bundle of its best checkpoint as mtl-export does, and return its folder, which `load` takes.

        Args:
            output: the new folder.
            format: torch, onnx or safetensors.
            tasks: which tasks; all by default.
            quantise: int8 for weights of 8 bits, with format onnx.
            overrides: other words of mtl-export, such as {"calibrate": True, "licence": "MIT"}.
            config_dir: as in `load`.
            quiet: whether warnings alone are printed.

        Raises:
            UserError: the bundle cannot be written, or does not say what the checkpoint says.
        """
        own = {"format": format, "tasks": tasks, "quantise": quantise}
        values = values_of(overrides) | {key: value for key, value in own.items() if value is not None}
        folder = Path(output).expanduser()
        with modules_of(folder_of(config_dir)) as folders, console(quiet=quiet):
            from mtl_cli.commands.export import asked
            from mtl_cli.export import bundle

            wanted, rest = asked(values)
            command = ["mtl-export", f"checkpoint={self.path}", f"output={folder}", *words_of(values)]
            bundle.export(self.path, folder, wanted, rest, folders, command)
        return folder

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self.path} has no {name}: {error.strerror}. The run has not come that far.") from error


def train(
    overrides: Overrides = (),
    *,
    config_dir: str | Path | None = None,
    config_name: str = "config",
    quiet: bool = False,
) -> Run:
    """Train as mtl-train does, and return the run.

    Nothing is left in this process: Hydra, threads, signals and the log are as they were.

    Args:
        overrides: what would be typed behind mtl-train, such as ["task=letters", "trainer.max_epochs=3"], or a mapping.
        config_dir: your folder of conf files, and of modules that they name.
        config_name: the primary config.
        quiet: whether the final table and warnings alone are printed; else the log and a progress bar are.

    Raises:
        UserError: the config or data is wrong.
        RunFailure: training cannot go on.
        Interrupted: a signal asked to stop; everything is saved.
    """
    folder, words = folder_of(config_dir), words_of(overrides)
    words += ["quiet=true"] if quiet else []
    with modules_of(folder) as folders:
        from mtl_cli.commands.compose import hydra_session
        from mtl_cli.commands.composed_run import compose_run

        with hydra_session(folder, config_name) as session:
            job = compose_run(session, words)
            directory = job.run_dir
        with console_of(job.config):
            from mtl_cli.runs import run

            flags = [] if folder is None else ["--config-dir", str(folder)]
            run.train(job.config, directory, ["mtl-train", *flags, *words], folders)
    return Run(directory)
