"""States in a stranger's checkpoint that do not fit: refused in a sentence, and never handed to a kernel."""

import json
import random
import shutil

import pytest
import torch

from mtl_cli import cli
from mtl_cli.runs import run
from tests import _kinds, _toy
from tests._checkpoints import rewrite
from tests._thinned import thinned

DELETE = object()
NAN = float("nan")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states") / "run"
    run.train(_toy.config(trainer__max_epochs=1, ema__decay=0.9, save__every=2, trainer__log_every=9), folder, [])
    return folder


def moments(**changes):
    """An attack that changes what the optimizer keeps of every parameter."""

    def change(state):
        for values in state["optimizer"]["state"].values():
            values.update({name: value(values) if callable(value) else value for name, value in changes.items()})

    return change


def progress(**changes):
    return lambda state: state["progress"].update(changes)


def window(steps, tasks, losses):
    return progress(window={"steps": steps, "tasks": tasks, "losses": losses})


REFUSED = {
    "moments of no number": moments(exp_avg=torch.zeros(0), exp_avg_sq=torch.zeros(0)),  # was a segmentation fault
    "moments of one number": moments(exp_avg=torch.zeros(1)),  # was read beyond its end
    "a moment too many": moments(
        exp_avg=lambda values: values["exp_avg"].repeat(2, *[1] * (values["exp_avg"].ndim - 1))
    ),
    "a number for a moment": moments(exp_avg=1.0),
    "complex moments": moments(exp_avg=lambda values: values["exp_avg"].to(torch.complex64)),
    "a word for a count": moments(step="x"),
    "five counts": moments(step=torch.zeros(5)),
    "moments of no parameter": lambda state: state["optimizer"]["state"].update({99: {"exp_avg": torch.zeros(3)}}),
    "moments of a word": lambda state: state["optimizer"]["state"].update({"0": {}}),
    "fewer parameters": lambda state: state["optimizer"]["param_groups"][0].update(params=[0]),
    "no groups": lambda state: state["optimizer"].update(param_groups=[]),
    "a step that is a word": progress(step="x"),
    "a step below 0": progress(step=-1),
    "half a step": progress(step=1.5),
    "draws that are words": progress(draws={"quadrant": "x"}),
    "draws below 0": progress(draws={"quadrant": -7}),
    "a score that is a word": progress(best_score="x"),
    "a best step that is a word": progress(best_step="x"),
    "values that are no mapping": progress(best_val=5),
    "seconds that are a word": progress(seconds="x"),
    "rollbacks that are a word": progress(rollbacks="x"),
    "an unknown value": progress(more=1),
    "no window": progress(window=None),
    "a window of too many losses": window([1], [["sign"]], torch.zeros(5)),
    "a window of whole numbers": window([1], [["sign"]], torch.zeros(1, dtype=torch.int64)),
    "a window of complex numbers": window([1], [["sign"]], torch.zeros(1, dtype=torch.complex64)),
    "a window of a matrix": window([1], [["sign"]], torch.zeros(1, 3)),
    "a window of words": window(["x"], [["sign"]], torch.zeros(1)),
    "a window of tasks without steps": window([], [["sign"]], torch.zeros(1)),
    "no averages": lambda state: state["ema"].update(averages={}),
    "averages of one number": lambda state: state["ema"].update(
        averages={name: torch.zeros(1) for name in state["ema"]["averages"]}
    ),
    "averages of no update": lambda state: state["ema"].update(updates=-1),
    "weights that are numbers": lambda state: state.update(model=dict.fromkeys(state["model"], 1.0)),
    "an unknown state of the weighting": lambda state: state["weighting"].update(more=torch.zeros(3)),
    "a dataset's state that it does not keep": lambda state: state.update(datasets={"quadrant": {"a": 1}}),
    "a dataset's state that is a number": lambda state: state.update(datasets={"quadrant": 5}),
    "a dataset's state that is a tensor": lambda state: state.update(datasets={"quadrant": torch.zeros(3)}),
    "records of a length below 0": lambda state: state.update(metrics_length=-1),
}


def ends_in_a_sentence(code, error):
    assert code in (0, 2), error
    assert "Traceback" not in error
    assert "error: Unexpected" not in error
    assert len(error) < 1500


