"""What stands in a file is data: never YAML, never an interpolation, whatever it looks like."""

import csv
import json
import os
import random
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from mtl_cli import cli
from mtl_cli.commands.compose import hydra_session
from mtl_cli.commands.composed_run import compose_run
from mtl_cli.config.interpolation import escaped, resolve
from mtl_cli.config.task_groups import expand
from mtl_cli.init.first_look import init_config
from mtl_cli.init.yaml_files import comment, entry
from mtl_cli.tables.reading import ReadOptions, TableFile

CASES = Path(__file__).parents[1] / "cases"
SYNTAX = [
    "\n_target_: evil.Source\n", "${oc.env:HOME}", "\\${x}", "\\", "\\\\", "${", "}", "#",
    ": ", "- ", "'", '"', "{", "]", "&a", "*a", "!!p",
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
    lines = [entry("a", texts, " ".join(texts)), comment(texts[0]), entry("b", {"c": texts[1]})]
    text = "\n".join(lines)
    assert len(text.splitlines()) == 3
    found = yaml.safe_load(text)
    assert list(found) == ["a", "b"]
    assert resolve(found) == {"a": texts, "b": {"c": texts[1]}}


def test_backslashes_before_an_interpolation_count_as_in_omegaconf():
    texts = ["\\" * count + "${a}\\" for count in range(7)]
    config = {"a": "value", "texts": texts}
    assert resolve(config)["texts"] == OmegaConf.to_container(OmegaConf.create(config), resolve=True)["texts"]
    data = {"texts": [escaped(text) for text in texts]}
    assert resolve(data)["texts"] == OmegaConf.to_container(OmegaConf.create(data), resolve=True)["texts"] == texts


def write_table(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


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


def composed(capsys, source, output, options):
    """Return the config of the command that mtl-init prints, resolved as a run does."""
    init_config(str(source), output, options)
    words, out = printed_command(capsys)
    assert all(each.isprintable() for each in out.replace("\n", ""))
    assert words[:2] == ["--config-dir", str(output)]
    with hydra_session(output) as session:
        config = compose_run(session, words[2:]).config
    assert not Path("ran").exists()
    return expand(resolve(config))


def texts_of(rng, count, without="\x00\r\n"):
    """Return different texts, also for a reader that cuts spaces off."""
    made = (f"{'abcdefghi'[k]}{made_up(rng)}" for k in range(count))
    return ["".join(each for each in text if each not in without).strip() for text in made]


def names_of(rng, count):
    """Return different names of columns, which begin with syntax."""
    return [f"{name[1:]}{name[0]}".strip() for name in texts_of(rng, count)]


def odd_folder(rng, here):
    folder = here / ("sub " + "".join(each for each in made_up(rng) if each not in "\x00/"))
    folder.mkdir()
    return folder


@pytest.mark.parametrize("seed", range(6))
def test_names_labels_and_paths_of_tables_reach_the_run_as_they_are(here, capsys, seed):
    rng = random.Random(seed)
    path = odd_folder(rng, here) / "data.csv"
    names, labels = names_of(rng, 5), texts_of(rng, 2)
    rows = [[*(f"{n}{k}" for n in names[:3]), f"g{k % 7}", labels[k % 2], k % 11 / 3] for k in range(40)]
    write_table(path, [*names, "x"], rows)
    columns = TableFile(path, ReadOptions()).columns
    target, group = columns[4], columns[3]
    options = {"target": [target.replace("+", "")], "group": group, "text": None}
    config = composed(capsys, path, here / "a conf", options)
    (task,) = config["tasks"].values()
    assert task["dataset"]["path"] == str(path)
    assert task["dataset"]["group_column"] == group
    assert set(task["dataset"]["drop"]) == {*columns[:3], target}
    assert task.get("column", target) == target
    assert set(task["classes"]) == set(labels)


@pytest.mark.parametrize("seed", range(4))
def test_many_targets_in_one_node_keep_their_columns_and_labels(here, capsys, seed):
    rng = random.Random(seed)
    names = names_of(rng, 9)
    labels = [texts_of(rng, 2) for _ in names]
    write_table(Path("data.csv"), ["x", *names], [[k, *(each[k % 2] for each in labels)] for k in range(40)])
    columns = TableFile(Path("data.csv"), ReadOptions()).columns[1:]
    config = composed(capsys, "data.csv", here / "conf", {"target": list(columns), "text": None})
    assert [task.get("column", name) for name, task in config["tasks"].items()] == columns
    assert [set(task["classes"]) for task in config["tasks"].values()] == [set(each) for each in labels]


@pytest.mark.parametrize("seed", range(4))
def test_names_and_labels_beside_texts_reach_the_run_as_they_are(here, capsys, seed):
    rng = random.Random(seed)
    path = odd_folder(rng, here) / "data.jsonl"
    text, target, category = names = names_of(rng, 3)
    labels, categories = texts_of(rng, 2), texts_of(rng, 3)
    rows = [[f"{made_up(rng)} a text of words {k}", labels[k % 2], categories[k % 3]] for k in range(40)]
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    config = composed(capsys, path, here / "conf", {"target": [target], "text": text})
    (task,) = config["tasks"].values()
    assert task["dataset"]["path"] == str(path)
    assert task["dataset"]["text"] == text
    assert task["dataset"]["categorical"] == [category]
    assert task.get("column", target) == target
    assert set(task["classes"]) == set(labels)


@pytest.mark.parametrize("seed", range(4))
def test_names_of_columns_of_words_reach_the_run_as_they_are(here, capsys, seed):
    rng = random.Random(seed)
    path = odd_folder(rng, here) / "data.conll"
    names, labels = names_of(rng, 3), [each.replace(" ", "_") for each in texts_of(rng, 4, without="\x00\r\n\t#")]
    words = [f"word{k % 50}\t{labels[k % 2]}\t{labels[2 + k % 2]}" for k in range(400)]
    sentences = ["\n".join(words[k : k + 8]) for k in range(0, 400, 8)]
    path.write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
    config = composed(capsys, path, here / "conf", {"target": names[1:], "columns": names, "word": names[0]})
    first = next(iter(config["tasks"].values()))["dataset"]
    assert (first["path"], first["columns"], first["word"]) == (str(path), names, names[0])
    assert [task.get("column", name) for name, task in config["tasks"].items()] == names[1:]


def test_targets_that_yaml_or_hydra_reads_as_values_are_renamed(here, capsys):
    shutil.copy(CASES / "reserved_task_names.csv", "data.csv")
    assert cli.main_init(["input=data.csv", 'target=["no",reg]', "output=conf"]) == 0
    trained(capsys)
    assert {"no_task/loss", "reg/loss"} <= set(json.loads(Path("run/summary.json").read_text())["test"])


@pytest.mark.parametrize("seed", range(2))
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
