import gzip
import json
import resource
from types import SimpleNamespace

import pytest
import torch

from mtl_cli.report.profile import ENGINE, FIRST, STEPS, StepProfiler, parts, sums, time_table
from mtl_cli.report.spans import Spans
from mtl_cli.runs import run
from tests import _toy

NAMES = [span.name for span in Spans().all]


def event(name, host, device=0.0):
    return SimpleNamespace(name=name, cpu_time_total=host, device_time_total=device)


def test_the_parts_are_disjoint_and_add_up_to_the_outer_spans():
    events = [
        event("data", 1e6),
        event("balance", 8e6),
        event("forward", 3e6, 5e6),
        event(f"{ENGINE}: MulBackward0", 1e6, 2e6),
        event("MulBackward0", 0.9e6),  # within the engine's
        event(f"{ENGINE}: AddmmBackward0", 2e6, 4e6),
        event("update", 2e6),
        event("aten::mm", 1e6),
    ]
    host, device = sums(events, NAMES)
    found = parts(host)
    assert found["backward"] == pytest.approx(3)
    assert found["weighting"] == pytest.approx(8 - 3 - 3)
    assert sum(found.values()) == pytest.approx(1 + 8 + 2)
    assert device["backward"] == pytest.approx(6)
    table = time_table(host, None, 10).splitlines()
    assert [line.split() for line in table if line.startswith(("backward", "total"))] == [
        ["backward", "300.000", "27.3%"], ["total", "1100.000"],
    ]  # fmt: skip
    assert time_table(host, device, 10).splitlines()[2].split() == ["forward", "300.000", "27.3%", "500.000", "45.5%"]


def test_a_profiled_run_leaves_a_trace_with_every_part_and_computes_the_same(tmp_path):
    config = {"weighting": {"_target_": "mtl_cli.weightings.dwa.DWA", "temperature": 2.0}, "trainer__max_epochs": 10}
    run.train(_toy.config(**config), tmp_path / "plain", [])
    run.train(_toy.config(**config, trainer__profile=True), tmp_path / "run", [])
    assert (tmp_path / "plain/metrics.jsonl").read_bytes() == (tmp_path / "run/metrics.jsonl").read_bytes()
    with gzip.open(tmp_path / "run/profile/trace.json.gz", "rt") as file:
        trace = json.load(file)["traceEvents"]
    numbers = {name: sum(each.get("name") == name for each in trace) for name in ("forward", "update", "data")}
    assert numbers == {"forward": STEPS, "update": STEPS, "data": STEPS}
    assert any(str(each.get("name")).startswith(ENGINE) for each in trace)
    assert "aten::" in (tmp_path / "run/profile/operators.txt").read_text()
    log = (tmp_path / "run/train.log").read_text()
    rows = {line.split()[0]: float(line.split()[1]) for line in log.splitlines() if line.split()[0] in parts_names()}
    assert list(rows) == parts_names()
    assert rows["total"] == pytest.approx(sum(rows.values()) - rows["total"], abs=0.01)
    assert rows["forward"] > 0
    assert rows["backward"] > 0
    assert not (tmp_path / "plain/profile").exists()


def parts_names():
    return [*parts(dict.fromkeys([*NAMES, "backward"], 0.0)), "total"]


def test_a_run_that_is_too_short_for_a_profile_says_so(tmp_path, caplog):
    profiler = StepProfiler(Spans(), tmp_path / "profile", cuda=False)
    for _ in range(FIRST - 1):
        profiler.step_done()
    with caplog.at_level("WARNING", logger="mtl_cli"):
        profiler.close()
    assert "ended within its first" in caplog.text
    assert not (tmp_path / "profile").exists()


def steps(profiler, spans, number):
    for _ in range(number):
        with spans.data:
            (torch.ones(3, requires_grad=True) * 2).sum().backward()
        profiler.step_done()


def test_a_run_that_ends_as_recording_starts_leaves_no_profiler_on(tmp_path, caplog):
    spans = Spans()
    profiler = StepProfiler(spans, tmp_path / "profile", cuda=False)
    steps(profiler, spans, FIRST)
    assert torch.autograd._profiler_enabled()
    with caplog.at_level("WARNING", logger="mtl_cli"):
        profiler.close()
    assert not torch.autograd._profiler_enabled()
    assert not any(span.marked for span in spans.all)
    assert "ended within its first" in caplog.text


@pytest.mark.parametrize("limit", [100, 20_000])  # the operators, or only the trace, do not fit
def test_a_full_disk_costs_the_trace_and_not_the_run(limit, tmp_path, caplog):
    spans = Spans()
    profiler = StepProfiler(spans, tmp_path / "profile", cuda=False)
    steps(profiler, spans, FIRST + STEPS - 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with caplog.at_level("WARNING", logger="mtl_cli"):
            steps(profiler, spans, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "The trace is not written: Cannot write" in caplog.text
    assert "backward" in caplog.text  # the table is shown all the same
    left = {path.name for path in (tmp_path / "profile").rglob("*")}
    assert left == ({"operators.txt"} if limit > 100 else set())
