"""Every way out that a message of the programs beside training proposes is tried: the message is gone.

A case is a program and words that provoke a message, on a run of a few steps. The overrides in the message are put in
the place of what they correct, and the program is run again.
"""

import re
import shutil

import pytest

from mtl_cli import cli
from tests._advice import advice, with_advice
from tests._trained import train

PROGRAMS = {
    "eval": cli.main_eval, "predict": cli.main_predict, "export": cli.main_export, "explain": cli.main_explain,
    "report": cli.main_report, "affinity": cli.main_affinity, "train": cli.main,
}  # fmt: skip
RUN = "checkpoint=run"
IN = (RUN, "input=table.csv")
OUT = (*IN, "output=out.csv")
TRAIN = ("--config-dir", "conf", "task=y+z", "backbone=tabular", "backbone.hidden=[8]", "trainer.max_steps=2")
STEP = (*TRAIN, "every=1")
SEARCH = ("-m", *TRAIN, "quiet=true")
TRIED = "tasks.y.weight=interval(.5,2)"
FILL = {
    "checkpoint=FILE": "checkpoint=run", "input=FILE": "input=other.csv", "output=FILE": "output=new.csv",
    "RUN_DIR": "run", "PATH": "run", "FILE": "other.csv", "DIR": "NEW", "VALUE": "1", "SETTING": "seed=0",
    "A+B+C": "y+z", "A+B": "y+z", "…": "y",
}  # fmt: skip
"""What stands for the placeholders of messages."""
OTHER = {"PATH": "other.csv"}
SAMPLES = {"PATH": "table.csv", "leads": "on"}
LEADS = {"leads": "on"}
"""Marks a case in which another message follows, which is right in this place."""
CASES = {
    "eval": [
        (RUN, "split=tst"), (RUN, "by=[y,y]"), (), (RUN, "input=none.csv"), (RUN, "calibrate=yes"),
        (RUN, "calibrate=true", "split=val"), (RUN, "bootstrap=5"), (RUN, "coverage=0.9"), ("checkpoint=none",),
        (RUN, "calibrate=true", "coverage=7"), (RUN, "thresholds=f1"),
    ],
    "predict": [
        (*IN, "output=table.csv"), (*OUT, "batch_size=0"), (RUN,), IN, (*IN, "output=out.parquet"),
        (*IN, "output=table.csv/a.csv"), (RUN, "input=none.csv", "output=out.csv", OTHER), (RUN, "samples=4", SAMPLES),
        (RUN, "samples=0", "output=out.png", SAMPLES),
    ],
    "export": [
        (RUN, "output=b", "format=onx"), (RUN,), (RUN, "output=taken"), (RUN, "output=b", "quantise=int4", LEADS),
        (RUN, "output=b", "quantise=int8"), (RUN, "output=b", "rows=0"), ("checkpoint=none", "output=b"),
    ],
    "explain": [
        (RUN, "output=e", "rows=0"), (RUN,), (RUN, "output=table.csv"),
    ],
    "report": [
        ("run", "margin=-1"), ("run", "output=table.csv"), ("run", "quiet=x"), ("run", "merge=x", LEADS),
    ],
    "affinity": [
        (*STEP, "output=a", "budget=0"), (*STEP, "output=taken"), (*TRAIN, "output=a", "every=0"), STEP,
        (*STEP, "task=y", "output=a"), (*STEP, "output=a", "sharing=independent"), (*TRAIN, "output=a", "every=99"),
    ],
    "search": [
        (*SEARCH, "search.trials=2", TRIED), (*SEARCH, "search=tps", "search.trials=2", TRIED),
        (*SEARCH, "search=random", "search.points=2", "search.trials=2", TRIED),
        (*SEARCH, "search=random", "search.trials=2", "search.choose=preference", TRIED),
        (*SEARCH, "search=random", "search.trials=2", "hydra/launcher=joblib", TRIED),
        (*SEARCH, "search=scalarization", "search.trials=2", "task=y"),
        (*SEARCH, "search=random", "search.trials=0", TRIED),
        (*SEARCH, "search=random", "search.trials=2", "search.metric=y/accuracy", "search.choose=minimax", TRIED),
        (*SEARCH, "search=random", "search.workers=0", "search.trials=2", TRIED),
    ],
    "storage": [
        (*TRAIN, "hydra.run.dir=table.csv/x"), (*SEARCH, "seed=0,1", "hydra.sweep.dir=table.csv/x"),
        ("resume=run", "trainer.devices=2"), ("resume=run", "trainer.accumulate=3"),
    ],
    "ranks": [
        (*TRAIN, "trainer.devices=0"), (*TRAIN, "trainer.strategy=dp"), (*TRAIN, "trainer.batch_norm=both"),
        (*TRAIN, "trainer.devices=2", "trainer.compile=true", "trainer.strategy=fsdp"),
    ],
}  # fmt: skip
DEFAULT = 1
"""Cases of each program that the default tests try."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run on a table, the table, a conf folder with its tasks, and a folder that is taken."""
    folder = tmp_path_factory.mktemp("advice")
    train("table", folder)
    init = [f"input={folder / 'table.csv'}", "target=[y,z]", f"output={folder / 'conf'}"]
    assert cli.main_init(init) == 0
    (folder / "taken").mkdir()
    (folder / "taken" / "thing").write_text("something")
    (folder / "other.csv").write_text((folder / "table.csv").read_text())
    return folder


def cases():
    for area, commands in CASES.items():
        for index, words in enumerate(commands):
            said = " ".join(word for word in words if word not in TRAIN and isinstance(word, str))
            marks = [pytest.mark.slow] if index >= DEFAULT or area in ("search", "storage", "ranks") else []
            yield pytest.param(area, words, marks=marks, id=f"{area}: {said}")


@pytest.mark.parametrize(("area", "words"), list(cases()))
def test_what_a_message_proposes_works(area, words, folder, tmp_path, monkeypatch, capsys):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path) if path.name != "run" else shutil.copytree(path, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    program = PROGRAMS.get(area, cli.main)
    fill = FILL | {key: value for word in words if isinstance(word, dict) for key, value in word.items()}
    words = [word for word in words if isinstance(word, str)]
    capsys.readouterr()
    assert program(words) == 2, capsys.readouterr()
    err = capsys.readouterr().err
    problems = [text.strip() for text in err.split("error: ") if text.strip()]
    ways = [(problem, way) for problem in problems for way in advice(problem)]
    assert ways, err
    for number, (problem, way) in enumerate(ways):
        for name, value in fill.items():
            way = [re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", value, word) for word in way]
        again = [word.replace("NEW", f"new{number}") for word in with_advice(words, way, problem)]
        code, after = program(again), capsys.readouterr().err
        assert problem not in after, again
        assert code == 0 or len(problems) > 1 or "leads" in fill, (again, after)
