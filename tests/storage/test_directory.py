import subprocess
import sys

import pytest
import yaml

from mtl_cli.errors import UserError
from mtl_cli.files import read_json
from mtl_cli.storage.directory import RunDirectory, logger, read_status, to_yaml
from mtl_cli.storage.records import read_records

CONFIG = {"tasks": {"ß": {"weight": 1.0}}, "seed": 0, "data": {"root": "${oc.env:HOME}"}}
STATE = {
    "versions": {}, "model": {}, "ema": None, "optimizer": {}, "weighting": {}, "datasets": {}, "progress": {},
}  # fmt: skip


@pytest.fixture
def out(tmp_path):
    directory = RunDirectory.create(tmp_path / "runs" / "1", CONFIG, "hash")
    yield directory
    directory.close()


def test_the_config_is_written_as_it_is_in_its_own_order(out):
    text = (out.path / "config.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == CONFIG
    assert list(yaml.safe_load(text)) == ["tasks", "seed", "data"]
    assert text == to_yaml(CONFIG)


def test_the_status_is_what_was_said_last(out):
    assert read_status(out.path) == {}
    out.status("running", 3, 0)
    out.status("failed", 7, 1, "the loss is nan")
    assert read_status(out.path) == {
        "status": "failed", "reason": "the loss is nan", "config_hash": "hash", "step": 7, "epoch": 1,
    }  # fmt: skip


def test_a_directory_that_holds_a_run_is_refused_and_left_alone(out):
    out.status("completed", 1, 1)
    out.close()
    before = {path: path.read_bytes() for path in out.path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a run already"):
        RunDirectory.create(out.path, {"seed": 1}, "other")
    assert {path: path.read_bytes() for path in out.path.rglob("*") if path.is_file()} == before


def test_a_second_opening_is_refused_before_it_writes_anything(out):
    text = (out.path / "config.yaml").read_bytes()
    with pytest.raises(UserError, match="Another process works in"):
        RunDirectory.create(out.path, {"seed": 1}, "other")
    with pytest.raises(UserError, match="Another process works in"):
        RunDirectory.reopen(out.path, CONFIG, "hash", 0)
    assert (out.path / "config.yaml").read_bytes() == text


def test_the_lock_holds_against_another_process_and_goes_with_it(out):
    code = (
        "import sys\nfrom pathlib import Path\nfrom filelock import FileLock, Timeout\n"
        "try:\n    FileLock(Path(sys.argv[1]) / '.lock').acquire(timeout=0)\nexcept Timeout:\n    sys.exit(3)\n"
    )
    command = [sys.executable, "-c", code, str(out.path)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 3
    out.close()
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    RunDirectory.reopen(out.path, CONFIG, "hash", 0).close()


@pytest.mark.parametrize("blocked", ["parent", "checkpoints"])
def test_a_directory_that_cannot_be_made_is_a_short_error_and_is_not_left_locked(tmp_path, blocked):
    path = tmp_path / "run"
    if blocked == "parent":
        path.write_text("a file")
        path = path / "inner"
    else:
        path.mkdir()
        (path / "checkpoints").write_text("a file")
    with pytest.raises(UserError, match=r"Cannot make or write .*hydra\.run\.dir=DIR"):
        RunDirectory.create(path, CONFIG, "hash")
    if blocked == "checkpoints":
        (path / "checkpoints").unlink()
        RunDirectory.create(path, CONFIG, "hash").close()


def test_saving_writes_a_checkpoint_that_names_config_and_length_of_the_metrics(out):
    from mtl_cli.storage import checkpoint

    out.metrics.write({"kind": "train", "step": 5})
    out.save(5, STATE, best=True, score=0.5, keep=1)
    out.metrics.write({"kind": "train", "step": 10})
    out.save(10, STATE, best=False, score=0.5, keep=1)
    best = checkpoint.load(checkpoint.find(out.path, "best"))
    last = checkpoint.load(checkpoint.find(out.path, "last"))
    assert (best["config"], best["config_hash"]) == (to_yaml(CONFIG), "hash")
    assert best["metrics_length"] == len(b'{"kind": "train", "step": 5}\n')
    assert last["metrics_length"] == out.metrics.path.stat().st_size
    assert read_json(out.checkpoints / "best.json") == {"file": "step_00000005.pt", "step": 5, "score": 0.5}
    assert read_json(out.checkpoints / "last.json") == {"file": "step_00000010.pt", "step": 10, "score": 0.5}


def test_reopening_cuts_the_metrics_to_the_checkpoint_and_clears_what_a_killed_process_left(out):
    out.metrics.write({"step": 1})
    length = out.metrics.sync()
    out.metrics.write({"step": 2})
    out.timing.write({"step": 1, "seconds": 0.5})
    out.close()
    (out.checkpoints / ".step_00000002.pt.tmp").write_bytes(b"half")
    (out.path / ".status.json.tmp").write_bytes(b"half")
    again = RunDirectory.reopen(out.path, CONFIG, "hash", length)
    again.close()
    assert read_records(out.path / "metrics.jsonl") == [{"step": 1}]
    assert read_records(out.path / "timing.jsonl") == [{"step": 1, "seconds": 0.5}]
    assert not list(out.path.rglob("*.tmp"))


def test_the_log_goes_to_the_file_until_the_directory_is_closed(out):
    handlers = list(logger.handlers)
    logger.warning("zwölf")
    out.close()
    logger.warning("dreizehn")
    text = (out.path / "train.log").read_text(encoding="utf-8")
    assert "WARNING zwölf" in text
    assert "dreizehn" not in text
    assert len(logger.handlers) == len(handlers) - 1
