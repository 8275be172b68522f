import errno
import logging
import os
import random
import re
import sys
import warnings
from pathlib import Path

import pytest

import mtl_cli
from mtl_cli import cli
from mtl_cli.commands.evaluate import HELP as EVAL_HELP
from mtl_cli.commands.help import train_help
from mtl_cli.config.schema import knobs
from mtl_cli.config.shipped import conf_dir, group_options
from mtl_cli.errors import SMALLER, Interrupted, RunFailure, UserError
from tests._stub_run import install


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A stub in the place of mtl_cli.runs.run, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return install(monkeypatch)


MANY_FILES = "Too many files are open at once. Allow more by ulimit -n 1024, or use fewer data.workers."


def caused(error, cause):
    error.__cause__ = cause
    return error


def errors(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]


def raising(error):
    def raise_it(*_):
        raise error

    return raise_it


@pytest.mark.parametrize("digits", [20, 400, 6000])
@pytest.mark.parametrize(
    "key", ["seed", "data.batch_size", "trainer.max_steps", "optimizer.lr", "backbone.dense", "save.every_minutes"]
)
def test_numbers_beyond_what_a_computer_counts_are_refused(run, capsys, key, digits):
    number = "1" + "0" * digits
    if key == "save.every_minutes" and digits == 20:
        return  # a float has room for it
    assert cli.main([f"{key}=[{number}]" if key.endswith("dense") else f"{key}={number}"]) == 2
    error = capsys.readouterr().err
    assert key in error
    assert "Unexpected" not in error
    assert run.trained == []


# --- a single run


def test_a_run_gets_its_config_directory_command_and_folders(run, tmp_path):
    assert cli.main(["task=letters", "seed=3", "hydra.run.dir=out"]) == 0
    [(config, directory)] = run.trained
    assert list(config["tasks"]) == ["letters"]
    assert config["seed"] == 3
    assert directory == Path("out")
    assert run.commands == [["mtl-train", "task=letters", "seed=3", "hydra.run.dir=out"]]
    assert run.folders == [[tmp_path]]


def test_the_directory_is_named_by_time_and_tasks(run):
    assert cli.main([]) == 0
    [(_, directory)] = run.trained
    assert directory.parts[0] == "runs"
    assert directory.name.endswith("_mnist_digits+letters")


def test_a_config_dir_adds_options_and_a_trusted_folder(run, tmp_path):
    (tmp_path / "my_conf" / "backbone").mkdir(parents=True)
    (tmp_path / "my_conf" / "backbone" / "mine.yaml").write_text("_target_: my_net.Net\nwidth: 16\n")
    assert cli.main(["--config-dir", "my_conf", "backbone=mine", "backbone.width=8"]) == 0
    [(config, _)] = run.trained
    assert config["backbone"] == {"_target_": "my_net.Net", "width": 8}
    assert run.folders == [[tmp_path, tmp_path / "my_conf"]]


def test_own_modules_come_last_on_the_import_path_and_only_for_the_command(run, tmp_path):
    (tmp_path / "my_conf").mkdir()
    (tmp_path / "yaml.py").write_text("raise SystemExit('a stranger ran')\n")
    seen = []
    run.on_train = lambda *_: seen.append(list(sys.path))
    before = list(sys.path)
    assert cli.main(["--config-dir=my_conf"]) == 0
    assert seen == [[*before, str(tmp_path), str(tmp_path / "my_conf")]]
    assert sys.path == before


@pytest.mark.parametrize("status", ["completed", "interrupted", "running"])
def test_a_directory_that_holds_a_run_is_never_overwritten(run, tmp_path, capsys, status):
    run.start({}, tmp_path / "out", status)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert cli.main(["hydra.run.dir=out"]) == 2
    assert errors(capsys) == [
        "error: out holds a run already. Give another hydra.run.dir, or continue that run by resume=out."
    ]
    assert run.trained == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("directory", ["{long}", "new/{long}/run", "file/run"])
