"""Every way out that a message proposes is tried: the message is gone, and the config holds what was proposed.

A case is a command that provokes a message. The overrides in the message are put into the command, which is then run up
to the first training step (`build`). `UNTRIED` lists the messages that no case provokes, with what tries them instead.
"""

import re

import pytest
import yaml

from mtl_cli import cli
from mtl_cli.config.interpolation import get_key, has_key
from mtl_cli.config.shipped import read_yaml
from mtl_cli.config.targets import Trust
from mtl_cli.runs import run
from mtl_cli.runs.build import build
from tests import _kinds
from tests._advice import advice, matches, templates, with_advice

TABLE = ("task=table", "backbone=tabular", "backbone.hidden=[8]")
TEXT = ("task=text", "backbone=gru", "backbone.width=8", "backbone.embedding=6")
WORDS = ("task=conll", "backbone=gru", "backbone.width=8", "backbone.embedding=6")
IMAGES = ("task=multi_mnist_left+multi_mnist_right", "backbone=cnn", "backbone.channels=[2]", "backbone.dense=[4]")
FILL = {"OPTION": "tabular", "VALUE": "1", "FILE": "FOLDER/table.csv", "DIR": "FOLDER/new", "NAME": "y"}
"""What stands for the placeholders of messages; FOLDER is the folder of the files."""
FIRST_OF_TWO = {"leads": "on"}
"""Marks a case in which another message follows, which is a case of its own or needs what is not here."""

