"""Runs on processes of their own: their files, their end by signals and accidents, and going on with other numbers."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtl_cli import cli
from mtl_cli.errors import Pruned, RunFailure, UserError
from mtl_cli.ranks import group
from mtl_cli.ranks.place import Place
from mtl_cli.ranks.watch import RankLost
from mtl_cli.runs import run
from mtl_cli.storage import checkpoint
from mtl_cli.storage.records import read_records
from tests import _toy
from tests.ranks._killed import PHASES, START
from tests.ranks._pool import differences

SMALL = [
    "task=mnist_digits", "backbone=mlp", "backbone.hidden=[8]", "trainer.eval_every=1000",
    "trainer.device=cpu", "trainer.precision=fp32", "trainer.threads=1",
    "trainer.max_epochs=null", "schedule.epoch_length=6", "data.batch_size=8", "trainer.log_every=2", "quiet=true",
]  # fmt: skip
RUN = "import sys; from mtl_cli.cli import train; sys.exit(train())"
LIMIT = 120
"""Seconds after which a test gives up, and leaves no process behind."""


def start(*words, **environment):
    """Start mtl-train in a session of its own, all of whose processes can be found by it."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


def finished(process):
    """The exit code and what was printed; no process of its session is left."""
    try:
        text, _ = process.communicate(timeout=LIMIT)
    finally:
        left = members(process)
        for number in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    assert left == []
    return process.returncode, text


def members(process):
    """The numbers of the processes in a session, but for those that have ended and wait for their parents."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            state, _, _, session = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == process.pid and state != "Z":
                found.append(int(entry))
    return found


def started(process, directory, rank=1):
    """The number of the process of a rank, once the run has taken steps."""
    end = time.monotonic() + LIMIT
    while not (directory / "metrics.jsonl").exists() or not read_records(directory / "metrics.jsonl"):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.1)
    for number in members(process):
        with contextlib.suppress(OSError):
            if f"\0RANK={rank}\0".encode() in Path(f"/proc/{number}/environ").read_bytes():
                return number
    return pytest.fail("no such rank")


def endless(directory):
    return start(*SMALL, "trainer.max_steps=1000000", "trainer.devices=2", f"hydra.run.dir={directory}", "save.every=5")


def records(directory):
    return (directory / "metrics.jsonl").read_bytes()


def train(directory, **changes):
    """Train on the toy data in this process, which is then rank 0."""
    return run.train(_toy.config(early_stopping__patience=9, ema__decay=0.9, **changes), directory, [])


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one_and_a_run_goes_on_with_other_numbers(no_pool, tmp_path):
    one, two, parts = (tmp_path / name for name in ("one", "two", "parts"))
    train(one, trainer__accumulate=2, trainer__max_epochs=6)
    train(two, trainer__devices=2, trainer__max_epochs=6)
    assert records(one) == records(two)
    assert values_on_test(one) == values_on_test(two)
    train(parts, trainer__devices=2, trainer__max_epochs=2)
    more = {"trainer.devices": 1, "trainer.max_epochs": 4, "trust": ["tests"]}
    with pytest.raises(UserError, match=r"makes 1. Use trainer.devices=1 trainer.accumulate=2."):
        run.resume(parts, more, [])
    run.resume(parts, {**more, "trainer.accumulate": 2}, [])
    run.resume(parts, {"trainer.max_epochs": 6, "trust": ["tests"]}, [])
    own, whole = ([r for r in read_records(each / "metrics.jsonl") if r["kind"] == "train"] for each in (parts, one))
    assert [r["step"] for r in own] == [r["step"] for r in whole]


def values_on_test(directory):
    return json.loads((directory / "summary.json").read_text())["test"]


def by_torchrun(rank):
    """What torchrun tells a process, of two."""
    port = str(20000 + os.getpid() % 20000)
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip


def by_srun(rank):
    """What Slurm tells a process, of two on one machine."""
    return {
        "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_STEP_NODELIST": "localhost", "SLURM_JOB_NODELIST": "localhost",
    }  # fmt: skip


@pytest.mark.slow
def test_processes_that_slurm_has_started_are_one_run_of_which_the_first_talks(tmp_path):
    common = [*SMALL, "trainer.max_steps=6", f"hydra.run.dir={tmp_path / 'run'}"]
    ranks = [start(*common, **by_srun(rank)) for rank in (0, 1)]
    found = [finished(process) for process in ranks]
    assert [code for code, _ in found] == [0, 0], found
    assert "test, best step 6" in found[0][1]
    assert found[1][1] == ""
    assert "devices: 2" in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.slow
def test_torchrun_starts_the_program_as_the_page_has_it(tmp_path):
    page = (Path(group.__file__).parent / "README.md").read_text()
    assert " --no-python mtl-train " in page
    program = tmp_path / "mtl-train"
    program.write_text(f"#!{sys.executable}\n{RUN}\n")
    program.chmod(0o755)
    words = [*SMALL, "trainer.max_steps=6", f"hydra.run.dir={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
    done = subprocess.run(
        [*command, program, *words], capture_output=True, text=True, timeout=LIMIT, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test, best step 6") == 1
    assert "devices: 2" in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.slow
def test_a_mistake_is_told_once_and_ends_all_processes_that_a_launcher_has_started(tmp_path):
    ranks = [start(*SMALL, "trainer.bad=1", f"hydra.run.dir={tmp_path / 'run'}", **by_srun(rank)) for rank in (0, 1)]
    (code, text), other = [finished(process) for process in ranks]
    assert code == 2
    assert text.startswith("error: Unknown key 'trainer.bad'")
    assert other == (2, "")


def test_a_port_that_is_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = Place(0, 2, 0, 2, "127.0.0.1", other.getsockname()[1], "srun")
        with pytest.raises(RunFailure, match=r"in use. Set MASTER_PORT to a free one"), group.joined(place):
            pass


@pytest.mark.parametrize("word", ["dry_run=true", "lr_range_test=true"])
def test_a_trial_is_not_for_processes_that_a_launcher_has_started(monkeypatch, capsys, word):
    for key, value in by_torchrun(0).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    assert cli.main([*SMALL, word]) == 2
    assert "takes one process, and torchrun has started 2. Start mtl-train alone" in capsys.readouterr().err


@pytest.mark.parametrize("rank", [0, 1])
def test_a_program_of_one_process_says_so_once_where_several_are_started(monkeypatch, tmp_path, capsys, rank):
    for key, value in by_torchrun(rank).items():
        monkeypatch.setenv(key, value)
    assert cli.main_eval([f"checkpoint={tmp_path}"]) == 2
    wanted = "error: mtl-eval runs in one process, and torchrun has started 2. Start 1.\n"
    assert capsys.readouterr().err == ("" if rank else wanted)


def test_an_evaluation_is_of_one_process(tmp_path, capsys):
    assert cli.main_eval([f"checkpoint={tmp_path}", "trainer.devices=2"]) == 2
    assert "mtl-eval runs in one process, whatever number its run had. Leave out" in capsys.readouterr().err


@pytest.mark.slow
def test_a_hopeless_trial_of_a_search_ends_all_its_processes(no_pool, tmp_path):
    with pytest.raises(Pruned):
        run.train(_toy.config(trainer__devices=2), tmp_path / "run", [], judge=lambda epoch, score: "it is hopeless")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["status"], status["reason"]) == ("pruned", "it is hopeless")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_any_process_ends_in_one_checkpoint(tmp_path, rank):
    process = endless(tmp_path / "run")
    other = started(process, tmp_path / "run")
    os.kill(process.pid if rank == 0 else other, signal.SIGTERM)
    code, text = finished(process)
    assert code == 143
    assert text.startswith("Stopped by SIGTERM after step ")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert (status["status"], status["reason"]) == ("interrupted", "SIGTERM")
    assert (tmp_path / "run" / "checkpoints" / f"step_{status['step']:08}.pt").is_file()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The records of a run that nothing disturbs."""
    train(tmp_path_factory.mktemp("whole") / "run", trainer__accumulate=2, trainer__max_epochs=4)
    return records(tmp_path_factory.getbasetemp() / "whole0" / "run")


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_rank_that_is_killed_ends_the_others_with_its_name_and_the_run_goes_on(
    no_pool, tmp_path, monkeypatch, whole, phase
):
    monkeypatch.setattr(group, "START", START)
    monkeypatch.setenv("KILLED_AT", phase)
    before = time.monotonic()
    with pytest.raises(RankLost, match=r"Rank 1 \(process \d+\) was killed by SIGKILL"):
        train(tmp_path / "run", trainer__devices=2, trainer__max_epochs=4)
    assert time.monotonic() - before < 60
    if phase == "start":
        assert not (tmp_path / "run").exists()
        return
    assert json.loads((tmp_path / "run" / "status.json").read_text())["status"] == "failed"
    run.resume(tmp_path / "run", {"trainer.devices": 1, "trainer.accumulate": 2, "trust": ["tests"]}, [])
    assert records(tmp_path / "run") == whole


