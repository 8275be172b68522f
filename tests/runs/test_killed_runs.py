"""Whole runs through real commands: resume=auto, damaged checkpoints, signals, full disks, old versions, long life."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

import mtl_cli
from mtl_cli import cli
from mtl_cli.errors import RunFailure
from mtl_cli.runs import evaluation, run
from mtl_cli.storage import checkpoint
from mtl_cli.training.loading import Stream
from mtl_cli.training.order import Order
from tests import _toy
from tests._resuming import assert_same_run, die_at
from tests._thinned import thinned

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from mtl_cli.cli import main; sys.exit(main(sys.argv[1:]))"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Arguments of mtl-train for a toy run of six steps that is saved after every second one."""
    (tmp_path / "conf" / "task").mkdir(parents=True)
    tasks = {"tasks": {name: _toy.task(name) for name in ("quadrant", "sign")}}
    (tmp_path / "conf" / "task" / "toy.yaml").write_text("# @package _global_\n" + yaml.safe_dump(tasks))
    monkeypatch.chdir(tmp_path)
    return [
        "--config-dir", "conf", "task=toy", "trust=[tests]", "data.batch_size=16", "backbone.channels=[4]",
        "backbone.dense=[8]", "trainer.max_epochs=2", "trainer.device=cpu", "trainer.precision=fp32", "ema.decay=0.9",
        "save.every=2", "save.keep=3", "hydra.run.dir=run", "resume=auto",
    ]  # fmt: skip


_kept: dict[tuple[str, ...], Path] = {}
"""An undisturbed run of each command, made once."""


@pytest.fixture
def whole(tmp_path_factory):
    """Makes `whole` in the working directory: the run of a command that nothing disturbs."""

    def make(command):
        if tuple(command) not in _kept:
            assert cli.main([word.replace("run.dir=run", "run.dir=whole") for word in command]) == 0
            _kept[tuple(command)] = shutil.copytree("whole", tmp_path_factory.mktemp("kept") / "whole")
        elif not Path("whole").exists():
            shutil.copytree(_kept[tuple(command)], "whole")

    return make


