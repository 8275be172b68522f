"""Running mtl-init in a test: on a case or a file made up, what it wrote, and the command that it printed."""

import json
import shlex
import shutil
from pathlib import Path

import yaml

from mtl_cli import cli

CASES = Path(__file__).parents[1] / "cases"


def look(capsys, target, *words, case=None, source="data.csv"):
    """Run mtl-init on data.csv, or on a copy of a case under that name; return what it printed."""
    if case:
        shutil.copy(CASES / case, source)
    assert cli.main_init([f"input={source}", f"target={target}", "output=conf", "overwrite=true", *words]) == 0
    return capsys.readouterr().out


def refused(capsys, target, *words, source="data.csv"):
    """Run mtl-init on a file that it refuses; return what it said."""
    assert cli.main_init([f"input={source}", f"target={target}", "output=conf", *words]) == 2
    assert not Path("conf").exists(), "nothing is left half done"
    return capsys.readouterr().err


def dataset(name="data"):
    """Return the dataset that was written."""
    return yaml.safe_load(Path(f"conf/dataset/{name}.yaml").read_text())


def task(name, file=None):
    """Return a task that was written."""
    return yaml.safe_load(Path(f"conf/task/{file or name}.yaml").read_text())["tasks"][name]


def kind(name):
    """Return the class of a task that was written."""
    return task(name)["_target_"].rpartition(".")[2]


def train(capsys, out, *more):
    """Run the command that was printed, for one epoch unless `more` says otherwise; return the test metrics."""
    line = next(line for line in out.splitlines() if line.strip().startswith("mtl-train "))
    words = [*shlex.split(line)[1:], "trainer.device=cpu", "quiet=true", "hydra.run.dir=run"]
    assert cli.main([*words, *(more or ["trainer.max_epochs=1"])]) == 0, capsys.readouterr().err
    capsys.readouterr()
    return json.loads(Path("run/summary.json").read_text())["test"]


def advised(text):
    """Return the options of each command line of mtl-init that a message advises."""
    lines = text.replace(" or mtl-init", "\nmtl-init").splitlines()
    return [shlex.split(line.partition("…")[2].rstrip(". ")) for line in lines if "mtl-init …" in line]