CASES = {
    "knobs": [
        (*TABLE, "trainer.max_epochs=null"),
        (*TABLE, "data.fold=1"),
        (*TABLE, "data.fold=7", "data.folds=5"),
        (*IMAGES, "data.folds=5"),
        (*TABLE, "tasks.y.weight=0", "tasks.z.weight=0"),
        (*TABLE, "selection.metric=y"),
        (*TABLE, "selection.metric=q/auc"),
        (*TABLE, "data.batch_size=0"),
        (*TABLE, "data.workers=x"),
        (*TABLE, "trainer.device=gpu"),
        (*TABLE, "freeze=stages:9"),
    ],
    "keys": [
        (*TABLE, "+sede=1"),
        (*TABLE, "+trainer.sede=1"),
        (*TABLE, "~seed"),
        (*TABLE, "seed=${nope:1}"),
        (*TABLE, "tasks.y.dataset.path=???", {"VALUE": "FOLDER/table.csv"}),
        (*TABLE, "hydra.run.dir="),
        (*TABLE, "tasks.y.dataset.targets.y=5", {"KEY": "kind", "VALUE": "class"}),
    ],
    "options": [
        ("task=[table]", *TABLE[1:]),
        ("tasks=table", *TABLE[1:]),
        ("task=table+table", *TABLE[1:]),
        ("task=null", *TABLE[1:], {"OPTION": "table", "A+B": "table"}),
        ("~tasks.y", "~tasks.z", "task=table", "backbone=mlp"),
        ("table", *TABLE[1:]),
        (*TABLE[:1], "~backbone"),
    ],
    "methods": [
        (*TABLE, "schedule=sequential", "schedule.length=0"),
        (*TABLE, "schedule=temperature", "schedule.alpha=-1"),
        (*TABLE, "lr_schedule=step", "lr_schedule.gamma=-1"),
        (*TABLE, "weighting=cagrad", "weighting.c=-1"),
        (*TABLE, "weighting=equal", "tasks.y.weight=2"),
        (*TABLE, "weighting=pcgrad", "sharing=independent"),
        (*TABLE, "weighting=pcgrad", "sharing=adapters", "weighting.level=features"),
        (*TABLE, "weighting=pcgrad", "weighting.level=features", "tasks.y.dataset.scale=none"),
        (*TABLE, "sharing=mmoe", "sharing.num_experts=0"),
        (*TABLE, "sharing=mmoe", "sharing.expert_stages=9"),
        (*TABLE, "sharing=dselect_k", "sharing.num_selected=9"),
        (*TABLE, "sharing=dselect_k", "sharing.gamma=-1"),
        (*TABLE, "sharing=dselect_k", "sharing.entropy=-1"),
        (*TABLE, "sharing=dselect_k", "sharing.gate=x"),
        (*TABLE, "sharing=soft", "sharing.strength=-1"),
        (*TABLE, "sharing=adapters", "sharing.alpha=0"),
        (*IMAGES, "sharing=cross_attention", "sharing.num_heads=5"),
        (*IMAGES, "sharing=cross_attention", "sharing.grid=0", "sharing.num_heads=1"),
    ],
    "backbones": [
        (*IMAGES[:1], "backbone=cnn", "backbone.channels=[1,1,1,1,1,1,1,1]"),
        (*IMAGES[:1], "backbone=tabular"),
        (*TABLE[:1], "backbone=ft_transformer", "backbone.width=0"),
        (*TEXT[:1], "backbone=text_cnn", "backbone.last=x"),
        (*WORDS[:1], "backbone=transformer", "backbone.width=7"),
        (*WORDS, "tasks.y.head._target_=mtl_cli.heads.mlp.MLPHead"),
    ],
    "tasks": [
        (*TABLE, "tasks.y._target_=mtl_cli.tasks.binary.Binary"),
        (*TABLE, "tasks.y.class_weights=[1]"),
        (*TABLE, "tasks.y._target_=os.path", FIRST_OF_TWO),
        (*WORDS, "tasks.y.spans=x"),
        (*WORDS, "tasks.y.spans=conll"),
    ],
    "datasets": [
        (*TABLE, "tasks.y.dataset.path="),
        (*TABLE, "tasks.y.dataset.path=nowhere.csv"),
        (*TABLE, "tasks.y.dataset.encoding=nope"),
        (*TABLE, "tasks.y.dataset.delimiter=';;'", FIRST_OF_TWO),
        (*TABLE, "tasks.y.dataset.format=x"),
        (*TABLE, "tasks.y.dataset.impute=x"),
        (*TABLE, "tasks.y.dataset.decimal=','", "tasks.y.dataset.thousands=','"),
        (*TABLE, "tasks.y.dataset.path=FOLDER/plain.dat"),
        (*TABLE, "tasks.y.dataset.path=FOLDER/latin.csv"),
        (*TABLE, "tasks.y.dataset.path=../x.csv", "data.root=FOLDER", FIRST_OF_TWO),
        (*TABLE, "tasks.y.dataset.drop=[a,b,c,kind]", {"…": "a"}, FIRST_OF_TWO),
        (*TABLE, "tasks.y.dataset.targets.y.kind=binary"),
        (*TABLE, "+tasks.y.dataset.targets.y.classes=[0,1]", {"…": "0,1,2", "VALUE": "2"}),
        (*TABLE, "tasks.y.dataset.cache_dir=/dev/null/x", "tasks.y.dataset.memory_mb=0.0001"),
        (*IMAGES, "data.source=x"),
    ],
    "texts": [
        (*TEXT, "tasks.y.dataset.tokenizer_path=FOLDER", FIRST_OF_TWO),
        (*WORDS, "tasks.y.dataset.word=q", {"NAME": "word"}),
        (*WORDS, "tasks.y.dataset.columns=null", {"…": "y,z"}),
        (*WORDS, "+tasks.y.dataset.targets.y.unseen=x"),
        (*WORDS, "+tasks.z.dataset.targets.z.classes=['0','1']", {"…": "'0','1','2'", "VALUE": "'2'"}),
    ],
}
"""Commands by the family of what is wrong; a dictionary fills placeholders. `--all` tries all of them."""
DEFAULT = 2
"""Cases of each family that the default tests try."""


TRIED = (
    *("backbones/cnn.py", "backbones/ft_transformer.py", "backbones/text_cnn.py", "backbones/transformer.py"),
    *("commands/compose.py", "commands/hydra_plugin.py", "config/annotations.py", "lr_schedules.py", "schedules/"),
    *("model/transfer.py", "sharing/cross_attention.py", "sharing/dselect_k.py", "sharing/soft.py"),
    *("tables/paths.py", "tasks/binary.py", "tasks/token_classification.py", "weightings/row_base.py"),
)
"""Files in which every message that proposes something is tried here; a new one in them needs a case."""


