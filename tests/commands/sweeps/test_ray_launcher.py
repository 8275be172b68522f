"""Jobs of a sweep as tasks of Ray; what needs Ray itself is left out where it is not installed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock
from omegaconf import OmegaConf

from mtl_cli import cli
from mtl_cli.commands.sweeps.ray_launcher import RayLauncher
from mtl_cli.errors import UserError
from tests._stub_run import install
from tests.commands.sweeps.test_sweep import rows, wait_until_gone

RAY = "hydra/launcher=ray"
COMMAND = [sys.executable, "-c", "import sys; from mtl_cli.cli import train; sys.exit(train())", "-m", "seed=0,1"]
SMALL = ["task=mnist_digits", "backbone=mlp", "backbone.hidden=[16]", "trainer.precision=fp32", "quiet=true"]


def test_without_ray_a_sweep_says_how_to_install_it_and_makes_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main(["-m", "seed=0,1", RAY]) == 2
    assert "Install it: pip install 'mtl-cli[ray]'." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("num_cpus=0", "hydra.launcher.num_cpus is 0. Use hydra.launcher.num_cpus=1 or more."),
        ("cpus_per_job=many", "hydra.launcher.cpus_per_job is many. Use hydra.launcher.cpus_per_job=1 or more."),
        ("gpus_per_job=-1", "hydra.launcher.gpus_per_job is -1. Use hydra.launcher.gpus_per_job=0 or more."),
        ("gpus_per_job=nan", "hydra.launcher.gpus_per_job is nan."),
        ("cpus_per_job=null", "hydra.launcher.cpus_per_job is None."),
        ("address=3", "hydra.launcher.address is 3."),
        ("num_cpus=2 hydra.launcher.address=auto", "Leave out hydra.launcher.num_cpus"),
        ("n_jobs=2", "Unknown key 'hydra.launcher.n_jobs'"),
    ],
)
def test_keys_that_cannot_be_are_refused(monkeypatch, tmp_path, capsys, word, message):
    monkeypatch.chdir(tmp_path)
    install(monkeypatch)
    assert cli.main(["-m", "seed=0,1", RAY, *f"hydra.launcher.{word}".split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_help_lists_the_keys_of_the_launcher(capsys):
    assert cli.main(["--help", RAY]) == 0
    assert "hydra.launcher.cpus_per_job=1" in capsys.readouterr().out


class Jobs:
    """Gives each job the number that is its override."""

    class config_loader:
        """Makes configs."""

        @staticmethod
        def load_sweep_config(_, words):
            return OmegaConf.create({"number": int(words[0])})


def kill_the_second(config):
    """Be a job, of which the one with number 1 is killed as by a system that is out of memory."""
    if config.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def raise_in_the_second(config):
    if config.number == 1:
        raise OSError("no such disk")


@pytest.mark.slow
def test_a_job_whose_process_is_gone_has_failed_and_the_others_go_on():
    pytest.importorskip("ray")
    found = {}
    for task in (kill_the_second, raise_in_the_second):
        launcher = RayLauncher(None, 2, 1, 0)
        launcher.setup(hydra_context=Jobs, task_function=task, config=None)
        found[task] = [done.return_value for done in launcher.launch([["0"], ["1"], ["2"]], 0)]
    first, second, third = found[kill_the_second]
    assert (first, third) == (None, None)
    assert second.startswith("Its process is gone: ")
    assert found[raise_in_the_second] == [None, "OSError: no such disk", None]
    launcher = RayLauncher(None, 2, 3, 0)
    launcher.setup(hydra_context=Jobs, task_function=task, config=None)
    with pytest.raises(UserError, match=r"Ray has 2 CPUs here\. Use hydra\.launcher\.cpus_per_job=2"):
        launcher.launch([["0"]], 0)


def swept(directory, *words):
    """Run a sweep on two CPUs; return its exit code and the status by seed."""
    command = [*COMMAND, *SMALL, *words, RAY, "hydra.launcher.num_cpus=2"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=200, check=False)
    (folder,) = (directory / "runs" / "sweeps").iterdir()
    return done.returncode, {line["seed"]: line["status"] for line in rows(folder)}, done.stdout + done.stderr


@pytest.mark.slow
def test_a_sweep_runs_as_tasks_of_ray_and_a_job_that_runs_elsewhere_is_left_alone(tmp_path):
    pytest.importorskip("ray")
    words = ["trainer.max_epochs=1", "trainer.max_steps=2"]
    code, status, text = swept(tmp_path, *words)
    assert (code, status) == (0, {"0": "completed", "1": "completed"}), text
    busy, *_ = [path.parent for path in tmp_path.rglob("status.json")]
    (busy / "status.json").unlink()
    with FileLock(busy / ".lock"):
        code, status, text = swept(tmp_path, *words)
    assert code == 1
    assert sorted(status.values()) == ["completed", "running elsewhere"], text
    assert swept(tmp_path, *words)[:2] == (0, {"0": "completed", "1": "completed"})


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_end_with_their_sweep(tmp_path, number):
    pytest.importorskip("ray")
    words = ["trainer.max_epochs=100000", "save.every=20", RAY, "hydra.launcher.num_cpus=2"]
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(
            [*COMMAND, *SMALL, *words], cwd=tmp_path, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    end = time.monotonic() + 120
    while len(list(tmp_path.glob("runs/sweeps/*/*/checkpoints/last.json"))) < 2:
        assert sweep.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < end
        time.sleep(0.1)
    jobs = [int(line.split()[0]) for line in listed() if line.split()[1] == str(sweep.pid) and "ray::work" in line]
    assert len(jobs) == 2
    os.kill(sweep.pid, number)
    assert sweep.wait(90) == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    wait_until_gone(jobs, 30)
    if number == signal.SIGTERM:
        found = [json.loads(path.read_text())["status"] for path in tmp_path.glob("runs/sweeps/*/*/status.json")]
        assert found == ["interrupted"] * 2
        wait_until_gone([int(line.split()[0]) for line in listed() if line.split()[1] == str(sweep.pid)], 30)


def listed():
    """Every process: its number, session and command."""
    return subprocess.run(["ps", "-eo", "pid,sid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
