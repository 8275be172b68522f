import csv
import dataclasses
import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtl_cli import cli
from mtl_cli.commands.console import RESULT
from mtl_cli.commands.sweeps import progress
from mtl_cli.commands.sweeps.table import SweepRow, mean_and_spread, mean_table, ranked, row, shown_metrics, to_csv
from mtl_cli.config.run_config import config_hash
from mtl_cli.errors import Busy, Interrupted, RunFailure, UserError
from tests._stub_run import install

WEIGHTS = ["-m", "tasks.letters.weight=0.1,0.3,1"]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A stub in the place of mtl_cli.runs.run, in an empty working directory; a run's score is the letters' weight."""
    monkeypatch.chdir(tmp_path)
    stub = install(monkeypatch)
    stub.score = lambda config: config["tasks"]["letters"]["weight"]
    return stub


def sweep_dirs():
    return sorted(Path("runs/sweeps").iterdir()) if Path("runs/sweeps").exists() else []


def rows(directory=None):
    [directory] = [directory] if directory else sweep_dirs()
    with (directory / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def trained_weights(run):
    return [config["tasks"]["letters"]["weight"] for config, _ in run.trained]


def test_jobs_run_in_order_in_directories_named_by_their_hash(run):
    assert cli.main(WEIGHTS) == 0
    assert trained_weights(run) == [0.1, 0.3, 1]
    [directory] = sweep_dirs()
    assert [path for _, path in run.trained] == [directory / config_hash(config) for config, _ in run.trained]
    assert len(directory.name) == 16
    assert len(run.checked) == 3


def test_combinations_vary_the_last_value_fastest(run):
    assert cli.main(["-m", "seed=range(0,2)", "task=letters,mnist_digits+letters", "sharing=choice(hard)"]) == 0
    assert [(config["seed"], len(config["tasks"])) for config, _ in run.trained] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert list(rows()[0]) == ["seed", "task", "sharing", *list(rows()[0])[3:]]


def test_hydras_own_word_for_a_sweep_is_known(run):
    assert cli.main(["hydra.mode=MULTIRUN", "seed=0,1"]) == 0
    assert [config["seed"] for config, _ in run.trained] == [0, 1]


def test_values_to_sweep_over_may_stand_in_an_experiment(run, tmp_path):
    (tmp_path / "my_conf" / "experiment").mkdir(parents=True)
    (tmp_path / "my_conf" / "experiment" / "grid.yaml").write_text(
        "# @package _global_\nhydra: {sweeper: {params: {seed: '0,1', tasks.letters.weight: '0.1,0.3'}}}\n"
    )
    assert cli.main(["-m", "--config-dir", "my_conf", "experiment=grid", "tasks.letters.weight=3"]) == 0
    assert [(c["seed"], c["tasks"]["letters"]["weight"]) for c, _ in run.trained] == [(0, 3), (1, 3)]


def test_a_glob_sweeps_over_the_options_of_a_group(run):
    assert cli.main(["-m", "optimizer=glob(adam*)"]) == 0
    assert [config["optimizer"]["_target_"] for config, _ in run.trained] == ["torch.optim.Adam", "torch.optim.AdamW"]


def test_the_table_and_the_csv_are_ordered_best_first(run, capsys):
    assert cli.main(WEIGHTS) == 0
    found = rows()
    assert [line["tasks.letters.weight"] for line in found] == ["1", "0.3", "0.1"]
    assert [line["selection"] for line in found] == ["1.0", "0.3", "0.1"]
    assert found[1] | {"directory": ""} == {
        "tasks.letters.weight": "0.3",
        "selection": "0.3",
        "val/letters/loss": "1.0",
        "val/letters/accuracy": "0.15",
        "test/letters/loss": "1.0",
        "test/letters/accuracy": "0.075",
        "status": "completed",
        "seconds": "1.5",
        "directory": "",
        "reason": "",
    }
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("tasks.letters.weight "))
    assert lines[head].split()[1:] == ["val", "skill", "test", "letters/accuracy", "status", "time", "directory"]
    assert [line.split()[0] for line in lines[head + 1 : head + 4]] == ["1", "0.3", "0.1"]
    assert not any("mean" in line for line in lines)


def test_the_same_command_finds_its_sweep_and_skips_what_is_complete(run, capsys):
    assert cli.main(WEIGHTS) == 0
    first = rows()
    run.trained.clear()
    run.checked.clear()
    assert cli.main([*WEIGHTS, "verbose=true"]) == 0
    assert (run.trained, run.resumed, run.checked) == ([], [], [])
    assert "Job 1 of 3, tasks.letters.weight=0.1: complete already." in capsys.readouterr().out
    assert rows() == first
    assert cli.main(["tasks.letters.weight=0.1,0.3,1", "--multirun", "task=mnist_digits+letters"]) == 0
    assert len(sweep_dirs()) == 1
    assert run.trained == []


def test_other_overrides_make_another_sweep(run):
    assert cli.main(["-m", "seed=0,1"]) == 0
    assert cli.main(["-m", "seed=0,1", "data.batch_size=64"]) == 0
    assert cli.main(["-m", "seed=0,1", "task=letters"]) == 0
    assert len(sweep_dirs()) == 3


def test_a_sweep_directory_can_be_given(run):
    assert cli.main(["-m", "seed=0,1", "hydra.sweep.dir=here"]) == 0
    assert [path.parent for _, path in run.trained] == [Path("here")] * 2
    assert cli.main(["-m", "seed=0,1", "hydra.sweep.dir='there/{sweep}/x'"]) == 0
    assert run.trained[-1][1].parts[0] == "there"
    assert len(run.trained[-1][1].parts[1]) == 16
    assert not Path("runs").exists()


def test_a_failing_job_stops_no_other(run, capsys):
    def fail(config, directory):
        if config["seed"] == 1:
            run.start(config, directory, "failed")
            raise RunFailure("the loss of letters is nan at step 7")
        if config["seed"] == 2:
            raise UserError("no data in /x")
        if config["seed"] == 3:
            raise ZeroDivisionError("by zero")

    run.on_train = fail
    assert cli.main(["-m", "seed=0,1,2,3"]) == 1
    assert [config["seed"] for config, _ in run.trained] == [0, 1, 2, 3]
    found = {line["seed"]: (line["status"], line["reason"]) for line in rows()}
    assert found == {
        "0": ("completed", ""),
        "1": ("failed", "the loss of letters is nan at step 7"),
        "2": ("failed", "no data in /x"),
        "3": ("failed", "ZeroDivisionError: by zero"),
    }
    text = capsys.readouterr().out
    assert "seed=1, failed: the loss of letters is nan at step 7" in text
    assert text.rindex("seed=2, failed: no data in /x") > text.index("seed  val skill")


def test_a_job_with_a_checkpoint_is_continued_and_one_without_starts_again(run):
    run.on_train = lambda config, directory: stop(run, config, directory, checkpoint=config["seed"] == 1)
    for seed in (1, 2):  # interrupted at seed 1 with a checkpoint, then at seed 2 without one
        assert cli.main(["-m", "seed=0,1,2,3"]) == 130
        assert {line["seed"]: line["status"] for line in rows()}[str(seed)] == "interrupted"
    run.on_train = lambda *_: None
    (run.trained[-1][1] / "left").write_text("over")
    assert cli.main(["-m", "seed=0,1,2,3"]) == 0
    assert [config["seed"] for config, _ in run.trained] == [0, 1, 2, 2, 3]
    assert [overrides for _, overrides in run.resumed] == [
        {"trust": [], "debug": False, "verbose": False, "quiet": False, "logger": "none"}
    ]
    assert run.resumed[0][0] == run.trained[1][1]
    assert not (run.trained[-2][1] / "left").exists()
    assert {line["status"] for line in rows()} == {"completed"}


def stop(run, config, directory, checkpoint):
    """End the runs of seeds 1 and 2 as Ctrl-C does."""
    if config["seed"] in (1, 2):
        run.start(config, directory, "interrupted", checkpoint)
        raise Interrupted(130, "stopped")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted(143, "stopped")])
def test_a_stopped_sweep_ends_with_the_code_of_the_signal_and_a_table(run, capsys, error):
    def interrupt(config, directory):
        if config["seed"] == 1:
            raise error

    run.on_train = interrupt
    assert cli.main(["-m", "seed=0,1,2"]) == getattr(error, "code", 130)
    assert [config["seed"] for config, _ in run.trained] == [0, 1]
    assert [line["status"] for line in rows()] == ["completed", "pending", "pending"]
    assert "The same command continues it." in capsys.readouterr().out


def test_nothing_starts_before_every_job_is_valid(run, tmp_path, capsys):
    words = ["-m", "tasks.letters.weight=1,-1,nan", "trainer.max_epoch=3", "backbone=cnn,cn"]
    assert cli.main(words) == 2
    text = capsys.readouterr().err
    for part in ("weight is -1", "weight is nan", "Use trainer.max_epochs=3.", "Unknown backbone option 'cn'"):
        assert text.count(part) == 1, part
    assert (run.trained, run.checked) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_what_the_components_refuse_stops_the_sweep_too(run, tmp_path, capsys):
    def refuse(config):
        if config["seed"]:
            raise UserError([f"seed {config['seed']} is odd", "the same for all"])

    run.on_check = refuse
    assert cli.main(["-m", "seed=0,1,3"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: seed 1 is odd",
        "error: the same for all",
        "error: seed 3 is odd",
    ]
    assert run.trained == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0,0"], "Two jobs of the sweep are the same"),
        (["seed=interval(0,1)"], "is not a list of values"),
        (["seed=range(0,100000)"], "it can have 1 to 10000"),
        (["seed=0,1", "hydra.sweep.subdir=."], "its last part must be {job}"),
        (["seed=0,1", "resume=x"], "resume= does not go with --multirun"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused(run, tmp_path, capsys, words, message):
    assert cli.main(["-m", *words]) == 2
    assert message in capsys.readouterr().err
    assert run.trained == []
    assert list(tmp_path.iterdir()) == []


def test_a_complete_run_of_another_config_is_not_touched(run, capsys):
    assert cli.main(["-m", "seed=0,1"]) == 0
    status = run.trained[0][1] / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"config_hash": "other"}))
    assert cli.main(["-m", "seed=0,1"]) == 2
    assert "holds a complete run of another config. Move it away." in capsys.readouterr().err
    assert json.loads(status.read_text())["config_hash"] == "other"


def test_a_directory_that_another_process_works_in_is_left_alone(run):
    from filelock import FileLock

    run.on_train = lambda config, directory: stop(run, config, directory, checkpoint=False)
    assert cli.main(["-m", "seed=0,1"]) == 130
    run.on_train = lambda *_: None
    with FileLock(run.trained[1][1] / ".lock"):
        assert cli.main(["-m", "seed=0,1"]) == 1
    found = {line["seed"]: (line["status"], line["reason"]) for line in rows()}["1"]
    assert found[0] == "running elsewhere"
    assert "Another process works in" in found[1]
    assert cli.main(["-m", "seed=0,1"]) == 0


def test_means_over_seeds_are_grouped_by_the_other_values(run, capsys):
    run.score = lambda config: config["tasks"]["letters"]["weight"] + config["seed"] / 10
    assert cli.main(["-m", "seed=0,1,2", "tasks.letters.weight=0.1,0.3", "quiet=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = lines.index("mean ± standard deviation over seed")
    assert [line.split() for line in lines[head + 2 : head + 4]] == [
        ["0.3", "3", "0.4000", "±", "0.1000", "0.1000", "±", "0.0250"],
        ["0.1", "3", "0.2000", "±", "0.1000", "0.0500", "±", "0.0250"],
    ]


def test_a_sweep_over_seeds_ends_with_a_verdict(run, capsys):
    run.score = lambda config: config["tasks"]["letters"]["weight"] + config["seed"] / 1000
    command = ["-m", "task=letters", "tasks.letters.weight=1,2", "seed=0,1,2", "quiet=true"]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "verdict on test data\ntasks.letters.weight=2: better than tasks.letters.weight=1; Δm +99" in out
    assert cli.main(command) == 0
    assert capsys.readouterr().out == out
    assert cli.main(["-m", "task=letters", "tasks.letters.weight=1,2"]) == 0
    assert "seed=0,1,2 gives a verdict" in capsys.readouterr().out


# --- the tables themselves


def completed(swept, score, lower=False, **test):
    return SweepRow(swept, Path("x"), "completed", score=score, lower_is_better=lower, metric="skill", test=test)


def test_errors_rank_from_low_to_high_and_jobs_without_a_score_last():
    def order(*scores, lower):
        return [item.score for item in ranked([completed({}, score, lower) for score in scores])]

    assert order(0.2, 0.9, 0.5, lower=False) == [0.9, 0.5, 0.2]
    assert order(0.2, 0.9, 0.5, lower=True) == [0.2, 0.5, 0.9]
    assert str(order(float("nan"), 0.1, 0.4, lower=False)) == "[0.4, 0.1, nan]"


def test_the_standard_deviation_has_n_minus_1():
    assert mean_and_spread([1.0, 2.0, 3.0, 4.0]) == "2.5000 ± 1.2910"  # √(5/3)
    assert mean_and_spread([1.0]) == "1.0000"
    assert mean_and_spread([1.0, float("nan")]) == "–"


def test_seeds_alone_give_one_row():
    text = mean_table([completed({"seed": str(i)}, float(i)) for i in range(3)])
    assert text.splitlines() == [
        "mean ± std over seed  jobs        val skill",
        "all                      3  1.0000 ± 1.0000",
    ]


def test_a_printed_table_leaves_out_losses_and_most_metrics_of_many_tasks():
    few = {"a/loss": 1.0, "a/accuracy": 1.0, "a/f1": 1.0}
    many = {f"{task}/{name}": 0.0 for task in "abcdef" for name in ("loss", "accuracy", "f1")}
    assert shown_metrics([SweepRow({}, Path("x"), "completed", test=few)]) == ["a/accuracy", "a/f1"]
    assert shown_metrics([SweepRow({}, Path("x"), "completed", test=many)]) == [f"{task}/accuracy" for task in "abcdef"]


def test_csv_has_a_column_for_every_metric_of_any_job():
    text = to_csv([completed({"seed": "0"}, 0.5, **{"a/f1": 1.0}), completed({"seed": "1"}, 0.25, **{"b/f1": 0.125})])
    assert text.splitlines() == [
        "seed,selection,test/a/f1,test/b/f1,status,seconds,directory,reason",
        "0,0.5,1.0,,completed,,x,",
        "1,0.25,,0.125,completed,,x,",
    ]


def test_a_directory_without_a_run_is_pending(tmp_path):
    assert row(tmp_path, {}).status == "pending"
    assert row(tmp_path, {}, "why").reason == "why"
    (tmp_path / "status.json").write_text("{broken")
    assert row(tmp_path, {}).status == "pending"


# --- other processes


def test_jobs_for_a_launcher_are_run_by_their_number(run, monkeypatch):
    """The worker that joblib sends to its processes, with Hydra's own launcher in this one."""
    from mtl_cli.commands.sweeps import sweep

    real = sweep.plan
    monkeypatch.setattr(sweep, "plan", lambda *args: dataclasses.replace(real(*args), launcher="other"))

    def fail(config, directory):
        if config["seed"] == 1:
            raise UserError("no data in /x")

    run.on_train = fail
    logging.getLogger().handlers[:] = handlers = list(logging.getLogger().handlers)
    assert cli.main(["-m", "seed=0,1"]) == 1
    assert [config["seed"] for config, _ in run.trained] == [0, 1]
    [directory] = sweep_dirs()
    assert {line["seed"]: (line["status"], line["reason"]) for line in rows()} == {
        "0": ("completed", ""),
        "1": ("failed", "no data in /x"),
    }
    names = {config_hash(config) for config, _ in run.trained} - {config_hash(run.trained[1][0])}
    assert {path.name for path in directory.iterdir()} == {*names, "summary.csv"}
    assert logging.getLogger().handlers == handlers
    run.on_train = lambda *_: None
    assert cli.main(["-m", "seed=0,1"]) == 0
    assert [config["seed"] for config, _ in run.trained] == [0, 1, 1]