def cases():
    for family, commands in CASES.items():
        for index, words in enumerate(commands):
            marks = [pytest.mark.slow] if index >= DEFAULT else []
            text = " ".join(word for word in words[1:] if isinstance(word, str) and "=" in word)
            yield pytest.param(words, marks=marks, id=f"{family}: {text}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A conf folder with a task for each kind of file, and the files."""
    folder = tmp_path_factory.mktemp("advice")
    FOLDERS.append(folder)
    _kinds.write_files(folder)
    (folder / "plain.dat").write_text((folder / "table.csv").read_text())
    (folder / "latin.csv").write_bytes((folder / "table.csv").read_text().replace("k0", "é").encode("latin-1"))
    (folder / "new").mkdir()
    (folder / "conf" / "task").mkdir(parents=True)
    for kind in ("table", "text", "conll"):
        tasks = _kinds.config(kind, folder)["tasks"]
        if kind == "table":
            tasks = {name: {**node, "class_weights": None, "focal_gamma": 0.0} for name, node in tasks.items()}
        text = "# @package _global_\n" + yaml.safe_dump({"tasks": tasks})
        (folder / "conf" / "task" / f"{kind}.yaml").write_text(text)
    return folder


@pytest.fixture
def command(folder, tmp_path, monkeypatch, capsys):
    """A function that runs a command up to the first step, and returns its config and messages."""
    monkeypatch.chdir(tmp_path)
    seen = []

    def built(config, directory, command, folders=()):
        resolved = run.checked(config, folders)
        with run.torch_settings(resolved):
            build(resolved, Trust(tuple(config["trust"]), tuple(folders)))
        seen.append(config)

    monkeypatch.setattr(run, "train", built)

    def call(words):
        words = [word.replace("FOLDER", str(folder)) for word in words]
        code = cli.main(["--config-dir", str(folder / "conf"), *words])
        captured = capsys.readouterr()
        assert code in (0, 2), captured.err
        return (seen.pop() if code == 0 else None), captured.err

    return call


FOLDERS = []
"""The folder of the files."""


def filled(way, fill):
    for name, value in fill.items():
        way = [re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", value, word) for word in way]
    return way


@pytest.mark.parametrize("case", list(cases()))
def test_what_a_message_proposes_works(case, command):
    words = [word for word in case if isinstance(word, str)]
    fill = FILL | {key: value for word in case if isinstance(word, dict) for key, value in word.items()}
    config, err = command(words)
    assert config is None, "nothing is wrong with the command"
    problems = [text.strip() for text in err.split("error: ") if text.strip()]
    ways = [(problem, filled(way, fill)) for problem in problems for way in advice(problem)]
    ways = [(problem, way) for problem, way in ways if "=tests." not in way[0]]  # components of other tests are on hand
    assert ways, err
    for problem, way in ways:
        again, after = command(with_advice(words, way, problem))
        assert problem not in after, (way, after)
        assert again or len(problems) > 1 or "leads" in fill, (way, after)
        for key, equals, value in (word.lstrip("+").partition("=") for word in way if again):
            if key.startswith("~"):
                assert key in words or not has_key(again, key[1:])
            elif equals and "." in key and not key.startswith("hydra"):
                assert get_key(again, key) == read_yaml(value.replace("FOLDER", str(FOLDERS[-1]))), (key, value)


@pytest.mark.slow
def test_every_message_of_these_files_is_tried(command):
    commands = [[word for word in case if isinstance(word, str)] for cases in CASES.values() for case in cases]
    errors = [command(words)[1] for words in commands]
    errors += [err.replace("++", "").replace("tasks.y.dataset.", "") for err in errors]  # as the component says it
    wanted = {place: text for place, text in templates().items() if place.startswith(TRIED)}
    assert len(wanted) > 15
    assert [place for place, text in wanted.items() if not any(matches(text, err) for err in errors)] == []
