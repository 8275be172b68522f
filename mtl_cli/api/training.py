"""Training from Python, and what a run left behind."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtl_cli.api.prediction import load
from mtl_cli.api.typed import Overrides, folder_of, modules_of, words_of
from mtl_cli.commands.console import console
from mtl_cli.errors import UserError
from mtl_cli.inference.base import Predictor


@dataclass(frozen=True)
class Run:
    """A run, by its directory."""

    path: Path

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

    def load(self) -> Predictor:
        """Return the predictor of its best checkpoint."""
        return load(self.path)

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
        quiet: whether warnings alone are printed; else the log and a progress bar are.

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
        with console(job.config["verbose"], job.config["quiet"]):
            from mtl_cli.runs import run

            flags = [] if folder is None else ["--config-dir", str(folder)]
            run.train(job.config, directory, ["mtl-train", *flags, *words], folders)
    return Run(directory)
