"""Hints name what is meant or nothing: a list of mistakes, and properties over all names that exist.

The cases follow what exists: where a later version has the name that a case takes for a mistake, it is no mistake.
"""

import re
import shlex

import pytest

from mtl_cli import cli
from mtl_cli.commands.compose import hydra_session
from mtl_cli.config.schema import knobs, sections
from mtl_cli.config.shipped import conf_dir, group_options
from mtl_cli.errors import nearest_name

DEFAULT = 10
"""Mistakes of each list that the default tests make; `--all` makes all of them."""
NONE = (
    *("trainer.devices=2", "logger=wandb", "backbone=resnet50", "--list", "--weighting foo", "--max-epochs=0"),
    *("trainer.min_epochs=3", "optimizer=nadam", "task=cifar100", "weighting=imtl_g", "trainer.devices=cpu"),
    *("optimizer=radam", "optimizer=adan", "optimizer=sgdm", "backbone=rnn", "backbone=lenet5"),
    *("task=mnist", "weighting=rgw", "sharing=stl", "trainer.logger=true"),
    *("trainer.gpus=1", "~trainer.devices", "logger.path=x", "model.width=3", "data.batches=3", "trainer.max_epoch=x"),
    *("--foo=3", "--gpus 2", "--lr=abc", "--trainer.devices 2"),
)
HINTS = {
    "optimizer=adamW": "optimizer=adamw",
    "weighting=uw": "weighting=uncertainty",
    "task=leters,mnist_digits": "task=letters+mnist_digits",
    "trainer.lr=0.1": "optimizer.lr=0.1",
    "--weighting pcgrad": "weighting=pcgrad",
    "--max-epochs 3": "trainer.max_epochs=3",
    "trainer.max_epoch=3": "trainer.max_epochs=3",
    "~tasks.leters": "~tasks.letters",
    "backbone=cnn,mlp": "-m backbone=cnn,mlp",
    "--debug": "debug=true",
    "weighting=PCGrad": "weighting=pcgrad",
    "weighting=Nash-MTL": "weighting=nash_mtl",
    "weighting=pcgard": "weighting=pcgrad",
    "weighting=EW": "weighting=equal",
    "sharing=hps": "sharing=hard",
    "sharing=crossstitch": "sharing=cross_stitch",
    "task=leters": "task=letters",
    "task=letters,mnist_digits": "task=letters+mnist_digits",
    "trainer.optimizer=adam": "optimizer=adam",
    "trainer.seed=3": "seed=3",
    "lr=0.1": "optimizer.lr=0.1",
    "batch_size=8": "data.batch_size=8",
    "max_epoch=3": "trainer.max_epochs=3",
    "optimiser=sgd": "optimizer=sgd",
    "wieghting=pcgrad": "weighting=pcgrad",
    "tasks.letters.wieght=2": "tasks.letters.weight=2",
    "--weighting=pcgrad": "weighting=pcgrad",
    "--task letters+mnist_digits": "task=letters+mnist_digits",
    "--trainer.max_epochs=3": "trainer.max_epochs=3",
    "--lr 0.1": "optimizer.lr=0.1",
    "--verbose seed=1": "verbose=true",
}
LISTS = {
    "~tasks.x": "tasks has mnist_digits, letters.",
    "tasks.x.weight=2": "tasks has mnist_digits, letters.",
    "weight=2": "Keys of that name: tasks.mnist_digits.weight, tasks.letters.weight.",
    "trainer.foo=1": "trainer has max_epochs, max_steps, ",
}
ADVICE = re.compile(r"(?:Use|Join tasks by \+:|without dashes:|each of them by) ((?:-m )?[~\w]\S*[^.\s])\.?(?= |$)")


def marked(texts):
    """Return cases of which all but the first are slow."""
    slow = pytest.mark.slow
    return [pytest.param(text, marks=[slow] if index >= DEFAULT else []) for index, text in enumerate(texts)]


def run(words, capsys):
    """Return the exit code of a command that only looks at its config, and the problems that it prints."""
    words = words if "-m" in words or any(word.startswith("--") for word in words) else ["--cfg", "job", *words]
    if "-m" in words:
        words = ["--cfg", "job", *(word.partition(",")[0] for word in words if word != "-m")]  # each value for itself
    code = cli.main(words)
    return code, capsys.readouterr().err


