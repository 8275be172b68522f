"""What stands in a file is data: never YAML, never an interpolation, whatever it looks like."""

import csv
import os
import random
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from mtl_cli import cli
from mtl_cli.config.interpolation import resolve
from mtl_cli.init.yaml_files import listed, one_line, quoted

CASES = Path(__file__).parents[1] / "cases"
SYNTAX = [
    "\n_target_: evil.Source\n", "${oc.env:HOME}", "\\${x}", "#", ": ", "- ", "'", '"', "{", "]", "&a", "*a", "!!p",
    "\x85", "\u2028", "\u2029", "\r", "\t", "\x00", "\x1b[31m", "é", "情感", "\U0001f600", "\ufeff", "null", "~", " ",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("evil.py").write_text("open('ran', 'w')\n")
    return tmp_path


def made_up(rng):
    return "".join(rng.choice([*SYNTAX, "word", "x1"]) for _ in range(rng.randint(1, 6)))


@pytest.mark.parametrize("seed", range(40))
def test_any_text_comes_back_from_yaml_in_quotes_and_stays_one_line_in_comments(seed):
    rng = random.Random(seed)
    texts = [made_up(rng) for _ in range(20)]
    lines = [f"a: {listed(texts)}  # {one_line(' '.join(texts))}", f"# {one_line(texts[0])}", f"b: {quoted(texts[1])}"]
    text = "\n".join(lines)
    assert len(text.splitlines()) == 3
    found = yaml.safe_load(text)
    assert list(found) == ["a", "b"]
    assert resolve(found)["a"] == texts


def printed_command(capsys):
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.strip().startswith("mtl-train "))
    return shlex.split(line)[1:], out


def trained(capsys, *more):
    words, out = printed_command(capsys)
    assert cli.main([*words, "trainer.max_epochs=1", "hydra.run.dir=run", "quiet=true", *more]) == 0
    return out


def test_a_header_runs_nothing(here, capsys):
    shutil.copy(CASES / "hostile_header.csv", "data.csv")
    assert cli.main_init(["input=data.csv", "target=[label]", "output=conf"]) == 0
    out = trained(capsys)
    assert not Path("ran").exists()
    assert "evil" not in sys.modules
    dataset = yaml.safe_load(Path("conf/dataset/data.yaml").read_text())
    assert "_target_" not in dataset
    assert not any(line.startswith("_target_") for line in out.splitlines())


def test_labels_are_not_interpolated(here, capsys, monkeypatch):
    monkeypatch.setenv("SECRET", "of the machine")
    shutil.copy(CASES / "hostile_labels.csv", "data.csv")
    assert cli.main_init(["input=data.csv", "target=[label]", "output=conf"]) == 0
    trained(capsys)
    assert cli.main_predict(["checkpoint=run", "input=data.csv", "output=out.csv"]) == 0
    with Path("out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with Path("data.csv").open(newline="") as file:
        labels = {row[-1] for row in list(csv.reader(file))[1:]}
    assert "${oc.env:SECRET}" in labels
    assert {name.removeprefix("label_probability_") for name in header if "_probability_" in name} <= labels
    assert {row[header.index("label_prediction")] for row in rows} <= labels
    for path in Path("run").rglob("*"):
        assert not path.is_file() or b"of the machine" not in path.read_bytes()


@pytest.mark.parametrize("seed", range(6))
def test_random_headers_and_labels_train_as_they_stand(here, capsys, seed):
    rng = random.Random(seed)
    names = list(dict.fromkeys(made_up(rng).replace("\x00", "") for _ in range(4)))
    labels = list(dict.fromkeys(f"{k}{made_up(rng)}".replace("\x00", "").replace("\r", "") for k in range(2)))
    with Path("data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "y"])
        for number in range(60):
            writer.writerow([*(round(rng.gauss(0, 1), 3) for _ in names), labels[number % 2]])
    code = cli.main_init(["input=data.csv", "target=[y]", "output=conf"])
    if code == 2:  # such as two columns of one name
        assert not Path("conf").exists()
        return
    trained(capsys)
    assert not Path("ran").exists()
    assert sorted(os.listdir()) == ["conf", "data.csv", "evil.py", "run"]
