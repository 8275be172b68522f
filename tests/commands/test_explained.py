"""`--help TOPIC` explains what there is, from docstrings and YAML, without importing torch."""

import json
import re
import subprocess
import sys

import pytest

from mtl_cli import cli
from mtl_cli.commands.explained import explain, kinds
from mtl_cli.config.on_hand import components_on_hand, target_of
from mtl_cli.config.schema import knobs
from mtl_cli.config.shipped import conf_dir, group_options, read_yaml
from mtl_cli.tasks.base import Task

OPTIONS = [(group, option) for group, options in group_options([conf_dir()]).items() for option in options]


def plain(text):
    return " ".join(text.split())


@pytest.mark.parametrize("group", group_options([conf_dir()]))
def test_a_group_says_of_each_option_what_it_is(group, capsys):
    assert cli.main(["--help", group]) == 0
    text = capsys.readouterr().out
    for option in group_options([conf_dir()])[group]:
        assert re.search(rf"^  {re.escape(option)}\s+\S", text, re.MULTILINE), option
    assert max(map(len, text.splitlines())) <= 120


def test_every_option_is_explained_with_its_class_and_all_its_knobs():
    assert len(OPTIONS) > 50
    for group, option in OPTIONS:
        text = explain([f"{group}={option}"])
        node = read_yaml((conf_dir() / group / f"{option}.yaml").read_text(encoding="utf-8"))
        assert text.startswith(f"{group}={option}")
        for name in node if "_target_" in node else ():
            assert name == "_target_" or f".{name}=" in text, (group, option, name)
        assert node.get("_target_", "") in text
        assert len(text) > 100, text


def test_an_option_says_its_source_its_knobs_with_comments_and_its_cost():
    text = plain(explain(["weighting=cagrad"]))
    assert "(mtl_cli.weightings.cagrad.CAGrad)" in text
    assert 'Source: Liu, Liu, Jin, Stone & Liu, "Conflict-Averse Gradient Descent' in text
    assert "weighting.level=parameters where the gradients are taken" in text
    assert "Cost: one backward per task, and a small problem that is solved on the CPU" in text
    assert "Caruana" in explain(["sharing=hard"])
    assert "weighting.level=features: possible." in explain(["sharing=hard"])
    assert "Inputs: image, image_row. Features: vector or map." in explain(["backbone=cnn"])
    assert "decoupled" in explain(["optimizer=adamw"])
    assert "Loshchilov" in explain(["optimizer=adamw"])
    assert "rows per step" in explain(["dataset=tabular"])
    assert "_target_: mtl_cli.tasks.classification.Classification" in explain(["task=letters"])


def test_several_topics_joined_tasks_and_options_by_their_name_alone():
    text = explain(["task=letters+cifar10", "pcgrad", "optimizer.lr"])
    assert re.findall(r"^(\w+=\w+)  \(", text, re.MULTILINE) == ["task=letters", "task=cifar10", "weighting=pcgrad"]
    assert "optimizer=sgd optimizer.lr=0.05" in text


def test_every_kind_of_task_is_explained_with_a_node_to_copy():
    targets = {f"{cls.module}.{name}" for name, cls in kinds().items()}
    own = {target_of(cls) for cls in components_on_hand(Task, "mtl_cli.tasks")}
    assert targets == {target for target in own if target.startswith("mtl_cli.")}
    listed = explain(["tasks"])
    for name, cls in kinds().items():
        assert re.search(rf"^  {name} +\S+ \S+", listed, re.MULTILINE)
        text = explain([f"tasks={name}"])
        assert f"  _target_: {cls.module}.{name}\n" in text
        assert "  target: " in text
    assert explain(["tasks=token_classification"]) == explain(["tasks=TokenClassification"])


def test_sections_and_keys_are_explained():
    text = plain(explain(["trainer"]))
    for key, knob in knobs().items():
        assert (f"{key}=" in text) is key.startswith("trainer.")
        assert not key.startswith("trainer.") or f"It is {knob.described}." in text
    assert plain(explain(["seed"])) == "seed=0 Seed of everything random. It is a whole number ≥ 0 and < 2^63."


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("weighting=pcgard", "Unknown weighting option 'pcgard'. Did you mean 'pcgrad'? Known: aligned_mtl, "),
        ("tasks=binry", "Unknown kind of task 'binry'. Did you mean 'binary'? Known: Binary, "),
        ("wieghting", "--help knows nothing of 'wieghting'. Did you mean 'weighting'?"),
        ("reporter", "--help knows nothing of 'reporter'. It explains a group (--help weighting)"),
    ],
)
def test_an_unknown_topic_is_a_mistake(topic, message, capsys):
    assert cli.main(["--help", topic]) == 2
    assert message in capsys.readouterr().err


def test_own_options_are_explained_from_their_source_without_running_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_parts.py").write_text(
        '"""My parts."""\nraise SystemExit("ran")\nfrom mtl_cli.weightings.base import LossWeighting\n\n'
        'class Worst(LossWeighting):\n    """The largest loss.\n\n    Also called: WORST.\n    """\n'
    )
    (tmp_path / "my_conf" / "weighting").mkdir(parents=True)
    (tmp_path / "my_conf" / "weighting" / "worst.yaml").write_text(
        "_target_: my_parts.Worst\npower: 2  # of the loss\n"
    )
    text = plain(explain(["weighting=worst"], tmp_path / "my_conf"))
    assert text.startswith("weighting=worst (my_parts.Worst) The largest loss.")
    assert "weighting.power=2 of the loss" in text
    assert "Cost: one backward per step; with trainer.accumulate above 1" in text


@pytest.mark.parametrize(
    ("main", "topic", "start"),
    [
        (cli.main_eval, "split", "  split=NAME          train, val or test"),
        (cli.main_predict, "tasks=[A]", "  tasks=[A,B]         predicts these tasks only"),
        (cli.main_init, "target", "  target=[A,B]        columns to predict."),
    ],
)
def test_other_programs_explain_their_words(main, topic, start, capsys):
    assert main(["--help", topic]) == 0
    text = capsys.readouterr().out
    assert text.startswith(start)
    assert all(line.startswith(" " * 10) for line in text.splitlines()[1:])
    assert main(["--help", "nonsense"]) == 2
    assert "has no 'nonsense'. mtl-" in capsys.readouterr().err


COST = """
import json, sys, time
from mtl_cli import cli
code = [cli.main(["--help", topic]) for topic in ("weighting", "weighting=pcgrad", "tasks", "trainer")]
loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "hydra", "omegaconf", "numpy"})
print(json.dumps([code, loaded, time.process_time()]), file=sys.stderr)
"""


def test_explaining_takes_little_time_and_imports_neither_torch_nor_hydra():
    done = subprocess.run([sys.executable, "-c", COST], capture_output=True, text=True, check=True)
    code, loaded, seconds = json.loads(done.stderr)
    assert code == [0, 0, 0, 0]
    assert loaded == []
    assert seconds < 2.0, "CPU seconds from the start of the process for four topics; .4 where this was written"
