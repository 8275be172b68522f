"""Real processes of the installed command get real signals; what they print is run as it stands, and loses no bit."""

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mtl_cli.storage.directory import read_status
from tests import _toy
from tests._pages import write_files
from tests._resuming import assert_same_run

COMMAND = Path(sys.executable).with_name("mtl-train")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
CODES = {signal.SIGTERM: 143, signal.SIGUSR1: 138, signal.SIGINT: 130}
KNOBS = [
    "trainer.device=cpu", "trainer.precision=fp32", "trainer.threads=1", "trainer.eval_every=100", "data.workers=2",
    "ema.decay=0.9", "save.every=5", "save.keep=3",
]  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not COMMAND.exists(), reason="needs the command mtl-train")]


def start(words, folder):
    return subprocess.Popen(
        [COMMAND, *words], cwd=folder, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def done(words, folder):
    """What a process prints that ends well."""
    process = start(words, folder)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    return out


def wait_until(there, process, seconds=120):
    end = time.monotonic() + seconds
    while not there():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.005)


def printed(out):
    """The words of the command that a process says continues it."""
    _, _, line = out.partition("Continue with:\n")
    words = shlex.split(line.splitlines()[0])
    assert words[0] == "mtl-train"
    return words[1:]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with a task whose classes lie in a module of its own, the words that train on it, and a whole run."""
    folder = tmp_path_factory.mktemp("signals")
    (folder / "conf" / "task").mkdir(parents=True)
    (folder / "toy_data.py").write_text(Path(_toy.__file__).read_text())
    tasks = {name: _toy.task(name, _target_="toy_data.Toy") for name in ("quadrant", "sign")}
    (folder / "conf" / "task" / "toy.yaml").write_text("# @package _global_\n" + yaml.safe_dump({"tasks": tasks}))
    words = ["--config-dir", "conf", "task=toy", "backbone.channels=[4]", "backbone.dense=[8]", *KNOBS]
    words += ["data.batch_size=16", "trainer.max_steps=600"]
    done([*words, "hydra.run.dir=whole"], folder)
    return folder, words


@pytest.mark.parametrize(
    ("number", "group", "directory"),
    [
        (signal.SIGTERM, False, "a run, with 'quotes' = and (more) [of] $it"),
        (signal.SIGUSR1, True, "runs/usr1"),
        (signal.SIGINT, True, "ünïcode"),
    ],
)
def test_a_signal_saves_and_the_printed_command_ends_with_the_same_bytes(number, group, directory, toy):
    folder, words = toy
    quoted = "'" + directory.replace("'", "\\'") + "'"
    process = start([*words, f"hydra.run.dir={quoted}"], folder)
    run = folder / directory
    wait_until((run / "checkpoints" / "last.json").exists, process)
    (os.killpg if group else os.kill)(process.pid, number)  # to the workers too, as a terminal or a scheduler does
    out, _ = process.communicate(timeout=100)
    assert process.returncode == CODES[number], out
    status = read_status(run)
    assert (status["status"], status["reason"]) == ("interrupted", number.name)
    assert status["step"] < 600
    assert "Traceback" not in out
    done(printed(out), folder)
    assert_same_run(folder / "whole", run)


def test_parts_of_ones_own_are_found_and_trusted_by_the_printed_command(tmp_path):
    write_files(tmp_path)
    words = ["--config-dir=my_conf", "task=inside+right", "backbone=waves", "weighting=worst", *KNOBS]
    words += ["trainer.max_steps=600"]
    done([*words, "hydra.run.dir=whole"], tmp_path)
    process = start([*words, "hydra.run.dir=run"], tmp_path)
    wait_until((tmp_path / "run" / "checkpoints" / "last.json").exists, process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == 143, out
    again = printed(out)
    assert "trust=[my_parts]" in again
    assert "--config-dir=my_conf" in again
    done(again, tmp_path)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def table(folder):
    """Jobs by their swept values, without their seconds."""
    (file,) = (folder / "runs" / "sweeps").glob("*/summary.csv")
    with file.open(newline="") as lines:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(lines)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_is_cut_off_goes_on_where_it_was(number, toy, tmp_path):
    source, words = toy
    words = [word for word in words if not word.startswith("trainer.max_steps")]
    words += ["-m", "tasks.sign.weight=0.5,1,2", "trainer.max_steps=200", "--config-dir", str(source / "conf")]
    words = words[2:]
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "toy_data.py").write_text((source / "toy_data.py").read_text())
    if not (source / "runs" / "sweeps").exists():
        done(words, source)
    process = start(words, tmp_path / "parts")

    def jobs():
        return {
            path.parent: read_status(path.parent) for path in (tmp_path / "parts").glob("runs/sweeps/*/*/status.json")
        }

    def second_has_saved():
        return len(jobs()) == 2 and any(
            status.get("status") == "running" and (path / "checkpoints" / "last.json").exists()
            for path, status in jobs().items()
        )

    wait_until(second_has_saved, process)
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=100)
    assert process.returncode == (-9 if number == signal.SIGKILL else 143), out
    complete = {path for path, status in jobs().items() if status["status"] == "completed"}
    assert len(complete) == 1
    before = (next(iter(complete)) / "summary.json").stat().st_mtime_ns
    out = done(words, tmp_path / "parts")
    assert "complete already" in out
    assert "Resuming" in out
    assert (next(iter(complete)) / "summary.json").stat().st_mtime_ns == before
    assert table(tmp_path / "parts") == table(source)
    for path in jobs():
        assert_same_run(source / path.relative_to(tmp_path / "parts"), path)
