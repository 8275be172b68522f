import contextlib
import math
import os
import signal
import time

import pytest
import torch

from mtl_cli.errors import Interrupted
from mtl_cli.files import read_json
from mtl_cli.report import spans
from mtl_cli.report.spans import Spans, outside_arithmetic
from mtl_cli.runs import run
from mtl_cli.storage.records import read_records
from mtl_cli.training import trainer
from tests import _toy


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(spans.time, "perf_counter", lambda: now[0])
    return now


def test_a_span_adds_up_its_blocks_also_one_that_raises(clock):
    own = Spans()
    with own.data:
        clock[0] += 2
    clock[0] += 100
    with contextlib.suppress(KeyError), own.data:
        clock[0] += 3
        raise KeyError
    assert own.take()["data"] == 5
    assert set(own.take().values()) == {0.0}


def test_the_share_outside_leaves_out_what_lies_in_another_span_and_the_profiler():
    seconds = {
        "data": 1.0,
        "balance": 6.0,
        "forward": 2.0,
        "update": 1.0,
        "wait": 1.0,
        "records": 0.5,
        "profiler": 90.0,
    }
    assert outside_arithmetic(seconds, 100.0) == pytest.approx(0.2)
    assert math.isnan(outside_arithmetic({}, 0.0))


def test_a_run_tells_where_its_time_went_and_a_resumed_one_goes_on_counting(tmp_path):
    run.train(_toy.config(), tmp_path / "run", [])
    first = read_json(tmp_path / "run/summary.json")
    found = first["span_seconds"]
    assert 0 < found["forward"] < found["balance"]
    inner = sum(found.values()) - found["forward"]
    assert inner <= first["train_seconds"]
    assert first["outside_arithmetic"] == pytest.approx(outside_arithmetic(found, first["train_seconds"]))
    assert read_records(tmp_path / "run/timing.jsonl")[0]["spans"]["balance"] < found["balance"]
    run.resume(tmp_path / "run", {"trainer.max_epochs": 4, "trust": ["tests"]}, [])
    longer = read_json(tmp_path / "run/summary.json")["span_seconds"]
    assert all(longer[name] >= found[name] for name in found)
    assert longer["balance"] > found["balance"]


@pytest.mark.parametrize("saves", ["by steps", "by a signal"])
def test_a_checkpoint_between_evaluations_holds_the_time_of_its_samples(saves, tmp_path, monkeypatch):
    config = _toy.config(save__every=2 if saves == "by steps" else None, save__keep=9)  # of 3 steps an epoch
    original = trainer.train_step

    def train_step(job, step):
        if saves == "by a signal" and step.index == 1:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.02)
        return original(job, step)

    monkeypatch.setattr(trainer, "train_step", train_step)
    with contextlib.suppress(Interrupted):
        run.train(config, tmp_path / "run", [])
    state = torch.load(tmp_path / "run/checkpoints/step_00000002.pt", weights_only=True)
    assert state["progress"]["samples"] == 32
    assert state["progress"]["train_seconds"] >= 0.04
    assert state["progress"]["spans"]["balance"] > 0