def exists(text):
    """Whether the config of this version has what a case takes for a mistake."""
    key, _, value = text.lstrip("-~").replace(" ", "=", 1).partition("=")
    with hydra_session() as session:
        return value in session.options(key) if session.is_group(key) else key in knobs()


@pytest.mark.parametrize("text", marked([text for text in NONE if not exists(text)]))
def test_no_hint_is_given_where_none_is_sure(text, capsys):
    code, err = run(text.split(), capsys)
    assert code == 2
    assert "Did you mean" not in err
    assert not ADVICE.search(err), err


@pytest.mark.parametrize("text", marked(HINTS))
def test_a_hint_names_what_is_meant_and_the_command_with_it_works(text, capsys):
    code, err = run(text.split(), capsys)
    assert code == 2
    assert HINTS[text] in ADVICE.findall(err)
    for advice in ADVICE.findall(err):
        rest = [word for word in text.split()[1:] if "=" in word]
        assert run([*shlex.split(advice), *rest], capsys) == (0, ""), advice


@pytest.mark.parametrize("text", LISTS)
def test_what_there_is_is_listed_where_no_name_is_near(text, capsys):
    code, err = run(text.split(), capsys)
    assert code == 2
    assert LISTS[text] in err
    assert "Did you mean" not in err


def test_the_cases_are_mistakes_in_this_version():
    assert len([text for text in NONE if not exists(text)]) > 20


def names():
    """Return every list of names that hints choose from: the options of each group, and the keys of each section."""
    return {**group_options([conf_dir()]), **sections(), "knobs": sorted(knobs())}


@pytest.mark.parametrize("where", names())
def test_a_name_that_exists_is_never_taken_for_another_one(where):
    """So that the name of a method that is not built here is not answered with another method."""
    for name in names()[where]:
        guess = nearest_name(name, [other for other in names()[where] if other != name])
        assert not guess or guess.startswith(name), (name, guess)


@pytest.mark.parametrize("where", names())
def test_names_are_found_in_spite_of_case_separators_and_slips(where):
    known = names()[where]
    for name in known:
        assert nearest_name(name.upper(), known) == name
        assert nearest_name(name.replace("_", "-"), known) == name
        plain = name.rpartition(".")[2]
        if len(plain) > 5 and plain.isalpha():
            assert nearest_name(name[:-1], [name, "other"]) == name
            swapped = name[:-2] + name[-1] + name[-2]
            assert nearest_name(swapped, [name, "other"]) == name


@pytest.mark.parametrize(
    ("main", "words", "fix"),
    [
        (cli.main_eval, "--checkpoint=here", "Values are set without dashes: checkpoint=here."),
        (cli.main_eval, "--split val checkpoint=here", "Values are set without dashes: split=val."),
        (cli.main_eval, "here", "Did you mean checkpoint=here?"),
        (cli.main_eval, "chekpoint=here", "Did you mean checkpoint=here?"),
        (cli.main_eval, "checkpoint=here --device cpu", "Values are set without dashes: trainer.device=cpu."),
        (cli.main_predict, "checkpoint=here outptu=x input=here", "Did you mean output=x?"),
        (cli.main_predict, "--tasks=[a] checkpoint=here", "Values are set without dashes: tasks=[a]."),
        (cli.main_init, "here output=x", "Did you mean input=here?"),
        (cli.main_init, "--target y", "Values are set without dashes: target=y."),
    ],
)
def test_other_programs_hint_at_their_own_words(main, words, fix, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()
    assert main(words.split()) == 2
    assert fix in capsys.readouterr().err


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (cli.main_predict, "--multirn"),
        (cli.main_eval, "--config-nam x"),
        (cli.main_init, "--lr 0.1"),
        (cli.main_init, "--seed 1"),
        (cli.main_eval, "--weighting fixed"),
        (cli.main_predict, "nowhere"),
    ],
)
def test_other_programs_do_not_hint_at_what_only_mtl_train_takes(main, words, capsys):
    assert main(words.split()) == 2
    err = capsys.readouterr().err
    assert "Did you mean" not in err
    assert "without dashes" not in err
