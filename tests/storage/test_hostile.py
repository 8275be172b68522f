"""Run directories and checkpoints from a stranger, given to the real commands: nothing of them runs."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from mtl_cli import cli
from mtl_cli.commands.console import console
from mtl_cli.config.shipped import conf_dir
from mtl_cli.runs import evaluation, run
from mtl_cli.storage import checkpoint
from mtl_cli.storage.directory import RunDirectory
from tests import _toy
from tests._checkpoints import rewrite
from tests._thinned import thinned

HEAD = {"_target_": "mtl_cli.heads.mlp.MLPHead", "hidden": []}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "run"
    run.train(_toy.config(trainer__max_epochs=1), folder, [])
    return folder


@pytest.fixture
def stranger(original, tmp_path, monkeypatch):
    """A copy of a good run, and a canary: the file that an attack would leave."""
    shutil.copytree(original, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def both(capsys, *words):
    """The error of mtl-eval and of mtl-train resume=, which both end with exit code 2."""
    texts = []
    for main, word in ((cli.main_eval, "checkpoint=run"), (cli.main, "resume=run")):
        assert main([word, *words]) == 2
        text = capsys.readouterr().err
        assert text.startswith("error: ")
        assert "Traceback" not in text
        assert len(text) < 1500
        texts.append(text)
    return texts


def change_config(folder, change_node):
    """Rewrite the config of a run, in its checkpoints and beside them."""

    def state_with(state):
        config = yaml.safe_load(state["config"])
        change_node(config)
        state["config"] = yaml.safe_dump(config, sort_keys=False)
        (folder / "config.yaml").write_text(state["config"])

    rewrite(folder, state_with)


def test_the_copy_itself_is_good(stranger, capsys):
    assert cli.main_eval(["checkpoint=run", "trust=[tests]"]) == 0
    assert cli.main(["resume=run", "trust=[tests]"]) == 0


def test_own_classes_need_the_trust_that_the_message_prints(stranger, capsys):
    for text in both(capsys):
        assert "'trust=[tests]'" in text


def test_trust_in_the_strangers_own_config_counts_for_nothing(stranger, capsys):
    change_config(stranger, lambda config: config.update(trust=["tests", "os", "subprocess"]))
    for text in both(capsys):
        assert "'trust=[tests]'" in text


TAGS = [
    "!!python/object/apply:os.system ['touch ran']",
    "!!python/object/new:os.system ['touch ran']",
    "!!python/name:os.system ''",
    "!!python/module:antigravity ''",
    "!!python/object:subprocess.Popen {args: [touch, ran]}",
    "!!binary AAAA",
    "!!timestamp 2020-01-01",
    "!unknown 1",
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("place", ["checkpoint", "config.yaml"])
def test_yaml_tags_make_no_objects(stranger, capsys, tag, place):
    text = f"seed: {tag}\n"
    if place == "checkpoint":
        rewrite(stranger, lambda state: state.update(config=text))
        both(capsys, "trust=[tests]")
    else:
        (stranger / "config.yaml").write_text(text)
        assert cli.main(["resume=run", "trust=[tests]"]) == 2
        assert "The run's config" in capsys.readouterr().err
    assert not (stranger.parent / "ran").exists()


TARGETS = {
    "logging.os.system": "not part of mtl_cli", "os.system": "not part of mtl_cli", "builtins.eval": "not part of",
    "subprocess.Popen": "not part of", "torch.hub.load": "not part of",
    "torch.nn.functional.torch.hub.load": "No module",
    "mtl_cli.files.os.system": "No module", "mtl_cli.files.write_text": "is not a class", "torch.nn.Linear": "is not a",
    "mtl_cli.cli.main": "is not a class", "mtl_cli.__main__.x": "dotted path", "${oc.env:HOME}": "resolver call",
    "mtl_cli.storage.directory.FileLock": "not trusted",
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "place", thinned(["optimizer", "tasks.sign.dataset", "backbone", "tasks.sign.head", "nested"], 2)
)
def test_targets_of_other_code_are_refused_wherever_they_stand(stranger, capsys, target, place):
    def set_target(config):
        if place == "nested":
            config["optimizer"]["weight_decay"] = {"_target_": target, "command": "touch ran"}
            return
        node = config
        for part in place.split("."):
            node = node[part]
        node["_target_"] = target

    change_config(stranger, set_target)
    for text in both(capsys, "trust=[tests]"):
        expected = ("a plain value", "it is a number", TARGETS[target]) if place == "nested" else (TARGETS[target],)
        assert any(part in text for part in expected), text
    assert not (stranger.parent / "ran").exists()


@pytest.mark.parametrize("call", ["${oc.env:HOME}", "${oc.decode:x}", "${now:%Y}", "${oc.create:{a:1}}", "${seed"])
def test_no_resolver_is_called(stranger, capsys, call):
    change_config(stranger, lambda config: config["optimizer"].update(lr=call))
    for text in both(capsys, "trust=[tests]"):
        assert os.environ["HOME"] + "'" not in text
        assert "optimizer.lr" in text


def test_hydra_settings_in_a_config_are_unknown_keys(stranger, capsys):
    change_config(stranger, lambda config: config.update(hydra={"callbacks": {"x": {"_target_": "os.system"}}}))
    for text in both(capsys, "trust=[tests]"):
        assert "a key 'hydra' that no config has" in text


BOMBS = {
    "aliases": "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9 if i else ['x'] * 9)}]\n" for i in range(30)),
    "depth": "[" * 50_000,
    "own key": "a: &a\n  b: *a\n",
    "numbers": "seed: " + "9" * 5_000,
    "base 60": "seed: 1" + ":1" * 300_000,
    "merge keys": "m0: &m0 {k0: 1}\n"
    + "".join(f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 9)}], k{i}: 1}}\n" for i in range(1, 30)),
    "one merge key": "a: &a {b: 1}\nseed: {<<: *a}\n",
    "a long text": "seed: '" + "x" * 10_000_000 + "'\n",
    "many values": "tasks: [" + "1," * 1_000_000 + "]\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("place", ["checkpoint", "config.yaml"])
def test_yaml_bombs_do_not_go_off(stranger, capsys, bomb, place):
    if place == "checkpoint":
        rewrite(stranger, lambda state: state.update(config=BOMBS[bomb]))
        both(capsys, "trust=[tests]")
    else:
        (stranger / "config.yaml").write_text(BOMBS[bomb])
        assert cli.main(["resume=run", "trust=[tests]"]) == 2
        assert len(capsys.readouterr().err) < 1500


def expanded():
    return torch.zeros(1).expand(10**13)


STATES = {
    "an expanded weight": lambda state: state["model"].update({next(iter(state["model"])): expanded()}),
    "an expanded window": lambda state: state["progress"]["window"].update(losses=expanded()),
    "a sparse tensor": lambda state: state["model"].update(
        x=torch.sparse_coo_tensor(
            torch.zeros(1, 1, dtype=torch.int64), torch.ones(1), (10**13,), check_invariants=False
        )
    ),
    "many views": lambda state: state["optimizer"].update(x=[torch.zeros(10_000)[:]] * 100_000),
    "a list of lists": lambda state: state["optimizer"].update(state=laughs()),
    "a meta tensor": lambda state: state["model"].update(x=torch.empty(10**13, device="meta")),
}


def laughs():
    value = ["ha"]
    for _ in range(40):
        value = [value] * 10
    return value


@pytest.mark.parametrize("attack", STATES)
def test_states_larger_than_their_file_are_refused(stranger, capsys, attack):
    rewrite(stranger, STATES[attack])
    for text in both(capsys, "trust=[tests]"):
        assert "is not a checkpoint of mtl-cli" in text


@pytest.mark.parametrize("key", ["model", "optimizer", "progress", "weighting", "ema", "datasets", "metrics_length"])
@pytest.mark.parametrize("value", thinned([{}, {"a": 1}, {1: {2: 3}}, -5, 10**30], [{1: {2: 3}}, 10**30]), ids=str)
def test_states_of_nonsense_end_in_a_message(stranger, capsys, key, value):
    rewrite(stranger, lambda state: state.update({key: value}))
    for main, word in ((cli.main_eval, "checkpoint=run"), (cli.main, "resume=run")):
        code = main([word, "trust=[tests]"])
        error = capsys.readouterr().err
        assert code in (0, 2)
        assert "Traceback" not in error
        assert "error: Unexpected" not in error


@pytest.mark.parametrize(
    "name",
    [
        *(".lock", "metrics.jsonl", "timing.jsonl", "train.log", "status.json", "summary.json"),
        *("checkpoints", "plots", "profile"),
    ],
)
def test_a_resumed_run_writes_through_no_link(stranger, capsys, name):
    victim = stranger.parent / "victim"
    if name in ("checkpoints", "plots", "profile"):
        (stranger / "profile").mkdir(exist_ok=True)
        (stranger / name).rename(victim)
        kept = None
    else:
        victim.write_text("precious\n")
        (stranger / name).unlink(missing_ok=True)
        kept = "precious\n"
    (stranger / name).symlink_to(victim)
    code = cli.main(["resume=run", "trust=[tests]"])
    if name in ("status.json", "summary.json"):  # replaced, not written through
        assert code == 0
        assert not (stranger / name).is_symlink()
    else:
        assert code == 2
        assert f"symbolic links where a run writes: {name}" in capsys.readouterr().err
    assert kept is None or victim.read_text() == kept


def test_leftover_links_in_the_place_of_temporary_files_are_not_followed(stranger):
    victim = stranger.parent / "victim"
    victim.write_text("precious\n")
    for folder, name in ((stranger, ".status.json.tmp"), (stranger / "plots", ".curves.png.tmp")):
        (folder / name).symlink_to(victim)
    assert cli.main(["resume=run", "trust=[tests]"]) == 0
    assert victim.read_text() == "precious\n"


@pytest.mark.parametrize("kind", thinned(["pipe", "endless", "folder"], ["pipe"]))
def test_what_stands_for_the_checksum_of_a_checkpoint_is_not_waited_for(stranger, kind):
    newest = max((stranger / "checkpoints").glob("step_*.pt.sha256"))
    newest.unlink()
    if kind == "pipe":
        os.mkfifo(newest)
    elif kind == "endless":
        newest.symlink_to("/dev/zero")
    else:
        newest.mkdir()
    program = "import sys; from mtl_cli.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "resume=run", "trust=[tests]", "save.every=1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, timeout=100, check=False, capture_output=True, env=environment, text=True)
    assert done.returncode in (0, 1, 2)
    assert "Unexpected" not in done.stderr


def test_the_folder_of_caches_in_a_strangers_config_is_not_used(stranger, capsys, monkeypatch):
    seen = []
    build = run.build
    for module in (run, evaluation):
        monkeypatch.setattr(module, "build", lambda config, *a, **k: seen.append(config) or build(config, *a, **k))

    def node(config):
        config["tasks"]["sign"]["dataset"]["cache_dir"] = str(stranger.parent / "anywhere")

    change_config(stranger, node)
    key = "tasks.sign.dataset.cache_dir"
    for words in (["trust=[tests]"], ["trust=[tests]", f"{key}=mine"]):
        assert cli.main_eval(["checkpoint=run", *words]) in (0, 2)  # the toy source takes no such argument
        assert cli.main(["resume=run", *words]) in (0, 2)
    assert [config["tasks"]["sign"]["dataset"]["cache_dir"] for config in seen] == [None, None, "mine", "mine"]


def test_what_is_printed_and_logged_moves_no_cursor(stranger, capsys):
    evil = "\x1b[31m\x1b]0;title\x07\x9b2J\r\u202e"
    with console():
        out = RunDirectory.reopen(stranger, {}, "", 0)
        logging.getLogger("mtl_cli").warning("The label is %s", evil)
        out.close()
    change_config(stranger, lambda config: config.update({evil: 1}))
    assert cli.main_eval(["checkpoint=run", "debug=true"]) == 2
    captured = capsys.readouterr()
    for text in (captured.out, captured.err, (stranger / "train.log").read_text()):
        assert "\\u001b[31m\\u001b]0;title\\u0007\\u009b2J\\u000d\\u202e" in text
        assert not set(text) & set(evil[0] + "\x07\x9b\r\u202e")


def test_evaluations_are_not_written_through_a_link(stranger, capsys):
    (stranger.parent / "elsewhere").mkdir()
    (stranger / "evaluations").symlink_to(stranger.parent / "elsewhere")
    assert cli.main_eval(["checkpoint=run", "trust=[tests]"]) == 2
    assert "is a symbolic link" in capsys.readouterr().err
    assert not list((stranger.parent / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["status.json", "config.yaml", "checkpoints/last.json", "checkpoints/best.json"])
def test_links_to_files_without_end_are_not_read(stranger, capsys, name):
    (stranger / name).unlink()
    (stranger / name).symlink_to("/dev/zero")
    assert cli.main(["resume=run", "trust=[tests]"]) in (0, 2)
    assert cli.main_eval(["checkpoint=run", "trust=[tests]"]) in (0, 2)
    assert "Unexpected" not in capsys.readouterr().err


@pytest.mark.parametrize("file", ["../../victim.pt", "/etc/passwd", "step_1.pt/../../x", "..", ""])
def test_pointers_lead_nowhere_else(stranger, capsys, file):
    for pointer in ("last", "best"):
        (stranger / "checkpoints" / f"{pointer}.json").write_text(json.dumps({"file": file, "step": 3, "score": 1.0}))
    assert cli.main_eval(["checkpoint=run", "trust=[tests]"]) == 0
    assert re.search(r"best.json does not name a checkpoint .* Taking step_\d+.pt", "".join(capsys.readouterr()))
    assert cli.main(["resume=run", "trust=[tests]"]) == 0
    assert "last.json does not name a checkpoint of its folder" in capsys.readouterr().out


def test_modules_in_the_working_directory_stay_out_unless_the_command_names_them(stranger, capsys, monkeypatch):
    (stranger.parent / "quadprog.py").write_text("open('ran', 'w')\n")  # a package that some library may look for
    (stranger.parent / "yaml.py").write_text("open('ran', 'w')\n")
    seen = []
    monkeypatch.setattr(evaluation, "evaluate_checkpoint", lambda *_: seen.append(list(__import__("sys").path)))
    monkeypatch.setattr(run, "resume", evaluation.evaluate_checkpoint)
    assert cli.main_eval(["checkpoint=run"]) == 0
    assert cli.main(["resume=run"]) == 0
    assert cli.main_eval(["checkpoint=run", "trust=[tests]"]) == 0
    here = str(stranger.parent)
    assert [here in path for path in seen] == [False, False, True]
    assert seen[2][-1] == here
    assert not (stranger.parent / "ran").exists()


def pickled(path):
    """An .npz file whose array is a pickle that leaves a file when it is loaded."""

    class Evil:
        def __reduce__(self):
            return (os.system, ("touch ran",))

    import numpy as np

    np.savez(path, inputs=np.array([Evil()], dtype=object), label=np.zeros(1))


def test_data_files_that_hold_pickles_are_refused(stranger, capsys):
    pickled(stranger.parent / "data.npz")
    node = yaml.safe_load(Path(conf_dir(), "dataset", "arrays.yaml").read_text())
    targets = {"quadrant": {"kind": "class", "column": "y"}, "sign": {"kind": "class", "column": "y"}}
    node |= {"path": str(stranger.parent / "data.npz"), "root": None, "folds": None, "fold": 0, "batch_size": 8}
    node["targets"] = targets
    change_config(stranger, lambda config: [task.update(dataset=node) for task in config["tasks"].values()])
    for text in both(capsys, "trust=[tests]"):
        assert "data.npz" in text
        print(text)
    assert not (stranger.parent / "ran").exists()


def test_a_zip_bomb_is_refused_by_the_commands(stranger, capsys):
    for path in (stranger / "checkpoints").glob("step_*.pt"):
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/99", bytes(50_000_000))
        checkpoint.digest_path(path).unlink()
    for text in both(capsys):
        assert "unpacks to more than its size" in text
