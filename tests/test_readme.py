"""What the README shows works as it is shown."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mtl_cli import cli

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(?P<head>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks():
    found = [(match["head"].strip(), match["text"]) for match in BLOCK.finditer(README.read_text(encoding="utf-8"))]
    assert len(found) > 8
    return found


def commands():
    lines = [line for head, text in blocks() if not head for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("mtl-")]


def write_files(folder):
    for head, text in blocks():
        if " " in head:
            path = folder / head.split(" ", 1)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def test_own_parts_train_evaluate_and_resume(tmp_path, monkeypatch, capsys):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (own,) = [words for words in commands() if "weighting=worst" in words]
    assert cli.main([*own[1:], "hydra.run.dir=run"]) == 0
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["test"]["inside/accuracy"] > 0.9
    assert summary["test"]["right/accuracy"] > 0.9
    assert cli.main_eval(["checkpoint=run"]) == 2
    assert "trust=[my_parts]" in capsys.readouterr().err
    assert cli.main_eval(["checkpoint=run", "trust=[my_parts]"]) == 0
    assert cli.main(["resume=run", "trust=[my_parts]", "trainer.max_epochs=21"]) == 0


def composable():
    """Return the mtl-train commands that need no run; without sweeps, which --cfg does not take."""
    chosen = [words for words in commands() if words[0] == "mtl-train" and "--config-dir" not in words]
    chosen = [words for words in chosen if "--help" not in words and not any("resume=" in word for word in words)]
    assert len(chosen) > 3
    return [[word for word in words[1:] if word != "-m" and not re.search(r"=[^\[{]*,", word)] for words in chosen]


@pytest.mark.parametrize("arguments", composable(), ids=" ".join)
def test_every_train_command_composes(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--cfg", "job", *arguments]) == 0


@pytest.mark.slow
def test_the_sweep_of_weights_runs(tmp_path):
    words = next(words for words in commands() if "tasks.letters.weight=0.1,0.3,1,3" in words)
    command = [Path(sys.executable).parent / words[0], *words[1:], "trainer.max_steps=3", "hydra.sweep.dir=sweep"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "sweep" / "summary.csv").read_text().splitlines()) == 5