@pytest.mark.parametrize("attack", REFUSED)
def test_a_state_that_does_not_fit_is_refused(original, tmp_path, monkeypatch, capsys, attack):
    shutil.copytree(original, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    rewrite(tmp_path / "run", REFUSED[attack])
    code = cli.main(["resume=run", "trust=[tests]", "trainer.max_epochs=2"])
    error = capsys.readouterr().err
    assert code == 2
    ends_in_a_sentence(code, error)
    code = cli.main_eval(["checkpoint=run", "trust=[tests]"])
    ends_in_a_sentence(code, capsys.readouterr().err)


@pytest.mark.parametrize(
    "change",
    thinned([
        {"lr": "x"}, {"lr": NAN}, {"base_lr": "x"}, {"betas": 5}, {"betas": (NAN, 2)}, {"amsgrad": True},
        {"differentiable": True}, {"maximize": True}, {"weight_decay": 1e9}, {"fused": False}, {"eps": None},
    ], 4),
    ids=str,
)  # fmt: skip
def test_the_settings_of_the_optimizer_are_those_of_the_config(original, tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    for name in ("good", "bad"):
        shutil.copytree(original, tmp_path / name)
    rewrite(tmp_path / "bad", lambda state: state["optimizer"]["param_groups"][0].update(change))
    found = []
    for name in ("good", "bad"):
        assert cli.main([f"resume={name}", "trust=[tests]", "trainer.max_epochs=2"]) == 0
        found.append((tmp_path / name / "metrics.jsonl").read_bytes())
    assert found[0] == found[1]


def test_moments_in_another_order_of_memory_are_put_in_order(original, tmp_path, monkeypatch):
    """The kernel would take their numbers in the order in which they lie."""
    monkeypatch.chdir(tmp_path)
    for name in ("good", "bad"):
        shutil.copytree(original, tmp_path / name)
    turned = moments(exp_avg=lambda values: values["exp_avg"].T.contiguous().T)
    with pytest.warns(UserWarning, match="T` on tensors of dimension"):
        rewrite(tmp_path / "bad", turned)
    found = []
    for name in ("good", "bad"):
        assert cli.main([f"resume={name}", "trust=[tests]", "trainer.max_epochs=2"]) == 0
        found.append((tmp_path / name / "metrics.jsonl").read_bytes())
    assert found[0] == found[1]


# --- any value of any other kind in the place of any value

VALUES = [
    None, -1, 0, 10**12, 10**30, 1.5, NAN, "x", "", [], {}, ["x"], [[1]], True, torch.zeros(0), torch.zeros(3),
    torch.full((2, 2), NAN), DELETE,
]  # fmt: skip


def places(value, path=()):
    """The path of every value in a state; of a list, of the first two."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from places(item, (*path, index))
    yield path


def put(state, path, value):
    *upper, last = path
    for part in upper:
        state = state[part]
    if value is DELETE:
        del state[last]
    else:
        state[last] = value


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    _kinds.write_files(folder)
    return folder


INPUTS = {"table": "table.csv", "text": "text.csv", "conll": "words.conll", "sound": "sounds.csv"}


@pytest.mark.parametrize("kind", thinned(["table", "arrays", "text", "conll", "sound"], ["table"]))
@pytest.mark.parametrize("cases", [15, pytest.param(50, marks=pytest.mark.slow)])
def test_any_value_in_a_datasets_state_ends_in_a_sentence(kind, cases, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run.train(_kinds.config(kind, files, trainer__max_steps=1), tmp_path / "original", [])
    (file,) = (tmp_path / "original" / "checkpoints").glob("*.pt")
    chance = random.Random(cases)
    paths = [path for path in places(torch.load(file, weights_only=True)["datasets"]) if path]
    refused = 0
    for path in chance.choices(paths, k=cases):
        value = chance.choice(VALUES)
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(tmp_path / "original", tmp_path / "run")
        rewrite(tmp_path / "run", lambda state, path=path, value=value: put(state["datasets"], path, value))
        commands = [(cli.main, ["resume=run", "trainer.max_steps=2"]), (cli.main_eval, ["checkpoint=run"])]
        if kind in INPUTS:
            words = ["checkpoint=run", f"input={files / INPUTS[kind]}", "output=out" + INPUTS[kind][-4:]]
            commands.append((cli.main_predict, words))
        for main, words in commands:
            code = main(words)
            error = capsys.readouterr().err
            shown = "deleted" if value is DELETE else value
            assert code in (0, 2), f"{words[0]}, {path} = {shown}: {error}"
            ends_in_a_sentence(code, error)
            refused += code == 2
    assert refused > cases


# --- a tokenizer that the library would run


def grown(definition):
    replaced = {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 100}
    definition["normalizer"] = {"type": "Sequence", "normalizers": [replaced] * 9}  # 1e18 letters of one


def endless(definition):
    pattern = {"Regex": "(a|a|aa)+$"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    definition["pre_tokenizer"] = split


def panicking(definition):
    definition["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}


def nested(definition):
    for _ in range(200):
        definition["normalizer"] = {"type": "Sequence", "normalizers": [definition["normalizer"]]}


def numbered(definition):
    definition["model"]["vocab"] = {piece: 4_000_000_000 + k for k, piece in enumerate(definition["model"]["vocab"])}


@pytest.mark.parametrize("attack", [grown, endless, panicking, nested, numbered])
@pytest.mark.parametrize("kind", ["bpe", "hf"])
def test_a_tokenizer_that_is_not_of_this_program_is_refused(attack, kind, files, tmp_path, monkeypatch, capsys):
    if kind == "hf" and attack is not panicking:
        pytest.skip("a pretrained tokenizer may be of any parts")
    monkeypatch.chdir(tmp_path)
    run.train(_kinds.config("text", files, trainer__max_steps=1), tmp_path / "run", [])

    def change(state):
        tokenizer = state["datasets"]["y"]["tokenizer"]
        definition = json.loads(tokenizer["definition"])
        attack(definition)
        tokenizer.update(definition=json.dumps(definition), kind=kind)

    rewrite(tmp_path / "run", change)
    predict = ["checkpoint=run", f"input={files / 'text.csv'}", "output=out.csv"]
    for main, words in ((cli.main, ["resume=run"]), (cli.main_eval, ["checkpoint=run"]), (cli.main_predict, predict)):
        assert main(words) == 2, attack
        ends_in_a_sentence(2, capsys.readouterr().err.rpartition("\nerror: ")[2])
