"""A stand-in for mtl_cli.runs.run and evaluation: notes calls, and leaves in a run directory what a real run leaves."""

import json
import sys
import types

import yaml

import mtl_cli.runs
from mtl_cli.config.run_config import config_hash
from mtl_cli.errors import Pruned, UserError


class StubRun(types.ModuleType):
    """`score(config)` gives a run's selection score; `on_train(config, directory)` may raise in its place."""

    def __init__(self):
        super().__init__("mtl_cli.runs.run")
        self.trained, self.resumed, self.evaluated, self.checked = [], [], [], []
        self.commands, self.folders = [], []
        self.score = lambda config: 0.5
        self.scores = lambda config: [self.score(config)]
        self.told = []
        self.on_train = lambda config, directory: None
        self.on_check = lambda config: None

    def check(self, config, folders=()):
        self.checked.append(config)
        self.on_check(config)

    def check_with_data(self, config, folders=()):
        self.on_check(config)

    def train(self, config, directory, command, folders=(), judge=None):
        self.trained.append((config, directory))
        self.commands.append(command)
        self.folders.append(folders)
        if (directory / "status.json").exists():
            raise UserError(f"{directory} holds a run already.")
        self.on_train(config, directory)
        self.tell(config, directory, judge)
        return self.finish(config, directory)

    def resume(self, directory, overrides, command, folders=(), judge=None):
        self.resumed.append((directory, overrides))
        self.folders.append(folders)
        if (directory / "config.json").exists():
            config = json.loads((directory / "config.json").read_text())
            self.tell(config, directory, judge)
            return self.finish(config, directory)
        return {}

    def evaluate_checkpoint(self, checkpoint, overrides, command, folders=(), source=None):
        self.evaluated.append((checkpoint, overrides))
        self.folders.append(folders)
        return {}

    def tell(self, config, directory, judge):
        """Tell the judge, as training does, the scores of the evaluations before the last one."""
        for epoch, score in enumerate(self.scores(config)[:-1] if judge else (), start=1):
            self.told.append(score)
            if reason := judge(epoch, score):
                self.start(config, directory, "pruned", checkpoint=True, reason=reason)
                raise Pruned(reason)

    def start(self, config, directory, status="running", checkpoint=False, reason=None):
        """Leave what a run leaves that has begun."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.json").write_text(json.dumps(config))
        (directory / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        values = {"status": status, "reason": reason, "config_hash": config_hash(config), "step": 1, "epoch": 0}
        (directory / "status.json").write_text(json.dumps(values))
        if checkpoint:
            (directory / "checkpoints").mkdir(exist_ok=True)
            (directory / "checkpoints" / "last.json").write_text("{}")

    def finish(self, config, directory):
        self.start(config, directory, "completed")
        score = self.score(config)
        metrics = {"letters/loss": 1.0, "letters/accuracy": score / 2}
        summary = {
            "status": "completed",
            "selection": {"metric": "skill", "best": score, "best_step": 1},
            "best_val": metrics,
            "test": {**metrics, "letters/accuracy": score / 4},
            "seconds": 1.5,
        }
        (directory / "summary.json").write_text(json.dumps(summary))
        return summary


def install(monkeypatch):
    """Put a stub in the place of mtl_cli.runs.run for one test, and return it."""
    stub = StubRun()
    for name in ("run", "evaluation"):
        monkeypatch.setitem(sys.modules, f"mtl_cli.runs.{name}", stub)
        monkeypatch.setattr(mtl_cli.runs, name, stub, raising=False)
    return stub
