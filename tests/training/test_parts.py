"""The metrics of parts of a split equal those of an evaluation of exactly these rows, however often each is taken."""

import numpy as np
import pytest
import torch

from mtl_cli.batch import Batch, Inputs
from mtl_cli.metrics.classes import Accuracy, MacroF1
from mtl_cli.model.multi_task_model import Outputs
from mtl_cli.training import part_states
from mtl_cli.training import parts as parts_module
from mtl_cli.training.meters import Meter
from mtl_cli.training.part_rows import Parts
from mtl_cli.training.part_states import Gathered
from mtl_cli.training.parts import PartMeters
from tests.tasks._inputs import KINDS, make, outputs_for, targets, with_missing

ROWS, BLOCKS, GROUPS = 24, 6, 2
BLOCK = torch.arange(ROWS) % BLOCKS
GROUP = (torch.arange(ROWS) // 3) % GROUPS
TIMES = torch.tensor([[1] * BLOCKS, [2, 0, 1, 3, 0, 0]]).double()


def states_of(task, outputs, target, sizes=(9, 1, 14)):
    """Return the states after a sweep in batches, whose rows come in another order than in the split."""
    order = torch.randperm(ROWS)
    meters = PartMeters({"t": task}, {"d": Parts(BLOCK, GROUP, BLOCKS, GROUPS)}, torch.device("cpu"))
    for rows in order.split(list(sizes)):
        own = target[rows]
        count = task.labelled_entries(own)
        if count:
            batch = Batch(Inputs(torch.zeros(len(rows), 1), "d"), {"t": own}, {"t": count})
            meters.update("d", rows, batch, Outputs({"t": outputs[rows]}, [], None))
    return meters.states()["t"]


def evaluated(task, outputs, target, rows):
    """Return what an evaluation of some rows gives, a row given twice counting twice."""
    meter = Meter(task, torch.device("cpu"))
    meter.update(outputs[rows], target[rows], task.labelled_entries(target[rows]))
    return {name: float(value) for name, value in meter.result().values.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_any_choice_of_parts_has_the_metrics_of_its_rows(kind):
    task, target = make(kind), with_missing(targets(kind, ROWS))
    outputs = outputs_for(kind, ROWS)
    if not isinstance(outputs, torch.Tensor):
        pytest.skip("outputs of several tensors")
    states = states_of(task, outputs, target)
    for groups in ([0], [1], [0, 1]):
        mine = torch.isin(GROUP, torch.tensor(groups))
        drawn = states.replicates(TIMES, groups)
        assert drawn.keys() - {"loss"} == set(task.metric_info)
        for number, times in enumerate(TIMES):
            if kind.startswith("ranking") and number:
                continue  # copies of a group are groups of their own: see below
            rows = torch.arange(ROWS)[mine].repeat_interleave(times[BLOCK[mine]].long())
            wanted = evaluated(task, outputs, target, rows)
            for name, values in drawn.items():
                loose = 1e-3 if name == "map" else 1e-6  # torchmetrics' own depends on the order of equal scores
                assert values[number] == pytest.approx(wanted[name], rel=1e-5, abs=loose, nan_ok=True), name
        assert states.values(groups) == pytest.approx({n: v[0] for n, v in drawn.items()}, rel=1e-6, nan_ok=True)


def test_only_metrics_that_need_all_rows_keep_them():
    kept = set()
    for kind in ("regression", "log_regression", "classification", "ordinal", "count", "binary", "multilabel"):
        states = states_of(make(kind), outputs_for(kind, ROWS), targets(kind, ROWS))
        kept |= {(kind, name) for name, each in states._states.items() if each.gathered}
    assert kept == {("binary", "auc"), ("multilabel", "map")}


class Rounded(Accuracy):
    """An accuracy whose arithmetic cannot be done for many states at once, as authors may write one."""

    def compute(self):
        return torch.tensor(round(float(super().compute()), 7))


def test_kinds_and_metrics_that_do_not_say_so_are_taken_in_part_by_part(monkeypatch):
    task, target, outputs = make("classification"), targets("classification", ROWS), outputs_for("classification", ROWS)
    quick = states_of(task, outputs, target)
    own = {"accuracy": Rounded, "f1": lambda: MacroF1(task.num_outputs)}
    monkeypatch.setattr(type(task), "metrics", lambda self: {name: metric() for name, metric in own.items()})
    slow = states_of(task, outputs, target)
    assert [quick.by_row, slow.by_row] == [True, False]
    assert not type("Own", (type(task),), {"loss": type(task).loss}).adds_entries()
    for name, values in slow.replicates(TIMES, [0, 1]).items():
        assert values == pytest.approx(quick.replicates(TIMES, [0, 1])[name], rel=1e-6), name


def test_the_states_are_the_same_however_many_rows_are_taken_in_at_once(monkeypatch):
    task, target, outputs = make(KINDS[0]), targets(KINDS[0], ROWS), outputs_for(KINDS[0], ROWS)
    whole = states_of(task, outputs, target).replicates(TIMES, [0, 1])
    monkeypatch.setattr(parts_module, "BY_ROW_BYTES", 1)
    monkeypatch.setattr(part_states, "AT_ONCE", 1)
    drawn = states_of(task, outputs, target).replicates(TIMES, [0, 1])
    for name, values in whole.items():
        assert drawn[name] == pytest.approx(values), name


def test_a_metric_whose_sums_are_too_large_has_no_replicates(monkeypatch):
    task, target, outputs = make("classification"), targets("classification", ROWS), outputs_for("classification", ROWS)
    monkeypatch.setattr(part_states, "STATE_BYTES", 8 * BLOCKS * GROUPS)  # room for one number each
    drawn = states_of(task, outputs, target).replicates(TIMES, [0, 1])
    assert len(drawn["f1"]) == 0
    assert len(drawn["accuracy"]) == len(TIMES)


def test_rows_that_are_never_taken_are_not_there():
    gathered = Gathered(torch.arange(3.0), torch.tensor([0, 0, 1]), torch.tensor([True]))  # blocks 0, 0 and 1
    same = lambda key, rows, copy: rows  # noqa: E731
    assert gathered.drawn(torch.tensor([0, 0, 2]), same, "rows")[0].tolist() == []
    assert gathered.drawn(torch.tensor([1, 2, 0]), same, "rows")[0].tolist() == [0, 1, 2, 2]


def test_copies_of_a_ranked_group_are_groups_of_their_own():
    from mtl_cli.metrics.ndcg import GroupNDCG

    scores = torch.tensor([0.9, 0.1, 0.2, 0.8])
    target = torch.tensor([[0.0, 0], [1.0, 0], [0.0, 1], [1.0, 1]])  # group 0 is ranked wrongly, group 1 rightly
    metric = GroupNDCG(2)
    copies = [metric.told_apart("targets", target[:2], copy) for copy in range(2)]
    metric.update(scores[[0, 1, 0, 1, 2, 3]], torch.cat([*copies, target[2:].double()]))
    wrong = 1 / np.log2(3)
    assert float(metric.compute()) == pytest.approx((2 * wrong + 1) / 3)