@pytest.mark.parametrize("words", [["hydra.run.dir="], ["resume=auto", "hydra.run.dir="], ["-m", "hydra.sweep.dir="]])
def test_a_directory_that_cannot_be_made_is_refused_before_anything_is_built(run, tmp_path, capsys, directory, words):
    (tmp_path / "file").write_text("")
    path = directory.format(long="+".join(["mnist_digits"] * 32))
    assert cli.main([*words[:-1], words[-1] + path]) == 2
    (error,) = errors(capsys)
    assert error.startswith(f"error: Cannot make or write the run directory {path}")
    assert error.endswith(f"Give one that can be written: {words[-1]}DIR.")
    assert "has 415 bytes, and a name in" in error or "file is not a folder" in error
    assert run.trained == run.checked == []


@pytest.mark.parametrize("override", ["hydra.job.chdir=true", "hydra.verbose=true", "+hydra.job.env_set.X=1"])
def test_settings_of_hydra_that_would_be_ignored_are_refused(run, capsys, override):
    assert cli.main([override, "hydra.run.dir=out"]) == 2
    assert errors(capsys)[0].startswith(
        f"error: {override} has no effect; of Hydra's settings these have: hydra.run.dir,"
    )


def test_all_config_errors_end_with_exit_code_2_and_leave_nothing(run, tmp_path, capsys):
    assert (
        cli.main(["task=mnist_digits+leters", "trainer.max_epoch=3", "optimizer.lr=abc", "tasks.letters.weight=nan"])
        == 2
    )
    found = errors(capsys)
    assert len(found) == 4
    assert "Did you mean 'letters'?" in found[0]
    assert "Use trainer.max_epochs=3." in found[1]
    assert run.trained == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError(["one", "two"]), 2, ["error: one", "error: two"]),
        (RunFailure("the loss is nan"), 1, ["error: the loss is nan"]),
        (Interrupted(143, "stopped"), 143, []),
        (KeyboardInterrupt(), 130, ["error: Interrupted."]),
        (MemoryError(), 1, [f"error: Out of memory. {SMALLER}"]),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), 1, [f"error: Out of memory. {SMALLER}"]),
        (RuntimeError("Storage size calculation overflowed with sizes"), 1, [f"error: Out of memory. {SMALLER}"]),
        (OSError(errno.EMFILE, "Too many"), 1, [f"error: {MANY_FILES}"]),
        (caused(UserError("Cannot write x"), OSError(errno.EMFILE, "Too many")), 2, [f"error: {MANY_FILES}"]),
        (ZeroDivisionError("by zero"), 1, ["error: Unexpected ZeroDivisionError: by zero. Show where by debug=true."]),
    ],
)
def test_every_exception_has_an_exit_code_and_a_short_message(run, capsys, error, code, message):
    run.on_train = raising(error)
    assert cli.main([]) == code
    text = capsys.readouterr().err
    assert [line for line in text.splitlines() if line] == message
    assert "Traceback" not in text


