"""Mutations of the shipped configs: each trains a step, or ends with exit code 2 and a message that names its key.

A base takes one option of every group on a tiny dataset; a mutation changes one key as a user might by mistake.
"""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mtl_cli import cli
from mtl_cli.config.annotations import shown
from mtl_cli.config.schema import knobs
from mtl_cli.config.shipped import conf_dir
from mtl_cli.runs.run import TRIALS
from tests import _toy

GROUPS = ("backbone", "sharing", "weighting", "schedule", "optimizer", "lr_schedule")
OPTIONS = {group: sorted(path.stem for path in Path(conf_dir(), group).glob("*.yaml")) for group in GROUPS}
IMAGES = ("cnn", "lenet", "mlp")
VALUES = [
    "null", "true", "false", "0", "-1", "1", "2", "3", "0.5", "-0.5", "1e-8", "1e30", "inf", "nan",
    "100000000000000000",
    "''", "word", "[]", "[1]", "[a,b]", "{}", "{a:1}", "[[1]]", "None", "1,2", "${seed}", "${nowhere}",
    "${oc.env:HOME}",
    "é", "../x", "os.system", "auto", "none",
]  # fmt: skip
HARMLESS = ("init_from", "trainer.profile", "trainer.compile")  # compiling takes seconds and makes torch warn
LONG = re.compile(r"^error: .{1500,}", re.MULTILINE)


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    """A conf folder with two tasks of a toy dataset."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "task").mkdir()
    for field in ("quadrant", "sign"):
        task = _toy.task(field, size=32)
        text = yaml.safe_dump({"tasks": {field: task}}, sort_keys=False)
        (folder / "task" / f"{field}.yaml").write_text(f"# @package _global_\n{text}")
    return folder


def base(stream):
    """Overrides of a config that trains one step, with random options; and the keys of its nodes."""
    backbone = stream.choice(IMAGES)
    chosen = {"backbone": backbone}
    if stream.random() < 0.5:  # not every weighting has something to balance in every mode
        chosen["sharing"] = stream.choice(("hard", "independent", "soft", "hierarchical"))
    else:
        chosen["weighting"] = stream.choice(OPTIONS["weighting"])
    for group in ("schedule", "optimizer", "lr_schedule"):
        if stream.random() < 0.3:
            chosen[group] = stream.choice(OPTIONS[group])
    overrides = [f"{group}={option}" for group, option in chosen.items()]
    if backbone == "cnn":
        overrides += ["backbone.channels=[2]", "backbone.dense=[4]"]
    elif backbone == "mlp":
        overrides += ["backbone.hidden=[4]"]
    keys = {key: knob.default for key, knob in knobs().items()}
    keys |= {"tasks.sign.weight": 1.0, "tasks.sign.target": "sign", "tasks.sign.dataset.size": 32}
    keys |= {"tasks.sign.label_smoothing": 0.1, "tasks.sign.head.hidden": [3]}
    for group, option in {"weighting": "fixed", "sharing": "hard", "optimizer": "adamw", **chosen}.items():
        written = yaml.safe_load(Path(conf_dir(), group, f"{option}.yaml").read_text(encoding="utf-8"))
        node = _toy.option(group, option)
        wanted = {key: str(node[key]).replace("'", "") for key, value in written.items() if value == "???"}
        overrides += [f"{group}.{key}={value}" for key, value in wanted.items()]
        keys |= {f"{group}.{key}": value for key, value in node.items() if key not in ("_target_", "defaults")}
    return overrides, keys


def mutate(stream, keys):
    """One or no mutation, and the words of which a message must hold one."""
    kind = stream.choices(
        ("none", "near", "value", "typo", "extra", "missing", "option", "target"), (1, 5, 4, 2, 1, 1, 1, 1)
    )[0]
    key = stream.choice([key for key in keys if key not in ("debug", "resume", *TRIALS, *HARMLESS)])
    last = key.rpartition(".")[2]
    if kind == "near":  # its default, or a number close to it
        value = keys[key]
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = value * stream.choice((1, 2)) if isinstance(value, int) else value * stream.choice((0.5, 1.0, 1.5))
        return ([f"{key}={shown(value)}"], [key, last]) if "$" not in str(value) and value != "" else ([], [])
    if kind == "value":
        return [f"{key}={stream.choice(VALUES)}"], [key, last]
    if kind == "typo":
        place = stream.randrange(len(last))
        wrong = last[:place] + stream.choice("abcxyz_") + last[place + stream.randrange(2) :]
        wrong_key = key[: len(key) - len(last)] + wrong
        return [f"{wrong_key}=1"], [wrong, wrong_key, key]
    if kind == "extra":
        return [f"+{key}_more={stream.choice(VALUES)}"], [f"{last}_more", key]
    if kind == "missing":
        return [f"~{key}"], [key, last]
    if kind == "option":
        group = stream.choice(GROUPS)
        return [f"{group}={stream.choice(['fixd', '', 'null', '1', '../x', 'hard'])}"], [group]
    if kind == "target":
        group = stream.choice(GROUPS)
        target = stream.choice(["os.system", "mtl_cli.files.os.system", "torch.nn.Linear", "nothing", "3", "a.b"])
        return [f"{group}._target_={target}"], [f"{group}._target_", group]
    return [], []


def command(stream, conf, out):
    """The arguments of one case, and the words that its message holds one of."""
    overrides, keys = base(stream)
    mutation, words = mutate(stream, keys)
    fixed = ["task=quadrant+sign", "trust=[tests]", "trainer.max_steps=1", "trainer.device=cpu", "quiet=true"]
    fixed += [f"hydra.run.dir={out}", "data.batch_size=32"]
    given = {text.lstrip("+~").partition("=")[0] for text in mutation}
    kept = [text for text in fixed + overrides if text.partition("=")[0] not in given]
    if mutation and mutation[0].startswith("~"):
        kept = fixed + overrides
    return ["--config-dir", str(conf), *kept, *mutation], words


def judge(code, error, arguments, words, out):
    """Return what is wrong with the end of a case, or None."""
    if "Traceback" in error or "Unexpected" in error:
        return "a traceback"
    if code == 0:
        return None if (out / "summary.json").is_file() else "no summary"
    if code == 1:  # numbers that are not finite are a failure of the run, and say so
        return None if re.search(r" is (nan|-?inf|not finite)\b", error) else f"code 1: {error}"
    if code != 2:
        return f"code {code}"
    if out.exists():
        return "a run directory is left"
    if not error.startswith("error: ") or LONG.search(error):
        return f"no short message: {error[:300]}"
    return None if any(word in error for word in words) else f"the key is not named: {error[:300]}"


@pytest.fixture
def cheap(monkeypatch):
    """Leave out what each run does after its step but that no mutation reaches."""
    monkeypatch.setattr("mtl_cli.runs.outcome.draw", lambda *_: None)
    monkeypatch.setattr("mtl_cli.storage.directory.checkpoint.prune", lambda *_: None)
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.mark.parametrize(("seed", "cases"), [(0, 15), pytest.param(1, 95, marks=pytest.mark.slow)])
def test_every_mutation_trains_a_step_or_is_explained(seed, cases, conf, tmp_path, cheap, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stream = random.Random(seed)
    trained, wrong = 0, []
    for case in range(cases):
        out = tmp_path / str(case)
        arguments, words = command(stream, conf, out)
        code = cli.main(arguments)
        problem = judge(code, capsys.readouterr().err, arguments, words, out)
        trained += code == 0
        if problem:
            wrong.append(f"{' '.join(arguments[2:])}\n    {problem}")
    assert not wrong, f"{len(wrong)} of {cases}:\n" + "\n".join(wrong)
    assert trained >= 0.3 * cases


@pytest.mark.slow
def test_ten_mutations_as_processes(conf, tmp_path):
    stream = random.Random(99)
    program = "import sys; from mtl_cli.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    for case in range(10):
        out = tmp_path / str(case)
        arguments, words = command(stream, conf, out)
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert judge(done.returncode, done.stderr, arguments, words, out) is None, (arguments, done.stderr)