def test_auto_starts_then_continues_then_has_nothing_to_do(command, whole, monkeypatch, capsys):
    whole(command)
    die_at(monkeypatch, 1, lambda: cli.main(command))  # before the first checkpoint
    die_at(monkeypatch, 3, lambda: cli.main(command))
    die_at(monkeypatch, 5, lambda: cli.main(command))
    assert cli.main(command) == 0
    assert_same_run(Path("whole"), Path("run"))
    before = (Path("run") / "summary.json").stat().st_mtime_ns
    capsys.readouterr()
    assert cli.main(command) == 0
    assert "The run in run is complete." in capsys.readouterr().out
    assert (Path("run") / "summary.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("damage", "by"),
    thinned(
        [(damage, by) for damage in ("flip", "cut", "gone", "pointer") for by in ("auto", "directory")],
        [("flip", "auto"), ("pointer", "directory")],
    ),
)
def test_a_damaged_checkpoint_is_passed_over_by_resuming_which_says_so(command, whole, monkeypatch, capsys, damage, by):
    whole(command)
    die_at(monkeypatch, 5, lambda: cli.main(command))
    newest = Path("run/checkpoints/step_00000004.pt")
    if damage == "flip":
        data = bytearray(newest.read_bytes())
        data[len(data) // 2] ^= 1
        newest.write_bytes(data)
    elif damage == "cut":
        newest.write_bytes(newest.read_bytes()[:1000])
    elif damage == "gone":
        newest.unlink()
    else:
        Path("run/checkpoints/last.json").write_text('{"file": "st')
    assert cli.main(command if by == "auto" else ["resume=run", "trust=[tests]"]) == 0
    shown = capsys.readouterr().out
    assert ("step_00000004.pt" if damage != "pointer" else "last.json") in shown
    assert "Continuing from step_0000000" in shown
    assert_same_run(Path("whole"), Path("run"))


def test_an_earlier_checkpoint_may_be_resumed_by_its_file(command, whole, monkeypatch):
    whole(command)
    die_at(monkeypatch, 5, lambda: cli.main(command))
    again = ["resume=run/checkpoints/step_00000002.pt", "trust=[tests]"]
    die_at(monkeypatch, 3, lambda: cli.main(again))
    assert Path("run/checkpoints/step_00000004.pt.aside").exists()
    log = Path("run/train.log")
    assert "kept under other names: step_00000003.pt.aside, step_00000004.pt.aside" in log.read_text()
    assert cli.main(["resume=run", "trust=[tests]"]) == 0  # goes on from there, not from what was left
    assert "after step 3" in log.read_text().rpartition("Resuming")[2].splitlines()[0]
    assert_same_run(Path("whole"), Path("run"))


class Dead(BaseException):
    """Raised where a process is killed."""


def full_from(monkeypatch, command, event):
    """Run with a disk that is full from the event (a number) on at which a file is renamed; return the exit code."""
    seen = []
    replace = Path.replace

    def limited(self, target):
        seen.append(target)
        if len(seen) > event:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    with monkeypatch.context() as context:
        context.setattr(Path, "replace", limited)
        return cli.main(command)


@pytest.mark.slow
def test_a_run_whose_disk_is_full_from_any_rename_on_says_so_and_goes_on_to_the_same_end(
    command, whole, monkeypatch, capsys
):
    whole(command)
    codes = []
    for event in range(0, 200, 7):
        shutil.rmtree("run", ignore_errors=True)
        capsys.readouterr()
        codes.append(full_from(monkeypatch, command, event))
        if codes[-1] == 0:
            break
        error = capsys.readouterr().err
        assert "No space left on device" in error
        assert "Unexpected" not in error
        assert cli.main(command) == 0
        assert_same_run(Path("whole"), Path("run"))
    assert len(codes) > 3
    assert set(codes) == {0, 1, 2}


def die_at_rename(monkeypatch, command, event):
    """Run until the event (a number) at which a file is renamed or has just been renamed, and die there."""
    seen = []
    replace = Path.replace

    def counted(self, target):
        for moment in ("before", "after"):
            seen.append(f"{moment} {Path(target).name}")
            if len(seen) > event:
                raise Dead
            if moment == "before":
                result = replace(self, target)
        return result

    with monkeypatch.context() as context:
        context.setattr(Path, "replace", counted)
        try:
            cli.main(command)
        except Dead:
            return seen
    return []


@pytest.mark.parametrize(
    ("by", "every"), [("directory", 9), pytest.param("auto", 1, marks=pytest.mark.slow)], ids=["directory", "auto"]
)
def test_a_run_killed_at_any_rename_goes_on_to_the_same_end(command, whole, monkeypatch, by, every):
    whole(command)
    events = []
    for event in range(0, 400, every):
        shutil.rmtree("run", ignore_errors=True)
        if not (seen := die_at_rename(monkeypatch, command, event)):
            break
        events = seen
        resumable = any(Path("run/checkpoints").glob("step_*.pt"))
        again = command if by == "auto" or not resumable else ["resume=run", "trust=[tests]"]
        assert cli.main(again) == 0, seen[-1]
        assert_same_run(Path("whole"), Path("run"))
    assert {"after step_00000002.pt", "before best.json", "after last.json"} <= set(events)


@pytest.mark.parametrize("by", thinned(["auto", "directory"], ["auto"]))
def test_a_run_without_pointers_is_taken_up(command, whole, monkeypatch, by):
    whole(command)
    die_at(monkeypatch, 5, lambda: cli.main(command))
    for name in ("last", "best"):
        Path(f"run/checkpoints/{name}.json").unlink(missing_ok=True)
    assert cli.main(command if by == "auto" else ["resume=run", "trust=[tests]"]) == 0
    assert_same_run(Path("whole"), Path("run"))


def test_auto_refuses_checkpoints_none_of_which_is_whole(command, monkeypatch, capsys):
    die_at(monkeypatch, 5, lambda: cli.main(command))
    for path in Path("run/checkpoints").glob("*.pt"):
        path.write_bytes(b"x")
    assert cli.main(command) == 2
    assert "No checkpoint in run/checkpoints can be read. Start anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lr=0.5"], "holds the run of another config: optimizer.lr is 0.5, there 0.00"),
        (["+tasks.sign.head.more=1"], "more"),
        (["seed=3"], "seed is 3, there 0"),
        (["-m", "seed=1,2"], "resume=auto does not go with --multirun"),
        (["--cfg", "job"], "resume=auto does not go with --cfg"),
    ],
)
def test_auto_refuses_another_config_and_other_modes(command, monkeypatch, capsys, words, message):
    die_at(monkeypatch, 5, lambda: cli.main(command))
    capsys.readouterr()
    assert cli.main([*command, *words]) == 2
    assert message in capsys.readouterr().err


def test_auto_needs_a_directory_and_may_change_what_resume_may(command, capsys):
    assert cli.main([word for word in command if not word.startswith("hydra.run.dir")]) == 2
    assert "Add hydra.run.dir=DIR" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert cli.main(command) == 0
    longer = [word.replace("max_epochs=2", "max_epochs=3") for word in command]
    assert cli.main(longer) == 0
    assert json.loads(Path("run/summary.json").read_text())["steps"] == 9


def test_half_a_line_is_gone_after_a_resume(command, monkeypatch):
    die_at(monkeypatch, 5, lambda: cli.main(command))
    with Path("run/metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "tr')
    assert cli.main(command) == 0
    data = Path("run/metrics.jsonl").read_bytes()
    assert data.endswith(b"}\n")
    assert all(json.loads(line) for line in data.splitlines())


# --- old versions

FROZEN = sorted((ROOT / "tests" / "checkpoints").glob("*.pt"))


def test_there_is_a_frozen_checkpoint_of_this_version():
    assert mtl_cli.__version__ in [path.stem for path in FROZEN]


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.stem)
def test_old_checkpoints_load_and_evaluate_to_the_recorded_numbers(path, tmp_path):
    shutil.copy(path, tmp_path / "model.pt")
    found = evaluation.evaluate_checkpoint(tmp_path / "model.pt", {}, [])["metrics"]
    recorded = json.loads(path.with_suffix(".json").read_text())
    assert found == pytest.approx(recorded, rel=1e-4, abs=2e-3)  # other machines round otherwise