@pytest.mark.parametrize("arguments", [["debug=true"], ["+seed=1", "debug=True"], ["-x", "debug=1"]])
def test_debug_shows_a_traceback_and_keeps_the_exit_code(run, capsys, arguments):
    run.on_train = raising(UserError("one"))
    assert cli.main(arguments) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_hydra_full_error_shows_a_traceback_and_is_left_as_it_was(run, capsys, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert cli.main(["--cfg", "job", "seed=x"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert os.environ["HYDRA_FULL_ERROR"] == "1"
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    assert cli.main(["--cfg", "job", "seed=x"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert "HYDRA_FULL_ERROR" not in os.environ


# --- flags


def test_help_lists_every_group_option_and_knob(run, capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    options = group_options([conf_dir()])
    assert len(options) >= 8
    words = set(text.replace(",", " ").split())
    for group, names in options.items():
        assert {group, *names} <= words, group
    for key, knob in knobs().items():
        assert f"  {key}=" in text, key
        assert knob.default is not None or f"{key}=null" in text
    assert "seed=0 " in text
    assert "debug=false " in text
    assert "Optimizer steps between log records." in text
    assert max(map(len, text.splitlines())) <= 140


def test_help_knows_a_config_dir(tmp_path):
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "mine.yaml").write_text("_target_: my_net.Net\n")
    assert " mine," not in train_help()
    assert re.search(r"backbone .*[, ]mine,", train_help(tmp_path))


def test_help_and_version_win_over_everything_else(run, capsys):
    assert cli.main(["seed=x", "--help", "-m"]) == 0
    assert capsys.readouterr().out.startswith("Usage: mtl-train")
    assert cli.main(["--version"]) == 0
    assert cli.main_eval(["--version"]) == 0
    assert capsys.readouterr().out == f"mtl-train {mtl_cli.__version__}\nmtl-eval {mtl_cli.__version__}\n"


def test_cfg_prints_the_job_config(run, capsys):
    assert cli.main(["--cfg", "job", "task=letters", "tasks.letters.weight=0.3"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("seed: 0\n")
    assert "weight: 0.3" in text
    assert "hydra" not in text
    assert cli.main(["task=letters", "-c", "job", "-p", "trainer.max_epochs"]) == 0
    assert capsys.readouterr().out == "6\n"
    assert run.trained == []


def test_info_shows_how_joined_tasks_are_composed(run, capsys):
    assert cli.main(["--info", "defaults-tree", "task=letters+cifar10"]) == 0
    text = capsys.readouterr().out
    assert "task: letters+cifar10:\n      task/letters:\n        dataset@tasks.letters.dataset: letters" in text
    assert "task/cifar10" in text


def test_cfg_explains_all_errors(run, capsys):
    assert cli.main(["--cfg", "job", "backbone=cn", "trainer.max_epoch=1"]) == 2
    assert len(errors(capsys)) == 2


def test_completion_can_be_installed_and_completes(run, capsys, monkeypatch):
    assert cli.main(["--shell-completion", "install=bash"]) == 0
    script = capsys.readouterr().out
    assert "hydra_bash_completion" in script
    assert script.rstrip().endswith("mtl-train")
    monkeypatch.setenv("COMP_LINE", "mtl-train backbone=")
    assert cli.main(["-sc", "query=bash"]) == 0
    assert set(capsys.readouterr().out.split()) >= {"backbone=cnn", "backbone=lenet", "backbone=mlp"}
    monkeypatch.setenv("COMP_LINE", "mtl-train trainer.max_")
    assert cli.main(["-sc", "query=bash"]) == 0
    assert set(capsys.readouterr().out.split()) >= {"trainer.max_epochs=", "trainer.max_steps="}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=letters"], "Unknown option --task=letters. Values are set without dashes: task=letters."),
        (["--hepl"], "Unknown option --hepl. Did you mean '--help'?"),
        (["-z"], "Unknown option -z."),
        (["--cfg"], "--cfg needs a value. Use for example --cfg job."),
        (["--cfg", "jbo"], "--cfg is 'jbo'; it is one of job, hydra, all. Did you mean 'job'?"),
        (["--cfg", "job", "-m"], "--multirun and --cfg exclude each other."),
        (["--resolve"], "--resolve goes with --cfg only."),
        (["--config-path", "x"], "Add a folder of your own by --config-dir DIR."),
        (["--config-dir", "nowhere"], "nowhere. Give an existing one: --config-dir DIR."),
        (["--config-name", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_flag_is_explained(run, capsys, arguments, message):
    assert cli.main(arguments) == 2
    assert message in errors(capsys)[0]


# --- resume


@pytest.fixture
def run_dir(run, tmp_path):
    run.start({}, tmp_path / "out", "interrupted", checkpoint=True)
    return tmp_path / "out"


def test_resume_passes_what_may_change(run, run_dir):
    words = ["trainer.max_epochs=9", "save.every=10", "trainer.device=cpu", "trust=[my_net]", "verbose=true"]
    assert cli.main([f"resume={run_dir}", *words]) == 0
    expected = {
        "trainer.max_epochs": 9,
        "save.every": 10,
        "trainer.device": "cpu",
        "trust": ["my_net"],
        "verbose": True,
    }
    assert run.resumed == [(run_dir, expected)]
    assert run.folders == [[]]  # a run's config trusts no folder
    assert run.trained == []


def test_resume_trusts_own_folders_when_the_command_names_one(run, run_dir, tmp_path):
    (tmp_path / "my_conf").mkdir()
    assert cli.main(["--config-dir", "my_conf", "resume=out"]) == 0
    assert run.folders == [[tmp_path, tmp_path / "my_conf"]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=3"], "seed=3 cannot change in a resumed run; only trainer.max_epochs, trainer.max_steps"),
        (["task=letters"], "task=letters cannot change in a resumed run"),
        (["trainer.max_epochs=0"], "trainer.max_epochs is 0; it is a whole number ≥ 1 or null"),
        (["save.evry=3"], "save has no key 'evry'. Did you mean 'every'?"),
        (["-m"], "resume= does not go with --multirun"),
        (["+trust=[x]"], "adds or removes a key"),
        (["trainer.max_epochs=1,2"], "lists several values"),
        (["resume=other"], "resume= is given 2 times"),
        (["trainer.max_epochs=5", "trainer.max_epochs=6"], "trainer.max_epochs is given twice"),
        (["quiet"], "'quiet' sets nothing"),
    ],
)
def test_what_does_not_go_with_resume_is_refused(run, run_dir, capsys, words, message):
    assert cli.main([f"resume={run_dir}", *words]) == 2
    assert message in errors(capsys)[0]
    assert run.resumed == []


@pytest.mark.parametrize(
    ("word", "message"), [("resume=nowhere", "No run directory at nowhere"), ("resume=", "no value")]
)
def test_resume_of_nothing_is_explained(run, capsys, word, message):
    assert cli.main([word]) == 2
    assert message in errors(capsys)[0]


def test_paths_may_hold_what_hydra_cannot_parse(run, tmp_path):
    run.start({}, tmp_path / "a=b, (c)", "interrupted", checkpoint=True)
    assert cli.main(["resume=a=b, (c)"]) == 0
    assert cli.main(["resume='a=b, (c)'"]) == 0
    assert [directory for directory, _ in run.resumed] == [Path("a=b, (c)")] * 2


# --- mtl-eval


def test_eval_passes_split_and_overrides(run, run_dir):
    assert cli.main_eval([f"checkpoint={run_dir}", "split=val", "data.root=/x/y z", "trainer.device=cpu"]) == 0
    assert run.evaluated == [(run_dir, {"split": "val", "data.root": "/x/y z", "trainer.device": "cpu"})]
    assert run.folders == [[]]


def test_eval_help_names_what_it_takes(run, capsys):
    assert cli.main_eval(["--help"]) == 0
    assert capsys.readouterr().out == EVAL_HELP + "\n"
    assert "checkpoint=" in EVAL_HELP


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "mtl-eval needs checkpoint=. Use mtl-eval checkpoint=RUN_DIR"),
        (["checkpoint=nowhere"], "No checkpoint at nowhere"),
        (["checkpoint=out", "split=tset"], "split is 'tset'; it is one of train, val, test. Did you mean 'test'?"),
        (["checkpoint=out", "splt=test"], "Unknown key 'splt' in splt=test. Did you mean 'split'?"),
        (["checkpoint=out", "data.batch_size=0"], "data.batch_size is 0"),
        (["checkpoint=out", "--cfg", "job"], "mtl-eval has no option --cfg"),
        (["checkpoint=out", "-x"], "Unknown option -x"),
        (["out"], "mtl-eval needs checkpoint="),
    ],
)
def test_eval_explains_what_is_wrong(run, run_dir, capsys, words, message):
    assert cli.main_eval(words) == 2
    assert message in errors(capsys)[0]
    assert run.evaluated == []


# --- the console


@pytest.mark.parametrize(
    ("word", "shown"),
    [("seed=0", ["usual", "table"]), ("verbose=true", ["detail", "usual", "table"]), ("quiet=true", ["table"])],
)
def test_the_console_shows_as_much_as_asked_for(run, capsys, word, shown):
    logger = logging.getLogger("mtl_cli")

    def log(*_):
        logger.debug("detail")
        logger.info("usual")
        logger.warning("table")

    run.on_train = log
    handlers, level = list(logger.handlers), logger.level
    assert cli.main([word]) == 0
    assert capsys.readouterr().out.split() == shown
    assert (logger.handlers, logger.level) == (handlers, level)


# --- many commands in one process

TEXT = """
    task=letters task=a+b task=letters+letters task= ~task ~tasks task=null task={a:1} tasks={} seed=1 seed=x seed=
    seed=1,2 seed=[ seed={ seed=${x} seed=${data.batch_size} seed=??? seed=${oc.env:NOPE} seed=${nope:1} +x.y.z=3
    ++a=1 ~a ~~a + ++ = == a=b=c é=1 backbone=cnn backbone= backbone@x=cnn +backbone@x=cnn backbone.channels=[]
    backbone.channels.0=3 backbone.channels[0]=3 trainer.max_epochs=1e3 trainer=null trainer={} data=${trainer}
    hydra=1 hydra.run.dir= hydra.run.dir=${nope} hydra.sweep.subdir=x hydra.mode=MULTIRUN ~hydra hydra/output=x -m
    --cfg job --info --resolve -p x resume= resume=null resume=x -- - ' " \\ experiment=x schema=x defaults=[]
    _self_=1 optimizer.lr=nan optimizer.betas=[a] tasks.letters=null tasks.letters.weight=-1
    tasks.letters.weight=${seed} glob(*) task=glob(*) seed=range(0,3) seed=interval(0,1) seed=choice(1,2)
    debug=maybe trust=[1] trust=x save.every=0 a.b.c.d=1 ..=1 .a=1 a.=1 a/b=1 hydra/launcher=joblib
    hydra/launcher=[a] hydra.searchpath=x hydra.searchpath=[x] hydra/sweeper=basic task@x=letters
    dataset@tasks.letters.dataset=cifar10 ++tasks.letters=3 tasks.letters._target_=os.system +hydra/x=y ~optimizer
    ~data.root ~tasks.letters ~tasks.mnist_digits tasks.2d=1 +tasks.2d={weight:1} task=../x task=/x task=a/b
    experiment=.. package=x
"""
WORDS = ["", " ", *TEXT.split()]


@pytest.mark.parametrize("count", [10, pytest.param(80, marks=pytest.mark.slow)])
def test_random_commands_end_with_a_known_code_and_leave_nothing_in_the_process(run, capsys, count):
    run.on_train = raising(UserError("stub"))  # so that nothing is written
    random.seed(count)
    logger, root = logging.getLogger("mtl_cli"), logging.getLogger()
    before = (list(sys.path), list(sys.argv), dict(os.environ), list(logger.handlers), list(root.handlers), root.level)
    filters = list(warnings.filters)
    for _ in range(count):
        words = random.choices(WORDS, k=random.randint(1, 4))
        code = cli.main(words)
        captured = capsys.readouterr()
        assert code in (0, 1, 2), words
        assert "Unexpected" not in captured.err, (words, captured.err)
        assert "Traceback" not in captured.err, (words, captured.err)
        assert code != 2 or captured.err.startswith("error: "), (words, captured)
    after = (list(sys.path), list(sys.argv), dict(os.environ), list(logger.handlers), list(root.handlers), root.level)
    assert after == before
    assert warnings.filters == filters