def test_a_job_in_whose_directory_another_process_works_is_running_elsewhere(run, capsys):
    def busy(config, directory):
        if config["seed"] == 1:
            raise Busy(directory)

    run.on_train = busy
    assert cli.main(["-m", "seed=0,1"]) == 1
    assert {line["seed"]: line["status"] for line in rows()} == {"0": "completed", "1": "running elsewhere"}
    assert "seed=1, running elsewhere" in capsys.readouterr().out
    run.on_train = lambda *_: None
    assert cli.main(["-m", "seed=0,1"]) == 0


def alive(process):
    """Whether a process is there and not only waiting to be fetched by its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(processes, seconds):
    end = time.monotonic() + seconds
    while any(map(alive, processes)):
        assert time.monotonic() < end, "a worker outlives its parent"
        time.sleep(0.1)


def test_a_worker_ends_with_its_parent():
    script = (
        "import os, time\nfrom mtl_cli.commands.sweeps import launch\nlaunch.POLL_SECONDS = 0.05\n"
        "parent = os.getpid()\nready, told = os.pipe()\n"
        "if not (child := os.fork()):\n    launch.end_with(parent)\n    os.write(told, b'x')\n    time.sleep(60)\n"
        "os.read(ready, 1)\nprint(child, flush=True)\nos.kill(parent, 9)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=30)
    wait_until_gone([int(done.stdout)], 20)


@pytest.mark.slow
def test_workers_of_joblib_end_with_the_sweep_and_their_runs_are_saved(tmp_path):
    words = ["task=mnist_digits", "backbone=mlp", "backbone.hidden=[16]", "trainer.max_epochs=1000", "save.every=20"]
    script = "import sys; from mtl_cli.cli import train; sys.exit(train())"
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer.precision=fp32"]
    command = [sys.executable, "-c", script, "-m", "seed=0,1", *words, *launcher]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env=environment, start_new_session=True)
    end = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/sweeps/*/*/checkpoints/last.json"))) < 2:
        assert sweep.poll() is None
        assert time.monotonic() < end
        time.sleep(0.1)
    family = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and group(path) == sweep.pid]
    sweep.kill()
    sweep.wait()
    wait_until_gone(family, 60)
    for status in tmp_path.glob("runs/sweeps/*/*/status.json"):
        assert json.loads(status.read_text())["status"] == "interrupted"


def group(path):
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[2])
    except (FileNotFoundError, ProcessLookupError):
        return -1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("joblib_launcher", ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
        ("submitit_launcher", ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=4"]),
    ],
)
def test_launchers_run_jobs_in_other_processes(extra, words, tmp_path):
    pytest.importorskip(f"hydra_plugins.hydra_{extra}")
    small = ["task=mnist_digits", "backbone=mlp", "backbone.hidden=[16]", "trainer.max_epochs=1", "trainer.max_steps=2"]
    script = "import sys; from mtl_cli.cli import train; sys.exit(train())"
    command = [sys.executable, "-c", script, "-m", "seed=0,1", *small, *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=280, env=environment
    )
    assert done.returncode == 0, done.stderr
    [directory] = (tmp_path / "runs" / "sweeps").iterdir()
    assert {line["status"] for line in rows(directory)} == {"completed"}
    assert len(rows(directory)) == 2


@pytest.mark.slow
def test_a_job_of_a_queue_may_have_several_processes_that_are_one_run(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    words = [
        "-m", "seed=0", "task=mnist_digits", "backbone=mlp", "backbone.hidden=[16]", "trainer.max_epochs=1",
        "trainer.max_steps=2", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=4",
        "hydra.launcher.tasks_per_node=2",
    ]  # fmt: skip
    command = [sys.executable, "-c", "import sys; from mtl_cli.cli import train; sys.exit(train())", *words]
    how = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False, "timeout": 280}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    refused = subprocess.run(command, env=environment, **how)
    assert refused.returncode == 2
    assert "trainer.devices is 1. Use trainer.devices=2." in refused.stderr
    done = subprocess.run([*command, "trainer.devices=2"], env=environment, **how)
    assert done.returncode == 0, done.stderr
    (status,) = (tmp_path / "runs" / "sweeps").rglob("status.json")
    assert json.loads(status.read_text())["status"] == "completed"
    assert len((status.parent / "metrics.jsonl").read_text().splitlines()) == 3  # by one writer: train, val, test


def test_a_launcher_composes_no_job_again(run, monkeypatch):
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    from mtl_cli.commands.sweeps import launch, sweep

    real, composed = sweep.plan, []
    monkeypatch.setattr(sweep, "plan", lambda *args: dataclasses.replace(real(*args), launcher="other"))
    monkeypatch.setattr(
        launch, "run_elsewhere", lambda *args, own=launch.run_elsewhere: (composed.clear(), own(*args))[1]
    )
    monkeypatch.setattr(sweep, "run_elsewhere", launch.run_elsewhere)
    compose = ConfigLoaderImpl.load_configuration
    monkeypatch.setattr(
        ConfigLoaderImpl, "load_configuration", lambda self, *a, **k: (composed.append(a), compose(self, *a, **k))[1]
    )
    assert cli.main(["-m", "seed=0,1,2"]) == 0
    assert [config["seed"] for config, _ in run.trained] == [0, 1, 2]
    assert composed == []


# --- what a terminal shows


def test_the_tables_of_a_sweep_fit_the_terminal(run, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "70")
    assert cli.main(["-m", "task=letters", "tasks.letters.weight=0.1,1", "seed=0,1", "quiet=true"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 70
    assert any("0.2500" in line for line in lines)


def test_a_quiet_sweep_shows_no_table_of_a_run(run, capsys):
    run.on_train = lambda *_: logging.getLogger("mtl_cli").warning("a run's own table", extra={RESULT: True})
    assert cli.main(["-m", "seed=0,1", "quiet=true"]) == 0
    assert "a run's own table" not in capsys.readouterr().out
    assert cli.main(["-m", "seed=2,3"]) == 0
    assert capsys.readouterr().out.count("a run's own table") == 2


def test_jobs_tell_how_much_time_is_left(run, capsys):
    assert cli.main(["-m", "seed=0,1,2"]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Job ")]
    assert heads[0] == "Job 1 of 3: seed=0"
    assert re.fullmatch(r"Job 3 of 3, about [\d.]+ s left: seed=2", heads[2])


def test_the_time_left_is_that_of_the_jobs_that_ended(monkeypatch):
    now = iter([100.0, 130.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    told = progress.Progress(total=10, complete=2)
    assert told.left() == ""
    told.ended = 3
    assert told.left() == ", about 50.0 s left"  # 10 s each, 5 jobs