def test_a_knob_that_a_version_did_not_have_takes_its_default(tmp_path):
    state = torch.load(FROZEN[0], weights_only=True)
    config = yaml.safe_load(state["config"])
    del config["trainer"]["on_nonfinite"], config["freeze"], config["save"]
    state["config"] = yaml.safe_dump(config, sort_keys=False)
    torch.save(state, tmp_path / "model.pt")
    assert evaluation.evaluate_checkpoint(tmp_path / "model.pt", {}, [])["metrics"]


# --- determinism, workers, handles


def test_deterministic_runs_are_bit_identical_whatever_the_number_of_workers(tmp_path):
    for workers in (0, 1, 2):
        config = _toy.config(deterministic=True, data__workers=workers, ema__decay=0.9, save__every=2)
        run.train(config, tmp_path / str(workers), [])
    assert not torch.are_deterministic_algorithms_enabled()
    for workers in (1, 2):
        assert_same_run(tmp_path / "0", tmp_path / str(workers))


class Fragile(_toy.ToySplit):
    def __getitems__(self, indices):
        if torch.utils.data.get_worker_info() is not None:
            self.fail()
        return super().__getitems__(indices)


class Dying(Fragile):
    def fail(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Raising(Fragile):
    def fail(self):
        raise ValueError("cell 7 is broken")


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Dying, r"reads the data of 'a' died at draw 0: DataLoader worker"),
        (Raising, "ValueError: cell 7 is broken"),
    ],
)
def test_a_worker_that_dies_is_reported_with_its_cause(split, message):
    rows = split(torch.zeros(8, 1, 12, 12), {"sign": torch.zeros(8, dtype=torch.int64)})
    stream = Stream(rows, "a", {"t": "sign"}, Order(8, 4, "a", 0), torch.device("cpu"), workers=1)
    with pytest.raises(RunFailure, match=message):
        stream.batches(0)
    stream.close()


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_runs_leave_no_open_files_and_no_processes(tmp_path):
    import gc
    import multiprocessing

    run.train(_toy.config(data__workers=1), tmp_path / "first", [])
    gc.collect()
    before = open_files()
    for number in range(3):
        run.train(_toy.config(data__workers=1, seed=number), tmp_path / str(number), [])
        evaluation.evaluate_checkpoint(tmp_path / str(number), {"trust": ["tests"]}, [])
    gc.collect()
    assert open_files() <= before
    assert not multiprocessing.active_children()


def anonymous_memory():
    text = Path("/proc/self/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_does_not_grow_over_200_epochs(tmp_path, monkeypatch):
    from mtl_cli.training import trainer

    sizes, original = [], trainer.assess

    def assess(job, out):
        original(job, out)
        sizes.append(anonymous_memory())

    monkeypatch.setattr(trainer, "assess", assess)
    run.train(_toy.config(trainer__max_epochs=200, ema__decay=0.9), tmp_path / "run", [])
    assert len(sizes) == 200
    assert max(sizes[100:]) < 1.02 * max(sizes[50:100])


# --- disks


def test_a_full_disk_ends_with_a_message_and_the_last_checkpoint_intact(command, whole, monkeypatch, capsys):
    import errno

    from mtl_cli import files

    original = files.os.fsync

    def full(descriptor):
        if "step_00000004" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    assert cli.main(command) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error
    monkeypatch.setattr(files.os, "fsync", original)
    checkpoint.load(checkpoint.find(Path("run"), "last"))
    assert json.loads(Path("run/status.json").read_text())["status"] == "failed"
    assert cli.main(command) == 0
    whole(command)
    assert_same_run(Path("whole"), Path("run"))


def test_a_directory_that_cannot_be_written_is_a_short_error_before_the_run(command, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    for where in ("file/run", "/proc/run"):
        assert (
            cli.main([*(word for word in command if not word.startswith("hydra.run")), f"hydra.run.dir={where}"]) == 2
        )
        assert "Cannot make or write the run directory" in capsys.readouterr().err


# --- real processes


def wait_for(path, seconds=90):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_kills_and_other_faults_lose_nothing(tmp_path):
    script = ROOT / "scripts" / "torture.py"
    done = subprocess.run(
        [sys.executable, script, "--kills", "2", "--aimed", "1", "--others", "1", "--minutes", "2"], cwd=tmp_path,
        env=ENVIRONMENT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    rows = done.stdout.splitlines()
    assert len(rows) > 8  # kinds of faults; on a slow machine not all of them