@pytest.mark.slow
def test_a_run_goes_on_with_two_one_and_three_processes(no_pool, tmp_path):
    changes = {
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9},
        "lr_schedule": _toy.option("lr_schedule", "constant"),
        "tasks": {
            "quadrant": _toy.task("quadrant", missing=0.5, batch_size=5),
            "sign": _toy.task("sign", batch_size=7),
        },
    }
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, trainer__accumulate=6, trainer__max_epochs=6, **changes)
    train(parts, trainer__devices=2, trainer__accumulate=3, trainer__max_epochs=2, **changes)
    for devices, epochs in ((1, 4), (3, 6)):
        words = {"trainer.devices": devices, "trainer.accumulate": 6 // devices, "trainer.max_epochs": epochs}
        run.resume(parts, {**words, "trust": ["tests"]}, [])
    own, one = (checkpoint.load(checkpoint.find(each, "last"))["model"] for each in (parts, whole))
    assert differences(own, one, 1e-5) == []


@pytest.mark.slow
def test_a_process_that_stands_still_ends_the_others(tmp_path):
    process = endless(tmp_path / "run")
    os.kill(started(process, tmp_path / "run"), signal.SIGSTOP)
    before = time.monotonic()
    code, text = finished(process)
    assert time.monotonic() - before < 60
    assert code == 1
    assert "has given no sign of life for" in text


@pytest.mark.slow
def test_the_others_end_where_the_first_is_killed(tmp_path):
    process = endless(tmp_path / "run")
    started(process, tmp_path / "run")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(LIMIT)
    end = time.monotonic() + 60
    while members(process) and time.monotonic() < end:
        time.sleep(0.2)
    code, text = finished(process)
    assert code == -signal.SIGKILL
    assert text.strip() == "error: Rank 0 has ended, or does not answer."
